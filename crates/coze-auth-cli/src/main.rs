//! The `coze-auth` command.

mod api;
mod app;
#[cfg(feature = "bridge")]
mod bridge;
mod completions;
mod credential;
mod exec;
mod failure;
mod folders;
mod integration;
mod interrupts;
#[cfg(feature = "keyring")]
mod keyring;
mod login;
mod logout;
mod output;
mod profile;
mod project_env;
mod status;
mod store;
mod token;
mod waiting;
mod whoami;

use std::process::ExitCode;

use clap::error::ErrorKind as Usage;
use clap::{Parser, Subcommand};

use coze_auth::error::holds_secret;

use crate::failure::{Failure, Kind};
use crate::profile::ProfileName;

/// Log in to Coze (扣子), and give scripts and programs valid tokens.
///
/// A login is kept in a profile, and renewed by whichever command needs a token. Tokens are read from standard input
/// alone, and printed by the command token alone; secrets of a project by integration and project-env.
#[derive(Debug, Parser)]
#[command(name = "coze-auth", version, arg_required_else_help = true, after_long_help = SOURCES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

const SOURCES: &str = "\
Which credential a command uses, the first that is there:
  1. the profile that --profile names
  2. the profile that the variable COZE_AUTH_PROFILE names
  3. the token in the variable COZE_API_TOKEN, for the API at COZE_API_BASE
  4. the profile named default

Exit status:
  0    it worked
  1    something else went wrong; the words on standard error say what
  2    the arguments are not valid
  3    nobody is signed in, or a person has to log in again
  4    the person said no
  5    the code or the time for the login expired
  6    it passes: try again later (no connection, Coze is busy, a lock, a full disk)
  7    a setting has to change (client id, secret, key, address, proxy, folder)
  10   the keyring is locked
  11   this machine has no keyring, or this build cannot use one
  12   the keyring has several entries for the profile, and none of them is a grant
  125  exec: without a token (standard error says why); 126, 127: the program cannot be run, or is not there
  A command that a signal ended has ended by it (130 in a shell for Ctrl-C).";

/// What every command takes.
#[derive(Debug, clap::Args)]
struct Common {
    /// Login to use, by its name [env: COZE_AUTH_PROFILE] [default: default]
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<ProfileName>,
    /// Print results and errors as JSON: a result on standard output, an error on standard error
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Login(login::Login),
    Token(token::Token),
    Whoami(whoami::Whoami),
    Status(status::Status),
    Logout(logout::Logout),
    Exec(exec::Exec),
    Api(api::Api),
    Integration(integration::Integration),
    ProjectEnv(project_env::ProjectEnv),
    #[cfg(feature = "bridge")]
    Bridge(Box<bridge::Bridge>),
    Completions(completions::Completions),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return report_usage(&usage),
    };
    interrupts::watch();
    let common = &cli.common;
    let done = match &cli.command {
        Command::Login(login) => login.run(common),
        Command::Token(token) => token.run(common),
        Command::Whoami(whoami) => whoami.run(common),
        Command::Status(status) => status.run(common),
        Command::Logout(logout) => logout.run(common),
        Command::Exec(exec) => exec.run(common),
        Command::Api(api) => api.run(common),
        Command::Integration(integration) => integration.run(common),
        Command::ProjectEnv(variables) => variables.run(common),
        #[cfg(feature = "bridge")]
        Command::Bridge(bridge) => bridge.run(common),
        Command::Completions(completions) => completions.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(common.json),
    }
}

/// What clap says, which is help as well. It is JSON if that was asked for somewhere in arguments that are not valid.
fn report_usage(usage: &clap::Error) -> ExitCode {
    let is_help = matches!(
        usage.kind(),
        Usage::DisplayHelp
            | Usage::DisplayVersion
            | Usage::DisplayHelpOnMissingArgumentOrSubcommand
    );
    let arguments = std::env::args_os().skip(1);
    let is_json = arguments
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json");
    if is_help {
        // A reader that has closed its end does not want it.
        let _ = usage.print();
        return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
    }
    let text = without_secrets(usage.render().to_string());
    let text = text.trim();
    if is_json {
        return Failure::new(Kind::Usage, text.trim_start_matches("error: ")).report(true);
    }
    output::tell(text);
    ExitCode::from(2)
}

/// clap repeats what it does not know: a token or key that somebody has put there would stand in the log of a job as well.
fn without_secrets(mut text: String) -> String {
    const BEGINNINGS: [&str; 5] = ["pat_", "sat_", "czu_", "czs_", "cztei_"];
    for argument in std::env::args_os().skip(1) {
        let argument = argument.to_string_lossy();
        if holds_secret(&argument) {
            // clap shows the whole, or what stands before or behind a `=`.
            let (name, value) = argument.split_once('=').unwrap_or_default();
            let parts = [&argument, value, name].map(str::trim);
            for part in parts.into_iter().filter(|part| holds_secret(part)) {
                text = text.replace(part, "***");
            }
        }
        let found = BEGINNINGS.iter().filter_map(|with| argument.find(with));
        if let Some(at) = found.min() {
            text = text.replace(&argument[at..], "***");
        }
    }
    text
}
