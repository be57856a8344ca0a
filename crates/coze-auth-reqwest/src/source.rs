//! A valid token at any moment.

use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::RefreshApp;
use coze_auth_core::jwt::{JwtApp, JwtGrant};
use coze_auth_core::rejection::is_idempotent;
use coze_auth_core::{AccessToken, Endpoints, IssuedToken, TokenGrant};
use coze_auth_store::GrantStore;
use coze_auth_tokens::{Ask, Delivery, Error, Next, Origins, Refresh, Sessions, Source, Then};
use tokio::runtime::Handle;

use crate::Client;
use crate::answer::ask;

/// Gives a valid token at any moment, to any number of tasks. Clones share everything; keep one in a struct
/// field, whatever its kind.
///
/// A fresh token is there at once and waits for no one. Shortly before it ends (a minute, or a tenth of its
/// life) one renewal runs behind, and everyone goes on with the old token. Where there is none, one renewal runs
/// and everyone waits for it. It runs on a task of its own, so that a caller who goes away loses nothing: Coze
/// rotates refresh tokens, and the new one is stored before its access token is handed out.
///
/// **Keep the runtime alive until [`close`](Self::close) has ended.** A renewal that is dropped with its runtime
/// may take a rotated refresh token with it. No task is started before one is needed.
///
/// ```no_run
/// # use coze_auth_reqwest::{Client, Error, TokenSource, core, jwt_app_from_env};
/// # async fn call() -> Result<(), Error> {
/// let client = Client::new()?;
/// let app = jwt_app_from_env(core::Region::Cn)?;
/// let tokens = TokenSource::jwt(&client, app, core::jwt::JwtGrant::new()); // keep it
///
/// let http = reqwest::Client::new(); // your own
/// let url = "https://api.coze.cn/v1/users/me".parse().unwrap();
/// let answer = tokens.send(&http, reqwest::Request::new(reqwest::Method::GET, url)).await?;
/// # drop(answer);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TokenSource {
    client: Client,
    source: Arc<Source>,
    sessions: Arc<Sessions>,
    origins: Origins,
    wait_when_stale: bool,
    is_session: bool,
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
            client: client.clone(),
            source: Arc::new(source),
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
        Ok(Self {
            source: self.sessions.session(&self.source, name)?,
            is_session: true,
            ..self.clone()
        })
    }

    /// A valid token.
    ///
    /// # Errors
    ///
    /// Why there is none: [`Error::LoginNeeded`], [`Error::RefreshRefused`], [`Error::Store`],
    /// [`Error::NotStored`], [`Error::Core`], [`Error::Closed`], [`Error::NoRuntime`]. A failure is told to everyone
    /// who asks within the next second, or longer while it goes on, without another request.
    pub async fn token(&self) -> Result<AccessToken, Error> {
        if let Some(token) = self.source.fresh(self.client.time.unix()) {
            return Ok(token);
        }
        Ok(self.token_valid_for(Duration::ZERO).await?.access_token)
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
    pub async fn token_valid_for(&self, at_least: Duration) -> Result<IssuedToken, Error> {
        if let Some(token) = self.source.lasting(at_least, self.client.time.unix()) {
            return Ok(token);
        }
        // Before a renewal is taken on, which would be lost.
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let caller = self.source.caller().valid_for_at_least(at_least);
        let mut caller = caller.wait_when_stale(self.wait_when_stale);
        loop {
            match caller.ask() {
                Ask::Token(token) => return Ok(token),
                Ask::Failed(error) => return Err(error),
                Ask::First(refresh) => self.start(&runtime, refresh),
                Ask::Behind(token, refresh) => {
                    self.start(&runtime, refresh);
                    return Ok(token);
                }
                Ask::Wait(woken, at_most) => self.client.time.wait(woken, at_most).await,
            }
        }
    }

    /// Puts a valid token on a request of yours.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token), and [`Error::OtherOrigin`].
    pub async fn authorize(&self, request: &mut reqwest::Request) -> Result<(), Error> {
        self.origins.check(request.url().as_str())?;
        self.token().await?.authorize(request.headers_mut());
        Ok(())
    }

    /// The API refused this token: it is not handed out again. The answer to an older token changes nothing, and for
    /// half a minute neither does one to a token that came in the place of another that was refused: what is
    /// wrong then is not the token. (A test moves the clock in between: `Client::with_time`.)
    pub fn invalidate(&self, rejected: &AccessToken) {
        self.source.invalidate(rejected);
    }

    /// Sends a request of yours with a token, through a client of yours, and gives the answer as it came,
    /// whatever its status. If the API refuses the token (401, or the codes 4100 and 700012006), it is renewed;
    /// a request that may be repeated (GET, HEAD, OPTIONS, TRACE, PUT, DELETE, RFC 9110 §9.2.2; and its body is
    /// no stream) is then sent once more.
    ///
    /// Only a JSON answer is looked into, and 64 KiB of it at most; an event stream is judged by its status.
    ///
    /// Redirects are your client's, and only the answer to a request that carried the token is judged. reqwest 0.13
    /// means to drop the token on the way to another origin, and tells where a request ended, not by which way. So one that ended at another URL of the API and was refused there
    /// is sent to that URL directly, if it is a GET or HEAD; else that is an error. What comes of a redirect and does
    /// not refuse the token, such as a download, is handed on. A client that sends no token astray follows no
    /// redirect to another origin:
    ///
    /// ```
    /// # use reqwest::redirect::Policy;
    /// # fn client() -> reqwest::Result<reqwest::Client> {
    /// let policy = Policy::custom(|attempt| match attempt.previous().first() {
    ///     Some(first) if first.origin() != attempt.url().origin() => attempt.stop(), // the 302 is the answer
    ///     _ => Policy::default().redirect(attempt),
    /// });
    /// reqwest::Client::builder().redirect(policy).build()
    /// # }
    /// # client().unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`authorize`](Self::authorize), [`Error::Request`] with your client's error, and of a redirected request
    /// whose answer refuses the token [`Error::Redirected`], where it ended at an origin that the token may have gone to
    /// and should not have, or [`Error::RefusedElsewhere`].
    pub async fn send(
        &self,
        http: &reqwest::Client,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, Error> {
        let repeatable = is_idempotent(request.method());
        self.deliver(http, request, repeatable).await
    }

    /// Like [`send`](Self::send), for a request that you know may be sent twice, whatever its method.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn send_repeatable(
        &self,
        http: &reqwest::Client,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, Error> {
        self.deliver(http, request, true).await
    }

    async fn deliver(
        &self,
        http: &reqwest::Client,
        mut request: reqwest::Request,
        repeatable: bool,
    ) -> Result<reqwest::Response, Error> {
        self.origins.check(request.url().as_str())?;
        let mut again = repeatable.then(|| request.try_clone()).flatten();
        let mut delivery = Delivery::new(request.method(), request.url(), again.is_some());
        let mut token = self.token().await?;
        loop {
            token.authorize(request.headers_mut());
            let (answer, refused) = ask(http, request, &self.origins).await?;
            let then = delivery.answered(&self.source, &token, refused)?;
            let Some(next) = &mut again else {
                return Ok(answer);
            };
            match then {
                Then::HandOn => return Ok(answer),
                Then::Directly(url) => *next.url_mut() = url,
                Then::Again => match self.token().await? {
                    renewed if renewed.matches(&token) => return Ok(answer),
                    renewed => token = renewed,
                },
            }
            let Some(next) = next.try_clone() else {
                return Ok(answer);
            };
            request = next;
        }
    }

    /// Takes the grant of a login: stored first, then served, in place of whatever there was.
    ///
    /// # Errors
    ///
    /// [`Error::NotStored`] if it cannot be stored: its code is spent, so it is served from memory all the same, and stored
    /// by one of the next calls for a token, or by [`close`](Self::close). [`Error::NotALogin`] if this is not a source
    /// of a login.
    pub async fn install(&self, grant: TokenGrant) -> Result<(), Error> {
        let source = self.source.clone();
        blocking(move || source.install(grant)).await?
    }

    /// Removes the grant from the store and from here. The tokens live on at Coze, which has no call to revoke
    /// them; other processes go on with the access token that they have, until it ends.
    ///
    /// # Errors
    ///
    /// As for [`install`](Self::install).
    pub async fn forget(&self) -> Result<(), Error> {
        let source = self.source.clone();
        blocking(move || source.forget()).await?
    }

    /// Ends it for all clones, and for its sessions: nobody gets a token any more, and a renewal that runs is waited
    /// for until it is stored, for as long as one request may take.
    ///
    /// # Errors
    ///
    /// [`Error::Unfinished`] if that was not long enough; [`Error::NotStored`] if a renewed grant could not be stored.
    pub async fn close(&self) -> Result<(), Error> {
        self.source.close();
        if !self.is_session {
            self.sessions.close();
        }
        let (source, patience) = (self.source.clone(), self.source.timeout());
        let stored = async {
            while let Some((woken, at_most)) = self.source.running() {
                self.client.time.wait(woken, at_most).await;
            }
            blocking(move || source.flush(patience)).await?
        };
        // Real time, as the timeouts of HTTP are.
        tokio::time::timeout(patience, stored)
            .await
            .unwrap_or(Err(Error::Unfinished))
    }

    fn start(&self, runtime: &Handle, refresh: Refresh) {
        runtime.spawn(renew(self.client.clone(), refresh));
    }
}

/// Carries a renewal out. What blocks, the store, does so where it may.
async fn renew(client: Client, refresh: Refresh) {
    let mut next = blocking(move || refresh.begin()).await;
    loop {
        next = match next {
            Ok(Next::Send(refresh, renewal)) => {
                let result = client.run(renewal).await;
                refresh.note(&result);
                blocking(move || refresh.received(result)).await
            }
            Ok(Next::Wait(refresh, pause)) => {
                client.time.sleep(pause).await;
                blocking(move || refresh.again()).await
            }
            // An error is a panic in a store or a signer: dropping the renewal has told those who wait.
            Ok(Next::Done) | Err(_) => return,
        };
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::Interrupted)
}
