//! A valid token at any moment.

use std::array;
use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use coze_auth_core::http::{HeaderMap, Method};
use coze_auth_core::jwt::JwtGrant;
use coze_auth_core::rejection::is_json;
use coze_auth_core::whoami::User;
use coze_auth_core::workload::{IntegrationCredential, ProjectEnv, WorkloadApp};
use coze_auth_core::{
    AccessToken, Endpoints, Flow, IssuedToken, Now, RefreshApp, Response, Step, TokenGrant,
    TransportFailure, http, whoami,
};
use coze_auth_store::{GrantStore, StoreError};

use crate::answer::refuses;
use crate::delivery::{Delivery, Refused, Then};
use crate::driver::Driver;
use crate::grants::Store;
use crate::observer::Event;
use crate::origins::Origins;
use crate::sessions::Sessions;
use crate::shared::Ask;
use crate::slot::{self, COPIES};
use crate::source::{Clock, Source};
use crate::sync::{Mutex, locked};
use crate::time_limited::TimeLimited;
use crate::{Error, JwtKeys};

/// Gives a valid token at any moment, to any number of callers. Clones share everything; keep one in a struct
/// field, whatever its kind.
///
/// A fresh token is there at once and waits for no one. Shortly before it ends (a minute, or a tenth of its
/// life) one renewal runs behind, and everyone goes on with the old token. Where there is none, one renewal runs
/// and everyone waits for it. Nobody who waits can end it: Coze rotates refresh tokens, and the new one is stored before
/// its access token is handed out.
///
/// The type parameter is what it runs on. An adapter gives the type a name without one.
///
/// ```
/// use coze_auth_tokens::blocking::{self, TokenSource};
/// use coze_auth_tokens::core::{AccessToken, Endpoints};
///
/// # use coze_auth_tokens::{SendError, core::{Request, Response}};
/// # #[derive(Clone)]
/// # struct MyTransport;
/// # impl blocking::Transport for MyTransport {
/// #     fn send(&self, _: Request) -> Result<Response, SendError> {
/// #         Ok(Response::new(br#"{"code":0,"msg":"","data":{"user_id":"7300","user_name":"alice"}}"#.to_vec().into()))
/// #     }
/// # }
/// # fn main() -> Result<(), coze_auth_tokens::Error> {
/// let token = AccessToken::new("pat_of_the_console")?;
/// let tokens = TokenSource::fixed(&MyTransport, &Endpoints::cn(), token); // or `jwt`, or `stored`; keep it
/// assert_eq!(tokens.token()?.expose(), "pat_of_the_console"); // valid, whenever you ask
/// assert_eq!(tokens.whoami()?.user_id, "7300");
/// # Ok(()) }
/// ```
pub struct TokenSource<D: Driver> {
    handle: Arc<Share<D>>,
    /// Whose tokens they are, if it is one of the many that are made of the handle's source.
    session: Option<Arc<Source>>,
    /// Where else its tokens may be sent than those of the handle's source.
    origins: Option<Origins>,
    wait_when_stale: bool,
}

/// The handle that all clones of a source have, and its sessions. Making a session counts one more that has it, and a count
/// to which two cores write goes back and forth between them ([`COPIES`]). So a session has a share that its thread counts.
#[repr(align(64))] // a cache line of its own
struct Share<D: Driver> {
    handle: Arc<Handle<D>>,
    /// Made with the first session. A thread's share itself has none.
    of_threads: OnceLock<Option<Box<[Arc<Self>; COPIES]>>>,
}

impl<D: Driver> Share<D> {
    fn of_this_thread(self: &Arc<Self>) -> Arc<Self> {
        let all = self.of_threads.get_or_init(|| {
            let share = |_| Self {
                handle: self.handle.clone(),
                of_threads: OnceLock::from(None),
            };
            Some(Box::new(array::from_fn(|at| Arc::new(share(at)))))
        });
        all.as_deref().map_or(self, slot::of_this_thread).clone()
    }
}

impl<D: Driver> Deref for Share<D> {
    type Target = Handle<D>;

    fn deref(&self) -> &Handle<D> {
        &self.handle
    }
}

/// What all clones of a source share, and its sessions.
struct Handle<D: Driver> {
    driver: D,
    source: Arc<Source>,
    sessions: Sessions,
    /// Those that a `close` has taken out and that were not settled then: the next one waits for them, too.
    closing: Mutex<Vec<Arc<Source>>>,
    origins: Origins,
    endpoints: Endpoints,
}

impl<D: Driver> Drop for Handle<D> {
    fn drop(&mut self) {
        let members = self.sessions.drain();
        let closing = std::mem::take(&mut *locked(&self.closing));
        let all = members.chain(closing).chain([self.source.clone()]);
        let unsettled: Vec<_> = all.filter(|source| source.is_unsettled()).collect();
        if !unsettled.is_empty() {
            self.driver.dropped(unsettled);
        }
    }
}

impl<D: Driver> Clone for TokenSource<D> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle.clone(),
            session: self.session.clone(),
            origins: self.origins.clone(),
            ..*self
        }
    }
}

impl<D: Driver> fmt::Debug for TokenSource<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource")
            .field("source", self.source())
            .field("sessions", &self.handle.sessions)
            .field("origins", self.origins())
            .field("wait_when_stale", &self.wait_when_stale)
            .finish_non_exhaustive()
    }
}

impl<D: Driver> TokenSource<D>
where
    D::Transport: Clone,
{
    /// A token of the console: personal (PAT) or service (SAT).
    pub fn fixed(transport: &D::Transport, endpoints: &Endpoints, token: AccessToken) -> Self {
        let driver = D::over(transport.clone());
        let source = Source::fixed(token, driver.timeout(), clock(&driver));
        Self::over(driver, endpoints, source)
    }

    /// A JWT app's tokens. For many end users take one such source and [`session`](Self::session). An app whose key is replaced
    /// while the program runs is a [`JwtKeys`].
    ///
    /// The key signs on a thread that may block, within the time that a request may take. Other processes ask for tokens of their own,
    /// unless they are [shared](Self::shared).
    pub fn jwt(transport: &D::Transport, app: impl Into<JwtKeys>, grant: JwtGrant) -> Self {
        Self::of_keys(transport, app.into(), grant)
    }

    /// The tokens of a workload: a project on Coze's coding platform (扣子编程). Each is asked for anew, in two requests, and none
    /// is shared with another source, whatever its identity or lane, unless you [say so](Self::shared).
    ///
    /// They may be sent to the origins of the outbound endpoint and of the one that gives them, unless
    /// [another](Self::allow_origin) is allowed.
    pub fn workload(transport: &D::Transport, app: WorkloadApp) -> Self {
        let driver = D::over(transport.clone());
        let (endpoints, origins) = (app.endpoints().api(), Origins::of_workload(app.endpoints()));
        let source = Source::workload(app, driver.timeout(), clock(&driver));
        Self::with_origins(driver, &endpoints, source, origins)
    }

    pub(crate) fn of_keys<A>(transport: &D::Transport, keys: JwtKeys<A>, grant: JwtGrant) -> Self {
        let driver = D::over(transport.clone());
        let endpoints = keys.endpoints().clone();
        let source = Source::jwt(keys, grant, driver.timeout(), clock(&driver));
        Self::over(driver, &endpoints, source)
    }

    /// The tokens of a login with a web, PKCE or device app. `subject` is your own name for who logged in; the
    /// grant rests in the store under it, and is taken up from there by every process that has the store. After a
    /// login, hand its grant to `install`.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if the subject is empty, has white space around it or invisible characters.
    pub fn stored(
        transport: &D::Transport,
        app: impl Into<RefreshApp>,
        subject: impl Into<String>,
        store: impl GrantStore + 'static,
    ) -> Result<Self, Error> {
        Self::in_store(transport, app.into(), subject, D::store(Arc::new(store)))
    }

    pub(crate) fn in_store(
        transport: &D::Transport,
        app: RefreshApp,
        subject: impl Into<String>,
        store: Store,
    ) -> Result<Self, Error> {
        let driver = D::over(transport.clone());
        let endpoints = app.endpoints().clone();
        let source = Source::stored(app, subject, store, driver.timeout(), clock(&driver))?;
        Ok(Self::over(driver, &endpoints, source))
    }
}

impl<D: Driver> TokenSource<D> {
    fn over(driver: D, endpoints: &Endpoints, source: Source) -> Self {
        Self::with_origins(driver, endpoints, source, Origins::of(endpoints))
    }

    fn with_origins(driver: D, endpoints: &Endpoints, source: Source, origins: Origins) -> Self {
        Self {
            handle: Arc::new(Share {
                handle: Arc::new(Handle {
                    driver,
                    source: Arc::new(source),
                    sessions: Sessions::new(),
                    closing: Mutex::new(Vec::new()),
                    origins,
                    endpoints: endpoints.clone(),
                }),
                of_threads: OnceLock::new(),
            }),
            session: None,
            origins: None,
            wait_when_stale: false,
        }
    }

    /// Waits for the renewal of a token that is stale but valid, instead of letting it run behind: for programs
    /// that end before it would.
    #[must_use]
    pub fn wait_when_stale(mut self) -> Self {
        self.wait_when_stale = true;
        self
    }

    /// Shares the tokens of this JWT app, its [sessions](Self::session)' too, or of this workload with all processes that have the store:
    /// one that any of them was given is used by all until it is stale, so a fleet signs once for each user and life of a token, and a
    /// program that runs for a moment takes up what the one before it was given. It counts for all clones, from the next renewal on.
    ///
    /// The key of a token is made of all that decides whose it is ([`GrantKey::jwt`](coze_auth_store::GrantKey::jwt), [`GrantKey::workload`](coze_auth_store::GrantKey::workload)), so a store may be shared by
    /// any number of apps, and another [`JwtGrant`] never finds the token of this one. Neither the private key nor the secret nor an
    /// id token is ever in the store; the access tokens are.
    ///
    /// Nothing is lost by a second signature, so the store is a help and not a condition. Where it cannot be read, locked or
    /// written, or takes its time, the process asks for a token of its own, [observers](Self::observe) are told so
    /// ([`EventKind::NotShared`](crate::EventKind::NotShared)), and the next renewal tries the store again. One answer of the store is waited for
    /// for a sixth of a request's timeout, and for five seconds at most; who else signs just now, for the timeout of a request (30 s, unless the client was
    /// given another).
    ///
    /// ```
    /// use coze_auth_tokens::blocking::{self, TokenSource};
    /// use coze_auth_tokens::core::{Endpoints, jwt::{JwtApp, JwtGrant}};
    /// use coze_auth_tokens::store::MemoryStore;
    ///
    /// # use coze_auth_tokens::core::error::SigningError;
    /// # use coze_auth_tokens::core::jwt::Signer;
    /// # struct Key;
    /// # impl Signer for Key {
    /// #     fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> { Ok(vec![7; 256]) }
    /// # }
    /// # use coze_auth_tokens::{SendError, core::{Request, Response}};
    /// # #[derive(Clone)]
    /// # struct MyTransport(std::sync::Arc<std::sync::atomic::AtomicUsize>);
    /// # impl blocking::Transport for MyTransport {
    /// #     fn send(&self, _: Request) -> Result<Response, SendError> {
    /// #         let number = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    /// #         let answer = format!(r#"{{"access_token":"a{number}","expires_in":4000000000,"token_type":"Bearer"}}"#);
    /// #         Ok(Response::new(answer.into_bytes().into()))
    /// #     }
    /// # }
    /// # fn main() -> Result<(), coze_auth_tokens::Error> {
    /// # let transport = MyTransport(Default::default());
    /// let store = MemoryStore::new(); // one that your processes have in common
    /// let app = JwtApp::new(Endpoints::cn(), "1000000001", "key-1", Key)?;
    /// let process = || TokenSource::jwt(&transport, app.clone(), JwtGrant::new()).shared(store.clone());
    /// let (one, another) = (process()?, process()?);
    /// assert!(one.token()?.matches(&another.token()?)); // one signature for both
    /// assert!(!one.session("alice")?.token()?.matches(&one.token()?)); // each user has a token of their own
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NothingToShare`] if this is a source of a token of the console or of a login.
    pub fn shared(self, store: impl GrantStore + 'static) -> Result<Self, Error> {
        self.shared_in(D::store(Arc::new(store)))
    }

    pub(crate) fn shared_in(self, store: Store) -> Result<Self, Error> {
        let store = TimeLimited::store(&self.handle.driver, store);
        self.source().share(store)?;
        Ok(self)
    }

    /// Tells `observer` what happens to the tokens of this source, its clones and its sessions, from now on: each renewal,
    /// when the new token ends, and when the next try of one that failed comes; and what their store has to tell
    /// ([`EventKind::Notice`](crate::EventKind::Notice)), also what it has noted before. Further observers are told, too.
    ///
    /// It is called on the thread or task of what happened, a notice of the store on whichever thread tells it, under no lock, of the store's neither, and the result of a
    /// renewal is handed out before it is told. So one that takes its time holds up the caller or the renewal that it
    /// is told of, and nobody else; hand over to a channel what needs IO. It must not wait for a token of the same source.
    /// What an observer panics with is caught: the renewal goes on, and the observer is told the next event.
    ///
    /// ```no_run
    /// # fn observe<D: coze_auth_tokens::Driver>(tokens: coze_auth_tokens::TokenSource<D>) -> coze_auth_tokens::TokenSource<D> {
    /// tokens.observe(|event| eprintln!("{event}"))
    /// # }
    /// ```
    #[must_use]
    pub fn observe(self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.source().observe(observer);
        self
    }

    /// Lets tokens go to another origin than the API's, such as `https://gateway.example`.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if it is not an `https` or `wss` URL (`http` to this machine is allowed: 127.0.0.0/8, `[::1]`,
    /// `localhost`), or has a path, since tokens go to the whole of an origin, or user info, a query or a fragment.
    pub fn allow_origin(mut self, url: &str) -> Result<Self, Error> {
        self.origins = Some(self.origins().and(url, false)?);
        Ok(self)
    }

    /// Like [`allow_origin`](Self::allow_origin), with `http` allowed to any host: all who can listen on the way get
    /// the tokens.
    ///
    /// # Errors
    ///
    /// As for [`allow_origin`](Self::allow_origin), plain `http` aside.
    pub fn allow_origin_insecure(mut self, url: &str) -> Result<Self, Error> {
        self.origins = Some(self.origins().and(url, true)?);
        Ok(self)
    }

    /// How many [sessions](Self::session) are kept, for all clones: a hundred thousand, unless said otherwise, and at
    /// least one. Each takes some 1 kB.
    #[must_use]
    pub fn sessions_kept(self, count: usize) -> Self {
        self.handle.sessions.set_capacity(count);
        self
    }

    /// How many renewals of this app run at once, its sessions' and all clones' among them: 64, unless said otherwise, and
    /// at least one. Where more tokens end at once, the others wait for their turn, without a thread or task of their
    /// own; a token that is stale but valid is served meanwhile.
    #[must_use]
    pub fn renewals_at_once(self, count: usize) -> Self {
        self.source().set_renewals_at_once(count);
        self
    }

    /// The tokens of a session of this JWT app, for one end user. [A hundred thousand](Self::sessions_kept) are kept, so a
    /// server asks anew for each request and still makes one grant a user.
    ///
    /// # Errors
    ///
    /// [`Error::NotAJwtApp`], [`Error::Closed`], and [`Error::Core`] if the name is empty or has invisible characters.
    pub fn session(&self, name: &str) -> Result<Self, Error> {
        let session = self.handle.sessions.session(&self.handle.source, name)?;
        Ok(self.with_session(session))
    }

    /// The API refused this token: it is not handed out again. The answer to an older token changes nothing, and for
    /// half a minute neither does one to a new token that replaced another that was refused: what is
    /// wrong then is not the token. (A test moves the clock in between.)
    pub fn invalidate(&self, rejected: &AccessToken) {
        self.source().invalidate(rejected);
    }

    /// Where its tokens may be sent.
    pub fn origins(&self) -> &Origins {
        self.origins.as_ref().unwrap_or(&self.handle.origins)
    }

    /// What [`Logins`](crate::Logins) holds.
    pub(crate) fn logins(transport: D::Transport, app: RefreshApp, store: Store) -> Self {
        let driver = D::over(transport);
        let endpoints = app.endpoints().clone();
        let source = Source::logins(app, store, driver.timeout(), clock(&driver));
        Self::over(driver, &endpoints, source)
    }

    /// The source of this subject's login, if this is what [`Logins`](crate::Logins) holds.
    pub(crate) fn login(&self, subject: &str) -> Result<Self, Error> {
        let login = self.handle.sessions.login(&self.handle.source, subject)?;
        Ok(self.with_session(login))
    }

    fn with_session(&self, session: Arc<Source>) -> Self {
        Self {
            handle: self.handle.of_this_thread(),
            session: Some(session),
            origins: self.origins.clone(),
            ..*self
        }
    }

    fn source(&self) -> &Arc<Source> {
        self.session.as_ref().unwrap_or(&self.handle.source)
    }

    /// The token, if it is fresh.
    pub(crate) fn fresh(&self) -> Option<AccessToken> {
        self.source().fresh(self.handle.driver.unix())
    }

    pub(crate) async fn obtain(&self) -> Result<AccessToken, Error> {
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        Ok(self.obtain_lasting(Duration::ZERO).await?.access_token)
    }

    pub(crate) async fn obtain_lasting(&self, at_least: Duration) -> Result<IssuedToken, Error> {
        if let Some(token) = self.source().lasting(at_least, self.handle.driver.unix()) {
            return Ok(token);
        }
        let driver = &self.handle.driver;
        // Before a renewal is taken on, which would be lost.
        driver.can_start()?;
        // A session that was evicted is closed with the others.
        if self.handle.source.is_closed() {
            return Err(Error::Closed);
        }
        let mut caller = self.source().caller();
        caller = caller
            .wait_when_stale(self.wait_when_stale)
            .valid_for_at_least(at_least);
        loop {
            match caller.ask() {
                Ask::Token(token) => return Ok(token),
                Ask::Failed(error) => return Err(error),
                Ask::First(refresh) => driver.start(refresh),
                Ask::Behind(token, refresh) => {
                    driver.start(refresh);
                    return Ok(token);
                }
                Ask::Wait(woken, at_most) => driver.wait(woken, at_most).await,
            }
        }
    }

    pub(crate) async fn put_on(&self, url: &str, headers: &mut HeaderMap) -> Result<(), Error> {
        self.origins().check(url)?;
        self.obtain().await?.authorize(headers);
        Ok(())
    }

    /// Sends a request of the application's own with a token; an adapter says how. `ask` sends it once and tells with
    /// the answer what that refuses, if it does. `repeatable`: it may be sent twice. If the API refuses the token, it
    /// is renewed, and a repeatable request is sent once more.
    ///
    /// # Errors
    ///
    /// As for `token`; [`Error::OtherOrigin`]; `ask`'s own; [`Error::RefusedElsewhere`].
    pub async fn deliver<R: ApiRequest, A, F>(
        &self,
        mut request: R,
        repeatable: bool,
        ask: impl Fn(R) -> F,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<(A, Option<Refused>), Error>>,
    {
        let url = request.url();
        self.origins().check(&url)?;
        let mut again = repeatable.then(|| request.try_clone()).flatten();
        let mut delivery = Delivery::new(request.method(), url, again.is_some());
        let mut token = self.obtain().await?;
        loop {
            token.authorize(request.headers_mut());
            let (answer, refused) = ask(request).await?;
            let then = delivery.answered(self.source(), &token, refused)?;
            let Some(next) = &mut again else {
                return Ok(answer);
            };
            match then {
                Then::HandOn => return Ok(answer),
                Then::Directly(url) => next.set_url(&url)?,
                Then::Again => match self.obtain().await? {
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

    pub(crate) async fn ask_whoami(&self) -> Result<User, Error> {
        self.ask(|token| Ok(whoami(&self.handle.endpoints, token)))
            .await
    }

    pub(crate) async fn ask_integration(&self, name: &str) -> Result<IntegrationCredential, Error> {
        let app = self.source().workload_app()?;
        self.ask(|token| Ok(app.integration(token, name)?)).await
    }

    pub(crate) async fn ask_project_env(&self) -> Result<ProjectEnv, Error> {
        let app = self.source().workload_app()?;
        self.ask(|token| Ok(app.project_env(token)?)).await
    }

    /// Makes a call of Coze's API with a token. If that is refused, it is renewed, and the call is made once more.
    async fn ask<F: Flow + Send>(
        &self,
        call: impl Fn(&AccessToken) -> Result<F, Error>,
    ) -> Result<F::Output, Error> {
        let mut token = self.obtain().await?;
        let mut again = false;
        loop {
            let mut asked = Judged {
                flow: call(&token)?,
                refuses: false,
            };
            let answer = self.handle.driver.run(&mut asked).await;
            if again || !asked.refuses || !self.source().invalidate(&token) {
                return answer;
            }
            again = true;
            match self.obtain().await? {
                renewed if renewed.matches(&token) => return answer,
                renewed => token = renewed,
            }
        }
    }

    pub(crate) async fn take(&self, grant: TokenGrant) -> Result<(), Error> {
        let source = self.source();
        let before = source.shared.unsaved_login();
        match self.change(source.clone().take(grant.clone())).await {
            Ok(taken) => taken,
            Err(_) if !source.is_stored() => Err(Error::NotALogin),
            Err(error) => Err(source.not_installed(grant, before.as_ref(), error)),
        }
    }

    pub(crate) async fn remove(&self) -> Result<(), Error> {
        let source = self.source().clone();
        self.change(source.forget()).await?
    }

    /// Changes the grant in the store, which may hang or panic: who asks for it is told.
    async fn change(
        &self,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Result<Result<(), Error>, StoreError> {
        let driver = &self.handle.driver;
        let failed = |cause: Arc<dyn StdError + Send + Sync>| StoreError::Other(cause);
        driver
            .can_start()
            .map_err(|error| failed(Arc::new(error)))?;
        let longest = self.source().longest_change();
        let changed = driver.at_most(longest, work).await;
        changed.map_err(|cause| failed(Arc::new(cause)))
    }

    pub(crate) async fn end(&self) -> Result<(), Error> {
        self.source().close();
        let mut all = vec![self.source().clone()];
        if self.session.is_none() {
            let kept = self.handle.sessions.drain();
            let mut closing = locked(&self.handle.closing);
            closing.extend(kept.inspect(|source| source.close()));
            closing.retain(Source::is_unsettled);
            all.extend(closing.iter().cloned());
        }
        // A token of a JWT app that is not waited for is not lost: the next one is a request.
        let is_own = |source: &Arc<Source>| Arc::ptr_eq(source, self.source());
        all.retain(|source| is_own(source) || source.is_unsettled());
        self.handle.driver.can_start()?;
        self.handle.driver.settle(all).await
    }
}

/// A flow, and whether the last answer to it refused the token.
struct Judged<F> {
    flow: F,
    refuses: bool,
}

impl<F: Flow> Flow for Judged<F> {
    type Output = F::Output;

    fn step(&mut self, now: Now) -> Step<F::Output> {
        self.flow.step(now)
    }

    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now) {
        self.refuses = reply.as_ref().is_ok_and(|answer| {
            let json = is_json(answer.headers()).then(|| answer.body().as_bytes());
            refuses(answer.status(), json)
        });
        self.flow.receive(reply, now);
    }
}

/// Both clocks, for a source, which reads them between what it does.
fn clock<D: Driver>(driver: &D) -> Clock {
    let driver = driver.clone();
    Arc::new(move || -> Now { driver.now() })
}

/// A request of the application's own, of whatever HTTP client.
pub trait ApiRequest: Sized {
    /// Its method.
    fn method(&self) -> &Method;

    /// Its whole URL.
    fn url(&self) -> String;

    /// Sends it there instead.
    ///
    /// # Errors
    ///
    /// If it cannot be.
    fn set_url(&mut self, url: &str) -> Result<(), Error>;

    /// Its headers, for the token.
    fn headers_mut(&mut self) -> &mut HeaderMap;

    /// The same once more; none if its body is a stream.
    fn try_clone(&self) -> Option<Self>;
}

impl<B: Clone> ApiRequest for http::Request<B> {
    fn method(&self) -> &Method {
        self.method()
    }

    fn url(&self) -> String {
        self.uri().to_string()
    }

    fn set_url(&mut self, url: &str) -> Result<(), Error> {
        let parsed = url.parse();
        *self.uri_mut() = parsed.map_err(|_| Error::refused_elsewhere(url))?;
        Ok(())
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}

/// A transport whose HTTP client has requests of this kind: for `authorize`.
pub trait AuthorizeRequest<R> {
    /// The whole URL of a request, and its headers, for the token.
    fn url_and_headers(request: &mut R) -> (String, &mut HeaderMap);
}
