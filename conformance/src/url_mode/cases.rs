//! Which cases are for a program that tells nothing.

use serde_json::Value;

use crate::case::{Case, Check, Step};
use crate::observe;

/// An operation for which the program runs; what comes before it is the runner's.
fn is_run(op: &str) -> bool {
    matches!(
        op,
        "web.token"
            | "pkce.token"
            | "device.start"
            | "jwt.token"
            | "workload.token"
            | "refresh"
            | "api.call"
    )
}

/// An operation that comes to `ok` only if a server was asked. `provider.parallel` does with refusals, too.
pub(crate) fn is_asked(op: &str) -> bool {
    let others = [
        "device.poll",
        "device.poll_once",
        "provider.token",
        "workload.integration",
        "workload.project_env",
    ];
    is_run(op) || others.contains(&op)
}

fn is_prepared(op: &str) -> bool {
    matches!(
        op,
        "client.new" | "web.authorize_url" | "pkce.authorize_url"
    )
}

/// Why the case is not for such a program.
pub(crate) fn why_not(case: &Case) -> Option<String> {
    let moves = |step: &Step| {
        step.advance_s.is_some()
            || step.leap_s.is_some()
            || step.ahead_s.is_some()
            || step.behind_s.is_some()
            || !step.during.is_empty()
    };
    if case.steps.iter().any(moves) {
        return Some("a program lives in real time".to_owned());
    }
    if case.steps.iter().any(|step| step.times.is_some()) {
        return Some("each operation is a process of its own".to_owned());
    }
    let mut ops = case.steps.iter().filter_map(|step| step.r#do.as_deref());
    if let Some(other) = ops.find(|op| !is_run(op) && !is_prepared(op)) {
        return Some(format!("a program is not asked for {other}"));
    }
    let kept = kept(case);
    let of_mock = case.steps.iter().filter(|step| step.mock.is_some());
    let takes = |step: &Step| {
        let control = step.mock.as_deref().unwrap_or_default();
        observe::holes(&control.into())
            .into_iter()
            .chain(observe::holes(&step.with.clone().into()))
            .any(|path| names(&path, &kept))
    };
    if of_mock.into_iter().any(takes) {
        return Some("it takes what only the program knows".to_owned());
    }
    None
}

/// Whether the check looks at what the server saw, and at nothing that only the program knows.
pub(crate) fn is_on_the_wire(case: &Case, check: &Check) -> bool {
    let kept = kept(case);
    let operands = check.has.values().flat_map(observe::holes);
    // The runner opens the authorize page itself.
    let is_runners = check.at.starts_with("wire.authorize");
    observe::is_of_server(&check.at)
        && !is_runners
        && !operands.into_iter().any(|path| names(&path, &kept))
}

/// The names under which a shim would have told what it got.
fn kept(case: &Case) -> Vec<&str> {
    let run = case
        .steps
        .iter()
        .filter(|step| step.r#do.as_deref().is_some_and(is_run));
    run.filter_map(|step| step.r#as.as_deref())
        .chain(["last"])
        .collect()
}

fn names(path: &str, kept: &[&str]) -> bool {
    kept.contains(&path.split('.').next().unwrap_or_default())
}

/// Why what the server saw proves nothing, good as it may look: a program that does nothing sends nothing wrong.
pub(crate) fn hollow(document: &Value, case: &Case) -> Option<String> {
    let requests = document["wire"]["all"].as_array().into_iter().flatten();
    // The runner opens the authorize page itself.
    let mut requests = requests.filter(|entry| entry["endpoint"] != "authorize");
    let granted = |entry: &Value| {
        let status = entry["outcome"]["status"].as_u64().unwrap_or_default();
        (200..300).contains(&status) && entry["outcome"]["error"].is_null()
    };
    let wants_silence = case.checks.iter().any(|check| {
        let is_list = check.at.starts_with("wire.") && check.at != "wire.unknown";
        is_list && check.has.get("count").is_some_and(|count| *count == 0)
    });
    if document["last"].get("ok").is_some() {
        let nothing = !requests.any(granted);
        nothing.then(|| "it exited with 0, and the server had given it nothing".to_owned())
    } else {
        let nothing = requests.next().is_none() && !wants_silence;
        nothing.then(|| "it sent nothing".to_owned())
    }
}
