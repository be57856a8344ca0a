//! Clients that keep the mock waiting: it waits for so long, and for so many.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_mock::{At, CozeAuthMock, On};

use crate::raw::{ask, connect, read, until};
use crate::sockets::address;
use crate::support::*;
use crate::tls::{ME, secured};

const LIMITS: &str = "[limits]\nhandshake = 1\nhead = 1\nbody = 1\nanswer = 1\nidle = 1";
const SECOND: Duration = Duration::from_secs(1);

fn limited(limits: &str) -> CozeAuthMock {
    let builder = builder().0.toml(limits).expect("limits");
    builder.start_blocking().expect("a mock")
}

/// How long a connection lives on which `first` is sent, and then a byte of `drip` each tenth of a second.
fn lifetime(to: SocketAddr, first: &[u8], drip: &[u8]) -> (Duration, Vec<u8>) {
    let mut stream = connect(to);
    let begun = Instant::now();
    stream.write_all(first).expect("it is taken");
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a timeout");
    let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
    let mut drip = drip.iter();
    while begun.elapsed() < GUARD {
        match stream.read(&mut buffer) {
            Ok(0) => return (begun.elapsed(), answer),
            Ok(n) => answer.extend_from_slice(&buffer[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if let Some(byte) = drip.next() {
                    // An error is the end of the connection, which the next read tells.
                    let _ = stream.write_all(&[*byte]);
                }
            }
            Err(_) => return (begun.elapsed(), answer),
        }
    }
    panic!("the connection lives after {GUARD:?}");
}

#[test]
fn a_head_that_never_ends_and_a_body_that_never_comes_are_not_waited_for() {
    let mock = limited(LIMITS);
    let to = address(&mock);
    let post = "POST /api/permission/oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let sized = format!("{post}Content-Length: 100\r\n\r\n");
    let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
    let control = sized.replace("/api/permission/oauth2/token", "/_mock/v1/clock");
    let control = control.replace("Host: x", "Host: localhost");
    let spaces = " ".repeat(1000);
    thread::scope(|scope| {
        for (what, first, drip, answered) in [
            ("silence", "", "", false),
            (
                "a head without an end",
                "GET / HTTP/1.1\r\nA: b\r\n",
                "",
                false,
            ),
            (
                "a head that comes slowly",
                "GET / HTTP/1.1\r\nA: ",
                &*spaces,
                false,
            ),
            ("no body", &*sized, "", true),
            ("a body that comes slowly", &*sized, &*spaces, true),
            ("chunks that never come", &*chunked, "", true),
            ("no body for the control plane", &*control, "", true),
        ] {
            scope.spawn(move || {
                let (lived, answer) = lifetime(to, first.as_bytes(), drip.as_bytes());
                let answer = String::from_utf8_lossy(&answer);
                assert!(lived >= SECOND.mul_f32(0.8), "{what}: {lived:?} {answer}");
                assert!(lived < SECOND * 8, "{what}: {lived:?}");
                assert_eq!(
                    answer.starts_with("HTTP/1.1 400 "),
                    answered,
                    "{what}: {answer}"
                );
                assert_eq!(
                    answer.contains("1000 ms"),
                    answered && first.contains("_mock"),
                    "{what}: {answer}"
                );
            });
        }
    });
    let late = mock.requests();
    assert_eq!(late.len(), 3, "the bodies of the data plane");
    for entry in late {
        let why = mock.explain(&entry.outcome.logid).expect("an entry");
        assert_eq!(why.rule, Some("body.json"));
        assert!(
            why.actual
                .as_deref()
                .is_some_and(|actual| actual.contains("1000 ms")),
            "{why:?}"
        );
    }
    // A connection that was answered is kept for a while.
    let mut kept = connect(to);
    assert_eq!(ask(&mut kept, ME, true).status(), 200);
    let begun = Instant::now();
    assert_eq!(read(&mut kept, false).bytes, b"");
    assert!(
        begun.elapsed() >= SECOND.mul_f32(0.8),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_handshake_is_not_waited_for() {
    let mock = builder().0.toml(LIMITS).expect("limits").tls();
    let mock = mock.start_blocking().expect("a mock");
    let to = address(&mock);
    for first in [&b""[..], b"\x16\x03\x01\x02\x00"] {
        let (lived, answer) = lifetime(to, first, b"");
        assert!(
            lived >= SECOND.mul_f32(0.8) && lived < SECOND * 8,
            "{lived:?}"
        );
        assert_eq!(answer, b"");
    }
    let mut stream = secured(connect(to), mock.ca_pem().expect("a CA"));
    assert_eq!(ask(&mut stream, ME, true).status(), 200);
}

/// Over HTTP/1.1 it is the socket that takes nothing.
#[test]
fn an_answer_that_is_not_read_ends_the_connection() {
    let mock = limited("[limits]\nanswer = 1");
    let to = address(&mock);
    let asks = "GET /_mock/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000);
    let mut silent = connect(to);
    let begun = Instant::now();
    silent.write_all(asks.as_bytes()).expect("it is taken");
    // While another reads slowly, for longer than the limit in all.
    let mut slow = connect(to);
    slow.write_all(asks.as_bytes()).expect("it is taken");
    let mut buffer = vec![0; 64 * 1024];
    let ended = loop {
        thread::sleep(Duration::from_millis(50));
        if slow.read(&mut buffer).expect("it goes on") == 0 || begun.elapsed() > GUARD {
            panic!("the slow one was cut, or the silent one was not");
        }
        if silent.write_all(b"\r").is_err() {
            break begun.elapsed();
        }
    };
    assert!(ended >= SECOND.mul_f32(0.8), "{ended:?}");
    assert_eq!(ask(&mut connect(to), ME, true).status(), 200);
}

/// Each of these waits for longer than any limit.
#[test]
fn gates_streams_and_long_polls_are_not_cut() {
    let mock = limited(LIMITS);
    let to = address(&mock);
    let gate = mock.gate("held", On::endpoint("users_me"), At::Request);
    let mut held = connect(to);
    held.write_all(ME).expect("it is taken");
    until("it arrives", || gate.waiting() == 1);
    let mut events = connect(to);
    events
        .write_all(b"GET /_mock/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("it is taken");
    let mut polled = connect(to);
    polled
        .write_all(
            b"GET /_mock/v1/requests/next?timeout_ms=60000 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        )
        .expect("it is taken");
    thread::sleep(SECOND * 3);
    gate.open();
    assert_eq!(read(&mut held, true).status(), 200);
    assert_eq!(read(&mut polled, true).status(), 200);
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    until("the stream has the request", || {
        let n = events.read(&mut buffer).expect("it goes on");
        assert!(n > 0, "the stream has ended");
        seen.extend_from_slice(&buffer[..n]);
        String::from_utf8_lossy(&seen).contains("users_me")
    });
}

/// Who is silent makes room for who is not, and who was answered is kept longest.
#[test]
fn silent_connections_make_room() {
    let mock = limited("[limits]\nconnections = 20");
    let to = address(&mock);
    let mut kept = connect(to);
    assert_eq!(ask(&mut kept, ME, true).status(), 200);
    let mut silent = Vec::new();
    for n in 0..200 {
        let mut stream = TcpStream::connect(to).expect("a connection");
        if n % 2 == 0 {
            stream
                .write_all(b"GET / HTTP/1.1\r\nA: b")
                .expect("it is taken");
        }
        silent.push(stream);
        if n % 20 == 0 {
            assert_eq!(ask(&mut connect(to), ME, true).status(), 200, "{n}");
        }
    }
    assert_eq!(ask(&mut connect(to), ME, true).status(), 200);
    assert_eq!(ask(&mut kept, ME, true).status(), 200, "it was the first");
    let ended = silent.iter().filter(|stream| {
        let mut stream: &TcpStream = stream;
        stream.set_nonblocking(true).expect("set");
        !matches!(stream.read(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    });
    assert!(ended.count() >= 180);
}

/// If all have a request under way, none is cut: a new one waits until one of them ends.
#[test]
fn requests_under_way_are_not_evicted() {
    let mock = limited("[limits]\nconnections = 5");
    let to = address(&mock);
    let gate = mock.gate("held", On::endpoint("users_me"), At::Request);
    let mut held: Vec<_> = (0..5)
        .map(|_| {
            let mut stream = connect(to);
            stream.write_all(ME).expect("it is taken");
            stream
        })
        .collect();
    until("all arrive", || gate.waiting() == 5);
    let mut waiting = connect(to);
    waiting
        .write_all(b"GET /_mock/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("it is taken");
    waiting
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("a timeout");
    let nothing = waiting.read(&mut [0; 1]).expect_err("no answer yet");
    assert!(matches!(
        nothing.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    waiting.set_read_timeout(Some(GUARD)).expect("a timeout");
    gate.open();
    for stream in &mut held {
        assert_eq!(read(stream, true).status(), 200);
    }
    // They are idle now, so one of them makes room.
    assert_eq!(read(&mut waiting, true).status(), 200);
}

#[test]
fn a_head_that_is_too_large_is_431() {
    let mock = builder().0.start_blocking().expect("a mock");
    let head = |bytes: usize| {
        let me = String::from_utf8_lossy(ME);
        me.replacen(
            "Host",
            &format!("X-Large: {}\r\nHost", "x".repeat(bytes)),
            1,
        )
    };
    for (bytes, status) in [(30 * 1024, 200), (33 * 1024, 431), (1024 * 1024, 431)] {
        let mut stream = connect(address(&mock));
        // The mock may answer before it has taken all.
        let _ = stream.write_all(head(bytes).as_bytes());
        let mut answer = [0; 12];
        match stream.read_exact(&mut answer) {
            Ok(()) => assert_eq!(
                String::from_utf8_lossy(&answer),
                format!("HTTP/1.1 {status}"),
                "{bytes}"
            ),
            // It closed while bytes were under way.
            Err(error) => assert!(status == 431 && bytes > 1_000_000, "{bytes}: {error}"),
        }
    }
    let many: String = (0..101).map(|n| format!("X-{n}: 1\r\n")).collect();
    let me = String::from_utf8_lossy(ME).replacen("Host", &format!("{many}Host"), 1);
    assert_eq!(
        ask(&mut connect(address(&mock)), me.as_bytes(), false).status(),
        431
    );
}
