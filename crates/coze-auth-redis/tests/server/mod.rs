//! A real `redis-server` of a test's own: on a free port of the loopback, with its data in a folder that goes with it.
#![allow(dead_code)] // no test file uses all of it

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take to start; a guard only.
const START: Duration = Duration::from_secs(30);

/// A server. It ends with this.
pub(crate) struct Server {
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
    program: &'static str,
    file: OsString,
    /// The library that moves its wall clock.
    clock: Option<PathBuf>,
}

/// The source of the library that moves a server's wall clock.
const CLOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/clock.c");

/// The end of the test's function where `redis-server` is missing: a test says so, and is skipped by name. With `CI` set it fails.
///
/// ```ignore
/// let Some(server) = Server::start("a_test", &[]) else { return };
/// ```
fn is_missing(test: &str, program: &str, file: &OsStr) -> bool {
    let found = Command::new(file)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(status) if status.success() => false,
        _ => {
            let why = format!("{program} is not installed (apt-get install {program})");
            assert!(std::env::var_os("CI").is_none(), "{test}: {why}");
            // Past the test harness, which shows nothing of a test that passes.
            let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
            true
        }
    }
}

impl Server {
    /// Starts one with an append-only file. `settings` are lines of its configuration, and the last of two counts. None where
    /// `redis-server` is missing: the test `test` is skipped.
    pub(crate) fn start(test: &str, settings: &[&str]) -> Option<Self> {
        Self::start_program(test, "redis-server", settings)
    }

    /// Starts a sentinel, as [`start`](Self::start) does a server.
    pub(crate) fn start_sentinel(test: &str, settings: &[&str]) -> Option<Self> {
        Self::start_program(test, "redis-sentinel", settings)
    }

    fn start_program(test: &str, program: &'static str, settings: &[&str]) -> Option<Self> {
        // Another engine for all tests, such as Valkey: `just valkey`.
        let file = match other_engine() {
            Some(file) if program == "redis-server" => file,
            _ => program.into(),
        };
        if is_missing(test, program, &file) {
            return None;
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("coze-auth-redis-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let mut server = Self {
            folder,
            port: 0,
            settings: settings.iter().map(|line| (*line).to_owned()).collect(),
            process: None,
            program,
            file,
            clock: None,
        };
        // The port is free when it is looked for; somebody else may take it before the server does.
        for _ in 0..20 {
            server.port = free_port();
            if server.run() {
                return Some(server);
            }
        }
        panic!("no server after twenty ports: {}", server.log());
    }

    /// Starts a server whose wall clock [`move_clock`](Self::move_clock) moves, which `cc` builds a library for. None where that is not
    /// possible: the test is skipped.
    pub(crate) fn start_with_clock(test: &str, settings: &[&str]) -> Option<Self> {
        let mut server = Self::start(test, settings)?;
        let library = server.folder.join("clock.so");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(CLOCK)
            .arg("-ldl")
            .status();
        if !built.is_ok_and(|status| status.success()) || !cfg!(target_os = "linux") {
            let _ = writeln!(
                std::io::stderr(),
                "skipped: {test}: no library for the clock can be built here"
            );
            return None;
        }
        server.clock = Some(library);
        server.restart();
        Some(server)
    }

    /// Moves its wall clock to so many seconds from ours. The steady one stays.
    pub(crate) fn move_clock(&self, seconds: i64) {
        fs::write(self.folder.join("clock"), seconds.to_string()).expect("a file");
    }

    /// Starts the process. False: it ended, as when its port is taken.
    fn run(&mut self) -> bool {
        let fixed = [
            "bind 127.0.0.1".to_owned(),
            format!("port {}", self.port),
            format!("dir \"{}\"", self.folder.display()),
            "logfile log".to_owned(),
            "daemonize no".to_owned(),
        ];
        // What docs/fleet.md advises. `everysec` writes up to two seconds after the answer while the disk is busy.
        let of_server = ["save \"\"", "appendonly yes", "appendfsync always"].map(str::to_owned);
        let of_server = of_server.iter().filter(|_| self.program == "redis-server");
        let lines: Vec<&str> = fixed
            .iter()
            .chain(of_server)
            .chain(&self.settings)
            .map(String::as_str)
            .collect();
        let settings = self.folder.join("redis.conf");
        fs::write(&settings, lines.join("\n") + "\n").expect("a file");
        let mut process = Command::new(&self.file)
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .envs(self.clock.iter().map(|library| ("LD_PRELOAD", library)))
            .env("CLOCK_FILE", self.folder.join("clock"))
            .spawn()
            .expect("it runs");
        let began = Instant::now();
        loop {
            if process.try_wait().expect("a process").is_some() {
                return false;
            }
            if answers(self.port) {
                self.process = Some(process);
                return true;
            }
            assert!(began.elapsed() < START, "no answer: {}", self.log());
            sleep(Duration::from_millis(5));
        }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Where its data and its log are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Adds a line to its configuration, which counts from the next start.
    pub(crate) fn set(&mut self, line: &str) {
        self.settings.push(line.to_owned());
    }

    /// Ends it by `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("a process of ours");
            process.wait().expect("its end");
        }
    }

    /// Starts it again on the same port, with what its files hold.
    pub(crate) fn restart(&mut self) {
        self.kill();
        assert!(self.run(), "it does not start again: {}", self.log());
    }

    /// Removes what it has stored: the next start is empty.
    pub(crate) fn lose_data(&mut self) {
        self.kill();
        for name in ["appendonlydir", "dump.rdb", "appendonly.aof"] {
            let path = self.folder.join(name);
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    }

    /// Stops the process, which keeps its sockets: SIGSTOP.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
    }

    /// Lets a stopped process go on: SIGCONT.
    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.expect("kill runs").success());
    }

    /// What it answers to a command, as text: a line each, without types. `-` begins an error.
    pub(crate) fn ask(&self, command: &[&str]) -> Vec<String> {
        let mut sent = format!("*{}\r\n", command.len());
        for part in command {
            sent += &format!("${}\r\n{part}\r\n", part.len());
        }
        // A server that becomes a replica closes its connections.
        for _ in 0..5 {
            let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
            let mut socket = connected.expect("it listens");
            socket.set_read_timeout(Some(START)).expect("a time");
            let is_sent = socket.write_all(sent.as_bytes()).is_ok();
            if is_sent && socket.peek(&mut [0]).is_ok_and(|length| length > 0) {
                let mut lines = Vec::new();
                read_answer(&mut socket, &mut lines);
                return lines;
            }
        }
        panic!("{command:?}: no answer; {}", self.log());
    }

    /// The one line that it answers to a command.
    pub(crate) fn tell(&self, command: &[&str]) -> String {
        let mut lines = self.ask(command);
        assert!(lines.len() <= 1, "{command:?}: {lines:?}");
        lines.pop().unwrap_or_default()
    }

    /// Waits until a command was called so often since then.
    pub(crate) fn wait_for_calls(&self, command: &str, at_least: u64) {
        let began = Instant::now();
        while self.calls(command) < at_least {
            assert!(began.elapsed() < START, "{command} is not called");
            sleep(Duration::from_millis(5));
        }
    }

    /// How often each command was called, of those named here, since the server started or `CONFIG RESETSTAT`.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        let stats = self.tell(&["INFO", "commandstats"]);
        let begins = format!("cmdstat_{command}:calls=");
        let line = stats.lines().find_map(|line| line.strip_prefix(&begins));
        let count = line.and_then(|line| line.split(',').next());
        count.map_or(0, |count| count.parse().expect("a number"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The server that all tests take in the place of `redis-server`, if one is given.
pub(crate) fn other_engine() -> Option<OsString> {
    std::env::var_os("COZE_AUTH_REDIS_SERVER")
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Whether a server on this port has read its files: any answer but LOADING, an error for want of a password among them.
fn answers(port: u16) -> bool {
    let Ok(mut socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    let _ = socket.set_read_timeout(Some(Duration::from_secs(1)));
    let mut answer = [0; 64];
    match socket
        .write_all(b"PING\r\n")
        .and_then(|()| socket.read(&mut answer))
    {
        Ok(length) => length > 0 && !answer.starts_with(b"-LOADING"),
        Err(_) => false,
    }
}

fn read_line(socket: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        socket.read_exact(&mut byte).expect("a line");
        line.push(byte[0]);
    }
    String::from_utf8_lossy(&line[..line.len() - 2]).into_owned()
}

fn read_answer(socket: &mut TcpStream, lines: &mut Vec<String>) {
    let head = read_line(socket);
    let (kind, rest) = head.split_at(1);
    match kind {
        "*" => {
            for _ in 0..rest.parse::<i64>().expect("a number") {
                read_answer(socket, lines);
            }
        }
        "$" => {
            let length: i64 = rest.parse().expect("a number");
            let mut text = vec![0; usize::try_from(length + 2).unwrap_or_default()];
            if length >= 0 {
                socket.read_exact(&mut text).expect("a text");
                text.truncate(text.len() - 2);
                lines.push(String::from_utf8_lossy(&text).into_owned());
            } else {
                lines.push(String::new());
            }
        }
        "-" => lines.push(head.clone()),
        _ => lines.push(rest.to_owned()),
    }
}
