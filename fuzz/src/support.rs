//! What the targets share: clocks, secrets that must not come out, and what a text for people may have.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::time::Duration;

use coze_auth_core::error::is_invisible;
use coze_auth_core::{Error, ErrorKind, Flow, Now, Response, Retry, SteadyTime, Step, UnixTime};

/// What every secret that a target hands in begins with; a corpus names them, so that a server, say, repeats them.
pub(crate) const SENTINEL: &str = "Sentinel";

/// The moment of all targets.
pub(crate) fn now() -> Now {
    Now {
        unix: UnixTime::from_secs(1_790_000_000),
        steady: SteadyTime::from_duration(Duration::from_secs(100)),
    }
}

/// The same, this much later, by both clocks.
pub(crate) fn later(now: Now, by: Duration) -> Now {
    Now {
        unix: now.unix.plus(by),
        steady: now.steady.plus(by),
    }
}

/// All that an error shows: its words, what `unwrap` prints, and its causes.
pub(crate) fn shown(error: &dyn StdError) -> String {
    let mut all = format!("{error}\n{error:?}\n{error:#?}");
    let mut cause = error.source();
    while let Some(one) = cause {
        let _ = write!(all, "\n{one}\n{one:?}");
        cause = one.source();
    }
    all
}

/// Fails if one of the secrets is in a text that people and logs get.
pub(crate) fn keeps(what: &str, text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

/// Fails if a text does something to a terminal.
pub(crate) fn is_plain(what: &str, text: &str) {
    let odd = text.chars().find(|c| *c != '\n' && is_invisible(*c));
    assert!(odd.is_none(), "{what} has {odd:?}: {text:?}");
}

/// Holds an error of the core to what its documentation says of every error.
pub(crate) fn judge(error: &Error, secrets: &[&str]) {
    let text = shown(error);
    keeps("an error", &text, secrets);
    is_plain("an error", &text);
    assert!(error.to_string().len() < 4_096, "{} bytes", text.len());
    match (error.retry(), error.kind()) {
        (Retry::Never, ErrorKind::Wait(_)) => panic!("it says never and wait: {error}"),
        (Retry::Never, _) => {}
        (Retry::After(pause), kind) => assert_eq!(kind, ErrorKind::Wait(pause), "{error}"),
        (Retry::MaybeSpent(pause), kind) => {
            let is_fine = kind == ErrorKind::LoginNeeded || kind == ErrorKind::Wait(pause);
            assert!(is_fine, "{kind:?} after {pause:?}: {error}");
        }
        (retry, _) => panic!("{retry:?} is not known here"),
    }
    assert_eq!(error.needs_login(), error.kind().needs_login());
}

/// Drives a flow whose every request gets this answer: its result, or none if it would go on. It may send this many requests without a
/// pause.
pub(crate) fn answered<F: Flow>(
    mut flow: F,
    most: usize,
    answer: impl Fn() -> Response,
) -> Option<Result<F::Output, Error>> {
    const ROUNDS: usize = 6;
    let mut now = now();
    let mut sent = 0;
    for _ in 0..ROUNDS {
        match flow.step(now) {
            Step::Send(_) => {
                assert!(sent < most, "it asks again without a pause");
                flow.receive(Ok(answer()), now);
                sent += 1;
            }
            Step::Wait(pause) => {
                now = later(now, pause);
                sent = 0;
            }
            Step::Done(result) => {
                assert!(
                    matches!(flow.step(now), Step::Done(Err(Error::FlowFinished))),
                    "it gives its result twice"
                );
                return Some(result);
            }
        }
    }
    None
}

/// A text of the input, cut at lines that consist of `%%`.
pub(crate) fn parts(data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(4).position(|window| window == b"\n%%\n") {
        parts.push(&rest[..at]);
        rest = &rest[at + 4..];
    }
    parts.push(rest);
    parts
}
