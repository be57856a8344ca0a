//! What a transport itself may add or lose.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coze_auth_core::error::{ErrorCode, Oddity};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::{Body, Endpoints, Error, RefreshToken, Retry, TransportFailure, whoami};

use crate::{Stage, Subject};

/// The server sees the request that the core built: its method, its path, its headers once each.
pub fn what_the_server_sees<S: Subject>(stage: &Stage<S>) {
    stage.run(stage.device().start()).expect("a device code");
    let seen = stage.last();
    assert_eq!(
        (&*seen.method, &*seen.path),
        ("POST", "/api/permission/oauth2/device/code")
    );
    // Values of a header that came twice are joined by a comma.
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.headers["accept"], "application/json");
    assert!(
        seen.headers["user-agent"].starts_with("coze-auth/"),
        "{}",
        seen.headers["user-agent"]
    );
    assert!(
        !seen.headers.contains_key("authorization"),
        "a public client has no credential to send"
    );
    stage.whoami(&stage.token("pat")).expect("a user");
    let seen = stage.last();
    assert_eq!((&*seen.method, &*seen.path), ("GET", "/v1/users/me"));
    assert!(seen.headers.contains_key("authorization"));
    assert!(
        !seen.headers.contains_key("content-type"),
        "there is no content"
    );
}

/// A connection that nobody takes: nothing was sent, so even a single-use value may be sent again.
pub fn nobody_listens<S: Subject>(stage: &Stage<S>) {
    // Port 1 is nobody's: a port that was free a moment ago could be another test's by now.
    let nowhere = Endpoints::custom("http://127.0.0.1:1").expect("a base");
    let error = stage
        .run(whoami(&nowhere, &stage.token("pat")))
        .expect_err("nobody is there");
    let to = "http://127.0.0.1:1".to_owned();
    assert_eq!(
        error,
        Error::Transport {
            failure: TransportFailure::NotSent,
            single_use: false,
            to
        }
    );
    let app = PkceApp::new(nowhere, "id").expect("an app");
    let error = stage
        .run(app.refresh(&RefreshToken::new("r").expect("a token")))
        .expect_err("nobody is there");
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    assert!(stage.saw().is_empty());
}

/// A server of one answer: what it sends is all it says, to everyone. It counts who came.
struct Listener {
    base: String,
    came: Arc<AtomicUsize>,
}

impl Listener {
    fn start(answer: impl Into<Vec<u8>>) -> Self {
        let (answer, came) = (answer.into(), Arc::new(AtomicUsize::new(0)));
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", socket.local_addr().expect("an address"));
        let counter = Arc::clone(&came);
        // The thread ends with the process: nothing tells a listener that nobody will come any more.
        std::thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                let _ = serve(stream, &answer);
            }
        });
        Self { base, came }
    }

    fn refresh<S: Subject>(&self, stage: &Stage<S>) -> Error {
        let app =
            PkceApp::new(Endpoints::custom(&self.base).expect("a base"), "id").expect("an app");
        let token = RefreshToken::new("spent-by-now").expect("a token");
        let error = stage
            .run(app.refresh(&token))
            .expect_err("this answer is an error");
        assert_eq!(
            self.came.load(Ordering::SeqCst),
            1,
            "a request with a credential must not be sent twice"
        );
        error
    }
}

/// Reads the whole request first: a server that hangs up on unread bytes resets the connection.
fn serve(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk)?;
        request.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next());
        if body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0) {
            break;
        }
    }
    stream.write_all(answer)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// A redirect is an answer, and no way to hand the credential on.
pub fn redirect_not_followed<S: Subject>(stage: &Stage<S>) {
    let elsewhere = Listener::start(answer("200 OK", "", "{}"));
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let location = format!("location: {}/x\r\n", elsewhere.base);
        let error = Listener::start(answer(status, &location, "")).refresh(stage);
        assert!(
            matches!(&error, Error::Unexpected(odd) if odd.oddity() == Oddity::Redirect),
            "{status}: {error:?}"
        );
    }
    assert_eq!(
        elsewhere.came.load(Ordering::SeqCst),
        0,
        "the credential went elsewhere"
    );
}

/// The server takes the request and hangs up: it may have acted, so what was sent may be spent.
pub fn cut_before_an_answer<S: Subject>(stage: &Stage<S>) {
    for said in ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let error = Listener::start(said).refresh(stage);
        assert!(
            matches!(
                &error,
                Error::Transport {
                    failure: TransportFailure::NoAnswer,
                    ..
                }
            ),
            "after {said:?}: {error:?}"
        );
        assert_eq!(error.retry(), Retry::MaybeSpent, "after {said:?}");
    }
}

/// Half an answer is no answer, even where the half would do.
pub fn cut_within_an_answer<S: Subject>(stage: &Stage<S>) {
    let token = r#"{"access_token":"czu_a","expires_in":1750003600}"#;
    let longer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{token}",
        token.len() + 40
    );
    let error = Listener::start(longer).refresh(stage);
    assert!(
        matches!(
            &error,
            Error::Transport {
                failure: TransportFailure::NoAnswer,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.retry(), Retry::MaybeSpent);
}

/// An answer without an end is not read to its end.
pub fn endless_answer<S: Subject>(stage: &Stage<S>) {
    let error =
        Listener::start(answer("200 OK", "", &" ".repeat(4 * Body::READ_AT_MOST))).refresh(stage);
    assert!(
        matches!(&error, Error::Unexpected(odd) if odd.oddity() == Oddity::TooLong),
        "{error:?}"
    );
}

/// A refusal reaches the core with its body and its log id, under whatever status.
pub fn refusals_are_read<S: Subject>(stage: &Stage<S>) {
    for status in [
        "200 OK",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "428 Precondition Required",
        "500 Internal Server Error",
    ] {
        let body =
            r#"{"error_code":"invalid_client","error":"invalid_client","error_message":"why"}"#;
        let error = Listener::start(answer(status, "X-Tt-Logid: log-1\r\n", body)).refresh(stage);
        let Error::Refused(refused) = &error else {
            panic!("{status}: {error:?}")
        };
        assert_eq!(
            (refused.code(), refused.message()),
            (&ErrorCode::InvalidClient, "why"),
            "{status}"
        );
        assert_eq!(refused.log_id(), Some("log-1"), "{status}");
        assert!(
            status.starts_with(&refused.status().to_string()),
            "{status}"
        );
    }
}

/// A gateway's page is no answer of Coze's, and its text gets into no error.
pub fn html_of_a_gateway<S: Subject>(stage: &Stage<S>) {
    let page = "<html><h1>Bad Gateway</h1></html>";
    let error = Listener::start(answer(
        "502 Bad Gateway",
        "content-type: text/html\r\n",
        page,
    ))
    .refresh(stage);
    assert!(
        matches!(&error, Error::Unexpected(odd) if (odd.oddity(), odd.status()) == (Oddity::NotJson, 502)),
        "{error:?}"
    );
    assert!(!format!("{error} {error:?}").contains("Bad Gateway"));
    assert_eq!(error.retry(), Retry::MaybeSpent);
}
