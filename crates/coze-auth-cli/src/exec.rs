//! `exec`: runs a program with a valid token in its environment.

use std::ffi::OsString;
use std::io;
use std::process::Command;

use coze_auth::UnixTime;
use coze_auth::tokens::system_now;

use crate::Common;
use crate::credential::Credential;
use crate::failure::{Failure, Kind};
use crate::output;
use crate::token::MinLife;
use crate::waiting::clock;

/// Run a program with COZE_API_TOKEN and COZE_API_BASE set
///
/// The program takes the place of coze-auth, so its exit status and its signals are its own. Its token is not renewed: a
/// program that lives longer than the token has to ask again, by coze-auth token, for which COZE_AUTH_PROFILE names the
/// profile. Without a token the exit status is 125; 126 if the program cannot be run, 127 if it is not there.
///
/// Example: coze-auth exec -- python my_bot.py
#[derive(Debug, clap::Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    life: MinLife,
    /// The program and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "PROGRAM"
    )]
    program: Vec<OsString>,
}

impl Exec {
    pub(crate) fn run(&self, common: &Common) -> Result<(), Failure> {
        let mut command = self
            .command(common)
            .map_err(|failure| failure.exiting_as(Kind::NoToken))?;
        run(&mut command)
    }

    /// The program, with its environment.
    fn command(&self, common: &Common) -> Result<Command, Failure> {
        let credential = Credential::open(common.profile.as_ref())?;
        let token = credential.token(self.life.time())?;
        credential.close()?;
        let (program, arguments) = self
            .program
            .split_first()
            .unwrap_or_else(|| unreachable!("required"));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("COZE_API_TOKEN", token.access_token.expose())
            .env("COZE_API_BASE", credential.endpoints.api_base());
        if let Some(profile) = &credential.profile {
            command.env("COZE_AUTH_PROFILE", profile.as_str());
        }
        if let Some(end) = token.expires_at.filter(|_| output::is_drawn()) {
            tell_end(end);
        }
        Ok(command)
    }
}

fn tell_end(end: UnixTime) {
    let left = clock(system_now().unix.until(end));
    output::tell(format_args!(
        "coze-auth: the token is good for {left} minutes; a program that runs longer asks again: coze-auth token"
    ));
}

#[cfg(unix)]
fn run(command: &mut Command) -> Result<(), Failure> {
    use std::os::unix::process::CommandExt as _;
    let error = command.exec();
    Err(cannot_run(command, &error))
}

#[cfg(not(unix))]
fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status();
    let status = status.map_err(|error| cannot_run(command, &error))?;
    std::process::exit(status.code().unwrap_or(1));
}

fn cannot_run(command: &Command, error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        _ => Kind::CannotRun,
    };
    let program = command.get_program().to_string_lossy();
    Failure::new(kind, format!("{program} cannot be run: {error}"))
}
