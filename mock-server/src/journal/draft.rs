//! The draft of a journal entry, filled while the request is answered.

use super::leak::Leak;
use crate::protocol::digest::{Digest, Fingerprint, digest};

/// What is known so far for the journal entry of a request.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) client: Option<String>,
    pub(crate) grant: Option<&'static str>,
    pub(crate) json: Option<Vec<u8>>,
    pub(crate) jwt: Option<[Vec<u8>; 2]>,
    pub(crate) presented: Option<Digest>,
    pub(crate) issued: Option<Issued>,
    pub(crate) leaks: Vec<Leak>,
    /// Rules that would have refused if they were on.
    pub(crate) relaxed: Vec<&'static str>,
}

/// What was issued: the fingerprints of the tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issued {
    pub(crate) access: Fingerprint,
    pub(crate) refresh: Option<Fingerprint>,
    /// `expires_in` of the answer, where it is a time: Unix seconds (protocol §3.1). None for a workload.
    pub(crate) expires: Option<u64>,
}

/// Minimum length of a text that is fingerprinted. Shorter texts are not tokens of the mock, and could be guessed from
/// their fingerprint.
const SHORTEST: usize = 40;

impl Draft {
    /// Notes the token or code that the request presents, known or not, whatever the outcome.
    pub(crate) fn note_presented(&mut self, secret: &str) {
        self.presented = (secret.len() >= SHORTEST).then(|| digest(secret));
    }
}
