//! A case, as its JSON has it. `case.schema.json` is the published form of the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One case: what is done, and what has to be seen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Case {
    /// `area.topic.behaviour`; never used for anything else.
    pub id: String,
    /// What is right, in a line.
    pub title: String,
    /// What it is about.
    pub kind: Kind,
    /// Whom it hurts if this is wrong.
    pub why: String,
    /// The requirement set in which it first stands.
    pub since: String,
    /// Capabilities without which it is not for a client; with `!`, one with which it is not.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Settings of the mock: sections of its configuration, and lists of them.
    #[serde(default)]
    pub mock: BTreeMap<String, Value>,
    /// The subject is to log all that it can.
    #[serde(default)]
    pub log: bool,
    /// Secrets of its own, that no output may show.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// What is done.
    pub steps: Vec<Step>,
    /// What has to be seen afterwards.
    pub checks: Vec<Check>,
    /// How long it may take.
    #[serde(default)]
    pub limits: Limits,
    /// It may run against the real service.
    #[serde(default)]
    pub live_safe: bool,
}

/// What a case is about.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // the published schema has these
pub enum Kind {
    /// Whether client and server understand each other.
    Interop,
    /// Whether a secret stays one.
    Security,
    /// What happens on a bad day.
    Robustness,
    /// Something of Coze's own that no standard has.
    Quirk,
}

/// How much a check weighs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums)] // the published schema has these
pub enum Level {
    /// Wrong, or a hole, if it fails.
    Must,
    /// Wrong on a bad day.
    Should,
    /// Kind to who uses it.
    May,
    /// Worth knowing; it never fails a run.
    Observe,
}

/// One thing that is done. Exactly one of `do`, `mock`, `advance_s`, `leap_s`, `ahead_s`, `behind_s` and `until`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Step {
    /// An operation of the client.
    pub r#do: Option<String>,
    /// A control of the mock: method and path below `/_mock/v1`.
    pub mock: Option<String>,
    /// The arguments, or the body.
    pub with: Map<String, Value>,
    /// The name under which checks and later steps find what it gave.
    pub r#as: Option<String>,
    /// What happens while the operation sleeps.
    pub during: Vec<During>,
    /// It is done so many times, one after the other; the last one counts.
    pub times: Option<u32>,
    /// Time passes.
    pub advance_s: Option<f64>,
    /// Both calendars are set, forward or back; steady time is not.
    pub leap_s: Option<i64>,
    /// The client's calendar is set ahead of the server's.
    pub ahead_s: Option<u64>,
    /// The same, behind.
    pub behind_s: Option<u64>,
    /// Waits, in real time and not for long, until so many requests were answered.
    pub until: Option<Until>,
}

/// What happens in the sleep of this number.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct During {
    /// From 1.
    pub at_sleep: usize,
    /// A control of the mock.
    pub mock: Option<String>,
    /// Its body.
    #[serde(default)]
    pub with: Map<String, Value>,
    /// Both calendars are set.
    pub leap_s: Option<i64>,
    /// Nobody wants the result any more.
    #[serde(default)]
    pub cancel: bool,
}

/// So many requests of a list of the wire.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Until {
    /// A path, such as `wire.jwt`.
    pub at: String,
    /// How many.
    pub count: usize,
}

/// One thing that has to be seen.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// Within the case: `gap` of `device.poll.interval` is `device.poll.interval#gap`.
    pub id: String,
    /// How much it weighs.
    pub level: Level,
    /// Statements of `specs.json` from which it follows.
    pub spec: Vec<String>,
    /// Further capabilities that this check needs.
    #[serde(default)]
    pub needs: Vec<String>,
    /// An earlier check of the case without which this one says nothing: a defect that it told is not counted twice.
    #[serde(default)]
    pub after: Option<String>,
    /// Where to look.
    pub at: String,
    /// What has to be there: one operator and its operand.
    #[serde(flatten)]
    pub has: BTreeMap<String, Value>,
}

/// How long a case may take.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// Seconds of virtual time in one operation; a client that would sleep longer is given up.
    pub virtual_s: u64,
    /// Milliseconds of real time in one operation.
    pub real_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            virtual_s: 3_600,
            real_ms: 10_000,
        }
    }
}

impl Case {
    /// The first part of its id.
    #[must_use]
    pub fn area(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }
}

/// What an id has behind the parts of a pattern, in which `*` stands for any one; none if they differ.
pub(crate) fn behind<'a>(pattern: &str, id: &'a str) -> Option<impl Iterator<Item = &'a str>> {
    let mut parts = id.split(['.', '#']);
    pattern
        .split(['.', '#'])
        .all(|wanted| {
            parts
                .next()
                .is_some_and(|part| wanted == "*" || wanted == part)
        })
        .then_some(parts)
}
