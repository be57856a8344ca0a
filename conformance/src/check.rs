//! The operators of checks. What a path does not lead to fails, unless the check asks for its absence.

use regex::Regex;
use serde_json::Value;

use crate::case::Check;
use crate::observe::{self, Found, Missing};

/// The result of a check.
pub(crate) enum Judged {
    Pass,
    /// What was expected, and the actual value.
    Fail(String),
    /// The check itself is wrong.
    Wrong(String),
}

/// Whether the check may stand in a case: it has one operator, which is known, and its operand.
pub(crate) fn problem(check: &Check) -> Option<String> {
    let mut operators = check.has.iter();
    let (Some((operator, operand)), None) = (operators.next(), operators.next()) else {
        return Some(format!("{} has not exactly one operator", check.id));
    };
    let fits = match operator.as_str() {
        "eq" | "ne" => true,
        "exists" | "absent" | "ok" | "unique" => *operand == Value::Bool(true),
        "contains" | "lacks" => operand.is_string() || operand.is_i64(),
        "matches" => operand
            .as_str()
            .is_some_and(|text| Regex::new(text).is_ok()),
        "each_gte" | "gte" | "lte" | "max_chars" => operand.is_i64(),
        "count" | "count_gte" | "count_lte" => operand.is_u64(),
        "one_of" | "err" => operand.as_array().is_some_and(|all| !all.is_empty()),
        _ => false,
    };
    (!fits).then(|| format!("{}: no operator {operator} with {operand}", check.id))
}

pub(crate) fn judge(document: &Value, check: &Check) -> Judged {
    let Some((operator, operand)) = check.has.first_key_value() else {
        return Judged::Wrong("it has no operator".to_owned());
    };
    let operand = match observe::fill(document, operand) {
        Ok(operand) => operand,
        Err(Missing::NotGiven(path)) => {
            return Judged::Fail(format!("{path}, to compare with, is absent"));
        }
        Err(Missing::Unknown(path)) => return Judged::Wrong(format!("no step gives {path}")),
    };
    let top = check.at.split('.').next().unwrap_or_default();
    if document.get(top).is_none() {
        // A step that was not reached gave nothing: that is not a pass, whatever is asked of it.
        return Judged::Fail(format!("{top}: the case did not come that far"));
    }
    let found = observe::find(document, &check.at);
    let at = &check.at;
    let holds = match (operator.as_str(), &found) {
        ("absent", Found::One(found)) => Ok(found.is_none() && parent_is_there(document, at)),
        ("absent", Found::Each(all)) => Ok(all.iter().all(Option::is_none)),
        (_, Found::One(None)) => return Judged::Fail(format!("{at}: there is none")),
        (_, Found::Each(all)) if all.is_empty() || all.contains(&None) => {
            return Judged::Fail(format!("{at}: not everywhere, or there is nothing"));
        }
        (operator, Found::One(Some(value))) => holds(operator, value, &operand),
        (operator, Found::Each(all)) => {
            let all: Vec<Value> = all.iter().flatten().cloned().collect();
            match operator {
                "count" | "count_gte" | "count_lte" | "unique" | "each_gte" | "contains" => {
                    holds(operator, &Value::Array(all), &operand)
                }
                // Of each of them.
                _ => all.iter().try_fold(true, |so_far, value| {
                    Ok(so_far & holds(operator, value, &operand)?)
                }),
            }
        }
    };
    match holds {
        Ok(true) => Judged::Pass,
        Ok(false) => Judged::Fail(format!(
            "{at}: expected {operator} {}, actual {}",
            brief(&operand),
            match (operator.as_str(), &found) {
                ("count" | "count_gte" | "count_lte", Found::One(Some(Value::Array(items)))) => {
                    items.len().to_string()
                }
                _ => actual(&found),
            }
        )),
        Err(problem) => Judged::Fail(format!("{at}: {problem}, actual {}", actual(&found))),
    }
}

/// Absence says something only where the thing could have been.
fn parent_is_there(document: &Value, path: &str) -> bool {
    let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
    matches!(observe::find(document, parent), Found::One(Some(_)))
}

fn holds(operator: &str, value: &Value, operand: &Value) -> Result<bool, String> {
    let number = |value: &Value| value.as_f64().ok_or("it is not a number");
    let list = |value: &Value| value.as_array().cloned().ok_or("it is not a list");
    Ok(match operator {
        "eq" => value == operand,
        "ne" => value != operand,
        "exists" => !value.is_null(),
        "ok" => value.get("ok").is_some(),
        "err" => {
            let kind = value.get("err").and_then(|err| err.get("kind"));
            kind.is_some_and(|kind| list(operand).is_ok_and(|kinds| kinds.contains(kind)))
        }
        "one_of" => list(operand)?.contains(value),
        "contains" | "lacks" => {
            let has = match (value, operand) {
                (Value::String(text), Value::String(wanted)) => text.contains(wanted),
                (Value::Array(items), _) => items.iter().any(|item| item == operand),
                _ => return Err("it is neither text, beside a text, nor list".to_owned()),
            };
            has == (operator == "contains")
        }
        "matches" => {
            let pattern = Regex::new(operand.as_str().unwrap_or_default());
            let text = value.as_str().ok_or("it is not a text")?;
            pattern.map_err(|error| error.to_string())?.is_match(text)
        }
        "max_chars" => {
            let text = value.as_str().ok_or("it is not a text")?;
            text.chars().count() as u64 <= operand.as_u64().unwrap_or_default()
        }
        "gte" => number(value)? >= number(operand)?,
        "lte" => number(value)? <= number(operand)?,
        "each_gte" => {
            let (items, least) = (list(value)?, number(operand)?);
            !items.is_empty()
                && items
                    .iter()
                    .all(|item| item.as_f64().is_some_and(|item| item >= least))
        }
        "unique" => {
            let items = list(value)?;
            let differ = |(index, item)| !items[..index].contains(item);
            !items.is_empty() && items.iter().enumerate().all(differ)
        }
        "count" | "count_gte" | "count_lte" => {
            let (count, wanted) = (
                list(value)?.len() as u64,
                operand.as_u64().unwrap_or_default(),
            );
            match operator {
                "count" => count == wanted,
                "count_gte" => count >= wanted,
                _ => count <= wanted,
            }
        }
        _ => return Err(format!("unknown operator {operator}")),
    })
}

fn actual(found: &Found) -> String {
    match found {
        Found::One(None) => "nothing".to_owned(),
        Found::One(Some(value)) => brief(value),
        Found::Each(all) => {
            let all: Vec<Value> = all
                .iter()
                .map(|one| one.clone().unwrap_or_default())
                .collect();
            brief(&Value::Array(all))
        }
    }
}

/// Of a long list the first; not yet cut, as half a secret could not be masked any more.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(items) if items.len() > 8 => {
            format!(
                "{} items, first {}",
                items.len(),
                Value::from(items[..3].to_vec())
            )
        }
        other => other.to_string(),
    }
}
