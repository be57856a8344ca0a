//! What the exchanges have shown so far, by rule.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::judge::{Difference, Findings};
use super::statements::About;
use crate::protocol::request::Incoming;

/// Maximum number of different differences that are kept for a rule.
const MAX_KINDS: usize = 16;

/// What was found about one rule or sentence.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) agrees: u64,
    pub(crate) differs: u64,
    pub(crate) not_judged: u64,
    /// Each kind of difference once, with where it was seen and how often.
    pub(crate) differences: Vec<(Difference, String, u64)>,
    pub(crate) reasons: BTreeMap<&'static str, u64>,
}

/// What the exchanges have shown so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: BTreeMap<&'static str, Row>,
    /// Number of exchanges that were looked at.
    pub(crate) exchanges: u64,
    /// Number of those whose outcome was not judged.
    not_judged: u64,
    /// Number of requests that were passed on, and are nothing that the mock has.
    pub(crate) others: u64,
    /// Number of requests without an answer.
    pub(crate) lost: u64,
    /// Number of requests that the shadow has refused.
    pub(crate) refused: u64,
    /// Number of exchanges that a record does not have, since it was full.
    pub(crate) left_out: u64,
}

impl Report {
    pub(crate) fn add(&mut self, request: &Incoming, grant: Option<&str>, found: Findings) {
        self.exchanges += 1;
        self.not_judged += u64::from(!found.has_outcome());
        let place = match grant {
            Some(grant) => format!("{}: {grant}", request.endpoint().name()),
            None => request.endpoint().name().to_owned(),
        };
        for about in found.agrees {
            self.rows.entry(about.id()).or_default().agrees += 1;
        }
        for (about, difference) in found.differs {
            let Difference {
                what,
                expected,
                actual,
            } = &difference;
            tracing::warn!(
                rule = about.id(),
                place,
                what,
                expected,
                actual,
                "the upstream differs"
            );
            let row = self.rows.entry(about.id()).or_default();
            row.differs += 1;
            let mut all = row.differences.iter();
            let known = all.position(|(known, at, _)| *known == difference && *at == place);
            match known {
                Some(at) => row.differences[at].2 += 1,
                None if row.differences.len() < MAX_KINDS => {
                    row.differences.push((difference, place.clone(), 1));
                }
                None => {}
            }
        }
        for (about, why) in found.not_judged {
            let row = self.rows.entry(about.id()).or_default();
            row.not_judged += 1;
            *row.reasons.entry(why).or_default() += 1;
        }
    }

    /// The rows in the order of the rules.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (About, &Row)> {
        About::all().filter_map(|about| Some((about, self.rows.get(about.id())?)))
    }

    /// The ids of the rules and sentences in which both differ.
    pub(crate) fn differing(&self) -> Vec<&'static str> {
        let differing = self.rows().filter(|(_, row)| row.differs > 0);
        differing.map(|(about, _)| about.id()).collect()
    }

    pub(crate) fn json(&self, upstream: &[String]) -> Value {
        let rows = self.rows().map(|(about, row)| {
            let differences = row.differences.iter().map(|(difference, place, times)| {
                json!({
                    "place": place,
                    "what": difference.what,
                    "expected": difference.expected,
                    "actual": difference.actual,
                    "times": times,
                })
            });
            let reasons = row
                .reasons
                .iter()
                .map(|(why, times)| json!({ "reason": why, "times": times }));
            json!({
                "rule": about.id(),
                "text": about.text(),
                "evidence": about.evidence(),
                "reference": about.reference(),
                "agrees": row.agrees,
                "differs": row.differs,
                "not_judged": row.not_judged,
                "differences": differences.collect::<Value>(),
                "reasons": reasons.collect::<Value>(),
            })
        });
        json!({
            "upstream": upstream,
            "exchanges": self.exchanges,
            "not_of_the_mock": self.others,
            "without_answer": self.lost,
            "refused_by_the_shadow": self.refused,
            "rules": rows.collect::<Value>(),
        })
    }

    pub(crate) fn text(&self, upstream: &str) -> String {
        let mut text = format!(
            "Shadow of {}: {} exchanges judged, {} not judged, {} passed on that the mock does not have, {} without an answer, {} refused by the shadow\n",
            upstream,
            self.exchanges - self.not_judged,
            self.not_judged,
            self.others,
            self.lost,
            self.refused
        );
        if self.left_out > 0 {
            let _ = writeln!(
                text,
                "{} more are not in the record, which was full",
                self.left_out
            );
        }
        let _ = writeln!(text, "\nDiffers from the mock");
        let mut is_same = true;
        for (about, row) in self.rows().filter(|(_, row)| row.differs > 0) {
            is_same = false;
            let _ = writeln!(
                text,
                "  {}  ({}, {})\n    {}",
                about.id(),
                about.evidence(),
                about.reference(),
                about.text()
            );
            for (difference, place, times) in &row.differences {
                let Difference {
                    what,
                    expected,
                    actual,
                } = difference;
                let _ = writeln!(
                    text,
                    "    {place}: {what}: the mock {expected}, the upstream {actual}  ({times} ×)"
                );
            }
        }
        if is_same {
            let _ = writeln!(text, "  nothing");
        }
        let _ = writeln!(text, "\nAgrees");
        for (about, row) in self.rows().filter(|(_, row)| row.agrees > 0) {
            let (id, evidence) = (about.id(), about.evidence());
            let _ = writeln!(text, "  {id:<28} {evidence:<10} {} ×", row.agrees);
        }
        let _ = writeln!(text, "\nNot judged");
        for (about, row) in self.rows() {
            for (why, times) in &row.reasons {
                let _ = writeln!(text, "  {:<28} {why}  ({times} ×)", about.id());
            }
        }
        text
    }
}
