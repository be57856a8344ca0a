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

const DEVICE: &str = Kind::Device.told();

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
        (Some(device_code), Some(user_code)) => {
            run.proven.insert(DEVICE);
            Ok(Waiting {
                device_code,
                user_code,
                page: answer.text("verification_uri").unwrap_or_default(),
                interval: Duration::from_secs(answer.number("interval").unwrap_or(5).clamp(1, 60)),
                expires_in: Duration::from_secs(answer.number("expires_in").unwrap_or(300)),
            })
        }
        _ => {
            run.seen("the request for a device code", &answer);
            Err(Halt::Question(
                "the app was given no device code, so nothing follows about polls: see that it is a device app, that it is not deactivated, and that client_id and region are right"
                    .to_owned(),
            ))
        }
    }
}

fn poll(run: &mut Run<'_>, at: usize, waiting: &Waiting) -> Result<Answer, Halt> {
    let sent = run.apps[at].poll(&waiting.device_code);
    run.send(sent)
}

/// Asks the person to decide, and polls. If nobody has decided then, asks once more.
fn decided(
    run: &mut Run<'_>,
    at: usize,
    waiting: &Waiting,
    decision: &str,
) -> Result<Option<Answer>, Halt> {
    let mut what = format!(
        "Open {}, type {} and {decision}.",
        waiting.page, waiting.user_code
    );
    for _ in 0..2 {
        if run.wire.ended.is_some() || !run.person.does(&what) {
            return Ok(None);
        }
        run.wait(waiting.interval, "the pause between polls");
        let answer = poll(run, at, waiting)?;
        if !is(&answer, "authorization_pending") {
            return Ok(Some(answer));
        }
        run.seen("a poll before anybody has decided", &answer);
        what = format!(
            "Nobody has decided about this code yet. Open {}, type {} (no other code) and {decision}; then press Enter.",
            waiting.page, waiting.user_code
        );
    }
    Ok(None)
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
    let sends = "a device code is asked for and polled twice at once; then you REFUSE it on its page, and it is polled once more, or twice if nobody had decided";
    if run.step(
        part,
        5,
        sends,
        "nothing: the device code ends with your refusal",
    )? {
        let waiting = start(run, at)?;
        let since = run.clock.handle().steady();
        let first = poll(run, at, &waiting)?;
        run.compare("device.pending", "the first poll, at once", &first, DEVICE);
        let second = poll(run, at, &waiting)?;
        let passed = run.clock.handle().steady().saturating_sub(since);
        match is(&second, "authorization_pending") {
            true if passed >= waiting.interval => {
                run.seen("a second poll at once", &second);
                run.not_concluded(
                    "a second poll at once",
                    "the answers took as long as the interval; run it again with a better connection",
                );
            }
            true => {
                run.seen("a second poll at once", &second);
                run.means("a second poll at once is not too fast");
                run.changes("device.interval: default = false, evidence = \"report\" (the service does not hold it)");
            }
            false => run.compare("device.interval", "a second poll at once", &second, DEVICE),
        }
        match decided(run, at, &waiting, "REFUSE")? {
            Some(denied) => {
                let what = "a device code that was refused";
                run.compare("device.denied", what, &denied, DEVICE);
                run.keep("device", Kind::Device, &denied);
            }
            None => run.not_asked("access_denied: nobody has refused the device yet; run it again, type the code of this step, refuse, and press Enter after that"),
        }
    }
    let part = "expired_token";
    let sends = "a device code is asked for, left alone until it has expired (5 minutes, as a rule), and polled once";
    if run.step(part, 2, sends, "nothing")? {
        let waiting = start(run, at)?;
        let left = waiting.expires_in + Duration::from_secs(5);
        run.wait(left, "the device code expires");
        let expired = poll(run, at, &waiting)?;
        let what = "a device code that has expired";
        match is(&expired, "authorization_pending") {
            true => {
                run.seen("a device code after its expires_in", &expired);
                run.not_concluded(
                    what,
                    "it had not expired five seconds after its expires_in; leave another one alone for longer",
                );
            }
            false => run.compare("device.expired", what, &expired, DEVICE),
        }
    }
    Ok(())
}

/// A poll of which slow_down or pending alone says something.
fn paused(run: &mut Run<'_>, at: usize, waiting: &Waiting, what: &str) -> Result<Answer, Halt> {
    let answer = poll(run, at, waiting)?;
    run.seen(what, &answer);
    match is(&answer, "slow_down") || is(&answer, "authorization_pending") {
        true => Ok(answer),
        false => Err(Halt::Question(format!(
            "{what}: not concluded: it is neither pending nor too fast, so nothing follows about pauses; run it again, and leave this code alone"
        ))),
    }
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
    let mut last = paused(run, at, &waiting, "the first poll, at once")?;
    if is(&last, "slow_down") {
        run.means("a first poll at once is too fast");
        run.changes("device.interval: text (the first poll may not come at once)");
    }
    let (mut fine, mut early) = (None, None);
    for tenths in TENTHS {
        let pause = waiting.interval * tenths / 10;
        run.wait(pause, "a pause between polls");
        let what = format!("a poll {} after the last", seconds(pause));
        last = paused(run, at, &waiting, &what)?;
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
    last = paused(run, at, &waiting, "a poll one interval after slow_down")?;
    if !is(&last, "slow_down") {
        run.means("slow_down does not lengthen the server's interval");
        return Ok(());
    }
    // Two slow_downs: RFC 8628 §3.5 adds five seconds for each.
    let longer = waiting.interval + Duration::from_secs(10);
    run.wait(longer, "the interval and ten seconds");
    let what = "a poll ten seconds later than the interval, after two slow_down";
    last = paused(run, at, &waiting, what)?;
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
    let sends = "a device code is asked for; you APPROVE it on its page, and it is polled once, or twice if nobody had decided";
    if !run.step(
        part,
        3,
        sends,
        "the device code, and it makes a pair of tokens",
    )? {
        return Ok(());
    }
    let waiting = start(run, at)?;
    let Some(answer) = decided(run, at, &waiting, "APPROVE")? else {
        run.not_asked(format!("{part}: nobody has approved the device yet; run it again, type the code of this step, approve, and press Enter after that"));
        return Ok(());
    };
    run.seen("a poll after the approval", &answer);
    if run.keep("device", Kind::Device, &answer).is_none() {
        let why = match answer.code.as_deref() {
            Some("access_denied") => "the device was refused; run it again, and APPROVE".to_owned(),
            _ => answer.says_nothing("").unwrap_or_else(|| {
                "the poll was refused; see that you approved the code of this very step".to_owned()
            }),
        };
        run.not_concluded(part, &why);
    }
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
            .is_some_and(|seconds| (895..=901).contains(&seconds));
        if !is_usual && !first.is_timed {
            run.not_concluded(
                &format!("the life of the {flow} flow's tokens"),
                "the answer has no Date, and this machine's clock may be wrong",
            );
        } else if !is_usual {
            run.changes(format!(
                "[ttl] access: the {flow} flow's tokens live {life} (now 900)"
            ));
        }
    }
    run.not_asked("the life of a refresh token: no answer names it, and it needs 30 days");
}
