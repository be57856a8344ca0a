//! Answers that do not arrive whole.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use coze_auth_ureq::core::{Error as CoreError, Retry, TransportFailure};
use coze_auth_ureq::{Client, Error};
use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};

use crate::support::{
    Listener, SENTINEL, TOKEN, USER, exchange, failed, http_answer, me, transport,
};

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn an_answer_that_breaks_off_may_have_been_acted_on() {
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
        let error = failed(client.run(exchange(&server.base())));
        assert!(
            matches!(error.retry(), Retry::MaybeSpent(_)),
            "{name}: {error:?}"
        );
        let (failure, _) = transport(Err::<(), _>(error));
        assert_eq!(failure, TransportFailure::NoAnswer, "{name}");
        assert_eq!(server.requests().len(), 1, "{name}: sent once");

        let (failure, _) = transport(client.run(me(&server.base())));
        assert_eq!(
            failure,
            TransportFailure::NoAnswer,
            "{name}, without a body"
        );
    }
}

#[test]
fn a_refused_connection_sent_nothing() {
    // Bound and let go: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let base = format!("http://{address}");
    let client = Client::new().unwrap();
    let error = failed(client.run(exchange(&base)));
    assert!(matches!(error.retry(), Retry::After(_)), "{error:?}");
    let (failure, text) = transport(Err::<(), _>(error));
    assert_eq!(failure, TransportFailure::NotSent);
    assert!(text.contains("refused"), "{text}");
    let (failure, _) = transport(client.run(me(&base)));
    assert_eq!(failure, TransportFailure::NotSent, "without a body");
}

#[test]
fn silence_ends_with_the_timeout() {
    let until_hung_up = |stream: &mut std::net::TcpStream| drop(stream.read(&mut [0]));
    let silent = Listener::start(move |stream, _| until_hung_up(stream));
    let stalled = Listener::start(move |stream, _| {
        let half = &http_answer("200 OK", TOKEN)[..150];
        stream.write_all(half.as_bytes()).unwrap();
        until_hung_up(stream);
    });
    let clients = [
        Client::new().unwrap(),
        Client::with_agent(Agent::new_with_defaults()),
    ];
    let start = Instant::now();
    for client in clients.map(|client| client.with_timeout(SHORT)) {
        for (name, server) in [("no answer", &silent), ("half a body", &stalled)] {
            let before = server.requests().len();
            let (failure, _) = transport(client.run(exchange(&server.base())));
            assert_eq!(failure, TransportFailure::Timeout, "{name}");
            assert_eq!(server.requests().len(), before + 1, "{name}: sent once");
            let (failure, _) = transport(client.run(me(&server.base())));
            assert_eq!(failure, TransportFailure::Timeout, "{name}, without a body");
        }
    }
    // One request with the default limit would take as long.
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn an_endless_body_is_not_read_to_its_end() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    let server = Listener::start(|stream, _| {
        stream.write_all(head).unwrap();
        // Until the other side has had enough.
        while stream.write_all(&[b' '; 64 * 1024]).is_ok() {}
    });
    let error = failed(Client::new().unwrap().run(exchange(&server.base())));
    let Error::Core {
        error: CoreError::Unexpected(unexpected),
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(unexpected.body_len(), 1024 * 1024);
}

#[test]
fn a_limit_beyond_the_clock_is_a_day() {
    let server = Listener::saying(http_answer("200 OK", USER));
    let given = Client::with_agent(Agent::new_with_defaults());
    for client in [Client::new().unwrap(), given] {
        let client = client.with_timeout(Duration::MAX);
        client.run(me(&server.base())).unwrap();
        assert_eq!(format!("{client:?}"), "Client { timeout: 86400s, .. }");
    }
}

/// Knows no name.
#[derive(Debug)]
struct NoNames;

impl Resolver for NoNames {
    fn resolve(
        &self,
        _: &ureq::http::Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Err(ureq::Error::HostNotFound)
    }
}

#[test]
fn a_name_that_is_not_found_sent_nothing() {
    let config = Config::builder().proxy(None).build();
    let client = Client::with_agent(Agent::with_parts(config, DefaultConnector::new(), NoNames));
    for (failure, text) in [
        transport(client.run(exchange("https://api.coze.invalid"))),
        transport(client.run(me("https://api.coze.invalid"))),
    ] {
        assert_eq!(failure, TransportFailure::NotSent);
        assert!(text.contains("host not found"), "{text}");
    }
}

/// Never finds a name, until the time for it is up. It does not wait for that.
#[derive(Debug)]
struct SlowNames;

impl Resolver for SlowNames {
    fn resolve(
        &self,
        _: &ureq::http::Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        assert!(timeout.after.as_secs() <= 10, "{timeout:?}");
        Err(ureq::Error::Timeout(timeout.reason))
    }
}

#[test]
fn a_name_that_is_not_found_in_time_sent_nothing() {
    let config = Config::builder().proxy(None).build();
    let client = Client::with_agent(Agent::with_parts(
        config,
        DefaultConnector::new(),
        SlowNames,
    ));
    for (failure, text) in [
        transport(client.run(exchange("https://api.coze.invalid"))),
        transport(client.run(me("https://api.coze.invalid"))),
    ] {
        assert_eq!(failure, TransportFailure::NotSent);
        assert!(text.contains("timeout: resolve"), "{text}");
    }
}

/// Makes no connection, but this error.
#[derive(Debug)]
struct Failing(ErrorKind);

impl Connector for Failing {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        Err(ureq::Error::Io(self.0.into()))
    }
}

#[test]
fn without_a_body_a_broken_connection_may_have_carried_the_request() {
    use ErrorKind::*;
    use TransportFailure::{NoAnswer, NotSent};
    for (kind, expected) in [
        (BrokenPipe, NoAnswer),
        (ConnectionAborted, NoAnswer),
        (ConnectionReset, NoAnswer),
        (UnexpectedEof, NoAnswer),
        (ConnectionRefused, NotSent),
        (HostUnreachable, NotSent),
        // It may be anything, so nothing is claimed.
        (InvalidData, NoAnswer),
    ] {
        let agent = Agent::with_parts(Config::default(), Failing(kind), DefaultResolver::default());
        let client = Client::with_agent(agent);
        let (failure, _) = transport(client.run(me("http://127.0.0.1:1")));
        assert_eq!(failure, expected, "{kind}");
        // With one it is known that the body was not asked for.
        let (failure, _) = transport(client.run(exchange("http://127.0.0.1:1")));
        assert_eq!(failure, NotSent, "{kind}, with a body");
    }
}
