//! What every test of the command needs: the command, a server, a folder, a request.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coze-auth-mock"));
    command
        .args(arguments)
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env_remove("RUST_LOG")
        .env_remove("SSL_CERT_FILE")
        .env_remove("COZE_AUTH_MOCK_PUBLIC_URL")
        .env_remove("COZE_AUTH_MOCK_ADMIN_TOKEN")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the command runs")
}

/// A server that is killed if its test fails.
pub(crate) struct Server(pub(crate) Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn serve(arguments: &[&str]) -> (Server, Value) {
    serve_at("127.0.0.1:0", arguments)
}

pub(crate) fn serve_at(listen: &str, arguments: &[&str]) -> (Server, Value) {
    let mut all = vec!["--listen", listen, "--print", "json"];
    all.extend(arguments);
    start(&mut command(&all))
}

/// Starts a command that serves and prints JSON.
pub(crate) fn start(command: &mut Command) -> (Server, Value) {
    let mut server = Server(command.spawn().expect("the command starts"));
    let out = server.0.stdout.take().expect("its standard output");
    let mut line = String::new();
    BufReader::new(out)
        .read_line(&mut line)
        .expect("a first line");
    (
        server,
        serde_json::from_str(&line).expect("one JSON object"),
    )
}

/// Standard output of a command that has to succeed.
pub(crate) fn out(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// Exit status and standard error of a command that has to fail, and print nothing.
pub(crate) fn failure(arguments: &[&str]) -> (i32, String) {
    let output = run(arguments);
    assert!(output.stdout.is_empty(), "{arguments:?}");
    let errors = String::from_utf8(output.stderr).expect("text");
    (output.status.code().expect("an exit status"), errors)
}

pub(crate) fn base_url(info: &Value) -> String {
    info["base_url"].as_str().expect("a base URL").to_owned()
}

/// Status line, headers and body of the answer to a request with these lines in its head.
pub(crate) fn ask(base_url: &str, target: &str, lines: &[&str]) -> String {
    let address = base_url.strip_prefix("http://").expect("an http URL");
    let mut stream = TcpStream::connect(address).expect("a connection");
    let mut head = format!("GET {target} HTTP/1.1\r\nConnection: close\r\n");
    for line in lines {
        head += &format!("{line}\r\n");
    }
    stream
        .write_all(format!("{head}\r\n").as_bytes())
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// Lines of a running server, awaited for so long that a test fails and does not hang.
pub(crate) struct Lines(mpsc::Receiver<String>);

impl Lines {
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stream).lines().map_while(Result::ok);
            for line in lines {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self(receive)
    }

    /// The lines that have not been read, once the stream has ended.
    pub(crate) fn rest(&self) -> Vec<String> {
        self.0.iter().collect()
    }

    /// Returns true if the stream ends within this time, and false if the time ends first.
    pub(crate) fn end_within(&self, ms: u64) -> bool {
        loop {
            match self.0.recv_timeout(Duration::from_millis(ms)) {
                Ok(_) => {}
                Err(error) => return error == mpsc::RecvTimeoutError::Disconnected,
            }
        }
    }

    /// The rest of the first line that has `words` in it.
    pub(crate) fn after(&self, words: &str) -> String {
        loop {
            let line = self.0.recv_timeout(Duration::from_secs(20));
            let line = line.unwrap_or_else(|_| panic!("no line with {words:?}"));
            if let Some((_, rest)) = line.split_once(words) {
                return rest.to_owned();
            }
        }
    }
}

/// A folder of this test's own, which goes with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let id = std::process::id();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{id}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        let path = self.0.join(name);
        path.to_str().expect("a path of text").to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).expect("written");
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
