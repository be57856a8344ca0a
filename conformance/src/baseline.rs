//! Known failures: checks that fail, by the defect that fails them, and where its makers were told.
//!
//! ```toml
//! [[cozepy]]
//! reason = "B1: polls every 5 s whatever the server asks for"
//! issue = "https://github.com/…"   # if there is one
//! checks = ["device.poll.interval#gap", "device.poll.retry-after#*"]
//! ```
//!
//! A `*` stands for one part of the id between dots, or for the check; all that fit have to fail. What is listed and
//! does not fail is stale: the run is red until it is removed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::case::{self, Level};
use crate::result::{CheckResult, Known, Run, Verdict};
use crate::suite;

/// Known failures, by client and defect.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Baseline(BTreeMap<String, Vec<Defect>>);

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Defect {
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    issue: Option<String>,
    checks: Vec<String>,
}

impl Baseline {
    /// From TOML.
    ///
    /// # Errors
    ///
    /// What is wrong with it; a reason is not left out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let baseline: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for (client, defects) in &baseline.0 {
            for defect in defects {
                if defect.reason.trim().is_empty() {
                    return Err(format!(
                        "{client}: {} has no reason",
                        defect.checks.join(", ")
                    ));
                }
            }
        }
        Ok(baseline)
    }

    /// Adds those of another file.
    pub fn add(&mut self, other: Self) {
        for (client, defects) in other.0 {
            self.0.entry(client).or_default().extend(defects);
        }
    }

    /// Marks what is known. What is listed and passes is marked too, and what is listed and no failing check is told.
    pub fn apply(&self, run: &mut Run) {
        let defects = self.0.get(&run.name).map_or(&[][..], Vec::as_slice);
        let mut used = BTreeSet::new();
        for check in run.cases.iter_mut().flat_map(|case| &mut case.checks) {
            let Some((pattern, defect)) = find(defects, &check.id) else {
                continue;
            };
            match check.verdict {
                Verdict::Fail | Verdict::NotTestable => {
                    check.verdict = Verdict::KnownFail;
                    check.known = Some(Known {
                        reason: defect.reason.clone(),
                        issue: defect.issue.clone(),
                    });
                    used.insert(pattern);
                }
                Verdict::Pass => {
                    check.verdict = Verdict::FixedButListed;
                    check.why = Some(format!("it passes: take {pattern} off the known failures"));
                    used.insert(pattern);
                }
                _ => {}
            }
        }
        let patterns = defects.iter().flat_map(|defect| &defect.checks);
        let unused = patterns.filter(|pattern| !used.contains(pattern.as_str()));
        run.unused = unused
            .filter(|pattern| !is_left_out(pattern, run))
            .cloned()
            .collect();
    }

    /// The list as it would have to be for these runs to be green. Defects that are listed keep their reason and
    /// the patterns that still fail; each new failure is a defect of its own, until somebody says which it is.
    ///
    /// # Errors
    ///
    /// None that is known: TOML can say all of it.
    pub fn for_runs(&self, runs: &[Run]) -> Result<String, String> {
        let mut all = self.0.clone();
        for run in runs {
            let fails = |check: &CheckResult| {
                check.level != Level::Observe
                    && matches!(
                        check.verdict,
                        Verdict::Fail | Verdict::NotTestable | Verdict::KnownFail
                    )
            };
            let failing: Vec<_> = run
                .checks()
                .map(|(_, check)| check)
                .filter(|check| fails(check))
                .collect();
            let mut defects = all.remove(&run.name).unwrap_or_default();
            for defect in &mut defects {
                let still = |pattern: &String| still_listed(pattern, run, &failing);
                defect.checks = defect.checks.iter().flat_map(still).collect();
            }
            defects.retain(|defect| !defect.checks.is_empty());
            for check in failing {
                if find(&defects, &check.id).is_none() {
                    defects.push(Defect {
                        reason: check.why.clone().unwrap_or_default(),
                        issue: None,
                        checks: vec![check.id.clone()],
                    });
                }
            }
            if !defects.is_empty() {
                all.insert(run.name.clone(), defects);
            }
        }
        toml::to_string_pretty(&Self(all)).map_err(|error| error.to_string())
    }
}

fn find<'a>(defects: &'a [Defect], id: &str) -> Option<(&'a str, &'a Defect)> {
    let patterns = defects.iter().flat_map(|defect| {
        let of = move |pattern: &'a String| (pattern.as_str(), defect);
        defect.checks.iter().map(of)
    });
    patterns.into_iter().find(|(pattern, _)| fits(pattern, id))
}

/// What stays of a pattern: itself, or those that still fail if others that it fits do not.
fn still_listed(pattern: &str, run: &Run, failing: &[&CheckResult]) -> Vec<String> {
    let passes = |check: &CheckResult| {
        matches!(check.verdict, Verdict::Pass | Verdict::FixedButListed) && fits(pattern, &check.id)
    };
    let fitting = failing.iter().filter(|check| fits(pattern, &check.id));
    let ids: Vec<String> = fitting.map(|check| check.id.clone()).collect();
    let is_whole = !ids.is_empty() && !run.checks().any(|(_, check)| passes(check));
    match is_whole || is_left_out(pattern, run) {
        true => vec![pattern.to_owned()],
        false => ids,
    }
}

/// It is of a case that this run has not: a run of some cases says nothing of the others.
fn is_left_out(pattern: &str, run: &Run) -> bool {
    let Ok(all) = suite::cases() else {
        return false;
    };
    let fits_of = |case: &str, check: &str| fits(pattern, &format!("{case}#{check}"));
    !run.checks().any(|(_, check)| fits(pattern, &check.id))
        && all
            .iter()
            .any(|case| case.checks.iter().any(|check| fits_of(&case.id, &check.id)))
}

fn fits(pattern: &str, id: &str) -> bool {
    case::behind(pattern, id).is_some_and(|mut more| more.next().is_none())
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
        let parse =
            |reason: &str| Baseline::parse(&format!("[[x]]\n{reason}\nchecks = [\"a.b#c\"]"));
        assert!(parse("reason = \"known\"").is_ok());
        assert!(parse("reason = \" \"").is_err());
        assert!(parse("").is_err());
    }
}
