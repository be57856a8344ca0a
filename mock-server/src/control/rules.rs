//! The tables of rules and magic values.

use serde_json::{Value, json};

use super::reply::Json;
use crate::protocol::magic_values;
use crate::protocol::rules::{Evidence, Rule};
use crate::web::in_world::InWorld;

pub(super) async fn magic(InWorld(world): InWorld) -> Json {
    Json(magic_values::table(&world.state().settings.rules))
}

pub(super) async fn fidelity(InWorld(world): InWorld) -> Json {
    let state = world.state();
    let set = &state.settings.rules;
    let rules = Rule::ALL.iter().map(|rule| {
        let row = rule.text();
        let (status, error) = set.answer(*rule);
        json!({
            "id": row.id,
            "text": row.text,
            "evidence": row.evidence.name(),
            "reference": row.reference,
            "switch": row.switch,
            "default": row.default,
            "on": set.is_on(*rule),
            "status": status,
            "error": error,
            "record": row.record,
        })
    });
    let count = |evidence: Evidence| {
        let all = Rule::ALL.iter();
        all.filter(|rule| rule.text().evidence == evidence).count()
    };
    let evidence: serde_json::Map<_, _> = Evidence::ALL
        .into_iter()
        .map(|evidence| (evidence.name().to_owned(), json!(count(evidence))))
        .collect();
    let rules: Value = rules.collect();
    Json(json!({ "evidence": evidence, "rules": rules }))
}
