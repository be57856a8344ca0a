//! `serve`: a mock that listens.

use std::future::pending;
use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use coze_auth_mock::{Builder, Consent, CozeAuthMock};
use tokio::sync::oneshot;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

use super::{Failure, env, print, reload};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Configuration in TOML; options take precedence over it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Read the configuration again when it changes; issued tokens stay valid
    #[arg(long, requires = "config")]
    watch: bool,
    /// Loopback address to listen on, or a name of one; port 0 is a free port [default: 127.0.0.1:9777]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// URL that clients use, if it is not the address to listen on
    #[arg(long, value_name = "URL", env = "COZE_AUTH_MOCK_PUBLIC_URL")]
    public_url: Option<String>,
    /// Origins whose pages may call the API, separated by commas; loopback is every port of this machine [default: loopback]
    #[arg(long, value_name = "ORIGINS", value_delimiter = ',')]
    allowed_origins: Option<Vec<String>>,
    /// Further names under which clients find the mock, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    allowed_hosts: Option<Vec<String>>,
    /// Take scheme, host and prefix from Forwarded and X-Forwarded-… headers, which a proxy sets
    #[arg(long)]
    trust_forwarded: bool,
    /// Allow addresses that other machines can reach: their clients can get tokens, and the control plane requires an admin token
    #[arg(long)]
    i_know_this_mints_tokens: bool,
    /// Serve https: self makes a CA, and a certificate for this machine and the public URL's host
    #[arg(long, value_enum, value_name = "self|off")]
    tls: Option<TlsChoice>,
    /// A further host name or IP address for the certificate of that CA; can be given several times
    #[arg(long = "tls-name", value_name = "HOST")]
    tls_names: Vec<String>,
    /// Write the certificate of that CA to a file, for clients that have to trust it
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Serve https with this certificate, in PEM, followed by its intermediate certificates
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        conflicts_with = "tls"
    )]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Bearer credential that the control plane requires; random if it is needed and not set
    #[arg(
        long,
        value_name = "TOKEN",
        env = "COZE_AUTH_MOCK_ADMIN_TOKEN",
        hide_env_values = true,
        allow_hyphen_values = true
    )]
    admin_token: Option<String>,
    /// Who decides about authorize requests and device codes [default: page]
    #[arg(long, value_enum)]
    consent: Option<ConsentChoice>,
    /// Turn a rule on or off, such as code.single_use=off; docs/protocol.md §13 lists them all
    #[arg(long = "rule", value_name = "ID=on|off", value_parser = parse_rule)]
    rules: Vec<(String, bool)>,
    /// Answer violations of a rule differently, such as refresh.rotate=401:invalid_client
    #[arg(long = "answer", value_name = "ID=STATUS[:CODE]", value_parser = parse_answer)]
    answers: Vec<(String, u16, Option<String>)>,
    /// Maximum number of megabytes that all worlds together hold [default: 256]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(16..))]
    max_memory: Option<u32>,
    /// Seed of all codes and tokens, which are then the same in every run
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Stop when standard input ends, which it does with the process that holds the other end, however that process ends
    #[arg(long)]
    until_stdin_closes: bool,
    /// What to print on standard output at the start
    #[arg(long, value_enum, default_value = "text")]
    print: Print,
    /// Format of the log on standard error
    #[arg(long, value_enum, default_value = "text")]
    log: Log,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TlsChoice {
    #[value(name = "self")]
    Own,
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ConsentChoice {
    /// A person decides on the consent page and the device page, or a test over the control plane
    Page,
    /// The mock approves at once
    Approve,
    /// The mock denies at once
    Deny,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Print {
    /// A text for people
    Text,
    /// One line of JSON: the answer of GET /_mock/v1/info
    Json,
    /// `export` lines for a shell
    Env,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Log {
    /// One line of text per request
    Text,
    /// One JSON object per request
    Json,
}

fn parse_rule(text: &str) -> Result<(String, bool), String> {
    match text.rsplit_once('=') {
        Some((id, "on")) => Ok((id.to_owned(), true)),
        Some((id, "off")) => Ok((id.to_owned(), false)),
        _ => Err("expected ID=on or ID=off".to_owned()),
    }
}

fn parse_answer(text: &str) -> Result<(String, u16, Option<String>), String> {
    let wrong = || "expected ID=STATUS or ID=STATUS:CODE".to_owned();
    let (id, answer) = text.split_once('=').ok_or_else(wrong)?;
    let (status, code) = match answer.split_once(':') {
        Some((status, code)) => (status, Some(code.to_owned())),
        None => (answer, None),
    };
    let status = status.parse().map_err(|_| wrong())?;
    Ok((id.to_owned(), status, code))
}

pub(crate) fn run(args: &Serve) -> Result<(), Failure> {
    start_log(args.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        // Before the address is printed, so that a signal never comes too early.
        let signal = stop_signal().map_err(|error| format!("cannot wait for signals: {error}"))?;
        let mut watch =
            reload::Watch::new(args.config.clone().unwrap_or_default(), || args.builder());
        let mock = args.builder()?.start().await?;
        args.write_ca(&mock)?;
        print(args.greeting(&mock)?.trim_end_matches('\n'));
        let closed = async {
            match args.until_stdin_closes {
                true => stdin_closed().await,
                false => pending().await,
            }
        };
        let changes = async {
            match args.watch {
                true => watch.run(&mock).await,
                false => pending().await,
            }
        };
        tokio::select! {
            () = signal => {}
            () = closed => {}
            () = changes => {}
        }
        mock.stop().await;
        Ok(())
    })
}

impl Serve {
    /// The settings: the configuration, then the options, which take precedence.
    pub(crate) fn builder(&self) -> Result<Builder, Failure> {
        let mut builder = CozeAuthMock::builder().listen_on("127.0.0.1:9777");
        if let Some(file) = &self.config {
            builder = builder.toml_file(file)?;
        }
        if let Some(listen) = &self.listen {
            builder = builder.listen_on(listen);
        }
        if let Some(url) = &self.public_url {
            builder = builder.public_url(url);
        }
        if let Some(origins) = &self.allowed_origins {
            builder = builder.allowed_origins(origins);
        }
        if let Some(hosts) = &self.allowed_hosts {
            builder = builder.allowed_hosts(hosts);
        }
        builder = match self.tls {
            Some(TlsChoice::Own) => builder.tls(),
            Some(TlsChoice::Off) => builder.no_tls(),
            None => builder,
        };
        for name in &self.tls_names {
            builder = builder.tls_name(name);
        }
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            builder = builder.tls_files(certificate, key);
        }
        if self.trust_forwarded {
            builder = builder.trust_forwarded();
        }
        if self.i_know_this_mints_tokens {
            builder = builder.allow_other_machines();
        }
        if let Some(token) = &self.admin_token {
            builder = builder.admin_token(token);
        }
        if let Some(consent) = self.consent {
            builder = builder.consent(match consent {
                ConsentChoice::Page => Consent::Page,
                ConsentChoice::Approve => Consent::Approve,
                ConsentChoice::Deny => Consent::Deny,
            });
        }
        for (id, on) in &self.rules {
            builder = builder.rule(id, *on);
        }
        for (id, status, error) in &self.answers {
            builder = builder.answer(id, *status, error.as_deref());
        }
        if let Some(megabytes) = self.max_memory {
            builder = builder.max_memory_mb(usize::try_from(megabytes).unwrap_or(usize::MAX));
        }
        if let Some(seed) = self.seed {
            builder = builder.seed(seed);
        }
        Ok(builder)
    }

    fn write_ca(&self, mock: &CozeAuthMock) -> Result<(), Failure> {
        let Some(file) = &self.tls_ca else {
            return Ok(());
        };
        let Some(pem) = mock.ca_pem() else {
            let text = "--tls-ca writes the CA that --tls self makes; this mock has no CA";
            return Err(Failure::Reason(text.to_owned()));
        };
        let written = std::fs::write(file, pem);
        written
            .map_err(|error| Failure::Reason(format!("cannot write {}: {error}", file.display())))
    }

    fn greeting(&self, mock: &CozeAuthMock) -> Result<String, Failure> {
        // The text for people has it already.
        let made = mock.admin_token().filter(|_| self.admin_token.is_none());
        Ok(match (self.print, made) {
            (Print::Text, _) => match &self.tls_ca {
                Some(file) => format!("{}{}", mock.banner(), env::ca_lines(file, "    ")),
                None => mock.banner(),
            },
            (Print::Env, made) => {
                let mut lines = mock.environment();
                lines += &env::key_file_line(&mock.info(), None)?;
                if let Some(file) = &self.tls_ca {
                    lines += &env::ca_lines(file, "");
                }
                match made {
                    Some(token) => lines + &format!("export COZE_AUTH_MOCK_ADMIN_TOKEN='{token}'"),
                    None => lines,
                }
            }
            (Print::Json, made) => {
                if let Some(token) = made {
                    eprintln!(
                        "coze-auth-mock: the control plane requires  Authorization: Bearer {token}"
                    );
                }
                mock.info().to_string()
            }
        })
    }
}

pub(crate) fn start_log(log: Log) {
    // `EnvFilter` reads spans and values of fields as well, for half a megabyte of resident memory.
    let wanted = std::env::var("RUST_LOG").ok();
    let wanted = wanted.and_then(|wanted| wanted.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log {
        Log::Text => Box::new(lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr()))),
        Log::Json => Box::new(lines.json().flatten_event(true)),
    };
    registry().with(lines).with(filter).init();
}

/// Waits until standard input ends. What it holds is of no interest.
pub(crate) async fn stdin_closed() {
    let (ended, wait) = oneshot::channel();
    // A read cannot be given up, so it has a thread that the process does not wait for.
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = ended.send(());
    });
    let _ = wait.await;
}

/// Listens for signals from now on; the future ends with the first signal.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
