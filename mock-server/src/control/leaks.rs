//! Leaks: secrets that requests had where they do not belong.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::reply::{Handled, Json, parse};
use crate::state::leak_scanner;
use crate::web::in_world::InWorld;

pub(super) async fn leaks(InWorld(world): InWorld) -> Json {
    let state = world.state();
    let all: Vec<_> = state.leaks.iter().collect();
    Json(json!({ "total": state.leaks.total, "leaks": all }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

/// Searches a text for secrets of this world, such as the log of a client.
pub(super) async fn leaks_of_text(InWorld(world): InWorld, body: Bytes) -> Handled {
    let request: Text = parse(&body, r#"{"text":"…"}"#)?;
    let found = leak_scanner::of_text(&world.state(), &request.text);
    Ok(Json(json!({ "total": found.len(), "leaks": found })))
}
