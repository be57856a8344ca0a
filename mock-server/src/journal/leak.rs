//! Leaks: secrets that requests had where they do not belong.

use std::collections::VecDeque;

use serde::Serialize;

use crate::limits::MAX_LEAKS;

/// A secret in a place where it does not belong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Leak {
    /// The kind of secret: `access_token`, `refresh_token`, `code`, `device_code`, `client_secret`, `pat`, `sat`,
    /// `code_verifier`, `assertion`, or of a workload `subject_token` (its id token) or `api_key`.
    pub kind: &'static str,
    /// The part of the request: `path`, `query`, `header`, `body`; `text` for a text outside of a request.
    pub place: &'static str,
    /// The name of the parameter, header or member; masked unless it is a plain word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The [`fingerprint`](crate::fingerprint); none unless the secret is a token or code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The `X-Tt-Logid` of the answer; empty for a text.
    pub logid: String,
}

impl Leak {
    /// Number of bytes that it holds on the heap.
    pub(super) fn heap(&self) -> usize {
        let texts = [
            Some(&self.logid),
            self.name.as_ref(),
            self.fingerprint.as_ref(),
        ];
        texts
            .into_iter()
            .flatten()
            .map(|text| text.capacity() + 16)
            .sum()
    }
}

/// The leaks of a world. The journal may have evicted their requests.
#[derive(Debug, Default)]
pub(crate) struct Leaks {
    kept: VecDeque<Leak>,
    /// Number of bytes that those hold on the heap.
    heap: usize,
    pub(crate) total: u64,
}

impl Leaks {
    pub(crate) fn note(&mut self, leaks: &mut [Leak], logid: &str) {
        for leak in leaks {
            logid.clone_into(&mut leak.logid);
            self.total += 1;
            if self.kept.len() == MAX_LEAKS {
                self.evict();
            }
            let leak = leak.clone();
            self.heap += leak.heap();
            self.kept.push_back(leak);
        }
    }

    fn evict(&mut self) {
        let evicted = self.kept.pop_front();
        self.heap -= evicted.as_ref().map_or(0, Leak::heap);
    }

    pub(crate) fn memory(&self) -> usize {
        self.heap + self.kept.capacity() * size_of::<Leak>()
    }

    /// Evicts the older half, and gives its memory back.
    pub(crate) fn halve(&mut self) {
        for _ in 0..self.kept.len().div_ceil(2) {
            self.evict();
        }
        self.kept.shrink_to_fit();
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Leak> {
        self.kept.iter()
    }
}
