//! Questions 3, 4 and 13: the device flow.

use std::time::Duration;

use serde_json::json;

use super::{DEVICE_GRANT, DEVICE_PATH};
use crate::evidence::Run;
use crate::evidence::app::{App, Kind};
use crate::evidence::wire::{Answer, Body, Halt, Sent};

/// Of the interval, in tenths: pauses between polls, the longest first, since a `slow_down` may lengthen the interval.
const TENTHS: [u32; 4] = [10, 9, 6, 2];

impl App {
    pub(super) fn device_code(&self, body: Body) -> Sent<'static> {
        Sent {
            method: "POST",
            to: DEVICE_PATH,
            authorization: None,
            body,
        }
    }

    fn poll(&self, device_code: &str) -> Sent<'static> {
        self.token(Body::json(&json!({
            "grant_type": DEVICE_GRANT,
            "client_id": self.client_id,
            "device_code": device_code,
        })))
    }
}

/// A device that waits for a person.
struct Waiting {
    device_code: String,
    user_code: String,
    page: String,
    interval: Duration,
    expires_in: Duration,
}

fn start(run: &mut Run<'_>, at: usize) -> Result<Waiting, Halt> {
    let body = json!({ "client_id": run.apps[at].client_id });
    let sent = run.apps[at].device_code(Body::json(&body));
    let answer = run.send(sent)?;
    let user_code = answer
        .text("user_code")
        .or_else(|| Some(answer.number("user_code")?.to_string()));
    match (answer.text("device_code"), user_code) {
        (Some(device_code), Some(user_code)) => Ok(Waiting {
            device_code,
            user_code,
            page: answer.text("verification_uri").unwrap_or_default(),
            interval: Duration::from_secs(answer.number("interval").unwrap_or(5).clamp(1, 60)),
            expires_in: Duration::from_secs(answer.number("expires_in").unwrap_or(300)),
        }),
        _ => {
            run.seen("the request for a device code", &answer);
            Err(Halt::Question(
                "the app was given no device code".to_owned(),
            ))
        }
    }
}

fn poll(run: &mut Run<'_>, at: usize, waiting: &Waiting) -> Result<Answer, Halt> {
    let sent = run.apps[at].poll(&waiting.device_code);
    run.send(sent)
}

fn is(answer: &Answer, code: &str) -> bool {
    answer.code.as_deref() == Some(code)
}

/// Question 3.
pub(super) fn statuses(run: &mut Run<'_>) -> Result<(), Halt> {
    let Some(at) = run.app(&[Kind::Device], "statuses of polls") else {
        return Ok(());
    };
    let part = "pending, slow_down and access_denied";
    let sends = "a device code is asked for and polled twice at once; then you REFUSE it on its page, and it is polled once more";
    if run.step(
        part,
        4,
        sends,
        "nothing: the device code ends with your refusal",
    )? {
        let waiting = start(run, at)?;
        let first = poll(run, at, &waiting)?;
        run.compare("device.pending", "the first poll, at once", &first);
        let second = poll(run, at, &waiting)?;
        match is(&second, "authorization_pending") {
            true => {
                run.seen("a second poll at once", &second);
                run.means("a second poll at once is not too fast");
                run.changes("device.interval: default = false, evidence = \"report\" (the service does not hold it)");
            }
            false => run.compare("device.interval", "a second poll at once", &second),
        }
        let what = format!(
            "Open {}, type {} and REFUSE.",
            waiting.page, waiting.user_code
        );
        if run.wire.ended.is_none() && run.person.does(&what) {
            run.wait(waiting.interval, "the pause between polls");
            let denied = poll(run, at, &waiting)?;
            run.compare("device.denied", "a device code that was refused", &denied);
        } else {
            run.not_asked("access_denied: nobody refused the device");
        }
    }
    let part = "expired_token";
    let sends = "a device code is asked for, left alone until it has expired (5 minutes, as a rule), and polled once";
    if run.step(part, 2, sends, "nothing")? {
        let waiting = start(run, at)?;
        let left = waiting.expires_in + Duration::from_secs(5);
        run.wait(left, "the device code expires");
        let expired = poll(run, at, &waiting)?;
        run.compare("device.expired", "a device code that has expired", &expired);
    }
    Ok(())
}

/// Question 4.
pub(super) fn pauses(run: &mut Run<'_>) -> Result<(), Halt> {
    let part = "pauses between polls";
    let Some(at) = run.app(&[Kind::Device], part) else {
        return Ok(());
    };
    let sends = "a device code is asked for and polled with pauses of 5, 4.5, 3 and 1 seconds (of the interval that the answer names), up to the first slow_down; then once more after the interval, and after five seconds more";
    if !run.step(
        part,
        8,
        sends,
        "nothing; polls that are too fast may meet a rate limit, which ends the run",
    )? {
        return Ok(());
    }
    let waiting = start(run, at)?;
    let seconds = |pause: Duration| format!("{} s", pause.as_secs_f64());
    let mut last = poll(run, at, &waiting)?;
    run.seen("the first poll, at once", &last);
    if is(&last, "slow_down") {
        run.means("a first poll at once is too fast");
        run.changes("device.interval: text (the first poll may not come at once)");
    }
    let (mut fine, mut early) = (None, None);
    for tenths in TENTHS {
        let pause = waiting.interval * tenths / 10;
        run.wait(pause, "a pause between polls");
        last = poll(run, at, &waiting)?;
        run.seen(&format!("a poll {} after the last", seconds(pause)), &last);
        if is(&last, "slow_down") {
            early = Some(pause);
            break;
        }
        fine = Some(pause);
    }
    let interval = seconds(waiting.interval);
    let Some(early) = early else {
        let fine = fine.map(seconds).unwrap_or_default();
        run.means(format!(
            "of an interval of {interval}, no pause down to {fine} is too fast"
        ));
        run.changes("device.interval: default = false, evidence = \"report\" (the service does not hold it)");
        return Ok(());
    };
    run.means(match fine {
        Some(fine) => format!(
            "of an interval of {interval}, a pause of {} is long enough and one of {} too fast",
            seconds(fine),
            seconds(early)
        ),
        None => format!(
            "of an interval of {interval}, even a pause of {} is too fast",
            seconds(early)
        ),
    });
    match fine {
        Some(fine) if fine == waiting.interval && early * 10 == waiting.interval * 9 => {}
        _ => run.changes(format!(
            "device.interval: text (a pause of {} is too fast, one of {} is not; the mock's tolerance is 250 ms)",
            seconds(early),
            fine.map_or_else(|| "the interval".to_owned(), seconds)
        )),
    }
    run.wait(waiting.interval, "the interval after slow_down");
    last = poll(run, at, &waiting)?;
    run.seen("a poll one interval after slow_down", &last);
    if !is(&last, "slow_down") {
        run.means("slow_down does not lengthen the server's interval");
        return Ok(());
    }
    // Two slow_downs: RFC 8628 §3.5 adds five seconds for each.
    let longer = waiting.interval + Duration::from_secs(10);
    run.wait(longer, "the interval and ten seconds");
    last = poll(run, at, &waiting)?;
    run.seen(
        "a poll ten seconds later than the interval, after two slow_down",
        &last,
    );
    run.means(match is(&last, "slow_down") {
        true => "slow_down lengthens the server's interval, by more than five seconds each",
        false => "slow_down lengthens the server's interval, by at most five seconds each",
    });
    run.changes(
        "device.interval: text (slow_down lengthens the server's interval; the mock keeps it)",
    );
    Ok(())
}

/// Question 13, of the device flow.
pub(super) fn tokens(run: &mut Run<'_>) -> Result<(), Halt> {
    let part = "a device flow's tokens";
    let Some(at) = run.app(&[Kind::Device], part) else {
        return Ok(());
    };
    let sends = "a device code is asked for; you APPROVE it on its page, and it is polled once";
    if !run.step(
        part,
        2,
        sends,
        "the device code, and it makes a pair of tokens",
    )? {
        return Ok(());
    }
    let waiting = start(run, at)?;
    let what = format!(
        "Open {}, type {} and APPROVE.",
        waiting.page, waiting.user_code
    );
    if !run.person.does(&what) {
        run.not_asked(format!("{part}: nobody approved the device"));
        return Ok(());
    }
    run.wait(waiting.interval, "the pause between polls");
    let answer = poll(run, at, &waiting)?;
    run.seen("a poll after the approval", &answer);
    run.keep("device", Kind::Device, &answer);
    Ok(())
}

/// Question 13, of all flows that were seen.
pub(super) fn after_all(run: &mut Run<'_>) {
    run.now = 13;
    let issued = std::mem::take(&mut run.issued);
    if issued.is_empty() {
        run.not_asked("no flow gave a token in this run");
        return;
    }
    for flow in ["web", "pkce", "device", "jwt"] {
        let of_flow: Vec<_> = issued.iter().filter(|one| one.flow == flow).collect();
        let Some(first) = of_flow.first() else {
            continue;
        };
        let all_typed = of_flow
            .iter()
            .all(|one| one.token_type.as_deref() == Some("Bearer"));
        let token_type = match all_typed {
            true => "always with token_type Bearer".to_owned(),
            false => {
                run.changes(format!(
                    "protocol §3.1 and the mock's answer: token_type is not always Bearer ({flow} flow)"
                ));
                "not always with token_type Bearer".to_owned()
            }
        };
        let life = match first.seconds {
            Some(seconds) => format!("for {seconds} s"),
            None => "for a time that is not told".to_owned(),
        };
        let refresh = match first.has_refresh {
            true => "with a refresh token",
            false => "without a refresh token",
        };
        run.means(format!(
            "{} token answers of the {flow} flow: {token_type}, {refresh}, an access token {life}",
            of_flow.len()
        ));
        // A second may pass on the way.
        let is_usual = first
            .seconds
            .is_some_and(|seconds| (895..=900).contains(&seconds));
        if !is_usual {
            run.changes(format!(
                "[ttl] access: the {flow} flow's tokens live {life} (now 900)"
            ));
        }
    }
    run.not_asked("the life of a refresh token: no answer names it, and it needs 30 days");
}
