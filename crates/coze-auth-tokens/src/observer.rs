//! What happens to tokens, told to those who run the application.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use coze_auth_core::error::GrantType;
use coze_auth_core::{ClockSkew, UnixTime};
use coze_auth_store::{Doubt, Listener, StoreError};

use crate::Error;

/// Something that happened to the token of a source: for the observer that [`observe`](crate::TokenSource::observe) takes.
///
/// No event holds a secret. `subject` is the application's own name for a person, so it may be personal data.
///
/// Its `Display` is one line for a log.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use coze_auth_tokens::blocking::{self, TokenSource};
/// use coze_auth_tokens::core::{Endpoints, jwt::{JwtApp, JwtGrant}};
///
/// # use coze_auth_tokens::core::error::SigningError;
/// # use coze_auth_tokens::core::jwt::Signer;
/// # struct Key;
/// # impl Signer for Key {
/// #     fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> { Ok(vec![7; 256]) }
/// # }
/// # use coze_auth_tokens::{SendError, core::{Request, Response}};
/// # #[derive(Clone)]
/// # struct MyTransport;
/// # impl blocking::Transport for MyTransport {
/// #     fn send(&self, _: Request) -> Result<Response, SendError> {
/// #         Ok(Response::new(br#"{"access_token":"a","expires_in":4000000000,"token_type":"Bearer"}"#.to_vec().into()))
/// #     }
/// # }
/// # fn main() -> Result<(), coze_auth_tokens::Error> {
/// # let app = JwtApp::new(Endpoints::cn(), "1000000001", "key-1", Key)?;
/// let log = Arc::new(Mutex::new(Vec::new()));
/// let told = log.clone();
/// let tokens = TokenSource::jwt(&MyTransport, app, JwtGrant::new())
///     .observe(move |event| told.lock().unwrap().push(event.to_string()));
/// tokens.token()?;
/// assert!(log.lock().unwrap()[0].ends_with("begun"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// When it happened, by the clock of the source.
    pub at: UnixTime,
    /// The id of the app.
    pub client_id: &'a str,
    /// By what grant the token is renewed: a refresh token, the assertion of a JWT app, or the client credentials of a workload.
    pub grant_type: GrantType,
    /// Whose token it is: the subject of a login, or the name of a session of a JWT app. None if it is the app's own, and if
    /// what happened is about the store.
    pub subject: Option<&'a str>,
    /// Number of the renewal, by which its events are told from those of any other in this process. None if the event
    /// belongs to no renewal.
    pub renewal: Option<u64>,
    /// What happened.
    pub kind: EventKind<'a>,
}

/// What happened to a token.
///
/// Each renewal that has [`Begun`](Self::Begun) ends once: as [`Done`](Self::Done), [`Taken`](Self::Taken),
/// [`Failed`](Self::Failed) or [`Refused`](Self::Refused). What else it has to tell comes just before that.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// A renewal has begun.
    Begun,
    /// Coze has given a new token: that of a JWT app was signed for here. Where grants are stored, it is stored.
    Done {
        /// When the new token ends, by Coze's clock.
        expires_at: UnixTime,
        /// Since it began.
        took: Duration,
        /// Number of requests that were sent. More than one, or more than the two of a workload: the first failed.
        requests: u32,
    },
    /// The store had a token that need not be renewed: another process has renewed it, somebody has logged in, or what
    /// could not be stored before is stored now. Of a token that is [shared](crate::TokenSource::shared) it says that nothing was signed here.
    Taken {
        /// When that token ends, by Coze's clock.
        expires_at: UnixTime,
        /// Since it began.
        took: Duration,
        /// Number of requests that were sent, all of which failed.
        requests: u32,
    },
    /// No new token, or one that is not stored: [`Error::NotStored`]. [`Error::Interrupted`] if the task or thread of the
    /// renewal has ended before it.
    Failed {
        /// Why.
        error: &'a Error,
        /// Since it began.
        took: Duration,
        /// Number of requests that were sent.
        requests: u32,
        /// How long nothing is tried. The first call for a token after that makes the next try. None without a
        /// pause: the renewal was late, and what arrived in the meantime counts.
        next_try: Option<Duration>,
        /// When the token ends that callers are given meanwhile, by Coze's clock. None if there is none.
        expires_at: Option<UnixTime>,
    },
    /// Coze has refused to give a new token. The members are those of [`Failed`](Self::Failed).
    Refused {
        /// What it said: [`Error::code`], [`Error::log_id`].
        error: &'a Error,
        /// Since it began.
        took: Duration,
        /// Number of requests that were sent.
        requests: u32,
        /// How long nothing is tried.
        next_try: Option<Duration>,
        /// When the token ends that callers are given meanwhile, by Coze's clock. None if there is none.
        expires_at: Option<UnixTime>,
    },
    /// The store of a token that is [shared](crate::TokenSource::shared) could not be used, and nobody has lost anything by it: this process asks
    /// for a token of its own, or could not hand on the one that it was given. The next renewal tries again.
    NotShared {
        /// Why.
        error: &'a StoreError,
    },
    /// A grant was stored.
    Stored {
        /// How long the store took.
        took: Duration,
    },
    /// The store says that the refresh token may be spent. The renewal has tried it, once.
    MaybeSpent(Doubt),
    /// What the store has to tell, in a sentence without a secret: what it has set right, or what endangers the logins in it, such as a
    /// setting of a Redis. An observer is told each once, however many sessions there are: what is known by then when it is added, what is found later
    /// just before the end of a renewal, or at any time if the store has a thread of its own.
    Notice(&'a str),
    /// The clock of this machine and that of the server are more than a minute apart.
    ClockSkew(ClockSkew),
    /// The API has refused the token, which is not handed out any more. The next call renews it.
    TokenRefused,
    /// The source of a session or of a user was evicted, since as many are kept as may be.
    Evicted {
        /// Its token was fresh: more users than are kept come at once.
        was_fresh: bool,
    },
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "app {}", self.client_id)?;
        if let Some(subject) = self.subject {
            write!(f, ", {subject}")?;
        }
        if let Some(renewal) = self.renewal {
            write!(f, ", renewal {renewal}")?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl fmt::Display for EventKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = Duration::as_secs_f64;
        match self {
            Self::Begun => f.write_str("begun"),
            Self::Done {
                expires_at,
                took,
                requests,
            } => {
                let (took, end) = (secs(took), expires_at.as_secs());
                write!(
                    f,
                    "done in {took:.3} s after {}, the token ends at {end}",
                    count(*requests)
                )
            }
            Self::Taken {
                expires_at,
                took,
                requests,
            } => {
                let (took, end) = (secs(took), expires_at.as_secs());
                write!(
                    f,
                    "taken from the store in {took:.3} s after {}, the token ends at {end}",
                    count(*requests)
                )
            }
            Self::Failed {
                error,
                took,
                requests,
                next_try,
                expires_at,
            }
            | Self::Refused {
                error,
                took,
                requests,
                next_try,
                expires_at,
            } => {
                let what = match self {
                    Self::Refused { .. } => "refused",
                    _ => "failed",
                };
                write!(
                    f,
                    "{what} in {:.3} s after {}",
                    secs(took),
                    count(*requests)
                )?;
                if let Some(pause) = next_try {
                    write!(f, ", next try in {:.3} s", secs(pause))?;
                }
                match expires_at {
                    Some(end) => write!(f, ", the token ends at {}", end.as_secs())?,
                    None => f.write_str(", without a token")?,
                }
                write!(f, ": {error}")
            }
            Self::NotShared { error } => {
                write!(f, "the token is not shared with other processes: {error}")
            }
            Self::Stored { took } => write!(f, "stored in {:.3} s", secs(took)),
            Self::MaybeSpent(doubt) => write!(f, "the refresh token may be spent: {doubt}"),
            Self::Notice(notice) => write!(f, "notice of the store: {notice}"),
            Self::ClockSkew(skew) => skew.fmt(f),
            Self::TokenRefused => f.write_str("the API refused the token"),
            Self::Evicted { was_fresh: true } => f.write_str("evicted with a fresh token"),
            Self::Evicted { was_fresh: false } => f.write_str("evicted"),
        }
    }
}

fn count(requests: u32) -> String {
    match requests {
        1 => "1 request".to_owned(),
        more => format!("{more} requests"),
    }
}

pub(crate) type Observer = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// Tells one of them. One that panics has done what it could: its trouble is not the renewal's.
pub(crate) fn tell(observer: &Observer, event: &Event<'_>) {
    let _ = catch_unwind(AssertUnwindSafe(|| observer(event)));
}

/// Whom a source, its sessions, and all that is made of the same app tell.
#[derive(Clone, Default)]
pub(crate) struct Observers(Arc<RwLock<All>>);

#[derive(Default)]
struct All {
    observers: Vec<Observer>,
    /// By these the stores tell them. A store does not keep them.
    listeners: Vec<Arc<Listener>>,
}

impl Observers {
    pub(crate) fn add(&self, observer: Observer) {
        self.writing().observers.push(observer);
    }

    /// Keeps by what a store tells one of them, as long as there is somebody to tell.
    pub(crate) fn keep(&self, listener: Arc<Listener>) {
        self.writing().listeners.push(listener);
    }

    fn writing(&self) -> RwLockWriteGuard<'_, All> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all(&self) -> Vec<Observer> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.observers.clone()
    }

    /// Tells all of them, none under a lock.
    pub(crate) fn tell<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        let all = self.all();
        if all.is_empty() {
            return;
        }
        let event = event();
        for observer in all {
            tell(&observer, &event);
        }
    }
}
