//! Worlds: makes, lists and removes them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{OriginalUri, Path, State};
use axum::routing::{delete, get};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::guard::guarded;
use super::port;
use super::reply::{Handled, Json, Problem, done, parse};
use crate::config;
use crate::config::options::Options;
use crate::config::target::For;
use crate::limits::UNUSED_WORLD;
use crate::net::addressing::Addressing;
use crate::protocol::world_name::WorldError;
use crate::time::clock::ClockHandle;
use crate::web::base_url::base;
use crate::web::routes::{Route, WORLDS_AT, routed};
use crate::world::World;
use crate::world::worlds::Worlds;

pub(crate) fn routes() -> impl IntoIterator<Item = Route<Arc<Worlds>>> {
    [
        (WORLDS_AT, get(list).post(make)),
        ("/_mock/v1/worlds/{name}", delete(remove)),
    ]
}

pub(crate) fn router(addressing: &Arc<Addressing>) -> Router<Arc<Worlds>> {
    guarded(routed(routes()), addressing)
}

/// Describes a world. `base` is the URL of the mock as the client wrote it.
fn described(name: &str, world: &World, base: &str) -> Value {
    let mut described = json!({
        "name": name,
        "base_url": format!("{base}{}", world.mount),
        "now_ms": world.state().now_ms(),
    });
    port::describe(&mut described, world, base);
    described
}

async fn list(
    State(worlds): State<Arc<Worlds>>,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
) -> Json {
    let base = base(&worlds.first(), &headers, &original, WORLDS_AT);
    let all: Vec<_> = worlds
        .all()
        .iter()
        .map(|(name, world)| described(name, world, &base))
        .collect();
    Json(json!({ "worlds": all }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Make {
    name: String,
    /// TOML, which replaces the mock's settings of the same keys.
    config: Option<String>,
    seed: Option<u64>,
    /// RFC 3339: the time at which the clock stands.
    clock: Option<String>,
    /// Seconds of the machine's time that the world is kept without use.
    ttl_s: Option<u64>,
    /// A port of the world's own; 0 for a free one.
    port: Option<u16>,
}

async fn make(
    State(worlds): State<Arc<Worlds>>,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Handled {
    let base = base(&worlds.first(), &headers, &original, WORLDS_AT);
    let shape =
        r#"{"name":"w1","config":"TOML"?,"seed":42?,"clock":"RFC 3339"?,"ttl_s":600?,"port":0?}"#;
    let request: Make = parse(&body, shape)?;
    let mut options = Options::of_world(worlds.settings(&request.name));
    if let Some(text) = &request.config {
        let applied = config::apply(options, text, For::World);
        options = applied.map_err(|errors| Problem::bad(errors.to_string()))?;
    }
    if let Some(seed) = request.seed {
        options.set_seed(seed);
    }
    if let Some(text) = request.clock {
        let at: Option<Timestamp> = text.parse().ok();
        let ms = at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
        let ms = ms.ok_or_else(|| {
            Problem::bad("clock: expected a time in RFC 3339, such as 2026-01-01T00:00:00Z")
        })?;
        options.settings.clock = ClockHandle::frozen_at(Duration::from_millis(ms));
    }
    let settings = options.settings();
    let settings = settings.map_err(|problem| Problem::bad(problem.to_string()))?;
    let kept = request.ttl_s.map_or(UNUSED_WORLD, Duration::from_secs);
    let made = worlds.make(
        &request.name,
        settings,
        request.config.is_some(),
        kept,
        request.config.as_ref().map_or(0, String::len),
    );
    let world = made.map_err(|problem| match problem {
        WorldError::Full => Problem::new(StatusCode::SERVICE_UNAVAILABLE, problem.to_string()),
        WorldError::Name => Problem::bad(problem.to_string()),
    })?;
    if let Some(port) = request.port
        && let Err(error) = world.open_port(port)
    {
        worlds.remove(&request.name);
        return Err(error.into());
    }
    Ok(Json(described(&request.name, &world, &base)))
}

async fn remove(State(worlds): State<Arc<Worlds>>, Path(name): Path<String>) -> Handled {
    match worlds.remove(&name) {
        true => Ok(done()),
        false => Err(Problem::not_found("unknown world")),
    }
}
