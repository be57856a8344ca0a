//! What web and PKCE logins share: the page that a person opens, the attempt, and its callback.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use percent_encoding::percent_decode;
use serde::{Deserialize, Serialize};
use url::{Host, Url, form_urlencoded};
use zeroize::Zeroizing;

use crate::endpoint::{
    Endpoints, WorkspaceId, absolute, another_site, identifier, is_loopback, not_a_url,
};
use crate::entropy::Entropy;
use crate::error::{
    CallbackError, ConfigError, Error, ErrorCode, GrantType, Problem, ServerText, report,
};
use crate::flow::Call;
use crate::pasted::{self, Setting};
use crate::secret::{AuthorizationCode, ClientSecret, CodeVerifier, SecretJson, State};
use crate::token::TokenGrant;
use crate::wire::{Outgoing, form_room};

/// Where Coze sends the person back: one of the URLs registered with the app, to the letter.
///
/// ```
/// use coze_auth_core::authorize::RedirectUri;
///
/// let redirect = RedirectUri::new("https://app.example/callback?tenant=5")?;
/// assert_eq!(redirect.as_str(), "https://app.example/callback?tenant=5");
/// assert!(RedirectUri::new("https://app.example/callback?state=mine").is_err());
/// # Ok::<(), coze_auth_core::error::ConfigError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Takes an absolute http or https URL. It is kept as given: Coze compares the text (protocol §2.2).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is not such a URL, is written in a way that is read as another one, or has a `code`, `state`, `error` or `error_description` of
    /// its own: its callback would have it twice.
    pub fn new(uri: impl Into<String>) -> Result<Self, ConfigError> {
        const WHAT: &str = "redirect URI";
        let uri = uri.into();
        pasted::refuse(WHAT, &uri, Setting::Url)?;
        let uri = Self(identifier(WHAT, uri)?);
        let bad = |problem| Err(ConfigError::new(WHAT, problem));
        if uri.0.contains('\\') {
            return bad(Problem::Looks(
                "has a backslash, which a browser reads as / and others do not; write / or %5C",
            ));
        }
        let Some(url) = absolute(&uri.0) else {
            return bad(not_a_url(&uri.0));
        };
        if let Some(problem) = another_site(&uri.0, &url) {
            return bad(problem);
        }
        match uri
            .callbacks(&url)
            .iter()
            .all(|callback| comes_back(callback))
        {
            true => Ok(uri),
            false => bad(Problem::UrlPart(
                "parameter of a callback (code, state, error or error_description)",
            )),
        }
    }

    /// A callback of this URL in all the forms in which [`Callback::parse`] may be handed it.
    fn callbacks(&self, url: &Url) -> [String; 4] {
        const ADDED: &str = "code=c&state=s";
        let appended = |text: &str| match text.contains('?') {
            true => format!("{text}&{ADDED}"),
            false => format!("{text}?{ADDED}"),
        };
        let (base, fragment) = self.0.split_once('#').unwrap_or((&self.0, ""));
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let query = match url.query() {
            Some(query) => format!("{query}&{ADDED}"),
            None => ADDED.to_owned(),
        };
        [
            format!("{}#{fragment}", appended(base)),
            // What a server does that takes the text for one without a fragment (protocol §2.2).
            appended(&self.0),
            appended(&path),
            query,
        ]
    }

    /// The URL as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where a program on this machine listens for the callback itself (RFC 8252 §7.3).
    ///
    /// ```
    /// # use coze_auth_core::authorize::RedirectUri;
    /// # fn main() -> Result<(), coze_auth_core::error::ConfigError> {
    /// let redirect = RedirectUri::new("http://127.0.0.1:8414/callback")?;
    /// let place = redirect.loopback()?;
    /// assert_eq!((place.port, place.path.as_str()), (8414, "/callback"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is not http to `127.0.0.1`, `[::1]` or `localhost`, or has a fragment, which no browser sends.
    pub fn loopback(&self) -> Result<LoopbackPlace, ConfigError> {
        let bad = |problem| Err(ConfigError::new("redirect URI", problem));
        let Some(url) = absolute(&self.0) else {
            return bad(not_a_url(&self.0));
        };
        if !is_loopback(url.host()) {
            return bad(Problem::Host(
                "is not 127.0.0.1, [::1] or localhost, so a program on this machine cannot take its callback; register \
                 http://127.0.0.1:8414/callback, say, with the app, or take the callback in your server",
            ));
        }
        if url.scheme() != "http" {
            return bad(Problem::Looks(
                "is https, for which a program on this machine has no certificate; register it with http:// (RFC 8252 §7.3)",
            ));
        }
        if url.fragment().is_some() {
            return bad(Problem::Looks(
                "has a #, and a browser sends nothing of what stands behind one; register it without",
            ));
        }
        Ok(LoopbackPlace {
            hosts: match url.host() {
                Some(Host::Ipv4(address)) => vec![address.into()],
                Some(Host::Ipv6(address)) => vec![address.into()],
                // Which of both a browser takes is up to the machine.
                _ => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            },
            port: url.port().unwrap_or(80),
            path: url.path().to_owned(),
        })
    }

    /// The same with another port, where a server takes any for loopback (RFC 8252 §7.3). Coze compares the text (protocol §2.2).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] as for [`new`](Self::new).
    pub fn with_port(&self, port: u16) -> Result<Self, ConfigError> {
        let Some(mut url) = absolute(&self.0) else {
            return Err(ConfigError::new("redirect URI", not_a_url(&self.0)));
        };
        // It fails for a URL without a host alone.
        let _ = url.set_port(Some(port));
        Self::new(url)
    }
}

/// Where a program on this machine listens for a callback.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoopbackPlace {
    /// The addresses, of which a browser may ask any: both families for `localhost`.
    pub hosts: Vec<IpAddr>,
    /// The port; 80 if the URI has none.
    pub port: u16,
    /// The path, as a browser sends it.
    pub path: String,
}

/// The page where a person approves, for their browser. It holds the `state`, so it is for that
/// person only; `Debug` leaves the query out. It is wiped when it is dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct AuthorizeUrl(Zeroizing<String>);

impl AuthorizeUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
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
            self.as_str().split('?').next().unwrap_or_default()
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
/// Keep it where the callback can find it, bound to that person's session: anyone who can bring a callback to another
/// person's attempt logs that person in as themselves (RFC 6749 §10.12). It belongs to the app and the base that started
/// it. A stray callback does not use it up: [`CallbackRejected`] gives it back. In a session store, from which another
/// process may read it after a restart:
///
/// ```
/// # use std::collections::HashMap;
/// # use coze_auth_core::authorize::{Callback, PendingAuthorization, RedirectUri};
/// # use coze_auth_core::{Endpoints, Entropy, Error, pkce::PkceApp};
/// # fn main() -> Result<(), Error> {
/// # let app = PkceApp::new(Endpoints::cn(), "1234.app.coze")?;
/// # let redirect = RedirectUri::new("https://app.example/callback")?;
/// # let mut session = HashMap::new(); // of this person, on the server
/// # let entropy = Entropy::from_bytes([7; 32]);
/// // The login begins: the person is sent to `url`, and the attempt waits on the server, in the session.
/// let (url, pending) = app.authorize(&redirect, entropy)?;
/// session.insert("coze login", pending.to_secret_json().expose().to_owned());
///
/// # let state = url.as_str().split("&state=").nth(1).unwrap().split('&').next().unwrap();
/// # let request = format!("/callback?code=c&state={state}");
/// // The callback comes, with the same session.
/// let Some(saved) = session.remove("coze login") else {
///     panic!("nobody has begun a login in this session: show an error page");
/// };
/// let pending = PendingAuthorization::from_secret_json(&saved)?;
/// match app.exchange(pending, &Callback::parse(&request)?) {
///     Ok(call) => drop(call), // drive it: it gives a `TokenGrant`
///     Err(rejected) => {
///         if let Some(pending) = rejected.pending {
///             session.insert("coze login", pending.to_secret_json().expose().to_owned()); // it goes on
///         }
///         return Err(rejected.error.into());
///     }
/// }
/// # Ok(()) }
/// ```
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
#[derive(Clone)]
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

impl fmt::Debug for CallbackRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

// Its error has spoken in `Display`.
impl std::error::Error for CallbackRejected {}

impl From<CallbackRejected> for Error {
    fn from(rejected: CallbackRejected) -> Self {
        Self::Callback(rejected.error)
    }
}

/// The parameters that the redirect URI received.
///
/// ```
/// use coze_auth_core::authorize::Callback;
///
/// let callback = Callback::parse("GET /callback?code=a-code&state=a-state HTTP/1.1")?;
/// assert_eq!(callback.state().map(|state| state.expose()), Some("a-state")); // finds the attempt
/// assert!(Callback::parse("/callback?code=one&code=two&state=a-state").is_err());
/// # Ok::<(), coze_auth_core::error::CallbackError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Callback {
    state: Option<State>,
    outcome: Result<AuthorizationCode, CallbackError>,
}

impl Callback {
    /// The returned state, by which the attempt is found. Anybody may have sent it.
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// Reads a request to a [`RedirectUri`]: the whole URL, its path and query, its query alone, or the
    /// request line. Parameters that are empty, or white space alone, count as absent (RFC 6749 §3.1).
    ///
    /// # Errors
    ///
    /// [`CallbackError::Repeated`] and [`CallbackError::BadCode`]. Nothing is lost by it: answer the
    /// request with an error page and keep the pending authorization.
    pub fn parse(request: &str) -> Result<Self, CallbackError> {
        let (mut code, mut state, mut error, mut description) = (None, None, None, None);
        for (name, value) in parameters(callback_query(request)) {
            let place = match name {
                "code" => &mut code,
                "state" => &mut state,
                "error" => &mut error,
                _ => &mut description,
            };
            if place.replace(value).is_some() {
                return Err(CallbackError::Repeated(name));
            }
        }
        let outcome = match (error, code) {
            // Someone else's words, which may quote what stands beside them.
            (Some(error), code) => {
                let beside = [code, state.clone()].into_iter().flatten();
                // Ours are longer, and a short word may be anything.
                let secrets = beside.filter(|secret| secret.len() > 16);
                let text = ServerText::knowing(secrets.collect());
                Err(CallbackError::Refused {
                    code: ErrorCode::of_server(&error, &text),
                    description: text.clean(&description.unwrap_or_default()),
                })
            }
            (None, Some(mut code)) => {
                let code = AuthorizationCode::new(std::mem::take(&mut *code));
                Ok(code.map_err(|_| CallbackError::BadCode)?)
            }
            (None, None) => Err(CallbackError::NoCode),
        };
        // A state that none of ours can be is no state.
        Ok(Self {
            state: state.and_then(|mut state| State::new(std::mem::take(&mut *state)).ok()),
            outcome,
        })
    }
}

/// The part of a request to the redirect URI that has the parameters.
fn callback_query(request: &str) -> &str {
    let target = request_target(request);
    let (before, fragment) = target.split_once('#').unwrap_or((target, ""));
    let (query, behind) = (query(before), query(fragment));
    // A page that routes by its fragment has the parameters there (`/#/cb?code=…`).
    match parameters(query).next().is_none() && parameters(behind).next().is_some() {
        true => behind,
        false => query,
    }
}

/// `/cb?…` of `GET /cb?… HTTP/1.1` (RFC 9112 §3); anything else as it is.
fn request_target(request: &str) -> &str {
    let request = request.trim();
    let line: Vec<&str> = request
        .lines()
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    match line[..] {
        [_, target, version] if version.starts_with("HTTP/") => target,
        _ => request,
    }
}

/// The query of a URL or path; a query as it is. A `/` or `?` in front tells: behind the first `=` or `&`, they
/// belong to a path or a value.
fn query(text: &str) -> &str {
    match text
        .find(['/', '?', '=', '&'])
        .map(|at| text.as_bytes()[at])
    {
        Some(b'/' | b'?') => text.split_once('?').map_or(text, |(_, query)| query),
        _ => text,
    }
}

/// The parameters of a callback that mean something and are not empty, in their order.
fn parameters(query: &str) -> impl Iterator<Item = (&'static str, Zeroizing<String>)> {
    query.split('&').filter_map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (name, value) = (decoded(name), decoded(value));
        let name = ["code", "state", "error", "error_description"]
            .into_iter()
            .find(|known| *known == *name)?;
        (!value.trim().is_empty()).then_some((name, value))
    })
}

/// What a name or a value of a form says (`application/x-www-form-urlencoded`, as the URL Standard §5.1 reads it), in one copy, which is wiped.
fn decoded(text: &str) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    for (n, word) in text.split('+').enumerate() {
        bytes.extend((n > 0).then_some(b' '));
        bytes.extend(percent_decode(word.as_bytes()));
    }
    Zeroizing::new(match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => text,
        // It is none of ours then.
        Err(odd) => String::from_utf8_lossy(odd.as_bytes()).into_owned(),
    })
}

/// Whether a callback is read as the code and state that [`RedirectUri::callbacks`] gave it, and nothing else.
fn comes_back(callback: &str) -> bool {
    let read: Vec<_> = parameters(callback_query(callback)).collect();
    let read: Vec<_> = read
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    read == [("code", "c"), ("state", "s")]
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
    let page = endpoints.authorize(workspace)?;
    let state = State::from_entropy(entropy);
    let verifier = challenge.map(|_| CodeVerifier::from_entropy(entropy));
    let mut members = vec![
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect.as_str()),
        ("state", state.expose()),
    ];
    let hashed;
    if let (Some(method), Some(verifier)) = (challenge, &verifier) {
        hashed = verifier.s256_challenge();
        members.extend(match method {
            ChallengeMethod::S256 => [
                ("code_challenge", &*hashed),
                ("code_challenge_method", "S256"),
            ],
            ChallengeMethod::Plain => [
                ("code_challenge", verifier.expose()),
                ("code_challenge_method", "plain"),
            ],
        });
    }
    let room = page.as_str().len() + form_room(&members);
    let mut url = Zeroizing::new(String::with_capacity(room));
    url.push_str(page.as_str());
    url.push('?');
    let start = url.len();
    form_urlencoded::Serializer::for_suffix(&mut *url, start).extend_pairs(members);
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
    let request = request.trading(GrantType::AuthorizationCode);
    Ok(Call::new(request, |answer, now| {
        TokenGrant::read(&answer, now)
    }))
}
