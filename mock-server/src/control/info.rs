//! The apps, tokens and keys of a world, and the health of the mock.

use axum::extract::OriginalUri;
use axum::response::Response;
use http::HeaderMap;
use serde_json::{Value, json};

use super::port;
use super::reply::{Json, Problem, plain};
use crate::openapi;
use crate::protocol::endpoint::OUTBOUND;
use crate::state::app::{App, AppKind};
use crate::web::base_url::seen;
use crate::web::in_world::InWorld;
use crate::world::World;

pub(super) async fn info(
    InWorld(world): InWorld,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
) -> Json {
    let base = seen(&world, &headers, &original);
    Json(describe(&world, &base))
}

pub(super) async fn document(
    InWorld(world): InWorld,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
) -> Json {
    let base = seen(&world, &headers, &original);
    Json(openapi::document(&world, &base))
}

/// The answer of `GET /_mock/v1/info`, which `serve --print json` prints, too.
pub(crate) fn describe(world: &World, base_url: &str) -> Value {
    let state = world.state();
    let apps: Vec<&App> = state.known_apps().collect();
    let mut info = json!({
        "base_url": base_url,
        "apps": apps,
        "tokens": *state.settings.tokens,
        "workspace_id": state.user.workspace,
        "version": env!("CARGO_PKG_VERSION"),
    });
    if apps.iter().any(|app| app.kind == AppKind::Workload) {
        let [identity, access] = state.settings.workload_paths.paths();
        info["workload_paths"] = json!({
            "identity": identity,
            "access": access,
            "outbound": OUTBOUND,
        });
    }
    if world.addressing.ca_pem().is_some() {
        info["ca_pem_url"] = format!("{base_url}/_mock/v1/ca.pem").into();
    }
    if let Some(worlds) = world.worlds() {
        info["max_memory_bytes"] = worlds.memory().max().into();
    }
    port::describe(&mut info, world, base_url);
    info
}

pub(super) async fn health() -> Json {
    Json(json!({ "ok": true, "version": env!("CARGO_PKG_VERSION") }))
}

/// The private key of the JWT app, for `export …="$(curl …)"`.
pub(super) async fn key(InWorld(world): InWorld) -> &'static str {
    let keys = world.state().known_apps().find_map(|app| app.private_key);
    keys.unwrap_or("")
}

/// The certificate that clients have to trust.
pub(super) async fn ca_pem(InWorld(world): InWorld) -> Result<Response, Problem> {
    let pem = world.addressing.ca_pem().ok_or_else(|| {
        Problem::not_found("this mock has no CA of its own; start it with --tls self")
    })?;
    Ok(plain("application/x-pem-file", pem.to_owned()))
}
