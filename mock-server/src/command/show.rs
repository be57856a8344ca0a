//! Answers of the control plane, for people.

use std::fmt::Write as _;

use serde_json::Value;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn entries<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn clock(answer: &Value) -> String {
    format!("{} ({})", text(&answer["now"]), text(&answer["mode"]))
}

pub(crate) fn devices(answer: &Value) -> String {
    let mut lines = Vec::new();
    for device in entries(answer, "pending") {
        let seconds = device["expires_in_ms"].as_u64().unwrap_or_default() / 1000;
        lines.push(format!(
            "{}  for {}, expires in {seconds} s",
            text(&device["user_code"]),
            text(&device["client_id"])
        ));
    }
    match lines.is_empty() {
        true => "no device waits".to_owned(),
        false => lines.join("\n"),
    }
}

pub(crate) fn requests(answer: &Value) -> String {
    let mut lines = Vec::new();
    for entry in entries(answer, "requests") {
        let outcome = &entry["outcome"];
        let rule = outcome["rule"].as_str().unwrap_or("");
        let line = format!(
            "{:>4}  {}  {} {}  {}  {rule}",
            entry["seq"],
            outcome["status"],
            text(&entry["method"]),
            text(&entry["path"]),
            text(&outcome["logid"]),
        );
        lines.push(line.trim_end().to_owned());
    }
    match lines.is_empty() {
        true => "no request came".to_owned(),
        false => lines.join("\n"),
    }
}

pub(crate) fn explanation(answer: &Value) -> String {
    let mut lines = String::new();
    for (name, value) in [
        ("rule", &answer["rule"]),
        ("meaning", &answer["text"]),
        ("expected", &answer["expected"]),
        ("came", &answer["came"]),
        ("fix", &answer["fix"]),
        ("evidence", &answer["evidence"]),
    ] {
        if let Some(value) = value.as_str().filter(|value| !value.is_empty()) {
            let _ = writeln!(lines, "{name:<9} {value}");
        }
    }
    lines.trim_end().to_owned()
}
