//! What a program needs to use a world, and whether the mock answers.

use axum::extract::OriginalUri;
use axum::response::Response;
use http::HeaderMap;
use serde_json::{Value, json};

use super::reply::{Json, Problem, plain};
use crate::openapi;
use crate::state::app::App;
use crate::web::base_url::seen;
use crate::web::in_world::InWorld;
use crate::world::Shared;

pub(super) async fn info(
    InWorld(shared): InWorld,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
) -> Json {
    let base = seen(&shared, &headers, &original);
    Json(describe(&shared, &base))
}

pub(super) async fn document(
    InWorld(shared): InWorld,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
) -> Json {
    let base = seen(&shared, &headers, &original);
    Json(openapi::document(&shared, &base))
}

/// What `serve --print json` and `GET /_mock/v1/info` show.
pub(crate) fn describe(shared: &Shared, base_url: &str) -> Value {
    let world = shared.world();
    let apps: Vec<&App> = world.known_apps().collect();
    let mut info = json!({
        "base_url": base_url,
        "apps": apps,
        "tokens": world.settings.tokens,
        "version": env!("CARGO_PKG_VERSION"),
    });
    if shared.reach.ca_pem().is_some() {
        info["ca_pem_url"] = format!("{base_url}/_mock/v1/ca.pem").into();
    }
    info
}

pub(super) async fn health() -> Json {
    Json(json!({ "ok": true, "version": env!("CARGO_PKG_VERSION") }))
}

/// The JWT app's private key, for `export …="$(curl …)"`.
pub(super) async fn key(InWorld(shared): InWorld) -> &'static str {
    let keys = shared.world().known_apps().find_map(|app| app.private_key);
    keys.unwrap_or("")
}

/// What clients have to trust.
pub(super) async fn ca_pem(InWorld(shared): InWorld) -> Result<Response, Problem> {
    let pem = shared.reach.ca_pem().ok_or_else(|| {
        Problem::not_found("this mock has no CA of its own; start it with --tls self")
    })?;
    Ok(plain("application/x-pem-file", pem.to_owned()))
}
