//! What the tests of the shadow need: requests over sockets and through tunnels, and an upstream that records bytes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// Of real time, so that a test that waits for nothing fails and does not hang.
pub(crate) const GUARD: Duration = Duration::from_secs(20);

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    pub(crate) fn member(&self, name: &str) -> String {
        let value = self.json[name].as_str();
        value
            .unwrap_or_else(|| panic!("no {name} in {}", self.text))
            .to_owned()
    }
}

/// The authority of a URL.
pub(crate) fn authority(url: &str) -> &str {
    url.split_once("://").expect("a URL").1
}

async fn over<S>(stream: S, request: Request<Bytes>) -> Reply
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .expect("a connection");
    tokio::spawn(connection);
    let answer = sender.send_request(request.map(Full::new)).await;
    let (parts, body) = answer.expect("an answer").into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let text = String::from_utf8(body.to_vec()).expect("a text");
    Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        json: serde_json::from_str(&text).unwrap_or_default(),
        text,
    }
}

/// Sends a request to `base`, on a connection of its own.
pub(crate) async fn send(base: &str, mut request: Request<Bytes>) -> Reply {
    let authority = authority(base);
    let headers = request.headers_mut();
    if !headers.contains_key("host") {
        headers.insert("host", authority.parse().expect("a header"));
    }
    let sending = async {
        let stream = TcpStream::connect(authority).await.expect("the shadow");
        over(stream, request).await
    };
    tokio::time::timeout(GUARD, sending).await.expect("in time")
}

/// Opens a tunnel, and returns the head of the answer with it.
pub(crate) async fn connect(proxy: &str, to: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(authority(proxy))
        .await
        .expect("the shadow");
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    (stream, String::from_utf8(head).expect("a text"))
}

/// Sends a request to the https host `to` (host and port) through the proxy, trusting `ca` alone.
pub(crate) async fn through(proxy: &str, ca: &str, to: &str, request: Request<Bytes>) -> Reply {
    let sending = async {
        let (stream, head) = connect(proxy, to).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(ca.as_bytes()).expect("a certificate");
        roots.add(ca).expect("a CA");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let host = to.split(':').next().expect("a host").to_owned();
        let name = ServerName::try_from(host).expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let mut request = request;
        let headers = request.headers_mut();
        if !headers.contains_key("host") {
            headers.insert("host", to.parse().expect("a header"));
        }
        over(stream.await.expect("a handshake"), request).await
    };
    tokio::time::timeout(GUARD, sending).await.expect("in time")
}

pub(crate) fn post(path: &str, bearer: Option<&str>, body: &Value) -> Request<Bytes> {
    let mut request = Request::post(path).header("content-type", "application/json");
    if let Some(bearer) = bearer {
        request = request.header("authorization", format!("Bearer {bearer}"));
    }
    let body = Bytes::from(body.to_string());
    request.body(body).expect("a request")
}

pub(crate) fn get(path: &str, bearer: Option<&str>) -> Request<Bytes> {
    let mut request = Request::get(path);
    if let Some(bearer) = bearer {
        request = request.header("authorization", format!("Bearer {bearer}"));
    }
    request.body(Bytes::new()).expect("a request")
}

/// An upstream that keeps the bytes of each request, and answers each with the next of its answers; an empty one closes the
/// connection without an answer. After an answer with `close` it closes the connection as well.
pub(crate) struct Recorder {
    pub(crate) base: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    pub(crate) async fn start(answers: Vec<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = requests.clone();
        tokio::spawn(async move {
            let mut answers = answers.into_iter();
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                while let Some(request) = request(&mut stream).await {
                    kept.lock().expect("the list").push(request);
                    let answer = answers.next().expect("an answer for each request");
                    stream.write_all(answer.as_bytes()).await.expect("sent");
                    if answer.is_empty() || answer.contains("x-then: close") {
                        break;
                    }
                }
            }
        });
        Self { base, requests }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("the list").clone()
    }
}

/// A request with a body of known length; none at the end of the connection.
pub(crate) async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).expect("a text");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.parse::<usize>().expect("a length"))
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.expect("a body");
    Some(head + &String::from_utf8(body).expect("a text"))
}

/// Writes bytes to `base`, and reads until the shadow closes or the text ends with `until`.
pub(crate) async fn raw(base: &str, bytes: &str, until: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(authority(base))
            .await
            .expect("the shadow");
        stream.write_all(bytes.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        while !answer.ends_with(until.as_bytes()) || answer.is_empty() {
            match stream.read(&mut part).await {
                Ok(0) | Err(_) => break,
                Ok(n) => answer.extend(&part[..n]),
            }
        }
        String::from_utf8(answer).expect("a text")
    };
    tokio::time::timeout(GUARD, exchange)
        .await
        .expect("in time")
}

/// A file of a test, which ends with it.
pub(crate) struct File(pub(crate) PathBuf);

impl File {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let n = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("coze-auth-shadow-{}-{n}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("a file");
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
