//! Waiting for requests, and expectations that tell how near they were missed.

use std::thread;
use std::time::Duration;

use coze_auth_mock::{Expect, On, RequestFilter};
use serde_json::{Value, json};

use crate::support::*;

/// A rotation and a replay of what it has spent: seq 1 to 4.
fn rotated() -> Mock {
    let m = Mock::new();
    let (_, token) = m.web_tokens();
    m.refresh_web(&token);
    m.pass(3);
    m.refresh_web(&token);
    m
}

/// The one reason why `expect` is not met.
fn why(m: &Mock, expect: Value) -> String {
    let reply = m.control("/verify", &json!({ "expect": [expect] }));
    assert_eq!(reply.json["ok"], false, "{}", reply.text);
    assert_eq!(reply.json["failures"][0]["index"], 0);
    assert_eq!(reply.json["failures"].as_array().map(Vec::len), Some(1));
    let why = &reply.json["failures"][0]["why"];
    why.as_str().expect("a reason").to_owned()
}

fn assert_met(m: &Mock, expect: Value) {
    let reply = m.control("/verify", &json!({ "expect": [expect] }));
    assert_eq!(reply.json, json!({ "ok": true, "failures": [] }));
}

#[test]
fn an_unmet_expectation_names_the_nearest_request_and_its_differences() {
    let m = rotated();
    let two = json!({ "endpoint": "token", "grant": "refresh_token", "status": 200, "count": { "eq": 2 } });
    assert_eq!(
        why(&m, two),
        "expected exactly 2 of endpoint token, grant refresh_token, status 200; \
         1 matched (seq 3 20250615150640MOCK00000000000003); \
         nearest other: seq 4 20250615150643MOCK00000000000004: status 400, not 200; rule refresh.rotate refused it"
    );
    let other = json!({ "rule": "refresh.expiry", "error": "invalid_grant" });
    assert_eq!(
        why(&m, other),
        "expected at least 1 of error invalid_grant, rule refresh.expiry; none matched; \
         nearest other: seq 4 20250615150643MOCK00000000000004: rule refresh.rotate, not refresh.expiry"
    );
    let none = json!({ "grant": "refresh_token", "count": { "at_most": 1 } });
    assert_eq!(
        why(&m, none),
        "expected at most 1 of grant refresh_token; \
         2 matched (seq 3 20250615150640MOCK00000000000003, seq 4 20250615150643MOCK00000000000004)"
    );
}

#[test]
fn counts_that_are_met_are_ok() {
    let m = rotated();
    for count in [
        json!({ "eq": 2 }),
        json!({ "at_least": 2 }),
        json!({ "at_most": 2 }),
        json!({ "at_least": 1, "at_most": 3 }),
    ] {
        assert_met(&m, json!({ "grant": "refresh_token", "count": count }));
    }
    assert_met(
        &m,
        json!({ "endpoint": "device_code", "count": { "eq": 0 } }),
    );
    assert_met(
        &m,
        json!({ "client_id": WEB, "status": 400, "error": "invalid_grant" }),
    );
    let reply = m.control(
        "/verify",
        &json!({ "expect": [{ "endpoint": "token" }, { "endpoint": "users_me" }] }),
    );
    assert_eq!(reply.json["failures"][0]["index"], 1);
}

#[test]
fn an_order_allows_other_requests_in_between_but_not_another_order() {
    let m = Mock::new();
    let (device_code, user_code) = m.device();
    m.poll(&device_code);
    m.me("pat_mock_alice");
    m.decide(&user_code, "approve");
    m.pass(5);
    m.poll(&device_code);
    assert_met(&m, json!({ "order": ["device_code", "token", "token"] }));
    assert_met(
        &m,
        json!({ "order": ["token", { "endpoint": "token", "status": 200 }] }),
    );
    assert_eq!(
        why(&m, json!({ "order": ["token", "token", "users_me"] })),
        "request 3 of 3, endpoint users_me, is missing after seq 4 20250615150645MOCK00000000000004; \
         the journal has no others; an earlier one: seq 3 20250615150640MOCK00000000000003"
    );
}

#[test]
fn gaps_are_measured_by_the_clock_of_the_mock() {
    let m = rotated();
    let gaps = |min: u64| json!({ "gaps_ms": { "grant": "refresh_token", "min": min } });
    assert_met(&m, gaps(3_000));
    assert_eq!(
        why(&m, gaps(3_001)),
        "expected 3001 ms between any two of grant refresh_token; 1 of 1 gaps are shorter, the shortest 3000 ms, \
         from seq 3 20250615150640MOCK00000000000003 to seq 4 20250615150643MOCK00000000000004"
    );
    let one = why(
        &m,
        json!({ "gaps_ms": { "endpoint": "authorize", "min": 0 } }),
    );
    assert!(
        one.starts_with("a gap is between two of endpoint authorize; 1 matched"),
        "{one}"
    );
}

/// An evicted entry might have been one more.
#[test]
fn no_verdict_rests_on_a_journal_that_has_evicted_entries() {
    let m = Mock::with(|builder| builder.journal_capacity(2));
    for _ in 0..3 {
        m.me("pat_mock_alice");
    }
    let most = |n: usize| json!({ "endpoint": "users_me", "count": { "at_most": n } });
    assert!(why(&m, most(5)).ends_with("the journal has evicted the oldest 1: raise its capacity"));
    assert_met(
        &m,
        json!({ "endpoint": "users_me", "count": { "at_least": 2 } }),
    );
    let request = http::Request::delete("/_mock/v1/requests").body(bytes::Bytes::new());
    m.send(request.expect("a request"));
    assert_met(&m, most(0));
}

/// A name that is mistyped would be met by `at_most`.
#[test]
fn expectations_that_mean_nothing_are_refused() {
    let m = Mock::new();
    for body in [
        json!({ "expect": [] }),
        json!({ "expect": [{}] }),
        json!({ "expect": [{ "endpoint": "tokens", "count": { "eq": 0 } }] }),
        json!({ "expect": [{ "grant": "password" }] }),
        json!({ "expect": [{ "rule": "refresh.rotated" }] }),
        json!({ "expect": [{ "status": "200" }] }),
        json!({ "expect": [{ "colour": "red" }] }),
        json!({ "expect": [{ "endpoint": "token", "count": {} }] }),
        json!({ "expect": [{ "endpoint": "token", "count": { "eq": 1, "at_most": 2 } }] }),
        json!({ "expect": [{ "order": [] }] }),
        json!({ "expect": [{ "order": ["token"], "endpoint": "token" }] }),
        json!({ "expect": [{ "gaps_ms": { "endpoint": "token" } }] }),
    ] {
        let reply = m.control("/verify", &body);
        assert_eq!(reply.status, 400, "{body}: {}", reply.text);
    }
}

#[test]
fn the_library_verifies_too() {
    let m = rotated();
    let refreshes = || RequestFilter::from(On::grant("refresh_token"));
    let met = m.mock.verify(&[
        Expect::exactly(1, refreshes().status(200)),
        Expect::at_least(1, refreshes().rule("refresh.rotate")),
        Expect::at_most(0, On::endpoint("device_code")),
        Expect::order([On::endpoint("authorize"), On::token()]),
        Expect::gaps(Duration::from_secs(3), refreshes()),
    ]);
    met.expect("all of them");
    let unmet = m.mock.verify(&[
        Expect::at_least(1, RequestFilter::any()),
        Expect::exactly(1, refreshes()),
        Expect::at_least(1, RequestFilter::any().client_id("nobody").error("x")),
    ]);
    let message = unmet.expect_err("two of them").to_string();
    let lines: Vec<_> = message.lines().collect();
    assert!(
        lines[0].starts_with("expectation 1: expected exactly 1 of endpoint token"),
        "{message}"
    );
    assert!(lines[1].starts_with("expectation 2: "), "{message}");
    assert!(lines[1].contains("client_id 11111111111111111111111111111111.app.coze, not nobody"));
}

#[test]
fn the_next_request_is_waited_for() {
    let m = Mock::new();
    let next = |query: &str| m.get(&format!("/_mock/v1/requests/next?{query}"), None);
    let late = next("timeout_ms=0");
    assert_eq!((late.status, &late.json["request"]), (200, &Value::Null));
    assert_eq!(late.json["why"], "no request arrived in time");
    m.me("pat_mock_alice");
    m.web_tokens();
    assert_eq!(next("timeout_ms=0").json["request"]["seq"], 1);
    assert_eq!(next("after=1&timeout_ms=0").json["request"]["seq"], 2);
    assert_eq!(
        next("endpoint=token&timeout_ms=0").json["request"]["seq"],
        3
    );
    assert_eq!(next("after=3&timeout_ms=0").json["request"], Value::Null);
    for wrong in [
        "after=x",
        "timeout_ms=60001",
        "limit=1",
        "endpoint=tokens",
        "rule=x",
    ] {
        assert_eq!(next(wrong).status, 400, "{wrong}");
    }
    let answer = thread::scope(|scope| {
        let waiting = scope.spawn(|| next("after=3&endpoint=users_me&timeout_ms=20000"));
        // Of another kind: the wait goes on.
        m.device();
        m.me("sat_mock_ci");
        waiting.join().expect("an answer")
    });
    assert_eq!(answer.json["request"]["seq"], 5, "{}", answer.text);
}

#[test]
fn a_request_is_taken_once() {
    let m = Mock::new();
    let take = |calls: RequestFilter| m.mock.take_request_blocking(calls, Duration::ZERO);
    m.me("pat_mock_alice");
    m.web_tokens();
    m.me("sat_mock_ci");
    let seq = |calls| take(calls).map(|entry| entry.seq);
    assert_eq!(seq(On::token().into()), Some(3), "others stay");
    assert_eq!(seq(On::endpoint("users_me").into()), Some(1));
    assert_eq!(seq(RequestFilter::any()), Some(2));
    assert_eq!(seq(RequestFilter::any()), Some(4));
    assert_eq!(seq(RequestFilter::any()), None);
    assert_eq!(m.mock.requests().len(), 4, "the journal keeps them");

    let taken = thread::scope(|scope| {
        let waiting = scope.spawn(|| m.mock.take_request_blocking(On::token(), GUARD));
        m.web_tokens();
        waiting.join().expect("no panic")
    });
    assert_eq!(taken.map(|entry| entry.seq), Some(6));
    // A runtime without a timer will do.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let taken = thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let runtime = runtime.expect("a runtime");
            runtime.block_on(m.mock.take_request(On::endpoint("device_code"), GUARD))
        });
        m.device();
        waiting.join().expect("no panic")
    });
    assert_eq!(taken.map(|entry| entry.endpoint), Some("device_code"));
}

/// Nothing is lost with a call that was given up before its request arrived.
#[test]
fn a_call_that_is_given_up_takes_nothing() {
    let m = Mock::new();
    {
        let mut waiting = Box::pin(m.mock.take_request(RequestFilter::any(), GUARD));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        m.me("pat_mock_alice");
    }
    let taken = m
        .mock
        .take_request_blocking(RequestFilter::any(), Duration::ZERO);
    assert_eq!(taken.map(|entry| entry.seq), Some(1));
}
