//! What can go wrong on top of what the core knows.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use coze_auth_core::authorize::CallbackRejected;
use coze_auth_core::error::{CallbackError, ConfigError, SigningError};
use coze_auth_core::{self as core, Retry};

/// Why there is no result.
///
/// `Display` says what happened and what to do. What the HTTP library or the system said about it is in
/// [`source`](std::error::Error::source) only, so a report that prints the chain says nothing twice.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// What the core says: a refusal, an answer that cannot be read, a failed transport, a bad value.
    Core {
        /// The core's error.
        error: core::Error,
        /// The HTTP client's own error, if the last request got no whole answer. It has no URL.
        cause: Option<Arc<reqwest::Error>>,
    },
    /// The HTTP client could not be built.
    Build(Arc<reqwest::Error>),
    /// The HTTP client that was handed over follows redirects, and followed one: the credential may
    /// have gone elsewhere.
    Redirected {
        /// The last origin that is known of: scheme, host and port.
        to: String,
    },
    /// The operating system gave no random bytes.
    Entropy(getrandom::Error),
    /// A file could not be read.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: Arc<std::io::Error>,
    },
}

impl Error {
    /// Whether sending the same thing again can help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Core { error, .. } => error.retry(),
            _ => Retry::Never,
        }
    }

    /// Coze's id of the answer. Its support asks for it.
    pub fn log_id(&self) -> Option<&str> {
        match self {
            Self::Core { error, .. } => error.log_id(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core { error, .. } => error.fmt(f),
            Self::Build(_) => f.write_str(
                "the HTTP client could not be built; on a machine without CA certificates install them \
                 (ca-certificates), or name roots of your own (Client::with_builder)",
            ),
            Self::Redirected { to } => write!(
                f,
                "the HTTP client followed a redirect to {to}, so the credential may have gone there: replace \
                 it, and build the client with redirect::Policy::none()",
            ),
            Self::Entropy(_) => f.write_str("the operating system gave no random bytes"),
            Self::File { path, .. } => write!(f, "{} cannot be read", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // The core's error has spoken in `Display` and has no source of its own.
            Self::Core { cause, .. } => cause.as_deref().map(|cause| cause as _),
            Self::Build(cause) => Some(&**cause),
            Self::Redirected { .. } => None,
            Self::Entropy(cause) => Some(cause),
            Self::File { cause, .. } => Some(&**cause),
        }
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
