//! The apps, tokens and keys of a world, and the health of the mock.

use axum::extract::OriginalUri;
use axum::response::Response;
use http::HeaderMap;
use serde_json::{Map, Value, json};

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

pub(super) async fn client_variables(
    InWorld(world): InWorld,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
) -> Json {
    let base = seen(&world, &headers, &original);
    let all = variables(&describe(&world, &base));
    let all: Map<String, Value> = all
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    Json(json!({ "variables": all }))
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

/// The variables that a client needs, with their values: the names of official samples (protocol §9). If there are several
/// apps of a kind, they are of the first one.
pub(crate) fn variables(info: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut set = |name: &str, value: Option<&str>| {
        all.extend(value.map(|value| (format!("COZE_{name}"), value.trim().to_owned())));
    };
    set("API_BASE", info["base_url"].as_str());
    set("API_TOKEN", info["tokens"][0]["value"].as_str());
    let apps = info["apps"].as_array().map_or(&[][..], Vec::as_slice);
    for (number, app) in apps.iter().enumerate() {
        let kind = &app["kind"];
        if kind == "workload" {
            continue;
        }
        if apps[..number]
            .iter()
            .any(|earlier| earlier["kind"] == *kind)
        {
            continue;
        }
        let flow = kind.as_str().unwrap_or_default().to_uppercase();
        let mut set = |name: &str, value| set(&format!("{flow}_OAUTH_{name}"), value);
        set("CLIENT_ID", app["client_id"].as_str());
        set("CLIENT_SECRET", app["client_secret"].as_str());
        // A pattern allows any port and path, so it allows these.
        let uri = app["redirect_uris"][0].as_str();
        let uri = uri.map(|uri| uri.replace(":*/*", ":8080/callback"));
        set("REDIRECT_URI", uri.as_deref());
        set("PUBLIC_KEY_ID", app["key_id"].as_str());
        set("PRIVATE_KEY", app["private_key"].as_str());
    }
    all.extend(of_workload(info));
    all
}

/// The six variables of a workload (protocol §9), if there is one: two of its URLs are below paths of the base.
fn of_workload(info: &Value) -> Vec<(String, String)> {
    let mut apps = info["apps"].as_array().into_iter().flatten();
    let Some(app) = apps.find(|app| app["kind"] == "workload") else {
        return Vec::new();
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let url = |path: &str| text(&info["base_url"]) + &text(&info["workload_paths"][path]);
    let all = [
        ("WORKLOAD_IDENTITY_CLIENT_ID", text(&app["client_id"])),
        (
            "WORKLOAD_IDENTITY_CLIENT_SECRET",
            text(&app["client_secret"]),
        ),
        ("WORKLOAD_IDENTITY_TOKEN_ENDPOINT", url("identity")),
        ("WORKLOAD_ACCESS_TOKEN_ENDPOINT", url("access")),
        ("OUTBOUND_AUTH_ENDPOINT", url("outbound")),
        // No lane.
        ("SERVER_ENV", "NONE".to_owned()),
    ];
    all.map(|(name, value)| (format!("COZE_{name}"), value))
        .to_vec()
}
