//! What came and what was answered, redacted, and why.

pub(crate) mod export;
pub(crate) mod filter;
pub(crate) mod notifier;
pub(crate) mod record;
pub(crate) mod verify;

use std::collections::{BTreeMap, VecDeque, vec_deque};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::state::leak_scanner::Leak;
use crate::state::provenance::{Issued, digits, logid};
use filter::Calls;
use notifier::Bell;
use record::Kept;

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
    /// The fault that acted on it, if one did: `reset`, `delay` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// The id of the script that answered it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Time spent on the answer, in microseconds of the machine's clock.
    pub elapsed_us: u64,
}

/// Who but the rules had a say in an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) fault: Option<&'static str>,
    pub(crate) script: Option<String>,
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
    /// The HTTP status that was sent; 0 if a fault sent none. What the mock did is not undone: if
    /// tokens were [`issued`](JournalEntry::issued), nobody but the journal has heard of them.
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

/// The last requests of a world.
#[derive(Debug)]
pub(crate) struct Journal {
    capacity: usize,
    entries: VecDeque<Kept>,
    begun: u64,
    forgotten: u64,
    /// The second of the newest request, and how the log ids of this second begin.
    second: (u64, String),
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
            second: (0, digits(0)),
            bell: Arc::default(),
        }
    }

    /// Number and log id of the next request: time of day, then `MOCK` and its number.
    pub(crate) fn begin(&mut self, now_ms: u64) -> (u64, String) {
        self.begun += 1;
        let at_s = now_ms / 1000;
        if self.second.0 != at_s {
            self.second = (at_s, digits(at_s));
        }
        (self.begun, logid(&self.second.1, self.begun))
    }

    /// A request that a fault made wait takes the place in which it waited.
    pub(crate) fn push(&mut self, mut entry: Kept) {
        if let Some(at) = self.at(entry.seq) {
            let waited = &mut self.entries[at];
            entry.taken = waited.taken;
            *waited = entry;
            return;
        }
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        self.entries.push_back(entry);
        self.bell.ring();
    }

    pub(crate) fn numbered(&self, seq: u64) -> Option<&Kept> {
        Some(&self.entries[self.at(seq)?])
    }

    /// Those that wait are few and among the newest.
    fn at(&self, seq: u64) -> Option<usize> {
        let at = self.entries.iter().rposition(|known| known.seq <= seq)?;
        (self.entries[at].seq == seq).then_some(at)
    }

    pub(crate) fn newest_mut(&mut self) -> Option<&mut Kept> {
        self.entries.back_mut()
    }

    /// Whether the request with this log id was written down as one that `fault` makes wait.
    pub(crate) fn has_waiting(&self, logid: &str, fault: Option<&'static str>) -> bool {
        let found = self.find(logid);
        found.is_some_and(|entry| entry.fault == fault && entry.outcome.status == 0)
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> vec_deque::Iter<'_, Kept> {
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
    pub(crate) fn next(&self, after: u64, calls: &Calls) -> Option<&Kept> {
        let from = self.entries.partition_point(|entry| entry.seq <= after);
        let mut later = self.entries.range(from..);
        later.find(|entry| calls.fit(entry))
    }

    /// The oldest that fits and was not taken.
    pub(crate) fn untaken(&self, calls: &Calls) -> Option<&Kept> {
        let mut untaken = self.entries.iter().filter(|entry| !entry.taken);
        untaken.find(|entry| calls.fit(entry))
    }

    pub(crate) fn take(&mut self, calls: &Calls) -> Option<JournalEntry> {
        let seq = self.untaken(calls)?.seq;
        let entry = self.entries.iter_mut().find(|entry| entry.seq == seq)?;
        entry.taken = true;
        Some(entry.show())
    }

    pub(crate) fn find(&self, logid: &str) -> Option<&Kept> {
        let mut newest_first = self.entries.iter().rev();
        newest_first.find(|entry| entry.outcome.logid == logid)
    }
}
