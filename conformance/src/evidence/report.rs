//! What the run found, as a text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::questions::QUESTIONS;

/// What was found about one question.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Number of the question.
    pub number: u8,
    /// Each request that counts: what it was, and status, code and message of its answer.
    pub seen: Vec<Value>,
    /// What that says about the service.
    pub means: Vec<String>,
    /// What follows for `mock-server/rules.toml`, or for another setting of the mock that the line names.
    pub changes: Vec<String>,
    /// What was not asked, and why.
    pub not_asked: Vec<String>,
    /// Number of requests that were sent for it.
    pub requests: u32,
}

/// The result of a run.
#[derive(Debug)]
pub struct Findings {
    /// The host of the service, if it is Coze's own or this machine.
    pub(super) service: String,
    /// Kinds of the apps.
    pub(super) apps: Vec<&'static str>,
    /// One for each question, in their order.
    pub all: Vec<Finding>,
    /// Why the run ended before its end.
    pub ended: Option<String>,
    /// The record of the exchanges, which may be shown, or why there is none.
    pub record: Result<String, String>,
}

impl Findings {
    /// Number of requests that were sent.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.all.iter().map(|finding| finding.requests).sum()
    }

    /// The findings as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let questions = self.all.iter().zip(QUESTIONS).map(|(finding, question)| {
            json!({
                "number": question.number,
                "question": question.text,
                "budget": question.budget,
                "requests": finding.requests,
                "seen": finding.seen,
                "means": finding.means,
                "changes": finding.changes,
                "not_asked": finding.not_asked,
            })
        });
        json!({
            "format": "coze-auth-evidence/1",
            "service": self.service,
            "apps": self.apps,
            "requests": self.requests(),
            "budget": super::budget(),
            "ended": self.ended,
            "questions": questions.collect::<Value>(),
        })
    }

    /// The findings for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "Evidence of {} (apps: {}): {} requests of at most {}\n",
            self.service,
            match self.apps.is_empty() {
                true => "none".to_owned(),
                false => self.apps.join(", "),
            },
            self.requests(),
            super::budget()
        );
        if let Some(why) = &self.ended {
            let _ = writeln!(text, "The run ended early: {why}");
        }
        for (finding, question) in self.all.iter().zip(QUESTIONS) {
            let _ = writeln!(text, "\n{:>2}  {}", question.number, question.text);
            for seen in &finding.seen {
                let _ = writeln!(text, "    seen       {}", line(seen));
            }
            for (name, lines) in [
                ("means", &finding.means),
                ("change", &finding.changes),
                ("not asked", &finding.not_asked),
            ] {
                for line in lines {
                    let _ = writeln!(text, "    {name:<10} {line}");
                }
            }
        }
        text
    }
}

/// An answer in one line.
pub(super) fn line(seen: &Value) -> String {
    let mut line = seen["what"].as_str().unwrap_or_default().to_owned();
    let Some(status) = seen["status"].as_u64() else {
        return line;
    };
    let _ = write!(line, ": {status}");
    if let Some(code) = seen["code"].as_str() {
        let _ = write!(line, " {code}");
    }
    if let Some(message) = seen["message"].as_str().filter(|text| !text.is_empty()) {
        let _ = write!(line, " \"{message}\"");
    }
    line
}
