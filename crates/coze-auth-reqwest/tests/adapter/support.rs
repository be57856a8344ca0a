//! Servers, flows and checks that the tests share.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coze_auth_reqwest::core::authorize::{Callback, RedirectUri};
use coze_auth_reqwest::core::device::DeviceApp;
use coze_auth_reqwest::core::web::WebApp;
use coze_auth_reqwest::core::{
    AccessToken, Call, ClientSecret, Endpoints, Entropy, TokenGrant, TransportFailure, whoami,
};
use coze_auth_reqwest::store::MemoryStore;
use coze_auth_reqwest::{Client, Error, TokenSource};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// In every secret that a test sends or gets, so that a leak can be found.
pub(crate) const SENTINEL: &str = "SENTINEL";

pub(crate) const TOKEN: &str = r#"{"access_token":"SENTINEL-token","refresh_token":"SENTINEL-refresh","expires_in":1900000000,"token_type":"Bearer"}"#;
pub(crate) const USER: &str = r#"{"code":0,"msg":"","data":{"user_id":"7300"}}"#;

/// A code exchange: a `POST` with a secret in its header and a single-use code in its body.
pub(crate) fn exchange(base: &str) -> Call<TokenGrant> {
    let secret = ClientSecret::new(format!("{SENTINEL}-secret")).unwrap();
    let app = WebApp::new(Endpoints::custom(base).unwrap(), "web-client", secret).unwrap();
    let redirect = RedirectUri::new("https://app.example/callback").unwrap();
    let (url, pending) = app
        .authorize(&redirect, Entropy::from_bytes([7; 32]))
        .unwrap();
    let state = url.as_str().split("state=").nth(1).unwrap();
    let callback = Callback::parse(&format!("/callback?code={SENTINEL}-code&state={state}"));
    app.exchange(pending, &callback.unwrap()).unwrap()
}

/// A `GET` without a body.
pub(crate) fn me(base: &str) -> Call<coze_auth_reqwest::core::whoami::User> {
    let token = AccessToken::new(format!("{SENTINEL}-pat")).unwrap();
    whoami(&Endpoints::custom(base).unwrap(), &token)
}

/// An app without a secret.
pub(crate) fn device_app(base: &str) -> DeviceApp {
    DeviceApp::new(Endpoints::custom(base).unwrap(), "device-client").unwrap()
}

/// The application's own client. A test in which it waits in vain fails, and does not hang.
pub(crate) fn application() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    builder.timeout(PATIENCE).build().unwrap()
}

/// A source of a token of the console.
pub(crate) fn fixed(base: &str) -> TokenSource {
    let token = AccessToken::new(format!("{SENTINEL}-pat")).unwrap();
    let endpoints = Endpoints::custom(base).unwrap();
    TokenSource::fixed(&Client::new().unwrap(), &endpoints, token)
}

/// A source of a login whose access token, `SENTINEL-old`, ends then.
pub(crate) async fn logged_in(base: &str, expires_at: u64) -> TokenSource {
    let client = Client::new().unwrap();
    let tokens = TokenSource::stored(&client, device_app(base), "alice", MemoryStore::new());
    let tokens = tokens.unwrap();
    let grant = format!(
        r#"{{"access_token":"SENTINEL-old","refresh_token":"SENTINEL-used","issued_at":1750000000,"expires_at":{expires_at}}}"#
    );
    let grant = TokenGrant::from_secret_json(&grant).unwrap();
    tokens.install(grant).await.unwrap();
    tokens
}

/// When the first token of [`logged_in`] ends: not while a test runs.
pub(crate) const LATER: u64 = 4_000_000_000;

/// A server that gives this answer to everything.
pub(crate) async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

pub(crate) fn json(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

/// How long a server of ours waits for more. No test that passes takes as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What wiremock cannot do: it hands the connection over after each request.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    /// `serve` gets each connection and its number, from 0, once a whole request has been read from it.
    pub(crate) fn start(serve: impl Fn(&mut TcpStream, usize) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                // A client that waits where it should not fails its test, and does not hang it.
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let request = read_request(&mut stream);
                seen.lock().unwrap().push(request);
                serve(&mut stream, number);
            }
        });
        Self { address, requests }
    }

    /// Answers each request with these bytes and hangs up.
    pub(crate) fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |stream, _| stream.write_all(&answer).unwrap())
    }

    /// Gives the first request the first of these answers, and so on, and hangs up each time.
    pub(crate) fn scripted<const N: usize>(answers: [String; N]) -> Self {
        Self::start(move |stream, number| stream.write_all(answers[number].as_bytes()).unwrap())
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A whole answer over HTTP/1.1.
pub(crate) fn http_answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\nx-tt-logid: log-1\r\n\r\n{body}"
    )
}

/// The same with a type, which is what a token source goes by.
pub(crate) fn typed_answer(status: &str, content_type: &str, body: &str) -> String {
    let typed = format!("\r\ncontent-type: {content_type}\r\nconnection");
    http_answer(status, body).replacen("\r\nconnection", &typed, 1)
}

/// Head and body; what came, if the other side hung up early.
pub(crate) fn read_request(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    let whole = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            body.len() >= length
        })
    };
    while !whole(&bytes) && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The error of a run, checked to tell no secret in any of its forms.
pub(crate) fn failed<T>(result: Result<T, Error>) -> Error {
    let Err(error) = result else {
        panic!("it succeeded");
    };
    let text = in_full(&error);
    assert!(!text.contains(SENTINEL), "{text}");
    error
}

/// `Display` and `Debug` of an error and of all its sources.
pub(crate) fn in_full(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        write!(text, "\n{error} {error:?}").unwrap();
        source = error.source();
    }
    text
}

/// How the transport failed, with the HTTP library's cause.
pub(crate) fn transport<T>(result: Result<T, Error>) -> (TransportFailure, String) {
    use coze_auth_reqwest::core::Error as CoreError;
    let error = failed(result);
    let text = in_full(&error);
    match error {
        Error::Core {
            error: CoreError::Transport { failure, .. },
            cause: Some(_),
        } => (failure, text),
        other => panic!("{other:?}"),
    }
}

/// Set in a test's child process.
const CHILD: &str = "COZE_AUTH_TEST_CHILD";

/// Whether this is the process that [`run_child`] started. What depends on the process's environment is
/// tested in a child, since setting a variable in this one would be seen by all tests.
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs one test of this binary in a process with these variables, no proxy but theirs, and no CA
/// certificates but theirs.
pub(crate) fn run_child(test: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1");
    for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let nowhere = std::env::temp_dir().join("coze-auth-no-such-folder");
    command
        .env("SSL_CERT_DIR", &nowhere)
        .env("SSL_CERT_FILE", &nowhere);
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
