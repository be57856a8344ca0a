//! A request as the journal keeps it: redacted, and smaller than the entry that is shown.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::draft::Issued;
use super::entry::{Details, Explanation, IssuedTokens, JournalEntry, JournalJwt, Outcome};
use super::generic;
use super::leak::Leak;
use super::log_id::world_of;
use crate::protocol::digest::{Fingerprint, hex};
use crate::protocol::refusal::Refusal;

/// The stored form of a [`JournalEntry`].
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) seq: u64,
    pub(crate) at_ms: u64,
    pub(crate) endpoint: &'static str,
    pub(crate) method: &'static str,
    /// Path and query, then a line for each header: `name: value`.
    pub(crate) head: Bytes,
    /// JSON.
    pub(crate) json: Option<Bytes>,
    /// Header and claims, in JSON.
    pub(crate) jwt: Option<[Bytes; 2]>,
    pub(crate) client: Option<String>,
    pub(crate) grant: Option<&'static str>,
    pub(crate) presented: Option<Fingerprint>,
    pub(crate) issued: Option<Issued>,
    pub(crate) leaks: Vec<Leak>,
    pub(crate) outcome: Outcome,
    pub(crate) fault: Option<&'static str>,
    pub(crate) details: Option<Box<Details>>,
    pub(crate) elapsed_us: u64,
    pub(crate) refusal: Option<Box<Refusal>>,
    /// True if the rules have looked at it.
    pub(crate) judged: bool,
    /// True if `take_request` has returned it.
    pub(crate) taken: bool,
}

fn read(json: &[u8]) -> Value {
    serde_json::from_slice(json).expect("it was written as JSON")
}

fn joined(lines: &str) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in lines.lines().filter_map(|line| line.split_once(": ")) {
        headers
            .entry(name.to_owned())
            .and_modify(|before| *before = format!("{before}, {value}"))
            .or_insert_with(|| value.to_owned());
    }
    headers
}

/// Number of bytes that count for an allocation beside its contents.
const ALLOCATION: usize = 16;

fn bytes(text: &String) -> usize {
    text.capacity() + ALLOCATION
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("it was written as text")
}

impl Record {
    /// Number of bytes that it holds on the heap.
    pub(crate) fn heap(&self) -> usize {
        let outcome = &self.outcome;
        let texts = [&self.client, &outcome.error].into_iter().flatten();
        let more = self.details.iter();
        let more = more.flat_map(|more| [&more.script, &more.change].into_iter().flatten());
        let details = self.details.as_ref().map_or(0, |_| size_of::<Details>());
        let texts = texts.chain(more).map(bytes);
        let long = self.long_texts().map(|text| text.len() + ALLOCATION);
        let leaks = self.leaks.iter().map(Leak::heap);
        let leaks = self.leaks.capacity() * size_of::<Leak>() + leaks.sum::<usize>();
        let refusal = self.refusal.as_ref().map(|refusal| {
            size_of::<Refusal>()
                + 3 * ALLOCATION
                + refusal.expected.capacity()
                + refusal.actual.capacity()
        });
        long.sum::<usize>()
            + bytes(&outcome.logid)
            + outcome.relaxed.capacity() * size_of::<&str>()
            + self.method.len()
            + texts.sum::<usize>()
            + details
            + leaks
            + refusal.unwrap_or_default()
    }

    /// Number of bytes of what a [`pack`](super::packed) moves.
    pub(super) fn long_bytes(&self) -> usize {
        self.long_texts().map(Bytes::len).sum()
    }

    pub(super) fn long_texts(&self) -> impl Iterator<Item = &Bytes> {
        let more = self.json.iter().chain(self.jwt.iter().flatten());
        [&self.head].into_iter().chain(more)
    }

    pub(super) fn long_texts_mut(&mut self) -> impl Iterator<Item = &mut Bytes> {
        let more = self.json.iter_mut().chain(self.jwt.iter_mut().flatten());
        [&mut self.head].into_iter().chain(more)
    }

    /// The path without its query, redacted.
    pub(crate) fn path(&self) -> &str {
        let end = self.head.iter().position(|byte| b"?\n".contains(byte));
        text(&self.head[..end.unwrap_or(self.head.len())])
    }

    /// The members of a JSON body, redacted.
    pub(super) fn members(&self) -> Option<Value> {
        self.json.as_deref().map(read)
    }

    /// The first value of a header, redacted.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = text(&self.head).lines().skip(1);
        let mut headers = lines.filter_map(|line| line.split_once(": "));
        headers.find_map(|(known, value)| (known == name).then_some(value))
    }

    pub(crate) fn show(&self) -> JournalEntry {
        let (path, headers) = text(&self.head).split_once('\n').unwrap_or_default();
        JournalEntry {
            seq: self.seq,
            at_ms: self.at_ms,
            endpoint: self.endpoint,
            method: self.method.to_owned(),
            path: path.to_owned(),
            headers: joined(headers),
            json: self.members(),
            jwt: self.jwt.as_ref().map(|[header, claims]| JournalJwt {
                header: read(header),
                payload: read(claims),
            }),
            client: self.client.clone(),
            grant: self.grant,
            presented: self.presented.as_ref().map(hex),
            issued: self.issued.as_ref().map(|issued| IssuedTokens {
                access: hex(&issued.access),
                refresh: issued.refresh.as_ref().map(hex),
            }),
            leaks: self.leaks.clone(),
            outcome: self.outcome.clone(),
            fault: self.fault,
            script: self.details.as_ref().and_then(|more| more.script.clone()),
            change: self.details.as_ref().and_then(|more| more.change.clone()),
            elapsed_us: self.elapsed_us,
        }
    }

    pub(crate) fn explain(&self) -> Explanation {
        let outcome = &self.outcome;
        let mut explanation = Explanation {
            logid: outcome.logid.clone(),
            world: world_of(&outcome.logid).map(str::to_owned),
            rule: None,
            text: String::new(),
            evidence: None,
            reference: None,
            expected: None,
            actual: None,
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
            explanation.actual = Some(refusal.actual.clone());
            explanation.fix = Some(match generic::advice(self, refusal.rule) {
                Some(advice) => format!("{} {advice}", row.fix),
                None => row.fix.clone(),
            });
        } else if self.judged {
            let what = match self.endpoint {
                "api" => "the API call of your own",
                endpoint => self.grant.unwrap_or(endpoint),
            };
            let held = match outcome.relaxed.len() {
                0 => "every rule held",
                _ => "it violated rules that are turned off",
            };
            explanation.text = format!("{what} succeeded: {held}.");
            if let Some(expires) = self.issued.and_then(|issued| issued.expires) {
                explanation.text += &generic::moment(expires, self.at_ms / 1000);
            }
        }
        if let Some(intervention) = self.intervention() {
            explanation.text = match self.judged {
                true => format!(
                    "{} Then {intervention} acted on the answer.{}",
                    explanation.text,
                    self.consequence()
                ),
                false => format!("{intervention} answered: no rule has looked at this request."),
            };
        }
        explanation
    }

    fn intervention(&self) -> Option<String> {
        let more = self.details.as_deref();
        let script = more.and_then(|more| more.script.as_deref());
        let fault = self.fault.map(|fault| {
            let change = more.and_then(|more| more.change.as_deref());
            let change = change.map(|change| format!(" ({change})"));
            format!("the fault {fault}{}", change.unwrap_or_default())
        });
        match (fault, script) {
            (None, None) => None,
            (None, Some(script)) => Some(format!("the script {script}")),
            (Some(fault), None) => Some(fault),
            (Some(fault), Some(script)) => Some(format!("{fault} of the script {script}")),
        }
    }

    /// What a fault at the answer means for who reads why a client goes wrong.
    fn consequence(&self) -> &'static str {
        match self.fault {
            Some("consent_policy") => {
                " The consent page has form-action 'self' in its policy: a browser stops the redirect to the app after the decision, so the code was issued and nobody gets it."
            }
            Some("callback_307") => {
                " The redirect to the app is a 307: a browser sends the form of the consent page with it, as a POST."
            }
            Some("callback_twice") => {
                " The answer to the decision is a page that requests the callback twice, with the same code and state."
            }
            Some(
                "status" | "reset" | "close_before_body" | "truncate" | "garbage" | "redirect"
                | "empty_200",
            ) if self.refusal.is_none() => {
                " The mock had acted: what the request spends is spent, and what was issued did not arrive."
            }
            _ => "",
        }
    }
}
