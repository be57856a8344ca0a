//! Converts requests to the data plane from HTTP, and answers to HTTP.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{OriginalUri, Request};
use axum::response::Response;

use super::api_stream::answered;
use super::base_url::base;
use super::body::read;
use crate::net::socket::ConnectionHandle;
use crate::protocol::request::{Body, Incoming};
use crate::world::{World, pipeline};

/// Returns true if this path is of the data plane, so that the router is not needed.
pub(crate) fn is_data(path: &str) -> bool {
    path != "/" && !path.starts_with("/_mock") && !path.starts_with("/oauth/")
}

/// Answers a request to the data plane of this world. `connection` is its connection, if it is one of the mock's own
/// sockets. The error is that of a service, and does not occur.
pub(crate) fn data(
    world: Arc<World>,
    request: Request,
    connection: Option<ConnectionHandle>,
) -> impl Future<Output = Result<Response, Infallible>> {
    let (parts, body) = request.into_parts();
    let original = parts.extensions.get::<OriginalUri>();
    let original = original.map_or(&parts.uri, |original| &original.0);
    let mut incoming = Incoming {
        base: base(&world, &parts.headers, original, parts.uri.path()),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        method: parts.method,
        headers: parts.headers,
        // The body is read later.
        body: Body::Broken,
        call: None,
    };
    incoming.call = world.apis.find(&incoming.method, &incoming.path);
    async move {
        incoming.body = read(body).await;
        let reply = pipeline::serve(&world, &incoming, connection.as_ref()).await;
        let mut response = answered(reply);
        world.date(&mut response);
        Ok(response)
    }
}
