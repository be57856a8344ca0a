//! `check`: what a configuration sets, or its mistakes.

use std::path::PathBuf;

use clap::Args;
use coze_auth_mock::CozeAuthMock;

use super::{Failure, print};

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration in TOML
    file: PathBuf,
}

pub(crate) fn check(args: &Check) -> Result<(), Failure> {
    let builder = CozeAuthMock::builder().listen_on("127.0.0.1:9777");
    let builder = builder.toml_file(&args.file)?;
    print(&format!("ok\n{}", builder.summary().trim_end()));
    Ok(())
}
