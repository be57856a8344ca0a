//! The mock over HTTP/2, which a client chooses in the TLS handshake (ALPN).

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coze_auth_mock::{Api, At, Fault, On};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::raw::{ENDPOINTS, Server, Stream, ask, connect, twice, until};
use crate::support::*;
use crate::tls::client_config;

/// A client of HTTP/2 with one connection.
pub(crate) struct Client {
    runtime: tokio::runtime::Runtime,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) fn new(to: SocketAddr, ca_pem: &str) -> Self {
        Self::with_window(to, ca_pem, None)
    }

    /// `window` is how many bytes of an answer it takes before it has read them.
    fn with_window(to: SocketAddr, ca_pem: &str, window: Option<u32>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let config = client_config(ca_pem, &[b"h2", b"http/1.1"]);
        let sender = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(to).await;
            let host = ServerName::try_from("127.0.0.1").expect("a name");
            let stream = TlsConnector::from(Arc::new(config))
                .connect(host, stream.expect("a connection"))
                .await
                .expect("a handshake");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let made = Builder::new(TokioExecutor::new())
                .initial_stream_window_size(window)
                .handshake(TokioIo::new(stream))
                .await;
            let (sender, connection) = made.expect("settings");
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender }
    }

    /// Takes requests, and gives answers, as HTTP/1.1 has them.
    pub(crate) fn translated(self) -> Box<dyn Stream> {
        Box::new(Translated {
            client: self,
            sent: Vec::new(),
            answer: None,
        })
    }

    fn start(
        &self,
        request: Request<Bytes>,
    ) -> tokio::task::JoinHandle<hyper::Result<Response<Incoming>>> {
        let mut sender = self.sender.clone();
        let request = request.map(Full::new);
        self.runtime.spawn(async move {
            sender.ready().await?;
            sender.send_request(request).await
        })
    }

    /// What arrives of a body, and how it ends.
    fn body(&self, answer: Response<Incoming>) -> (Vec<u8>, Result<(), String>) {
        let mut body = answer.into_body();
        let mut bytes = Vec::new();
        self.runtime.block_on(async {
            loop {
                match tokio::time::timeout(GUARD, body.frame())
                    .await
                    .expect("in time")
                {
                    None => return (bytes, Ok(())),
                    Some(Err(error)) => return (bytes, Err(format!("{error:?}"))),
                    Some(Ok(frame)) => bytes.extend(frame.into_data().unwrap_or_default()),
                }
            }
        })
    }

    fn answer(&self, request: Request<Bytes>) -> hyper::Result<Response<Incoming>> {
        let started = self.start(request);
        self.runtime.block_on(async {
            let answer = tokio::time::timeout(GUARD, started).await;
            answer.expect("in time").expect("no panic")
        })
    }
}

struct Translated {
    client: Client,
    sent: Vec<u8>,
    answer: Option<Answer>,
}

struct Answer {
    head: io::Cursor<Vec<u8>>,
    body: Option<Incoming>,
}

impl Translated {
    fn request(&mut self) -> Request<Bytes> {
        let sent = std::mem::take(&mut self.sent);
        let text = String::from_utf8(sent).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let mut lines = head.lines();
        let mut first = lines.next().expect("a line").split(' ');
        let method = first.next().expect("a method");
        let target = first.next().expect("a target");
        let mut request = Request::builder().method(method);
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            request = match name.to_ascii_lowercase().as_str() {
                "host" => request.uri(format!("https://{value}{target}")),
                "connection" | "content-length" => request,
                _ => request.header(name, value),
            };
        }
        request
            .body(Bytes::from(body.to_owned()))
            .expect("a request")
    }
}

fn me() -> Request<Bytes> {
    let request = Request::get("https://localhost/v1/users/me");
    let request = request.header("authorization", "Bearer pat_mock_alice");
    request.body(Bytes::new()).expect("a request")
}

fn device_code() -> Request<Bytes> {
    let body = format!(r#"{{"client_id":"{DEVICE}"}}"#);
    let request = Request::post(format!("https://localhost{DEVICE_CODE}"));
    let request = request.header("content-type", "application/json");
    request.body(Bytes::from(body)).expect("a request")
}

/// Of the connection, which all errors of its streams have.
fn ended(error: &(dyn std::error::Error + 'static)) -> io::Result<usize> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<io::Error>() {
            Some(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            _ => cause = error.source(),
        }
    }
    Ok(0)
}

impl Write for Translated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sent.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Translated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.sent.is_empty() {
            let request = self.request();
            let answer = match self.client.answer(request) {
                Ok(answer) => answer,
                Err(error) => return ended(&error),
            };
            let (parts, body) = answer.into_parts();
            let mut head = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
            for (name, value) in &parts.headers {
                head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            }
            head.extend(b"\r\n");
            self.answer = Some(Answer {
                head: io::Cursor::new(head),
                body: Some(body),
            });
        }
        let Some(answer) = &mut self.answer else {
            return Ok(0);
        };
        match answer.head.read(buffer)? {
            0 => {}
            n => return Ok(n),
        }
        let Some(body) = &mut answer.body else {
            return Ok(0);
        };
        let frame = async { tokio::time::timeout(GUARD, body.frame()).await };
        match self.client.runtime.block_on(frame).expect("in time") {
            None => {
                answer.body = None;
                Ok(0)
            }
            Some(Err(error)) => {
                answer.body = None;
                ended(&error)
            }
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                answer.head = io::Cursor::new(data.to_vec());
                self.read(buffer)
            }
        }
    }
}

#[test]
fn every_flow_works_over_http2() {
    let server = Server::tls();
    for endpoint in ENDPOINTS {
        let (first, again) = twice(&server, endpoint, || server.http2().translated());
        let expected = match endpoint {
            "authorize" => (302, 302),
            "device_code" | "users_me" => (200, 200),
            _ => (200, 400),
        };
        if endpoint != "jwt_bearer" {
            assert_eq!((first, again), expected, "{endpoint}");
        }
        assert_eq!(first, expected.0, "{endpoint}");
    }
    // The control plane and the pages, by `:authority`, since HTTP/2 has no Host.
    let mut stream = server.http2().translated();
    for target in ["/_mock/v1/info", "/_mock/", "/_mock/v1/openapi.json"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost:1\r\n\r\n");
        let received = ask(&mut stream, request.as_bytes(), false);
        assert_eq!(received.status(), 200, "{target}");
    }
    let foreign = b"GET /_mock/v1/info HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    assert_eq!(ask(&mut stream, foreign, false).status(), 403);
}

/// A fault of the socket is one of the whole connection.
#[test]
fn a_fault_of_the_socket_ends_the_connection_for_all_its_streams() {
    let server = Server::tls();
    let mock = &server.0.mock;
    for (fault, own_head) in [
        (Fault::reset(), false),
        (
            Fault::garbage().body("no frames at all, and more than nine bytes"),
            false,
        ),
        (Fault::close_before_body(), true),
        (Fault::truncate_at(3), true),
    ] {
        let what = format!("{fault:?}");
        let client = server.http2();
        let gate = mock.gate("others", On::endpoint("device_code"), At::Request);
        let others: Vec<_> = (0..3).map(|_| client.start(device_code())).collect();
        until("the others wait", || gate.waiting() == 3);
        let fault = mock.fault(On::endpoint("users_me"), fault);
        let answer = client.answer(me());
        assert_eq!(answer.is_ok(), own_head, "{what}: {answer:?}");
        if let Ok(answer) = answer {
            assert_eq!(answer.status(), 200);
            let promised = answer.headers()["content-length"]
                .to_str()
                .expect("text")
                .to_owned();
            let (bytes, ended) = client.body(answer);
            assert!(ended.is_err(), "{what}: it looks whole");
            let expected = if what.contains("runcate") { 3 } else { 0 };
            assert_eq!(bytes.len(), expected, "{what}");
            assert!(promised.parse::<usize>().expect("a number") > 3);
        }
        for other in others {
            let other = client.runtime.block_on(async {
                tokio::time::timeout(GUARD, other)
                    .await
                    .expect("in time")
                    .expect("no panic")
            });
            assert!(other.is_err(), "{what}: {other:?}");
        }
        // Their requests are gone from the gate, too: nobody waits for them.
        until("the mock has seen the end", || gate.waiting() == 0);
        gate.open();
        drop(fault);
        assert_eq!(
            server.http2().answer(me()).expect("an answer").status(),
            200
        );
    }
}

#[test]
fn a_slow_answer_is_slow_for_all_streams_and_the_last_of_its_connection() {
    let server = Server::tls();
    let mock = &server.0.mock;
    let client = server.http2();
    assert_eq!(client.answer(me()).expect("an answer").status(), 200);
    let gate = mock.gate("other", On::endpoint("device_code"), At::Request);
    let other = client.start(device_code());
    until("the other waits", || gate.waiting() == 1);
    let fault = mock.fault(
        On::endpoint("users_me"),
        Fault::slow_drip(Duration::from_millis(2)).times(1),
    );
    let begun = Instant::now();
    let answer = client.answer(me()).expect("an answer");
    let (bytes, ended) = client.body(answer);
    assert_eq!(ended, Ok(()));
    assert!(bytes.starts_with(b"{\"code\":0"), "{bytes:?}");
    assert!(
        begun.elapsed() >= Duration::from_millis(2 * bytes.len() as u64),
        "{:?}",
        begun.elapsed()
    );
    gate.open();
    let other = client.runtime.block_on(async {
        tokio::time::timeout(GUARD, other)
            .await
            .expect("in time")
            .expect("no panic")
    });
    assert_eq!(other.expect("it is answered all the same").status(), 200);
    // No other request begins on it.
    until("the connection ends", || client.answer(me()).is_err());
    assert_eq!(fault.fired(), 1);
}

/// A raw client: hyper's keeps to the settings.
struct Frames(crate::tls::Secured);

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;

impl Frames {
    fn new(server: &Server) -> Self {
        let pem = server.0.mock.ca_pem().expect("a CA");
        let mut stream = crate::tls::speaking(connect(server.address()), pem, &[b"h2"]);
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .expect("a preface");
        let mut frames = Self(stream);
        frames.send(4, 0, 0, b"").expect("settings");
        frames
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let mut frame = u32::try_from(payload.len())
            .expect("a length")
            .to_be_bytes()[1..]
            .to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame)
    }

    /// GET /v1/users/me, in static entries and literals of HPACK (RFC 7541). END_STREAM, and END_HEADERS if `ends`.
    fn get(&mut self, stream: u32, ends: bool) -> io::Result<()> {
        let mut head = vec![0x82, 0x87, 0x01, 9];
        head.extend(b"localhost");
        head.extend([0x04, 12]);
        head.extend(b"/v1/users/me");
        self.send(HEADERS, if ends { 5 } else { 1 }, stream, &head)
    }

    /// Frames until the connection ends, or until one `is` what is looked for: kind, stream and payload.
    fn until(&mut self, is: impl Fn(u8, u32, &[u8]) -> bool) -> Vec<(u8, u32, Vec<u8>)> {
        let mut all = Vec::new();
        let mut head = [0; 9];
        while self.0.read_exact(&mut head).is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            if self.0.read_exact(&mut payload).is_err() {
                break;
            }
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let found = is(head[3], stream, &payload);
            all.push((head[3], stream, payload));
            if found {
                break;
            }
        }
        all
    }
}

/// The error code of the frame that ends the connection.
fn code_of_go_away(frames: &[(u8, u32, Vec<u8>)]) -> Option<u8> {
    let last = frames.iter().rfind(|(kind, ..)| *kind == GO_AWAY)?;
    last.2.get(7).copied()
}

const ENHANCE_YOUR_CALM: Option<u8> = Some(11);

/// CVE-2023-44487, and what is like it.
#[test]
fn streams_that_are_reset_at_once_end_the_connection() {
    let server = Server::tls();
    let mut frames = Frames::new(&server);
    let mut sent = 0;
    for n in 0..100_000_u32 {
        let id = 2 * n + 1;
        if frames
            .get(id, true)
            .and_then(|()| frames.send(RST_STREAM, 0, id, &8_u32.to_be_bytes()))
            .is_err()
        {
            break;
        }
        sent = n;
    }
    assert!(sent < 99_999, "the connection goes on after {sent} streams");
    let all = frames.until(|kind, _, _| kind == GO_AWAY);
    // The mock may have closed before the reason was read.
    assert!(
        matches!(code_of_go_away(&all), ENHANCE_YOUR_CALM | None),
        "{all:?}"
    );
    others_are_answered(&server);
}

fn others_are_answered(server: &Server) {
    let answer = server.http2().answer(me());
    assert_eq!(answer.expect("others are answered").status(), 200);
}

#[test]
fn a_client_learns_how_many_streams_there_can_be_and_gets_no_more() {
    let server = Server::tls();
    let gate = server
        .0
        .mock
        .gate("all", On::endpoint("users_me"), At::Request);
    let mut frames = Frames::new(&server);
    let settings = frames.until(|kind, _, _| kind == 4);
    let (.., settings) = settings.last().expect("settings");
    let values: Vec<_> = settings
        .chunks(6)
        .map(|one| (one[1], u32::from_be_bytes([one[2], one[3], one[4], one[5]])))
        .collect();
    assert!(values.contains(&(3, 100)), "{values:?}");
    assert!(values.contains(&(6, 32 * 1024)), "{values:?}");
    for n in 0..110 {
        frames.get(2 * n + 1, true).expect("it is taken");
    }
    let refused = frames.until(|kind, id, _| kind == RST_STREAM && id == 219);
    let refused = refused
        .iter()
        .filter(|(kind, _, code)| *kind == RST_STREAM && code[3] == 7);
    assert_eq!(refused.count(), 10, "REFUSED_STREAM");
    until("a hundred wait", || gate.waiting() == 100);
    assert_eq!(server.0.mock.requests().len(), 0);
}

/// CONTINUATION frames without an end.
#[test]
fn a_head_of_frames_without_an_end_is_refused() {
    let server = Server::tls();
    let mut frames = Frames::new(&server);
    frames.get(1, false).expect("it is taken");
    let mut large = vec![0x00, 1, b'x', 0x7f, 0x81, 0x7f];
    large.extend(vec![b'a'; 16_000]);
    let mut sent = 0;
    while sent < 1_000 && frames.send(CONTINUATION, 0, 1, &large).is_ok() {
        sent += 1;
    }
    assert!(sent < 1_000, "16 MB of a head are taken");
    others_are_answered(&server);
    // A head of one frame that is too large, too, and the connection goes on.
    let client = server.http2();
    let request =
        Request::get("https://localhost/v1/users/me").header("x-large", "x".repeat(40_000));
    let answer = client.answer(request.body(Bytes::new()).expect("a request"));
    assert_eq!(answer.expect("an answer").status(), 431);
    assert_eq!(client.answer(me()).expect("an answer").status(), 200);
}

#[test]
fn time_limits_are_those_of_a_stream_over_http2() {
    let builder = builder()
        .0
        .tls()
        .toml("[limits]\nbody = 1\nidle = 2\nhead = 2");
    let mock = builder.expect("limits").start_blocking().expect("a mock");
    let server = Server(
        Mock {
            mock,
            clock: coze_auth_mock::ClockHandle::real(),
        },
        None,
    );
    let mut frames = Frames::new(&server);
    // POST, without END_STREAM: its body never comes.
    let mut head = vec![0x83, 0x87, 0x01, 9];
    head.extend(b"localhost");
    head.extend([0x04, 28]);
    head.extend(b"/api/permission/oauth2/token");
    frames.send(HEADERS, 4, 1, &head).expect("it is taken");
    let begun = Instant::now();
    let answered = frames.until(|kind, id, _| kind == HEADERS && id == 1);
    assert!(
        answered.iter().any(|(kind, ..)| *kind == HEADERS),
        "{answered:?}"
    );
    let waited = begun.elapsed();
    assert!(
        waited >= Duration::from_millis(800) && waited < Duration::from_secs(8),
        "{waited:?}"
    );
    let entry = &server.0.mock.requests()[0];
    assert_eq!(entry.outcome.rule, Some("body.json"));
    // The others of the connection go on; without any, it ends.
    frames.get(3, true).expect("the connection goes on");
    let answered = frames.until(|kind, id, _| kind == HEADERS && id == 3);
    assert!(
        answered
            .iter()
            .any(|(kind, id, _)| *kind == HEADERS && *id == 3)
    );
    let begun = Instant::now();
    frames.until(|_, _, _| false);
    assert!(
        begun.elapsed() >= Duration::from_millis(1_500),
        "{:?}",
        begun.elapsed()
    );
}

/// A mock that waits for a second for its client to take something of an answer.
fn impatient() -> Server {
    let builder = builder().0.tls().toml("[limits]\nanswer = 1");
    let mock = builder.expect("limits").start_blocking().expect("a mock");
    let clock = coze_auth_mock::ClockHandle::real();
    Server(Mock { mock, clock }, None)
}

fn get(target: &str) -> Request<Bytes> {
    let request = Request::get(format!("https://localhost{target}"));
    request.body(Bytes::new()).expect("a request")
}

const SECOND: Duration = Duration::from_secs(1);

/// Its window is closed from the beginning, or as soon as it has some bytes.
#[test]
fn an_answer_that_is_not_taken_ends_the_connection() {
    let server = impatient();
    let pem = server.0.mock.ca_pem().expect("a CA");
    for (target, window) in [
        ("/_mock/v1/info", 0),
        ("/_mock/v1/info", 10),
        ("/_mock/v1/openapi.json", 0),
        ("/_mock/v1/openapi.json", 20_000),
        ("/_mock/", 100),
        ("/_mock/journal", 100),
        ("/_mock/v1/events", 100),
    ] {
        let client = Client::with_window(server.address(), pem, Some(window));
        let begun = Instant::now();
        let answer = client
            .answer(get(target))
            .expect("its head is no part of the window");
        assert_eq!(answer.status(), 200);
        // Other requests of the connection do not count for it, nor do events that come behind it.
        until("the connection ends", || {
            std::thread::sleep(Duration::from_millis(50));
            client.answer(me()).is_err()
        });
        let lived = begun.elapsed();
        assert!(
            lived >= SECOND.mul_f32(0.8) && lived < SECOND * 8,
            "{target} {window}: {lived:?}"
        );
        let (body, ended) = client.body(answer);
        assert!(
            body.len() <= window as usize && ended.is_err(),
            "{target} {window}: {ended:?}"
        );
    }
    others_are_answered(&server);
}

/// They are bounded together as well: those that take nothing for longest end, long before their time.
#[test]
fn answers_that_nobody_takes_have_one_bound() {
    let builder = builder().0.tls().toml("[limits]\nanswer = 600");
    let mock = builder.expect("limits").start_blocking().expect("a mock");
    let clock = coze_auth_mock::ClockHandle::real();
    let server = Server(Mock { mock, clock }, None);
    let mock = &server.0.mock;
    mock.add_api(Api::text("GET", "/v1/large", &"x".repeat(60_000)));
    let pem = mock.ca_pem().expect("a CA");
    let large = || {
        let request = Request::get("https://localhost/v1/large");
        let request = request.header("authorization", "Bearer pat_mock_alice");
        request.body(Bytes::new()).expect("a request")
    };
    let mut clients = Vec::new();
    for _ in 0..14 {
        let client = Client::with_window(server.address(), pem, Some(0));
        let answers: Vec<_> = (0..90).map(|_| client.start(large())).collect();
        let answers: Vec<_> = client.runtime.block_on(async {
            let mut all = Vec::new();
            for answer in answers {
                all.push(answer.await.expect("no panic"));
            }
            all
        });
        clients.push((client, answers));
    }
    // 14 times 90 times 60,000 bytes are 75 million; twelve of them are below 64 MiB.
    let ended = || {
        let ended = clients.iter().map(|(client, _)| client.sender.is_closed());
        ended.collect::<Vec<_>>()
    };
    until("the oldest ends", || ended()[0]);
    std::thread::sleep(SECOND * 2);
    let ended = ended();
    assert_eq!(
        ended.iter().filter(|ended| !**ended).count(),
        12,
        "{ended:?}"
    );
    assert!(ended[..2].iter().all(|ended| *ended), "{ended:?}");
    others_are_answered(&server);
}

/// Frames of the connection itself are no part of an answer.
#[test]
fn pings_are_not_taken_for_an_answer() {
    let server = impatient();
    let mut frames = Frames::new(&server);
    frames
        .send(4, 0, 0, &[0, 4, 0, 0, 0, 0])
        .expect("a window of nothing");
    frames.get(1, true).expect("it is taken");
    let begun = Instant::now();
    let ended = loop {
        std::thread::sleep(Duration::from_millis(50));
        let sent = frames.send(6, 0, 0, b"12345678");
        if sent.is_err() || begun.elapsed() > SECOND * 8 {
            break begun.elapsed();
        }
    };
    assert!(
        ended >= SECOND.mul_f32(0.8) && ended < SECOND * 8,
        "{ended:?}"
    );
}

/// Each of these lasts longer than the limit.
#[test]
fn who_takes_slowly_and_who_is_made_to_wait_is_not_cut() {
    let server = impatient();
    let mock = &server.0.mock;
    let pem = mock.ca_pem().expect("a CA");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let client = Client::with_window(server.address(), pem, Some(20_000));
            let answer = client
                .answer(get("/_mock/v1/openapi.json"))
                .expect("an answer");
            let mut body = answer.into_body();
            let begun = Instant::now();
            let mut length = 0;
            while let Some(frame) = client.runtime.block_on(body.frame()) {
                length += frame.expect("it goes on").data_ref().map_or(0, Bytes::len);
                std::thread::sleep(Duration::from_millis(400));
            }
            assert!(begun.elapsed() > SECOND * 2 && length > 50_000, "{length}");
        });
        scope.spawn(|| {
            let client = server.http2();
            let answer = client
                .answer(get("/t/quiet/_mock/v1/events"))
                .expect("an answer");
            let mut body = answer.into_body();
            let next = async { tokio::time::timeout(SECOND * 3, body.frame()).await };
            let nothing = client.runtime.block_on(next);
            assert!(nothing.is_err(), "{nothing:?}");
            assert!(!client.sender.is_closed(), "silence is not cut");
        });
        scope.spawn(|| {
            let gate = mock.gate("held", On::endpoint("device_code"), At::Request);
            let client = server.http2();
            let held = client.start(device_code());
            std::thread::sleep(SECOND * 3);
            gate.open();
            let held = client.runtime.block_on(held).expect("no panic");
            assert_eq!(held.expect("an answer").status(), 200);
        });
        scope.spawn(|| {
            let slow = Fault::slow_drip(SECOND * 2).body("x".repeat(2_000));
            let _slow = mock.fault(On::endpoint("users_me"), slow);
            let client = server.http2();
            let _slow = client.start(me());
            std::thread::sleep(SECOND * 4);
            assert!(!client.sender.is_closed(), "the mock itself is slow");
        });
    });
}

/// Without TLS there is no choice.
#[test]
fn http2_without_tls_is_not_spoken() {
    let server = Server::thread();
    let mut stream = connect(server.address());
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .expect("it is taken");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
}
