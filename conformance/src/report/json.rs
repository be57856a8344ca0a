//! For machines: a stream of lines, from which everything else can be made, and a summary.

use serde_json::{Value, json};

use crate::result::{Run, exit_code};

/// One object a line: a header for each run, its cases, its checks, and a footer.
#[must_use]
pub fn lines(runs: &[Run]) -> String {
    let mut lines = Vec::new();
    for run in runs {
        lines.push(json!({ "type": "header", "format": 1, "run": run.name, "about": run.about }));
        for case in &run.cases {
            let mut told = json!(case);
            told["type"] = "case".into();
            told["run"] = run.name.clone().into();
            let checks = told.as_object_mut().and_then(|told| told.remove("checks"));
            lines.push(told);
            for mut check in checks
                .as_ref()
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
            {
                check["type"] = "check".into();
                check["run"] = run.name.clone().into();
                lines.push(check);
            }
        }
        let mut footer = summary(run);
        footer["type"] = "footer".into();
        lines.push(footer);
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Totals of each run, and the verdict of each check.
#[must_use]
pub fn whole(runs: &[Run]) -> String {
    let all: Vec<Value> = runs
        .iter()
        .map(|run| {
            let mut told = summary(run);
            let checks = run
                .checks()
                .map(|(_, check)| (check.id.clone(), check.verdict.name().into()));
            told["about"] = json!(run.about);
            told["checks"] = Value::Object(checks.collect());
            told
        })
        .collect();
    format!(
        "{:#}\n",
        json!({ "format": 1, "exit": exit_code(runs), "runs": all })
    )
}

fn summary(run: &Run) -> Value {
    let mut totals = json!({});
    for (_, check) in run.checks() {
        let level = super::terminal::level(check.level);
        let count = totals[level][check.verdict.name()]
            .as_u64()
            .unwrap_or_default();
        totals[level][check.verdict.name()] = (count + 1).into();
    }
    json!({
        "run": run.name,
        "totals": totals,
        "score": run.score,
        "stale": run.unused,
        "incomplete": run.incomplete,
    })
}
