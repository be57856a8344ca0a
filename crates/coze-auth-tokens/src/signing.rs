//! One signature of a JWT app, within its time.

use std::fmt;
use std::io;
use std::time::Duration;

use coze_auth_core::error::SigningError;
use coze_auth_core::jwt::JwtGrant;
#[cfg(feature = "tokio")]
use coze_auth_core::jwt::{JwtIssuer, UnsignedAssertion};
use coze_auth_core::{Call, Entropy, Now, TokenGrant};
use zeroize::Zeroizing;

use crate::driver::Driver;
use crate::keys::{JwtKey, Signs};

/// An assertion to be made and signed: its life counts from when it is made.
pub(crate) struct Signing {
    pub(crate) key: JwtKey,
    pub(crate) limit: Duration,
    pub(crate) grant: JwtGrant,
    pub(crate) entropy: Entropy,
}

impl Signing {
    /// Has it signed where it may hang or panic, within its time.
    pub(crate) async fn by<D: Driver>(self, driver: &D) -> Result<Call<TokenGrant>, SigningError> {
        let Self {
            key,
            limit,
            grant,
            entropy,
        } = self;
        let unsigned = key.issuer().assertion(&grant, entropy, driver.now());
        let signed = match key.signs().clone() {
            Signs::Blocking(signer) => {
                let sign = move || {
                    let signature = signer.sign_rs256(unsigned.signing_input());
                    (unsigned, signature)
                };
                driver.block(limit, sign).await
            }
            #[cfg(feature = "tokio")]
            Signs::Awaited(signer) => driver.at_most(limit, signer.sign(unsigned, limit)).await,
        };
        let (unsigned, signature) = signed.map_err(|why| not_signed(limit, &why))?;
        unsigned.signed(&signature.map(Zeroizing::new)?, driver.now())
    }

    /// Has it signed here, for as long as that takes.
    pub(crate) fn here(self, now: Now) -> Result<Call<TokenGrant>, SigningError> {
        let unsigned = self.key.issuer().assertion(&self.grant, self.entropy, now);
        let signature = match self.key.signs() {
            Signs::Blocking(signer) => signer.sign_rs256(unsigned.signing_input()),
            #[cfg(feature = "tokio")]
            Signs::Awaited(_) => Err(SigningError::new(
                "its signer has to be awaited, by a token source on tokio",
            )),
        };
        unsigned.signed(&signature.map(Zeroizing::new)?, now)
    }
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signing")
            .field("issuer", self.key.issuer())
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

/// Whatever it was, it can be over at the next attempt.
fn not_signed(limit: Duration, why: &io::Error) -> SigningError {
    match why.kind() {
        io::ErrorKind::TimedOut => too_late(limit),
        _ => SigningError::passing(format!("waiting for the signer failed: {why}")),
    }
}

fn too_late(limit: Duration) -> SigningError {
    SigningError::passing(format!("the signer has not answered in {limit:?}"))
}

/// Signs assertions with a JWT app's RSA key, and is awaited: for a key in a KMS or HSM that is asked over the network.
///
/// ```
/// use coze_auth_tokens::core::error::SigningError;
/// use coze_auth_tokens::tokio::AsyncSigner;
/// # struct Kms;
/// # impl Kms { async fn sign(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, String> { Ok(vec![0; 256]) } }
///
/// struct KmsSigner {
///     kms: Kms,
///     key: String,
/// }
///
/// impl AsyncSigner for KmsSigner {
///     async fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
///         // A KMS calls it RSASSA_PKCS1_V1_5_SHA_256 or RSA_SIGN_PKCS1_2048_SHA256.
///         let signature = self.kms.sign(&self.key, message).await;
///         signature.map_err(|error| SigningError::passing(format!("the KMS says: {error}")))
///     }
/// }
/// ```
#[cfg(feature = "tokio")]
pub trait AsyncSigner: Send + Sync {
    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256 and gives the raw signature. It is dropped when its time is over.
    ///
    /// # Errors
    ///
    /// [`SigningError`], with no secret in its words: [`passing`](SigningError::passing) if another attempt can succeed.
    fn sign_rs256(
        &self,
        message: &[u8],
    ) -> impl Future<Output = Result<Vec<u8>, SigningError>> + Send;
}

#[cfg(feature = "tokio")]
impl<S: AsyncSigner + ?Sized> AsyncSigner for std::sync::Arc<S> {
    fn sign_rs256(
        &self,
        message: &[u8],
    ) -> impl Future<Output = Result<Vec<u8>, SigningError>> + Send {
        (**self).sign_rs256(message)
    }
}

/// A JWT app whose signatures are awaited.
#[cfg(feature = "tokio")]
pub struct AsyncJwtApp {
    issuer: JwtIssuer,
    signer: std::sync::Arc<dyn Awaited>,
}

#[cfg(feature = "tokio")]
mod awaited {
    use std::pin::Pin;
    use std::sync::Arc;

    use super::*;
    use crate::keys::JwtKeys;

    type Signed = (UnsignedAssertion, Result<Vec<u8>, SigningError>);

    /// [`AsyncSigner`], whichever it is.
    pub(crate) trait Awaited: Send + Sync {
        fn sign(
            self: Arc<Self>,
            unsigned: UnsignedAssertion,
            limit: Duration,
        ) -> Pin<Box<dyn Future<Output = Signed> + Send>>;
    }

    impl<S: AsyncSigner + 'static> Awaited for S {
        fn sign(
            self: Arc<Self>,
            unsigned: UnsignedAssertion,
            limit: Duration,
        ) -> Pin<Box<dyn Future<Output = Signed> + Send>> {
            Box::pin(async move {
                // Here, too: what hangs is dropped, and not left behind.
                let sign = ::tokio::time::timeout(limit, self.sign_rs256(unsigned.signing_input()));
                let signature = sign.await.unwrap_or_else(|_| Err(too_late(limit)));
                (unsigned, signature)
            })
        }
    }

    impl AsyncJwtApp {
        /// An app as Coze's console shows it, and what has its key.
        pub fn new(issuer: JwtIssuer, signer: impl AsyncSigner + 'static) -> Self {
            Self {
                issuer,
                signer: Arc::new(signer),
            }
        }
    }

    impl From<AsyncJwtApp> for JwtKey {
        fn from(app: AsyncJwtApp) -> Self {
            Self::new(app.issuer, Signs::Awaited(app.signer))
        }
    }

    impl From<AsyncJwtApp> for JwtKeys<AsyncJwtApp> {
        fn from(app: AsyncJwtApp) -> Self {
            Self::new(app)
        }
    }

    impl fmt::Debug for AsyncJwtApp {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("AsyncJwtApp")
                .field("issuer", &self.issuer)
                .finish_non_exhaustive()
        }
    }
}

#[cfg(feature = "tokio")]
pub(crate) use awaited::Awaited;
