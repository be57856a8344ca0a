//! Gates: what they hold, whom they let go on, and what opens them.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coze_auth_mock::{At, Gate, On};
use http::{Request, Response};

use crate::support::*;

/// A request in memory that this test moves on by hand, so that nothing depends on threads.
pub(crate) struct Client<'a>(Pin<Box<dyn Future<Output = Response<Bytes>> + 'a>>);

impl<'a> Client<'a> {
    /// Sends `request`, which is then held or answered.
    pub(crate) fn send(m: &'a Mock, request: Request<Bytes>) -> Result<Reply, Self> {
        let mut client = Self(Box::pin(m.mock.call(request)));
        client.answer(m).ok_or(client)
    }

    pub(crate) fn held(m: &'a Mock, request: Request<Bytes>) -> Self {
        match Self::send(m, request) {
            Ok(reply) => panic!("answered and not held: {}", reply.text),
            Err(client) => client,
        }
    }

    pub(crate) fn answer(&mut self, m: &Mock) -> Option<Reply> {
        let mut context = Context::from_waker(Waker::noop());
        match self.0.as_mut().poll(&mut context) {
            Poll::Ready(response) => Some(m.reply(response)),
            Poll::Pending => None,
        }
    }
}

pub(crate) fn me() -> Request<Bytes> {
    let request = Request::get("/v1/users/me").header("Authorization", "Bearer pat_mock_alice");
    request.body(Bytes::new()).expect("a request")
}

pub(crate) fn refresh_web(token: &str) -> Request<Bytes> {
    post(TOKEN, Some(SECRET), &refresh(WEB, token))
}

/// How many are held, and how many have arrived in all.
fn assert_counts(gate: &Gate, waiting: usize, arrived: usize) {
    assert_eq!(gate.waiting(), waiting);
    let has_arrived = |n| gate.arrived_blocking(n, Duration::ZERO);
    assert!(
        has_arrived(arrived) && !has_arrived(arrived + 1),
        "not {arrived}"
    );
}

#[test]
fn a_request_is_held_before_the_mock_looks_at_it() {
    let m = Mock::new();
    let (_, token) = m.web_tokens();
    let before = m.mock.requests().len();
    let gate = m
        .mock
        .gate("refreshes", On::grant("refresh_token"), At::Request);
    let mut held = Client::held(&m, refresh_web(&token));
    let gone = Client::held(&m, refresh_web(&token));
    assert_counts(&gate, 2, 2);
    assert_eq!(m.mock.requests().len(), before);
    assert!(Client::send(&m, me()).is_ok(), "another endpoint");
    let other = post(TOKEN, Some(SECRET), &exchange(WEB, "x"));
    assert!(Client::send(&m, other).is_ok(), "another grant");

    drop(gone);
    assert_counts(&gate, 1, 2);
    m.pass(30 * 24 * 3600);
    gate.release(1);
    let reply = held.answer(&m).expect("an answer");
    assert_eq!(reply.rule(), Some("refresh.expiry"), "by the clock of now");
    assert_eq!(m.mock.requests().len(), before + 3, "none of who hung up");
}

#[test]
fn a_client_that_disconnects_at_a_gate_spends_nothing() {
    let m = Mock::new();
    let (_, token) = m.web_tokens();
    let gate = m.mock.gate("refreshes", On::token(), At::Request);
    drop(Client::held(&m, refresh_web(&token)));
    gate.open();
    let reply = Client::send(&m, refresh_web(&token));
    assert_user_tokens(&reply.ok().expect("an answer"));
}

#[test]
fn an_answer_is_held_after_the_mock_has_acted() {
    let m = Mock::new();
    let (_, token) = m.web_tokens();
    let gate = m
        .mock
        .gate("answers", On::grant("refresh_token"), At::Answer);
    let mut first = Client::held(&m, refresh_web(&token));
    let newest = m.mock.requests().pop().expect("an entry");
    assert_eq!(
        (newest.grant, newest.outcome.status),
        (Some("refresh_token"), 200)
    );
    let mut second = Client::held(&m, refresh_web(&token));
    let newest = m.mock.requests().pop().expect("an entry");
    assert_eq!(newest.outcome.rule, Some("refresh.rotate"));
    assert_counts(&gate, 2, 2);

    gate.open();
    assert_user_tokens(&first.answer(&m).expect("an answer"));
    let second = second.answer(&m).expect("an answer");
    assert_eq!(second.rule(), Some("refresh.rotate"));
}

#[test]
fn a_release_passes_that_many_the_oldest_first() {
    let m = Mock::new();
    let gate = m.mock.gate("me", On::endpoint("users_me"), At::Request);
    let mut clients: Vec<_> = (0..8).map(|_| Client::held(&m, me())).collect();
    assert_counts(&gate, 8, 8);
    let mut go_on = |n| {
        gate.release(n);
        let done = clients.iter_mut().map(|client| client.answer(&m).is_some());
        let done: Vec<_> = done.collect();
        let mut nth = done.iter();
        clients.retain(|_| nth.next() == Some(&false));
        done
    };
    assert_eq!(
        go_on(1),
        [true, false, false, false, false, false, false, false]
    );
    assert_counts(&gate, 7, 8);
    assert_eq!(go_on(2), [true, true, false, false, false, false, false]);

    clients.remove(0);
    assert_counts(&gate, 4, 8);
    gate.release(5);
    let through = |client: &mut Client<'_>| client.answer(&m).is_some();
    assert!(clients.iter_mut().all(through), "who hung up took no pass");
    assert!(
        Client::send(&m, me()).is_ok(),
        "the fifth, which arrived late"
    );
    drop(Client::held(&m, me()));
    gate.release(usize::MAX);
    gate.release(usize::MAX);
    assert!(Client::send(&m, me()).is_ok());
}

/// A request goes through all of its gates, first those at the request.
#[test]
fn gates_stand_one_behind_the_other() {
    let m = Mock::new();
    let answer = m.mock.gate("answer", On::endpoint("users_me"), At::Answer);
    let first = m.mock.gate("first", On::endpoint("users_me"), At::Request);
    let second = m.mock.gate("second", On::endpoint("users_me"), At::Request);
    let mut client = Client::held(&m, me());
    assert_counts(&second, 0, 0);
    first.open();
    assert!(client.answer(&m).is_none());
    assert_counts(&second, 1, 1);
    assert_counts(&answer, 0, 0);
    second.open();
    assert!(client.answer(&m).is_none());
    assert_counts(&answer, 1, 1);
    assert_eq!(m.mock.requests().len(), 1);
    answer.open();
    assert!(client.answer(&m).is_some());
}

#[test]
fn arrivals_are_waited_for_without_a_timer() {
    let m = Mock::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let gate = m.mock.gate("me", On::endpoint("users_me"), At::Request);
        assert!(!gate.arrived(1, Duration::from_millis(1)).await);
        let mut two = Box::pin(gate.arrived(2, GUARD));
        let mut context = Context::from_waker(Waker::noop());
        assert!(two.as_mut().poll(&mut context).is_pending());
        let held = [Client::held(&m, me()), Client::held(&m, me())];
        assert!(two.await);
        drop(held);
        assert!(gate.arrived(2, Duration::ZERO).await, "although they left");

        let mut three = Box::pin(gate.arrived(3, GUARD));
        assert!(three.as_mut().poll(&mut context).is_pending());
        let since = Instant::now();
        m.mock.reset();
        assert!(!three.await, "none will come to a gate that is gone");
        assert!(since.elapsed() < GUARD, "and nobody waits for them");
    });
}

#[test]
fn a_gate_holds_all_of_its_endpoint_and_nothing_else() {
    let m = Mock::new();
    let get = |path: &str| Request::get(path).body(Bytes::new()).expect("a request");
    let body = serde_json::json!({});
    let requests = [
        ("authorize", get(target(&authorize_url(&[])))),
        ("token", post(TOKEN, None, &exchange(WEB, "x"))),
        ("token", refresh_web("x")),
        ("token", post(TOKEN, None, &body)),
        ("device_code", post(DEVICE_CODE, None, &body)),
        ("users_me", me()),
        ("unknown", get("/elsewhere")),
    ];
    for (name, on) in [
        ("authorize", On::endpoint("authorize")),
        ("token", On::endpoint("token")),
        ("token", On::token()),
        ("device_code", On::endpoint("device_code")),
        ("users_me", On::endpoint("users_me")),
        ("unknown", On::endpoint("unknown")),
    ] {
        let _gate = m.mock.gate("one", on.clone(), At::Request);
        for (endpoint, request) in &requests {
            let held = Client::send(&m, request.clone()).is_err();
            assert_eq!(held, *endpoint == name, "{endpoint} at {on:?}");
        }
    }
}

#[test]
fn every_grant_has_its_name() {
    let m = Mock::new();
    let (device_code, _) = m.device();
    let assertion = assertion(NOW, |_, _| {});
    let jwt = serde_json::json!({ "grant_type": JWT_GRANT });
    let poll = serde_json::json!({ "grant_type": DEVICE_GRANT, "device_code": device_code });
    for (name, request) in [
        ("authorization_code", post(TOKEN, None, &exchange(WEB, "x"))),
        ("refresh_token", post(TOKEN, None, &refresh(WEB, "x"))),
        ("device_code", post(TOKEN, None, &poll)),
        ("jwt_bearer", post(TOKEN, Some(&assertion), &jwt)),
    ] {
        let gate = m.mock.gate("one", On::grant(name), At::Answer);
        drop(Client::held(&m, request));
        let newest = m.mock.requests().pop().expect("an entry");
        assert_eq!(newest.grant, Some(name));
        assert!(Client::send(&m, post(TOKEN, None, &serde_json::json!({}))).is_ok());
        gate.open();
    }
}

#[test]
#[should_panic(
    expected = "grant is one of authorization_code, refresh_token, device_code, jwt_bearer"
)]
fn an_unknown_grant_is_named() {
    let _ = On::grant("refresh");
}

#[test]
#[should_panic(
    expected = "endpoint is one of authorize, token, device_code, workload_token, integration, project_env, users_me, workspaces, api, unknown"
)]
fn an_unknown_endpoint_is_named() {
    let _ = On::endpoint("me");
}
