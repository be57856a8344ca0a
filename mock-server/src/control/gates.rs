//! Gates, for tests in other processes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use super::reply::{Handled, Json, Problem, done, parse};
use super::requests::waiting_client;
use crate::intercept::gate::GateState;
use crate::intercept::phase::At;
use crate::intercept::selector::SelectorSpec;
use crate::limits::{DEFAULT_WAIT_MS, MAX_GATE_NAME, MAX_GATES, MAX_WAIT_MS};
use crate::web::in_world::InWorld;
use crate::world::World;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    on: SelectorSpec,
    at: String,
}

pub(super) async fn set(InWorld(world): InWorld, Path(name): Path<String>, body: Bytes) -> Handled {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if name.len() > MAX_GATE_NAME || !name.chars().all(plain) {
        let text = format!(
            "a gate's name must consist of at most {MAX_GATE_NAME} characters of A-Z a-z 0-9 - . _"
        );
        return Err(Problem::bad(text));
    }
    let shape = r#"{"on":{"endpoint":"token","grant":"refresh_token"?,"client_id":"…"?},"at":"request"|"answer"}"#;
    let request: Set = parse(&body, shape)?;
    let on = request.on.on().map_err(Problem::bad)?;
    let at = At::named(&request.at).map_err(Problem::bad)?;
    if world.gates.put(GateState::new(&name, on, at), MAX_GATES) {
        return Ok(done());
    }
    let text = format!("there are already {MAX_GATES} gates; DELETE one of them, or POST /reset");
    Err(Problem::new(StatusCode::CONFLICT, text))
}

fn find(world: &World, name: &str) -> Result<Arc<GateState>, Problem> {
    world.gates.named(name).ok_or_else(|| {
        let body = json!({ "error": "unknown gate", "gates": world.gates.names() });
        Problem(StatusCode::NOT_FOUND, body)
    })
}

pub(super) async fn watch(InWorld(world): InWorld, Path(name): Path<String>, uri: Uri) -> Handled {
    let (mut wanted, mut wait_ms) = (0, DEFAULT_WAIT_MS);
    for (key, value) in form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
        match (key.as_ref(), value.parse()) {
            ("arrived", Ok(n)) => wanted = n,
            ("timeout_ms", Ok(ms)) if ms <= MAX_WAIT_MS => wait_ms = ms,
            _ => {
                let text = format!("expected arrived=N and timeout_ms=0 to {MAX_WAIT_MS}");
                return Err(Problem::bad(text));
            }
        }
    }
    let gate = find(&world, &name)?;
    let _client = waiting_client(&world)?;
    let n = usize::try_from(wanted).unwrap_or(usize::MAX);
    let reached = gate.arrived(n, Duration::from_millis(wait_ms)).await;
    let (arrived, waiting) = gate.counts();
    Ok(Json(json!({
        "name": gate.name,
        "arrived": arrived,
        "waiting": waiting,
        "reached": reached,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    n: Option<usize>,
}

pub(super) async fn release(
    InWorld(world): InWorld,
    Path(name): Path<String>,
    body: Bytes,
) -> Handled {
    let request: Release = parse(&body, r#"{"n":1}, or {} for all that wait"#)?;
    let gate = find(&world, &name)?;
    match request.n {
        Some(n) => gate.release(n),
        None => gate.release_waiting(),
    }
    Ok(done())
}

pub(super) async fn open(InWorld(world): InWorld, Path(name): Path<String>) -> Handled {
    world.gates.remove(&find(&world, &name)?);
    Ok(done())
}
