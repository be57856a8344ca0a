//! The `coze-auth-mock` command.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cli::{check, ctl, env, health, init, openapi, serve};

/// A mock Coze (扣子) auth server for offline development.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C (the default)
    Serve(serve::Serve),
    /// Write a commented configuration that sets every value to its default
    Init(init::Init),
    /// Read a configuration and print the resulting settings, or all of its mistakes
    Check(check::Check),
    /// Check that a running mock answers; the exit status is 0 if it does
    Health(health::Health),
    /// Control a running mock: move its clock, decide as its user, show its requests
    Ctl(ctl::Ctl),
    /// Print the OpenAPI document of a mock that has no configuration
    Openapi,
    /// Print what a program needs to use a running mock instead of Coze: variables, or a coze_oauth_config.json
    Env(env::Environment),
    /// Stand between a program and the real service, pass everything on unchanged, and name what the mock would have answered otherwise
    #[cfg(feature = "shadow")]
    Shadow(cli::shadow::Options),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let text = error.to_string();
            let shown = cli::shown(&text);
            if shown == text {
                error.exit();
            }
            eprint!("{shown}");
            return ExitCode::from(2);
        }
    };
    let done = match cli.command {
        Some(Command::Serve(serve)) => serve::run(&serve),
        Some(Command::Init(init)) => init::init(&init),
        Some(Command::Check(check)) => check::check(&check),
        Some(Command::Health(health)) => health::health(&health),
        Some(Command::Ctl(ctl)) => ctl::run(&ctl),
        Some(Command::Openapi) => openapi::openapi(),
        Some(Command::Env(environment)) => env::run(&environment),
        #[cfg(feature = "shadow")]
        Some(Command::Shadow(options)) => cli::shadow::run(&options),
        None => serve::run(&cli.serve),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
