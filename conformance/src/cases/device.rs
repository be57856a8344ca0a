//! Device apps: starting, waiting, ending (RFC 8628, protocol §7).

use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::device::{DeviceApp, DeviceAuthorization};
use coze_auth_core::endpoint::WorkspaceId;
use coze_auth_core::{Error, Flow, Now, Response, Step, TokenGrant, TransportFailure};
use coze_auth_mock::{CozeAuthMock, DeviceAction};

use crate::{Stage, Subject};

fn start<S: Subject>(stage: &Stage<S>) -> DeviceAuthorization {
    stage.run(stage.device().start()).expect("a device code")
}

/// Lets the person act, or the clock leap, just before the given poll is sent.
struct At<F, A> {
    flow: F,
    poll: usize,
    sent: usize,
    act: Option<A>,
}

impl<F: Flow, A: FnOnce()> Flow for At<F, A> {
    type Output = F::Output;

    fn step(&mut self, now: Now) -> Step<F::Output> {
        let step = self.flow.step(now);
        if matches!(step, Step::Send(_)) {
            self.sent += 1;
            if let Some(act) = self.act.take_if(|_| self.sent == self.poll) {
                act();
            }
        }
        step
    }

    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now) {
        self.flow.receive(reply, now);
    }
}

fn at_poll<F: Flow, A: FnOnce()>(poll: usize, flow: F, act: A) -> At<F, A> {
    At {
        flow,
        poll,
        sent: 0,
        act: Some(act),
    }
}

fn decide(
    mock: &Arc<CozeAuthMock>,
    started: &DeviceAuthorization,
    action: DeviceAction,
) -> impl FnOnce() + Send + use<> {
    let (mock, code) = (Arc::clone(mock), started.user_code.clone());
    move || mock.device(&code, action).expect("a pending device")
}

/// The person approves while the program polls.
pub fn approved_after_a_while<S: Subject>(stage: &Stage<S>) {
    let app = stage.device();
    let started = start(stage);
    assert!(
        started
            .verification_uri_complete
            .contains(&started.user_code)
    );
    let act = decide(&stage.mock, &started, DeviceAction::Approve);
    let grant = stage
        .run(at_poll(3, app.poll(&started), act))
        .expect("a grant");
    stage.prove(&grant);
    let pending = "token device_code 428 authorization_pending device.pending";
    assert_eq!(
        stage.saw(),
        [
            "device_code 200",
            pending,
            pending,
            "token device_code 200",
            "users_me 200"
        ]
    );
    assert_eq!(stage.clock.sleeps(), [Duration::from_secs(5); 3]);
}

/// A device authorization limited to one workspace.
pub fn in_a_workspace<S: Subject>(stage: &Stage<S>) {
    let app = stage.device();
    let started = stage
        .run(app.start_in(&WorkspaceId::new("ws_a").expect("an id")))
        .expect("a device code");
    assert_eq!(
        stage.last().path,
        "/api/permission/oauth2/workspace_id/ws_a/device/code"
    );
    decide(&stage.mock, &started, DeviceAction::Approve)();
    stage.prove(&stage.run(app.poll(&started)).expect("a grant"));
}

/// The person refuses: the program stops at once and says so.
pub fn denied<S: Subject>(stage: &Stage<S>) {
    let started = start(stage);
    let act = decide(&stage.mock, &started, DeviceAction::Deny);
    let result = stage.run(at_poll(2, stage.device().poll(&started), act));
    let log_id = Some(stage.last().outcome.logid);
    assert_eq!(result.expect_err("refused"), Error::DeviceDenied { log_id });
    assert_eq!(stage.last().outcome.rule, Some("device.denied"));
    assert_eq!(stage.clock.sleeps().len(), 2);
}

/// The server says that the code expired.
pub fn expired_at_the_server<S: Subject>(stage: &Stage<S>) {
    let started = start(stage);
    let act = decide(&stage.mock, &started, DeviceAction::Expire);
    let result = stage.run(at_poll(2, stage.device().poll(&started), act));
    let log_id = Some(stage.last().outcome.logid);
    assert_eq!(
        result.expect_err("expired"),
        Error::DeviceExpired { log_id }
    );
    assert_eq!(stage.last().outcome.rule, Some("device.expired"));
}

/// Nobody approves: polling ends by itself when the code's time is over, and no poll comes after it.
pub fn expired_here<S: Subject>(stage: &Stage<S>) {
    let started = start(stage);
    let result: Result<TokenGrant, Error> = stage.run(stage.device().poll(&started));
    assert!(
        matches!(result, Err(Error::DeviceExpired { .. })),
        "{result:?}"
    );
    let waited: Duration = stage.clock.sleeps().iter().sum();
    assert!(
        waited < started.expires_in,
        "slept {waited:?} for a code of {:?}",
        started.expires_in
    );
    assert!(
        waited + started.interval >= started.expires_in,
        "gave up after {waited:?}"
    );
    assert_eq!(stage.last().outcome.rule, Some("device.pending"));
}

/// No poll comes before the server's interval is over: the server never says `slow_down`.
pub fn waits_at_least_the_interval<S: Subject>(stage: &Stage<S>) {
    let started = start(stage);
    let issued = stage.last().at_ms;
    let act = decide(&stage.mock, &started, DeviceAction::Approve);
    stage
        .run(at_poll(5, stage.device().poll(&started), act))
        .expect("a grant");
    let mut moments = vec![issued];
    moments.extend(
        stage
            .mock
            .requests()
            .iter()
            .filter(|seen| seen.endpoint == "token")
            .map(|seen| seen.at_ms),
    );
    assert_eq!(moments.len(), 6);
    for pair in moments.windows(2) {
        assert!(pair[1] - pair[0] >= 5000, "polls at {moments:?}");
    }
    assert!(!stage.saw().iter().any(|line| line.contains("slow_down")));
}

/// The wall clock is set back an hour while the program polls: it polls on at its own pace.
pub fn survives_a_clock_that_leaps<S: Subject>(stage: &Stage<S>) {
    let started = start(stage);
    let clock = stage.clock.handle();
    let poll = at_poll(2, stage.device().poll(&started), move || {
        clock.set(clock.unix() - Duration::from_secs(3600))
    });
    let grant = stage
        .run(at_poll(
            4,
            poll,
            decide(&stage.mock, &started, DeviceAction::Approve),
        ))
        .expect("a grant");
    assert_eq!(stage.clock.sleeps(), [Duration::from_secs(5); 4]);
    stage.prove(&grant);
}

/// A client id that Coze does not know.
pub fn unknown_app<S: Subject>(stage: &Stage<S>) {
    let app = DeviceApp::new(stage.endpoints(), "nobody.app.coze").expect("an app");
    stage.refused(stage.run(app.start()), "invalid_client", "client.known");
}
