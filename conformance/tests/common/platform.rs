//! A small platform for workloads on real sockets: it gives tokens, a credential and variables, or what a test says.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use coze_auth_core::ClientSecret;
use coze_auth_core::workload::{WorkloadApp, WorkloadEndpoints};

/// A request, as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Such as `POST /id`.
    pub(crate) line: String,
    /// In lower case, each with a line end.
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Seen {
    /// A member of its form.
    pub(crate) fn member(&self, name: &str) -> String {
        let mut members = url::form_urlencoded::parse(self.body.as_bytes());
        let member = members.find(|(found, _)| found == name);
        member.map_or_else(String::new, |(_, value)| value.into_owned())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.headers.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or_default()
    }
}

/// What is answered: status, further headers each with a line end, and body.
pub(crate) type Answer = (u16, String, String);

pub(crate) fn json(body: impl Into<String>) -> Answer {
    (
        200,
        "content-type: application/json\r\n".to_owned(),
        body.into(),
    )
}

type Says = dyn Fn(&Seen) -> Option<Answer> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Platform(Arc<State>);

struct State {
    base: String,
    seen: Mutex<Vec<Seen>>,
    tokens: AtomicUsize,
    /// The access tokens that are not good any more.
    refused: Mutex<BTreeSet<String>>,
    life: u64,
    says: Box<Says>,
}

impl Platform {
    pub(crate) fn new(life: u64) -> Self {
        Self::saying(life, |_| None)
    }

    /// Access tokens live for so many seconds. `says` is given in the place of the usual answer.
    pub(crate) fn saying(
        life: u64,
        says: impl Fn(&Seen) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let platform = Self(Arc::new(State {
            base: format!("http://{}", listener.local_addr().expect("an address")),
            seen: Mutex::default(),
            tokens: AtomicUsize::new(0),
            refused: Mutex::default(),
            life,
            says: Box::new(says),
        }));
        let served = platform.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let served = served.clone();
                thread::spawn(move || served.serve(&stream.expect("a connection")));
            }
        });
        platform
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0.base)
    }

    pub(crate) fn app(&self, id: &str, secret: &str) -> WorkloadApp {
        let endpoints = WorkloadEndpoints::custom(&self.url("/id"), &self.url("/access"));
        let endpoints = endpoints.and_then(|it| it.with_outbound(&self.url("/out")));
        let secret = ClientSecret::new(secret).expect("a secret");
        WorkloadApp::new(endpoints.expect("endpoints"), id, secret).expect("an app")
    }

    /// The requests since this was asked last.
    pub(crate) fn saw(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.seen.lock().unwrap())
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.saw().into_iter().map(|seen| seen.line).collect()
    }

    pub(crate) fn refuse(&self, token: &str) {
        let mut refused = self.0.refused.lock().unwrap();
        refused.insert(format!("bearer {}", token.to_ascii_lowercase()));
    }

    fn serve(&self, stream: &TcpStream) {
        // A connection that nothing was sent on.
        let Some(seen) = read(stream) else { return };
        self.0.seen.lock().unwrap().push(seen.clone());
        let said = (self.0.says)(&seen);
        let (status, headers, body) = said.unwrap_or_else(|| self.usual(&seen));
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} It\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        // One that does not wait for its answer is none of ours.
        let _ = (&mut &*stream).write_all(answer.as_bytes());
    }

    fn usual(&self, seen: &Seen) -> Answer {
        match seen.line.as_str() {
            "POST /id" => {
                let (id, lane) = (seen.member("client_id"), seen.header("x-tt-env"));
                json(format!(
                    r#"{{"access_token":"id.{id}.{lane}","expires_in":60}}"#
                ))
            }
            "POST /access" => {
                let number = self.0.tokens.fetch_add(1, Ordering::SeqCst);
                let (from, life) = (seen.member("subject_token"), self.0.life);
                json(format!(
                    r#"{{"access_token":"{from}.{number}","expires_in":{life}}}"#
                ))
            }
            _ if self
                .0
                .refused
                .lock()
                .unwrap()
                .contains(&seen.header("authorization").to_ascii_lowercase()) =>
            {
                let (_, headers, body) = json(r#"{"code":4100,"msg":"authentication is invalid"}"#);
                (401, headers, body)
            }
            "POST /out/integration" => json(r#"{"code":0,"data":{"credential":"c-1"}}"#),
            "GET /out/env" => json(r#"{"code":0,"data":{"secrets":[{"key":"A","value":"v-1"}]}}"#),
            _ => json(r#"{"code":0,"data":{"user_id":"7"}}"#),
        }
    }
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (line, _) = line.trim_end().rsplit_once(' ')?;
    let mut seen = Seen {
        line: line.to_owned(),
        ..Seen::default()
    };
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim_end().is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        seen.headers += &format!("{}: {}\n", name.to_ascii_lowercase(), value.trim());
    }
    let length = seen.header("content-length").parse().unwrap_or_default();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    seen.body = String::from_utf8(body).ok()?;
    Some(seen)
}
