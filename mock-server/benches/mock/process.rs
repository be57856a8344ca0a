//! A server as a process of its own: its start, its memory, its processor time.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::{Connection, post};

pub(crate) struct Process {
    child: Child,
    pub(crate) to: SocketAddr,
    /// From the start of the process to its first answer.
    pub(crate) started_in: Duration,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one server answers first.
pub(crate) struct Kind {
    pub(crate) command: fn(SocketAddr) -> Command,
    pub(crate) first: &'static str,
}

pub(crate) const MOCK: Kind = Kind {
    command: mock,
    first: "/v1/users/me",
};
/// The mock of commit `e0d4b6f`.
pub(crate) const BEFORE: Kind = Kind {
    command: |to| serve(&before().expect("it was looked for"), to),
    first: "/v1/users/me",
};
pub(crate) const BARE: Kind = Kind {
    command: bare,
    first: "/",
};
pub(crate) const PEER: Kind = Kind {
    command: peer,
    first: "/.well-known/openid-configuration",
};

const MOCK_BINARY: &str = env!("CARGO_BIN_EXE_coze-auth-mock");

fn mock(to: SocketAddr) -> Command {
    serve(Path::new(MOCK_BINARY), to)
}

fn serve(program: &Path, to: SocketAddr) -> Command {
    let mut command = Command::new(program);
    command.args(["serve", "--consent", "approve", "--seed", "1", "--listen"]);
    // A log line per request is for people, and its cost the terminal's.
    command.arg(to.to_string()).env("RUST_LOG", "off");
    command
}

fn bare(to: SocketAddr) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--bare", &to.to_string()]);
    command
}

fn peer(to: SocketAddr) -> Command {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/mock/peer/serve.mjs");
    let mut command = Command::new("node");
    command
        .arg(script)
        .arg(to.port().to_string())
        .env("PEER_MODULES", peer_modules());
    command
}

/// The binary of commit `e0d4b6f`, if `just mock-bench` has built it.
pub(crate) fn before() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("MOCK_BEFORE")?);
    Some(folder.join("coze-auth-mock")).filter(|binary| binary.exists())
}

/// Where `just bench` has installed the peer.
pub(crate) fn peer_modules() -> PathBuf {
    std::env::var_os("PEER_MODULES").map_or_else(PathBuf::new, PathBuf::from)
}

impl Process {
    /// `core`: the only one that it may use.
    pub(crate) fn start(kind: &Kind, core: Option<usize>) -> Self {
        Self::of(kind.command, kind.first, core)
    }

    /// The shadow of a mock.
    pub(crate) fn shadow(of: SocketAddr) -> Self {
        let command = |to: SocketAddr| {
            let mut command = Command::new(MOCK_BINARY);
            command.args(["shadow", "--mock-apps", "--upstream"]);
            command.args([&format!("http://{of}"), "--listen", &to.to_string()]);
            command.env("RUST_LOG", "off");
            command
        };
        Self::of(command, MOCK.first, None)
    }

    fn of(
        command: impl FnOnce(SocketAddr) -> Command,
        first: &'static str,
        core: Option<usize>,
    ) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let to = free.expect("a free port");
        let plain = command(to);
        let mut command = match core {
            None => plain,
            Some(core) => {
                let mut pinned = Command::new("taskset");
                pinned.args(["-c", &core.to_string()]);
                pinned.arg(plain.get_program()).args(plain.get_args());
                pinned.envs(
                    plain
                        .get_envs()
                        .filter_map(|(name, value)| Some((name, value?))),
                );
                pinned
            }
        };
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let child = command.spawn().expect("the server starts");
        let request = post(first, "none", "text/plain", "");
        let request = String::from_utf8(request)
            .expect("text")
            .replacen("POST", "GET", 1);
        let mut process = Self {
            child,
            to,
            started_in: Duration::ZERO,
        };
        loop {
            let answer = Connection::new(to).and_then(|mut connection| {
                connection
                    .ask(request.as_bytes())
                    .map(|(head, _)| head.len())
            });
            if answer.is_ok() {
                process.started_in = begun.elapsed();
                return process;
            }
            let ended = process.child.try_wait().expect("a state");
            assert!(ended.is_none(), "the server ended: {ended:?}");
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "it does not answer"
            );
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = self.read("status").expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kb.expect("a number") * 1024
    }

    /// Processor time of all its threads, in user space and in the kernel.
    pub(crate) fn processor(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("Linux");
        let nanoseconds = threads.map(|thread| {
            let of_thread = thread.expect("a thread").path().join("schedstat");
            let text = fs::read_to_string(of_thread).expect("a thread that lives");
            let first = text.split(' ').next().expect("a number");
            first.parse::<u64>().expect("a number")
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    fn read(&self, what: &str) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/{what}", self.child.id()))
    }
}
