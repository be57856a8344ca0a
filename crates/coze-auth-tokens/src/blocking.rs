//! Token sources and flows over a transport that blocks.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future;
use std::io::{self, Read};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use coze_auth_core::http::{self, HeaderMap, StatusCode};
use coze_auth_core::rejection::is_idempotent;
use coze_auth_core::whoami::User;
use coze_auth_core::workload::{IntegrationCredential, ProjectEnv};
use coze_auth_core::{
    AccessToken, Flow, IssuedToken, Now, Request, Response, Step, TokenGrant, UnixTime,
};
use coze_auth_store::GrantStore;

use crate::answer::{PeekableBody, looks_at, refuses};
use crate::delivery::Refused;
use crate::driver::{Driver, Known, SendError, renew};
use crate::grants::Store;
use crate::refresh::Refresh;
use crate::source::{Source, Timeouts};
use crate::token_source::{ApiRequest, AuthorizeRequest};
use crate::wait::{Signal, Waiting};
use crate::{Error, sync, system_now};

/// How much longer than its patience a store may take before it counts as hanging.
const GRACE: Duration = Duration::from_secs(1);

/// Tells the time and lets it pass. [`SystemClock`] is the machine's; write your own for tests that must
/// not wait. HTTP timeouts are always real time.
///
/// ```
/// use std::sync::Mutex;
/// use std::time::Duration;
///
/// use coze_auth_tokens::blocking::Time;
/// use coze_auth_tokens::core::{Now, SteadyTime, UnixTime};
///
/// /// A clock that stands still until somebody sleeps on it.
/// struct Standing(Mutex<Duration>);
///
/// impl Time for Standing {
///     fn now(&self) -> Now {
///         let passed = *self.0.lock().unwrap();
///         Now {
///             unix: UnixTime::from_secs(1_790_000_000).plus(passed),
///             steady: SteadyTime::from_duration(passed),
///         }
///     }
///
///     fn sleep(&self, pause: Duration) {
///         *self.0.lock().unwrap() += pause;
///     }
/// }
///
/// let clock = Standing(Mutex::default());
/// clock.sleep(Duration::from_secs(900)); // at once
/// assert_eq!(clock.now().unix.as_secs(), 1_790_000_900);
/// ```
pub trait Time: Send + Sync {
    /// Both clocks, read together.
    fn now(&self) -> Now;

    /// The calendar alone. A fresh token needs no more, and reading two clocks is most of what it costs.
    fn unix(&self) -> UnixTime {
        self.now().unix
    }

    /// Comes back after at least this long, on the steady clock.
    fn sleep(&self, pause: Duration);

    /// Comes back when the signal is set, or after this long on the steady clock. A clock of your own that does
    /// not run by itself has to look again whenever it is moved.
    fn wait(&self, signal: &Signal, at_most: Duration) {
        signal.wait_at_most(at_most);
    }
}

impl<T: Time + ?Sized> Time for Arc<T> {
    fn now(&self) -> Now {
        (**self).now()
    }

    fn unix(&self) -> UnixTime {
        (**self).unix()
    }

    fn sleep(&self, pause: Duration) {
        (**self).sleep(pause);
    }

    fn wait(&self, signal: &Signal, at_most: Duration) {
        (**self).wait(signal, at_most);
    }
}

/// The machine's clocks: [`SystemTime`], and [`Instant`] since this
/// process first asked.
///
/// All values of this type tell the same steady time. In another process that time means nothing: finish a
/// device login where it was started.
///
/// Whether the steady one runs on while the machine sleeps is up to the system; on Linux and macOS it
/// does not. A device poll then ends by the server's word instead of the local deadline.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Time for SystemClock {
    fn now(&self) -> Now {
        system_now()
    }

    fn unix(&self) -> UnixTime {
        SystemTime::now().into()
    }

    fn sleep(&self, pause: Duration) {
        thread::sleep(pause);
    }
}

/// Sends one request and brings its answer.
pub trait Transport: Send + Sync {
    /// Sends it once, follows no redirect, and gives the answer, whatever its status, with at most
    /// [`Body::READ_AT_MOST`](coze_auth_core::Body::READ_AT_MOST) bytes of its body.
    ///
    /// # Errors
    ///
    /// [`TransportFailure`](coze_auth_core::TransportFailure) says whether the server can have acted, and `?` makes a
    /// [`SendError`] of it.
    fn send(&self, request: Request) -> Result<Response, SendError>;

    /// How long [`send`](Self::send) may take, from looking the name up to the last byte: thirty seconds, if it is
    /// not told otherwise.
    fn timeout(&self) -> Duration {
        Timeouts::default().whole
    }

    /// The clocks: the machine's, if it is not told otherwise.
    fn time(&self) -> &dyn Time {
        &SystemClock
    }
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        (**self).send(request)
    }

    fn timeout(&self) -> Duration {
        (**self).timeout()
    }

    fn time(&self) -> &dyn Time {
        (**self).time()
    }
}

/// An answer of the API, of whatever HTTP client: its status and headers, and the beginning of its body.
///
/// `http::Response` is one, with a body that is there (`Vec<u8>`, `String`, `Bytes`) or that is a [`Read`] in a
/// [`PeekableBody`].
pub trait Answer {
    /// Why the body cannot be read.
    type Error: Into<Box<dyn StdError + Send + Sync>>;

    /// Its status.
    fn status(&self) -> StatusCode;

    /// Its headers.
    fn headers(&self) -> &HeaderMap;

    /// The first bytes of its body, and all of it if that is not longer. Who reads the body gets them all the same.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn peek(&mut self, at_most: usize) -> Result<&[u8], Self::Error>;

    /// Returns true if the answer refuses the token that it was asked with: 401, or one of Coze's codes for it in JSON of
    /// at most 64 KiB (protocol §4.4). Nothing else is looked into. [`send_with`](TokenSource::send_with) asks it.
    ///
    /// # Errors
    ///
    /// If the JSON cannot be read.
    fn refuses_token(&mut self) -> Result<bool, Self::Error> {
        let status = self.status();
        let beginning = match looks_at(self.headers()) {
            Some(at_most) => Some(self.peek(at_most)?),
            None => None,
        };
        Ok(refuses(status, beginning))
    }
}

impl<B: AsRef<[u8]>> Answer for http::Response<B> {
    type Error = Infallible;

    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn peek(&mut self, at_most: usize) -> Result<&[u8], Infallible> {
        let body = self.body().as_ref();
        Ok(&body[..at_most.min(body.len())])
    }
}

impl<R: Read> Answer for http::Response<PeekableBody<R>> {
    type Error = io::Error;

    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn peek(&mut self, at_most: usize) -> io::Result<&[u8]> {
        self.body_mut().read_ahead(at_most)
    }
}

/// A transport whose HTTP client takes requests of this kind: for [`send`](TokenSource::send). An adapter has it for what
/// its users have at hand. Over a transport of your own use [`send_with`](TokenSource::send_with).
pub trait SendRequest<R>: Transport + Clone + Sized + 'static {
    /// The application's own HTTP client.
    type Http: ?Sized;
    /// What that gives.
    type Response;

    /// Sends a request with a token, by [`deliver`](crate::TokenSource::deliver). `repeatable`: it may be sent twice,
    /// whatever its method.
    ///
    /// # Errors
    ///
    /// As for [`send`](TokenSource::send).
    fn send_request(
        tokens: &TokenSource<Self>,
        http: &Self::Http,
        request: R,
        repeatable: bool,
    ) -> Result<Self::Response, Error>;
}

/// Drives a flow to its result.
///
/// Pass a flow by `&mut` to keep it: after an error that is not the flow's own another run takes it up where the first
/// left it.
///
/// # Errors
///
/// [`Error::Core`] with the flow's own error; what the transport calls the end of every flow.
pub fn run<F: Flow>(transport: &(impl Transport + ?Sized), flow: F) -> Result<F::Output, Error> {
    drive(transport, flow, None)
}

/// Like [`run`], until the signal is set: a pause ends at once then, and a request, which cannot be broken off, when its
/// answer is there or its time is over. Pass a flow by `&mut` to go on with it later.
///
/// # Errors
///
/// As for [`run`], and [`Error::Cancelled`].
pub fn run_until<F: Flow>(
    transport: &(impl Transport + ?Sized),
    flow: F,
    cancel: &Signal,
) -> Result<F::Output, Error> {
    drive(transport, flow, Some(cancel))
}

fn drive<F: Flow>(
    transport: &(impl Transport + ?Sized),
    mut flow: F,
    cancel: Option<&Signal>,
) -> Result<F::Output, Error> {
    let time = transport.time();
    let mut known = Known::default();
    loop {
        match flow.step(time.now()) {
            // First: what has been granted is given, and not called off.
            Step::Done(result) => return result.map_err(|error| known.of(error)),
            _ if cancel.is_some_and(Signal::is_set) => return Err(Error::Cancelled),
            Step::Send(request) => {
                let reply = known.reply(transport.send(request))?;
                flow.receive(reply, time.now());
            }
            Step::Wait(pause) => match cancel {
                Some(cancel) => time.wait(cancel, pause),
                None => time.sleep(pause),
            },
        }
    }
}

/// What comes of a future in which nothing waits but by blocking.
///
/// # Panics
///
/// If it is not ready at once.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("a driver that blocks awaits nothing"),
    }
}

/// A token source over a transport that blocks.
///
/// When the last clone of a source of a login is dropped, a renewal that runs is waited for, as
/// [`close`](crate::TokenSource::close) does. What is never dropped (a `static`, a process that exits) is to be closed.
pub type TokenSource<T> = crate::TokenSource<Blocking<T>>;

/// The tokens of all users of an app over a transport that blocks.
///
/// When the last clone is dropped, and the last source of one of its users, the renewals that run are waited for.
pub type Logins<T> = crate::Logins<Blocking<T>>;

/// Drives a token source by blocking. A renewal runs on a thread of its own, so that a store that hangs holds nobody for
/// ever.
#[derive(Clone)]
pub struct Blocking<T>(T);

impl<T> fmt::Debug for Blocking<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blocking")
    }
}

impl<T: Transport + Clone + 'static> Driver for Blocking<T> {
    type Transport = T;

    fn over(transport: T) -> Self {
        Self(transport)
    }

    fn now(&self) -> Now {
        self.0.time().now()
    }

    fn unix(&self) -> UnixTime {
        self.0.time().unix()
    }

    fn timeout(&self) -> Duration {
        // A transport of somebody's own may say that it has none.
        Timeouts::of(self.0.timeout()).whole
    }

    fn store(store: Arc<dyn GrantStore>) -> Store {
        Store::blocking(store)
    }

    async fn run<F: Flow + Send>(&self, flow: F) -> Result<F::Output, Error> {
        run(&self.0, flow)
    }

    async fn sleep(&self, pause: Duration) {
        self.0.time().sleep(pause);
    }

    async fn wait(&self, woken: Waiting, at_most: Duration) {
        self.0.time().wait(&woken.signal(), at_most);
    }

    fn can_start(&self) -> Result<(), Error> {
        Ok(())
    }

    fn start(&self, refresh: Refresh) {
        // A closure that is not run takes what it holds along.
        let (hand_over, taken) = channel();
        let driver = self.clone();
        let thread = thread::Builder::new().name("coze-auth renewal".to_owned());
        let renew = move || taken.recv().map(|refresh| ready(renew(driver, refresh)));
        match thread.spawn(renew) {
            Ok(_) => drop(hand_over.send(refresh)),
            Err(cause) => refresh.fail(Error::Thread(Arc::new(cause))),
        }
    }

    async fn at_most<R: Send + 'static>(
        &self,
        longest: Duration,
        work: impl Future<Output = R> + Send + 'static,
    ) -> io::Result<R> {
        sync::at_most(longest, move || ready(work))
    }

    async fn block<R: Send + 'static>(
        &self,
        longest: Duration,
        act: impl FnOnce() -> R + Send + 'static,
    ) -> io::Result<R> {
        sync::at_most(longest, act)
    }

    async fn settle(&self, sources: Vec<Arc<Source>>) -> Result<(), Error> {
        settle_all(sources, self.timeout())
    }

    fn dropped(&self, sources: Vec<Arc<Source>>) {
        // Nobody is left to be told.
        let _ = settle_all(sources, self.timeout());
    }
}

impl<T: Transport + Clone + 'static> crate::TokenSource<Blocking<T>> {
    /// A valid token.
    ///
    /// # Errors
    ///
    /// Why there is none: [`Error::LoginNeeded`], [`Error::RefreshRefused`], [`Error::Store`],
    /// [`Error::NotStored`], [`Error::Core`], [`Error::Closed`]. A failure is told to everyone
    /// who asks within the next second, or longer while it goes on, without another request.
    pub fn token(&self) -> Result<AccessToken, Error> {
        // Without a future, which costs as much as the look: it is large, and is moved.
        match self.fresh() {
            Some(token) => Ok(token),
            None => ready(self.obtain()),
        }
    }

    /// A valid token with its end, and without the refresh token: it may be handed to the end user, whose session lasts no
    /// longer ([`IssuedToken::to_secret_json`]). One that is valid for less than `at_least` is renewed first, and
    /// that is waited for. The end of a token of the console is not known, so it counts as long enough.
    ///
    /// More than a new token is fresh for counts as that: a minute less than its life, or nine tenths of a life of less than ten
    /// minutes. So a caller that asks for an hour of a token that lives a quarter of one gets one that was renewed a minute ago at the
    /// most, and its end says how long it lasts; a JWT app asks for a longer life with `JwtGrant::ttl`.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token); also if the token has less left and cannot be renewed now: `token` still
    /// gives it while it lasts.
    pub fn token_valid_for(&self, at_least: Duration) -> Result<IssuedToken, Error> {
        ready(self.obtain_lasting(at_least))
    }

    /// Asks Coze whom the tokens speak for. If Coze refuses the token, it is renewed and Coze is asked once more, as by
    /// [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token), and [`Error::Core`] with what Coze or the transport says.
    pub fn whoami(&self) -> Result<User, Error> {
        ready(self.ask_whoami())
    }

    /// The credential of an integration (集成) of the workload's project, such as `integration-feishu-base`: a token of its service, or
    /// JSON with several of its settings. If Coze refuses the token, it is renewed and Coze is asked once more.
    ///
    /// Nothing is kept: how long a credential lives is not said, so ask again when its service refuses it.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token); [`Error::NotAWorkload`]; [`Error::Core`] with what Coze or the transport says, and if the name
    /// cannot be meant or the outbound endpoint is not named. An integration that is not enabled for the project is of the
    /// kind [`Settings`](coze_auth_core::ErrorKind::Settings).
    pub fn integration(&self, name: &str) -> Result<IntegrationCredential, Error> {
        ready(self.ask_integration(name))
    }

    /// The variables of the workload's project. If Coze refuses the token, it is renewed and Coze is asked once more.
    ///
    /// # Errors
    ///
    /// As for [`integration`](Self::integration).
    pub fn project_env(&self) -> Result<ProjectEnv, Error> {
        ready(self.ask_project_env())
    }

    /// Puts a valid token on the headers of a request to this URL.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token), and [`Error::OtherOrigin`].
    pub fn authorize_headers(&self, url: &str, headers: &mut HeaderMap) -> Result<(), Error> {
        ready(self.put_on(url, headers))
    }

    /// Puts a valid token on a request of yours.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token), and [`Error::OtherOrigin`].
    pub fn authorize<R>(&self, request: &mut R) -> Result<(), Error>
    where
        T: AuthorizeRequest<R>,
    {
        let (url, headers) = T::url_and_headers(request);
        self.authorize_headers(&url, headers)
    }

    /// Sends a request of yours, or a builder, with a token, through an HTTP client of yours, and gives the answer as it
    /// arrived, whatever its status. If the API refuses the token (401, or the codes 4100 and 700012006), it is renewed; a
    /// request that may be repeated (GET, HEAD, OPTIONS, TRACE, PUT, DELETE, RFC 9110 §9.2.2; and its body is not a
    /// stream) is then sent once more.
    ///
    /// Only a JSON answer is looked into, and 64 KiB of it at most; an event stream is judged by its status. What becomes
    /// of redirects the adapter says at its `TokenSource`.
    ///
    /// # Errors
    ///
    /// As for [`authorize`](Self::authorize), [`Error::Request`] with your client's error, and of a redirected request
    /// whose answer refuses the token [`Error::Redirected`], where it ended at an origin that the token may have gone to
    /// and should not have, or [`Error::RefusedElsewhere`].
    pub fn send<R>(
        &self,
        http: &<T as SendRequest<R>>::Http,
        request: R,
    ) -> Result<<T as SendRequest<R>>::Response, Error>
    where
        T: SendRequest<R>,
    {
        T::send_request(self, http, request, false)
    }

    /// Like [`send`](Self::send), for a request that you know may be sent twice, whatever its method.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_repeatable<R>(
        &self,
        http: &<T as SendRequest<R>>::Http,
        request: R,
    ) -> Result<<T as SendRequest<R>>::Response, Error>
    where
        T: SendRequest<R>,
    {
        T::send_request(self, http, request, true)
    }

    /// [`send`](Self::send) through a client of any kind: `send` sends a request once and gives its answer. That comes back as
    /// it arrived; a body that is not there yet stands in a [`PeekableBody`]. A request's body is cloned, to be sent
    /// once more.
    ///
    /// Nobody sees by which way a request went. So the client must not take the token to other origins by a redirect, and a
    /// refusal after a redirect that it followed counts as the API's own: best it follows none.
    ///
    /// ```
    /// # use coze_auth_tokens::{Error, blocking};
    /// use coze_auth_tokens::blocking::{TokenSource, Transport};
    /// use coze_auth_tokens::core::http::{Request, Response};
    ///
    /// # struct MyClient;
    /// # impl MyClient {
    /// #     fn request(&self, _: Request<&str>) -> Result<Response<Vec<u8>>, std::io::Error> { unimplemented!() }
    /// # }
    /// fn me<T: Transport + Clone + 'static>(tokens: &TokenSource<T>, http: &MyClient) -> Result<Response<Vec<u8>>, Error> {
    ///     let request = Request::get("https://api.coze.cn/v1/users/me").body("").expect("a URL");
    ///     tokens.send_with(request, |request| http.request(request))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`authorize_headers`](Self::authorize_headers), and [`Error::Request`] with your client's error.
    pub fn send_with<B: Clone, A: Answer, E: Into<Box<dyn StdError + Send + Sync>>>(
        &self,
        request: http::Request<B>,
        send: impl Fn(http::Request<B>) -> Result<A, E>,
    ) -> Result<A, Error> {
        let repeatable = is_idempotent(request.method());
        self.send_by(request, repeatable, send)
    }

    /// Like [`send_with`](Self::send_with), for a request that you know may be sent twice, whatever its method.
    ///
    /// # Errors
    ///
    /// As for [`send_with`](Self::send_with).
    pub fn send_repeatable_with<B: Clone, A: Answer, E: Into<Box<dyn StdError + Send + Sync>>>(
        &self,
        request: http::Request<B>,
        send: impl Fn(http::Request<B>) -> Result<A, E>,
    ) -> Result<A, Error> {
        self.send_by(request, true, send)
    }

    fn send_by<B: Clone, A: Answer, E: Into<Box<dyn StdError + Send + Sync>>>(
        &self,
        request: http::Request<B>,
        repeatable: bool,
        send: impl Fn(http::Request<B>) -> Result<A, E>,
    ) -> Result<A, Error> {
        self.deliver_blocking(request, repeatable, |request| {
            let mut answer = send(request).map_err(Error::of_request)?;
            let refuses = answer.refuses_token().map_err(Error::of_request)?;
            Ok((answer, refuses.then_some(Refused::Token)))
        })
    }

    /// [`deliver`](crate::TokenSource::deliver) with an `ask` that blocks.
    ///
    /// # Errors
    ///
    /// As for [`deliver`](crate::TokenSource::deliver).
    pub fn deliver_blocking<R: ApiRequest, A>(
        &self,
        request: R,
        repeatable: bool,
        ask: impl Fn(R) -> Result<(A, Option<Refused>), Error>,
    ) -> Result<A, Error> {
        ready(self.deliver(request, repeatable, |request| future::ready(ask(request))))
    }

    /// Takes the grant of a login: stored first, then served, in place of whatever there was.
    ///
    /// # Errors
    ///
    /// [`Error::NotStored`] if it cannot be stored: its code is spent, so it is served from memory all the same, and stored
    /// by one of the next calls for a token, or by [`close`](Self::close). [`Error::NotALogin`] if this is not a source
    /// of a login.
    pub fn install(&self, grant: TokenGrant) -> Result<(), Error> {
        ready(self.take(grant))
    }

    /// Removes the grant from the store and from here. The tokens live on at Coze, which has no call to revoke
    /// them; other processes go on with the access token that they have, until it ends.
    ///
    /// # Errors
    ///
    /// As for [`install`](Self::install).
    pub fn forget(&self) -> Result<(), Error> {
        ready(self.remove())
    }

    /// Ends it for all clones, and for its sessions: nobody gets a token any more, and a renewal that runs is waited
    /// for until it is stored, for as long as one request may take.
    ///
    /// # Errors
    ///
    /// [`Error::Unfinished`] if that was not long enough; [`Error::NotStored`] if a renewed grant could not be stored.
    pub fn close(&self) -> Result<(), Error> {
        ready(self.end())
    }
}

impl<T: Transport + Clone + 'static> crate::Logins<Blocking<T>> {
    /// Takes the grant of a user's login: stored first, then served, in place of whatever there was.
    ///
    /// # Errors
    ///
    /// As for [`of`](crate::Logins::of) and [`TokenSource::install`](crate::TokenSource::install). After `close` it is
    /// [`Error::Closed`], and the grant is not taken: stop what brings logins first.
    pub fn install(&self, subject: &str, grant: TokenGrant) -> Result<(), Error> {
        ready(self.of(subject)?.take(grant))
    }

    /// Logs a user out: removes the grant from the store and from here, also one that a renewal is just bringing. A
    /// source of this user that somebody holds has no token any more; after another login it has.
    ///
    /// # Errors
    ///
    /// As for [`of`](crate::Logins::of) and [`TokenSource::forget`](crate::TokenSource::forget).
    pub fn forget(&self, subject: &str) -> Result<(), Error> {
        ready(self.of(subject)?.remove())
    }

    /// Ends it for all users: nobody gets a token any more, and the renewals that run are waited for until they are
    /// stored, all together for as long as one request may take.
    ///
    /// # Errors
    ///
    /// [`Error::Unfinished`] if that was not long enough; [`Error::NotStored`] if a renewed grant could not be stored.
    pub fn close(&self) -> Result<(), Error> {
        ready(self.end())
    }
}

/// Maximum number of threads that store what could not be stored, when many sources are closed at once.
const CLOSE_AT_ONCE: usize = 64;

/// Settles all of them within the time of one request. A lock or a renewal that hangs does not keep the others from it.
fn settle_all(mut sources: Vec<Arc<Source>>, timeout: Duration) -> Result<(), Error> {
    // Real time, as the timeouts of HTTP are.
    let end = Instant::now() + timeout;
    // From the end: those first that wait for nobody.
    sources.sort_by_key(|source| source.running().is_none());
    let helpers = sources.len().min(CLOSE_AT_ONCE) - 1;
    let left = sync::Mutex::new(sources);
    let result = sync::Mutex::new(Ok(()));
    let work = || {
        while let Some(source) = { sync::locked(&left).pop() } {
            if let Err(error) = settle(&source, end) {
                *sync::locked(&result) = Err(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..helpers {
            // Where there is no thread, those that there are do it.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    result.into_inner().unwrap_or(Err(Error::Interrupted))
}

/// Blocks until no renewal runs, until this time at most, and until what could not be stored then is.
fn settle(source: &Arc<Source>, end: Instant) -> Result<(), Error> {
    if Instant::now() > end + GRACE {
        return Err(Error::Unfinished);
    }
    while let Some((woken, at_most)) = source.running() {
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(Error::Unfinished);
        }
        woken.signal().wait_at_most(rest.min(at_most));
    }
    if !source.has_unsaved() {
        return Ok(());
    }
    let (source, rest) = (
        source.clone(),
        end.saturating_duration_since(Instant::now()),
    );
    // A store that keeps to its patience tells why; one that hangs does not.
    let stored = sync::at_most(rest.saturating_add(GRACE), move || {
        ready(source.flush(rest))
    });
    stored.unwrap_or(Err(Error::Unfinished))
}
