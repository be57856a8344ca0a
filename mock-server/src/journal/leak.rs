//! Secrets that were seen where they do not belong, as the journal keeps them.

use std::collections::VecDeque;

use serde::Serialize;

use crate::limits::MAX_LEAKS;

/// A secret where it does not belong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Leak {
    /// `access_token`, `refresh_token`, `code`, `device_code`, `client_secret`, `pat`, `sat`,
    /// `code_verifier` or `assertion`.
    pub kind: &'static str,
    /// `path`, `query`, `header`, `body` or `text`.
    pub place: &'static str,
    /// The parameter, header or member; masked if its name says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The [`fingerprint`](crate::fingerprint) of a token or code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The `X-Tt-Logid` of the request; empty for a text.
    pub logid: String,
}

/// The leaks of a world; the journal may have forgotten their requests.
#[derive(Debug, Default)]
pub(crate) struct Leaks {
    kept: VecDeque<Leak>,
    pub(crate) total: u64,
}

impl Leaks {
    pub(crate) fn note(&mut self, leaks: &mut [Leak], logid: &str) {
        for leak in leaks {
            logid.clone_into(&mut leak.logid);
            self.total += 1;
            if self.kept.len() == MAX_LEAKS {
                self.kept.pop_front();
            }
            self.kept.push_back(leak.clone());
        }
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Leak> {
        self.kept.iter()
    }
}
