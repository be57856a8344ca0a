//! The cases and what they rest on, embedded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::case::Case;
use crate::check;

include!(concat!(env!("OUT_DIR"), "/cases.rs"));

/// The JSON Schema of a file of cases.
pub const CASE_SCHEMA: &str = include_str!("../suite/case.schema.json");

const SPECS: &str = include_str!("../suite/specs.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "$schema")]
    _schema: String,
    cases: Vec<Case>,
}

/// A set of requirements that does not change any more: the `must` checks of a date.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Requirements {
    /// `2026-12`.
    pub date: String,
    /// `case#check`.
    pub must: BTreeSet<String>,
}

/// The frozen sets, oldest first.
///
/// # Errors
///
/// If one cannot be read.
pub fn requirements() -> Result<Vec<Requirements>, String> {
    const SETS: &[&str] = &[include_str!("../suite/requirements/2026-12.json")];
    let sets = SETS.iter().map(|text| serde_json::from_str(text));
    sets.collect::<Result<_, _>>()
        .map_err(|error| format!("requirements: {error}"))
}

/// A statement that checks follow from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Spec {
    /// Where it is written.
    pub url: String,
    /// What it says, in our words.
    pub says: String,
    /// How sure we are: `standard`, `documented`, `sdk`, `report` or `guess`.
    pub evidence: String,
}

/// Every case, in the order of files and in them.
///
/// # Errors
///
/// What is wrong with which case.
pub fn cases() -> Result<&'static [Case], String> {
    static ALL: LazyLock<Result<Vec<Case>, String>> = LazyLock::new(read);
    ALL.as_deref().map_err(String::clone)
}

fn read() -> Result<Vec<Case>, String> {
    let mut all = Vec::new();
    for (area, text) in FILES {
        let file: File =
            serde_json::from_str(text).map_err(|error| format!("cases/{area}.json: {error}"))?;
        for case in file.cases {
            if case.area() != *area {
                return Err(format!("{} stands in {area}.json", case.id));
            }
            if let Some(problem) = case.checks.iter().find_map(check::problem) {
                return Err(format!("{}: {problem}", case.id));
            }
            all.push(case);
        }
    }
    Ok(all)
}

/// The table of statements, by id.
///
/// # Errors
///
/// If the table cannot be read.
pub fn specs() -> Result<&'static BTreeMap<String, Spec>, String> {
    static ALL: LazyLock<Result<BTreeMap<String, Spec>, String>> = LazyLock::new(|| {
        serde_json::from_str(SPECS).map_err(|error| format!("specs.json: {error}"))
    });
    ALL.as_ref().map_err(String::clone)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{CASE_SCHEMA, FILES};
    use crate::schema;

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn every_file_is_as_the_schema_says() {
        let schema = parsed(CASE_SCHEMA);
        for (area, text) in FILES {
            let held = schema::hold(&schema, "", &parsed(text));
            assert_eq!(held, Ok(()), "cases/{area}.json");
        }
    }

    /// The schema refuses what the runner would.
    #[test]
    fn the_schema_refuses_what_is_no_case() {
        let schema = parsed(CASE_SCHEMA);
        for (pointer, value) in [
            ("/cases/0/checks/0/level", Value::from("perhaps")),
            ("/cases/0/checks/0/spec", Value::Array(Vec::new())),
            ("/cases/0/steps/0/do", Value::Null),
            ("/cases/0/id", Value::from("No.Slug")),
            ("/cases/0/kind", Value::from("other")),
        ] {
            let mut file = parsed(FILES[0].1);
            *file.pointer_mut(pointer).expect("it is there") = value;
            assert!(schema::hold(&schema, "", &file).is_err(), "{pointer}");
        }
        let mut file = parsed(FILES[0].1);
        file["cases"][0]["checks"][0]["gte"] = 1.into();
        assert!(schema::hold(&schema, "", &file).is_err(), "two operators");
        file = parsed(FILES[0].1);
        file["cases"][0]["checked"] = 1.into();
        assert!(
            schema::hold(&schema, "", &file).is_err(),
            "an unknown member"
        );
    }
}
