//! A real `redis-server` on a free port of the loopback, with its data in a folder that goes with it.
#![allow(dead_code)] // nobody uses all of it

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
/// What every row and every fleet has, unless it is about that. By `appendfsync everysec` a write that was answered waits in memory while an
/// earlier one is synced, and `kill -9` loses it (seen on a busy disk).
pub(crate) const DURABLE: [&str; 3] = ["appendonly yes", "appendfsync always", "save \"\""];
/// The source of the library that moves a server's wall clock, in the workspace.
const CLOCK: &str = "../crates/coze-auth-redis/tests/server/clock.c";

pub(crate) struct Redis {
    program: &'static str,
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
    /// The library that moves its wall clock.
    clock: Option<PathBuf>,
}

/// Why there is no Redis here. Where `CI` is set, that is a failure.
pub(crate) fn missing(program: &str) -> Option<String> {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_ok_and(|status| status.success()) {
        return None;
    }
    let why = format!("{program} is not installed (apt-get install {program})");
    assert!(std::env::var_os("CI").is_none(), "{why}");
    Some(why)
}

impl Redis {
    /// Starts one with these lines of configuration, of which the last of two counts.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_program("redis-server", settings)
    }

    /// Starts one that loses nothing that it has answered, with further lines.
    pub(crate) fn start_durable(more: &[&str]) -> Self {
        Self::start(&[&DURABLE, more].concat())
    }

    pub(crate) fn start_program(program: &'static str, settings: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("coze-auth-fleet-redis-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let mut server = Self {
            program,
            folder,
            port: 0,
            settings: settings.iter().map(|line| (*line).to_owned()).collect(),
            process: None,
            clock: None,
        };
        // The port is free when it is looked for; somebody else may take it before the server does.
        for _ in 0..20 {
            server.port = free_port();
            if server.run() {
                return server;
            }
        }
        panic!("no server after twenty ports: {}", server.log());
    }

    /// Starts one whose wall clock [`move_clock`](Self::move_clock) moves. None where that is not possible.
    pub(crate) fn start_with_clock(settings: &[&str]) -> Option<Self> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let mut server = Self::start(settings);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(CLOCK);
        let library = server.folder.join("clock.so");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status();
        if !built.is_ok_and(|status| status.success()) {
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
        ];
        let lines: Vec<&str> = fixed
            .iter()
            .chain(&self.settings)
            .map(String::as_str)
            .collect();
        let file = self.folder.join("redis.conf");
        fs::write(&file, lines.join("\n") + "\n").expect("a file");
        let mut process = Command::new(self.program)
            .arg(&file)
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
            if self.answers() {
                self.process = Some(process);
                return true;
            }
            assert!(began.elapsed() < START, "no answer: {}", self.log());
            sleep(Duration::from_millis(2));
        }
    }

    /// Whether it has read its files: any answer but LOADING.
    fn answers(&self) -> bool {
        let Ok(mut socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else {
            return false;
        };
        let _ = socket.set_read_timeout(Some(Duration::from_secs(1)));
        let mut answer = [0; 64];
        let sent = socket.write_all(b"PING\r\n");
        match sent.and_then(|()| socket.read(&mut answer)) {
            Ok(length) => length > 0 && !answer.starts_with(b"-LOADING"),
            Err(_) => false,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
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

    /// Sends it a signal: `STOP`, `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// What it answers to a command, as text: a line each. `-` begins an error.
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
        self.ask(command).pop().unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // One that is stopped dies of it, too.
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
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
            }
            lines.push(String::from_utf8_lossy(&text).into_owned());
        }
        "-" => lines.push(head.clone()),
        _ => lines.push(rest.to_owned()),
    }
}
