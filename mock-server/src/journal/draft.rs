//! What the journal will say about a request that is being answered.

use super::leak::Leak;
use crate::protocol::digest::{Digest, Fingerprint, digest};

/// What the journal will say about this request.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) client: Option<String>,
    pub(crate) grant: Option<&'static str>,
    pub(crate) json: Option<Vec<u8>>,
    pub(crate) jwt: Option<[Vec<u8>; 2]>,
    pub(crate) presented: Option<Digest>,
    pub(crate) issued: Option<(Fingerprint, Option<Fingerprint>)>,
    pub(crate) leaks: Vec<Leak>,
    /// Rules that would have refused, were they on.
    pub(crate) relaxed: Vec<&'static str>,
}

/// Texts below this are none of the mock's tokens, and could be guessed from their fingerprint.
const SHORTEST: usize = 40;

impl Draft {
    /// Notes a token or code that came, known or not, whatever becomes of the request.
    pub(crate) fn presents(&mut self, secret: &str) {
        self.presented = (secret.len() >= SHORTEST).then(|| digest(secret));
    }
}
