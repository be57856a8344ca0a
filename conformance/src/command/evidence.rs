//! The guided run beside the real service, as a command.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::evidence::{self, Settings, Terminal};
use crate::variables::TOKEN;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The coze_oauth_config.json of an app of yours. May be repeated, for apps of different kinds.
    #[arg(long = "app", value_name = "FILE")]
    apps: Vec<PathBuf>,
    /// The base of the API, in the place of coze_api_base of the file. Needed for a workload alone.
    #[arg(long, value_name = "URL")]
    base: Option<String>,
    /// The base of the pages, if it is not that of the API with www in the place of api.
    #[arg(long, value_name = "URL")]
    www: Option<String>,
    /// A redirect URI that is registered with the web or PKCE app, if the file has no redirect_uris. One of this machine, such as
    /// http://127.0.0.1:8414/callback, is listened to; of any other you paste the address at which your browser ends.
    #[arg(long, value_name = "URI")]
    redirect_uri: Option<String>,
    /// Trust the CA of this file, in PEM, and none of the operating system's.
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// Ask also what needs half an hour or more, or an app that you deactivate for a moment.
    #[arg(long)]
    long: bool,
    /// The JSON of a run in the other region, to compare with.
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
    /// Use also the token in COZE_API_TOKEN, which is not sent otherwise: one without a permission answers question 12.
    #[arg(long)]
    api_token: bool,
    /// Write the record of the exchanges to a new file, which is safe to attach to a public report.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write the findings as JSON, to a new file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Agree to every request beforehand, after reading in docs/shadow.md what is sent. Pages are opened all the same.
    #[arg(long)]
    yes_to_every_request: bool,
}

pub(super) fn run(args: &Args) -> Result<u8, String> {
    let mut person = Terminal::new(args.yes_to_every_request)?;
    are_free(&[("--record", &args.record), ("--json", &args.json)])?;
    let mut settings = Settings::of_this_machine(args.apps.clone());
    if !args.api_token {
        let all = settings.variable;
        settings.variable = Box::new(move |name| all(name).filter(|_| name != TOKEN));
    }
    settings.base.clone_from(&args.base);
    settings.www.clone_from(&args.www);
    settings.redirect_uri.clone_from(&args.redirect_uri);
    settings.upstream_ca.clone_from(&args.upstream_ca);
    settings.long = args.long;
    if let Some(path) = &args.beside {
        let read = serde_json::from_str(&super::read(path)?);
        settings.beside = Some(read.map_err(|_| format!("{}: not JSON", path.display()))?);
    }
    #[cfg(unix)]
    let _ = person.ends_at_interrupts();
    let findings = evidence::run(settings, &mut person)?;
    super::say(&findings.text());
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&findings.json());
        write(path, &format!("{}\n", text.unwrap_or_default()))?;
    }
    if let Some(path) = &args.record {
        let record = findings.record.as_ref();
        let record = record.map_err(|why| format!("the record is not written: {why}"))?;
        write(path, record)?;
        super::say(&format!(
            "\nThe record is in {}; coze-auth-mock shadow check tells what it shows. A rule whose evidence changes names it (`record`, mock-server/records).\n",
            path.display()
        ));
    }
    Ok(match findings.ended {
        None => 0,
        Some(_) => 3,
    })
}

/// Refuses before the run a file that is there or that cannot be written: an app's file has its key.
fn are_free(outputs: &[(&str, &Option<PathBuf>)]) -> Result<(), String> {
    let mut made: Vec<(&str, &Path)> = Vec::new();
    let mut found = Ok(());
    for (option, path) in outputs {
        let Some(path) = path else { continue };
        match File::create_new(path) {
            Ok(_) => made.push((option, path)),
            Err(error) => {
                let same = made
                    .iter()
                    .find(|(_, own)| fs::canonicalize(own).ok() == fs::canonicalize(path).ok());
                let why = match same {
                    Some((other, _)) => format!("{other} and {option} name the same file"),
                    None => told(option, path, &error),
                };
                found = Err(format!("{why}; nothing was sent"));
                break;
            }
        }
    }
    // Not left behind: a run that fails may be started again.
    for (_, path) in made {
        let _ = fs::remove_file(path);
    }
    found
}

fn told(option: &str, path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("{option} {path}: the file exists and is not overwritten; choose another name")
        }
        _ => format!("{option} {path}: cannot be written: {error}"),
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("{}: {error}", path.display()))
}
