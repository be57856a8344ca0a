//! Digests and fingerprints of secrets, and their comparison.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The first half of a SHA-256: enough to tell tokens apart, half the memory.
pub(crate) type Digest = [u8; 16];

pub(crate) fn digest(secret: &str) -> Digest {
    let whole: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    let mut half = Digest::default();
    half.copy_from_slice(&whole[..16]);
    half
}

/// The first 16 hex digits of the SHA-256 of a token or code, as the journal shows it: whoever has
/// the token finds it there, and nobody else learns anything.
///
/// The tokens have 40 random characters and more, so that no guess meets the hash, and 64 bits of
/// it tell the tokens of one journal apart.
#[must_use]
pub fn fingerprint(secret: &str) -> String {
    hex(&fingerprint_of(&digest(secret)))
}

/// What of a digest the fingerprint shows.
pub(crate) type Fingerprint = [u8; 8];

pub(crate) fn fingerprint_of(digest: &Digest) -> Fingerprint {
    let mut print = Fingerprint::default();
    print.copy_from_slice(&digest[..8]);
    print
}

pub(crate) fn hex(print: &Fingerprint) -> String {
    format!("{:016x}", u64::from_be_bytes(*print))
}

/// The print that is written so; none if it is no fingerprint.
pub(crate) fn parse(fingerprint: &str) -> Option<Fingerprint> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if fingerprint.len() != 16 || !fingerprint.bytes().all(lower) {
        return None;
    }
    let number = u64::from_str_radix(fingerprint, 16).ok()?;
    Some(number.to_be_bytes())
}

/// In constant time, if they are of one length: explanations tell how long a secret is.
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
