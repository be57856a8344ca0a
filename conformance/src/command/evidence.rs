//! The guided run beside the real service, as a command.

use std::path::PathBuf;

use crate::evidence::{self, Settings, Terminal};

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
    /// Write the record of the exchanges, which is safe to attach to a public report.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write the findings as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Agree to every request beforehand, after reading in docs/shadow.md what is sent. Pages are opened all the same.
    #[arg(long)]
    yes_to_every_request: bool,
}

pub(super) fn run(args: &Args) -> Result<u8, String> {
    let mut person = Terminal::new(args.yes_to_every_request)?;
    let mut settings = Settings::of_this_machine(args.apps.clone());
    settings.base.clone_from(&args.base);
    settings.www.clone_from(&args.www);
    settings.redirect_uri.clone_from(&args.redirect_uri);
    settings.upstream_ca.clone_from(&args.upstream_ca);
    settings.long = args.long;
    if let Some(path) = &args.beside {
        let read = serde_json::from_str(&super::read(path)?);
        settings.beside = Some(read.map_err(|_| format!("{}: not JSON", path.display()))?);
    }
    let findings = evidence::run(settings, &mut person)?;
    super::say(&findings.text());
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&findings.json());
        super::write(path, &format!("{}\n", text.unwrap_or_default()))?;
    }
    if let Some(path) = &args.record {
        let record = findings.record.as_ref();
        let record = record.map_err(|why| format!("the record is not written: {why}"))?;
        super::write(path, record)?;
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
