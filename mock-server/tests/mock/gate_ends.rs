//! What opens a gate, and the mock that ends while it holds requests.

use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle};

use coze_auth_mock::{At, CozeAuthMock, Fault, Gate, On};
use http::Request;
use serde_json::json;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::gate_control::{ME, ask};
use crate::gates::{Client, me, refresh_web};
use crate::sockets::{address, talk};
use crate::support::*;

#[test]
fn whatever_ends_a_gate_opens_it() {
    let m = Mock::new();
    let gate = || m.mock.gate("me", On::endpoint("users_me"), At::Request);
    let end: [(&str, &dyn Fn(Gate)); 4] = [
        ("open", &Gate::open),
        ("drop", &drop),
        ("reset", &|gate| {
            m.mock.reset();
            std::mem::forget(gate);
        }),
        ("reset over HTTP", &|gate| {
            let reply = m.control("/reset", &json!({}));
            assert_eq!(reply.status, 200);
            std::mem::forget(gate);
        }),
    ];
    for (what, end) in end {
        let gate = gate();
        let mut held = Client::held(&m, me());
        end(gate);
        assert!(held.answer(&m).is_some(), "{what} lets go");
        assert!(Client::send(&m, me()).is_ok(), "{what} removes");
    }
}

#[test]
fn a_gate_opens_the_one_that_had_its_name_and_outlives_it() {
    let m = Mock::new();
    let before = m.mock.gate("one", On::endpoint("users_me"), At::Request);
    let mut held = Client::held(&m, me());
    let after = m.mock.gate("one", On::token(), At::Request);
    assert!(held.answer(&m).is_some(), "although its gate still exists");
    assert!(Client::send(&m, me()).is_ok());
    drop(before);
    drop(Client::held(&m, refresh_web("x")));
    after.open();
    assert!(Client::send(&m, refresh_web("x")).is_ok());
}

/// Looks at the world at the moment when a request may go on.
struct Looks {
    mock: CozeAuthMock,
    entries: Mutex<Option<usize>>,
}

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        *self.entries.lock().expect("no panic") = Some(self.mock.requests().len());
    }
}

#[test]
fn a_reset_releases_requests_into_the_new_world() {
    let mock = builder().0.build().expect("a mock");
    let entries = Mutex::default();
    let looks = Arc::new(Looks { mock, entries });
    let mock = &looks.mock;
    assert_eq!(mock.call_blocking(me()).status(), 200);
    let _gate = mock.gate("me", On::endpoint("users_me"), At::Request);
    let waker = Waker::from(looks.clone());
    let mut held = Box::pin(mock.call(me()));
    let poll = held.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending() && mock.requests().len() == 1);
    mock.reset();
    let seen = *looks.entries.lock().expect("no panic");
    assert_eq!(seen, Some(0), "the journal is empty by then");
}

/// A mock as a task of `runtime`, and a client whose answer it holds.
fn holding(runtime: &Runtime) -> (CozeAuthMock, JoinHandle<String>) {
    let mock = runtime.block_on(builder().0.start()).expect("a mock");
    let to = address(&mock);
    let set = json!({ "on": { "endpoint": "users_me" }, "at": "answer" });
    ask(to, "POST", "/gates/me", &set);
    let held = thread::spawn(move || talk(to, ME.as_bytes()));
    let met = ask(to, "GET", "/gates/me?arrived=1", &json!({}));
    assert_eq!(met["waiting"], 1);
    (mock, held)
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
}

fn assert_answered(held: JoinHandle<String>) {
    let answer = held.join().expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// A task goes on until its last request has ended, so what is held must end.
#[test]
fn a_mock_that_is_dropped_releases_what_it_holds() {
    let runtime = runtime();
    let (mock, held) = holding(&runtime);
    drop(mock);
    assert_answered(held);
}

/// Polled once, so that no time limit of its own ends what it holds.
#[test]
fn a_mock_that_stops_releases_requests_before_it_waits() {
    let runtime = runtime();
    let (mock, held) = holding(&runtime);
    let mut stop = Box::pin(mock.stop());
    let inside = runtime.enter();
    let mut context = Context::from_waker(Waker::noop());
    let polled = stop.as_mut().poll(&mut context);
    assert_answered(held);
    drop(inside);
    if polled.is_pending() {
        runtime.block_on(stop);
    }
}

#[test]
fn a_thread_ends_although_it_holds_a_request() {
    let mock = builder().0.start_blocking().expect("a mock");
    let to = address(&mock);
    let gate = mock.gate("me", On::endpoint("users_me"), At::Request);
    let mut held = TcpStream::connect(to).expect("a connection");
    std::io::Write::write_all(&mut held, ME.as_bytes()).expect("it is taken");
    assert!(gate.arrived_blocking(1, GUARD));
    drop(mock);
    std::net::TcpListener::bind(to).expect("the port is free again");
    gate.open();
}

/// As by a request that was on its way when the mock was dropped.
#[test]
fn a_gate_or_fault_that_comes_too_late_holds_nobody() {
    let mock = builder().0.start_blocking().expect("a mock");
    let (router, world) = (mock.router(), mock.world("w").expect("a name"));
    drop(mock);
    let request = || {
        let me = Request::get("/t/w/v1/users/me").header("Authorization", "Bearer pat_mock_alice");
        me.body(axum::body::Body::empty()).expect("a request")
    };
    let status = || {
        let mut answer = Box::pin(router.clone().oneshot(request()));
        match answer
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(answer) => answer.expect("an answer").status(),
            Poll::Pending => panic!("it is held"),
        }
    };
    let gate = world.gate("me", On::endpoint("users_me"), At::Request);
    assert_eq!(status(), 200);
    gate.open();
    let _hold = world.fault(On::endpoint("users_me"), Fault::hold().at(At::Request));
    assert_eq!(status(), 200);

    // A router of one that never listened lives on as it was.
    let mock = builder().0.build().expect("a mock");
    let (router, world) = (mock.router(), mock.world("w").expect("a name"));
    drop(mock);
    let _gate = world.gate("me", On::endpoint("users_me"), At::Request);
    let mut answer = Box::pin(router.oneshot(request()));
    let polled = answer
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
}
