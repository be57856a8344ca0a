//! What can go wrong on top of what the core knows.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::authorize::CallbackRejected;
use coze_auth_core::cache::RefreshError;
use coze_auth_core::endpoint::origin;
use coze_auth_core::error::{
    CallbackError, ConfigError, ErrorCode, ErrorKind, Refused, SigningError, holds_secret, report,
};
use coze_auth_core::{self as core, Retry};
use coze_auth_store::{Cause, Doubt, GrantKey, StoreError};

use crate::NetworkError;

/// How long to wait at least for what passes by itself.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// Why a call has no result.
///
/// Branch on [`kind`](Self::kind); the variants are for who wants to know more.
/// `Display` says what happened and what to do; `Debug` adds the causes, since `main` and `unwrap` print it.
/// What the HTTP library or the system said about it is in
/// [`source`](std::error::Error::source) only, so a report that prints the chain says nothing twice.
#[derive(Clone)]
#[non_exhaustive]
pub enum Error {
    /// What the core says: a refusal, an answer that cannot be read, a failed transport, a bad value.
    Core {
        /// The core's error.
        error: core::Error,
        /// The HTTP client's own error and what is made of it, if the last request got no whole answer.
        cause: Option<NetworkError>,
    },
    /// Coze refused to renew the grant.
    RefreshRefused(Refused),
    /// Coze refused to renew the grant, and the store had said that its refresh token may be spent. It is not tried again.
    MaybeSpent {
        /// What Coze said.
        refused: Refused,
        /// What the store said.
        doubt: Doubt,
    },
    /// The store has no grant for this subject, or none that can be renewed any more: a person must log in.
    LoginNeeded(GrantKey),
    /// This source has no login to take or to remove: its token is of the console, of a JWT app or of a workload.
    NotALogin,
    /// This source is not a JWT app's, so it has no sessions.
    NotAJwtApp,
    /// This source is not a workload's, so it has no integrations and no project variables.
    NotAWorkload,
    /// This source has no token that processes can share: its token is of the console, which all have that know it, or of a login,
    /// which rests in a store already.
    NothingToShare,
    /// The key is another app's than the one whose key it was to replace.
    OtherApp {
        /// The id of the app that it is of.
        client_id: String,
        /// Where that app is.
        api: String,
    },
    /// The grant could not be read or stored.
    Store(StoreError),
    /// The grant, of a renewal or of a login, could not be stored. It waits in this process: its token is served while it
    /// lasts, and the next tries store it without another request. A process that ends before has lost the login.
    NotStored(StoreError),
    /// A token was to be sent to another origin than the API's.
    OtherOrigin {
        /// Where it would have gone: scheme, host and port.
        to: String,
        /// Where it belongs.
        api: String,
    },
    /// The renewal that everyone waited for ended without a word: its task panicked, or its runtime or thread
    /// was shut down.
    Interrupted,
    /// A renewal, a login, a logout or a close needs a tokio runtime, and is called outside of one.
    NoRuntime,
    /// A renewal has not ended in the time that all of its requests may take together: the store of grants, or the
    /// signer, hangs. If it ends with a grant after all, that is taken.
    TimedOut {
        /// How long that was.
        waited: Duration,
    },
    /// As many renewals of the app as may run at once have run all the time, and none has come to a result: Coze does not
    /// answer, or the store of grants or the signer hangs. Nothing was sent for this caller.
    NoTurn {
        /// How long it has waited for its turn.
        waited: Duration,
    },
    /// A renewal was still running when its source was closed.
    Unfinished,
    /// The one who waited called it off.
    Cancelled,
    /// The token source was closed.
    Closed,
    /// The HTTP client could not be set up.
    Build(Cause),
    /// The HTTP client that was handed over follows redirects, and followed one: the credential may
    /// have gone there.
    Redirected {
        /// The last origin that is known of: scheme, host and port.
        to: String,
    },
    /// A request of the application's own was redirected, and the answer at the end refuses a token. The HTTP client
    /// need not have taken ours along, so the answer says nothing about it, and it is kept.
    RefusedElsewhere {
        /// Where the request ended: scheme, host and port.
        to: String,
    },
    /// The HTTP client of the application failed at the application's own request.
    Request(NetworkError),
    /// A login in the browser of this machine cannot listen where its redirect URI leads.
    Listen {
        /// Where: address and port.
        at: SocketAddr,
        /// Why not.
        cause: Arc<io::Error>,
    },
    /// The callback of a login in the browser of this machine did not arrive in the time for it.
    NoCallback {
        /// How long that was.
        waited: Duration,
        /// What arrived instead and was refused, for the words. None if nothing arrived.
        refused: Option<&'static str>,
    },
    /// The operating system gave no random bytes.
    Entropy(Arc<io::Error>),
    /// The system gave no thread.
    Thread(Arc<io::Error>),
    /// A file could not be read.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: Arc<io::Error>,
    },
}

impl Error {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Core {
                error: core::Error::Transport { failure, .. },
                cause: Some(cause),
            } if cause.needs_settings(*failure) => ErrorKind::Settings,
            Self::Core { error, .. } => error.kind(),
            Self::RefreshRefused(refused) | Self::MaybeSpent { refused, .. } => refused.kind(),
            Self::LoginNeeded(_) | Self::NoCallback { .. } => ErrorKind::LoginNeeded,
            Self::Store(error) => error.kind(),
            Self::NotStored(_)
            | Self::Interrupted
            | Self::TimedOut { .. }
            | Self::NoTurn { .. }
            | Self::Thread(_) => ErrorKind::Wait(PAUSE),
            Self::Build(_)
            | Self::Redirected { .. }
            | Self::File { .. }
            | Self::Listen { .. }
            | Self::OtherApp { .. } => ErrorKind::Settings,
            Self::Request(cause) => cause.kind(),
            Self::NotALogin
            | Self::NotAJwtApp
            | Self::NotAWorkload
            | Self::NothingToShare
            | Self::OtherOrigin { .. }
            | Self::RefusedElsewhere { .. }
            | Self::NoRuntime
            | Self::Unfinished
            | Self::Cancelled
            | Self::Closed
            | Self::Entropy(_) => ErrorKind::Other,
        }
    }

    /// The code that Coze refused with, be it in an answer or on the callback.
    pub fn code(&self) -> Option<&ErrorCode> {
        match self {
            Self::Core { error, .. } => error.code(),
            Self::RefreshRefused(refused) | Self::MaybeSpent { refused, .. } => {
                Some(refused.code())
            }
            _ => None,
        }
    }

    /// Whether Coze has refused the renewal, and not something else gone wrong.
    pub(crate) fn is_refusal(&self) -> bool {
        let of_core = |error: &core::Error| matches!(error, core::Error::Refused(_));
        matches!(self, Self::RefreshRefused(_) | Self::MaybeSpent { .. })
            || matches!(self, Self::Core { error, .. } if of_core(error))
    }

    /// Whether sending the same thing again can help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Core { error, .. } => error.retry(),
            Self::RefreshRefused(refused) | Self::MaybeSpent { refused, .. } => refused.retry(),
            // A damaged file waits for a login; whatever else a store has can pass, and is tried again.
            Self::Store(error) if error.is_damaged() => Retry::Never,
            Self::Store(_)
            | Self::NotStored(_)
            | Self::Interrupted
            | Self::TimedOut { .. }
            | Self::NoTurn { .. }
            | Self::Thread(_) => Retry::After(PAUSE),
            _ => Retry::Never,
        }
    }

    /// Of a credential that may have gone to this URL by a redirect. The path may hold a secret, and is left out.
    pub fn redirected(url: &str) -> Self {
        Self::Redirected {
            to: origin(url).unwrap_or_default(),
        }
    }

    /// Of a request that was redirected to this URL and refused there. The path may hold a secret, and is left out.
    pub fn refused_elsewhere(url: &str) -> Self {
        Self::RefusedElsewhere {
            to: origin(url).unwrap_or_default(),
        }
    }

    /// Of an HTTP client of the application's that failed at the application's own request.
    pub(crate) fn of_request(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Request(NetworkError::of(Arc::from(error.into())))
    }

    /// Whether a person has to log in, or to log in again. After a refused renewal other than by `invalid_grant` it
    /// may be the app's settings that are wrong, and then the login fails, too; what Coze says to a spent refresh
    /// token is not known.
    pub fn needs_login(&self) -> bool {
        self.kind().needs_login()
    }

    /// Coze's id of the answer. Its support asks for it.
    pub fn log_id(&self) -> Option<&str> {
        match self {
            Self::Core { error, .. } => error.log_id(),
            Self::RefreshRefused(refused) | Self::MaybeSpent { refused, .. } => refused.log_id(),
            _ => None,
        }
    }
}

impl RefreshError for Error {
    fn retry(&self) -> Retry {
        Self::retry(self)
    }

    fn is_invalid_grant(&self) -> bool {
        let is_refusal = matches!(self, Self::RefreshRefused(_) | Self::MaybeSpent { .. });
        is_refusal && self.code() == Some(&ErrorCode::InvalidGrant)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core {
                error,
                cause: Some(cause),
            } => cause.fmt_of(error, f),
            Self::Core { error, .. } => error.fmt(f),
            Self::RefreshRefused(refused) if refused.retry() != Retry::Never => {
                write!(f, "the grant was not renewed: {refused}; wait, it is tried again")
            }
            // The refusal's own words say what to do: log in again.
            Self::RefreshRefused(refused) if *refused.code() == ErrorCode::InvalidGrant => {
                write!(f, "the grant was not renewed: {refused}")
            }
            Self::RefreshRefused(refused) => write!(
                f,
                "the grant was not renewed: {refused}; log in again, or check client id and secret"
            ),
            Self::MaybeSpent { refused, doubt } => {
                write!(f, "the grant was not renewed: {refused}")?;
                if *refused.code() != ErrorCode::InvalidGrant {
                    f.write_str("; log in again, or check client id and secret")?;
                }
                write!(f, "; {doubt}, so its refresh token may be spent")
            }
            Self::LoginNeeded(key) => write!(
                f,
                "{} must log in to {} with app {}: the store has no grant, or none that can be renewed any more",
                key.subject(),
                key.api_base(),
                key.client_id()
            ),
            Self::NotALogin => f.write_str(
                "this token source has no login: its token is of the console, of a JWT app or of a workload",
            ),
            Self::NotAJwtApp => {
                f.write_str("this token source is not a JWT app's, so it has no sessions")
            }
            Self::NothingToShare => f.write_str(
                "this source has no token that processes can share: only those of a JWT app and of a workload are; a login rests in \
                 its store already",
            ),
            Self::NotAWorkload => f.write_str(
                "this token source is not a workload's, so it has no integrations and no project variables",
            ),
            Self::OtherApp { client_id, api } => write!(
                f,
                "the new key is of app {client_id} at {api}, which is not the app whose key it was to replace, so the key is as \
                 before: give each app a token source of its own"
            ),
            Self::Store(error) => error.fmt(f),
            Self::NotStored(error) => write!(
                f,
                "{error}; the new grant waits in this process, which serves its token and tries again to store it: a \
                 process that ends before has lost the login"
            ),
            Self::OtherOrigin { to, api } => write!(
                f,
                "a token for {api} was to be sent to {to}, so it was not; allow that origin by name if it is yours"
            ),
            Self::Interrupted => f.write_str(
                "the renewal ended without a word: its task panicked, or its runtime was shut down before close()",
            ),
            Self::NoRuntime => f.write_str("this needs a tokio runtime, and is called outside of one"),
            Self::TimedOut { waited } => write!(
                f,
                "the renewal of the grant has not ended in {} s: the store of grants hangs, or the signer; \
                 what it brings is taken when it ends",
                waited.as_secs()
            ),
            Self::NoTurn { waited } => write!(
                f,
                "it was not this token's turn to be renewed in {} s: as many renewals of the app as may run at once \
                 come to no result; Coze does not answer, or the store of grants or the signer hangs",
                waited.as_secs()
            ),
            Self::Unfinished => f.write_str(
                "a renewal was still running when the token source was closed; it is stored if the process lives on",
            ),
            Self::Cancelled => f.write_str("called off by the one who waited"),
            Self::Closed => f.write_str("the token source was closed"),
            Self::Build(_) => f.write_str(
                "the HTTP client could not be set up; on a machine without CA certificates install them \
                 (ca-certificates), or hand over a client with roots of your own",
            ),
            Self::Redirected { to } => write!(
                f,
                "the HTTP client followed a redirect to {to}, so the credential may have gone there: replace \
                 it, and keep the client from following redirects (redirect::Policy::none(), max_redirects(0))",
            ),
            Self::RefusedElsewhere { to } => write!(
                f,
                "the request was redirected to {to}, and the answer there refuses a token that need not have come \
                 along: yours is kept; send the request to where it ends, and allow that origin by name if it is \
                 another of yours",
            ),
            Self::Request(cause) => write!(f, "the request got no answer: {cause}"),
            Self::Listen { at, cause } => {
                write!(f, "the login cannot listen on {at}, where its redirect URI leads: ")?;
                match cause.kind() {
                    io::ErrorKind::AddrInUse => f.write_str(
                        "another program has that port; it may be an earlier login that still waits: end it, or register a redirect \
                         URI with another port",
                    ),
                    io::ErrorKind::PermissionDenied => f.write_str(
                        "the system does not let this program have that port; register a redirect URI with a port from 1024 up",
                    ),
                    io::ErrorKind::AddrNotAvailable => f.write_str(
                        "this machine does not have that address; register a redirect URI with 127.0.0.1",
                    ),
                    _ => write!(f, "{cause}"),
                }
            }
            Self::NoCallback { waited, refused } => {
                write!(f, "no callback of the login arrived in {} s", waited.as_secs())?;
                if let Some(refused) = refused {
                    write!(f, ", but {refused}")?;
                }
                f.write_str(
                    "; it is over: log in again; a tab of it that is still open will say that it cannot connect, and can be closed",
                )
            }
            Self::Entropy(_) => f.write_str("the operating system gave no random bytes"),
            Self::Thread(_) => f.write_str("the system gave no thread"),
            Self::File { path, cause } => match holds_secret(&path.to_string_lossy()) {
                true => write!(
                    f,
                    "what is named as a file seems to be a key, a token or a configuration itself, and cannot be read: {cause}"
                ),
                false => write!(f, "{} cannot be read: {cause}", path.display()),
            },
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // The core's error has spoken in `Display` and has no source of its own.
            Self::Core { cause, .. } => cause.as_ref().and_then(StdError::source),
            Self::Request(cause) => cause.source(),
            Self::Build(cause) => Some(&**cause),
            // The store's error has spoken in `Display`, too.
            Self::Store(error) | Self::NotStored(error) => error.source(),
            Self::Listen { cause, .. } | Self::Entropy(cause) | Self::Thread(cause) => {
                Some(&**cause)
            }
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<core::Error> for Error {
    fn from(error: core::Error) -> Self {
        Self::Core { error, cause: None }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        core::Error::from(error).into()
    }
}

impl From<CallbackError> for Error {
    fn from(error: CallbackError) -> Self {
        core::Error::from(error).into()
    }
}

impl From<CallbackRejected> for Error {
    fn from(rejected: CallbackRejected) -> Self {
        core::Error::from(rejected).into()
    }
}

impl From<SigningError> for Error {
    fn from(error: SigningError) -> Self {
        core::Error::from(error).into()
    }
}
