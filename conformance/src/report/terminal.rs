//! What a person sees: totals, and of each failure the rule and the exchange.

use std::fmt::Write as _;

use serde_json::Value;

use crate::case::Level;
use crate::result::{CaseResult, Run, Verdict};

const LEVELS: [(Level, &str); 4] = [
    (Level::Must, "must"),
    (Level::Should, "should"),
    (Level::May, "may"),
    (Level::Observe, "observe"),
];

pub(crate) fn level(level: Level) -> &'static str {
    LEVELS
        .iter()
        .find(|(known, _)| *known == level)
        .map_or("", |(_, name)| name)
}

/// All runs: failures first, totals last.
#[must_use]
pub fn runs(runs: &[Run]) -> String {
    let mut text = String::new();
    for run in runs {
        for case in run.cases.iter().filter(|case| is_told(case)) {
            let _ = write!(text, "\n{} — {}", run.name, self::case(case));
        }
        for id in &run.unused {
            let _ = writeln!(
                text,
                "\n{}: no check failed that is {id}: take it off the known failures",
                run.name
            );
        }
        if let Some(why) = &run.incomplete {
            let _ = writeln!(text, "\n{}: incomplete: {why}", run.name);
        }
    }
    for run in runs {
        let _ = write!(text, "\n{} {}:", run.name, run.about.version);
        for (level, name) in LEVELS {
            let counted = |verdict| run.count(level, verdict);
            let failed = counted(Verdict::Fail) + counted(Verdict::NotTestable);
            let _ = write!(text, " {name} {} passed", counted(Verdict::Pass));
            for (count, what) in [
                (
                    failed,
                    if level == Level::Observe {
                        "not so"
                    } else {
                        "FAILED"
                    },
                ),
                (counted(Verdict::KnownFail), "known"),
                (counted(Verdict::NotJudged), "not judged"),
                (counted(Verdict::NotApplicable), "n/a"),
                (counted(Verdict::Flaky), "FLAKY"),
                (counted(Verdict::FixedButListed), "FIXED BUT LISTED"),
                (counted(Verdict::HarnessError), "HARNESS ERRORS"),
            ] {
                if count > 0 {
                    let _ = write!(text, ", {count} {what}");
                }
            }
            text.push(if level == Level::Observe { '.' } else { ';' });
        }
        if let Some(score) = &run.score {
            let (date, passed, of) = (&score.date, score.passed, score.of);
            let _ = write!(text, " Requirements of {date}: {passed} of {of}.");
        }
    }
    text.push('\n');
    super::plain(&text)
}

fn is_told(case: &CaseResult) -> bool {
    case.checks.iter().any(|check| {
        check.is_unexpected()
            || matches!(
                check.verdict,
                Verdict::FixedButListed | Verdict::HarnessError
            )
    })
}

/// One case with what was seen.
#[must_use]
pub fn case(case: &CaseResult) -> String {
    let mut text = format!("{}: {}\n  why: {}\n", case.id, case.title, case.why);
    for check in &case.checks {
        let verdict = check.verdict.name();
        let _ = writeln!(text, "  {verdict} {} {}", level(check.level), check.id);
        if let Some(why) = check.told() {
            let _ = writeln!(text, "      {why}");
            for spec in &check.spec {
                let _ = writeln!(text, "      by {}", super::statement(spec));
            }
        }
    }
    for line in log(case) {
        let _ = writeln!(text, "  {line}");
    }
    super::plain(&text)
}

/// The log of a case, with times since the first thing that was done.
pub(crate) fn log(case: &CaseResult) -> impl Iterator<Item = String> {
    let mut times = case.log.iter().filter_map(|entry| entry["at_ms"].as_u64());
    let start_ms = times.next().unwrap_or_default();
    case.log.iter().map(move |entry| line(entry, start_ms))
}

fn line(entry: &Value, start_ms: u64) -> String {
    let of = |name: &str| entry[name].as_str().unwrap_or_default();
    let at_ms = entry["at_ms"].as_u64().unwrap_or_default();
    let at = at_ms.saturating_sub(start_ms);
    let at = format!("{:>8.1} s", at as f64 / 1000.0);
    if let Some(op) = entry["do"].as_str() {
        return format!("{at}  {op} {} → {}", entry["with"], entry["came"]);
    }
    if let Some(server) = entry["server"].as_str() {
        let mut line = format!("{at}  {server} saw {}", of("request"));
        if !entry["json"].is_null() {
            let _ = write!(line, " {}", entry["json"]);
        }
        let _ = write!(line, " → {}", entry["status"]);
        for name in ["error", "rule", "fault"] {
            if !entry[name].is_null() {
                let _ = write!(line, " {name}={}", of(name));
            }
        }
        if let Some(actual) = entry["explain"]["actual"].as_str() {
            let _ = write!(line, " (actual: {actual})");
        }
        return line;
    }
    format!("            slept {} ms", entry["sleeps_ms"])
}
