//! Faults in memory: which requests they meet, how often, and what is left of them.

use coze_auth_mock::{At, Fault, FaultHandle, On};
use serde_json::json;

use crate::gates::Client;
use crate::support::*;

fn status(m: &Mock) -> u16 {
    m.me("pat_mock_alice").status
}

fn me() -> On {
    On::endpoint("users_me")
}

fn counts(fault: &FaultHandle) -> (u64, u64) {
    (fault.matched(), fault.fired())
}

#[test]
fn a_fault_acts_so_many_times_after_so_many_others() {
    let m = Mock::new();
    let fault = m.mock.fault(me(), Fault::status(502).skip(2).times(3));
    let seen: Vec<_> = (0..7).map(|_| status(&m)).collect();
    assert_eq!(seen, [200, 200, 502, 502, 502, 200, 200]);
    assert_eq!(counts(&fault), (7, 3));
}

/// A client that reads no other type is to find what the fault is about, and not that.
#[test]
fn a_body_of_json_comes_as_such() {
    let m = Mock::new();
    for (body, kind) in [
        (r#"{"code":4008}"#, "application/json; charset=utf-8"),
        ("[]", "application/json; charset=utf-8"),
        (r#"{"code":"#, "text/plain; charset=utf-8"),
        ("404", "text/plain; charset=utf-8"),
    ] {
        let _fault = m.mock.fault(me(), Fault::status(429).body(body));
        let reply = m.me("pat_mock_alice");
        assert_eq!((reply.header("content-type"), reply.status), (kind, 429));
    }
}

#[test]
fn a_fault_is_for_its_requests_alone() {
    let m = Mock::new();
    let (_, token) = m.web_tokens();
    let refused = |on: On| {
        let fault = m.mock.fault(on, Fault::status(599));
        let body = refresh(WEB, "x");
        let authorize = authorize_url(&[]);
        let device = json!({ "client_id": DEVICE });
        let all = [
            m.post(TOKEN, Some(SECRET), &body),
            m.post(TOKEN, None, &refresh(PKCE, "x")),
            m.exchange_web("x"),
            m.jwt(|_, _| {}),
            m.get(target(&authorize), None),
            m.post(DEVICE_CODE, None, &device),
            m.me("pat_mock_alice"),
        ];
        let all = all.map(|reply| reply.status == 599);
        let hit = u64::try_from(all.iter().filter(|hit| **hit).count()).expect("a few");
        assert_eq!(counts(&fault), (hit, hit));
        all
    };
    let only = |wanted: &[usize]| [0, 1, 2, 3, 4, 5, 6].map(|n| wanted.contains(&n));
    assert_eq!(refused(On::token()), only(&[0, 1, 2, 3]));
    assert_eq!(refused(On::grant("refresh_token")), only(&[0, 1]));
    let of_web = On::grant("refresh_token").client(WEB);
    assert_eq!(refused(of_web), only(&[0]));
    assert_eq!(refused(On::token().client(WEB)), only(&[0, 2]));
    assert_eq!(refused(On::token().client(JWT)), only(&[3]), "the issuer");
    let authorize = On::endpoint("authorize");
    assert_eq!(refused(authorize.clone().client(WEB)), only(&[4]));
    assert_eq!(refused(authorize.client(PKCE)), only(&[]));
    let device = On::endpoint("device_code");
    assert_eq!(refused(device.client(DEVICE)), only(&[5]));
    assert_eq!(m.refresh_web(&token).status, 200, "and it is gone");
}

#[test]
#[should_panic(expected = "client_id is only for the endpoints authorize, token, device_code")]
fn a_client_that_is_not_named_cannot_be_asked_for() {
    let _ = me().client(WEB);
}

/// Which of 64 requests a fault met.
fn met(m: &Mock, fault: Fault) -> u64 {
    let _fault = m.mock.fault(me(), fault);
    (0..64).fold(0, |met, n| met | u64::from(status(m) == 502) << n)
}

#[test]
fn chance_is_the_seeds() {
    let half = || Fault::status(502).probability(0.5);
    let m = Mock::new();
    let first = met(&m, half());
    assert!((16..=48).contains(&first.count_ones()), "{first:b}");
    let second = met(&m, half());
    assert_ne!(second, first, "another fault has other chances");
    m.mock.reset();
    assert_eq!((met(&m, half()), met(&m, half())), (first, second));
    assert_eq!(met(&Mock::new(), half()), first, "the same seed");
    assert_ne!(met(&Mock::with(|builder| builder.seed(2)), half()), first);
    assert_eq!(met(&m, Fault::status(502).probability(0.0)), 0);
    assert_eq!(met(&m, Fault::status(502).probability(1.0)), u64::MAX);
    // Times and skip count those that arrived, and those that it met.
    m.mock.reset();
    let few = met(&m, half().skip(8).times(3));
    assert_eq!(few.count_ones(), 3);
    let later = first >> 8 << 8;
    assert_eq!(few & later, few, "the chances are as without");
    assert_eq!(few.trailing_zeros(), later.trailing_zeros());
}

#[test]
#[should_panic(expected = "probability is 0 to 1")]
fn a_probability_is_one() {
    let _ = Fault::reset().probability(f64::NAN);
}

#[test]
fn only_the_first_fault_that_acts_applies() {
    let m = Mock::new();
    let answer = m.mock.fault(me(), Fault::status(504).at(At::Answer));
    let first = m.mock.fault(me(), Fault::status(502).times(1));
    let second = m.mock.fault(me(), Fault::status(503).times(1));
    assert_eq!([(); 3].map(|()| status(&m)), [502, 503, 504]);
    assert_eq!((counts(&first), counts(&second)), ((3, 1), (2, 1)));
    assert_eq!(counts(&answer), (1, 1));
}

#[test]
fn a_fault_goes_with_its_handle_and_with_a_reset() {
    let m = Mock::new();
    let fault = m.mock.fault(me(), Fault::status(502));
    let other = m.mock.fault(me(), Fault::status(503));
    assert_eq!(status(&m), 502);
    fault.remove();
    assert_eq!(status(&m), 503);
    m.mock.reset();
    assert_eq!(status(&m), 200);
    let next = m.mock.fault(me(), Fault::status(504));
    drop(other);
    assert_eq!(status(&m), 504, "a handle removes its own fault alone");
    drop(next);
    assert_eq!(status(&m), 200);
}

#[test]
fn a_fault_is_of_one_world() {
    let m = Mock::new();
    let one = m.mock.world("one").expect("a name");
    let _fault = one.fault(me(), Fault::status(502));
    let other = m.get("/t/two/v1/users/me", Some("pat_mock_alice"));
    assert_eq!((status(&m), other.status), (200, 200));
    let own = m.get("/t/one/v1/users/me", Some("pat_mock_alice"));
    assert_eq!(own.status, 502);
}

/// There is nothing to reset: an imitation would show a client what no network does.
#[test]
fn without_a_socket_a_fault_of_the_socket_names_itself() {
    let m = Mock::new();
    for (kind, fault) in [
        ("reset", Fault::reset()),
        ("close_before_body", Fault::close_before_body()),
        ("truncate", Fault::truncate()),
        ("garbage", Fault::garbage()),
        ("slow_drip", Fault::slow_drip(std::time::Duration::ZERO)),
    ] {
        for at in [At::Request, At::Answer] {
            let (_, token) = m.web_tokens();
            let fault = m.mock.fault(On::token(), fault.clone().at(at));
            let reply = m.refresh_web(&token);
            let error = reply.json["error"].as_str().unwrap_or_default();
            assert_eq!((reply.status, &reply.json["fault"]), (501, &json!(kind)));
            assert!(error.contains("a socket of the mock:"), "{error}");
            assert_eq!(reply.header("x-mock-fault"), kind);
            assert!(!reply.header("x-tt-logid").is_empty());
            let entry = m.mock.requests().pop().expect("an entry");
            assert_eq!((entry.outcome.status, entry.fault), (501, Some(kind)));
            drop(fault);
            let acted = m.refresh_web(&token).rule() == Some("refresh.rotate");
            assert_eq!(acted, at == At::Answer, "{kind}");
        }
    }
}

/// Also if that server has sockets, and tells the handlers of them.
#[test]
fn in_another_server_a_fault_of_the_socket_names_itself() {
    let m = Mock::new();
    let _fault = m.mock.fault(me(), Fault::reset());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let app = axum::Router::new().nest("/mock", m.mock.router());
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("a port");
    let to = listener.local_addr().expect("an address");
    let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
    runtime.spawn(async move { axum::serve(listener, app).await });
    let request = b"GET /mock/v1/users/me HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let seen = crate::raw::send(to, request, true);
    assert_eq!(seen.status(), 501);
    assert_eq!(seen.header("x-mock-fault"), ["reset"]);
}

/// The thread that keeps the time needs no runtime.
#[test]
fn a_delay_acts_in_memory_too() {
    let m = Mock::new();
    let by = std::time::Duration::from_millis(20);
    let _fault = m.mock.fault(me(), Fault::delay(by));
    let since = std::time::Instant::now();
    assert_eq!(status(&m), 200);
    assert!(since.elapsed() >= by);
}

#[test]
fn a_gate_holds_before_a_fault_acts() {
    let m = Mock::new();
    for at in [At::Request, At::Answer] {
        let gate = m.mock.gate("me", me(), at);
        let fault = m.mock.fault(me(), Fault::status(502).at(at));
        let before = m.mock.requests().len();
        let mut held = Client::held(&m, crate::gates::me());
        let fired = u64::from(at == At::Answer);
        assert_eq!(fault.fired(), fired, "decided when the mock has acted");
        let written = m.mock.requests().len() - before;
        assert_eq!(written, usize::from(at == At::Answer));
        gate.open();
        assert_eq!(held.answer(&m).expect("an answer").status, 502);
    }
}

/// The world on which it acts in the end is another one.
#[test]
fn a_request_held_through_a_reset_is_recorded_in_the_new_world() {
    let m = Mock::new();
    let _fault = m.mock.fault(me(), Fault::hold().at(At::Request));
    assert_eq!(m.jwt(|_, _| {}).status, 200);
    let mut held = Client::held(&m, crate::gates::me());
    assert_eq!(m.mock.requests()[1].outcome.status, 0);
    m.mock.reset();
    assert_eq!(held.answer(&m).expect("an answer").status, 200);
    let entries = m.mock.requests();
    let [entry] = &entries[..] else {
        panic!("one entry: {entries:?}")
    };
    assert_eq!((entry.seq, entry.outcome.status), (1, 200));
}

#[test]
fn a_held_request_keeps_its_place_in_the_journal() {
    let m = Mock::new();
    let fault = m.mock.fault(me(), Fault::hold().at(At::Request).times(1));
    let mut held = Client::held(&m, crate::gates::me());
    assert_eq!(status(&m), 200);
    fault.remove();
    assert!(held.answer(&m).is_some());
    let entries = m.mock.requests();
    let actual: Vec<_> = entries
        .iter()
        .map(|entry| (entry.seq, entry.fault))
        .collect();
    assert_eq!(actual, [(1, Some("hold")), (2, None)]);
    assert!(entries.iter().all(|entry| entry.outcome.status == 200));
}

/// What is written of a request that no rule has seen is redacted as any other.
#[test]
fn a_request_that_met_a_fault_is_told_and_redacted() {
    let m = Mock::new();
    let (access, token) = m.web_tokens();
    let _all = ["token", "users_me", "authorize"]
        .map(|endpoint| m.mock.fault(On::endpoint(endpoint), Fault::status(502)));
    m.refresh_web(&token);
    m.me(&access);
    m.jwt(|_, _| {});
    m.get(
        target(&authorize_url(&[("state", "state-of-the-user")])),
        None,
    );
    let entries = m.mock.requests();
    let noted = |n: usize| {
        let entry = &entries[n];
        let client = entry.client.as_deref();
        (entry.grant, client, entry.presented.clone())
    };
    let print = |secret| Some(coze_auth_mock::fingerprint(secret));
    assert_eq!(noted(2), (Some("refresh_token"), Some(WEB), print(&token)));
    assert_eq!(noted(3), (None, None, print(&access)));
    assert_eq!(noted(4), (Some("jwt_bearer"), Some(JWT), None));
    assert_eq!(noted(5), (None, Some(WEB), None));
    let journal = serde_json::to_string(&entries).expect("JSON");
    for secret in [&*token, &access, SECRET, "state-of-the-user"] {
        assert!(!journal.contains(secret), "{secret}");
    }
    assert!(journal.contains(r#""fault":"status""#));
}

#[test]
#[should_panic(expected = "the fault reset takes nothing")]
fn a_reset_has_no_body() {
    let _ = Fault::reset().body("x");
}

#[test]
#[should_panic(expected = "content-length, which frames the answer")]
fn the_length_is_the_servers() {
    let _ = Fault::dup_header().header("Content-Length", "7");
}
