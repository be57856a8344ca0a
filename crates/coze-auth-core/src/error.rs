//! What went wrong: whose fault, what, whether to try again, and the log id to give to Coze's support.
//!
//! Errors are made from an allowlist of fields. None holds a body or a secret; text from a
//! server is cut to 200 characters, its control characters are escaped, and secrets that we sent and
//! that it repeats are masked.

mod answer;
mod config;
mod kind;
mod report;
mod text;

use std::fmt;
use std::time::Duration;

pub(crate) use answer::Origin;
pub use answer::{ErrorCode, Oddity, Refused, Unexpected};
pub use config::{ConfigError, Problem};
use kind::Step;
pub use kind::{ErrorKind, GrantType};
pub use report::report;
pub(crate) use text::ServerText;
pub(crate) use text::is_token;
pub use text::{holds_secret, is_invisible};

/// Why a flow ended without its result.
///
/// Branch on [`kind`](Self::kind); the variants are for who wants to know more. `Display` says what happened and
/// what to do; `Debug` the same, since `main` and `unwrap` print it.
#[derive(Clone, Eq, PartialEq)]
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
        /// What it would have traded for a token, if it asked for one.
        grant: Option<GrantType>,
        /// Where it was sent: scheme, host and port.
        to: String,
    },
    /// The time that Coze gave for a device authorization is over, by this machine's clock. (Where Coze says so
    /// first, it is [`Refused`](Self::Refused) with [`ErrorCode::ExpiredToken`].) Start again and show the new user code.
    DeviceExpired {
        /// Coze's log id of the last answer, if the time ran out with it.
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
    /// grant (RFC 6749 §4.1.2, RFC 9700 §4.14.2). A new login is the sure way. A caller that tries again all the same
    /// waits for at least this long first.
    MaybeSpent(Duration),
}

/// The pause that [`Retry`] names when the server named none.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl Retry {
    /// For a failure that may pass: `acted` tells whether the server may have acted on the request.
    pub(crate) fn passing(sent: Option<GrantType>, acted: bool, pause: Option<Duration>) -> Self {
        let pause = pause.unwrap_or(RETRY_PAUSE);
        match acted && sent.is_some_and(GrantType::is_single_use) {
            true => Self::MaybeSpent(pause),
            false => Self::After(pause),
        }
    }
}

impl Error {
    /// What to do about it.
    ///
    /// ```
    /// use coze_auth_core::error::{CallbackError, Error, ErrorKind};
    ///
    /// let error = Error::from(CallbackError::NoCode);
    /// match error.kind() {
    ///     ErrorKind::Denied => println!("you said no"),
    ///     ErrorKind::CodeExpired => println!("the code has expired; here is a new one"),
    ///     ErrorKind::LoginNeeded => println!("please log in"),
    ///     ErrorKind::Wait(pause) => println!("trying again in {pause:?}"),
    ///     ErrorKind::Settings => println!("tell the operator: {error}"),
    ///     _ => println!("{error}"),
    /// }
    /// # assert_eq!(error.kind(), ErrorKind::LoginNeeded);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) => ErrorKind::Settings,
            Self::Callback(error) => error.kind(),
            Self::Refused(refused) => refused.kind(),
            Self::Unexpected(unexpected) => unexpected.kind(),
            Self::Transport { grant, .. } => {
                ErrorKind::passing(self.retry(), *grant).unwrap_or(ErrorKind::Other)
            }
            Self::DeviceExpired { .. } => ErrorKind::CodeExpired,
            Self::Signing(error) => {
                ErrorKind::passing(error.retry(), None).unwrap_or(ErrorKind::Other)
            }
            Self::FlowFinished => ErrorKind::Other,
        }
    }

    /// Whether a person has to log in, or to log in again.
    pub fn needs_login(&self) -> bool {
        self.kind().needs_login()
    }

    /// The code that Coze refused with, be it in an answer or on the callback.
    pub fn code(&self) -> Option<&ErrorCode> {
        match self {
            Self::Refused(refused) => Some(refused.code()),
            Self::Callback(error) => error.code(),
            _ => None,
        }
    }

    /// What the request would have traded for a token, if it asked for one: of a workload's two requests it tells which one
    /// failed.
    pub fn grant_type(&self) -> Option<GrantType> {
        match self {
            Self::Refused(refused) => refused.origin.grant,
            Self::Unexpected(unexpected) => unexpected.origin.grant,
            Self::Transport { grant, .. } => *grant,
            _ => None,
        }
    }

    /// Writes what `Display` does, with the reason that only the transport knows in the place of general advice.
    ///
    /// # Errors
    ///
    /// As the writer's.
    pub fn fmt_because(
        &self,
        reason: &dyn fmt::Display,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        match self {
            Self::Transport {
                failure, grant, to, ..
            } => {
                write!(f, "{to}{}: {failure}: {reason}", Step(*grant))?;
                write_maybe_spent(f, self.retry(), *grant)
            }
            _ => fmt::Display::fmt(self, f),
        }
    }

    /// Whether sending the same thing again can help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused(refused) => refused.retry(),
            Self::Unexpected(unexpected) => unexpected.retry(),
            Self::Transport { failure, grant, .. } => {
                Retry::passing(*grant, *failure != TransportFailure::NotSent, None)
            }
            Self::Signing(error) => error.retry(),
            _ => Retry::Never,
        }
    }

    /// Coze's id of the answer, from `x-tt-logid` or the body. Its support asks for it.
    pub fn log_id(&self) -> Option<&str> {
        match self {
            Self::Refused(refused) => refused.log_id(),
            Self::Unexpected(unexpected) => unexpected.log_id(),
            Self::DeviceExpired { log_id } => log_id.as_deref(),
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
                failure: TransportFailure::NotSent,
                ..
            } => self.fmt_because(&"check the address, the network and TLS", f),
            Self::Transport { failure, grant, to } => {
                write!(f, "{to}{}: {failure}", Step(*grant))?;
                write_maybe_spent(f, self.retry(), *grant)
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

/// What a retry of it may meet, and what is left then.
fn write_maybe_spent(
    f: &mut fmt::Formatter<'_>,
    retry: Retry,
    sent: Option<GrantType>,
) -> fmt::Result {
    match (retry, sent) {
        (Retry::MaybeSpent(_), Some(GrantType::AuthorizationCode)) => {
            f.write_str("; the code that was sent may be spent: log in again")
        }
        (Retry::MaybeSpent(_), _) => f.write_str(
            "; the refresh token that was sent may be spent, and then a new login is needed",
        ),
        _ => Ok(()),
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
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
#[derive(Clone, Copy, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums)] // drivers build it: no, perhaps, and perhaps after waiting in vain
pub enum TransportFailure {
    /// Not a byte of the request left: no name, no route, refused connection, failed TLS handshake.
    NotSent,
    /// The request may have arrived; the whole answer did not.
    NoAnswer,
    /// The request may have arrived; the whole answer did not arrive in the time allowed.
    Timeout,
}

impl fmt::Display for TransportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "could not be reached, and nothing was sent",
            Self::NoAnswer => "no whole answer arrived",
            Self::Timeout => "the whole answer did not arrive in time",
        })
    }
}

impl fmt::Debug for TransportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl std::error::Error for TransportFailure {}

/// Why a callback does not complete a login.
#[derive(Clone, Eq, PartialEq)]
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

impl CallbackError {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused {
                code: ErrorCode::AccessDenied,
                ..
            } => ErrorKind::Denied,
            // Whatever the reason, this attempt is over.
            Self::Refused { .. } | Self::NoCode => ErrorKind::LoginNeeded,
            // Anybody may have sent it: the attempt is still good.
            Self::StateMismatch | Self::OtherApp | Self::Repeated(_) | Self::BadCode => {
                ErrorKind::Other
            }
        }
    }

    /// The code that the authorization was refused with.
    pub fn code(&self) -> Option<&ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

impl fmt::Display for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateMismatch => f.write_str(
                "the callback has no state, or not the one of this login: a stray or forged request, or \
                 not the whole address; answer it with an error page and keep waiting for the right one",
            ),
            Self::OtherApp => {
                f.write_str("this login was started by another app or at another base")
            }
            Self::Refused { code, description } => {
                write!(f, "the authorization was refused: {code}")?;
                if !description.is_empty() {
                    write!(f, ": {description}")?;
                }
                f.write_str(match code {
                    ErrorCode::AccessDenied => "; the person said no: start again only if they wish to",
                    _ => "; start the login again",
                })
            }
            Self::NoCode => {
                f.write_str("the callback has neither a code nor an error; start the login again")
            }
            Self::Repeated(name) => write!(
                f,
                "the callback has the parameter {name} twice, which a server never sends; \
                 answer it with an error page and keep waiting for the right one"
            ),
            Self::BadCode => f.write_str(
                "the callback's code is malformed; answer it with an error page and keep waiting for \
                 the right one",
            ),
        }
    }
}

impl fmt::Debug for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl std::error::Error for CallbackError {}

/// Why a [`Signer`](crate::jwt::Signer) did not sign, in its own words. Put no secret in them.
#[derive(Clone, Eq, PartialEq)]
pub struct SigningError {
    why: String,
    passes: bool,
}

impl SigningError {
    /// Takes the signer's words.
    pub fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            passes: false,
        }
    }

    /// Like [`new`](Self::new), of trouble that passes by itself: a KMS that is busy, or that cannot be reached just now. Another
    /// attempt can succeed ([`Retry::After`], [`ErrorKind::Wait`]).
    pub fn passing(why: impl Into<String>) -> Self {
        Self {
            passes: true,
            ..Self::new(why)
        }
    }

    fn retry(&self) -> Retry {
        match self.passes {
            true => Retry::After(RETRY_PAUSE),
            false => Retry::Never,
        }
    }
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the assertion was not signed: {}", self.why)
    }
}

impl fmt::Debug for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl std::error::Error for SigningError {}
