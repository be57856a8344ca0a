//! What went wrong: whose fault, what, whether to try again, and the log id to give to Coze's support.
//!
//! Errors are made from an allowlist of fields. None holds a body or a secret; text that came from a
//! server is cut to 200 characters, its control characters are escaped, and secrets that we sent and
//! that it repeats are masked.

mod answer;
mod config;
mod text;

use std::fmt;
use std::time::Duration;

pub(crate) use answer::Origin;
pub use answer::{ErrorCode, Oddity, Refused, Unexpected};
pub use config::{ConfigError, Problem};
pub(crate) use text::{ServerText, is_invisible};

/// Why a flow ended without its result.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The caller's: a value that cannot work, found before anything was sent.
    Config(ConfigError),
    /// The callback does not complete this login.
    Callback(CallbackError),
    /// Coze said no.
    Refused(Refused),
    /// Coze, or something on the way to it, answered in a way that cannot be read.
    Unexpected(Unexpected),
    /// The network's: no whole answer arrived.
    Transport {
        /// What is known of the request's fate.
        failure: TransportFailure,
        /// Whether it carried an authorization code or refresh token, which works once.
        single_use: bool,
        /// Where it was sent: scheme, host and port.
        to: String,
    },
    /// The person refused the device authorization.
    DeviceDenied {
        /// Coze's log id of the answer that said so.
        log_id: Option<String>,
    },
    /// The device code expired before the person approved. Start again and show the new user code.
    DeviceExpired {
        /// Coze's log id, if Coze said so; none if the time it gave had run out here.
        log_id: Option<String>,
    },
    /// The signer could not sign the assertion.
    Signing(SigningError),
    /// The driver asked a flow that has already given its result.
    FlowFinished,
}

/// Whether sending the same thing again can help.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Retry {
    /// It cannot: something must change first.
    Never,
    /// It can, after at least this pause, which should grow from try to try. A JWT grant needs a new
    /// call, because every assertion is good for one attempt.
    After(Duration),
    /// Unknown: Coze may have acted, and the authorization code or refresh token that was sent may be
    /// spent. How Coze takes a second use is not known (protocol §14): it may refuse, and it may end the
    /// grant (RFC 6749 §4.1.2, RFC 9700 §4.14.2). A new login is the sure way. Whoever tries again all the same
    /// waits for at least this long first.
    MaybeSpent(Duration),
}

/// The pause that [`Retry`] names when the server named none.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl Retry {
    /// For a failure that may pass: `acted` tells whether the server may have acted on the request.
    pub(crate) fn passing(single_use: bool, acted: bool, pause: Option<Duration>) -> Self {
        let pause = pause.unwrap_or(RETRY_PAUSE);
        match single_use && acted {
            true => Self::MaybeSpent(pause),
            false => Self::After(pause),
        }
    }
}

impl Error {
    /// Whether sending the same thing again can help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused(refused) => refused.retry(),
            Self::Unexpected(unexpected) => unexpected.retry(),
            Self::Transport {
                failure,
                single_use,
                ..
            } => Retry::passing(*single_use, *failure != TransportFailure::NotSent, None),
            _ => Retry::Never,
        }
    }

    /// Coze's id of the answer, from `x-tt-logid` or the body. Its support asks for it.
    pub fn log_id(&self) -> Option<&str> {
        match self {
            Self::Refused(refused) => refused.log_id(),
            Self::Unexpected(unexpected) => unexpected.log_id(),
            Self::DeviceDenied { log_id } | Self::DeviceExpired { log_id } => log_id.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Callback(error) => error.fmt(f),
            Self::Refused(refused) => refused.fmt(f),
            Self::Unexpected(unexpected) => unexpected.fmt(f),
            Self::Transport {
                failure,
                single_use,
                to,
            } => {
                write!(f, "{to}: {failure}")?;
                if *single_use && *failure != TransportFailure::NotSent {
                    f.write_str("; the code or refresh token that was sent may be spent, and then a new login is needed")?;
                }
                Ok(())
            }
            Self::DeviceDenied { log_id } => {
                f.write_str("the person refused the device authorization")?;
                text::write_log_id(f, log_id.as_deref())
            }
            Self::DeviceExpired { log_id } => {
                f.write_str("the device code expired before it was approved; start again and show the new user code")?;
                text::write_log_id(f, log_id.as_deref())
            }
            Self::Signing(error) => error.fmt(f),
            Self::FlowFinished => {
                f.write_str("this flow has already given its result; the driver must stop at Done")
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<CallbackError> for Error {
    fn from(error: CallbackError) -> Self {
        Self::Callback(error)
    }
}

impl From<SigningError> for Error {
    fn from(error: SigningError) -> Self {
        Self::Signing(error)
    }
}

/// How a transport failed, told by its consequence: can the server have acted on the request?
///
/// A torn answer looks different in every HTTP client; what a flow needs to know is the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums)] // drivers build it: no, perhaps, and perhaps after waiting in vain
pub enum TransportFailure {
    /// Not a byte of the request left: no name, no route, refused connection, failed TLS handshake.
    NotSent,
    /// The request may have arrived; no whole answer came back.
    NoAnswer,
    /// The request may have arrived; no whole answer came back in the time allowed.
    Timeout,
}

impl fmt::Display for TransportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => {
                "could not be reached, and nothing was sent: check the address, the network and TLS"
            }
            Self::NoAnswer => "the connection broke before a whole answer came",
            Self::Timeout => "no whole answer came in time",
        })
    }
}

impl std::error::Error for TransportFailure {}

/// Why a callback does not complete a login.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CallbackError {
    /// Its `state` is missing or belongs to another attempt: a stray or forged request
    /// (RFC 6749 §10.12). The pending authorization is still good.
    StateMismatch,
    /// The login was started by another app, or at another base: by another client id, or in the other
    /// region (RFC 9700 §4.4, mix-up). The pending authorization is still good, for its own app.
    OtherApp,
    /// The authorization was refused (RFC 6749 §4.1.2.1). Coze documents no form of this (protocol §4.5).
    Refused {
        /// The callback's `error`.
        code: ErrorCode,
        /// The callback's `error_description`, cleaned; empty if absent.
        description: String,
    },
    /// It has neither a `code` nor an `error`.
    NoCode,
    /// It has a parameter twice (RFC 6749 §3.1).
    Repeated(&'static str),
    /// Its `code` has a character that no code has.
    BadCode,
}

impl fmt::Display for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateMismatch => f.write_str(
                "the callback's state is not the one of this login: a stray or forged request; \
                 answer it with an error page and keep waiting for the right one",
            ),
            Self::OtherApp => {
                f.write_str("this login was started by another app or at another base")
            }
            Self::Refused { code, description } => {
                write!(f, "the authorization was refused: {code}")?;
                if description.is_empty() {
                    Ok(())
                } else {
                    write!(f, ": {description}")
                }
            }
            Self::NoCode => {
                f.write_str("the callback has neither a code nor an error; start the login again")
            }
            Self::Repeated(name) => write!(
                f,
                "the callback has the parameter {name} twice, which a server never sends"
            ),
            Self::BadCode => f.write_str("the callback's code is malformed; start the login again"),
        }
    }
}

impl std::error::Error for CallbackError {}

/// Why a [`Signer`](crate::jwt::Signer) did not sign, in its own words. Put no secret in them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningError(String);

impl SigningError {
    /// Takes the signer's words.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the assertion was not signed: {}", self.0)
    }
}

impl std::error::Error for SigningError {}
