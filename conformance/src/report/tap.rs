//! TAP 13.

use std::fmt::Write as _;

use crate::result::{Run, Verdict};

/// A line for each check of each client.
#[must_use]
pub fn tap(runs: &[Run]) -> String {
    let mut lines = String::new();
    let mut number = 0;
    for run in runs {
        for (_, check) in run.checks() {
            number += 1;
            let skipped = matches!(check.verdict, Verdict::NotApplicable | Verdict::NotJudged);
            let good = skipped || check.verdict == Verdict::Pass;
            let directive = match check.verdict {
                Verdict::Pass => "",
                _ if skipped => " # SKIP ",
                _ if check.is_unexpected() => " # ",
                _ => " # TODO ",
            };
            let why = check.told().unwrap_or_default().replace(['#', '\n'], " ");
            let why = if directive.is_empty() {
                ""
            } else {
                why.as_str()
            };
            let state = if good { "ok" } else { "not ok" };
            let id = check.id.replace('#', "/");
            let _ = writeln!(
                lines,
                "{state} {number} - {} {id}{directive}{why}",
                run.name
            );
        }
    }
    super::plain(&format!("TAP version 13\n1..{number}\n{lines}"))
}
