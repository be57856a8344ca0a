//! The commands, and the ways in which they fail.

pub(crate) mod check;
pub(crate) mod ctl;
pub(crate) mod env;
pub(crate) mod health;
mod http;
pub(crate) mod init;
pub(crate) mod openapi;
mod output;
mod reload;
pub(crate) mod serve;
#[cfg(feature = "shadow")]
pub(crate) mod shadow;

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::process::ExitCode;

use coze_auth_mock::{ConfigErrors, SetupError, without_keys};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command failed for this reason; exit status 1.
    Reason(String),
    /// The configuration has mistakes; exit status 2, as for options that are not valid.
    Config(ConfigErrors),
}

impl Failure {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Reason(text) => text.clone(),
            Self::Config(errors) => errors.to_string(),
        }
    }

    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Reason(text) => {
                eprintln!("coze-auth-mock: {}", shown(text));
                ExitCode::FAILURE
            }
            // Editors jump to lines that begin with a file's name.
            Self::Config(errors) => {
                eprintln!("{}", shown(&errors.to_string()));
                ExitCode::from(2)
            }
        }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Reason(text)
    }
}

#[cfg(feature = "shadow")]
impl From<coze_auth_mock::ShadowError> for Failure {
    fn from(error: coze_auth_mock::ShadowError) -> Self {
        Self::Reason(error.to_string())
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Self::Reason(error.to_string())
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Config(errors)
    }
}

/// A message without pieces of a key: the text of one may stand among the arguments, where its file's path is expected.
pub(crate) fn shown(message: &str) -> String {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let arguments = arguments.join(OsStr::new("\n"));
    without_keys(message, &arguments.to_string_lossy()).into_owned()
}

/// Prints a line. An error is ignored: the reader has closed standard output.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
