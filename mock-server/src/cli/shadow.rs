//! `shadow`: stands between a program and the real service.

use std::fmt::Write as _;
use std::fs;
use std::future::pending;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use coze_auth_mock::{Shadow, check_record};

use super::serve::{Log, start_log, stdin_closed, stop_signal};
use super::{Failure, env, print};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    check: Option<Check>,
    /// Base of the API that the requests go to, such as <https://api.coze.cn>; plain http for this machine alone
    #[arg(long, value_name = "URL", required = true)]
    upstream: Option<String>,
    /// Base of the upstream's pages, if it is not that of the API with www in the place of api
    #[arg(long, value_name = "URL")]
    www: Option<String>,
    /// Certificate in PEM of the CA to trust for the upstream, and no other; without it, those of the operating system
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// Loopback address to listen on; port 0 is a free port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9778")]
    listen: String,
    /// Write the certificate of the shadow's CA to this file: a program that uses the shadow as its proxy has to trust it
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The coze_oauth_config.json of an app of the upstream, so that its secret or its key is judged; can be given several times
    #[arg(long = "app", value_name = "FILE")]
    apps: Vec<PathBuf>,
    /// Configuration in TOML whose apps are those of the upstream, so that their secrets, keys and redirect URIs are judged
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The upstream is a mock with its ready-made apps
    #[arg(long, conflicts_with = "config")]
    mock_apps: bool,
    /// Write the report as JSON to this file at the end
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write a record of the exchanges to this file at the end, in which stand-ins replace all that is somebody's; shadow check reads it
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Stop when standard input ends
    #[arg(long)]
    until_stdin_closes: bool,
    /// Format of the log on standard error
    #[arg(long, value_enum, default_value = "text")]
    log: Log,
}

#[derive(Debug, Subcommand)]
enum Check {
    /// Say what a record shows, without a network; the exit status is 1 if it cannot be read
    Check {
        /// The record that --record has written
        file: PathBuf,
    },
}

fn check(file: &Path) -> Result<(), Failure> {
    let wrong = |why: String| Failure::Reason(format!("{}: {why}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let checked = check_record(&text).map_err(wrong)?;
    print(checked.report_text().trim_end());
    Ok(())
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if let Some(Check::Check { file }) = &options.check {
        return check(file);
    }
    start_log(options.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        let signal = stop_signal().map_err(|error| format!("cannot wait for signals: {error}"))?;
        let shadow = options.builder().start().await?;
        if let Some(file) = &options.ca {
            write(file, shadow.ca_pem())?;
        }
        print(options.greeting(&shadow).trim_end_matches('\n'));
        let closed = async {
            match options.until_stdin_closes {
                true => stdin_closed().await,
                false => pending().await,
            }
        };
        tokio::select! {
            () = signal => {}
            () = closed => {}
        }
        print(&format!("\n{}", shadow.report_text().trim_end()));
        if let Some(file) = &options.report {
            write(file, &format!("{:#}\n", shadow.report()))?;
        }
        match (&options.record, shadow.record()) {
            (Some(file), Some(record)) => write(file, &record?),
            _ => Ok(()),
        }
    })
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let written = fs::write(file, text);
    written.map_err(|error| Failure::Reason(format!("cannot write {}: {error}", file.display())))
}

impl Options {
    fn builder(&self) -> coze_auth_mock::ShadowBuilder {
        let mut builder =
            Shadow::builder(self.upstream.as_deref().unwrap_or_default()).listen_on(&self.listen);
        if let Some(url) = &self.www {
            builder = builder.www(url);
        }
        if let Some(file) = &self.upstream_ca {
            builder = builder.upstream_ca(file);
        }
        if let Some(file) = &self.config {
            builder = builder.config(file);
        }
        for file in &self.apps {
            builder = builder.app(file);
        }
        if self.record.is_some() {
            builder = builder.records();
        }
        match self.mock_apps {
            true => builder.mock_apps(),
            false => builder,
        }
    }

    fn greeting(&self, shadow: &Shadow) -> String {
        let base = shadow.base_url();
        let [api, www, integration] = shadow.upstream();
        let mut text = format!(
            "coze-auth-mock shadow of {api}, {www} and {integration}\n  Report          {base}/_mock/ and, as a text, {base}/_mock/v1/shadow?format=text\n  As a base       for all but JWT apps\n    {}",
            env::export("COZE_API_BASE", base)
        );
        match &self.ca {
            // In a tunnel it speaks TLS, and so has a program that uses it as its proxy to expect https.
            _ if api.starts_with("http:") => {
                text += "  As a proxy      not before an upstream of plain http\n";
            }
            Some(file) => {
                let _ = write!(
                    text,
                    "  As a proxy      for every app: the base stays {api}\n    {}{}",
                    env::export("HTTPS_PROXY", base),
                    env::ca_lines(file, "    ")
                );
            }
            None => text += "  As a proxy      with --ca FILE, for every app\n",
        }
        text
    }
}
