//! Known failures: checks that fail, why, and where somebody was told.
//!
//! ```toml
//! [cozepy."device.poll.interval#gap"]
//! reason = "polls every 5 s whatever the server asks for"
//! issue = "https://github.com/coze-dev/coze-py/issues/1"
//! since = "2026-12"
//! ```
//!
//! A `*` stands for one part of the id between dots, or for the check. An entry that no failing check has is
//! stale: the run is red until it is removed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::case::Level;
use crate::result::{Run, Verdict};

/// Known failures, by client and check.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Baseline(BTreeMap<String, BTreeMap<String, Known>>);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    reason: String,
    issue: Option<String>,
    #[serde(rename = "since")]
    _since: Option<String>,
}

impl Baseline {
    /// From TOML.
    ///
    /// # Errors
    ///
    /// What is wrong with it; a reason is not left out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let baseline: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for (client, known) in &baseline.0 {
            for (id, known) in known {
                if known.reason.trim().is_empty() {
                    return Err(format!("{client}: {id} has no reason"));
                }
            }
        }
        Ok(baseline)
    }

    /// Marks what is known. What is listed and passes is marked too, and what is listed and no check is told.
    pub fn apply(&self, run: &mut Run) {
        let none = BTreeMap::new();
        let known = self.0.get(&run.name).unwrap_or(&none);
        let mut used = BTreeSet::new();
        for check in run.cases.iter_mut().flat_map(|case| &mut case.checks) {
            let Some((pattern, entry)) = known.iter().find(|(pattern, _)| fits(pattern, &check.id))
            else {
                continue;
            };
            match check.verdict {
                Verdict::Fail | Verdict::NotTestable => {
                    check.verdict = Verdict::KnownFail;
                    let why = check.why.take().unwrap_or_default();
                    let issue = entry.issue.as_deref().unwrap_or("no issue");
                    check.why = Some(format!("{} ({issue}): {why}", entry.reason));
                    used.insert(pattern.clone());
                }
                // Of several checks of one pattern some may pass.
                Verdict::Pass if !pattern.contains('*') => {
                    check.verdict = Verdict::FixedButListed;
                    check.why = Some("it passes: remove it from the known failures".to_owned());
                    used.insert(pattern.clone());
                }
                _ => {}
            }
        }
        let unused = known.keys().filter(|pattern| !used.contains(*pattern));
        run.unused = unused.cloned().collect();
    }

    /// The list as it would have to be for these runs to be green, reasons kept where there are some.
    #[must_use]
    pub fn for_runs(&self, runs: &[Run]) -> String {
        let mut text = String::new();
        for run in runs {
            for (_, check) in run.checks() {
                let fails = matches!(
                    check.verdict,
                    Verdict::Fail | Verdict::NotTestable | Verdict::KnownFail
                );
                if !fails || check.level == Level::Observe {
                    continue;
                }
                let known = self.0.get(&run.name);
                let known = known.and_then(|known| known.get(&check.id));
                let why = check.why.as_deref().unwrap_or_default();
                let reason = known.map_or(why, |known| &known.reason);
                text += &format!("[{:?}.{:?}]\nreason = {reason:?}\n", run.name, check.id);
                if let Some(issue) = known.and_then(|known| known.issue.as_deref()) {
                    text += &format!("issue = {issue:?}\n");
                }
                text.push('\n');
            }
        }
        text
    }
}

fn fits(pattern: &str, id: &str) -> bool {
    let parts = |text: &str| -> Vec<String> { text.split(['.', '#']).map(str::to_owned).collect() };
    let (pattern, id) = (parts(pattern), parts(id));
    pattern.len() == id.len()
        && pattern
            .iter()
            .zip(&id)
            .all(|(wanted, part)| wanted == "*" || wanted == part)
}

#[cfg(test)]
mod tests {
    use super::{Baseline, fits};

    #[test]
    fn a_star_is_one_part() {
        assert!(fits("device.*.interval#gap", "device.poll.interval#gap"));
        assert!(fits("device.poll.interval#*", "device.poll.interval#gap"));
        assert!(!fits("device.*#gap", "device.poll.interval#gap"));
        assert!(!fits("*.*.*#other", "device.poll.interval#gap"));
    }

    #[test]
    fn a_reason_is_needed() {
        let parse = |reason: &str| Baseline::parse(&format!("[x.\"a.b#c\"]\nreason = {reason:?}"));
        assert!(parse("known").is_ok());
        assert!(parse(" ").is_err());
        assert!(Baseline::parse("[x.\"a.b#c\"]").is_err());
    }
}
