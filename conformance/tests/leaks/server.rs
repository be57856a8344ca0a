//! A server on real sockets that does what it is told, and keeps all that went over the wire.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::scenes;

/// What it does with each request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Does {
    /// Answers as Coze does.
    Serve,
    /// Refuses, and quotes all that it was sent: as it is, and as others write it.
    Quote(Written),
    Page,
    Redirect,
    Nothing,
    Reset,
    BreakOff,
    NotJson,
    TooLong,
    NotText,
    /// As a proxy: asks for a password, and quotes the one that it was given.
    AskForPassword,
    Forbid,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Written {
    AsItIs,
    InUrl,
    InLowerUrl,
    InBase64,
    InHex,
    InJsonEscapes,
}

#[derive(Clone)]
pub(crate) struct Server(Arc<State>);

struct State {
    port: u16,
    does: Mutex<Does>,
    wire: Mutex<Vec<Vec<u8>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = Self(Arc::new(State {
            port: listener.local_addr().expect("an address").port(),
            does: Mutex::new(Does::Serve),
            wire: Mutex::default(),
        }));
        let served = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let served = served.clone();
                // A client that hangs up is none of ours.
                std::thread::spawn(move || drop(served.serve(stream.expect("a connection"))));
            }
        });
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    pub(crate) fn now(&self, does: Does) {
        *locked(&self.0.does) = does;
    }

    /// What it was sent since this was asked last.
    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut locked(&self.0.wire))
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut first = [0];
        if stream.peek(&mut first)? == 1 && !first[0].is_ascii_alphabetic() {
            // A hello of TLS, which nobody here understands.
            let _hello = stream.read(&mut [0; 4096])?;
            return stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
        let does = *locked(&self.0.does);
        if does == Does::Reset {
            let (head, _) = read(&mut stream, false)?;
            locked(&self.0.wire).push(head);
            // Its body is unread, so the system resets the connection.
            return Ok(());
        }
        let (head, body) = read(&mut stream, true)?;
        locked(&self.0.wire).push([&head[..], &body].concat());
        if does == Does::Nothing {
            let _end = stream.read_to_end(&mut Vec::new())?;
            return Ok(());
        }
        stream.write_all(&answer(does, &head, &body))?;
        stream.shutdown(Shutdown::Write)?;
        let _end = stream.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

/// Head and body of a request.
fn read(stream: &mut TcpStream, with_body: bool) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let lines = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = lines
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    if with_body {
        stream.read_exact(&mut body)?;
    }
    Ok((head, body))
}

/// The value of a header.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// What is secret of a request: its credential, and the values of its body.
fn parts(head: &str, body: &str) -> Vec<String> {
    let credential = ["authorization", "proxy-authorization"];
    let credential = credential.iter().find_map(|name| header(head, name));
    let credential =
        credential.map(|value| value.rsplit(' ').next().unwrap_or_default().to_owned());
    let members: Vec<String> = match serde_json::from_str::<serde_json::Value>(body) {
        Ok(serde_json::Value::Object(members)) => members
            .into_iter()
            .filter_map(|(_, value)| value.as_str().map(str::to_owned))
            .collect(),
        _ => url::form_urlencoded::parse(body.as_bytes())
            .map(|(_, value)| value.into_owned())
            .collect(),
    };
    // The secrets first, since a client shows the beginning of a message alone.
    let mut parts: Vec<String> = members.into_iter().filter(|part| part.len() > 30).collect();
    parts.retain(|part| !part.starts_with("urn:") && !part.starts_with("http"));
    credential.into_iter().chain(parts).collect()
}

pub(crate) fn answer(does: Does, head: &[u8], body: &[u8]) -> Vec<u8> {
    let (head, text) = (String::from_utf8_lossy(head), String::from_utf8_lossy(body));
    let target = head.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let good = scenes::good(path, body);
    let parts = parts(&head, &text);
    let quoted = parts.join(" ");
    let url =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let whole = |status: &str, more: &str, body: &[u8]| {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    let refusal = |quoted: &str| {
        format!(
            r#"{{"error_code":"{quoted}","error_message":"{quoted}","code":4100,"msg":"{quoted}","detail":{{"logid":"{quoted}"}}}}"#
        )
    };
    let log_id = format!("x-tt-logid: {quoted}\r\nx-quoted: {quoted}\r\n");
    match does {
        Does::Serve => whole("200 OK", "", good.as_bytes()),
        Does::Quote(Written::AsItIs) => {
            whole("400 Bad Request", &log_id, refusal(&quoted).as_bytes())
        }
        Does::Quote(written) => {
            let each = parts.iter().map(|part| match written {
                Written::AsItIs => part.clone(),
                Written::InUrl => url(part),
                Written::InLowerUrl => url(part)
                    .replace("%2F", "%2f")
                    .replace("%2B", "%2b")
                    .replace("%3D", "%3d"),
                Written::InBase64 => STANDARD.encode(part),
                Written::InHex => part.bytes().map(|byte| format!("{byte:02x}")).collect(),
                Written::InJsonEscapes => part
                    .bytes()
                    .map(|byte| format!("\\u00{byte:02x}"))
                    .collect(),
            });
            let quoted = each.collect::<Vec<_>>().join(" ");
            whole("400 Bad Request", "", refusal(&quoted).as_bytes())
        }
        Does::Page => {
            let page = format!("<!doctype html><title>{quoted}</title>{good}");
            whole("502 Bad Gateway", &log_id, page.as_bytes())
        }
        Does::Redirect => {
            let to = format!("location: https://elsewhere.example/?{}\r\n", url(&quoted));
            whole("307 Temporary Redirect", &(to + &log_id), quoted.as_bytes())
        }
        Does::BreakOff => {
            let mut answer = whole("200 OK", &log_id, good.as_bytes());
            answer.truncate(answer.len() - 20);
            answer
        }
        Does::NotJson => {
            let body = format!(r#"{{"error_code": {quoted}, {good}"#);
            whole("400 Bad Request", &log_id, body.as_bytes())
        }
        Does::TooLong => {
            let mut body = refusal(&quoted).into_bytes();
            body.resize(coze_auth_core::Body::READ_AT_MOST + 10, b' ');
            whole("200 OK", "", &body)
        }
        Does::NotText => {
            let mut body = refusal(&quoted).into_bytes();
            let at = body.len() - 4;
            body[at] = 0xff;
            body.extend_from_slice(quoted.as_bytes());
            whole("400 Bad Request", "", &body)
        }
        Does::AskForPassword | Does::Forbid => {
            let credential = header(&head, "proxy-authorization").unwrap_or_default();
            let status = match does {
                Does::Forbid => "403 Forbidden",
                _ => "407 Proxy Authentication Required",
            };
            let body = format!("{credential} is not {target}");
            let asks = format!("proxy-authenticate: Basic realm=\"{credential}\"\r\n");
            whole(status, &asks, body.as_bytes())
        }
        Does::Nothing | Does::Reset => Vec::new(),
    }
}
