//! The commands, and how they fail.

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

use std::io::{self, Write as _};
use std::process::ExitCode;

use coze_auth_mock::{ConfigErrors, SetupError};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be done; exit status 1.
    Told(String),
    /// The configuration has mistakes; exit status 2, as for options that cannot be.
    Config(ConfigErrors),
}

impl Failure {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Told(text) => text.clone(),
            Self::Config(errors) => errors.to_string(),
        }
    }

    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Told(text) => {
                eprintln!("coze-auth-mock: {text}");
                ExitCode::FAILURE
            }
            // Lines that begin with the file are what editors jump to.
            Self::Config(errors) => {
                eprintln!("{errors}");
                ExitCode::from(2)
            }
        }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Told(text)
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Self::Told(error.to_string())
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Config(errors)
    }
}

/// Whoever closed standard output does not want to read it.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
