//! The seam for the key: ours in memory, or an HSM's.

use std::fmt;

use crate::error::SigningError;

/// Signs assertions with the app's RSA key. `RsaKey` is the ready-made one; write your own for a key
/// that cannot leave an HSM. A token source has it sign on a thread that may block, and for a limited time. One that must be
/// awaited is a `coze_auth_tokens::tokio::AsyncSigner` instead; without a token source see [`JwtIssuer`](super::JwtIssuer).
///
/// ```
/// use coze_auth_core::error::SigningError;
/// use coze_auth_core::jwt::Signer;
///
/// struct Hsm; // with a session of your HSM
///
/// impl Signer for Hsm {
///     fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
///         // Hand `message` to the HSM, by the name of its key.
///         assert!(!message.is_empty());
///         Ok(vec![0; 256])
///     }
/// }
///
/// assert_eq!(Hsm.sign_rs256(b"header.claims").unwrap().len(), 256);
/// ```
pub trait Signer: Send + Sync {
    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256 and gives the raw signature.
    ///
    /// # Errors
    ///
    /// [`SigningError`], with no secret in its words.
    fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, SigningError>;
}

impl<S: Signer + ?Sized> Signer for std::sync::Arc<S> {
    fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        (**self).sign_rs256(message)
    }
}

#[cfg(feature = "rs256-aws-lc")]
pub use aws_lc::RsaKey;

impl fmt::Debug for dyn Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(***)")
    }
}

#[cfg(feature = "rs256-aws-lc")]
mod aws_lc {
    use std::fmt;

    use super::super::pem::{self, Key};
    use super::Signer;
    use crate::error::{ConfigError, Problem, SigningError};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeyPair;
    use aws_lc_rs::signature::RSA_PKCS1_SHA256;

    /// An RSA private key in memory, parsed and checked once: parsing costs more than half a signature.
    pub struct RsaKey(KeyPair);

    impl RsaKey {
        /// Reads a key in PEM: PKCS#8 (`BEGIN PRIVATE KEY`, what Coze's console gives) or PKCS#1 (`BEGIN
        /// RSA PRIVATE KEY`), 2,048 to 8,192 bits. Any layout that can mean one key only is taken: on one
        /// line, with `\n` written out, indented, in quotes, in base64 once more, without its armour, with
        /// text or a certificate beside it. Copies that are made on the way are wiped.
        ///
        /// # Errors
        ///
        /// [`ConfigError`] that says what it is instead: a public key, an encrypted key, two keys, not RSA, too
        /// short, a path, cut off, damaged. A bad key is refused here, not at the first signature.
        pub fn from_pem(pem: &str) -> Result<Self, ConfigError> {
            let bad = |problem| ConfigError::new("private key", problem);
            if pem
                .trim_matches(|c: char| c.is_whitespace() || "\"'\u{feff}".contains(c))
                .is_empty()
            {
                return Err(bad(Problem::Empty));
            }
            let pair = match pem::read(pem).map_err(|reason| bad(Problem::Key(reason)))? {
                Key::Pkcs8(der) => KeyPair::from_pkcs8(&der),
                Key::Pkcs1(der) => KeyPair::from_der(&der),
            };
            pair.map(Self).map_err(|_| {
                bad(Problem::Key(
                    "it is damaged: its numbers do not belong together (a character was changed on the way)".into(),
                ))
            })
        }
    }

    impl Signer for RsaKey {
        fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
            let mut signature = vec![0; self.0.public_modulus_len()];
            self.0
                .sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .map_err(|_| {
                    SigningError::new(
                        "aws-lc refused, which it never does with a key that it loaded",
                    )
                })?;
            Ok(signature)
        }
    }

    impl fmt::Debug for RsaKey {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "RsaKey({} bits)", self.0.public_modulus_len() * 8)
        }
    }
}
