//! A refusal: the violation of a rule by a request.

use super::rules::Rule;
use crate::limits::MAX_PARAMETER;

/// The violation of a rule by a request. The row of the rule has the answer of Coze; the members here are for people.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) rule: Rule,
    /// Fills the `{}` of the rule's message.
    pub(crate) detail: String,
    pub(crate) expected: String,
    pub(crate) actual: String,
}

impl Refusal {
    /// Makes a refusal of the parameter `name`. `actual` is what the request has in its place.
    pub(crate) fn parameter(rule: Rule, name: &str, actual: &str) -> Self {
        let expected = match rule {
            Rule::ParamOnce => format!("{name} once"),
            Rule::ParamLength => format!("{name} of at most {MAX_PARAMETER} bytes"),
            _ => format!("{name}, a string that is not empty"),
        };
        Self {
            rule,
            detail: name.to_owned(),
            expected,
            actual: format!("{name}: {actual}"),
        }
    }

    /// Refuses a parameter that is too long to be kept.
    pub(crate) fn limit_length(name: &str, value: &str) -> Result<(), Self> {
        if value.len() <= MAX_PARAMETER {
            return Ok(());
        }
        let actual = format!("{} bytes", value.len());
        Err(Self::parameter(Rule::ParamLength, name, &actual))
    }

    pub(crate) fn message(&self) -> String {
        self.rule.text().message.replace("{}", &self.detail)
    }
}
