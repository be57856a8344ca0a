//! A page in Markdown: how many each client passes, and what it fails, by defect. Nothing in it changes from run to
//! run; the exchanges are in the page of HTML.

use std::fmt::Write as _;

use crate::case::Level;
use crate::result::{CheckResult, Known, Run, Verdict};

const COUNTED: [(Level, &str); 3] = [
    (Level::Must, "must"),
    (Level::Should, "should"),
    (Level::May, "may"),
];

const HEAD: &str = "# Conformance of Coze auth clients

Checks passed, of those that are applicable to the client. One that was not judged, because an earlier check of its
case failed, counts as applicable. Below is what fails, by defect, those first that fail what is a must.

| | must | should | may | requirements | known defects |
|---|---|---|---|---|---|
";

/// The totals, then of each client what fails.
#[must_use]
pub fn markdown(runs: &[Run]) -> String {
    let mut text = String::from(HEAD);
    for run in runs {
        let _ = write!(text, "| {} |", titled(run));
        for (level, _) in COUNTED {
            let (passed, of) = run.passed(level);
            let _ = write!(text, " {passed} of {of} |");
        }
        let _ = match &run.score {
            Some(score) => write!(text, " {} of {} ({}) |", score.passed, score.of, score.date),
            None => write!(text, " |"),
        };
        let _ = writeln!(text, " {} |", known(run).len());
    }
    for run in runs {
        let fresh: Vec<_> = counted(run).filter(|check| check.is_unexpected()).collect();
        let known = known(run);
        if fresh.is_empty() && known.is_empty() && run.unused.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n## {}", titled(run));
        if !fresh.is_empty() {
            text.push_str("\n* **not known**\n");
            checks(&mut text, &fresh);
        }
        for (Known { reason, issue }, failing) in known {
            let issue = issue.as_ref().map(|issue| format!(" ([issue]({issue}))"));
            let _ = writeln!(text, "\n* {reason}{}", issue.unwrap_or_default());
            checks(&mut text, &failing);
        }
        let fixed = counted(run).filter(|check| check.verdict == Verdict::FixedButListed);
        for id in fixed.map(|check| &check.id).chain(&run.unused) {
            let _ = writeln!(text, "\n* listed as known, and does not fail: `{id}`");
        }
    }
    text
}

/// What a client calls itself may end no cell, and be no tag.
fn titled(run: &Run) -> String {
    let title = format!("{} {}", run.name, run.about.version).replace('\n', " ");
    super::escaped(&title).replace('|', "\\|")
}

fn counted(run: &Run) -> impl Iterator<Item = &CheckResult> {
    let checks = run.checks().map(|(_, check)| check);
    checks.filter(|check| check.level != Level::Observe)
}

/// What fails of each defect; those that fail what is a must stand first.
fn known(run: &Run) -> Vec<(&Known, Vec<&CheckResult>)> {
    let mut all: Vec<(&Known, Vec<&CheckResult>)> = Vec::new();
    for check in counted(run) {
        let Some(known) = &check.known else { continue };
        match all.iter_mut().find(|(other, _)| *other == known) {
            Some((_, failing)) => failing.push(check),
            None => all.push((known, vec![check])),
        }
    }
    all.sort_by_key(|(_, failing)| failing.iter().map(|check| check.level).min());
    all
}

/// One line for each level and case.
fn checks(text: &mut String, failing: &[&CheckResult]) {
    for (level, name) in COUNTED {
        let of_level = failing.iter().filter(|check| check.level == level);
        let ids: Vec<String> = of_level.map(|check| format!("`{}`", check.id)).collect();
        if !ids.is_empty() {
            let _ = writeln!(text, "  * {name}: {}", ids.join(", "));
        }
    }
}
