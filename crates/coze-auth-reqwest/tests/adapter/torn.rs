//! Answers that do not arrive whole.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coze_auth_reqwest::core::{Error as CoreError, Retry, TransportFailure};
use coze_auth_reqwest::{Client, Error};

use crate::support::{
    Listener, SENTINEL, TOKEN, USER, exchange, failed, http_answer, me, transport,
};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn an_answer_that_breaks_off_may_have_been_acted_on() {
    let half = &http_answer("200 OK", TOKEN)[..150];
    let cases = [
        ("nothing", String::new()),
        ("half a status line", "HTTP/1.1 20".into()),
        ("half a head", "HTTP/1.1 200 OK\r\ncontent-le".into()),
        ("half a body", half.into()),
        (
            "half a chunk",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\n{\"access".into(),
        ),
        (
            "no last chunk",
            format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{TOKEN}\r\n",
                TOKEN.len()
            ),
        ),
        (
            "no chunk at all",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".into(),
        ),
        (
            "garbage",
            format!("\x16\x03\x01 {SENTINEL} is no HTTP\r\n\r\n"),
        ),
    ];
    let client = Client::new().unwrap();
    for (name, answer) in cases {
        let server = Listener::saying(answer);
        let error = failed(client.run(exchange(&server.base())).await);
        assert!(
            matches!(error.retry(), Retry::MaybeSpent(_)),
            "{name}: {error:?}"
        );
        let (failure, _) = transport(Err::<(), _>(error));
        assert_eq!(failure, TransportFailure::NoAnswer, "{name}");
        assert_eq!(server.requests().len(), 1, "{name}: sent once");

        let (failure, _) = transport(client.run(me(&server.base())).await);
        assert_eq!(
            failure,
            TransportFailure::NoAnswer,
            "{name}, without a body"
        );
    }
}

#[tokio::test]
async fn a_refused_connection_sent_nothing() {
    // Bound and let go: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let base = format!("http://{address}");
    let client = Client::new().unwrap();
    let error = failed(client.run(exchange(&base)).await);
    assert!(matches!(error.retry(), Retry::After(_)), "{error:?}");
    let (failure, text) = transport(Err::<(), _>(error));
    assert_eq!(failure, TransportFailure::NotSent);
    assert!(text.contains("refused"), "{text}");
    let (failure, _) = transport(client.run(me(&base)).await);
    assert_eq!(failure, TransportFailure::NotSent, "without a body");
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let until_hung_up = |stream: &mut std::net::TcpStream| drop(stream.read(&mut [0]));
    let silent = Listener::start(move |stream, _| until_hung_up(stream));
    let stalled = Listener::start(move |stream, _| {
        let half = &http_answer("200 OK", TOKEN)[..150];
        stream.write_all(half.as_bytes()).unwrap();
        until_hung_up(stream);
    });
    let finished = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    let clients = [
        Client::new().unwrap(),
        Client::with_client(finished.build().unwrap()),
    ];
    let start = Instant::now();
    for client in clients.map(|client| client.with_timeout(SHORT)) {
        for (name, server) in [("no answer", &silent), ("half a body", &stalled)] {
            let before = server.requests().len();
            let (failure, _) = transport(client.run(exchange(&server.base())).await);
            assert_eq!(failure, TransportFailure::Timeout, "{name}");
            assert_eq!(server.requests().len(), before + 1, "{name}: sent once");
            let (failure, _) = transport(client.run(me(&server.base())).await);
            assert_eq!(failure, TransportFailure::Timeout, "{name}, without a body");
        }
    }
    // One request with the default limit would take as long.
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn an_endless_body_is_not_read_to_its_end() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    let server = Listener::start(|stream, _| {
        stream.write_all(head).unwrap();
        // Until the other side has had enough.
        while stream.write_all(&[b' '; 64 * 1024]).is_ok() {}
    });
    let error = failed(Client::new().unwrap().run(exchange(&server.base())).await);
    let Error::Core {
        error: CoreError::Unexpected(unexpected),
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(unexpected.body_len(), 1024 * 1024);
}

#[tokio::test]
async fn a_limit_beyond_the_clock_is_a_day() {
    let server = Listener::saying(http_answer("200 OK", USER));
    let given = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    let given = Client::with_client(given.build().unwrap());
    for client in [Client::new().unwrap(), given] {
        let client = client.with_timeout(Duration::MAX);
        client.run(me(&server.base())).await.unwrap();
        assert_eq!(format!("{client:?}"), "Client { timeout: 86400s, .. }");
    }
}

/// Knows no name.
struct NoNames;

impl reqwest::dns::Resolve for NoNames {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(std::future::ready(Err("no such name".into())))
    }
}

#[tokio::test]
async fn a_name_that_is_not_found_sent_nothing() {
    let client = Client::with_builder(|| {
        let builder = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        builder.dns_resolver(Arc::new(NoNames))
    });
    let client = client.unwrap();
    for (failure, text) in [
        transport(client.run(exchange("https://api.coze.invalid")).await),
        transport(client.run(me("https://api.coze.invalid")).await),
    ] {
        assert_eq!(failure, TransportFailure::NotSent);
        assert!(text.contains("no such name"), "{text}");
    }
}
