//! Actions of the owner of an app.

use std::sync::Arc;

use axum::extract::Path;
use bytes::Bytes;
use serde::Deserialize;

use super::reply::{Handled, Problem, done, parse};
use crate::web::in_world::InWorld;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeApp {
    enabled: bool,
}

pub(super) async fn change_app(
    InWorld(world): InWorld,
    Path(client_id): Path<String>,
    body: Bytes,
) -> Handled {
    let request: ChangeApp = parse(&body, r#"{"enabled":true|false}"#)?;
    let mut state = world.state();
    let mut apps = Arc::make_mut(&mut state.apps).iter_mut();
    let found = apps.find(|app| !app.removed && app.client_id == client_id);
    let app = found.ok_or_else(|| Problem::not_found("unknown client id"))?;
    app.enabled = request.enabled;
    Ok(done())
}
