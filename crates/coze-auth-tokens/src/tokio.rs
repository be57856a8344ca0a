//! Token sources and flows over a transport that is awaited, on tokio.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, SystemTime};

use ::tokio::runtime::Handle;
use ::tokio::sync::oneshot;
use ::tokio::task::{JoinError, JoinSet};
use ::tokio::time::error::Elapsed;
use ::tokio::time::timeout;
use bytes::Bytes;
use coze_auth_core::http::{self, HeaderMap, StatusCode};
use coze_auth_core::jwt::JwtGrant;
use coze_auth_core::rejection::is_idempotent;
use coze_auth_core::whoami::User;
use coze_auth_core::workload::{IntegrationCredential, ProjectEnv};
use coze_auth_core::{
    AccessToken, Flow, IssuedToken, Now, RefreshApp, Request, Response, Step, TokenGrant, UnixTime,
};
use coze_auth_store::{AsyncGrantStore, GrantStore};
use http_body::{Body, Frame, SizeHint};

use crate::answer::{PeekableBody, looks_at, refuses};
use crate::delivery::Refused;
use crate::driver::{Driver, Known, SendError, renew};
use crate::grants::Store;
use crate::refresh::Refresh;
pub use crate::signing::{AsyncJwtApp, AsyncSigner};
use crate::source::{Source, Timeouts};
use crate::token_source::AuthorizeRequest;
use crate::wait::Waiting;
use crate::{Error, JwtKeys, system_now};

/// Tells the time and lets it pass. [`SystemClock`] is the machine's; write your own for tests that must
/// not wait. HTTP timeouts are always real time.
pub trait Time: Send + Sync {
    /// Both clocks, read together.
    fn now(&self) -> Now;

    /// The calendar alone. A fresh token needs no more, and reading two clocks is most of what it costs.
    fn unix(&self) -> UnixTime {
        self.now().unix
    }

    /// Ready after at least this long, on the steady clock.
    fn sleep(&self, pause: Duration) -> Sleep<'_>;

    /// Ready when `woken` is, or after this much of the machine's time. It never sleeps on this clock: one that passes by
    /// being slept on would pass at once, while the work that is waited for goes on. A clock of your own that
    /// does not run by itself may look again whenever it is moved.
    fn wait<'a>(&'a self, woken: Waiting, at_most: Duration) -> Sleep<'a> {
        Box::pin(async move {
            // Its one error says that the time has passed.
            let _ = timeout(at_most, woken).await;
        })
    }
}

/// A pause on its way.
pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl<T: Time + ?Sized> Time for Arc<T> {
    fn now(&self) -> Now {
        (**self).now()
    }

    fn unix(&self) -> UnixTime {
        (**self).unix()
    }

    fn sleep(&self, pause: Duration) -> Sleep<'_> {
        (**self).sleep(pause)
    }

    fn wait<'a>(&'a self, woken: Waiting, at_most: Duration) -> Sleep<'a> {
        (**self).wait(woken, at_most)
    }
}

/// The machine's clocks: [`SystemTime`], and [`Instant`](std::time::Instant) since this
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

    /// Needs a tokio runtime with its timer on.
    fn sleep(&self, pause: Duration) -> Sleep<'_> {
        Box::pin(::tokio::time::sleep(pause))
    }
}

/// Sends one request and brings its answer.
pub trait Transport: Send + Sync {
    /// Sends it once, follows no redirect, and gives the answer, whatever its status, with at most
    /// [`Body::READ_AT_MOST`](coze_auth_core::Body::READ_AT_MOST) bytes of its body, within
    /// [`timeout`](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`TransportFailure`](coze_auth_core::TransportFailure) says whether the server can have acted, and `?` makes a
    /// [`SendError`] of it.
    fn send(&self, request: Request) -> impl Future<Output = Result<Response, SendError>> + Send;

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
    fn send(&self, request: Request) -> impl Future<Output = Result<Response, SendError>> + Send {
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
/// `http::Response` is one, with a body that is there (`Vec<u8>`, `String`, `Bytes`) or that is an `http_body::Body` of `Bytes` in
/// a [`PeekableBody`].
pub trait Answer: Send {
    /// Why the body cannot be read.
    type Error: Into<Box<dyn StdError + Send + Sync>> + Send;

    /// Its status.
    fn status(&self) -> StatusCode;

    /// Its headers.
    fn headers(&self) -> &HeaderMap;

    /// The first bytes of its body, and all of it if that is not longer. Who reads the body gets them all the same.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    fn peek(&mut self, at_most: usize) -> impl Future<Output = Result<&[u8], Self::Error>> + Send;

    /// Returns true if the answer refuses the token that it was asked with: 401, or one of Coze's codes for it in JSON of
    /// at most 64 KiB (protocol §4.4). Nothing else is looked into. [`send_with`](TokenSource::send_with) asks it.
    ///
    /// # Errors
    ///
    /// If the JSON cannot be read.
    fn refuses_token(&mut self) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        async {
            let status = self.status();
            let beginning = match looks_at(self.headers()) {
                Some(at_most) => Some(self.peek(at_most).await?),
                None => None,
            };
            Ok(refuses(status, beginning))
        }
    }
}

impl<B: AsRef<[u8]> + Send> Answer for http::Response<B> {
    type Error = Infallible;

    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    async fn peek(&mut self, at_most: usize) -> Result<&[u8], Infallible> {
        let body = self.body().as_ref();
        Ok(&body[..at_most.min(body.len())])
    }
}

impl<B> Answer for http::Response<PeekableBody<B>>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>> + Send> + Send + Unpin,
{
    type Error = B::Error;

    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    async fn peek(&mut self, at_most: usize) -> Result<&[u8], B::Error> {
        let body = self.body_mut();
        while body.read.len() < at_most && body.trailers.is_none() && !body.ended {
            let next = poll_fn(|context| Pin::new(&mut body.rest).poll_frame(context));
            let Some(frame) = next.await else {
                body.ended = true;
                break;
            };
            match frame?.into_data() {
                Ok(data) => {
                    // No copy: nobody else has it.
                    let mut read = Vec::from(std::mem::take(&mut body.read));
                    read.extend_from_slice(&data);
                    body.read = read.into();
                }
                Err(other) => body.trailers = other.into_trailers().ok(),
            }
        }
        Ok(&body.read[..at_most.min(body.read.len())])
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for PeekableBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if !self.read.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.read)))));
        }
        match self.trailers.take() {
            Some(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            None if self.ended => Poll::Ready(None),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        let rest_ended = self.ended || self.rest.is_end_stream();
        self.read.is_empty() && self.trailers.is_none() && rest_ended
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.len() as u64;
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
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
    ) -> impl Future<Output = Result<Self::Response, Error>> + Send;
}

/// Drives a flow to its result. Dropping the future stops it, be it in a pause or in a request.
///
/// Pass a flow by `&mut` to keep it: another run takes it up where a dropped one left it. But a request
/// that was under way may have arrived: its authorization code, device code or refresh token may be
/// spent then, and the other run, which sends it again, refused.
///
/// # Errors
///
/// [`Error::Core`] with the flow's own error; what the transport calls the end of every flow.
pub async fn run<F: Flow>(
    transport: &(impl Transport + ?Sized),
    mut flow: F,
) -> Result<F::Output, Error> {
    let time = transport.time();
    let mut known = Known::default();
    loop {
        // Taken apart before anything is awaited: a run can move between threads if its flow can,
        // whatever the flow gives in the end.
        let todo = match flow.step(time.now()) {
            Step::Send(request) => Ok(request),
            Step::Wait(pause) => Err(pause),
            Step::Done(result) => return result.map_err(|error| known.of(error)),
        };
        let reply = match todo {
            Ok(request) => transport.send(request).await,
            Err(pause) => {
                time.sleep(pause).await;
                continue;
            }
        };
        flow.receive(known.reply(reply)?, time.now());
    }
}

/// A token source over a transport that is awaited.
///
/// **Keep the runtime alive until [`close`](crate::TokenSource::close) has ended.** A renewal that is dropped with its
/// runtime may take a rotated refresh token with it. No task is started before one is needed.
pub type TokenSource<T> = crate::TokenSource<Tokio<T>>;

/// The tokens of all users of an app over a transport that is awaited.
///
/// **Keep the runtime alive until [`close`](crate::Logins::close) has ended.**
pub type Logins<T> = crate::Logins<Tokio<T>>;

/// Drives a token source on tokio. A renewal runs on a task of its own, so that a caller who goes away loses nothing.
#[derive(Clone)]
pub struct Tokio<T>(T);

impl<T> fmt::Debug for Tokio<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokio")
    }
}

impl<T: Transport + Clone + 'static> Driver for Tokio<T> {
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
        Store::on_threads(store)
    }

    async fn run<F: Flow + Send>(&self, flow: F) -> Result<F::Output, Error> {
        run(&self.0, flow).await
    }

    async fn sleep(&self, pause: Duration) {
        self.0.time().sleep(pause).await;
    }

    async fn wait(&self, woken: Waiting, at_most: Duration) {
        self.0.time().wait(woken, at_most).await;
    }

    fn can_start(&self) -> Result<(), Error> {
        Handle::try_current()
            .map(drop)
            .map_err(|_| Error::NoRuntime)
    }

    fn start(&self, refresh: Refresh) {
        ::tokio::spawn(renew(self.clone(), refresh));
    }

    async fn at_most<R: Send + 'static>(
        &self,
        longest: Duration,
        work: impl Future<Output = R> + Send + 'static,
    ) -> io::Result<R> {
        ended(timeout(longest, ::tokio::spawn(work)).await, longest)
    }

    async fn block<R: Send + 'static>(
        &self,
        longest: Duration,
        act: impl FnOnce() -> R + Send + 'static,
    ) -> io::Result<R> {
        // A thread of its own: one that hangs must not keep one of those that the application's blocking work needs.
        let (tell, told) = oneshot::channel();
        let runtime = Handle::current();
        let thread = thread::Builder::new().name("coze-auth signer".to_owned());
        thread.spawn(move || {
            let _entered = runtime.enter();
            drop(tell.send(act()));
        })?;
        match timeout(longest, told).await {
            Ok(told) => told.map_err(|_| io::Error::other("it panicked")),
            Err(_) => Err(hangs(longest)),
        }
    }

    async fn settle(&self, sources: Vec<Arc<Source>>) -> Result<(), Error> {
        let patience = self.timeout();
        let mut settling = JoinSet::new();
        for source in sources {
            let driver = self.clone();
            settling.spawn(async move {
                while let Some((woken, at_most)) = source.running() {
                    driver.wait(woken, at_most).await;
                }
                source.flush(patience).await
            });
        }
        let all = async {
            let mut result = Ok(());
            while let Some(settled) = settling.join_next().await {
                let settled = settled.unwrap_or(Err(Error::Interrupted));
                result = settled.and(result);
            }
            result
        };
        // Real time, as the timeouts of HTTP are.
        let result = timeout(patience, all).await;
        // What is being stored goes on.
        settling.detach_all();
        result.unwrap_or(Err(Error::Unfinished))
    }

    fn dropped(&self, _: Vec<Arc<Source>>) {}
}

/// How it ended, or that it did not.
fn ended<R>(joined: Result<Result<R, JoinError>, Elapsed>, longest: Duration) -> io::Result<R> {
    match joined {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(error)) if error.is_panic() => Err(io::Error::other("it panicked")),
        Ok(Err(_)) => Err(io::Error::other("its runtime was shut down")),
        Err(_) => Err(hangs(longest)),
    }
}

fn hangs(longest: Duration) -> io::Error {
    let text = format!("it has not answered in {} s", longest.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl<T: Transport + Clone + 'static> crate::TokenSource<Tokio<T>> {
    /// Like [`jwt`](crate::TokenSource::jwt), of an app whose signatures are awaited: its key lies in a KMS or HSM.
    ///
    /// ```no_run
    /// # use coze_auth_tokens::tokio::{AsyncJwtApp, AsyncSigner, TokenSource, Transport};
    /// # use coze_auth_tokens::core::{Endpoints, jwt::{JwtGrant, JwtIssuer}, error::ConfigError};
    /// # fn f<T: Transport + Clone + 'static>(client: &T, kms: impl AsyncSigner + 'static) -> Result<TokenSource<T>, ConfigError> {
    /// let issuer = JwtIssuer::new(Endpoints::cn(), "1000000001", "key-fingerprint")?;
    /// let tokens = TokenSource::jwt_async(client, AsyncJwtApp::new(issuer, kms), JwtGrant::new());
    /// # Ok(tokens) }
    /// ```
    ///
    /// A signature may take as long as a request (30 s, unless the client was given another timeout), or as
    /// [`JwtKeys::sign_within`] says. A signer that hangs or panics fails the renewal, and is asked again after a pause.
    pub fn jwt_async(transport: &T, app: impl Into<JwtKeys<AsyncJwtApp>>, grant: JwtGrant) -> Self {
        Self::of_keys(transport, app.into(), grant)
    }

    /// Like [`stored`](crate::TokenSource::stored), in a store that is awaited.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if the subject is empty, has white space around it or invisible characters.
    pub fn stored_async(
        transport: &T,
        app: impl Into<RefreshApp>,
        subject: impl Into<String>,
        store: impl AsyncGrantStore + 'static,
    ) -> Result<Self, Error> {
        Self::in_store(transport, app.into(), subject, Store::awaited(store))
    }

    /// Like [`shared`](crate::TokenSource::shared), in a store that is awaited.
    ///
    /// # Errors
    ///
    /// As for [`shared`](crate::TokenSource::shared).
    pub fn shared_async(self, store: impl AsyncGrantStore + 'static) -> Result<Self, Error> {
        self.shared_in(Store::awaited(store))
    }

    /// A valid token.
    ///
    /// # Errors
    ///
    /// Why there is none: [`Error::LoginNeeded`], [`Error::RefreshRefused`], [`Error::Store`],
    /// [`Error::NotStored`], [`Error::Core`], [`Error::Closed`], [`Error::NoRuntime`]. A failure is told to everyone
    /// who asks within the next second, or longer while it goes on, without another request.
    pub async fn token(&self) -> Result<AccessToken, Error> {
        self.obtain().await
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
    pub async fn token_valid_for(&self, at_least: Duration) -> Result<IssuedToken, Error> {
        self.obtain_lasting(at_least).await
    }

    /// Asks Coze whom the tokens speak for. If Coze refuses the token, it is renewed and Coze is asked once more, as by
    /// [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token), and [`Error::Core`] with what Coze or the transport says.
    pub async fn whoami(&self) -> Result<User, Error> {
        self.ask_whoami().await
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
    pub async fn integration(&self, name: &str) -> Result<IntegrationCredential, Error> {
        self.ask_integration(name).await
    }

    /// The variables of the workload's project. If Coze refuses the token, it is renewed and Coze is asked once more.
    ///
    /// # Errors
    ///
    /// As for [`integration`](Self::integration).
    pub async fn project_env(&self) -> Result<ProjectEnv, Error> {
        self.ask_project_env().await
    }

    /// Puts a valid token on the headers of a request to this URL.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token), and [`Error::OtherOrigin`].
    pub async fn authorize_headers(&self, url: &str, headers: &mut HeaderMap) -> Result<(), Error> {
        self.put_on(url, headers).await
    }

    /// Puts a valid token on a request of yours.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token), and [`Error::OtherOrigin`].
    pub async fn authorize<R>(&self, request: &mut R) -> Result<(), Error>
    where
        T: AuthorizeRequest<R>,
    {
        let (url, headers) = T::url_and_headers(request);
        self.authorize_headers(&url, headers).await
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
    pub async fn send<R>(
        &self,
        http: &<T as SendRequest<R>>::Http,
        request: R,
    ) -> Result<<T as SendRequest<R>>::Response, Error>
    where
        T: SendRequest<R>,
    {
        T::send_request(self, http, request, false).await
    }

    /// Like [`send`](Self::send), for a request that you know may be sent twice, whatever its method.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn send_repeatable<R>(
        &self,
        http: &<T as SendRequest<R>>::Http,
        request: R,
    ) -> Result<<T as SendRequest<R>>::Response, Error>
    where
        T: SendRequest<R>,
    {
        T::send_request(self, http, request, true).await
    }

    /// [`send`](Self::send) through a client of any kind: `send` sends a request once and gives its answer. That comes back as
    /// it arrived; a body that is not there yet stands in a [`PeekableBody`]. A request's body is cloned, to be sent
    /// once more.
    ///
    /// Nobody sees by which way a request went. So the client must not take the token to other origins by a redirect, and a
    /// refusal after a redirect that it followed counts as the API's own: best it follows none.
    ///
    /// ```
    /// # use coze_auth_tokens::Error;
    /// use coze_auth_tokens::core::http::{Request, Response};
    /// use coze_auth_tokens::tokio::{TokenSource, Transport};
    ///
    /// # struct MyClient;
    /// # impl MyClient {
    /// #     async fn request(&self, _: Request<&str>) -> Result<Response<Vec<u8>>, std::io::Error> { unimplemented!() }
    /// # }
    /// async fn me<T: Transport + Clone + 'static>(tokens: &TokenSource<T>, http: &MyClient) -> Result<Response<Vec<u8>>, Error> {
    ///     let request = Request::get("https://api.coze.cn/v1/users/me").body("").expect("a URL");
    ///     tokens.send_with(request, |request| http.request(request)).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`authorize_headers`](Self::authorize_headers), and [`Error::Request`] with your client's error.
    pub async fn send_with<B, A, E, F>(
        &self,
        request: http::Request<B>,
        send: impl Fn(http::Request<B>) -> F,
    ) -> Result<A, Error>
    where
        B: Clone,
        A: Answer,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: Future<Output = Result<A, E>>,
    {
        let repeatable = is_idempotent(request.method());
        self.send_by(request, repeatable, send).await
    }

    /// Like [`send_with`](Self::send_with), for a request that you know may be sent twice, whatever its method.
    ///
    /// # Errors
    ///
    /// As for [`send_with`](Self::send_with).
    pub async fn send_repeatable_with<B, A, E, F>(
        &self,
        request: http::Request<B>,
        send: impl Fn(http::Request<B>) -> F,
    ) -> Result<A, Error>
    where
        B: Clone,
        A: Answer,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: Future<Output = Result<A, E>>,
    {
        self.send_by(request, true, send).await
    }

    async fn send_by<B, A, E, F>(
        &self,
        request: http::Request<B>,
        repeatable: bool,
        send: impl Fn(http::Request<B>) -> F,
    ) -> Result<A, Error>
    where
        B: Clone,
        A: Answer,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: Future<Output = Result<A, E>>,
    {
        let ask = |request| {
            let sent = send(request);
            async {
                let mut answer = sent.await.map_err(Error::of_request)?;
                let refuses = answer.refuses_token().await.map_err(Error::of_request)?;
                Ok((answer, refuses.then_some(Refused::Token)))
            }
        };
        self.deliver(request, repeatable, ask).await
    }

    /// Takes the grant of a login: stored first, then served, in place of whatever there was.
    ///
    /// # Errors
    ///
    /// [`Error::NotStored`] if it cannot be stored: its code is spent, so it is served from memory all the same, and stored
    /// by one of the next calls for a token, or by [`close`](Self::close). [`Error::NotALogin`] if this is not a source
    /// of a login.
    pub async fn install(&self, grant: TokenGrant) -> Result<(), Error> {
        self.take(grant).await
    }

    /// Removes the grant from the store and from here. The tokens live on at Coze, which has no call to revoke
    /// them; other processes go on with the access token that they have, until it ends.
    ///
    /// # Errors
    ///
    /// As for [`install`](Self::install).
    pub async fn forget(&self) -> Result<(), Error> {
        self.remove().await
    }

    /// Ends it for all clones, and for its sessions: nobody gets a token any more, and a renewal that runs is waited
    /// for until it is stored, for as long as one request may take.
    ///
    /// # Errors
    ///
    /// [`Error::Unfinished`] if that was not long enough; [`Error::NotStored`] if a renewed grant could not be stored.
    pub async fn close(&self) -> Result<(), Error> {
        self.end().await
    }
}

impl<T: Transport + Clone + 'static> crate::Logins<Tokio<T>> {
    /// Like [`new`](crate::Logins::new), in a store that is awaited.
    pub fn new_async(
        transport: &T,
        app: impl Into<RefreshApp>,
        store: impl AsyncGrantStore + 'static,
    ) -> Self {
        Self::in_store(transport, app.into(), Store::awaited(store))
    }

    /// Takes the grant of a user's login: stored first, then served, in place of whatever there was.
    ///
    /// # Errors
    ///
    /// As for [`of`](crate::Logins::of) and [`TokenSource::install`](crate::TokenSource::install). After `close` it is
    /// [`Error::Closed`], and the grant is not taken: stop what brings logins first.
    pub async fn install(&self, subject: &str, grant: TokenGrant) -> Result<(), Error> {
        self.of(subject)?.take(grant).await
    }

    /// Logs a user out: removes the grant from the store and from here, also one that a renewal is just bringing. A
    /// source of this user that somebody holds has no token any more; after another login it has.
    ///
    /// # Errors
    ///
    /// As for [`of`](crate::Logins::of) and [`TokenSource::forget`](crate::TokenSource::forget).
    pub async fn forget(&self, subject: &str) -> Result<(), Error> {
        self.of(subject)?.remove().await
    }

    /// Ends it for all users: nobody gets a token any more, and the renewals that run are waited for until they are
    /// stored, all together for as long as one request may take.
    ///
    /// # Errors
    ///
    /// [`Error::Unfinished`] if that was not long enough; [`Error::NotStored`] if a renewed grant could not be stored.
    pub async fn close(&self) -> Result<(), Error> {
        self.end().await
    }
}
