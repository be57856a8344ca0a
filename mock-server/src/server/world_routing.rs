//! Routes requests to worlds: by path, and for the control plane also by `?world=`. At a world's own port neither is there.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{OriginalUri, Request, State};
use axum::response::Response;
use axum::{Extension, Router};
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};
use serde_json::json;
use tower::ServiceExt as _;
use url::form_urlencoded;

use crate::control::worlds;
use crate::net::socket::ConnectionHandle;
use crate::protocol::response;
use crate::protocol::world_name::WorldError;
use crate::web::data;
use crate::web::in_world::{InWorld, named_in_query};
use crate::web::routes::{WORLDS_AT, into_response};
use crate::world::World;
use crate::world::worlds::{PREFIX, Worlds};

/// The router of all worlds: by path, and for the control plane also by `?world=`. `routes` are those that every world has.
pub(crate) fn router(worlds: Arc<Worlds>, routes: Router) -> Router {
    Router::new()
        .merge(worlds::router(worlds.addressing()))
        .fallback(move |State(worlds): State<Arc<Worlds>>, request: Request| {
            route(routes.clone(), worlds, request)
        })
        // The dashboard links the worlds.
        .layer(Extension(worlds.clone()))
        .with_state(worlds)
}

/// Routes a request to its world. `routes` are the routes that every world has.
async fn route(routes: Router, worlds: Arc<Worlds>, request: Request) -> Response {
    if let Some(name) = by_path(request.uri()) {
        return enter_by_path(routes, &worlds, &name, request).await;
    }
    if data::is_data(request.uri().path()) {
        let connection = ConnectionHandle::of(request.extensions());
        return answered(data::data(worlds.first(), request, connection).await);
    }
    match named_in_query(request.uri()) {
        Some(name) => enter_by_query(routes, &worlds, &name, request).await,
        None => enter(routes, worlds.first(), request).await,
    }
}

/// Returns true if a path names a world.
pub(crate) fn is_named(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Routes a request at the own port of `world`, from which no other world is reached.
pub(crate) async fn alone(routes: Router, world: Arc<World>, request: Request) -> Response {
    let uri = request.uri();
    if named_in_query(uri).is_none() && !uri.path().starts_with(WORLDS_AT) {
        return enter(routes, world, request).await;
    }
    let name = world.name().unwrap_or_default();
    let error = format!(
        "this is the own port of the world {name}, and reaches no other one; worlds are made, listed and named at the mock's own address"
    );
    refused(StatusCode::NOT_FOUND, &error)
}

fn answered(response: Result<Response, Infallible>) -> Response {
    let Ok(response) = response;
    response
}

/// The name in `/t/{name}/…`.
fn by_path(uri: &Uri) -> Option<String> {
    let rest = uri.path().strip_prefix(PREFIX)?;
    Some(rest.split('/').next().unwrap_or(rest).to_owned())
}

async fn enter(routes: Router, world: Arc<World>, mut request: Request) -> Response {
    request.extensions_mut().insert(InWorld(world));
    answered(routes.oneshot(request).await)
}

async fn enter_by_path(
    routes: Router,
    worlds: &Worlds,
    name: &str,
    mut request: Request,
) -> Response {
    let world = match worlds.named(name) {
        Ok(world) => world,
        Err(WorldError::Full) => return full(),
        Err(WorldError::Name) => return unknown(request.uri().path()),
    };
    let below = &request.uri().path()[PREFIX.len() + name.len()..];
    let below = if below.is_empty() { "/" } else { below };
    let query = request.uri().query().map(|query| format!("?{query}"));
    let Some(uri) = with_path(
        request.uri(),
        &format!("{below}{}", query.unwrap_or_default()),
    ) else {
        return unknown(request.uri().path());
    };
    // The outer router has kept the original URI, from which the mount of the world is read.
    *request.uri_mut() = uri;
    if data::is_data(request.uri().path()) {
        let connection = ConnectionHandle::of(request.extensions());
        return answered(data::data(world, request, connection).await);
    }
    enter(routes, world, request).await
}

async fn enter_by_query(
    routes: Router,
    worlds: &Worlds,
    name: &str,
    mut request: Request,
) -> Response {
    let world = match worlds.named(name) {
        Ok(world) => world,
        Err(WorldError::Full) => return full(),
        Err(error @ WorldError::Name) => {
            return refused(StatusCode::BAD_REQUEST, &error.to_string());
        }
    };
    let path = request.uri().path().to_owned();
    let rest = without_world(request.uri().query().unwrap_or_default());
    let original = request.extensions().get::<OriginalUri>();
    let original = original.map_or_else(|| request.uri().clone(), |original| original.0.clone());
    let above = original.path().strip_suffix(&*path).unwrap_or_default();
    let as_by_path = with_path(&original, &format!("{above}{PREFIX}{name}{path}"));
    let (Some(original), Some(uri)) = (
        as_by_path,
        with_path(request.uri(), &format!("{path}?{rest}")),
    ) else {
        return unknown(&path);
    };
    request.extensions_mut().insert(OriginalUri(original));
    *request.uri_mut() = uri;
    enter(routes, world, request).await
}

/// The query without `world`.
fn without_world(query: &str) -> String {
    let others = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != "world");
    let mut rest = form_urlencoded::Serializer::new(String::new());
    rest.extend_pairs(others).finish()
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

fn unknown(path: &str) -> Response {
    let path = crate::redact::scrub(path);
    refused(
        StatusCode::NOT_FOUND,
        &format!("{path}: {}", WorldError::Name),
    )
}

/// No world is evicted while it is in use, and a request for one more is refused instead.
fn full() -> Response {
    refused(
        StatusCode::SERVICE_UNAVAILABLE,
        &WorldError::Full.to_string(),
    )
}

fn refused(status: StatusCode, error: &str) -> Response {
    into_response(response::json_reply(
        status,
        json!({ "error": error }).to_string(),
    ))
}
