//! One static page: rows are checks, columns clients, and each cell opens what was seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escaped;
use crate::result::{CaseResult, CheckResult, Run, Verdict};

const HEAD: &str = include_str!("page.html");

/// The whole page; it loads nothing.
#[must_use]
pub fn html(runs: &[Run]) -> String {
    let mut table = String::from("<thead><tr><th>check<th>level");
    for run in runs {
        let about = &run.about;
        let _ = write!(
            table,
            r#"<th>{}<small>{} {}</small><small>{} of {} must</small>"#,
            escaped(&run.name),
            escaped(&about.version),
            escaped(&about.runtime),
            run.count(crate::case::Level::Must, Verdict::Pass),
            run.checks()
                .filter(|(_, check)| check.level == crate::case::Level::Must)
                .count(),
        );
    }
    table.push_str("</thead>\n<tbody>\n");
    let found: Vec<BTreeMap<&str, (&CaseResult, &CheckResult)>> = runs
        .iter()
        .map(|run| {
            run.checks()
                .map(|(case, check)| (&*check.id, (case, check)))
                .collect()
        })
        .collect();
    let mut logs = String::new();
    let first = runs.iter().max_by_key(|run| run.cases.len());
    let mut number = 0;
    for (case, check) in first.into_iter().flat_map(Run::checks) {
        let level = super::terminal::level(check.level);
        let _ = write!(
            table,
            r#"<tr class="{level}"><th title="{}"><code>{}</code><small>{}</small><td>{level}"#,
            escaped(&case.why),
            escaped(&check.id),
            escaped(&case.title),
        );
        for found in &found {
            let Some((case, check)) = found.get(&*check.id) else {
                table.push_str("<td>");
                continue;
            };
            number += 1;
            let verdict = check.verdict.name();
            let _ = write!(
                table,
                r##"<td class="{verdict}"><a href="#log{number}">{verdict}</a>"##
            );
            log(&mut logs, number, case, check);
        }
        table.push('\n');
    }
    table.push_str("</tbody>");
    HEAD.replace("<!--table-->", &table)
        .replace("<!--logs-->", &logs)
}

fn log(logs: &mut String, number: usize, case: &CaseResult, check: &CheckResult) {
    let _ = write!(
        logs,
        r##"<section id="log{number}"><a href="#">close</a><h2>{} <span class="{1}">{1}</span></h2><p>{2}. {3}<p>{4}"##,
        escaped(&check.id),
        check.verdict.name(),
        escaped(&case.title),
        escaped(&case.why),
        escaped(&check.spec.join(", ")),
    );
    if let Some(why) = &check.why {
        let _ = write!(logs, "<p><strong>{}</strong>", escaped(why));
    }
    logs.push_str("<pre>");
    for entry in &case.log {
        let _ = writeln!(logs, "{}", escaped(&super::terminal::line(entry)));
    }
    logs.push_str("</pre></section>\n");
}
