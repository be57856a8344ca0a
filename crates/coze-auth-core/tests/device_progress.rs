//! What a device poll reports to the person who waits.

mod common;

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use common::*;
use coze_auth_core::device::{DevicePoll, LastPoll, Progress};
use coze_auth_core::error::TransportFailure;
use coze_auth_core::{Flow, Now, Response, SteadyTime, Step, UnixTime};

const PENDING: &str = r#"{"error":"authorization_pending"}"#;
const SLOW_DOWN: &str = r#"{"error":"slow_down"}"#;

fn reporting(expires_in: u64, interval: u64) -> (DevicePoll, Receiver<Progress>) {
    let (reports, reported) = channel();
    let poll = device()
        .poll(&started(expires_in, Some(interval)))
        .on_progress(move |progress| reports.send(progress.clone()).unwrap());
    (poll, reported)
}

/// What was reported since the last call: seconds left, seconds to the next poll, and what the last one brought.
fn reports(reported: &Receiver<Progress>) -> Vec<(u64, u64, String)> {
    let brief = |progress: Progress| {
        assert_eq!(progress.user_code, "VIK-AZC-ZTV");
        let last = match progress.last_poll {
            LastPoll::Pending => "pending".to_owned(),
            LastPoll::SlowDown => "slow down".to_owned(),
            LastPoll::Trouble(error) => error.to_string(),
            other => format!("{other:?}"),
        };
        (
            progress.time_left.as_secs(),
            progress.next_poll.as_secs(),
            last,
        )
    };
    reported.try_iter().map(brief).collect()
}

fn report(left: u64, next: u64, last: &str) -> (u64, u64, String) {
    (left, next, last.to_owned())
}

#[test]
fn every_pause_and_every_poll_is_reported_with_what_the_last_one_brought() {
    let (mut poll, reported) = reporting(300, 5);
    let replies: [Result<Response, TransportFailure>; 6] = [
        Ok(reply(428, PENDING)),
        Ok(reply(400, SLOW_DOWN)),
        Err(TransportFailure::NotSent),
        Ok(reply_with(503, &[("retry-after", "40")], "")),
        Ok(reply(428, PENDING)),
        Ok(reply(200, token_json())),
    ];
    let (mut secs, mut replies) = (0, replies.into_iter());
    let grant = loop {
        match poll.step(at(secs)) {
            Step::Wait(pause) => secs += pause.as_secs(),
            Step::Send(_) => poll.receive(replies.next().unwrap(), at(secs)),
            Step::Done(result) => break result,
        }
    };
    assert!(grant.is_ok());
    let down = "https://api.example:8080: could not be reached, and nothing was sent: check the address, the network and TLS";
    let busy = "the answer of https://api.example:8080 cannot be read (HTTP 503, 0 bytes): \
                it is empty; a proxy or gateway may have answered";
    assert_eq!(
        reports(&reported),
        [
            report(300, 5, "pending"),
            report(295, 0, "pending"),
            report(295, 5, "pending"),
            report(290, 0, "pending"),
            report(290, 10, "slow down"),
            report(280, 0, "slow down"),
            report(280, 20, down),
            report(260, 0, down),
            report(260, 40, busy),
            report(220, 0, busy),
            report(220, 10, "pending"),
            report(210, 0, "pending"),
        ]
    );
    assert!(result_of(&mut poll, at(secs)).is_err());
    assert_eq!(reports(&reported), [], "reported after Done");
}

#[test]
fn a_repeated_step_reports_nothing_new() {
    let (mut poll, reported) = reporting(300, 5);
    for now in [1000, 1000, 4000, 4999] {
        assert!(matches!(poll.step(at_ms(now)), Step::Wait(_)));
    }
    assert_eq!(
        reports(&reported),
        [report(299, 4, "pending")],
        "from `now`, and once"
    );
    poll.receive(Ok(reply(400, SLOW_DOWN)), at_ms(4999));
    assert!(matches!(poll.step(at_ms(4999)), Step::Wait(_)));
    assert_eq!(reports(&reported), [], "an answer that nobody asked for");
    for now in [5, 6] {
        request_of(&mut poll, at(now));
    }
    assert_eq!(reports(&reported), [report(295, 0, "pending")]);
}

/// A driver that comes late has no pause to tell of.
#[test]
fn a_pause_that_is_over_is_not_reported() {
    let (mut poll, reported) = reporting(300, 5);
    request_of(&mut poll, at(9));
    assert_eq!(reports(&reported), [report(291, 0, "pending")]);
}

#[test]
fn the_end_is_not_reported() {
    let (mut poll, reported) = reporting(60, 5);
    assert!(matches!(poll.step(at(0)), Step::Wait(_)));
    assert_eq!(reports(&reported).len(), 1);
    assert!(
        result_of(&mut poll, at(60)).is_err(),
        "slept past the deadline"
    );
    assert_eq!(reports(&reported), []);
    for (status, body) in [(400, r#"{"error":"access_denied"}"#), (503, "")] {
        let (mut poll, reported) = reporting(6, 5);
        request_of(&mut poll, at(5));
        poll.receive(Ok(reply(status, body)), at(5));
        assert!(result_of(&mut poll, at(5)).is_err());
        assert_eq!(reports(&reported).len(), 1, "{body}");
    }
}

#[test]
fn time_left_does_not_care_for_the_wall_clock() {
    for unix in [0, UNIX - 3600, UNIX + 86_400] {
        let (mut poll, reported) = reporting(300, 5);
        let now = Now {
            unix: UnixTime::from_secs(unix),
            steady: SteadyTime::from_duration(Duration::from_secs(2)),
        };
        assert!(matches!(poll.step(now), Step::Wait(_)));
        assert_eq!(reports(&reported), [report(298, 3, "pending")]);
    }
}

#[test]
fn the_last_report_asked_for_is_the_one_that_is_made() {
    let (poll, first) = reporting(300, 5);
    let (reports_2, second) = channel();
    let mut poll = poll.on_progress(move |progress| reports_2.send(progress.clone()).unwrap());
    assert!(matches!(poll.step(at(0)), Step::Wait(_)));
    assert_eq!((reports(&first).len(), reports(&second).len()), (0, 1));
}

#[test]
fn a_reporting_poll_moves_between_threads_and_prints_no_secret() {
    fn check<T: Send + Sync>(_: &T) {}
    let (mut poll, reported) = reporting(300, 5);
    check(&poll);
    request_of(&mut poll, at(5));
    let echo = r#"{"error":"internal_error","error_message":"no device-1 here"}"#;
    poll.receive(Ok(reply(500, echo)), at(5));
    assert!(matches!(poll.step(at(5)), Step::Wait(_)));
    let told: Vec<Progress> = reported.try_iter().collect();
    assert!(matches!(told[1].last_poll, LastPoll::Trouble(_)));
    let shown = format!("{poll:?} {told:?} {:?}", device().poll(&started(300, None)));
    assert!(!shown.contains("device-1"), "{shown}");
    assert!(
        shown.contains("report: set") && shown.contains("report: none"),
        "{shown}"
    );
}
