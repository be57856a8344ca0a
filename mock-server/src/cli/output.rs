//! The answers of the control plane as texts for people.

use std::fmt::Write as _;

use serde_json::Value;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn entries<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}

fn or(lines: Vec<String>, none: &str) -> String {
    match lines.is_empty() {
        true => none.to_owned(),
        false => lines.join("\n"),
    }
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
    or(lines, "no devices wait")
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
    or(lines, "no requests")
}

/// The unmet expectations, one a line; empty if all were met.
pub(crate) fn failures(answer: &Value) -> String {
    let failures = entries(answer, "failures").iter();
    let lines = failures.map(|failure| format!("{}: {}", failure["index"], text(&failure["why"])));
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn tokens(answer: &Value) -> String {
    let mut lines = Vec::new();
    for token in entries(answer, "tokens") {
        let from = match token["from"].as_str() {
            Some(from) => format!("from {from}"),
            None => String::new(),
        };
        let line = format!(
            "{}  {:<13} {:<7}  {}  {from}",
            text(&token["fingerprint"]),
            text(&token["kind"]),
            text(&token["state"]),
            text(&token["client_id"]),
        );
        lines.push(line.trim_end().to_owned());
    }
    or(lines, "no codes or tokens")
}

pub(crate) fn leaks(answer: &Value) -> String {
    let leaks = entries(answer, "leaks").iter();
    let lines = leaks.map(|leak| {
        let name = leak["name"].as_str().unwrap_or_default();
        let line = format!("{} in {} {name}", text(&leak["kind"]), text(&leak["place"]));
        format!("{:<40}  {}", line.trim_end(), text(&leak["logid"]))
    });
    or(lines.collect(), "no leaks")
}

pub(crate) fn keys(answer: &Value) -> String {
    let keys = entries(answer, "keys").iter();
    let lines = keys.map(|key| match key["development"] == true {
        true => format!("{}  the development key", text(&key["kid"])),
        false => text(&key["kid"]).to_owned(),
    });
    or(lines.collect(), "no keys")
}

pub(crate) fn apis(answer: &Value) -> String {
    let lines = entries(answer, "api").iter().map(|api| {
        format!(
            "{}  {} {}: {} {}",
            text(&api["id"]),
            text(&api["method"]),
            text(&api["path"]),
            api["status"],
            text(&api["answers"]),
        )
    });
    or(lines.collect(), "no API calls of your own")
}

pub(crate) fn faults(answer: &Value) -> String {
    let mut lines = Vec::new();
    for fault in entries(answer, "faults") {
        let on = [
            &fault["on"]["endpoint"],
            &fault["on"]["grant"],
            &fault["on"]["client_id"],
            &fault["on"]["path"],
        ];
        let on: Vec<_> = on.into_iter().filter_map(Value::as_str).collect();
        let times = match fault["times"].as_u64() {
            Some(times) => format!(" of {times}"),
            None => String::new(),
        };
        lines.push(format!(
            "{}  {} on {}, acted {}{times}",
            text(&fault["id"]),
            text(&fault["kind"]),
            on.join(" "),
            fault["fired"],
        ));
    }
    or(lines, "no faults")
}

pub(crate) fn worlds(answer: &Value) -> String {
    let worlds = entries(answer, "worlds").iter();
    or(
        worlds
            .map(|world| match world["port_url"].as_str() {
                Some(port) => format!("{}  {port}", text(&world["base_url"])),
                None => text(&world["base_url"]).to_owned(),
            })
            .collect(),
        "no worlds except the first",
    )
}

pub(crate) fn explanation(answer: &Value) -> String {
    let mut lines = String::new();
    for (name, value) in [
        ("world", &answer["world"]),
        ("rule", &answer["rule"]),
        ("meaning", &answer["text"]),
        ("expected", &answer["expected"]),
        ("actual", &answer["actual"]),
        ("fix", &answer["fix"]),
        ("evidence", &answer["evidence"]),
    ] {
        if let Some(value) = value.as_str().filter(|value| !value.is_empty()) {
            let _ = writeln!(lines, "{name:<9} {value}");
        }
    }
    lines.trim_end().to_owned()
}
