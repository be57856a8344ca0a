//! Web apps: a server that keeps a client secret, and a person who approves in their browser.

use crate::authorize::{
    self, AuthorizeUrl, Callback, CallbackRejected, PendingAuthorization, RedirectUri,
};
use crate::endpoint::{Endpoints, WorkspaceId, copied};
use crate::entropy::Entropy;
use crate::error::ConfigError;
use crate::flow::Call;
use crate::refresh::refresh;
use crate::secret::{ClientSecret, RefreshToken};
use crate::token::TokenGrant;

/// A web app (授权码授权, authorization code).
///
/// ```
/// # use coze_auth_core::{*, authorize::*, web::WebApp};
/// # fn put_back(_: PendingAuthorization) -> Result<(), Error> { Ok(()) }
/// # fn main() -> Result<(), Error> {
/// let app = WebApp::new(Endpoints::cn(), "1234.app.coze", ClientSecret::new("secret-of-the-console")?)?;
/// let redirect = RedirectUri::new("https://app.example/callback")?;
/// let (url, pending) = app.authorize(&redirect, Entropy::from_bytes([7; 32]))?; // fresh random bytes, of course
/// // Send the person to `url`, keep `pending` in their session; later, with the request that comes back:
/// # let state = url.as_str().split("state=").nth(1).unwrap();
/// # let request_uri = format!("/callback?code=code_1&state={state}");
/// let callback = Callback::parse(&request_uri)?;
/// let call = match app.exchange(pending, &callback) {
///     Ok(call) => call, // drive it: it gives a `TokenGrant`
///     Err(rejected) => match rejected.pending {
///         Some(pending) => return put_back(*pending), // a stray callback: show an error page, wait on
///         None => return Err(rejected.error.into()),
///     },
/// };
/// # drop(call);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct WebApp {
    endpoints: Endpoints,
    client_id: String,
    secret: ClientSecret,
}

impl WebApp {
    /// An app as Coze's console shows it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the client id is empty or has control characters.
    pub fn new(
        endpoints: Endpoints,
        client_id: impl Into<String>,
        secret: ClientSecret,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            endpoints,
            client_id: copied("client id", client_id)?,
            secret,
        })
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
            None,
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
            None,
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
        authorize::exchange(
            &self.endpoints,
            &self.client_id,
            Some(&self.secret),
            pending,
            callback,
        )
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
        refresh(&self.endpoints, &self.client_id, Some(&self.secret), token)
    }
}
