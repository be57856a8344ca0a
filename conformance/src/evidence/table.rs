//! The mock's rules as they are by default, with which an answer is compared.

use std::collections::BTreeMap;

use bytes::Bytes;
use coze_auth_mock::CozeAuthMock;
use serde_json::Value;

use super::wire::Answer;
use super::words;

/// The rules of the mock, by id.
pub(super) struct Table(BTreeMap<String, Value>);

impl Table {
    pub(super) fn read() -> Result<Self, String> {
        let failed = |why: &str| format!("the mock's own rules cannot be read: {why}");
        let mock = CozeAuthMock::builder().build();
        let mock = mock.map_err(|error| failed(&error.to_string()))?;
        let request = coze_auth_core::http::Request::get("/_mock/v1/fidelity").body(Bytes::new());
        let request = request.map_err(|error| failed(&error.to_string()))?;
        let reply: Value = serde_json::from_slice(mock.call_blocking(request).body())
            .map_err(|error| failed(&error.to_string()))?;
        let rules = reply["rules"].as_array().into_iter().flatten();
        let rules = rules.map(|rule| {
            (
                rule["id"].as_str().unwrap_or_default().to_owned(),
                rule.clone(),
            )
        });
        Ok(Self(rules.collect()))
    }

    /// The line of `rules.toml` that changes, if an answer to a request that breaks this rule says so.
    pub(super) fn change(&self, rule: &str, answer: &Answer) -> Option<String> {
        let row = self.0.get(rule)?;
        let (status, error) = (&row["status"], row["error"].as_str().unwrap_or_default());
        if answer.granted() {
            return Some(not_held(rule, row));
        }
        let code = answer.code.as_deref().map(words::code);
        if *status == answer.status && code.as_deref() == Some(error) {
            let is_guess = row["evidence"] == "guess";
            return is_guess
                .then(|| format!("{rule}: evidence = \"report\" (status and code are right)"));
        }
        let code = code.unwrap_or_else(|| "(none)".to_owned());
        Some(format!(
            "{rule}: status = {}, error = \"{code}\", evidence = \"report\" (now {status} \"{error}\")",
            answer.status
        ))
    }

    /// True if the answer is the rule's own, as it stands: status and code.
    pub(super) fn is_as_it_stands(&self, rule: &str, answer: &Answer) -> bool {
        self.0.get(rule).is_some_and(|row| {
            row["status"] == answer.status && row["error"].as_str() == answer.code.as_deref()
        })
    }

    /// The same for a refusal with a page, of which the status alone is compared.
    pub(super) fn change_of_page(&self, rule: &str, answer: &Answer) -> Option<String> {
        let row = self.0.get(rule)?;
        let now = &row["status"];
        let status = answer.status;
        (*now != status)
            .then(|| format!("{rule}: status = {status} at the authorize page (now {now})"))
    }
}

fn not_held(rule: &str, row: &Value) -> String {
    match row["switch"].as_bool() {
        Some(true) => {
            format!("{rule}: default = false, evidence = \"report\" (the service does not hold it)")
        }
        _ => {
            format!("{rule}: remove the rule, or let it be switched (the service does not hold it)")
        }
    }
}
