//! Why a command failed, and with which exit status.

use std::error::Error as StdError;
use std::iter::successors;
use std::process::ExitCode;

use coze_auth::store::StoreError;
use coze_auth::{Error, ErrorKind};
use serde::Serialize;

use crate::{interrupts, output};

/// What a script can tell failures apart by. The table of exit statuses is in the help and in README.md.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Other,
    Usage,
    LoginNeeded,
    Denied,
    Expired,
    TryAgain,
    Settings,
    #[cfg(feature = "keyring")]
    KeyringLocked,
    KeyringMissing,
    #[cfg(feature = "keyring")]
    KeyringAmbiguous,
    /// A signal has called it off.
    Interrupted,
    /// The reader of our standard output has gone.
    OutputClosed,
    /// A program of `exec` that cannot be run.
    CannotRun,
    /// A program of `exec` that is not there.
    NotFound,
    /// `exec` has no token for its program.
    NoToken,
}

impl Kind {
    const fn exit_code(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Usage => 2,
            Self::LoginNeeded => 3,
            Self::Denied => 4,
            Self::Expired => 5,
            Self::TryAgain => 6,
            Self::Settings => 7,
            #[cfg(feature = "keyring")]
            Self::KeyringLocked => 10,
            Self::KeyringMissing => 11,
            #[cfg(feature = "keyring")]
            Self::KeyringAmbiguous => 12,
            Self::NoToken => 125,
            Self::CannotRun => 126,
            Self::NotFound => 127,
            // As a shell counts SIGINT and SIGPIPE, where there are no signals to end by.
            Self::Interrupted => 130,
            Self::OutputClosed => 141,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Usage => "usage",
            Self::LoginNeeded => "login_needed",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::TryAgain => "try_again",
            Self::Settings => "settings",
            #[cfg(feature = "keyring")]
            Self::KeyringLocked => "keyring_locked",
            Self::KeyringMissing => "keyring_missing",
            #[cfg(feature = "keyring")]
            Self::KeyringAmbiguous => "keyring_ambiguous",
            Self::Interrupted => "interrupted",
            Self::OutputClosed => "output_closed",
            Self::CannotRun => "cannot_run",
            Self::NotFound => "not_found",
            // What is behind it is told instead.
            Self::NoToken => "other",
        }
    }
}

/// Why a command failed: for the person, and for the script that called it.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    causes: Vec<String>,
    code: Option<String>,
    log_id: Option<String>,
    /// The kind of what is behind, if the exit status is not its own.
    reason: Option<Kind>,
}

/// The shape of an error in JSON. It is documented in README.md.
#[derive(Serialize)]
struct Json<'a> {
    error: Members<'a>,
}

#[derive(Serialize)]
struct Members<'a> {
    kind: &'static str,
    exit_status: u8,
    message: &'a str,
    causes: &'a [String],
    code: Option<&'a str>,
    log_id: Option<&'a str>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            causes: Vec::new(),
            code: None,
            log_id: None,
            reason: None,
        }
    }

    /// The same failure with another exit status; in JSON it is still called what it is.
    pub(crate) const fn exiting_as(mut self, kind: Kind) -> Self {
        if matches!(self.kind, Kind::Interrupted) {
            return self;
        }
        self.reason = Some(self.kind);
        self.kind = kind;
        self
    }

    /// What the person is told.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The same failure with another name for what is wrong.
    pub(crate) fn renamed(mut self, name: &str, shown: &str) -> Self {
        self.message = self.message.replace(name, shown);
        self
    }

    /// The same failure with something more to do about it.
    pub(crate) fn with_advice(mut self, advice: &str) -> Self {
        self.message = format!("{}; {advice}", self.message);
        self
    }

    /// Prints it. A signal, and a reader that has gone, end this process as they end others.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        match self.kind {
            Kind::OutputClosed => interrupts::end_by_closed_output(),
            Kind::Interrupted => {
                output::tell(format_args!("coze-auth: {}", self.message));
                interrupts::release();
            }
            _ if json => output::tell(output::json(&self.members())),
            _ => {
                output::tell(format_args!("coze-auth: {}", self.message));
                for cause in &self.causes {
                    output::tell(format_args!("  because: {cause}"));
                }
            }
        }
        ExitCode::from(self.kind.exit_code())
    }

    fn members(&self) -> impl Serialize + use<'_> {
        Json {
            error: Members {
                kind: self.reason.unwrap_or(self.kind).name(),
                exit_status: self.kind.exit_code(),
                message: &self.message,
                causes: &self.causes,
                code: self.code.as_deref(),
                log_id: self.log_id.as_deref(),
            },
        }
    }
}

fn causes(error: &dyn StdError) -> Vec<String> {
    let all = successors(error.source(), |&cause| cause.source());
    all.map(|cause| cause.to_string()).collect()
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        #[cfg(feature = "keyring")]
        if let Some(failure) = crate::keyring::failure(&error) {
            return failure;
        }
        let kind = match error.kind() {
            _ if matches!(error, Error::Cancelled) => Kind::Interrupted,
            ErrorKind::Denied => Kind::Denied,
            ErrorKind::CodeExpired => Kind::Expired,
            ErrorKind::LoginNeeded => Kind::LoginNeeded,
            ErrorKind::Wait(_) => Kind::TryAgain,
            ErrorKind::Settings => Kind::Settings,
            _ => Kind::Other,
        };
        let message = match (&error, kind) {
            (Error::Cancelled, _) => "called off: nothing is stored".to_owned(),
            (Error::LoginNeeded(key), _) => format!(
                "profile {} has no login that can be renewed: run coze-auth login",
                key.subject()
            ),
            (_, Kind::Expired) => format!("{error}; run coze-auth login again"),
            _ => error.to_string(),
        };
        Self {
            causes: causes(&error),
            code: error.code().map(ToString::to_string),
            log_id: error.log_id().map(str::to_owned),
            ..Self::new(kind, message)
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Error::Store(error).into()
    }
}

impl From<coze_auth::error::ConfigError> for Failure {
    fn from(error: coze_auth::error::ConfigError) -> Self {
        Error::from(error).into()
    }
}
