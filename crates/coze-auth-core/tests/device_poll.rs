//! The polling machine, on a clock that the test moves (RFC 8628 §3.5, protocol §7).

mod common;

use std::time::Duration;

use common::*;
use coze_auth_core::device::DevicePoll;
use coze_auth_core::error::{ErrorCode, Oddity, TransportFailure};
use coze_auth_core::secret::DeviceCode;
use coze_auth_core::{Error, Flow, Now, Response, SteadyTime, Step, TokenGrant, UnixTime};
use proptest::prelude::*;

const PENDING: &str = r#"{"error_code":"authorization_pending","error":"authorization_pending"}"#;
const SLOW_DOWN: &str = r#"{"error_code":"slow_down","error":"slow_down"}"#;

type Reply = Result<Response, TransportFailure>;

fn pending() -> Reply {
    Ok(reply(428, PENDING))
}

fn slow_down() -> Reply {
    Ok(reply(400, SLOW_DOWN))
}

/// Drives a poll whose server gives these answers, then pending for ever. Gives the result and the
/// moments of the polls, in milliseconds.
fn drive(mut poll: DevicePoll, replies: Vec<Reply>) -> (Result<TokenGrant, Error>, Vec<u64>) {
    let (mut now, mut polls, mut replies) = (0, Vec::new(), replies.into_iter());
    loop {
        match poll.step(at_ms(now)) {
            Step::Wait(pause) => {
                assert!(!pause.is_zero(), "a pause of nothing is a busy loop");
                now += u64::try_from(pause.as_millis()).unwrap();
            }
            Step::Send(_) => {
                polls.push(now);
                poll.receive(replies.next().unwrap_or_else(pending), at_ms(now));
            }
            Step::Done(result) => return (result, polls),
        }
    }
}

fn token() -> Reply {
    Ok(reply(200, token_json()))
}

#[test]
fn polls_at_the_servers_interval_from_the_first_on() {
    let poll = device().poll(&started(300, Some(9)));
    let (result, polls) = drive(poll, vec![pending(), pending(), token()]);
    assert_eq!(result.unwrap().access_token.expose(), "czu_access");
    assert_eq!(polls, [9000, 18000, 27000]);
}

/// A server between a device and Coze hands each answer on.
#[test]
fn one_poll_is_one_answer() {
    let once = || device().poll_once(&DeviceCode::new("device-1").unwrap());
    let granted = answered(once(), token().unwrap()).unwrap();
    assert_eq!(granted.access_token.expose(), "czu_access");
    for (reply, code) in [
        (pending(), ErrorCode::AuthorizationPending),
        (slow_down(), ErrorCode::SlowDown),
    ] {
        assert_eq!(error_of(once(), reply.unwrap()).code(), Some(&code));
    }
}

#[test]
fn without_an_interval_it_is_five_seconds() {
    let (_, polls) = drive(device().poll(&started(300, None)), vec![pending(), token()]);
    assert_eq!(polls, [5000, 10000]);
}

#[test]
fn slow_down_adds_five_seconds_for_good() {
    let replies = vec![
        slow_down(),
        pending(),
        slow_down(),
        pending(),
        pending(),
        token(),
    ];
    let (_, polls) = drive(device().poll(&started(300, Some(5))), replies);
    assert_eq!(polls, [5000, 15000, 25000, 40000, 55000, 70000]);
}

#[test]
fn trouble_backs_off_and_never_below_the_interval() {
    let trouble: [fn() -> Reply; 6] = [
        || Err(TransportFailure::NotSent),
        || Err(TransportFailure::NoAnswer),
        || Err(TransportFailure::Timeout),
        || Ok(reply(502, "<html>")),
        || Ok(reply(429, "")),
        || Ok(reply(500, r#"{"error":"internal_error"}"#)),
    ];
    for fail in trouble {
        let replies = vec![fail(), fail(), fail(), fail(), fail(), pending(), token()];
        let (_, polls) = drive(device().poll(&started(100_000, Some(30))), replies);
        let gaps: Vec<u64> = polls
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) / 1000)
            .collect();
        assert_eq!(gaps, [60, 120, 240, 480, 480, 30]);
    }
}

#[test]
fn retry_after_can_only_lengthen_a_pause() {
    for (retry_after, gap) in [
        ("100", 100),
        ("99.5", 100),
        ("Sun, 15 Jun 2025 15:08:20 GMT", 100),
        ("1", 10),
        ("soon", 10),
    ] {
        let date = ("date", "Sun, 15 Jun 2025 15:06:40 GMT");
        let replies = vec![
            Ok(reply_with(503, &[("retry-after", retry_after), date], "")),
            token(),
        ];
        let (_, polls) = drive(device().poll(&started(300, Some(5))), replies);
        assert_eq!(polls, [5000, 5000 + gap * 1000], "for {retry_after}");
    }
}

/// Trouble near the end leaves one poll before the deadline, and if there is no room for one it is the
/// trouble that is told, not an expiry that has not come.
#[test]
fn trouble_leaves_a_last_chance() {
    let down = || Err(TransportFailure::NotSent);
    let (result, polls) = drive(
        device().poll(&started(300, Some(60))),
        vec![down(), down(), token()],
    );
    assert_eq!(polls, [60_000, 180_000, 299_000]);
    assert!(result.is_ok());
    let busy = || Ok(reply_with(503, &[("retry-after", "1000")], ""));
    let (result, polls) = drive(device().poll(&started(300, Some(5))), vec![busy()]);
    assert!(matches!(result, Err(Error::Unexpected(odd)) if odd.status() == 503));
    assert_eq!(polls, [5000]);
    let (result, _) = drive(device().poll(&started(20, Some(15))), vec![down()]);
    assert!(matches!(
        result,
        Err(Error::Transport {
            failure: TransportFailure::NotSent,
            ..
        })
    ));
}

#[test]
fn pending_and_slow_down_end_a_time_of_trouble() {
    let down = || Err(TransportFailure::NoAnswer);
    let replies = vec![
        down(),
        down(),
        pending(),
        down(),
        slow_down(),
        down(),
        token(),
    ];
    let (_, polls) = drive(device().poll(&started(100_000, Some(10))), replies);
    let gaps: Vec<u64> = polls
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) / 1000)
        .collect();
    assert_eq!(gaps, [20, 40, 10, 20, 15, 30]);
}

#[test]
fn slow_down_heeds_retry_after() {
    let replies = vec![
        Ok(reply_with(400, &[("retry-after", "60")], SLOW_DOWN)),
        pending(),
        token(),
    ];
    let (_, polls) = drive(device().poll(&started(300, Some(5))), replies);
    assert_eq!(polls, [5000, 65_000, 75_000]);
}

#[test]
fn a_refusal_ends_it() {
    let end = |body: &str| {
        drive(
            device().poll(&started(300, Some(5))),
            vec![
                pending(),
                Ok(reply_with(400, &[("x-tt-logid", "l1")], body)),
            ],
        )
    };
    for (code, expected) in [
        ("access_denied", ErrorCode::AccessDenied),
        ("expired_token", ErrorCode::ExpiredToken),
        ("access_deny", ErrorCode::AccessDeny),
        ("invalid_request", ErrorCode::InvalidRequest),
    ] {
        let (result, polls) = end(&format!(r#"{{"error":"{code}"}}"#));
        let error = result.unwrap_err();
        assert_eq!(error.log_id(), Some("l1"));
        assert_eq!(error.code(), Some(&expected));
        assert!(matches!(error, Error::Refused(refused) if refused.code() == &expected));
        assert_eq!(polls.len(), 2);
    }
    // A word that we do not know is one all the same.
    let (result, polls) = end(r#"{"error_code":"app_removed"}"#);
    assert_eq!(polls.len(), 2);
    assert!(matches!(result, Err(Error::Refused(_))));
}

/// Gateways, captive portals and frameworks answer in Coze's place, and know nothing of the code.
#[test]
fn what_is_no_oauth_answer_says_nothing_about_the_code() {
    let page = "<html>Forbidden</html>";
    for (status, body) in [
        (403, page),
        (404, page),
        (400, page),
        (401, ""),
        (204, ""),
        (200, page),
        (200, "{}"),
        (200, r#"{"status":"ok"}"#),
        (200, r#"{"access_token":"czu_a","expi"#),
        (200, r#"{"error":{"status":403}}"#),
        (302, ""),
        (307, PENDING),
        (307, r#"{"error":"access_denied"}"#),
        (404, r#"{"code":4000,"msg":"no such path"}"#),
        (403, r#"{"code":4100,"msg":"authentication is invalid"}"#),
        (403, r#"{"error":"403"}"#),
        (404, r#"{"status":404,"error":"Not Found","path":"/"}"#),
        (403, r#"{"message":"forbidden"}"#),
        (400, r#"["slow_down"]"#),
    ] {
        let odd = || Ok(reply(status, body));
        let replies = vec![pending(), odd(), odd(), pending(), token()];
        let (result, polls) = drive(device().poll(&started(300, Some(5))), replies);
        let grant = result.unwrap_or_else(|error| panic!("{status} {body}: {error}"));
        assert_eq!(grant.access_token.expose(), "czu_access");
        // As in all trouble, slower and slower.
        assert_eq!(
            polls,
            [5000, 10_000, 20_000, 40_000, 45_000],
            "{status} {body}"
        );

        // If nothing else comes, it is what is told.
        let replies = (0..10).map(|_| odd()).collect();
        let (result, polls) = drive(device().poll(&started(60, Some(5))), replies);
        assert_eq!(polls, [5000, 15_000, 35_000, 59_000], "{status} {body}");
        let error = result.expect_err("no token");
        match &error {
            Error::Refused(refused) => assert_eq!(refused.status(), status),
            Error::Unexpected(odd) => assert_eq!(odd.status(), status),
            other => panic!("{status} {body}: {other:?}"),
        }
    }
}

/// A code is read whatever stands beside it, so it neither ends a login nor keeps it up.
#[test]
fn noise_beside_a_code_changes_nothing() {
    let gbk = b"\xca\xda\xc8\xa8\xc2\xeb";
    for noise in [&br"cut \ud83d"[..], gbk, b"two\nlines"] {
        for mark in ["", "\u{feff}"] {
            let says = |code: &str| {
                let code = format!(r#"{mark}{{"error":"{code}","error_description":""#);
                Ok(reply(400, [code.as_bytes(), noise, b"\"}"].concat()))
            };
            let replies = vec![says("authorization_pending"), says("slow_down"), token()];
            let (result, polls) = drive(device().poll(&started(300, Some(5))), replies);
            result.expect("a token");
            assert_eq!(polls, [5000, 10_000, 20_000]);
            let replies = vec![says("access_denied")];
            let (result, polls) = drive(device().poll(&started(300, Some(5))), replies);
            let error = result.expect_err("denied");
            assert_eq!(error.code(), Some(&ErrorCode::AccessDenied));
            assert_eq!(polls, [5000]);
        }
    }
}

/// The server has acted: a further poll would bring a refusal that hides why there is no token.
#[test]
fn a_grant_that_cannot_be_read_ends_it() {
    for (body, oddity) in [
        (
            r#"{"access_token":"a","expires_in":900}"#,
            Oddity::BadValue("expires_in"),
        ),
        (r#"{"access_token":"a"}"#, Oddity::Missing("expires_in")),
        (
            r#"{"access_token":7,"expires_in":1750003600}"#,
            Oddity::WrongType("access_token"),
        ),
        (
            r#"{"access_token":"\ud83d","expires_in":1750003600}"#,
            Oddity::BadValue("access_token"),
        ),
        (
            r#"{"access_token":"a","access_token":"b"}"#,
            Oddity::Repeated("access_token"),
        ),
    ] {
        let (result, polls) = drive(
            device().poll(&started(300, Some(5))),
            vec![Ok(reply(200, body))],
        );
        assert!(
            matches!(&result, Err(Error::Unexpected(odd)) if odd.oddity() == oddity),
            "{body}: {result:?}"
        );
        assert_eq!(polls, [5000]);
    }
}

#[test]
fn it_ends_at_the_last_useful_moment_without_a_useless_sleep() {
    let (result, polls) = drive(device().poll(&started(60, Some(25))), vec![]);
    assert!(matches!(result, Err(Error::DeviceExpired { .. })));
    assert_eq!(polls, [25000, 50000]);
    // The next would come at 75 s, so it is over at 50 s.
    let mut poll = device().poll(&started(60, Some(50)));
    request_of(&mut poll, at(50));
    poll.receive(pending(), at(50));
    assert!(
        matches!(
            result_of(&mut poll, at(50)),
            Err(Error::DeviceExpired { .. })
        ),
        "sleeps for nothing"
    );
    let (result, polls) = drive(device().poll(&started(5, Some(5))), vec![]);
    assert!(matches!(result, Err(Error::DeviceExpired { log_id: None })));
    assert!(polls.is_empty(), "a poll at the deadline is too late");
}

#[test]
fn a_sleep_that_lasts_too_long_ends_it() {
    let mut poll = device().poll(&started(60, Some(5)));
    assert!(matches!(poll.step(at(0)), Step::Wait(_)));
    let late = result_of(&mut poll, at(60)).unwrap_err();
    assert_eq!(late, Error::DeviceExpired { log_id: None });
    assert_eq!(
        result_of(&mut poll, at(61)).unwrap_err(),
        Error::FlowFinished
    );
}

#[test]
fn an_early_step_is_told_the_rest_and_a_repeated_one_the_same() {
    let mut poll = device().poll(&started(60, Some(5)));
    for (now, rest) in [(0, 5000), (1000, 4000), (4999, 1)] {
        let Step::Wait(pause) = poll.step(at_ms(now)) else {
            panic!("too early at {now}")
        };
        assert_eq!(pause, Duration::from_millis(rest));
    }
    let first = request_of(&mut poll, at(5));
    let again = request_of(&mut poll, at(6));
    assert_eq!(
        shape(&first),
        shape(&again),
        "a dropped future must lose nothing"
    );
}

#[test]
fn an_answer_that_nobody_asked_for_is_nothing() {
    let mut poll = device().poll(&started(60, Some(5)));
    poll.receive(token(), at(0));
    assert!(matches!(poll.step(at(0)), Step::Wait(_)));
}

#[test]
fn the_wall_clock_may_leap() {
    let mut poll = device().poll(&started(60, Some(5)));
    let now = |steady, unix| Now {
        unix: UnixTime::from_secs(unix),
        steady: SteadyTime::from_duration(Duration::from_secs(steady)),
    };
    // An hour back, a day ahead: pauses and deadline do not move.
    assert!(
        matches!(poll.step(now(4, UNIX - 3600)), Step::Wait(pause) if pause == Duration::from_secs(1))
    );
    request_of(&mut poll, now(5, UNIX - 3600));
    poll.receive(pending(), now(5, UNIX + 86_400));
    assert!(matches!(poll.step(now(5, 0)), Step::Wait(pause) if pause == Duration::from_secs(5)));
}

/// Anything that a server or a network can do.
fn any_reply() -> impl Strategy<Value = Option<(u16, String, Option<u64>)>> {
    let body = prop_oneof![
        Just(PENDING.to_owned()),
        Just(SLOW_DOWN.to_owned()),
        Just(r#"{"error":"internal_error"}"#.to_owned()),
        Just("<html>".to_owned()),
    ];
    prop_oneof![
        1 => Just(None),
        4 => (prop_oneof![Just(200_u16), Just(428), Just(429), Just(400), Just(503)], body, prop::option::of(0..1000_u64))
            .prop_map(Some),
    ]
}

proptest! {
    #[test]
    fn always_ends_and_never_polls_early(
        expires_in in 1..3000_u64,
        interval in prop::option::of(0..100_u64),
        replies in prop::collection::vec(any_reply(), 0..40),
        late in prop::collection::vec(0..30_000_u64, 0..40),
    ) {
        let authorization = started(expires_in, interval);
        let mut poll = device().poll(&authorization);
        let mut floor = authorization.interval;
        let (mut now, mut last) = (Duration::ZERO, Duration::ZERO);
        let (mut replies, mut late) = (replies.into_iter(), late.into_iter());
        let clock = |passed: Duration| at_ms(u64::try_from(passed.as_millis()).unwrap());
        let mut rounds = 0;
        loop {
            rounds += 1;
            prop_assert!(rounds < 20_000, "it goes on for ever");
            match poll.step(clock(now)) {
                Step::Wait(pause) => {
                    prop_assert!(!pause.is_zero());
                    // Sleeps may last longer than asked.
                    now += pause + Duration::from_millis(late.next().unwrap_or_default());
                }
                Step::Send(_) => {
                    prop_assert!(now - last >= floor, "polled {:?} after the last, allowed {floor:?}", now - last);
                    prop_assert!(now < authorization.expires_in, "polled after the deadline");
                    last = now;
                    let reply = match replies.next() {
                        Some(None) => Err(TransportFailure::NoAnswer),
                        Some(Some((status, body, retry_after))) => {
                            if body == SLOW_DOWN {
                                floor += Duration::from_secs(5);
                            }
                            let seconds = retry_after.map(|secs| secs.to_string());
                            let header = seconds.as_deref().map(|secs| ("retry-after", secs));
                            Ok(reply_with(status, header.as_slice(), body))
                        }
                        None => pending(),
                    };
                    poll.receive(reply, clock(now));
                }
                Step::Done(result) => {
                    prop_assert!(result.is_err());
                    break;
                }
            }
        }
    }
}
