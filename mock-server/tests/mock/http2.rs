//! The mock over HTTP/2, which a client chooses in the TLS handshake (ALPN).

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::raw::{ENDPOINTS, Server, Stream, ask, twice};
use crate::support::*;
use crate::tls::client_config;

/// A client of HTTP/2 with one connection.
pub(crate) struct Client {
    runtime: tokio::runtime::Runtime,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) fn new(to: SocketAddr, ca_pem: &str) -> Self {
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
            let made = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
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
