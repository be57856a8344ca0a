//! `completions`: what a shell needs to complete the command.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::failure::Failure;
use crate::output;

/// Print the completion script of a shell
///
/// Example: coze-auth completions bash > ~/.local/share/bash-completion/completions/coze-auth
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(
            self.shell,
            &mut crate::Cli::command(),
            "coze-auth",
            &mut script,
        );
        match self.shell {
            Shell::Bash => output::bytes(&mended(&script)),
            _ => output::bytes(&script),
        }
    }
}

/// `clap_complete` 4.6 takes the hyphen of our name for the beginning of a subcommand in the labels of its cases, and nothing
/// behind a command would be completed.
fn mended(script: &[u8]) -> Vec<u8> {
    let script = String::from_utf8_lossy(script);
    let mended = script.replace("coze__subcmd__auth", "coze__auth");
    mended.into_bytes()
}
