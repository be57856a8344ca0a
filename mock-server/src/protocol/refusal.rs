//! A request that broke a rule.

use super::rules::Rule;
use crate::limits::MAX_PARAMETER;

/// A request broke a rule. What Coze would answer is in the rule's row; the rest is for people.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) rule: Rule,
    /// Fills the `{}` of the rule's message.
    pub(crate) detail: String,
    pub(crate) expected: String,
    pub(crate) actual: String,
}

impl Refusal {
    /// `name` is the parameter, `came` what was found in its place.
    pub(crate) fn parameter(rule: Rule, name: &str, came: &str) -> Self {
        let expected = match rule {
            Rule::ParamOnce => format!("{name} once"),
            Rule::ParamLength => format!("{name} of at most {MAX_PARAMETER} bytes"),
            _ => format!("{name}, a string that is not empty"),
        };
        Self {
            rule,
            detail: name.to_owned(),
            expected,
            actual: format!("{name}: {came}"),
        }
    }

    /// Refuses a parameter that is too long to be kept.
    pub(crate) fn limit_length(name: &str, value: &str) -> Result<(), Self> {
        if value.len() <= MAX_PARAMETER {
            return Ok(());
        }
        let came = format!("{} bytes", value.len());
        Err(Self::parameter(Rule::ParamLength, name, &came))
    }

    pub(crate) fn message(&self) -> String {
        self.rule.text().message.replace("{}", &self.detail)
    }
}
