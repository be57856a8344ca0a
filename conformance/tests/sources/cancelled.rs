//! Callers who go away in the middle.

use coze_auth_core::Flow as _;
use coze_auth_core::device::DevicePoll;
use coze_auth_mock::At;
use coze_auth_tokens::Error;
use coze_auth_ureq::Signal;

use crate::support::{LIFE, Login, PATIENCE, is_spent};
use crate::transports::{Awaited, Hyper, OnTokio, Reqwest};

/// The caller is dropped while Coze holds the answer to the refresh back: the rotated token is kept and stored,
/// and the next caller makes no request.
#[tokio::test]
async fn a_task_that_is_dropped_in_mid_refresh() {
    dropped_in_mid_refresh::<Reqwest>().await;
    dropped_in_mid_refresh::<Hyper>().await;
}

async fn dropped_in_mid_refresh<T: Awaited>() {
    for runtime in ["current thread", "multi thread"] {
        // Made and driven on threads of their own, since the facade brings a runtime.
        let login = tokio::task::spawn_blocking(Login::<OnTokio<T>>::new);
        let login = login.await.expect("a login");
        let before = login.stored().refresh_token.expect("a refresh token");
        login.fixture.clock.advance(LIFE);
        let gate = login.hold(At::Answer);
        let source = login.tokens.source.clone();
        tokio::select! {
            _ = source.token() => panic!("the answer is held"),
            arrived = gate.arrived(1, PATIENCE) => assert!(arrived),
        }
        // The caller is gone, and the server has rotated.
        assert!(is_spent(&login.fixture, before.expose()), "{runtime}");
        gate.open();
        let token = source.token().await.expect("a token");
        assert_eq!(
            login.refreshes(),
            (1, 1),
            "the next caller makes no request"
        );
        let stored = login.stored();
        assert!(stored.access_token.matches(&token));
        let after = stored.refresh_token.expect("a refresh token");
        assert!(!after.matches(&before), "the rotated token is kept");
        source.close().await.expect("nothing is left");
        tokio::task::spawn_blocking(move || drop(login))
            .await
            .expect("dropped");
    }
}

/// Blocking code calls a device poll off with a signal: in a pause, which ends at once.
#[test]
fn a_device_poll_is_called_off() {
    let fixture = coze_auth_conformance::Fixture::<crate::support::RawSocket>::new();
    let started = fixture
        .run(fixture.device().start())
        .expect("a device code");
    let client = coze_auth_ureq::Client::new().expect("a client");
    let client = client.with_time(crate::clocks::BlockingClock(fixture.clock.clone()));
    let cancel = Signal::new();
    let mut poll: DevicePoll = fixture.device().poll(&started);
    let polling = {
        let cancel = cancel.clone();
        std::thread::spawn(move || {
            let result = client.run_until(&mut poll, &cancel);
            (result, poll)
        })
    };
    // The clock stands still, so the poll waits for its interval until it is called off.
    cancel.set();
    let (result, mut poll) = polling.join().expect("it ends");
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    assert_eq!(fixture.saw(), ["device_code 200"], "no poll was sent");
    // What was called off can be taken up again.
    assert!(matches!(
        poll.step(fixture.clock.now()),
        coze_auth_core::Step::Wait(_)
    ));
}

/// A token that has been granted is given, even if it is called off while it is on its way.
#[test]
fn a_grant_that_is_on_its_way_is_not_called_off() {
    let fixture = coze_auth_conformance::Fixture::<crate::support::RawSocket>::new();
    let started = fixture
        .run(fixture.device().start())
        .expect("a device code");
    let approve = coze_auth_mock::DeviceAction::Approve;
    fixture
        .mock
        .decide_device(&started.user_code, approve)
        .expect("it waits");
    fixture.clock.advance(started.interval);
    let client = coze_auth_ureq::Client::new().expect("a client");
    let client = client.with_time(crate::clocks::BlockingClock(fixture.clock.clone()));
    let cancel = Signal::new();
    let gate = fixture
        .mock
        .gate("poll", coze_auth_mock::On::grant("device_code"), At::Answer);
    let poll = fixture.device().poll(&started);
    let polling = {
        let cancel = cancel.clone();
        std::thread::spawn(move || client.run_until(poll, &cancel))
    };
    assert!(gate.arrived_blocking(1, PATIENCE));
    cancel.set();
    gate.open();
    let grant = polling.join().expect("it ends").expect("the grant");
    fixture.prove(&grant);
}
