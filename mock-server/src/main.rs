//! The `coze-auth-mock` command.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use coze_auth_mock::{Consent, CozeAuthMock, SetupError};
use tracing_subscriber::EnvFilter;
use url::Url;

/// A mock Coze (扣子) auth server for offline development.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C (the default)
    Serve(Serve),
    /// Ask a running mock whether it answers; exit status 0 if it does
    Health {
        /// Its base URL
        #[arg(default_value = "http://127.0.0.1:9777")]
        url: Url,
    },
}

#[derive(Debug, Args)]
struct Serve {
    /// Loopback address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9777")]
    listen: SocketAddr,
    /// Who decides about authorize requests and device codes
    #[arg(long, value_enum, default_value = "page")]
    consent: Consent,
    /// Turn a rule on or off, such as code.single_use=off; docs/protocol.md §13 has them all
    #[arg(long = "rule", value_name = "ID=on|off", value_parser = parse_rule)]
    rules: Vec<(String, bool)>,
    /// Answer breaches of a rule differently, such as refresh.rotate=401:invalid_client
    #[arg(long = "answer", value_name = "ID=STATUS[:CODE]", value_parser = parse_answer)]
    answers: Vec<(String, u16, Option<String>)>,
    /// Make codes and tokens the same in every run
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// What to print on standard output at the start
    #[arg(long, value_enum, default_value = "text")]
    print: Print,
    /// How to log on standard error
    #[arg(long, value_enum, default_value = "text")]
    log: Log,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Print {
    /// A block for people
    Text,
    /// One line of JSON, as GET /_mock/v1/info
    Json,
    /// `export` lines for a shell
    Env,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Log {
    /// For people
    Text,
    /// One JSON object per line
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

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Health { url }) => health(&url).map_err(|error| {
            format!("{url} does not answer as a mock: {error}; is it running there?")
        }),
        Some(Command::Serve(serve)) => run(serve),
        None => run(cli.serve),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coze-auth-mock: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Serve) -> Result<(), String> {
    start_log(args.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        // Before the address is known, so that a signal can never come too early.
        let signal = stop_signal().map_err(|error| format!("cannot wait for signals: {error}"))?;
        let print = args.print;
        let mock = start(args).await.map_err(|error| error.to_string())?;
        let text = match print {
            Print::Text => mock.banner(),
            Print::Json => mock.info().to_string(),
            Print::Env => mock.environment(),
        };
        let mut out = io::stdout().lock();
        // Whoever closed standard output does not want to read it.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
        drop(out);
        signal.await;
        mock.stop().await;
        Ok(())
    })
}

async fn start(args: Serve) -> Result<CozeAuthMock, SetupError> {
    let mut builder = CozeAuthMock::builder()
        .listen(args.listen)
        .consent(args.consent);
    for (id, on) in &args.rules {
        builder = builder.rule(id, *on);
    }
    for (id, status, error) in &args.answers {
        builder = builder.answer(id, *status, error.as_deref());
    }
    if let Some(seed) = args.seed {
        builder = builder.seed(seed);
    }
    builder.start().await
}

fn start_log(log: Log) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false);
    match log {
        Log::Text => builder
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .init(),
        Log::Json => builder.json().flatten_event(true).init(),
    }
}

/// Listens for signals from now on; the future ends with the first.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
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

/// One request over a plain socket: a health check has to work where nothing else is installed,
/// and past any proxy.
fn health(url: &Url) -> io::Result<()> {
    let wrong = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text);
    let host = url.host_str().ok_or_else(|| wrong("no host in the URL"))?;
    let port = url
        .port_or_known_default()
        .ok_or_else(|| wrong("no port in the URL"))?;
    let address = (host.trim_matches(['[', ']']), port)
        .to_socket_addrs()?
        .next();
    let address = address.ok_or_else(|| wrong("no address for the host"))?;
    let limit = Duration::from_secs(3);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let path = url.path().trim_end_matches('/');
    write!(
        stream,
        "GET {path}/_mock/v1/health HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    match answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"ok\":true") {
        true => Ok(()),
        false => Err(io::Error::other("its answer is another one")),
    }
}
