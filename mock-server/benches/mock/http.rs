//! A keep-alive connection with as little to do as can be: what is measured is the server.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) const WEB: &str = "11111111111111111111111111111111.app.coze";
pub(crate) const SECRET: &str = "mock-web-secret";
pub(crate) const TOKEN: &str = "/api/permission/oauth2/token";
const CALLBACK: &str = "http%3A%2F%2Flocalhost%2Fcb";

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
        })
    }

    /// From now on it never sleeps. To wake a client costs a server more than many an answer, and a server that is
    /// faster than its client would not pay it.
    pub(crate) fn stay_awake(&self) {
        self.stream.set_nonblocking(true).expect("a socket");
    }

    /// Sends a whole request and gives head and body of the answer, which has a length.
    pub(crate) fn ask(&mut self, request: &[u8]) -> io::Result<(&str, &str)> {
        self.send(request)?;
        self.receive()
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)
    }

    pub(crate) fn receive(&mut self) -> io::Result<(&str, &str)> {
        self.buffer.clear();
        let mut part = [0; 8 * 1024];
        loop {
            let n = match self.stream.read(&mut part) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::hint::spin_loop();
                    continue;
                }
                read => read?,
            };
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.extend_from_slice(&part[..n]);
            let Some(head) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            let text = std::str::from_utf8(&self.buffer).map_err(io::Error::other)?;
            let (head, rest) = text.split_at(head + 4);
            if rest.len() >= length(head) {
                break;
            }
        }
        let text = std::str::from_utf8(&self.buffer).map_err(io::Error::other)?;
        text.split_once("\r\n\r\n")
            .ok_or_else(|| io::Error::other("no head"))
    }

    /// The body of a success.
    pub(crate) fn ok(&mut self, request: &[u8]) -> &str {
        let (head, body) = self.ask(request).expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
        body
    }
}

fn length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut of = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    of.next()
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0)
}

pub(crate) fn post(path: &str, bearer: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nAuthorization: Bearer {bearer}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(crate) fn post_json(path: &str, bearer: &str, body: &str) -> Vec<u8> {
    post(path, bearer, "application/json", body)
}

pub(crate) fn refresh(token: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"grant_type":"refresh_token","client_id":"{WEB}","refresh_token":"{token}"}}"#
    );
    post_json(TOKEN, SECRET, &body)
}

/// The text of a member of a flat JSON object.
pub(crate) fn member<'a>(json: &'a str, name: &str) -> &'a str {
    let mark = format!("\"{name}\":\"");
    let (_, rest) = json
        .split_once(&mark)
        .unwrap_or_else(|| panic!("no {name} in {json}"));
    rest.split('"').next().unwrap_or_default()
}

/// Logs in by code, where everything is approved at once, and gives the refresh token.
pub(crate) fn log_in(connection: &mut Connection) -> String {
    let authorize = format!(
        "GET /api/permission/oauth2/authorize?response_type=code&client_id={WEB}&redirect_uri={CALLBACK}&state=s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    );
    let (head, _) = connection.ask(authorize.as_bytes()).expect("an answer");
    let (_, after) = head.split_once("?code=").expect("a code");
    let code = after.split('&').next().unwrap_or_default();
    let body = format!(
        r#"{{"grant_type":"authorization_code","client_id":"{WEB}","redirect_uri":"http://localhost/cb","code":"{code}"}}"#
    );
    member(
        connection.ok(&post_json(TOKEN, SECRET, &body)),
        "refresh_token",
    )
    .to_owned()
}
