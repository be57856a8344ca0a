//! Faults as a client sees them that has nothing but a socket: each kind, at each endpoint, before
//! and after the mock has acted.

use std::thread;
use std::time::Duration;

use coze_auth_mock::{At, Fault, On};
use serde_json::Value;

use crate::raw::*;

/// Tries one kind of fault at each endpoint in both phases. `check` gets what was received, and the status that the
/// answer has without the fault.
fn each(
    server: &Server,
    connect: fn(&Server) -> Box<dyn Stream>,
    fault: &Fault,
    kind: &str,
    stays_open: bool,
    check: impl Fn(&Received, u16) + Sync,
) {
    let cases = ENDPOINTS.map(|endpoint| [(endpoint, At::Request), (endpoint, At::Answer)]);
    let check = &check;
    thread::scope(|scope| {
        for (n, (endpoint, at)) in cases.into_iter().flatten().enumerate() {
            let what = format!("{kind} at the {at:?} of {endpoint}");
            // A failed assertion tells the name of its thread.
            let thread = thread::Builder::new().name(what.clone());
            let tried = thread.spawn_scoped(scope, move || {
                let (first, again) = without_fault(server, endpoint);
                let (world, request) = server.world_with_request(&format!("{kind}-{n}"), endpoint);
                let before = world.requests().len();
                let handle = world.fault(on(endpoint), fault.clone().at(at).times(1));
                let mut stream = connect(server);
                let received = ask(&mut stream, &request, stays_open);
                let as_text = String::from_utf8_lossy(&received.bytes);
                println!("{what}: {:?} {as_text:?}", received.end);
                check(&received, if at == At::Answer { first } else { 200 });

                let entries = &world.requests()[before..];
                assert_eq!(entries.len(), 1, "{what}");
                let entry = &entries[0];
                assert_eq!(entry.fault, Some(kind), "{what}");
                let sent = match kind {
                    "reset" | "garbage" => 0,
                    _ => received.status(),
                };
                assert_eq!(entry.outcome.status, sent, "{what}");
                // A delay lets the request go on, and by then it has acted in either phase.
                let acted = at == At::Answer || kind == "delay";
                let gives = entry.endpoint == "token";
                assert_eq!(entry.issued.is_some(), acted && gives, "{what}");
                assert_eq!(entry.grant.is_some(), gives, "{what}");
                assert_eq!(entry.client.is_some(), gives || endpoint != "users_me");
                let why = world.explain(&entry.outcome.logid).expect("an entry").text;
                assert!(why.contains(&format!("the fault {kind}")), "{why}");
                assert_eq!(why.contains("no rule has looked"), !acted, "{why}");

                assert_eq!((handle.matched(), handle.fired()), (1, 1), "{what}");
                // The same once more: what has happened to the code or token?
                if !stays_open {
                    stream = connect(server);
                }
                let second = ask(&mut stream, &request, true);
                let expected = if acted { again } else { first };
                assert_eq!(second.status(), expected, "{what}, once more");
            });
            tried.expect("a thread");
        }
    });
}

/// What a code or a token has gone through shows, or the tests below show nothing.
#[test]
fn grants_that_are_spent_are_refused() {
    let server = Server::thread();
    for (endpoint, statuses) in [
        ("authorize", (302, 302)),
        ("authorization_code", (200, 400)),
        ("refresh_token", (200, 400)),
        ("device_code_grant", (200, 400)),
        ("device_code", (200, 200)),
        ("users_me", (200, 200)),
    ] {
        assert_eq!(without_fault(&server, endpoint), statuses, "{endpoint}");
    }
    assert_eq!(without_fault(&server, "jwt_bearer").0, 200);
}

/// By all ways in which a mock listens.
fn everywhere(fault: &Fault, kind: &str, stays_open: bool, check: impl Fn(&Received, u16) + Sync) {
    over_http1(fault, kind, stays_open, &check);
    over_http2(fault, kind, stays_open, &check);
}

fn over_http1(fault: &Fault, kind: &str, stays_open: bool, check: impl Fn(&Received, u16) + Sync) {
    for server in [Server::thread(), Server::task(), Server::tls()] {
        each(&server, Server::connect, fault, kind, stays_open, &check);
    }
}

fn over_http2(fault: &Fault, kind: &str, stays_open: bool, check: impl Fn(&Received, u16) + Sync) {
    let connect = |server: &Server| server.http2().translated();
    each(&Server::tls(), connect, fault, kind, stays_open, check);
}

#[test]
fn a_reset_is_a_reset() {
    everywhere(&Fault::reset(), "reset", false, |received, _| {
        assert_eq!(received.end, End::Rst);
        assert_eq!(received.bytes, b"");
    });
}

#[test]
fn a_connection_closed_before_the_body_ends_behind_the_head() {
    let fault = Fault::close_before_body();
    everywhere(
        &fault,
        "close_before_body",
        false,
        |received, without_fault| {
            assert_eq!((received.status(), received.end), (without_fault, End::Fin));
            assert_eq!(received.body(), b"");
            assert!(
                Received::length(&received.bytes) >= Some(1),
                "a body is promised"
            );
        },
    );
}

#[test]
fn a_truncated_body_ends_at_its_byte() {
    everywhere(
        &Fault::truncate_at(3),
        "truncate",
        false,
        |received, without_fault| {
            assert_eq!((received.status(), received.end), (without_fault, End::Fin));
            assert_eq!(received.body().len(), 3);
            assert!(Received::length(&received.bytes) > Some(3));
        },
    );
}

#[test]
fn a_body_is_truncated_in_the_middle_and_never_at_its_end() {
    let server = Server::thread();
    let (world, request) = server.world_with_request("middle", "users_me");
    for (fault, body) in [
        (Fault::truncate().body("0123456789"), "01234"),
        (Fault::truncate().body("0"), ""),
        (Fault::truncate_at(0).body("0123456789"), ""),
        (Fault::truncate_at(10).body("0123456789"), "012345678"),
        (
            Fault::truncate_at(usize::MAX).body("0123456789"),
            "012345678",
        ),
    ] {
        let _fault = world.fault(On::endpoint("users_me"), fault);
        let received = send(server.address(), &request, false);
        assert_eq!((received.body(), received.end), (body.as_bytes(), End::Fin));
    }
}

#[test]
fn garbage_is_no_http() {
    let bytes: &[u8] = b"\x00\xff no HTTP\r\n\r\n";
    let fault = Fault::garbage().body(bytes);
    over_http1(&fault, "garbage", false, |received, _| {
        assert_eq!((&*received.bytes, received.end), (bytes, End::Fin));
    });
    over_http2(&fault, "garbage", false, |received, _| {
        assert_eq!((&*received.bytes, received.end), (&b""[..], End::Fin));
    });
}

#[test]
fn a_slow_answer_comes_byte_by_byte_and_whole() {
    let fault = Fault::slow_drip(Duration::from_millis(1));
    over_http1(&fault, "slow_drip", false, |received, without_fault| {
        assert_eq!((received.status(), received.end), (without_fault, End::Fin));
        assert_eq!(
            Some(received.body().len()),
            Received::length(&received.bytes)
        );
        let pauses = u64::try_from(received.bytes.len() - 1).expect("a few");
        // Where two bytes come at once, their pauses were before.
        assert!(
            received.took >= Duration::from_millis(pauses),
            "{:?}",
            received.took
        );
    });
}

#[test]
fn a_delayed_answer_comes_later() {
    let by = Duration::from_millis(25);
    everywhere(&Fault::delay(by), "delay", true, |received, _| {
        assert_eq!(received.end, End::Open);
        assert!(received.took >= by, "{:?}", received.took);
        assert!([200, 302].contains(&received.status()));
    });
}

#[test]
fn another_status_is_that_of_a_gateway() {
    let fault = Fault::status(503).header("retry-after", "7").body("busy");
    everywhere(&fault, "status", true, |received, _| {
        assert_eq!((received.status(), received.body()), (503, &b"busy"[..]));
        assert_eq!(received.header("retry-after"), ["7"]);
        assert_eq!(
            received.header("content-type"),
            ["text/plain; charset=utf-8"]
        );
    });
}

#[test]
fn a_redirect_leads_elsewhere() {
    let to = "http://127.0.0.1:1/elsewhere";
    everywhere(
        &Fault::redirect(307, to),
        "redirect",
        true,
        |received, _| {
            assert_eq!((received.status(), received.body()), (307, &b""[..]));
            assert_eq!(received.header("location"), [to]);
        },
    );
}

#[test]
fn a_wrong_content_type_has_the_right_body() {
    let fault = Fault::wrong_content_type();
    everywhere(
        &fault,
        "wrong_content_type",
        true,
        |received, without_fault| {
            assert_eq!(received.status(), without_fault);
            assert_eq!(
                received.header("content-type"),
                ["text/html; charset=utf-8"]
            );
            let json = serde_json::from_slice::<Value>(received.body()).is_ok();
            assert!(json || without_fault == 302, "the body is as it was");
        },
    );
}

#[test]
fn an_empty_200_is_empty() {
    everywhere(&Fault::empty_200(), "empty_200", true, |received, _| {
        assert_eq!((received.status(), received.body()), (200, &b""[..]));
        assert_eq!(received.header("content-length"), ["0"]);
        assert!(received.header("content-type").is_empty());
    });
}

#[test]
fn a_header_comes_twice() {
    everywhere(
        &Fault::dup_header(),
        "dup_header",
        true,
        |received, without_fault| {
            assert_eq!(received.status(), without_fault);
            assert_eq!(received.header("content-type").len(), 2);
        },
    );
    let server = Server::thread();
    let (world, request) = server.world_with_request("other", "users_me");
    let fault = Fault::dup_header()
        .header("x-tt-logid", "another")
        .header("x-new", "1");
    let _fault = world.fault(On::endpoint("users_me"), fault);
    let received = send(server.address(), &request, true);
    let logids = received.header("x-tt-logid");
    assert_eq!((logids.len(), &*logids[1]), (2, "another"));
    assert_eq!(received.header("x-new"), ["1", "1"]);
    assert_eq!(received.header("content-type").len(), 1);
}

/// A pipelined request, `Expect: 100-continue` and HEAD do not move the cut.
#[test]
fn the_cut_is_in_the_answer_of_its_request() {
    let server = Server::thread();
    let (world, request) = server.world_with_request("edges", "users_me");
    let cut = || {
        let fault = Fault::truncate_at(2).skip(1).body("0123456789");
        world.fault(On::endpoint("users_me"), fault)
    };
    let _fault = cut();
    let twice = [&request[..], &request[..]].concat();
    let received = send(server.address(), &twice, false);
    let text = String::from_utf8(received.bytes).expect("text");
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n01"),
        "{text}"
    );
    assert!(
        text.contains("\"user_name\":\"alice\""),
        "the first is whole: {text}"
    );
    drop(_fault);

    let (world, request) = server.world_with_request("expect", "refresh_token");
    let _fault = world.fault(On::token(), Fault::close_before_body());
    let expecting = String::from_utf8(request).expect("text");
    let expecting = expecting.replacen(
        "Host: localhost\r\n",
        "Host: localhost\r\nExpect: 100-continue\r\n",
        1,
    );
    let received = send(server.address(), expecting.as_bytes(), false);
    let text = String::from_utf8(received.bytes).expect("text");
    let answer = text
        .strip_prefix("HTTP/1.1 100 Continue\r\n\r\n")
        .unwrap_or(&text);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(
        answer.ends_with("\r\n\r\n") && received.end == End::Fin,
        "{text}"
    );

    let (world, request) = server.world_with_request("head", "users_me");
    let _fault = world.fault(On::endpoint("users_me"), Fault::truncate().at(At::Request));
    let head = String::from_utf8(request)
        .expect("text")
        .replacen("GET", "HEAD", 1);
    let received = send(server.address(), head.as_bytes(), false);
    assert_eq!((received.body(), received.end), (&b""[..], End::Fin));
}
