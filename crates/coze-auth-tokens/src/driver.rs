//! How a token source sends, waits and starts a renewal: by blocking threads, or on tokio.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::{self as core, Flow, Now, Response, TransportFailure, UnixTime};
use coze_auth_store::GrantStore;

use crate::grants::Store;
use crate::refresh::{Next, Refresh};
use crate::source::Source;
use crate::wait::Waiting;
use crate::{Error, NetworkError, Obstacle};

/// What a token source runs on: [`blocking::Blocking`](crate::blocking::Blocking) over a transport that blocks,
/// `tokio::Tokio` over one that is awaited. Bring a transport, and not a driver of your own.
///
/// Everything is awaited. Where it blocks, it is ready at once.
pub trait Driver: Clone + fmt::Debug + Send + Sync + 'static {
    /// What sends.
    type Transport;

    /// Over this one.
    fn over(transport: Self::Transport) -> Self;
    /// Both clocks.
    fn now(&self) -> Now;
    /// The calendar alone.
    fn unix(&self) -> UnixTime;
    /// How long one request may take.
    fn timeout(&self) -> Duration;
    /// A store that blocks, as this is to ask it.
    fn store(store: Arc<dyn GrantStore>) -> Store;
    /// Drives a flow to its result.
    fn run<F: Flow + Send>(&self, flow: F)
    -> impl Future<Output = Result<F::Output, Error>> + Send;
    /// Lets this much time pass.
    fn sleep(&self, pause: Duration) -> impl Future<Output = ()> + Send;
    /// Waits for a renewal that somebody else makes.
    fn wait(&self, woken: Waiting, at_most: Duration) -> impl Future<Output = ()> + Send;
    /// # Errors
    ///
    /// Why a renewal that is taken on here could not be started.
    fn can_start(&self) -> Result<(), Error>;
    /// Starts a renewal that nobody who waits for it can end.
    fn start(&self, refresh: Refresh);
    /// Has something done that may hang or panic, for at most so long of the machine's time. It goes on after that.
    fn at_most<T: Send + 'static>(
        &self,
        longest: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + Send;
    /// The same, of something that blocks.
    fn block<T: Send + 'static>(
        &self,
        longest: Duration,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + Send;
    /// Waits until no renewal runs and all is stored, for at most as long as one request may take.
    fn settle(&self, sources: Vec<Arc<Source>>) -> impl Future<Output = Result<(), Error>> + Send;
    /// The last one that had these sources is gone.
    fn dropped(&self, sources: Vec<Arc<Source>>);
}

/// Carries a renewal out.
pub(crate) async fn renew<D: Driver>(driver: D, refresh: Refresh) {
    let mut next = refresh.begin().await;
    loop {
        next = match next {
            Next::Send(refresh, renewal) => {
                let result = match renewal.signed(&driver).await {
                    Ok(renewal) => driver.run(renewal).await,
                    Err(error) => Err(error),
                };
                // A runtime may be shut down before it is stored.
                refresh.note(&result);
                refresh.received(result).await
            }
            Next::Wait(refresh, pause) => {
                driver.sleep(pause).await;
                refresh.again().await
            }
            Next::Done => return,
        };
    }
}

/// Why a transport has no whole answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// Of this request: whether the server can have acted on it, and what stood in the way.
    Failed {
        /// Can the server have acted?
        failure: TransportFailure,
        /// What stood in the way, if that is known.
        cause: Option<NetworkError>,
    },
    /// Of any request: the HTTP client cannot be set up, or did what it must not. It ends every flow, as it is.
    Ends(Box<Error>),
}

impl SendError {
    /// Of an HTTP client's error. What stood in the way is told by the errors of the system and of `rustls` below it, and whether
    /// the server can have acted by that: it cannot if a name was unknown or a connection refused. Who knows more builds
    /// [`Failed`](Self::Failed).
    pub fn of(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let cause = NetworkError::of(Arc::from(error.into()));
        Self::Failed {
            failure: match cause.obstacle() {
                // A connection that was made can lose its route, too.
                Obstacle::Unreachable => TransportFailure::NoAnswer,
                obstacle => obstacle.failure(),
            },
            cause: Some(cause),
        }
    }
}

impl From<TransportFailure> for SendError {
    fn from(failure: TransportFailure) -> Self {
        let is_timeout = failure == TransportFailure::Timeout;
        Self::Failed {
            failure,
            cause: is_timeout.then(|| NetworkError::of_io(io::ErrorKind::TimedOut)),
        }
    }
}

/// What is known of the last request of a flow.
#[derive(Default)]
pub(crate) struct Known {
    is_answered: bool,
    cause: Option<NetworkError>,
}

impl Known {
    /// Takes what a transport gave for the flow, which ends here if any request would.
    pub(crate) fn reply(
        &mut self,
        reply: Result<Response, SendError>,
    ) -> Result<Result<Response, TransportFailure>, Error> {
        self.is_answered = reply.is_ok();
        self.cause = None;
        match reply {
            Ok(response) => Ok(Ok(response)),
            Err(SendError::Failed { failure, cause }) => {
                self.cause = cause;
                Ok(Err(failure))
            }
            Err(SendError::Ends(error)) => Err(*error),
        }
    }

    /// The error that ended the flow.
    pub(crate) fn of(self, error: core::Error) -> Error {
        // Not every HTTP client tells that an answer was cut off: then the core finds it.
        let is_cut_off = self.is_answered && matches!(error, core::Error::Transport { .. });
        let closed = || NetworkError::of_io(io::ErrorKind::UnexpectedEof);
        Error::Core {
            error,
            cause: self.cause.or_else(|| is_cut_off.then(closed)),
        }
    }
}

impl From<Error> for SendError {
    fn from(error: Error) -> Self {
        Self::Ends(Box::new(error))
    }
}
