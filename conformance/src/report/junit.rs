//! JUnit XML, as CI systems read it.

use std::fmt::Write as _;

use super::escaped;
use crate::result::{Run, Verdict};

/// A suite for each client, a test for each check.
#[must_use]
pub fn junit(runs: &[Run]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for run in runs {
        let tests = run.checks().count();
        let failures = run
            .checks()
            .filter(|(_, check)| check.is_unexpected())
            .count();
        let skipped = [
            Verdict::NotApplicable,
            Verdict::NotJudged,
            Verdict::KnownFail,
        ];
        let skipped: usize = skipped.map(|verdict| run.total(verdict)).iter().sum();
        let errors = run.total(Verdict::HarnessError);
        let _ = writeln!(
            text,
            r#"  <testsuite name="{}" tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}">"#,
            escaped(&run.name)
        );
        for (case, check) in run.checks() {
            let why = escaped(&check.told().unwrap_or_default());
            let seconds = case.real_ms as f64 / 1000.0;
            let _ = write!(
                text,
                r#"    <testcase classname="{}" name="{}" time="{seconds}">"#,
                escaped(&case.id),
                escaped(&check.id)
            );
            let told = match check.verdict {
                Verdict::Pass => String::new(),
                Verdict::HarnessError => format!(r#"<error message="{why}"/>"#),
                _ if check.is_unexpected() || check.verdict == Verdict::FixedButListed => {
                    format!(
                        r#"<failure message="{why}">{}</failure>"#,
                        escaped(&super::terminal::case(case))
                    )
                }
                _ => format!(r#"<skipped message="{}: {why}"/>"#, check.verdict.name()),
            };
            let _ = writeln!(text, "{told}</testcase>");
        }
        text.push_str("  </testsuite>\n");
    }
    text + "</testsuites>\n"
}
