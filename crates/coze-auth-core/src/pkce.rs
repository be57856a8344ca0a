//! PKCE apps: no server, no secret; a code verifier proves that the exchange is the login's own (RFC 7636).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::authorize::{
    self, AuthorizeUrl, Callback, CallbackRejected, ChallengeMethod, PendingAuthorization,
    RedirectUri,
};
use crate::endpoint::{Endpoints, WorkspaceId, copied};
use crate::entropy::Entropy;
use crate::error::ConfigError;
use crate::flow::Call;
use crate::refresh::refresh;
use crate::secret::{CodeVerifier, RefreshToken};
use crate::token::TokenGrant;

/// A PKCE app (PKCE 授权). The code verifier is made here, 256 bits of it, and the challenge is S256;
/// Coze's documents default to `plain` and its SDKs to verifiers that RFC 7636 forbids (protocol §11).
///
/// ```
/// # use coze_auth_core::authorize::{Callback, RedirectUri};
/// # use coze_auth_core::{Endpoints, Entropy, Error, pkce::PkceApp};
/// # fn main() -> Result<(), Error> {
/// let app = PkceApp::new(Endpoints::cn(), "1234.app.coze")?;
/// let redirect = RedirectUri::new("http://127.0.0.1:8414/callback")?; // registered with the app, to the letter
/// let (url, pending) = app.authorize(&redirect, Entropy::from_bytes([7; 32]))?; // fresh random bytes
/// assert!(url.as_str().contains("&code_challenge_method=S256"));
/// # let request = format!("/callback?code=c&state={}", pending.state().expose());
/// let call = app.exchange(pending, &Callback::parse(&request)?); // drive it: it gives a `TokenGrant`
/// # drop(call?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PkceApp {
    endpoints: Endpoints,
    client_id: String,
    method: ChallengeMethod,
}

impl PkceApp {
    /// An app as Coze's console shows it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the client id is empty or has control characters.
    pub fn new(endpoints: Endpoints, client_id: impl Into<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            endpoints,
            client_id: copied("client id", client_id)?,
            method: ChallengeMethod::S256,
        })
    }

    /// The `plain` challenge, which shows the verifier to anyone who sees the authorize URL (RFC 7636 §7.2).
    #[must_use]
    pub fn with_plain_challenge(mut self) -> Self {
        self.method = ChallengeMethod::Plain;
        self
    }

    /// Starts a login: the page to open, and the attempt to keep until its callback comes.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the www base is not known: see [`Endpoints::custom`].
    pub fn authorize(
        &self,
        redirect: &RedirectUri,
        entropy: Entropy,
    ) -> Result<(AuthorizeUrl, PendingAuthorization), ConfigError> {
        authorize::start(
            &self.endpoints,
            &self.client_id,
            None,
            redirect,
            Some(self.method),
            &entropy,
        )
    }

    /// Like [`authorize`](Self::authorize), for a token that sees one workspace only (enterprise plans).
    ///
    /// # Errors
    ///
    /// As for [`authorize`](Self::authorize).
    pub fn authorize_in(
        &self,
        workspace: &WorkspaceId,
        redirect: &RedirectUri,
        entropy: Entropy,
    ) -> Result<(AuthorizeUrl, PendingAuthorization), ConfigError> {
        authorize::start(
            &self.endpoints,
            &self.client_id,
            Some(workspace),
            redirect,
            Some(self.method),
            &entropy,
        )
    }

    /// Trades the callback's code for a grant. The callback's state is checked first.
    ///
    /// # Errors
    ///
    /// [`CallbackRejected`]; with the attempt given back if the callback was another's.
    pub fn exchange(
        &self,
        pending: PendingAuthorization,
        callback: &Callback,
    ) -> Result<Call<TokenGrant>, CallbackRejected> {
        authorize::exchange(&self.endpoints, &self.client_id, None, pending, callback)
    }

    /// Where the app's requests go.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Which app it is.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Trades a refresh token for a new grant, and spends it: store the new one before anything else.
    pub fn refresh(&self, token: &RefreshToken) -> Call<TokenGrant> {
        refresh(&self.endpoints, &self.client_id, None, token)
    }
}

impl CodeVerifier {
    /// The S256 challenge: base64url of the SHA-256 of the verifier (RFC 7636 §4.2).
    pub fn s256_challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    #[test]
    fn challenge_of_the_rfc() {
        let verifier = CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
            .expect("43 characters");
        assert_eq!(
            verifier.s256_challenge(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
