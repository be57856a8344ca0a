//! What web and PKCE logins share: the page that a person opens, the attempt, and its callback.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use crate::endpoint::{Endpoints, WorkspaceId, absolute, identifier};
use crate::entropy::Entropy;
use crate::error::{CallbackError, ConfigError, Error, ErrorCode, Problem, ServerText};
use crate::flow::Call;
use crate::secret::{AuthorizationCode, ClientSecret, CodeVerifier, SecretJson, State};
use crate::token::TokenGrant;
use crate::wire::Outgoing;

/// Where Coze sends the person back: one of the URLs registered with the app, to the letter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Takes an absolute http or https URL. It is kept as given: Coze compares the text (protocol §2.2).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is no such URL.
    pub fn new(uri: impl Into<String>) -> Result<Self, ConfigError> {
        const WHAT: &str = "redirect URI";
        let uri = identifier(WHAT, uri)?;
        match absolute(&uri) {
            Some(_) => Ok(Self(uri)),
            None => Err(ConfigError::new(WHAT, Problem::NotAUrl)),
        }
    }

    /// The URL as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The page where a person approves, for their browser. It holds the `state`, so it is for that
/// person only; `Debug` leaves the query out.
#[derive(Clone, Eq, PartialEq)]
pub struct AuthorizeUrl(Url);

impl AuthorizeUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for AuthorizeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AuthorizeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AuthorizeUrl({}?…)",
            self.0.as_str().split('?').next().unwrap_or_default()
        )
    }
}

/// How the code challenge is made from the code verifier (RFC 7636 §4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ChallengeMethod {
    S256,
    Plain,
}

/// One login on its way: its `state`, its code verifier and its redirect URI.
///
/// Keep it where the callback can find it, bound to that person's session. It belongs to the app and the
/// base that started it. A stray callback does not use it up: [`CallbackRejected`] gives it back.
#[derive(Clone, Debug)]
pub struct PendingAuthorization {
    state: State,
    verifier: Option<CodeVerifier>,
    redirect: RedirectUri,
    client_id: String,
    api_base: String,
}

impl PendingAuthorization {
    /// The attempt's state, to find the attempt by when a callback comes. Whether it is the callback's is
    /// checked by the exchange.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The attempt as JSON, secrets included, for a session store that you trust with a password.
    pub fn to_secret_json(&self) -> SecretJson {
        SecretJson::of(&Saved {
            state: self.state.expose().into(),
            code_verifier: self
                .verifier
                .as_ref()
                .map(|verifier| verifier.expose().into()),
            redirect_uri: self.redirect.as_str().into(),
            client_id: self.client_id.as_str().into(),
            api_base: self.api_base.as_str().into(),
        })
    }

    /// An attempt from the JSON that [`to_secret_json`](Self::to_secret_json) made.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is not such JSON.
    pub fn from_secret_json(json: &str) -> Result<Self, ConfigError> {
        let saved: Saved<'_> = serde_json::from_str(json)
            .map_err(|_| ConfigError::new("saved authorization", Problem::NotJson))?;
        Ok(Self {
            state: State::new(saved.state)?,
            verifier: saved.code_verifier.map(CodeVerifier::new).transpose()?,
            redirect: RedirectUri::new(saved.redirect_uri)?,
            client_id: saved.client_id.into_owned(),
            api_base: saved.api_base.into_owned(),
        })
    }

    /// Checks that a callback is this attempt's and the attempt this app's, and takes the code.
    fn accept(
        self,
        endpoints: &Endpoints,
        client_id: &str,
        callback: &Callback,
    ) -> Result<(Self, AuthorizationCode), CallbackRejected> {
        // The state comes first, whatever else the callback says: until it matches, the callback is anybody's.
        if !callback
            .state
            .as_ref()
            .is_some_and(|state| self.state.matches(state.expose()))
        {
            return Err(self.kept(CallbackError::StateMismatch));
        }
        if self.client_id != client_id || self.api_base != endpoints.api_base() {
            return Err(self.kept(CallbackError::OtherApp));
        }
        match &callback.outcome {
            Ok(code) => Ok((self, code.clone())),
            Err(error) => Err(CallbackRejected {
                error: error.clone(),
                pending: None,
            }),
        }
    }

    /// The error, with the attempt given back.
    fn kept(self, error: CallbackError) -> CallbackRejected {
        CallbackRejected {
            error,
            pending: Some(Box::new(self)),
        }
    }
}

#[derive(Deserialize, Serialize)]
struct Saved<'a> {
    state: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_verifier: Option<Cow<'a, str>>,
    redirect_uri: Cow<'a, str>,
    client_id: Cow<'a, str>,
    api_base: Cow<'a, str>,
}

/// A callback that does not complete a login.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallbackRejected {
    /// Why.
    pub error: CallbackError,
    /// The attempt, if it is still good: the callback was another's. Keep waiting with it.
    pub pending: Option<Box<PendingAuthorization>>,
}

impl fmt::Display for CallbackRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for CallbackRejected {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<CallbackRejected> for Error {
    fn from(rejected: CallbackRejected) -> Self {
        Self::Callback(rejected.error)
    }
}

/// What came to the redirect URI.
#[derive(Clone, Debug)]
pub struct Callback {
    state: Option<State>,
    outcome: Result<AuthorizationCode, CallbackError>,
}

impl Callback {
    /// The state that came back, to find the attempt by. Anybody may have sent it.
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// Reads the request that came to the redirect URI: its whole URL, its path and query, or its query.
    ///
    /// # Errors
    ///
    /// [`CallbackError::Repeated`] and [`CallbackError::BadCode`]. Nothing is lost by it: answer the
    /// request with an error page and keep the pending authorization.
    pub fn parse(request: &str) -> Result<Self, CallbackError> {
        let request = request.split('#').next().unwrap_or_default();
        // A `?` behind the first parameter belongs to a value.
        let query = match request.split_once('?') {
            Some((before, query)) if !before.contains(['=', '&']) => query,
            _ => request,
        };
        let (mut code, mut state, mut error, mut description) = (None, None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let (name, place) = match &*name {
                "code" => ("code", &mut code),
                "state" => ("state", &mut state),
                "error" => ("error", &mut error),
                "error_description" => ("error_description", &mut description),
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(CallbackError::Repeated(name));
            }
        }
        let outcome = match (error, code) {
            // Someone else's words: the state is not checked yet, and it may be in the text.
            (Some(error), _) => {
                let text = ServerText::knowing(Vec::new());
                Err(CallbackError::Refused {
                    code: ErrorCode::of_server(&error, &text),
                    description: text.clean(&description.unwrap_or_default()),
                })
            }
            (None, Some(code)) => {
                Ok(AuthorizationCode::new(code).map_err(|_| CallbackError::BadCode)?)
            }
            (None, None) => Err(CallbackError::NoCode),
        };
        // A state that none of ours can be is no state.
        Ok(Self {
            state: state.and_then(|state| State::new(state).ok()),
            outcome,
        })
    }
}

/// Starts a login: the page to open and the attempt to keep (protocol §2.2).
pub(crate) fn start(
    endpoints: &Endpoints,
    client_id: &str,
    workspace: Option<&WorkspaceId>,
    redirect: &RedirectUri,
    challenge: Option<ChallengeMethod>,
    entropy: &Entropy,
) -> Result<(AuthorizeUrl, PendingAuthorization), ConfigError> {
    let mut url = endpoints.authorize(workspace)?;
    let state = State::from_entropy(entropy);
    let verifier = challenge.map(|_| CodeVerifier::from_entropy(entropy));
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect.as_str())
            .append_pair("state", state.expose());
        if let (Some(method), Some(verifier)) = (challenge, &verifier) {
            let (challenge, name) = match method {
                ChallengeMethod::S256 => (verifier.s256_challenge(), "S256"),
                ChallengeMethod::Plain => (verifier.expose().to_owned(), "plain"),
            };
            query
                .append_pair("code_challenge", &challenge)
                .append_pair("code_challenge_method", name);
        }
    }
    Ok((
        AuthorizeUrl(url),
        PendingAuthorization {
            state,
            verifier,
            redirect: redirect.clone(),
            client_id: client_id.to_owned(),
            api_base: endpoints.api_base().to_owned(),
        },
    ))
}

#[derive(Serialize)]
struct ExchangeRequest<'a> {
    grant_type: &'static str,
    client_id: &'a str,
    redirect_uri: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_verifier: Option<&'a str>,
}

/// Trades the code of a callback for a grant (protocol §2.4).
pub(crate) fn exchange(
    endpoints: &Endpoints,
    client_id: &str,
    secret: Option<&ClientSecret>,
    pending: PendingAuthorization,
    callback: &Callback,
) -> Result<Call<TokenGrant>, CallbackRejected> {
    let (pending, code) = pending.accept(endpoints, client_id, callback)?;
    let body = ExchangeRequest {
        grant_type: "authorization_code",
        client_id,
        redirect_uri: pending.redirect.as_str(),
        code: code.expose(),
        code_verifier: pending.verifier.as_ref().map(CodeVerifier::expose),
    };
    let request = Outgoing::post(endpoints.token(), secret.map(ClientSecret::bearer), &body);
    Ok(Call::single_use(request, |answer, now| {
        TokenGrant::read(&answer, now)
    }))
}
