//! The matrix in Markdown: rows are checks, columns clients.

use std::fmt::Write as _;

use crate::case::Level;
use crate::result::{Run, Verdict};

const fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::NotApplicable => "–",
        Verdict::KnownFail => "**✗** known",
        Verdict::FixedButListed => "✓ listed",
        Verdict::Flaky => "**flaky**",
        Verdict::Fail | Verdict::NotTestable => "**✗**",
        Verdict::HarnessError => "**!**",
    }
}

/// Totals, then what fails somewhere with its reasons, then every check.
#[must_use]
pub fn markdown(runs: &[Run]) -> String {
    let mut text =
        String::from("| | must | should | may | requirements |\n|---|---|---|---|---|\n");
    for run in runs {
        let _ = write!(text, "| {} {} |", run.name, run.about.version);
        for level in [Level::Must, Level::Should, Level::May] {
            let count = |verdict| run.count(level, verdict);
            let failed =
                count(Verdict::Fail) + count(Verdict::NotTestable) + count(Verdict::KnownFail);
            let _ = write!(text, " {} ✓", count(Verdict::Pass));
            for (count, sign) in [(failed, "✗"), (count(Verdict::NotApplicable), "–")] {
                if count > 0 {
                    let _ = write!(text, " {count} {sign}");
                }
            }
            text.push_str(" |");
        }
        let _ = match &run.score {
            Some(score) => writeln!(text, " {} of {} ({}) |", score.passed, score.of, score.date),
            None => writeln!(text, " |"),
        };
    }
    let head = |text: &mut String, first: &str| {
        let names = runs.iter().map(|run| format!(" {} |", run.name));
        let _ = writeln!(text, "\n| {first} | level |{}", names.collect::<String>());
        let _ = writeln!(text, "|---|---|{}", "---|".repeat(runs.len()));
    };
    head(&mut text, "check");
    let Some(first) = runs.iter().max_by_key(|run| run.cases.len()) else {
        return text;
    };
    for (_, check) in first.checks() {
        let level = super::terminal::level(check.level);
        let _ = write!(text, "| `{}` | {level} |", check.id);
        for run in runs {
            let found = run.checks().find(|(_, other)| other.id == check.id);
            let _ = write!(
                text,
                " {} |",
                found.map_or("", |(_, check)| sign(check.verdict))
            );
        }
        text.push('\n');
    }
    text.push_str("\n## What fails\n");
    for (case, check) in first.checks() {
        let failing = |run: &Run| {
            let mut found = run.checks().filter(|(_, other)| other.id == check.id);
            found.next().and_then(|(_, other)| {
                let fails = matches!(
                    other.verdict,
                    Verdict::Fail | Verdict::NotTestable | Verdict::KnownFail
                );
                fails.then(|| other.why.clone().unwrap_or_default())
            })
        };
        let failing: Vec<_> = runs
            .iter()
            .filter_map(|run| failing(run).map(|why| (&run.name, why)))
            .collect();
        if failing.is_empty() {
            continue;
        }
        let level = super::terminal::level(check.level);
        let _ = writeln!(
            text,
            "\n**`{}`** ({level}; {})  \n{}. {}\n",
            check.id,
            check.spec.join(", "),
            case.title,
            case.why
        );
        for (name, why) in failing {
            let why = why.replace('`', "'").replace('\n', " ");
            let _ = writeln!(text, "* {name}: `{why}`");
        }
    }
    text
}
