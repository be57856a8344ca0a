//! What else can be seen: tokens and their lineage, leaks, metrics, and the tables of rules.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Problem, metrics, parse, plain, respond};
use crate::protocol::magic_values;
use crate::protocol::rules::{Evidence, Rule};
use crate::server::router::Shared;
use crate::state::{leak_scanner, provenance, token_table};

const LISTED: usize = 1_000;

fn limit(uri: &Uri) -> Result<usize, Problem> {
    let mut limit = LISTED;
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
        match (name.as_ref(), value.parse()) {
            ("limit", Ok(n)) => limit = n,
            _ => return Err(Problem::bad("expected limit=N")),
        }
    }
    Ok(limit)
}

pub(super) async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    respond(limit(&uri).map(|limit| {
        let world = shared.world();
        json!({
            "tokens": token_table::list(&world, limit),
            "evicted": token_table::forgotten(&world),
        })
    }))
}

pub(super) async fn family(
    State(shared): State<Arc<Shared>>,
    Path(fingerprint): Path<String>,
    uri: Uri,
) -> Response {
    respond(limit(&uri).and_then(|limit| {
        let wanted = provenance::parse(&fingerprint).ok_or_else(|| {
            Problem::bad("a fingerprint is the first 16 hex digits of a token's SHA-256")
        })?;
        let world = shared.world();
        let found = token_table::lineage(&world, wanted, limit);
        let (total, lineage) = found.ok_or_else(|| {
            let text = "no token or code with this fingerprint, and none that came from it";
            Problem::new(StatusCode::NOT_FOUND, text)
        })?;
        Ok(json!({ "total": total, "lineage": lineage }))
    }))
}

pub(super) async fn leaks(State(shared): State<Arc<Shared>>) -> Response {
    let world = shared.world();
    let all: Vec<_> = world.leaks.iter().collect();
    respond(Ok(json!({ "total": world.leaks.total, "leaks": all })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

/// For what a client wrote elsewhere, such as its log.
pub(super) async fn leaks_of_text(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    respond(parse(&body, r#"{"text":"…"}"#).map(|asked: Text| {
        let found = leak_scanner::of_text(&shared.world(), &asked.text);
        json!({ "total": found.len(), "leaks": found })
    }))
}

pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    plain("text/plain; version=0.0.4", metrics::text(&shared))
}

pub(super) async fn magic(State(shared): State<Arc<Shared>>) -> Response {
    respond(Ok(magic_values::table(&shared.world().settings.rules)))
}

pub(super) async fn fidelity(State(shared): State<Arc<Shared>>) -> Response {
    let world = shared.world();
    let set = &world.settings.rules;
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
    respond(Ok(json!({ "evidence": evidence, "rules": rules })))
}
