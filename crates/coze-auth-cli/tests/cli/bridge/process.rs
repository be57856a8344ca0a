//! A bridge as a process of its own, and raw requests to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coze_auth_mock::AppKind;
use serde_json::Value;

use crate::support::{Home, Run};

/// The id and the secret of the client that gets machine tokens.
pub(crate) const MACHINE: (&str, &str) = ("grafana", "0123456789abcdef0123456789abcdef");

pub(crate) struct Bridge {
    child: Option<Child>,
    /// What it tells, which is read all the time.
    log: Option<JoinHandle<String>>,
    pub(crate) to: SocketAddr,
    pub(crate) issuer: String,
}

impl Bridge {
    pub(crate) fn start(home: &Home) -> Self {
        Self::with(home, &[])
    }

    /// With a client that gets machine tokens, and the key of the mock's JWT app.
    pub(crate) fn with_machine(home: &Home, more: &[&str]) -> Self {
        let file = home.path.join("machines.json");
        let (id, secret) = MACHINE;
        std::fs::write(&file, format!("{{\"{id}\": \"{secret}\"}}")).expect("written");
        let file = file.to_str().expect("UTF-8").to_owned();
        Self::with(home, &[&["--machine-clients", &file], more].concat())
    }

    /// With these options.
    pub(crate) fn with(home: &Home, options: &[&str]) -> Self {
        Self::of(&mut Self::command(home, options))
    }

    /// The command that starts one, with the mock's variables.
    pub(crate) fn command(home: &Home, options: &[&str]) -> Command {
        let free: &[&str] = match options.contains(&"--listen") {
            true => &[],
            false => &["--listen", "127.0.0.1:0"],
        };
        let arguments = [&["bridge", "--json", "--log", "requests"], free, options].concat();
        let mut command = home.command(&arguments);
        for name in [
            "COZE_JWT_OAUTH_CLIENT_ID",
            "COZE_JWT_OAUTH_PUBLIC_KEY_ID",
            "COZE_JWT_OAUTH_PRIVATE_KEY",
        ] {
            command.env(
                name,
                home.mock.variable(name).expect("the mock has a JWT app"),
            );
        }
        command
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut bridge = Self::unread(command);
        let log = bridge.child.as_mut().and_then(|child| child.stderr.take());
        bridge.log = log.map(|mut log| {
            std::thread::spawn(move || {
                let mut text = String::new();
                log.read_to_string(&mut text).expect("UTF-8");
                text
            })
        });
        bridge
    }

    /// Whose standard error nobody reads.
    pub(crate) fn unread(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("UTF-8");
        if line.is_empty() {
            panic!("{:?}", child.wait_with_output());
        }
        let told: Value = serde_json::from_str(&line).expect("JSON");
        let text = |name: &str| told[name].as_str().expect("a text").to_owned();
        Self {
            child: Some(child),
            log: None,
            to: text("listen").parse().expect("an address"),
            issuer: text("issuer"),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Resident memory in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kb.expect("a number") * 1024
    }

    /// Ends it as a person does, and gives what it has printed since its first line.
    pub(crate) fn end(mut self) -> Run {
        self.signal("TERM");
        self.wait()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.is_ok_and(|sent| sent.success()));
    }

    pub(crate) fn wait(&mut self) -> Run {
        let child = self.child.take().expect("it runs");
        let run = Run::of(child.wait_with_output().expect("it ends"));
        let log = self.log.take().map(|log| log.join().expect("it is read"));
        Run {
            stderr: log.unwrap_or_default(),
            ..run
        }
    }

    /// The exit status of one whose standard error nobody reads.
    pub(crate) fn wait_unread(&mut self) -> Option<i32> {
        let child = self.child.as_mut().expect("it runs");
        child.wait().expect("it ends").code()
    }

    /// Sends a whole request and gives the answer.
    pub(crate) fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.to).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a socket");
        stream.write_all(request).expect("it is taken");
        Answer::read(&mut stream)
    }

    /// A request with these lines of its head.
    pub(crate) fn ask(&self, method: &str, target: &str, head: &[&str], body: &str) -> Answer {
        let mut text = format!(
            "{method} {target} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        if !head.iter().any(|line| line.starts_with("Host:")) {
            text += &format!("Host: {}\r\n", self.to);
        }
        for line in head {
            text += &format!("{line}\r\n");
        }
        self.raw(format!("{text}\r\n{body}").as_bytes())
    }

    pub(crate) fn get(&self, target: &str, head: &[&str]) -> Answer {
        self.ask("GET", target, head, "")
    }

    pub(crate) fn post(&self, target: &str, head: &[&str], form: &[(&str, &str)]) -> Answer {
        let head = [&["Content-Type: application/x-www-form-urlencoded"], head].concat();
        self.ask("POST", target, &head, &encoded(form))
    }

    pub(crate) fn token(&self, head: &[&str], form: &[(&str, &str)]) -> Answer {
        self.post("/token", head, form)
    }

    /// A code of the mock, by way of the bridge's authorize endpoint.
    pub(crate) fn code(&self, home: &Home, kind: AppKind, more: &[(&str, &str)]) -> String {
        let id = home.app(kind);
        let form = [
            &[
                ("response_type", "code"),
                ("client_id", &*id),
                ("redirect_uri", REDIRECT),
                ("state", "s"),
            ],
            more,
        ]
        .concat();
        let page = self.get(&format!("/authorize?{}", encoded(&form)), &[]);
        assert_eq!(page.status, 302, "{page:?}");
        let back = home
            .mock
            .authorize(page.header("location"), true)
            .expect("it is fine");
        let (_, code) = back.split_once("code=").expect("a code");
        code.split('&').next().expect("a code").to_owned()
    }
}

/// Any port of this machine is registered with the mock's apps.
pub(crate) const REDIRECT: &str = "http://localhost:1/cb";

impl Drop for Bridge {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!(
        "Authorization: Basic {}",
        STANDARD.encode(format!("{id}:{secret}"))
    )
}

/// A form.
pub(crate) fn encoded(form: &[(&str, &str)]) -> String {
    let escape = |text: &str| -> String {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(byte).collect()
    };
    let pairs: Vec<String> = form
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    pairs.join("&")
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Reads an answer whose end is that of the connection, or that has a length.
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.to_ascii_lowercase();
                let length = length.split_once("content-length: ");
                let length =
                    length.and_then(|(_, rest)| rest.split('\r').next()?.parse::<usize>().ok());
                if length.is_some_and(|length| body.len() >= length) {
                    break;
                }
            }
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => break,
                Ok(read) => bytes.extend_from_slice(&piece[..read]),
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        let json = self.json();
        json[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}: {self:?}"))
            .to_owned()
    }

    /// The value of a header; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut of = lines.filter(|(line, _)| line.eq_ignore_ascii_case(name));
        of.next().map_or("", |(_, value)| value)
    }

    /// The refusal, which has to have this status and code.
    pub(crate) fn refused(&self, status: u16, error: &str) -> String {
        assert_eq!(
            (self.status, &*self.text("error")),
            (status, error),
            "{self:?}"
        );
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("cache-control"), "no-store");
        self.text("error_description")
    }
}
