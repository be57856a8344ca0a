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
        output::bytes(&script)
    }
}
