//! The cases and what they rest on, embedded.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::case::Case;
use crate::check;

include!(concat!(env!("OUT_DIR"), "/cases.rs"));

/// The JSON Schema of a file of cases.
pub const CASE_SCHEMA: &str = include_str!("../case.schema.json");

const SPECS: &str = include_str!("../specs.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "$schema")]
    _schema: String,
    cases: Vec<Case>,
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
pub fn cases() -> Result<Vec<Case>, String> {
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
pub fn specs() -> Result<BTreeMap<String, Spec>, String> {
    serde_json::from_str(SPECS).map_err(|error| format!("specs.json: {error}"))
}
