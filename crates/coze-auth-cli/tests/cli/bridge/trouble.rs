//! What Coze, the network and the clock do, and what a client is told of it.

use std::time::Duration;

use coze_auth_mock::{AppKind, At, Fault, On};
use serde_json::{Value, json};

use super::process::{Answer, Bridge, REDIRECT, basic};
use crate::support::{Home, RawApi, json_answer};

/// A test fails and does not hang.
const GUARD: Duration = Duration::from_secs(30);

fn login(home: &Home, bridge: &Bridge) -> (String, Answer) {
    let app = home.mock.app(AppKind::Web).expect("an app");
    let own = basic(app.client_id(), app.client_secret().expect("a secret"));
    let code = bridge.code(home, AppKind::Web, &[]);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", REDIRECT),
    ];
    let granted = bridge.token(&[&own], &form);
    assert_eq!(granted.status, 200, "{granted:?}");
    (own, granted)
}

fn refresh(bridge: &Bridge, own: &str, token: &str) -> Answer {
    bridge.token(
        &[own],
        &[("grant_type", "refresh_token"), ("refresh_token", token)],
    )
}

fn seconds_left(answer: &Answer) -> u64 {
    answer.json()["expires_in"]
        .as_u64()
        .unwrap_or_else(|| panic!("{answer:?}"))
}

/// The one thing that every library got wrong: the time.
#[test]
fn the_life_of_a_token_is_a_duration_by_whatever_clock() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let (own, granted) = login(&home, &bridge);
    assert!((898..=900).contains(&seconds_left(&granted)), "{granted:?}");
    let mut token = granted.text("refresh_token");
    // Coze's clock is ahead of the bridge's by then, and its answers say so.
    for by in [901, 3_600, 86_400 * 20] {
        home.mock.clock().advance(Duration::from_secs(by));
        let access = format!("Authorization: Bearer {}", granted.text("access_token"));
        bridge
            .get("/userinfo", &[&access])
            .refused(401, "invalid_token");
        let renewed = refresh(&bridge, &own, &token);
        assert!(
            (898..=901).contains(&seconds_left(&renewed)),
            "{by}: {renewed:?}"
        );
        let access = format!("Authorization: Bearer {}", renewed.text("access_token"));
        assert_eq!(bridge.get("/userinfo", &[&access]).status, 200);
        token = renewed.text("refresh_token");
    }
}

/// An API that answers this, with the client's answer.
fn answered(answer: &str, form: &[(&str, &str)]) -> Answer {
    let home = Home::new();
    let api = RawApi::new(&[answer]);
    let mut command = Bridge::command(&home, &[]);
    command.env("COZE_API_BASE", &api.base);
    Bridge::of(&mut command).token(&[&basic("1", "secret")], form)
}

const REFRESH: [(&str, &str); 2] = [
    ("grant_type", "refresh_token"),
    ("refresh_token", "the-old-one"),
];

#[test]
fn an_answer_without_a_refresh_token_keeps_the_old_one_and_one_that_has_ended_lasts_a_second() {
    let body = r#"{"access_token":"a","expires_in":4000000000}"#;
    let kept = answered(&json_answer("200 OK", body), &REFRESH);
    assert_eq!(kept.text("refresh_token"), "the-old-one");
    assert_eq!(kept.text("token_type"), "Bearer");
    // It has a moment that has passed, and no Date: 0 is "without an end" for some libraries.
    let body = r#"{"access_token":"a","expires_in":1700000000,"refresh_token":"new"}"#;
    let ended = answered(&json_answer("200 OK", body), &REFRESH);
    assert_eq!(
        (seconds_left(&ended), &*ended.text("refresh_token")),
        (1, "new")
    );
    // Some libraries have 32 bits for it, and would lose the answer and with it the spent refresh token.
    let body = r#"{"access_token":"a","expires_in":6000000000}"#;
    let longest = answered(&json_answer("200 OK", body), &REFRESH);
    assert_eq!(seconds_left(&longest), i32::MAX as u64);
    assert_eq!(ended.header("x-tt-logid"), "", "it has none");
}

/// Coze's words by RFC 6749's names.
#[test]
fn a_refusal_has_the_name_that_libraries_know_and_the_words_of_coze() {
    let chinese = "\u{5237}\u{65b0}\u{4ee4}\u{724c}";
    for (status, code, expected, error) in [
        (400, "invalid_grant", 400, "invalid_grant"),
        (401, "invalid_client", 401, "invalid_client"),
        (200, "invalid_client", 401, "invalid_client"),
        (403, "invalid_client", 401, "invalid_client"),
        (400, "invalid_request", 400, "invalid_request"),
        (400, "unsupported_grant_type", 400, "unsupported_grant_type"),
        (403, "access_deny", 400, "unauthorized_client"),
        (403, "access_denied", 400, "access_denied"),
        (428, "authorization_pending", 400, "authorization_pending"),
        (429, "slow_down", 400, "slow_down"),
        (401, "expired_token", 400, "expired_token"),
        // Nobody knows these, and a spent refresh token may have one.
        (400, "refresh_token_spent", 400, "invalid_grant"),
        (400, "700012006", 400, "invalid_grant"),
        (503, "internal_error", 503, "temporarily_unavailable"),
        (500, "internal_error", 503, "temporarily_unavailable"),
        (429, "4008", 503, "temporarily_unavailable"),
    ] {
        let words = format!("the \\\"words\\\" \\\\ of {chinese} the-old-one");
        let body =
            format!(r#"{{"error_code":"{code}","error_message":"{words}","error":"{code}"}}"#);
        let answer = json_answer(&format!("{status} X"), &body);
        let answer = answer.replacen("\r\n", "\r\nx-tt-logid: 20260101ABC\r\n", 1);
        let refused = answered(&answer, &REFRESH);
        let told = refused.refused(expected, error);
        let coze = format!("Coze refused: {code} (HTTP {status}): the 'words' / of ???? ***");
        assert!(told.starts_with(&coze), "{told}");
        assert!(told.contains("[log id 20260101ABC]"), "{told}");
        assert_eq!(refused.header("x-tt-logid"), "20260101ABC");
        // As Coze said it, but for the secret.
        assert_eq!(
            refused.text("error_message"),
            format!("the \"words\" \\ of {chinese} ***")
        );
        assert_eq!(refused.text("error_code"), code);
        let is_busy = expected == 503;
        assert_eq!(
            !refused.header("retry-after").is_empty(),
            is_busy,
            "{refused:?}"
        );
        assert_eq!(
            refused.header("www-authenticate").is_empty(),
            expected != 401
        );
    }
}

#[test]
fn what_is_no_answer_of_coze_is_the_servers_trouble() {
    let html = "HTTP/1.1 502 X\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let elsewhere =
        "HTTP/1.1 302 X\r\nlocation: https://evil.example/\r\ncontent-length: 0\r\n\r\n";
    let busy = "HTTP/1.1 503 X\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n";
    let no_json = json_answer("200 OK", "ok");
    let no_token = json_answer("200 OK", "{}");
    let duration = json_answer("200 OK", r#"{"access_token":"a","expires_in":900}"#);
    for (answer, status, error, says) in [
        (html, 503, "temporarily_unavailable", "HTTP 502"),
        (elsewhere, 502, "server_error", "redirect"),
        (busy, 503, "temporarily_unavailable", "HTTP 503"),
        (&*no_json, 502, "server_error", "JSON"),
        (&*no_token, 502, "server_error", "access_token"),
        (&*duration, 502, "server_error", "expires_in"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{",
            502,
            "server_error",
            "no whole answer arrived",
        ),
        ("", 502, "server_error", "no whole answer arrived"),
    ] {
        let refused = answered(answer, &REFRESH);
        let words = refused.refused(status, error);
        assert!(words.contains(says), "{words}");
        assert_eq!(refused.header("location"), "", "{refused:?}");
        let is_spent = words.contains("may be spent");
        assert_eq!(is_spent, answer != elsewhere, "{words}");
        assert!(
            !refused.body.contains("the-old-one") && !refused.body.contains("evil"),
            "{refused:?}"
        );
    }
    // Nobody is there.
    let home = Home::new();
    let mut command = Bridge::command(&home, &[]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    command.env("COZE_API_BASE", format!("http://{}", free.expect("a port")));
    let bridge = Bridge::of(&mut command);
    let refused = bridge.token(&[&basic("1", "secret")], &REFRESH);
    let words = refused.refused(503, "temporarily_unavailable");
    assert!(words.contains("nothing was sent"), "{words}");
    assert_eq!(refused.header("retry-after"), "1");
}

/// Waits until no new connection is taken.
fn no_longer_listens(bridge: &Bridge) {
    let begun = std::time::Instant::now();
    while std::net::TcpStream::connect(bridge.to).is_ok() {
        assert!(begun.elapsed() < GUARD, "it listens still");
    }
}

/// A request under way is answered: the refresh token is spent by it, and the new one is in the answer.
#[test]
fn an_end_cuts_off_no_request() {
    let home = Home::new();
    let mut bridge = Bridge::start(&home);
    let (own, granted) = login(&home, &bridge);
    let gate = home
        .mock
        .gate("refresh", On::grant("refresh_token"), At::Answer);
    let token = granted.text("refresh_token");
    let answer = std::thread::scope(|scope| {
        let asking = scope.spawn(|| refresh(&bridge, &own, &token));
        assert!(gate.arrived_blocking(1, GUARD), "it is under way");
        bridge.signal("TERM");
        no_longer_listens(&bridge);
        gate.open();
        asking.join().expect("an answer")
    });
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_ne!(answer.text("refresh_token"), token);
    let run = bridge.wait();
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.stderr.contains("requests under way are answered"),
        "{run:?}"
    );
}

/// A client may say that it sends nothing more (RFC 9112 §9.6), and has its answer still: its refresh token is spent.
#[test]
fn a_client_that_has_said_all_is_answered() {
    use std::io::Write as _;

    let home = Home::new();
    let bridge = Bridge::start(&home);
    let (own, granted) = login(&home, &bridge);
    let form = format!(
        "grant_type=refresh_token&refresh_token={}",
        granted.text("refresh_token")
    );
    let mut stream = std::net::TcpStream::connect(bridge.to).expect("it listens");
    stream.set_read_timeout(Some(GUARD)).expect("a socket");
    let request = format!(
        "POST /token HTTP/1.1\r\nHost: {}\r\n{own}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        bridge.to,
        form.len()
    );
    stream.write_all(request.as_bytes()).expect("it is taken");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    let answer = Answer::read(&mut stream);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        refresh(&bridge, &own, &answer.text("refresh_token")).status,
        200
    );
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let home = Home::new();
    let mut bridge = Bridge::start(&home);
    let (own, granted) = login(&home, &bridge);
    let gate = home
        .mock
        .gate("refresh", On::grant("refresh_token"), At::Answer);
    let token = granted.text("refresh_token");
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| refresh(&bridge, &own, &token));
        assert!(gate.arrived_blocking(1, GUARD), "it is under way");
        bridge.signal("INT");
        no_longer_listens(&bridge);
        bridge.signal("INT");
        assert_eq!(asking.join().expect("an end").status, 0);
    });
    gate.open();
    assert_eq!(bridge.wait().code, None, "by the signal");
}

/// Asks and asks, and reads no answer; true if the connection was ended in time.
fn never_reads(host: std::net::SocketAddr) -> bool {
    use std::io::{ErrorKind, Write as _};

    let mut stream = std::net::TcpStream::connect(host).expect("it listens");
    stream.set_nonblocking(true).expect("a socket");
    let requests = format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n").repeat(1_000);
    let (mut begun, mut rest) = (std::time::Instant::now(), requests.as_bytes());
    while begun.elapsed() < GUARD {
        match stream.write(rest) {
            Ok(written) => {
                begun = std::time::Instant::now();
                rest = match &rest[written..] {
                    [] => requests.as_bytes(),
                    rest => rest,
                };
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(_) => return true,
        }
    }
    false
}

/// A client that goes slowly, sends without end, or does not read, is left.
#[test]
fn a_client_has_limits_of_size_and_time() {
    use std::io::Write as _;
    use std::net::TcpStream;

    let home = Home::new();
    let bridge = Bridge::start(&home);
    let host = bridge.to;
    let long = "a".repeat(70_000);
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*long)];
    bridge.token(&[], &form).refused(413, "invalid_request");
    let many: Vec<String> = (0..100).map(|n| format!("X-{n}: a")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(bridge.get("/health", &many).status, 431);
    assert!(
        [431, 414].contains(
            &bridge
                .get("/health", &[&format!("X-A: {}", &long[..20_000])])
                .status
        )
    );
    assert!(
        [431, 414].contains(
            &bridge
                .get(&format!("/authorize?state={}", &long[..20_000]), &[])
                .status
        )
    );
    let begun = std::time::Instant::now();
    let ends = |beginning: String| {
        let mut stream = TcpStream::connect(host).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a socket");
        stream.write_all(beginning.as_bytes()).expect("it is taken");
        Answer::read(&mut stream)
    };
    let kind = "Content-Type: application/x-www-form-urlencoded";
    std::thread::scope(|scope| {
        let silent = scope.spawn(|| ends(String::new()));
        let head = scope.spawn(|| ends(format!("POST /token HTTP/1.1\r\nHost: {host}\r\n")));
        let body = scope.spawn(|| {
            ends(format!(
                "POST /token HTTP/1.1\r\nHost: {host}\r\n{kind}\r\nContent-Length: 99\r\n\r\ngrant"
            ))
        });
        let unread = scope.spawn(|| never_reads(host));
        // One that is kept, after its first answer.
        let mut kept = TcpStream::connect(host).expect("it listens");
        kept.set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a socket");
        let health = format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n");
        kept.write_all(health.as_bytes()).expect("it is taken");
        assert_eq!(Answer::read(&mut kept).status, 200);
        let kept = scope.spawn(move || Answer::read(&mut kept));
        assert_eq!(kept.join().expect("an end").status, 0);
        assert!(unread.join().expect("an end"), "it has its place still");
        let answer = body.join().expect("an answer");
        answer.refused(408, "invalid_request");
        for silent in [silent, head] {
            let answer = silent.join().expect("an end");
            assert!([0, 408].contains(&answer.status), "{answer:?}");
        }
    });
    assert!(
        begun.elapsed() < Duration::from_secs(40),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(bridge.get("/health", &[]).status, 200);
}

/// So many at once are served, the next are told to come again, and none of them hurts another.
#[test]
fn more_requests_than_it_takes_are_told_to_wait() {
    const ALL: usize = 300;
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let gate = home
        .mock
        .gate("refresh", On::grant("refresh_token"), At::Request);
    let id = home.app(AppKind::Pkce);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "r"),
        ("client_id", &*id),
    ];
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..ALL {
            let (tell, bridge, form) = (tell.clone(), &bridge, &form);
            scope.spawn(move || tell.send(bridge.token(&[], form)));
        }
        assert!(gate.arrived_blocking(256, GUARD), "they are under way");
        for _ in 256..ALL {
            let answer = told.recv_timeout(GUARD).expect("it has no place");
            answer.refused(503, "temporarily_unavailable");
            assert_eq!(answer.header("retry-after"), "1");
        }
        assert_eq!(bridge.get("/health", &[]).status, 200, "it asks nobody");
        gate.open();
        for _ in 0..256 {
            let answer = told.recv_timeout(GUARD).expect("an answer");
            answer.refused(400, "invalid_grant");
        }
    });
    assert_eq!(bridge.get("/health", &[]).status, 200);
}

/// A fault of Coze's that quotes what it was sent: neither in an answer, nor in the log.
#[test]
fn what_coze_quotes_is_masked() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let (own, granted) = login(&home, &bridge);
    let secret = "mock-web-secret";
    let quoted = json!({ "error": "invalid_request", "error_description": format!("no {secret}") });
    let fault = Fault::status(400)
        .header("content-type", "application/json")
        .body(quoted.to_string());
    let fault = home.mock.fault(
        On::grant("refresh_token"),
        fault.header("x-tt-logid", secret),
    );
    let token = granted.text("refresh_token");
    let refused = refresh(&bridge, &own, &token);
    let words = refused.refused(400, "invalid_request");
    assert!(words.contains("no ***"), "{words}");
    let whole: Value = refused.json();
    assert!(
        !format!("{whole}{refused:?}").contains(secret),
        "{refused:?}"
    );
    drop(fault);
    let run = bridge.end();
    assert!(!run.stderr.contains(secret), "{run:?}");
}

/// Who reads standard error may have stopped: no request, and no end, waits for that.
#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let home = Home::new();
    let mut child = Bridge::command(&home, &[]);
    let mut bridge = Bridge::unread(&mut child);
    let long = "a".repeat(200);
    for _ in 0..5_000 {
        let answer = bridge.get(&format!("/{long}"), &[]);
        assert_eq!(answer.status, 404, "{answer:?}");
    }
    bridge.signal("TERM");
    let begun = std::time::Instant::now();
    assert_eq!(bridge.wait_unread(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
}
