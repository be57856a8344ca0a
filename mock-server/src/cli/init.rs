//! `init`: a commented configuration.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use coze_auth_mock::SAMPLE_CONFIG;

use super::{Failure, print};

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The file to write, which must not exist yet; - is standard output
    #[arg(default_value = "coze-auth-mock.toml")]
    file: PathBuf,
}

pub(crate) fn init(args: &Init) -> Result<(), Failure> {
    if args.file.as_os_str() == "-" {
        print(SAMPLE_CONFIG.trim_end());
        return Ok(());
    }
    let name = args.file.display();
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.file);
    let written = file.and_then(|mut file| file.write_all(SAMPLE_CONFIG.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("{name} exists already and was not changed; give another name, or remove it")
        }
        _ => format!("cannot write {name}: {error}"),
    })?;
    print(&format!(
        "wrote {name}; now: coze-auth-mock serve -c {name}"
    ));
    Ok(())
}
