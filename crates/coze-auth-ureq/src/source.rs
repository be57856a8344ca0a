//! A valid token at any moment.

use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::RefreshApp;
use coze_auth_core::jwt::{JwtApp, JwtGrant};
use coze_auth_core::rejection::is_idempotent;
use coze_auth_core::{AccessToken, Endpoints, IssuedToken, TokenGrant, http};
use coze_auth_store::GrantStore;
use coze_auth_tokens::{Ask, Delivery, Error, Next, Origins, Refresh, Sessions, Source, Then};
use ureq::{Agent, AsSendBody, Body};

use crate::Client;
use crate::answer::ask;

/// Gives a valid token at any moment, to any number of threads. Clones share everything; keep one in a struct
/// field, whatever its kind.
///
/// A fresh token is there at once and waits for no one. Shortly before it ends (a minute, or a tenth of its
/// life) one renewal runs behind and everyone goes on with the old token. Where there is none, one renewal runs and
/// everyone sleeps until that is done. It runs on a thread of its own, so that a store that hangs holds nobody for
/// ever. Coze rotates refresh tokens, and the new one is stored before its access token is handed out.
///
/// When the last clone of a source of a login is dropped, a renewal that runs is waited for, as
/// [`close`](Self::close) does. What is never dropped (a `static`, a process that exits) is to be closed.
///
/// ```no_run
/// # use coze_auth_ureq::{Client, Error, TokenSource, core, jwt_app_from_env};
/// # fn call() -> Result<(), Error> {
/// let client = Client::new()?;
/// let app = jwt_app_from_env(core::Region::Cn)?;
/// let tokens = TokenSource::jwt(&client, app, core::jwt::JwtGrant::new()); // keep it
///
/// let agent = ureq::Agent::new_with_defaults(); // your own
/// let request = ureq::http::Request::get("https://api.coze.cn/v1/users/me").body(()).unwrap();
/// let answer = tokens.send(&agent, request)?;
/// # drop(answer);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TokenSource {
    handle: Arc<Handle>,
    sessions: Arc<Sessions>,
    origins: Origins,
    wait_when_stale: bool,
    is_session: bool,
}

/// What all clones of a source hold.
#[derive(Debug)]
struct Handle {
    client: Client,
    source: Arc<Source>,
}

impl TokenSource {
    /// A token of the console: personal (PAT) or service (SAT).
    pub fn fixed(client: &Client, endpoints: &Endpoints, token: AccessToken) -> Self {
        let source = Source::fixed(token, client.timeouts.whole, client.clock());
        Self::over(client, endpoints, source)
    }

    /// A JWT app's tokens. For many end users take one such source and [`session`](Self::session).
    pub fn jwt(client: &Client, app: JwtApp, grant: JwtGrant) -> Self {
        let endpoints = app.endpoints().clone();
        let source = Source::jwt(app, grant, client.timeouts.whole, client.clock());
        Self::over(client, &endpoints, source)
    }

    /// The tokens of a login with a web, PKCE or device app. `subject` is your own name for who logged in; the
    /// grant rests in the store under it, and is taken up from there by every process that has the store. After a
    /// login, hand its grant to [`install`](Self::install).
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if the subject is empty, has white space around it or invisible characters.
    pub fn stored(
        client: &Client,
        app: impl Into<RefreshApp>,
        subject: impl Into<String>,
        store: impl GrantStore + 'static,
    ) -> Result<Self, Error> {
        let app = app.into();
        let endpoints = app.endpoints().clone();
        let (store, clock) = (Arc::new(store), client.clock());
        let source = Source::stored(app, subject, store, client.timeouts.whole, clock)?;
        Ok(Self::over(client, &endpoints, source))
    }

    fn over(client: &Client, endpoints: &Endpoints, source: Source) -> Self {
        Self {
            handle: Handle::new(client, Arc::new(source)),
            sessions: Arc::default(),
            origins: Origins::of(endpoints),
            wait_when_stale: false,
            is_session: false,
        }
    }

    /// Waits for the renewal of a token that is stale but valid, instead of letting it run behind: for programs
    /// that end before it would.
    #[must_use]
    pub fn wait_when_stale(mut self) -> Self {
        self.wait_when_stale = true;
        self
    }

    /// Lets tokens go to another origin than the API's, such as `https://gateway.example`.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if it is no `https` or `wss` URL (`http` to this machine is allowed: 127.0.0.0/8, `[::1]`,
    /// `localhost`), or has a path, since tokens go to the whole of an origin, or user info, a query or a fragment.
    pub fn allow_origin(mut self, url: &str) -> Result<Self, Error> {
        self.origins = self.origins.and(url, false)?;
        Ok(self)
    }

    /// Like [`allow_origin`](Self::allow_origin), with `http` allowed to any host: whoever can listen on the way gets
    /// the tokens.
    ///
    /// # Errors
    ///
    /// As for [`allow_origin`](Self::allow_origin), plain `http` aside.
    pub fn allow_origin_insecure(mut self, url: &str) -> Result<Self, Error> {
        self.origins = self.origins.and(url, true)?;
        Ok(self)
    }

    /// The tokens of a session of this JWT app, for one end user. A hundred thousand are kept, so a server asks anew
    /// for each request and still makes one grant a user.
    ///
    /// # Errors
    ///
    /// [`Error::NotAJwtApp`], [`Error::Closed`], and [`Error::Core`] if the name is empty or has invisible characters.
    pub fn session(&self, name: &str) -> Result<Self, Error> {
        let source = self.sessions.session(self.source(), name)?;
        Ok(Self {
            handle: Handle::new(&self.handle.client, source),
            is_session: true,
            ..self.clone()
        })
    }

    /// A valid token.
    ///
    /// # Errors
    ///
    /// Why there is none: [`Error::LoginNeeded`], [`Error::RefreshRefused`], [`Error::Store`],
    /// [`Error::NotStored`], [`Error::Core`], [`Error::Closed`]. A failure is told to everyone who asks within the
    /// next second, or longer while it goes on, without another request.
    pub fn token(&self) -> Result<AccessToken, Error> {
        if let Some(token) = self.source().fresh(self.handle.client.time.unix()) {
            return Ok(token);
        }
        Ok(self.token_valid_for(Duration::ZERO)?.access_token)
    }

    /// A valid token with its end, and without the refresh token: it may be handed to the end user, whose session lasts no
    /// longer ([`IssuedToken::to_secret_json`]). One that is valid for less than `at_least` is renewed first, and
    /// that is waited for. The end of a token of the console is not known, so it counts as long enough.
    ///
    /// More than a new token is fresh for counts as that: a minute less than its life, or nine tenths of a life of less than ten
    /// minutes. So whoever asks for an hour of a token that lives a quarter of one gets one that was renewed a minute ago at the
    /// most, and its end says how long it lasts; a JWT app asks for a longer life with `JwtGrant::ttl`.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token); also if the token has less left and cannot be renewed now: `token` still
    /// gives it while it lasts.
    pub fn token_valid_for(&self, at_least: Duration) -> Result<IssuedToken, Error> {
        let (source, time) = (self.source(), &self.handle.client.time);
        if let Some(token) = source.lasting(at_least, time.unix()) {
            return Ok(token);
        }
        let caller = source.caller().valid_for_at_least(at_least);
        let mut caller = caller.wait_when_stale(self.wait_when_stale);
        loop {
            match caller.ask() {
                Ask::Token(token) => return Ok(token),
                Ask::Failed(error) => return Err(error),
                Ask::First(refresh) => self.start(refresh),
                Ask::Behind(token, refresh) => {
                    self.start(refresh);
                    return Ok(token);
                }
                Ask::Wait(woken, at_most) => time.wait(&woken.signal(), at_most),
            }
        }
    }

    /// Puts a valid token on a request of yours.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token), and [`Error::OtherOrigin`].
    pub fn authorize<B>(&self, request: &mut http::Request<B>) -> Result<(), Error> {
        self.origins.check(&request.uri().to_string())?;
        self.token()?.authorize(request.headers_mut());
        Ok(())
    }

    /// The API refused this token: it is not handed out again. The answer to an older token changes nothing, and for
    /// half a minute neither does one to a token that came in the place of another that was refused: what is
    /// wrong then is not the token. (A test moves the clock in between: `Client::with_time`.)
    pub fn invalidate(&self, rejected: &AccessToken) {
        self.source().invalidate(rejected);
    }

    /// Sends a request of yours with a token, through an agent of yours, and gives the answer as it came,
    /// whatever its status (the agent's `http_status_as_error` is off for it). If the API refuses the token (401,
    /// or the codes 4100 and 700012006), it is renewed; a request that may be repeated (GET, HEAD, OPTIONS,
    /// TRACE, PUT, DELETE, RFC 9110 §9.2.2) is then sent once more. Its body is cloned for that; for one that
    /// cannot be, [`authorize`](Self::authorize) the request and send it yourself.
    ///
    /// Only a JSON answer is looked into, and 64 KiB of it at most; an event stream is judged by its status.
    ///
    /// Redirects are your agent's, and only the answer to a request that carried the token is judged. ureq drops the
    /// token at every redirect, unless the agent's `redirect_auth_headers` is `SameHost` (the agent's, not one of the
    /// request's own). A request that lost it, and was refused at another URL of the API, is sent to that URL directly,
    /// if it is a GET or HEAD; else that is an error. What comes of a redirect and does not refuse the token, such as a
    /// download, is handed on. `SameHost` takes the token to another port of the same host, and from http to https:
    /// an error tells, but the token has gone there then.
    ///
    /// # Errors
    ///
    /// As for [`authorize`](Self::authorize), [`Error::Request`] with your agent's error, and of a redirected request
    /// [`Error::Redirected`], if the token went to an origin where it should not have gone, or
    /// [`Error::RefusedElsewhere`], if what it was redirected to refuses a token.
    pub fn send<B: AsSendBody + Clone>(
        &self,
        agent: &Agent,
        request: http::Request<B>,
    ) -> Result<http::Response<Body>, Error> {
        let repeatable = is_idempotent(request.method());
        self.deliver(agent, request, repeatable)
    }

    /// Like [`send`](Self::send), for a request that you know may be sent twice, whatever its method.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_repeatable<B: AsSendBody + Clone>(
        &self,
        agent: &Agent,
        request: http::Request<B>,
    ) -> Result<http::Response<Body>, Error> {
        self.deliver(agent, request, true)
    }

    fn deliver<B: AsSendBody + Clone>(
        &self,
        agent: &Agent,
        mut request: http::Request<B>,
        repeatable: bool,
    ) -> Result<http::Response<Body>, Error> {
        self.origins.check(&request.uri().to_string())?;
        let mut again = repeatable.then(|| request.clone());
        let mut delivery = Delivery::new(request.method(), request.uri(), repeatable);
        let mut token = self.token()?;
        loop {
            token.authorize(request.headers_mut());
            let (answer, refused) = ask(agent, request, &self.origins)?;
            let then = delivery.answered(self.source(), &token, refused)?;
            let Some(next) = &mut again else {
                return Ok(answer);
            };
            match then {
                Then::HandOn => return Ok(answer),
                Then::Directly(url) => *next.uri_mut() = url,
                Then::Again => match self.token()? {
                    renewed if renewed.matches(&token) => return Ok(answer),
                    renewed => token = renewed,
                },
            }
            request = next.clone();
        }
    }

    /// Takes the grant of a login: stored first, then served, in place of whatever there was.
    ///
    /// # Errors
    ///
    /// [`Error::NotStored`] if it cannot be stored: its code is spent, so it is served from memory all the same, and stored
    /// by one of the next calls for a token, or by [`close`](Self::close). [`Error::NotALogin`] if this is not a source
    /// of a login.
    pub fn install(&self, grant: TokenGrant) -> Result<(), Error> {
        self.source().install(grant)
    }

    /// Removes the grant from the store and from here. The tokens live on at Coze, which has no call to revoke
    /// them; other processes go on with the access token that they have, until it ends.
    ///
    /// # Errors
    ///
    /// As for [`install`](Self::install).
    pub fn forget(&self) -> Result<(), Error> {
        self.source().forget()
    }

    /// Ends it for all clones, and for its sessions: nobody gets a token any more, and a renewal that runs is waited
    /// for until it is stored, for as long as one request may take.
    ///
    /// # Errors
    ///
    /// [`Error::Unfinished`] if that was not long enough; [`Error::NotStored`] if a renewed grant could not be stored.
    pub fn close(&self) -> Result<(), Error> {
        self.source().close();
        if !self.is_session {
            self.sessions.close();
        }
        self.source().settle()
    }

    fn start(&self, refresh: Refresh) {
        let client = self.handle.client.clone();
        refresh.on_thread(move |refresh| renew(&client, refresh));
    }

    fn source(&self) -> &Arc<Source> {
        &self.handle.source
    }
}

impl Handle {
    fn new(client: &Client, source: Arc<Source>) -> Arc<Self> {
        Arc::new(Self {
            client: client.clone(),
            source,
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.source.is_stored() {
            // Nobody is left to be told.
            let _ = self.source.settle();
        }
    }
}

/// Carries a renewal out.
fn renew(client: &Client, refresh: Refresh) {
    let mut next = refresh.begin();
    loop {
        next = match next {
            Next::Send(refresh, renewal) => refresh.received(client.run(renewal)),
            Next::Wait(refresh, pause) => {
                client.time.sleep(pause);
                refresh.again()
            }
            Next::Done => return,
        };
    }
}
