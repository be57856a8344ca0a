//! The bridge, over sockets of this process: an answer of Coze (`STATUS`, headers, an empty line, a body), a line `%%`, and the bytes that a
//! client sends. `{host}` in these is the bridge's name.
//!
//! Whole or in pieces, a request has the same answer; a browser is led to Coze's page alone; an answer never repeats a secret; nothing hangs.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use coze_auth::core::{Now, SteadyTime};
use coze_auth::jwt::JwtApp;
use coze_auth::{Client, Endpoints, Sleep, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{SENTINEL, parts};

// The files of the command.
#[path = "../../crates/coze-auth-cli/src/bridge/authorize.rs"]
mod authorize;
#[path = "../../crates/coze-auth-cli/src/bridge/client.rs"]
mod client;
#[path = "../../crates/coze-auth-cli/src/bridge/form.rs"]
mod form;
#[path = "../../crates/coze-auth-cli/src/bridge/guard.rs"]
mod guard;
#[path = "../../crates/coze-auth-cli/src/bridge/log.rs"]
mod log;
#[path = "../../crates/coze-auth-cli/src/bridge/machines.rs"]
mod machines;
#[path = "../../crates/coze-auth-cli/src/bridge/metadata.rs"]
mod metadata;
#[path = "../../crates/coze-auth-cli/src/bridge/names.rs"]
mod names;
#[path = "../../crates/coze-auth-cli/src/bridge/refusal.rs"]
mod refusal;
#[path = "../../crates/coze-auth-cli/src/bridge/routes.rs"]
mod routes;
#[path = "../../crates/coze-auth-cli/src/bridge/serve.rs"]
mod serve;
#[path = "../../crates/coze-auth-cli/src/bridge/token.rs"]
mod token;
#[path = "../../crates/coze-auth-cli/src/bridge/upstream.rs"]
mod upstream;
#[path = "../../crates/coze-auth-cli/src/bridge/userinfo.rs"]
mod userinfo;

/// As in the command.
#[derive(Debug)]
struct Shared {
    endpoints: Endpoints,
    authorize_page: String,
    client: Client,
    machines: Option<machines::Machines>,
    names: names::Names,
    log: log::Log,
}

/// Where a browser may be led.
const PAGE: &str = "https://www.coze.example/api/permission/oauth2/authorize";
/// A client of machine tokens.
const MACHINE: &str = r#"{"machine":"Sentinel-of-a-machine-0123456789"}"#;
/// More than any answer takes, beside a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What Coze answers now, as bytes on the wire.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// Where the bridge runs.
const THREAD: &str = "bridge";
/// A task of the bridge has panicked, which its runtime would keep to itself.
static HAS_PANICKED: AtomicBool = AtomicBool::new(false);

static BRIDGE: LazyLock<SocketAddr> = LazyLock::new(|| {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some(THREAD) {
            HAS_PANICKED.store(true, Ordering::SeqCst);
        }
        before(panic);
    }));
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name(THREAD.to_owned());
    let started = thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let coze = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let api = coze.local_addr().expect("an address");
            tokio::spawn(serve_coze(coze));
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let (log, writer) = log::Log::new(log::Logged::Off);
            tell.send(address).expect("somebody waits");
            let shared = shared(api, address, log);
            let served = serve::serve(listener, shared, &writer, Duration::ZERO).await;
            assert!(served.is_ok(), "the bridge has ended");
        });
    });
    started.expect("a thread");
    told.recv().expect("an address")
});

/// A clock that stands: the same request has the same answer a second later, too.
struct Still;

impl coze_auth::Time for Still {
    fn now(&self) -> Now {
        Now {
            unix: UnixTime::from_secs(1_790_000_000),
            steady: SteadyTime::from_duration(Duration::ZERO),
        }
    }

    fn sleep(&self, _: Duration) -> Sleep<'_> {
        Box::pin(std::future::ready(()))
    }
}

fn shared(api: SocketAddr, address: SocketAddr, log: log::Log) -> Shared {
    let endpoints = Endpoints::custom(&format!("http://{api}"))
        .and_then(|endpoints| endpoints.with_www("https://www.coze.example"))
        .expect("endpoints");
    let key = coze_auth::jwt::RsaKey::from_pem(&crate::pem::KEY).expect("a key");
    let app = JwtApp::new(endpoints.clone(), "100000000001", "mock-jwt-key-1", key);
    let file = std::env::temp_dir().join(format!("coze-auth-fuzz-{}.json", address.port()));
    std::fs::write(&file, MACHINE).expect("a file");
    let machines = machines::Machines::read(&file, app.expect("an app"));
    let _ = std::fs::remove_file(&file);
    Shared {
        authorize_page: endpoints.authorize_page(None).expect("a www base"),
        endpoints,
        client: Client::new().expect("a client").with_time(Still),
        machines: Some(machines.unwrap_or_else(|_| panic!("the file of clients"))),
        names: names::Names::new(address, None, &[], &["https://page.example".to_owned()])
            .expect("names"),
        log,
    }
}

/// Answers every request with what is to be answered now.
async fn serve_coze(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut got = Vec::new();
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                got.extend_from_slice(&buffer[..count]);
                let head = String::from_utf8_lossy(&got).to_lowercase();
                let Some((head, body)) = head.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head
                    .split_once("content-length: ")
                    .map_or("0", |(_, rest)| rest.lines().next().unwrap_or_default());
                if body.len() < length.trim().parse().unwrap_or(0) {
                    continue;
                }
                got.clear();
                let answer = ANSWER
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// The answer of the input as it goes over the wire: of a status and a length that are true.
fn on_the_wire(part: &[u8]) -> Vec<u8> {
    let end = part.windows(2).position(|window| window == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&part[..end], &part[end + 2..]),
        None => (part, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let status: u16 = status.and_then(|status| status.parse().ok()).unwrap_or(200);
    let status = match status {
        200..=203 | 205..=303 | 305..=599 => status,
        _ => 200,
    };
    let mut wire =
        format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = http::HeaderName::from_bytes(&line[..colon]);
        let value = http::HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value)
            && !["content-length", "transfer-encoding", "connection"].contains(&name.as_str())
        {
            wire.extend_from_slice(name.as_str().as_bytes());
            wire.extend_from_slice(b": ");
            wire.extend_from_slice(value.as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
    }
    wire.extend_from_slice(b"\r\n");
    wire.extend_from_slice(body);
    wire
}

/// All that the bridge says to these bytes, written in pieces of this size.
fn ask(bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(*BRIDGE).expect("the bridge listens");
    stream.set_nodelay(true).expect("a socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    for piece in bytes.chunks(piece.max(1)) {
        // It may have said enough.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    if let Err(error) = stream.read_to_end(&mut said) {
        let is_late = matches!(
            error.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        );
        assert!(!is_late, "the bridge hangs");
    }
    assert!(
        !HAS_PANICKED.load(Ordering::SeqCst),
        "a task of the bridge panicked"
    );
    said
}

/// An answer without what differs from one to the next.
fn without_date(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines = said
        .split("\r\n")
        .filter(|line| !line.starts_with("date: "));
    lines.collect::<Vec<_>>().join("\n")
}

/// One answer of Coze, and one client.
pub(crate) fn run(data: &[u8]) {
    let parts = parts(data);
    let [answer, request] = parts[..] else {
        return;
    };
    let wire = on_the_wire(answer);
    wire.clone_into(&mut ANSWER.lock().unwrap_or_else(PoisonError::into_inner));
    let name = BRIDGE.to_string();
    let mut bytes = Vec::new();
    let mut rest = request;
    while let Some(at) = rest.windows(6).position(|window| window == b"{host}") {
        bytes.extend_from_slice(&rest[..at]);
        bytes.extend_from_slice(name.as_bytes());
        rest = &rest[at + 6..];
    }
    bytes.extend_from_slice(rest);
    let said = ask(&bytes, usize::MAX);
    let told = without_date(&said);
    assert!(said.is_empty() || said.starts_with(b"HTTP/1."), "{told}");
    for line in told.lines() {
        if let Some(location) = line.strip_prefix("location: ") {
            assert!(location.starts_with(PAGE), "a browser is led to {location}");
        }
    }
    let is_of_client = !String::from_utf8_lossy(answer).contains(SENTINEL);
    if is_of_client && !told.contains("\nlocation: ") {
        assert!(!told.contains(SENTINEL), "it repeats a secret: {told}");
    }
    // Whether a further request of the same connection is looked at may depend on it: a body that nobody reads is passed over only if it is
    // there already. What is answered is the same.
    let in_pieces = without_date(&ask(&bytes, bytes.len() / 3 + 1));
    let is_same = told.starts_with(&in_pieces) || in_pieces.starts_with(&told);
    assert!(is_same, "in pieces it is another: {told}\n{in_pieces}");
}
