//! Secrets that were seen where they do not belong.

use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::reply::{parse, respond};
use crate::state::leak_scanner;
use crate::web::in_world::InWorld;

pub(super) async fn leaks(InWorld(shared): InWorld) -> Response {
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
pub(super) async fn leaks_of_text(InWorld(shared): InWorld, body: Bytes) -> Response {
    respond(parse(&body, r#"{"text":"…"}"#).map(|asked: Text| {
        let found = leak_scanner::of_text(&shared.world(), &asked.text);
        json!({ "total": found.len(), "leaks": found })
    }))
}
