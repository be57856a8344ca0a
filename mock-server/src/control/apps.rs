//! What the owner of an app does in the console.

use axum::extract::Path;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::reply::{Problem, parse, respond};
use crate::web::in_world::InWorld;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeApp {
    enabled: bool,
}

pub(super) async fn change_app(
    InWorld(shared): InWorld,
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
