//! The results of cases.

use serde::Serialize;
use serde_json::Value;

use crate::case::{Kind, Level};
use crate::client::About;
use crate::suite::Requirements;

/// The verdict of a check for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::exhaustive_enums)] // reports tell all of them
pub enum Verdict {
    /// As it has to be.
    Pass,
    /// Not as it has to be, and the list of known failures says so.
    KnownFail,
    /// The client has not declared what it takes.
    NotApplicable,
    /// It stands after a check that failed, and says nothing without it.
    NotJudged,
    /// Not as it has to be.
    Fail,
    /// The client declared what it takes, and could not be brought to do it.
    NotTestable,
    /// The list of known failures has it, and it passes.
    FixedButListed,
    /// Another verdict than in a run before.
    Flaky,
    /// The suite itself went wrong.
    HarnessError,
}

impl Verdict {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::KnownFail => "known-fail",
            Self::NotApplicable => "not-applicable",
            Self::NotJudged => "not-judged",
            Self::Fail => "fail",
            Self::NotTestable => "not-testable",
            Self::FixedButListed => "fixed-but-listed",
            Self::Flaky => "flaky",
            Self::HarnessError => "harness-error",
        }
    }
}

/// One check of one client.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CheckResult {
    /// `case#check`.
    pub id: String,
    /// How much it weighs.
    pub level: Level,
    /// From what it follows.
    pub spec: Vec<String>,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why, unless it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What the list of known failures says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
}

/// Why somebody expects a check to fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Known {
    /// The defect.
    pub reason: String,
    /// Where its makers were told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
}

/// One case of one client.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CaseResult {
    /// The case.
    pub id: String,
    /// What is right.
    pub title: String,
    /// What it is about.
    pub kind: Kind,
    /// Whom it hurts.
    pub why: String,
    /// Its checks.
    pub checks: Vec<CheckResult>,
    /// The operations with their results, and what the server saw, redacted.
    pub log: Vec<Value>,
    /// Real time.
    pub real_ms: u64,
    /// Virtual time that passed.
    pub virtual_ms: u64,
}

/// All cases of one client.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Run {
    /// What reports call it.
    pub name: String,
    /// What it said of itself.
    pub about: About,
    /// In the order of the suite.
    pub cases: Vec<CaseResult>,
    /// Known failures that no check of this run has.
    pub unused: Vec<String>,
    /// How many of the requirements it meets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// It could not be brought to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

/// How many checks of a frozen set of requirements a client passes. Checks that are newer are not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Score {
    /// The set.
    pub date: String,
    /// Passed.
    pub passed: usize,
    /// Applicable to the client: passed, failed, or not judged because an earlier check failed. So nobody's score
    /// gets better by failing sooner.
    pub of: usize,
    /// Not applicable to it.
    pub not_applicable: usize,
}

impl Score {
    /// The score of these cases.
    #[must_use]
    pub fn of(set: &Requirements, cases: &[CaseResult]) -> Self {
        let checks = cases.iter().flat_map(|case| &case.checks);
        let scored: Vec<_> = checks
            .filter(|check| set.must.contains(&check.id))
            .collect();
        let (passed, of) = passed(scored.iter().copied());
        Self {
            date: set.date.clone(),
            passed,
            of,
            not_applicable: scored.len() - of,
        }
    }
}

impl Run {
    /// Every check, with its case.
    pub fn checks(&self) -> impl Iterator<Item = (&CaseResult, &CheckResult)> {
        let of = |case| move |check| (case, check);
        self.cases
            .iter()
            .flat_map(move |case| case.checks.iter().map(of(case)))
    }

    /// Number of checks of this level with this verdict.
    #[must_use]
    pub fn count(&self, level: Level, verdict: Verdict) -> usize {
        self.checks()
            .filter(|(_, check)| check.level == level && check.verdict == verdict)
            .count()
    }

    /// Number of checks with this verdict.
    #[must_use]
    pub fn total(&self, verdict: Verdict) -> usize {
        self.checks()
            .filter(|(_, check)| check.verdict == verdict)
            .count()
    }

    /// How many checks of this level it passes, and of how many that are applicable to it.
    #[must_use]
    pub fn passed(&self, level: Level) -> (usize, usize) {
        passed(
            self.checks()
                .map(|(_, check)| check)
                .filter(|check| check.level == level),
        )
    }
}

/// How many of these are passed, and how many applicable: a check that was not judged is counted, too.
fn passed<'a>(checks: impl Iterator<Item = &'a CheckResult>) -> (usize, usize) {
    checks.fold((0, 0), |(passed, of), check| match check.verdict {
        Verdict::NotApplicable => (passed, of),
        Verdict::Pass | Verdict::FixedButListed => (passed + 1, of + 1),
        _ => (passed, of + 1),
    })
}

impl CheckResult {
    /// Why it did not pass, with what is known of it.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let why = self.why.as_deref();
        let Some(Known { reason, issue }) = &self.known else {
            return why.map(str::to_owned);
        };
        let issue = issue.as_ref().map(|issue| format!(" ({issue})"));
        Some(format!(
            "{reason}{}: {}",
            issue.unwrap_or_default(),
            why.unwrap_or_default()
        ))
    }

    /// It turns a run red: it failed, nobody knows of it, and it is more than an observation.
    #[must_use]
    pub fn is_unexpected(&self) -> bool {
        self.level != Level::Observe
            && matches!(
                self.verdict,
                Verdict::Fail | Verdict::NotTestable | Verdict::Flaky
            )
    }
}

/// The exit code of a run: 0 fine, 1 an unexpected failure, 2 a known failure that is none, 3 incomplete,
/// 4 the suite itself. Of several the one that makes the others less worth counts.
#[must_use]
pub fn exit_code(runs: &[Run]) -> u8 {
    let any = |is: &dyn Fn(&Run) -> bool| runs.iter().any(is);
    if any(&|run| run.total(Verdict::HarnessError) > 0) {
        4
    } else if runs.is_empty() || any(&|run| run.incomplete.is_some() || run.cases.is_empty()) {
        3
    } else if any(&|run| run.checks().any(|(_, check)| check.is_unexpected())) {
        1
    } else if any(&|run| run.total(Verdict::FixedButListed) > 0 || !run.unused.is_empty()) {
        2
    } else {
        0
    }
}
