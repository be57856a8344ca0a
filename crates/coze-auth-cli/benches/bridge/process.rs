//! The mock and the bridge, each a process of its own, and what the system tells of them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use coze_auth_mock::CozeAuthMock;

pub(crate) struct Process {
    child: Child,
    /// The mock ends with it.
    _stdin: Option<ChildStdin>,
    pub(crate) to: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The mock alone, in this process, until standard input ends.
pub(crate) fn serve_mock() {
    let configured = CozeAuthMock::builder().toml("consent = \"approve\"\nseed = 1\n");
    let mock = configured.expect("valid").start_blocking().expect("a mock");
    println!(
        "{{\"listen\":\"{}\"}}",
        mock.base_url().trim_start_matches("http://")
    );
    let _ = std::io::stdout().flush();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

impl Process {
    pub(crate) fn mock() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.arg("--mock");
        Self::start(&mut command)
    }

    pub(crate) fn bridge(mock: &Self) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coze-auth"));
        command.args(["bridge", "--json", "--listen", "127.0.0.1:0"]);
        command.env("COZE_API_BASE", format!("http://{}", mock.to));
        Self::start(&mut command)
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("UTF-8");
        let (_, rest) = line.split_once("\"listen\":\"").expect("an address");
        let to = rest.split('"').next().expect("an address");
        Self {
            to: to.parse().expect("an address"),
            _stdin: child.stdin.take(),
            child,
        }
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kb.expect("a number") * 1024
    }

    /// Processor time of all its threads, in user space and in the kernel.
    pub(crate) fn processor(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("Linux");
        let nanoseconds = threads.map(|thread| {
            let of_thread = thread.expect("a thread").path().join("schedstat");
            let text = fs::read_to_string(of_thread).unwrap_or_default();
            let first = text.split(' ').next().unwrap_or_default();
            first.parse::<u64>().unwrap_or_default()
        });
        Duration::from_nanos(nanoseconds.sum())
    }
}
