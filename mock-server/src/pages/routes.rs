//! The routes of the consent page and the device page.

use axum::extract::Request;
use axum::response::Response;
use axum::routing::{any, get};
use http::{HeaderMap, StatusCode, Uri};

use super::{consent, device, front};
use crate::redact::places;
use crate::web::body::form;
use crate::web::in_world::InWorld;
use crate::web::routes::{Route, into_response};
use crate::world::World;

/// Logs method and path. Queries and bodies are left out, since they hold user codes and keys.
pub(crate) fn log(world: &World, method: &http::Method, path: &str, status: StatusCode) {
    tracing::info!(
        world = world.name(),
        method = places::method(method),
        path = &*places::path(path, None),
        status = status.as_u16(),
    );
}

/// The routes for people.
pub(crate) fn routes() -> impl IntoIterator<Item = Route<()>> {
    [
        ("/", any(front::front)),
        ("/oauth/consent", get(consent).post(decide_consent)),
        ("/oauth/device-activation", get(device).post(decide_device)),
    ]
}

async fn consent(InWorld(world): InWorld, headers: HeaderMap, uri: Uri) -> Response {
    let reply = consent::consent(&world.state(), &headers, uri.query().unwrap_or(""));
    log(&world, &http::Method::GET, uri.path(), reply.status());
    into_response(reply)
}

async fn decide_consent(InWorld(world): InWorld, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let headers = request.headers().clone();
    let form = form(request).await;
    let reply = consent::decide_consent(&mut world.state(), &headers, &form);
    log(&world, &http::Method::POST, &path, reply.status());
    into_response(reply)
}

async fn device(InWorld(world): InWorld, headers: HeaderMap, uri: Uri) -> Response {
    let reply = device::device(&world.state(), &headers, uri.query().unwrap_or(""));
    log(&world, &http::Method::GET, uri.path(), reply.status());
    into_response(reply)
}

async fn decide_device(InWorld(world): InWorld, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let headers = request.headers().clone();
    let form = form(request).await;
    let reply = device::decide_device(&mut world.state(), &headers, &form);
    log(&world, &http::Method::POST, &path, reply.status());
    into_response(reply)
}
