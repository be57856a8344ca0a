//! The journal as server-sent events.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use axum::body::{Body, HttpBody as _};
use coze_auth_mock::CozeAuthMock;
use http::Request;
use serde_json::Value;

use crate::sockets::{address, talk};
use crate::support::*;

/// A reader in memory, moved on by hand.
struct Reader(Body);

impl Reader {
    fn open(m: &Mock, last: Option<u64>) -> Self {
        let mut request = Request::get("/_mock/v1/events");
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last.to_string());
        }
        let request = request.body(Body::empty()).expect("a request");
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let answer = tower::ServiceExt::oneshot(m.mock.router(), request);
        let response = runtime
            .expect("a runtime")
            .block_on(answer)
            .expect("an answer");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(response.into_body())
    }

    /// What is there to read; none while there is nothing; an error at the end.
    fn read(&mut self) -> Result<Option<String>, ()> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut self.0).poll_frame(&mut context) {
            Poll::Pending => Ok(None),
            Poll::Ready(None) => Err(()),
            Poll::Ready(Some(frame)) => {
                let data = frame.expect("no error").into_data().expect("data");
                Ok(Some(String::from_utf8(data.to_vec()).expect("text")))
            }
        }
    }

    /// Until there is something, which another thread has to bring.
    fn wait(&mut self) -> Result<String, ()> {
        let since = std::time::Instant::now();
        loop {
            if let Some(text) = self.read()? {
                return Ok(text);
            }
            assert!(since.elapsed() < GUARD, "nothing came");
            std::thread::yield_now();
        }
    }
}

fn ids(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect()
}

#[test]
fn requests_come_as_they_are_written_down() {
    let m = Mock::new();
    m.me("pat_mock_alice");
    m.me("nobody");
    let mut reader = Reader::open(&m, None);
    let text = reader.read().expect("open").expect("two");
    let events: Vec<_> = text.split_terminator("\n\n").collect();
    assert_eq!(events.len(), 2);
    let lines: Vec<_> = events[1].lines().collect();
    assert_eq!(lines[..2], ["id: 2", "event: request"]);
    let data: Value = serde_json::from_str(&lines[2]["data: ".len()..]).expect("JSON");
    assert_eq!(data["outcome"]["rule"], "token.known");
    assert_eq!(reader.read(), Ok(None));
    m.device();
    assert_eq!(ids(&reader.wait().expect("one more")), ["3"]);
}

#[test]
fn a_reader_that_comes_back_goes_on_where_it_was() {
    let m = Mock::new();
    for _ in 0..5 {
        m.me("pat_mock_alice");
    }
    let next = |last| Reader::open(&m, last).read().expect("open");
    assert_eq!(ids(&next(Some(3)).expect("two")), ["4", "5"]);
    assert_eq!(next(Some(5)), None);
    let all = next(Some(6)).expect("of before a reset");
    assert_eq!(ids(&all), ["1", "2", "3", "4", "5"]);
    let some = m.get("/_mock/v1/events?after=1&limit=2", None);
    assert_eq!(ids(&some.text), ["2", "3"]);
    assert_eq!(m.get("/_mock/v1/events?limit=x", None).status, 400);
}

#[test]
fn a_slow_reader_loses_the_oldest_and_is_told() {
    let m = Mock::with(|builder| builder.journal_capacity(3));
    m.me("pat_mock_alice");
    let mut reader = Reader::open(&m, None);
    assert_eq!(ids(&reader.read().expect("open").expect("one")), ["1"]);
    for _ in 0..10 {
        m.me("pat_mock_alice");
    }
    let text = reader.read().expect("open").expect("the rest");
    assert!(
        text.starts_with("event: lost\ndata: {\"lost\":7}\n\nid: 9\n"),
        "{text}"
    );
    assert_eq!(ids(&text), ["9", "10", "11"]);
    let fresh = Reader::open(&m, None).read().expect("open");
    assert!(
        fresh.is_some_and(|text| text.starts_with("id: 9\n")),
        "it lost none"
    );
    assert_eq!(reader.read(), Ok(None));
}

#[test]
fn a_reset_ends_the_stream() {
    let m = Mock::new();
    m.me("pat_mock_alice");
    let mut waiting = Reader::open(&m, None);
    let mut slow = Reader::open(&m, None);
    assert!(waiting.read().expect("open").is_some());
    assert_eq!(waiting.read(), Ok(None));
    m.mock.reset();
    m.me("pat_mock_alice");
    assert_eq!(waiting.wait().as_deref(), Ok("event: reset\ndata: {}\n\n"));
    assert_eq!(waiting.read(), Err(()));
    assert_eq!(slow.wait().as_deref(), Ok("event: reset\ndata: {}\n\n"));
}

/// Over all worlds together, whatever they wait for, and whether they read or not.
#[test]
fn so_many_may_wait() {
    let (builder, _) = builder();
    let mock = builder.start_blocking().expect("a mock");
    let to = address(&mock);
    let worlds = ["", "/t/one", "/t/two", "/t/three"];
    for world in worlds {
        let gate = "{\"on\":{\"endpoint\":\"users_me\"},\"at\":\"request\"}";
        let set = format!(
            "POST {world}/_mock/v1/gates/g HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{gate}",
            gate.len()
        );
        assert!(talk(to, set.as_bytes()).starts_with("HTTP/1.1 200 "));
    }
    let waits = [
        "/_mock/v1/events",
        "/_mock/v1/requests/next?timeout_ms=60000",
        "/_mock/v1/gates/g?arrived=1&timeout_ms=60000",
        "/_mock/journal",
    ];
    let open = |n: usize| {
        let (world, wait) = (worlds[n / 4 % 4], waits[n % 4]);
        let mut stream = TcpStream::connect(to).expect("a connection");
        let request = format!("GET {world}{wait} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it is taken");
        stream
    };
    let ask = |path: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        talk(to, request.as_bytes())
    };
    let none = "/t/four/_mock/v1/requests/next?timeout_ms=0";
    let clients: Vec<_> = (0..255).map(open).collect();
    // The last place, as often as it is free again.
    for _ in 0..3 {
        assert!(ask(none).starts_with("HTTP/1.1 200 "), "{}", ask(none));
    }
    let last = open(0);
    let since = std::time::Instant::now();
    while !ask(none).starts_with("HTTP/1.1 503 ") {
        assert!(since.elapsed() < GUARD, "nobody is refused");
    }
    for refused in [
        none,
        "/_mock/v1/events?limit=0",
        "/t/one/_mock/v1/gates/g?arrived=1",
    ] {
        let answer = ask(refused);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{refused}: {answer}");
        assert!(
            answer.contains("256 clients already wait for requests, events and gates of all worlds together: end some"),
            "{answer}"
        );
    }
    let journal = ask("/_mock/journal");
    assert!(journal.starts_with("HTTP/1.1 200 ") && journal.contains("Too many pages are live"));
    // What does not wait is answered, also about gates and requests.
    for other in ["/_mock/v1/requests", "/_mock/v1/info", "/_mock/?paused=1"] {
        assert!(ask(other).starts_with("HTTP/1.1 200 "), "{other}");
    }
    // Those who leave make room, and their threads end.
    drop((clients, last));
    while !ask(none).starts_with("HTTP/1.1 200 ") {
        assert!(since.elapsed() < GUARD, "there is no room again");
    }
    let again: Vec<_> = (0..255).map(open).collect();
    while ask("/t/five/_mock/v1/events?limit=0").starts_with("HTTP/1.1 503 ") {
        assert!(since.elapsed() < GUARD, "there is no room for the last");
    }
    drop(again);
}

/// The mock's own thread has no timer, and whoever reads must not keep it alive.
#[test]
fn a_stream_over_a_socket_ends_with_the_mock() {
    let mock = CozeAuthMock::builder().start_blocking().expect("a mock");
    let mut stream = TcpStream::connect(address(&mock)).expect("a connection");
    stream.set_read_timeout(Some(GUARD)).expect("a timeout");
    let request = b"GET /_mock/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).expect("the request is taken");
    let mut lines = BufReader::new(stream).lines();
    let head = lines.next().expect("a line").expect("text");
    assert_eq!(head, "HTTP/1.1 200 OK");
    let me = Request::get("/v1/users/me").body(bytes::Bytes::new());
    let _ = mock.call_blocking(me.expect("a request"));
    let id = lines
        .by_ref()
        .map(|line| line.expect("text"))
        .find(|line| line.starts_with("id: "));
    assert_eq!(id.as_deref(), Some("id: 1"));
    drop(mock);
    assert!(lines.all(|line| line.is_ok()), "the connection is closed");
}
