//! What was seen of a case, as one JSON document, and how checks and arguments find their way in it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// What a path leads to: one value, or with a `*` in it one for each item of a list.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    One(Option<Value>),
    Each(Vec<Option<Value>>),
}

/// Follows `wire.token.0.json.client_id`; a negative number counts from the end, `*` stands for each.
pub(crate) fn find(document: &Value, path: &str) -> Found {
    match path.split_once(".*") {
        None => Found::One(step_by_step(document, path)),
        Some((list, rest)) => match step_by_step(document, list) {
            Some(Value::Array(items)) => {
                let rest = rest.strip_prefix('.').unwrap_or(rest);
                Found::Each(items.iter().map(|item| step_by_step(item, rest)).collect())
            }
            _ => Found::One(None),
        },
    }
}

fn step_by_step(document: &Value, path: &str) -> Option<Value> {
    let mut names = path.split('.').filter(|name| !name.is_empty());
    names
        .try_fold(document, |value, name| match value {
            Value::Object(members) => members.get(name),
            Value::Array(items) => {
                let index: i64 = name.parse().ok()?;
                let index = match usize::try_from(index) {
                    Ok(index) => index,
                    Err(_) => items.len().checked_sub(usize::try_from(-index).ok()?)?,
                };
                items.get(index)
            }
            _ => None,
        })
        .cloned()
}

/// Why a `${…}` stands for nothing.
#[derive(Debug, PartialEq)]
pub(crate) enum Missing {
    /// The step that was to give it did not: the case ends here.
    NotGiven(String),
    /// No step has this name.
    Unknown(String),
}

/// Replaces `${path}` in texts; a text that is nothing else becomes what is there, of whatever type.
pub(crate) fn fill(document: &Value, value: &Value) -> Result<Value, Missing> {
    Ok(match value {
        Value::String(text) => filled_text(document, text)?,
        Value::Array(items) => {
            let items = items.iter().map(|item| fill(document, item));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(members) => Value::Object(fill_members(document, members)?),
        other => other.clone(),
    })
}

/// The paths of all `${path}` in a value.
pub(crate) fn holes(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => {
            let holes = text.split("${").skip(1);
            let paths = holes.filter_map(|rest| rest.split_once('}'));
            paths.map(|(path, _)| path.to_owned()).collect()
        }
        Value::Array(items) => items.iter().flat_map(holes).collect(),
        Value::Object(members) => members.values().flat_map(holes).collect(),
        _ => Vec::new(),
    }
}

/// Whether only the server's records have what is there.
pub(crate) fn is_of_server(path: &str) -> bool {
    let top = path.split('.').next().unwrap_or_default();
    matches!(
        top,
        "wire" | "rules" | "gaps_ms" | "elsewhere" | "connections"
    ) || path.starts_with("leaks.wire")
}

pub(crate) fn fill_members(
    document: &Value,
    members: &Map<String, Value>,
) -> Result<Map<String, Value>, Missing> {
    let filled = members
        .iter()
        .map(|(name, value)| Ok((name.clone(), fill(document, value)?)));
    filled.collect()
}

pub(crate) fn fill_text(document: &Value, text: &str) -> Result<String, Missing> {
    Ok(match filled_text(document, text)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

fn filled_text(document: &Value, text: &str) -> Result<Value, Missing> {
    let Some((before, rest)) = text.split_once("${") else {
        return Ok(Value::String(text.to_owned()));
    };
    let (path, after) = rest
        .split_once('}')
        .ok_or_else(|| Missing::Unknown(text.to_owned()))?;
    // Null is what a shim says for nothing.
    let found = step_by_step(document, path).filter(|found| !found.is_null());
    let found = found.ok_or_else(|| {
        let name = path.split('.').next().unwrap_or_default();
        match document.get(name) {
            Some(_) => Missing::NotGiven(path.to_owned()),
            None => Missing::Unknown(path.to_owned()),
        }
    })?;
    if before.is_empty() && after.is_empty() {
        return Ok(found);
    }
    let found = match found {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let after = fill_text(document, after)?;
    Ok(Value::String(format!("{before}{found}{after}")))
}

/// The text without what looks like a credential, for reports.
pub(crate) fn masked(text: &str, secrets: &[String]) -> String {
    const PREFIXES: [&str; 8] = [
        "pat_",
        "sat_",
        "czu_",
        "czs_",
        "code_mock",
        "mock_",
        "eyJ",
        "MII",
    ];
    let mut shown = text.to_owned();
    for secret in secrets {
        let bytes = secret.as_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let [plain, url] = [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|engine| engine.encode(bytes));
        let query: String = url::form_urlencoded::byte_serialize(bytes).collect();
        // A short one is masked by no other rule, however it is written.
        for spelling in [secret, &hex, &plain, &url, &query] {
            shown = shown.replace(spelling.as_str(), "***");
        }
    }
    let in_word = |c: char| c.is_ascii_alphanumeric() || "-_~".contains(c);
    let mut masked = String::with_capacity(shown.len());
    let mut rest = shown.as_str();
    while let Some(start) = rest.find(in_word) {
        masked.push_str(&rest[..start]);
        let word = &rest[start..];
        let end = word.find(|c| !in_word(c)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        let known = PREFIXES
            .iter()
            .any(|prefix| word.starts_with(prefix) && word.len() > prefix.len() + 6);
        match known || word.len() >= 40 {
            true => masked.push_str("***"),
            false => masked.push_str(word),
        }
        rest = after;
    }
    masked + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_that_leads_nowhere_is_told_from_null() {
        let document = json!({ "a": [{ "b": null }, { "b": 2 }] });
        assert_eq!(find(&document, "a.0.b"), Found::One(Some(Value::Null)));
        assert_eq!(find(&document, "a.-1.b"), Found::One(Some(json!(2))));
        assert_eq!(find(&document, "a.2.b"), Found::One(None));
        assert_eq!(find(&document, "a.-3.b"), Found::One(None));
        assert_eq!(find(&document, "a.*.c"), Found::Each(vec![None, None]));
        assert_eq!(find(&document, "x.*.c"), Found::One(None));
    }

    #[test]
    fn holes_are_filled_or_told() {
        let document = json!({ "t": { "ok": { "n": 5 } }, "e": { "err": {} } });
        let fill = |text: &str| fill(&document, &json!(text));
        assert_eq!(fill("${t.ok.n}"), Ok(json!(5)));
        assert_eq!(fill("/a/${t.ok.n}/${t.ok.n}"), Ok(json!("/a/5/5")));
        assert_eq!(fill("${e.ok.n}"), Err(Missing::NotGiven("e.ok.n".into())));
        assert_eq!(fill("${x.ok}"), Err(Missing::Unknown("x.ok".into())));
    }

    #[test]
    fn reports_show_no_credential() {
        let shown = masked(
            "token czu_mock_0123456789, own-secret, 6f776e2d736563726574, b3duLXNlY3JldA==",
            &["own-secret".into()],
        );
        assert_eq!(shown, "token ***, ***, ***, ***==");
    }
}
