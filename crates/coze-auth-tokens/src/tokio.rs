//! Token sources and flows over a transport that is awaited, on tokio.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::tokio::runtime::Handle;
use ::tokio::time::timeout;
use coze_auth_core::http::HeaderMap;
use coze_auth_core::{
    AccessToken, Flow, IssuedToken, Now, RefreshApp, Request, Response, Step, TokenGrant, UnixTime,
};
use coze_auth_store::{AsyncGrantStore, GrantStore};

use crate::driver::{Driver, SendError, renew};
use crate::grants::Store;
use crate::refresh::Refresh;
use crate::renewal::Renewal;
use crate::source::{Source, Timeouts};
use crate::token_source::Carries;
use crate::wait::Waiting;
use crate::{Error, NetworkError, system_now};

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
    /// being slept on would pass at once, while whoever is waited for is still at work. A clock of your own that
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

/// What an adapter's users have at hand, a request of its HTTP client or a builder: for [`send`](TokenSource::send).
pub trait Sends<R>: Transport + Clone + Sized + 'static {
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
    fn send_with(
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
    let mut known: Option<NetworkError> = None;
    loop {
        // Taken apart before anything is awaited: a run can move between threads if its flow can,
        // whatever the flow gives in the end.
        let todo = match flow.step(time.now()) {
            Step::Send(request) => Ok(request),
            Step::Wait(pause) => Err(pause),
            Step::Done(result) => {
                return result.map_err(|error| Error::Core {
                    error,
                    cause: known,
                });
            }
        };
        let reply = match todo {
            Ok(request) => transport.send(request).await,
            Err(pause) => {
                time.sleep(pause).await;
                continue;
            }
        };
        let reply = match reply {
            Ok(response) => {
                known = None;
                Ok(response)
            }
            Err(SendError::Failed { failure, cause }) => {
                known = cause;
                Err(failure)
            }
            Err(SendError::Ends(error)) => return Err(*error),
        };
        flow.receive(reply, time.now());
    }
}

/// A token source over a transport that is awaited.
///
/// **Keep the runtime alive until [`close`](crate::TokenSource::close) has ended.** A renewal that is dropped with its
/// runtime may take a rotated refresh token with it. No task is started before one is needed.
pub type TokenSource<T> = crate::TokenSource<Tokio<T>>;

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
        self.0.timeout()
    }

    fn store(store: Arc<dyn GrantStore>) -> Store {
        Store::on_threads(store)
    }

    async fn send(&self, renewal: Renewal) -> Result<TokenGrant, Error> {
        run(&self.0, renewal).await
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
        match timeout(longest, ::tokio::spawn(work)).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) if error.is_panic() => Err(io::Error::other("it panicked")),
            Ok(Err(_)) => Err(io::Error::other("its runtime was shut down")),
            Err(_) => {
                let text = format!("it has not answered in {} s", longest.as_secs());
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            }
        }
    }

    async fn settle(&self, source: Arc<Source>) -> Result<(), Error> {
        let patience = source.timeout();
        let settled = async {
            while let Some((woken, at_most)) = source.running() {
                self.wait(woken, at_most).await;
            }
            let stored = ::tokio::spawn(source.clone().flush(patience));
            stored.await.map_err(|_| Error::Interrupted)?
        };
        // Real time, as the timeouts of HTTP are.
        timeout(patience, settled)
            .await
            .unwrap_or(Err(Error::Unfinished))
    }

    fn dropped(&self, _: &Arc<Source>) {}
}

impl<T: Transport + Clone + 'static> crate::TokenSource<Tokio<T>> {
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
    /// minutes. So whoever asks for an hour of a token that lives a quarter of one gets one that was renewed a minute ago at the
    /// most, and its end says how long it lasts; a JWT app asks for a longer life with `JwtGrant::ttl`.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token); also if the token has less left and cannot be renewed now: `token` still
    /// gives it while it lasts.
    pub async fn token_valid_for(&self, at_least: Duration) -> Result<IssuedToken, Error> {
        self.obtain_lasting(at_least).await
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
        T: Carries<R>,
    {
        let (url, headers) = T::url_and_headers(request);
        self.authorize_headers(&url, headers).await
    }

    /// Sends a request of yours, or a builder, with a token, through an HTTP client of yours, and gives the answer as it
    /// came, whatever its status. If the API refuses the token (401, or the codes 4100 and 700012006), it is renewed; a
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
        http: &<T as Sends<R>>::Http,
        request: R,
    ) -> Result<<T as Sends<R>>::Response, Error>
    where
        T: Sends<R>,
    {
        T::send_with(self, http, request, false).await
    }

    /// Like [`send`](Self::send), for a request that you know may be sent twice, whatever its method.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn send_repeatable<R>(
        &self,
        http: &<T as Sends<R>>::Http,
        request: R,
    ) -> Result<<T as Sends<R>>::Response, Error>
    where
        T: Sends<R>,
    {
        T::send_with(self, http, request, true).await
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
