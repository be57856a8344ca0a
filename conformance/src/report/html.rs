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
        let score = run.score.as_ref();
        let score =
            score.map(|score| format!("{} of {} must ({})", score.passed, score.of, score.date));
        let _ = write!(
            table,
            "<th>{}<small>{} {}</small><small>{}</small>",
            escaped(&run.name),
            escaped(&about.version),
            escaped(&about.runtime),
            score.unwrap_or_default(),
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
    let first = runs.iter().max_by_key(|run| run.cases.len());
    for (case, check) in first.into_iter().flat_map(Run::checks) {
        let level = super::terminal::level(check.level);
        let _ = write!(
            table,
            r#"<tr class="{level}"><th title="{}"><code>{}</code><small>{}</small><td>{level}"#,
            escaped(&case.why),
            escaped(&check.id),
            escaped(&case.title),
        );
        for (number, found) in found.iter().enumerate() {
            let Some((case, check)) = found.get(&*check.id) else {
                table.push_str("<td>");
                continue;
            };
            let verdict = check.verdict.name();
            let _ = write!(
                table,
                r##"<td class="{verdict}"><a href="#{}">{verdict}</a>"##,
                place(number, case),
            );
            if !matches!(
                check.verdict,
                Verdict::Pass | Verdict::NotApplicable | Verdict::NotJudged
            ) {
                let known = check.known.as_ref().map(|known| &known.reason);
                let why = known.or(check.why.as_ref()).map_or("", String::as_str);
                let _ = write!(table, "<small>{}</small>", escaped(why));
            }
        }
        table.push('\n');
    }
    table.push_str("</tbody>");
    let mut logs = String::new();
    for (number, run) in runs.iter().enumerate() {
        for case in &run.cases {
            log(&mut logs, number, run, case);
        }
    }
    HEAD.replace("<!--table-->", &table)
        .replace("<!--logs-->", &logs)
}

/// Where the log of a case stands.
fn place(run: usize, case: &CaseResult) -> String {
    format!("{run}.{}", case.id)
}

fn log(logs: &mut String, number: usize, run: &Run, case: &CaseResult) {
    let _ = write!(
        logs,
        r##"<section id="{}"><a href="#_">close</a><h2>{}: {}</h2><p>{}. {}"##,
        place(number, case),
        escaped(&run.name),
        escaped(&case.id),
        escaped(&case.title),
        escaped(&case.why),
    );
    for check in &case.checks {
        let _ = write!(
            logs,
            r#"<p><span class="{0}">{0}</span> <code>{1}</code>"#,
            check.verdict.name(),
            escaped(&check.id),
        );
        if let Some(why) = check.told() {
            let _ = write!(logs, "<br><strong>{}</strong>", escaped(&why));
        }
        for spec in &check.spec {
            let _ = write!(logs, "<small>{}</small>", escaped(&super::statement(spec)));
        }
    }
    logs.push_str("<pre>");
    for line in super::terminal::log(case) {
        let _ = writeln!(logs, "{}", escaped(&line));
    }
    logs.push_str("</pre></section>\n");
}
