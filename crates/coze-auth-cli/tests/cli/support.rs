//! A mock, and a home of its own for each test.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use coze_auth_mock::{AppKind, CozeAuthMock};
use serde_json::Value;

/// An API that answers the first requests with these bytes, and gives what it was sent.
pub(crate) struct RawApi {
    pub(crate) base: String,
    requests: JoinHandle<Vec<String>>,
}

impl RawApi {
    pub(crate) fn new(answers: &[&str]) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", socket.local_addr().expect("an address"));
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let serve = move || {
            let answer = |answer: String| {
                let (mut stream, _) = socket.accept().expect("a connection");
                let request = request_of(&mut stream);
                // The client may have read enough.
                let _ = stream.write_all(answer.as_bytes());
                request
            };
            answers.into_iter().map(answer).collect()
        };
        Self {
            base,
            requests: thread::spawn(serve),
        }
    }

    /// The requests, when all were answered.
    pub(crate) fn requests(self) -> Vec<String> {
        self.requests.join().expect("it has answered")
    }
}

/// Head and body, by its length.
fn request_of(stream: &mut TcpStream) -> String {
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split_once("content-length: ");
            let length = length.and_then(|(_, rest)| rest.split('\r').next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut piece).expect("a request") {
            0 => return text,
            read => request.extend_from_slice(&piece[..read]),
        }
    }
}

/// An answer of JSON.
pub(crate) fn json_answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// What the platform sets in a project.
pub(crate) const WORKLOAD: [&str; 6] = [
    "COZE_WORKLOAD_IDENTITY_CLIENT_ID",
    "COZE_WORKLOAD_IDENTITY_CLIENT_SECRET",
    "COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT",
    "COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT",
    "COZE_OUTBOUND_AUTH_ENDPOINT",
    "COZE_SERVER_ENV",
];

/// A home, which is removed at the end, and a mock.
pub(crate) struct Home {
    pub(crate) mock: CozeAuthMock,
    pub(crate) path: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With a configuration of the mock.
    pub(crate) fn with(toml: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        #[cfg(unix)]
        with_signals();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("coze-auth-cli-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        let builder = CozeAuthMock::builder().toml(toml).expect("valid");
        let mock = builder.start_blocking().expect("a mock");
        Self { mock, path }
    }

    /// The command, with nothing of the environment that the test runs in.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.dressed(Command::new(env!("CARGO_BIN_EXE_coze-auth")), arguments)
    }

    /// The command, started with this signal ignored, as `nohup` and a script's background have it.
    #[cfg(target_os = "linux")]
    pub(crate) fn command_ignoring(&self, signal: &str, arguments: &[&str]) -> Command {
        const RUN: &str = r#"trap "" "$1"; shift; exec "$0" "$@""#;
        let mut sh = Command::new("sh");
        sh.args(["-c", RUN, env!("CARGO_BIN_EXE_coze-auth"), signal]);
        self.dressed(sh, arguments)
    }

    fn dressed(&self, mut command: Command, arguments: &[&str]) -> Command {
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.path)
            .env("COZE_API_BASE", self.mock.base_url())
            .stdin(Stdio::null());
        command
    }

    /// The command in a project on Coze's coding platform: with the variables of the mock's workload, and no other.
    pub(crate) fn in_project(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env_remove("COZE_API_BASE").envs(self.project());
        command
    }

    pub(crate) fn project(&self) -> impl Iterator<Item = (&'static str, String)> {
        WORKLOAD.into_iter().map(|name| {
            let value = self.mock.variable(name);
            (name, value.expect("the mock has a workload"))
        })
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().expect("it runs"))
    }

    /// Runs it with this text on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Run {
        fed(&mut self.command(arguments), input)
    }

    pub(crate) fn sign_in(&self) {
        let run = self.run_with(&["login", "--with-token"], "pat_mock_alice\n");
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }

    /// A device login that waits for the person: the process, the rest of what it prints, and what it has shown.
    pub(crate) fn waiting_login(&self) -> (Child, BufReader<ChildStdout>, Value) {
        let id = self.app(AppKind::Device);
        waiting(self.command(&["login", "--json", "--client-id", &id]))
    }

    /// The id of an app of the mock.
    pub(crate) fn app(&self, kind: AppKind) -> String {
        let app = self.mock.app(kind).expect("an app");
        app.client_id().to_owned()
    }
}

/// What these tests start has to have the signals that they send. A process that is started with one ignored, as in the background
/// of a script, hands that on to what it starts; one that it catches has its default there (POSIX, `exec`). So they are caught here,
/// to no effect, which is what they had.
#[cfg(unix)]
fn with_signals() {
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, Once};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::flag::register;

    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // On Linux; elsewhere the command catches them itself, and what it starts has the default.
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        for signal in [SIGHUP, SIGINT, SIGTERM, SIGUSR1] {
            if mask.unwrap_or(0) >> (signal - 1) & 1 == 1 {
                register(signal, Arc::new(AtomicBool::new(false))).expect("a signal to catch");
            }
        }
    });
}

impl Drop for Home {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.path);
    }
}

/// Starts a login that shows what the person needs.
pub(crate) fn waiting(mut login: Command) -> (Child, BufReader<ChildStdout>, Value) {
    let mut child = piped(&mut login);
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("UTF-8");
    (child, out, serde_json::from_str(&line).expect("JSON"))
}

/// Runs it with this text on standard input.
pub(crate) fn fed(command: &mut Command, input: &str) -> Run {
    let mut child = piped(command);
    let mut stdin = child.stdin.take().expect("piped");
    // It may have refused before it reads.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Run::of(child.wait_with_output().expect("it ends"))
}

pub(crate) fn piped(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs")
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// The last line of standard output, as JSON.
    pub(crate) fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error on standard error.
    pub(crate) fn error(&self) -> Value {
        let line = self.stderr.lines().last().unwrap_or_default();
        let error: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{self:?}"));
        error["error"].clone()
    }
}
