//! The seam for the key: ours in memory, or an HSM's.

use std::fmt;

use crate::error::SigningError;

/// Signs assertions with the app's RSA key. [`RsaKey`] is the ready-made one; write your own for a key
/// that cannot leave an HSM. One that must be awaited goes through
/// [`JwtIssuer`](super::JwtIssuer) instead.
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

    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeyPair;
    use aws_lc_rs::signature::RSA_PKCS1_SHA256;
    use rustls_pki_types::PrivateKeyDer;
    use rustls_pki_types::pem::{Error as PemError, PemObject as _};
    use zeroize::Zeroizing;

    use super::Signer;
    use crate::error::{ConfigError, Problem, SigningError};

    /// An RSA private key in memory, parsed and checked once: parsing costs more than half a signature.
    pub struct RsaKey(KeyPair);

    impl RsaKey {
        /// Reads a key in PEM: PKCS#8 (`BEGIN PRIVATE KEY`, what Coze's console gives) or PKCS#1 (`BEGIN
        /// RSA PRIVATE KEY`), at least 2,048 bits. CRLF, indented lines and `\n` written out as two
        /// characters, as environment variables often have them, are fine.
        ///
        /// # Errors
        ///
        /// [`ConfigError`] that says what it is instead: a public key, an encrypted key, not RSA, too
        /// short, damaged. A bad key is refused here, not at the first signature.
        pub fn from_pem(pem: &str) -> Result<Self, ConfigError> {
            let bad = |problem| ConfigError::new("private key", problem);
            if pem.trim().is_empty() {
                return Err(bad(Problem::Empty));
            }
            let text = tidy(pem);
            let key = PrivateKeyDer::from_pem_slice(text.as_bytes())
                .map_err(|error| bad(Problem::Key(explain(&text, &error))))?;
            let pair = match &key {
                PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
                PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
                _ => {
                    return Err(bad(Problem::Key(
                        "it is not an RSA key, and Coze takes RS256 only",
                    )));
                }
            };
            // aws-lc tells three things apart; the rest is one.
            pair.map(Self).map_err(|rejected| {
                bad(Problem::Key(match rejected.to_string().as_str() {
                    "TooSmall" => "it is shorter than 2,048 bits",
                    "TooLarge" => "it is longer than 8,192 bits",
                    _ => "it is damaged, or not an RSA key",
                }))
            })
        }
    }

    /// Line ends and indentation as PEM has them.
    fn tidy(pem: &str) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(pem.len() + 2));
        for line in pem.split(['\n', '\r']).flat_map(|line| line.split("\\n")) {
            // `\r\n` written out leaves a `\r`.
            let line = line
                .trim()
                .trim_end_matches("\\r")
                .trim_matches(['"', '\u{feff}']);
            if !line.is_empty() {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }

    fn explain(text: &str, error: &PemError) -> &'static str {
        let has = |label| text.contains(label);
        match error {
            _ if has("BEGIN ENCRYPTED PRIVATE KEY") || has("Proc-Type: 4,ENCRYPTED") => {
                "it is encrypted; decrypt it first (openssl pkey -in key.pem)"
            }
            _ if has("BEGIN PUBLIC KEY") || has("BEGIN RSA PUBLIC KEY") => "it is the public key",
            _ if has("BEGIN CERTIFICATE") => "it is a certificate",
            _ if has("BEGIN OPENSSH PRIVATE KEY") => {
                "it is in OpenSSH's form (ssh-keygen -p -m PEM converts it)"
            }
            PemError::NoItemsFound
                if text.trim_end().lines().count() == 1 && text.contains(['/', '\\']) =>
            {
                "it looks like a path: the text of the key is asked for here (or COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH)"
            }
            PemError::NoItemsFound => "it has no line BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY",
            PemError::MissingSectionEnd { .. } => "its END line is missing: it was cut off",
            _ => "it is damaged",
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
