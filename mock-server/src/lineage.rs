//! Which token came from which, told by fingerprints.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::call::{Answer, Call, Note};
use crate::world::TokenAnswer;

/// Texts below this are none of the mock's tokens, and could be guessed from their fingerprint.
const SHORTEST: usize = 40;

/// The first 16 hex digits of the SHA-256 of a token or code, as the journal shows it: whoever has
/// the token finds it there, and nobody else learns anything.
///
/// The tokens have 40 random characters and more, so that no guess meets the hash, and 64 bits of
/// it tell the tokens of one journal apart.
#[must_use]
pub fn fingerprint(secret: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(secret).into();
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The [`fingerprint`]s of the tokens that an answer gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Issued {
    /// The access token's.
    pub access: String,
    /// The refresh token's; the JWT grant gives none.
    pub refresh: Option<String>,
}

impl Note {
    /// Notes a token or code that came, known or not, whatever becomes of the request.
    pub(crate) fn presents(&mut self, secret: &str) {
        self.presented = (secret.len() >= SHORTEST).then(|| fingerprint(secret));
    }
}

impl Call<'_> {
    /// Notes the tokens that this request gets.
    pub(crate) fn hand_out(&mut self, tokens: &TokenAnswer) -> Answer {
        self.note.issued = Some(Issued {
            access: fingerprint(&tokens.access_token),
            refresh: tokens.refresh_token.as_deref().map(fingerprint),
        });
        Answer::json(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    /// FIPS 180-4's example.
    #[test]
    fn a_fingerprint_is_the_start_of_a_sha_256() {
        assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
    }
}
