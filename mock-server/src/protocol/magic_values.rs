//! Magic values, each of which is always refused in the same way, for tests that cannot reach the control plane.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::rules::{Rule, RuleSet};
use super::tables::TABLES;

/// One row of `rules.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Magic {
    /// The member, or `access_token` for a Bearer credential.
    place: String,
    value: String,
    rule: String,
    text: String,
}

/// A test shows that it names rules.
static TABLE: LazyLock<Vec<(&Magic, Rule)>> = LazyLock::new(|| {
    let rows = TABLES.magic.iter();
    rows.map(|row| {
        let rule = Rule::ALL.iter().find(|rule| rule.id() == row.rule);
        (row, *rule.expect("a rule, as a test shows"))
    })
    .collect()
});

/// Maximum length of a magic value. Issued codes and tokens are longer, and skip the lookup.
const LONGEST: usize = 32;

/// Refuses a magic value, even if its rule is off.
pub(crate) fn check(place: &'static str, secret: &str) -> Result<(), Refusal> {
    if secret.len() > LONGEST {
        return Ok(());
    }
    let mut rows = TABLE.iter().filter(|(row, _)| row.place == place);
    match rows.find(|(row, _)| row.value == secret) {
        None => Ok(()),
        Some((row, rule)) => Err(Refusal {
            rule: *rule,
            detail: place.to_owned(),
            expected: format!("{place}: not a magic value"),
            actual: format!("{place}: {}, {}", row.value, row.text),
        }),
    }
}

/// The table of magic values with the answer to each.
pub(crate) fn table(rules: &RuleSet) -> Value {
    let rows = TABLE.iter().map(|(row, rule)| {
        let (status, error) = rules.answer(*rule);
        json!({
            "place": row.place,
            "value": row.value,
            "text": row.text,
            "rule": row.rule,
            "status": status,
            "error": error,
        })
    });
    json!({ "magic": rows.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_and_no_value_is_one_that_the_mock_issues() {
        for (row, _) in TABLE.iter() {
            assert!(row.value.len() <= LONGEST, "{}", row.value);
            assert!(row.value.contains("mock_"), "{}", row.value);
        }
    }
}
