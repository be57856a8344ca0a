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
use crate::server::router::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeToken {
    token: String,
}

/// Kills an access token, refresh token, PAT or SAT.
pub(super) async fn revoke(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    change_token(&body, |token| shared.world().revoke(token))
}

/// Takes an access token's permission away, so that it gets 4101.
pub(super) async fn restrict(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    change_token(&body, |token| shared.world().restrict(token))
}

/// `change`: false if the token is not known.
fn change_token(body: &[u8], change: impl FnOnce(&str) -> bool) -> Response {
    let handled =
        parse(body, r#"{"token":"…"}"#).and_then(|asked: ChangeToken| match change(&asked.token) {
            true => Ok(json!({ "ok": true })),
            false => {
                let text = format!("unknown token {}", redact::mask(&asked.token));
                Err(Problem::new(StatusCode::NOT_FOUND, text))
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
