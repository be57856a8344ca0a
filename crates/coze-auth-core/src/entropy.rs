//! Randomness, handed in by the caller and spent once.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

/// 32 random bytes for one attempt: the seed of a `state` and a code verifier, or of a `jti`.
///
/// Take the bytes from the operating system (the adapters do, with `getrandom`). The value is not
/// `Clone` and every use takes it, so two attempts cannot share their secrets. It is zeroized on drop; the array that it was
/// made of is yours to wipe.
///
/// ```
/// use coze_auth_core::Entropy;
///
/// let mut bytes = [0; 32];
/// # bytes[0] = 7;
/// // Fill them here, with the operating system's random bytes.
/// let entropy = Entropy::from_bytes(bytes);
/// assert_eq!(format!("{entropy:?}"), "Entropy(***)");
/// ```
pub struct Entropy(Box<Zeroizing<[u8; 32]>>);

impl Entropy {
    /// Takes 32 bytes from a cryptographically secure source.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        // In a box, since what is moved leaves its bytes behind.
        let mut boxed = Box::new(Zeroizing::new([0; 32]));
        boxed.copy_from_slice(&bytes);
        bytes.zeroize();
        Self(boxed)
    }

    /// 256 bits that tell nothing about the seed or about another label's bits.
    pub(crate) fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        let mut digest = Zeroizing::new([0; 32]);
        let mut hash = Sha256::new();
        hash.update(self.0.as_slice());
        hash.update(label);
        hash.finalize_into_reset((&mut *digest).into());
        digest
    }

    /// 43 characters of the base64url alphabet, all of them unreserved (RFC 7636 §4.1).
    pub(crate) fn derive_text(&self, label: &str) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.derive(label).as_slice()))
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(***)")
    }
}
