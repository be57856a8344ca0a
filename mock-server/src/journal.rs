//! What came and what was answered, redacted, and why.

use std::collections::{BTreeMap, VecDeque, vec_deque};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::bell::Bell;
use crate::call::Refusal;
use crate::calls::Calls;
use crate::leaks::Leak;
use crate::lineage::{Issued, logid};

/// Requests that a journal keeps if nobody says otherwise.
pub(crate) const CAPACITY: usize = 2_000;

/// One request to the data plane. Codes, tokens, secrets, verifiers, assertions and states are
/// masked; `presented` and `issued` tell which tokens they were to who has them.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct JournalEntry {
    /// Counts from 1; starts again at a reset.
    pub seq: u64,
    /// Unix time by the mock's clock, in milliseconds.
    pub at_ms: u64,
    /// `authorize`, `token`, `device_code`, `users_me` or `unknown`.
    pub endpoint: &'static str,
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case; values of repeated headers joined by a comma.
    pub headers: BTreeMap<String, String>,
    /// The members of the JSON body, if it was one.
    pub json: Option<Value>,
    /// The assertion of a JWT grant, decoded.
    pub jwt: Option<JournalJwt>,
    /// The client id (for JWT the issuer).
    pub client: Option<String>,
    /// `authorization_code`, `refresh_token`, `device_code` or `jwt_bearer`.
    pub grant: Option<&'static str>,
    /// The [`fingerprint`](crate::fingerprint) of the access token, refresh token, authorization
    /// code or device code that came, if it has at least 40 characters, whatever the outcome.
    pub presented: Option<String>,
    /// The fingerprints of the tokens that were given.
    pub issued: Option<Issued>,
    /// Secrets that it had where they do not belong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<Leak>,
    /// What was answered.
    pub outcome: Outcome,
    /// Time spent on the answer, in microseconds of the machine's clock.
    pub elapsed_us: u64,
    #[serde(skip)]
    pub(crate) refusal: Option<Refusal>,
    /// `take_request` gave it away.
    #[serde(skip)]
    pub(crate) taken: bool,
}

/// A decoded assertion, without its signature.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct JournalJwt {
    /// The JOSE header.
    pub header: Value,
    /// The claims.
    pub payload: Value,
}

/// How a request was answered.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The HTTP status.
    pub status: u16,
    /// The error code in the body of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The rule that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// The rules that would have refused, had they not been turned off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relaxed: Vec<&'static str>,
    /// The `X-Tt-Logid` of the answer.
    pub logid: String,
}

/// Why a request was answered as it was.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The `X-Tt-Logid` that was asked for.
    pub logid: String,
    /// The rule that refused; none for a success.
    pub rule: Option<&'static str>,
    /// The rule in words, or what succeeded.
    pub text: String,
    /// How sure we are that Coze has this rule: `documented`, `sdk`, `report` or `guess`.
    pub evidence: Option<&'static str>,
    /// Where that is written.
    pub reference: Option<&'static str>,
    /// What the rule asks for.
    pub expected: Option<String>,
    /// What came instead, without any secret.
    pub came: Option<String>,
    /// What to do about it.
    pub fix: Option<&'static str>,
    /// The rules that would have refused, had they not been turned off.
    pub relaxed: Vec<&'static str>,
}

impl JournalEntry {
    pub(crate) fn explain(&self) -> Explanation {
        let outcome = &self.outcome;
        let mut explanation = Explanation {
            logid: outcome.logid.clone(),
            rule: None,
            text: String::new(),
            evidence: None,
            reference: None,
            expected: None,
            came: None,
            fix: None,
            relaxed: outcome.relaxed.clone(),
        };
        if let Some(refusal) = &self.refusal {
            let row = refusal.rule.text();
            explanation.rule = Some(refusal.rule.id());
            explanation.text.clone_from(&row.text);
            explanation.evidence = Some(row.evidence.name());
            explanation.reference = Some(&row.reference);
            explanation.expected = Some(refusal.expected.clone());
            explanation.came = Some(refusal.came.clone());
            explanation.fix = Some(&row.fix);
        } else {
            let what = self.grant.unwrap_or(self.endpoint);
            let held = match outcome.relaxed.len() {
                0 => "every rule held",
                _ => "it broke rules that are turned off",
            };
            explanation.text = format!("{what} succeeded: {held}.");
        }
        explanation
    }
}

/// The last requests of a world.
#[derive(Debug)]
pub(crate) struct Journal {
    capacity: usize,
    entries: VecDeque<JournalEntry>,
    begun: u64,
    forgotten: u64,
    pub(crate) bell: Arc<Bell>,
}

impl Journal {
    /// Keeps one at least: who drives an authorize request reads it back.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            entries: VecDeque::new(),
            begun: 0,
            forgotten: 0,
            bell: Arc::default(),
        }
    }

    /// Number and log id of the next request: time of day, then `MOCK` and its number.
    pub(crate) fn begin(&mut self, now_ms: u64) -> (u64, String) {
        self.begun += 1;
        (self.begun, logid(now_ms / 1000, self.begun))
    }

    pub(crate) fn push(&mut self, entry: JournalEntry) {
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        self.entries.push_back(entry);
        self.bell.ring();
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> vec_deque::Iter<'_, JournalEntry> {
        self.entries.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.forgotten = 0;
    }

    /// How many it had no room for, since it was last empty.
    pub(crate) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The number of the newest request, kept or not.
    pub(crate) const fn newest(&self) -> u64 {
        self.begun
    }

    /// The oldest after number `after` that fits. Numbers rise, so the older are not looked at.
    pub(crate) fn next(&self, after: u64, calls: &Calls) -> Option<&JournalEntry> {
        let from = self.entries.partition_point(|entry| entry.seq <= after);
        let mut later = self.entries.range(from..);
        later.find(|entry| calls.fit(entry))
    }

    /// The oldest that fits and was not taken.
    pub(crate) fn untaken(&self, calls: &Calls) -> Option<&JournalEntry> {
        let mut untaken = self.entries.iter().filter(|entry| !entry.taken);
        untaken.find(|entry| calls.fit(entry))
    }

    pub(crate) fn take(&mut self, calls: &Calls) -> Option<JournalEntry> {
        let seq = self.untaken(calls)?.seq;
        let entry = self.entries.iter_mut().find(|entry| entry.seq == seq)?;
        entry.taken = true;
        Some(entry.clone())
    }

    pub(crate) fn find(&self, logid: &str) -> Option<&JournalEntry> {
        let mut newest_first = self.entries.iter().rev();
        newest_first.find(|entry| entry.outcome.logid == logid)
    }
}
