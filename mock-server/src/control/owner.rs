//! What the owner of an app or token does in Coze's console.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{Problem, parse, respond};
use crate::redact;
use crate::router::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeToken {
    token: String,
}

/// `/tokens/revoke` kills an access token, refresh token, PAT or SAT; `/tokens/restrict` takes an
/// access token's permission away, so that it gets 4101.
pub(super) async fn change_token(
    State(shared): State<Arc<Shared>>,
    Path(action): Path<String>,
    body: Bytes,
) -> Response {
    let handled = parse(&body, r#"{"token":"…"}"#).and_then(|asked: ChangeToken| {
        let mut world = shared.world();
        let known = match action.as_str() {
            "revoke" => world.revoke(&asked.token),
            "restrict" => world.restrict(&asked.token),
            _ => return Err(Problem::new(StatusCode::NOT_FOUND, "no such control")),
        };
        match known {
            true => Ok(json!({ "ok": true })),
            false => {
                let text = format!("unknown token {}", redact::mask(&asked.token));
                Err(Problem::new(StatusCode::NOT_FOUND, text))
            }
        }
    });
    respond(handled)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeApp {
    enabled: bool,
}

pub(super) async fn change_app(
    State(shared): State<Arc<Shared>>,
    Path(client_id): Path<String>,
    body: Bytes,
) -> Response {
    let handled = parse(&body, r#"{"enabled":true|false}"#).and_then(|asked: ChangeApp| {
        let mut world = shared.world();
        let found = world
            .apps
            .iter_mut()
            .find(|app| !app.removed && app.client_id == client_id);
        let Some(app) = found else {
            return Err(Problem::new(
                StatusCode::NOT_FOUND,
                "no app with this client id",
            ));
        };
        app.enabled = asked.enabled;
        Ok(json!({ "ok": true }))
    });
    respond(handled)
}
