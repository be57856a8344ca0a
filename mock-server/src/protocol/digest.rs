//! Digests and fingerprints of secrets, and their comparison.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The first half of a SHA-256, which distinguishes tokens in half the memory.
pub(crate) type Digest = [u8; 16];

pub(crate) fn digest(secret: &str) -> Digest {
    let whole: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    let mut half = Digest::default();
    half.copy_from_slice(&whole[..16]);
    half
}

/// Returns the fingerprint of a token or code: the first 16 hex digits of its SHA-256. Journals show fingerprints, so a test
/// that has a token finds its requests, and the journal holds no secret.
///
/// Tokens have at least 40 random characters, so a fingerprint cannot be guessed, and its 64 bits distinguish the tokens
/// of one journal.
#[must_use]
pub fn fingerprint(secret: &str) -> String {
    hex(&fingerprint_of(&digest(secret)))
}

/// The bytes of a digest that the fingerprint shows.
pub(crate) type Fingerprint = [u8; 8];

pub(crate) fn fingerprint_of(digest: &Digest) -> Fingerprint {
    let mut print = Fingerprint::default();
    print.copy_from_slice(&digest[..8]);
    print
}

pub(crate) fn hex(print: &Fingerprint) -> String {
    format!("{:016x}", u64::from_be_bytes(*print))
}

/// Parses a fingerprint; none if the text is not one.
pub(crate) fn parse(fingerprint: &str) -> Option<Fingerprint> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if fingerprint.len() != 16 || !fingerprint.bytes().all(lower) {
        return None;
    }
    let number = u64::from_str_radix(fingerprint, 16).ok()?;
    Some(number.to_be_bytes())
}

/// Returns true if the texts are equal, in constant time for texts of one length. Explanations contain the length of a
/// secret anyway.
pub(crate) fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example.
    #[test]
    fn a_fingerprint_is_the_start_of_a_sha_256() {
        assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
        assert_eq!(
            parse("ba7816bf8f01cfea"),
            Some(fingerprint_of(&digest("abc")))
        );
        for other in [
            "",
            "ba7816bf8f01cfe",
            "BA7816BF8F01CFEA",
            "+a7816bf8f01cfea",
        ] {
            assert_eq!(parse(other), None);
        }
    }
}
