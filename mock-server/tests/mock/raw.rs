//! A client that has nothing but a socket, and a server with a world for each of its requests.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_mock::{Consent, MockWorld, On};
use serde_json::{Value, json};

use crate::sockets::address;
use crate::support::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A whole answer, and the connection goes on.
    Open,
    Fin,
    Rst,
}

/// What was received, how it ended, and how long it took.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
    pub(crate) took: Duration,
}

impl Received {
    fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
        Some((head, &bytes[end..]))
    }

    pub(crate) fn head(&self) -> &str {
        Self::split(&self.bytes).expect("a head").0
    }

    pub(crate) fn body(&self) -> &[u8] {
        Self::split(&self.bytes).expect("a head").1
    }

    pub(crate) fn status(&self) -> u16 {
        let status = self.head().split(' ').nth(1).expect("a status");
        status.parse().expect("a number")
    }

    fn all(head: &str, name: &str) -> Vec<String> {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let of = lines.filter(|(known, _)| *known == name);
        of.map(|(_, value)| value.to_owned()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        Self::all(self.head(), name)
    }

    pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
        let (head, _) = Self::split(bytes)?;
        Self::all(head, "content-length").first()?.parse().ok()
    }

    fn is_whole(bytes: &[u8]) -> bool {
        let body = Self::split(bytes).map(|(_, body)| body.len());
        body.is_some() && body == Self::length(bytes)
    }
}

pub(crate) fn ask(stream: &mut (impl Read + Write), request: &[u8], stays_open: bool) -> Received {
    let since = Instant::now();
    stream.write_all(request).expect("it is taken");
    let received = read(stream, stays_open);
    Received {
        took: since.elapsed(),
        ..received
    }
}

/// Reads until an answer is whole if the connection `stays_open` after it, else until the connection ends.
pub(crate) fn read(stream: &mut impl Read, stays_open: bool) -> Received {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        if stays_open && Received::is_whole(&bytes) {
            break End::Open;
        }
        match stream.read(&mut buffer) {
            Ok(0) => break End::Fin,
            // Over TLS: FIN without the farewell before it.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break End::Fin,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break End::Rst,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&bytes)),
        }
    };
    let took = Duration::ZERO;
    Received { bytes, end, took }
}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("a connection");
    stream.set_read_timeout(Some(GUARD)).expect("a timeout");
    stream
}

/// What comes back for `request` on a connection of its own.
pub(crate) fn send(to: SocketAddr, request: &[u8], stays_open: bool) -> Received {
    ask(&mut connect(to), request, stays_open)
}

fn raw(method: &str, target: &str, bearer: Option<&str>, body: Option<&Value>) -> Vec<u8> {
    let bearer = bearer.map(|bearer| format!("Authorization: Bearer {bearer}\r\n"));
    let body = body.map(Value::to_string).unwrap_or_default();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n{body}",
        bearer.unwrap_or_default(),
        body.len()
    )
    .into_bytes()
}

pub(crate) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// A mock on a socket, where everything is approved, and the runtime of it if it is a task's.
pub(crate) struct Server(pub(crate) Mock, pub(crate) Option<tokio::runtime::Runtime>);

impl Server {
    pub(crate) fn thread() -> Self {
        let (builder, clock) = builder();
        let mock = builder.consent(Consent::Approve).start_blocking();
        let mock = mock.expect("a mock");
        Self(Mock { mock, clock }, None)
    }

    /// The runtime has no timer, which a caller's need not have.
    pub(crate) fn task() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_io()
            .build()
            .expect("a runtime");
        let (builder, clock) = builder();
        let mock = runtime.block_on(builder.consent(Consent::Approve).start());
        let mock = mock.expect("a mock");
        Self(Mock { mock, clock }, Some(runtime))
    }

    pub(crate) fn tls() -> Self {
        let (builder, clock) = builder();
        let mock = builder.consent(Consent::Approve).tls().start_blocking();
        let mock = mock.expect("a mock");
        Self(Mock { mock, clock }, None)
    }

    /// A client of HTTP/2 with a connection.
    pub(crate) fn http2(&self) -> crate::http2::Client {
        let pem = self.0.mock.ca_pem().expect("TLS");
        crate::http2::Client::new(self.address(), pem)
    }

    /// A connection of HTTP/1.1, over TLS if the mock speaks it.
    pub(crate) fn connect(&self) -> Box<dyn Stream> {
        let stream = connect(self.address());
        match self.0.mock.ca_pem() {
            None => Box::new(stream),
            Some(pem) => Box::new(crate::tls::secured(stream, pem)),
        }
    }

    /// A world with a request to `endpoint` that has not been sent.
    pub(crate) fn world_with_request(&self, world: &str, endpoint: &str) -> (MockWorld, Vec<u8>) {
        let (m, mount) = (&self.0, format!("/t/{world}"));
        let world = m.mock.world(world).expect("a name");
        let token = format!("{mount}{TOKEN}");
        let code = || {
            let url = authorize_url(&[]).replace("/api/", &format!("{mount}/api/"));
            let redirect = world.authorize(&url, true).expect("an accepted request");
            exchange(WEB, &query_value(&redirect, "code").expect("a code"))
        };
        let request = match endpoint {
            "authorize" => {
                let url = authorize_url(&[]);
                raw("GET", &format!("{mount}{}", target(&url)), None, None)
            }
            "authorization_code" => raw("POST", &token, Some(SECRET), Some(&code())),
            "refresh_token" => {
                let tokens = m.post(&token, Some(SECRET), &code());
                let body = refresh(WEB, &tokens.member("refresh_token"));
                raw("POST", &token, Some(SECRET), Some(&body))
            }
            "device_code_grant" => {
                let started = json!({ "client_id": DEVICE });
                let started = m.post(&format!("{mount}{DEVICE_CODE}"), None, &started);
                let body = json!({
                    "grant_type": DEVICE_GRANT,
                    "client_id": DEVICE,
                    "device_code": started.member("device_code"),
                });
                raw("POST", &token, None, Some(&body))
            }
            "jwt_bearer" => {
                let body = json!({ "grant_type": JWT_GRANT });
                let assertion = assertion(NOW, |_, _| {});
                raw("POST", &token, Some(&assertion), Some(&body))
            }
            "device_code" => {
                let body = json!({ "client_id": DEVICE });
                raw("POST", &format!("{mount}{DEVICE_CODE}"), None, Some(&body))
            }
            "users_me" => {
                let path = format!("{mount}/v1/users/me");
                raw("GET", &path, Some("pat_mock_alice"), None)
            }
            other => panic!("no {other}"),
        };
        (world, request)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        // Of the first world's URL; all worlds are at one address.
        address(&self.0.mock)
    }
}

pub(crate) const ENDPOINTS: [&str; 7] = [
    "authorize",
    "authorization_code",
    "refresh_token",
    "device_code_grant",
    "jwt_bearer",
    "device_code",
    "users_me",
];

pub(crate) fn on(endpoint: &str) -> On {
    match endpoint {
        "authorize" | "device_code" | "users_me" => On::endpoint(endpoint),
        "device_code_grant" => On::grant("device_code"),
        grant => On::grant(grant),
    }
}

/// The status of a request without any fault, and of the same request once more.
pub(crate) fn without_fault(server: &Server, endpoint: &str) -> (u16, u16) {
    twice(server, endpoint, || server.connect())
}

/// The same over the connections of a client's own.
pub(crate) fn twice(
    server: &Server,
    endpoint: &str,
    connect: impl Fn() -> Box<dyn Stream>,
) -> (u16, u16) {
    let (_, request) = server.world_with_request(&format!("plain-{endpoint}"), endpoint);
    let status = |_| ask(&mut connect(), &request, true).status();
    let [first, again] = [0, 1].map(status);
    (first, again)
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + GUARD;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::yield_now();
    }
}
