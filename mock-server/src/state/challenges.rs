//! The keys under which PKCE challenges and their verifiers are remembered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::protocol::digest::{Digest, digest};

/// The key under which the verifier of a challenge is remembered.
pub(crate) fn challenge(challenge: &str, s256: bool) -> Digest {
    match s256 {
        true => digest(challenge),
        false => of_verifier(challenge),
    }
}

pub(super) fn of_verifier(verifier: &str) -> Digest {
    digest(&s256(verifier))
}

/// The challenge of a verifier by the method `S256` (RFC 7636 §4.2).
pub(crate) fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}
