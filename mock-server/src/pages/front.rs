//! What answers at the root of a world: what this server is, and where its dashboard is.

use std::convert::Infallible;

use askama::Template;
use axum::extract::{OriginalUri, Request};
use axum::response::Response;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::routes;
use crate::html::language;
use crate::html::page::page;
use crate::html::texts::Texts;
use crate::net::socket::ConnectionHandle;
use crate::web::base_url::base;
use crate::web::data::data;
use crate::web::in_world::InWorld;
use crate::web::routes::into_response;

#[derive(Template)]
#[template(path = "front.html")]
struct Front<'a> {
    t: &'static Texts,
    world: &'a str,
    base: &'a str,
}

/// Answers a person who has opened the address of the mock. A request with a body, a query or a credential is a client's, and belongs to
/// the data plane, in whose journal it is looked for.
pub(super) async fn front(
    InWorld(world): InWorld,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Infallible> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads || request.uri().query().is_some() || headers.contains_key(AUTHORIZATION) {
        let connection = ConnectionHandle::of(request.extensions());
        return data(world, request, connection).await;
    }
    let t = language::texts(&headers);
    // A world is asked for with and without a slash at the end.
    let slash = if original.path().ends_with('/') {
        "/"
    } else {
        ""
    };
    let base = base(&world, &headers, &original, slash);
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let reply = if accepts.is_some_and(|types| types.contains("text/html")) {
        let front = Front {
            t,
            world: world.mount.strip_prefix("/t/").unwrap_or(""),
            base: &base,
        };
        page(StatusCode::OK, t, &front)
    } else {
        let version = env!("CARGO_PKG_VERSION");
        let text = format!(
            "coze-auth-mock {version}: {}\ndashboard      {base}/_mock/\ncontrol plane  {base}/_mock/v1/openapi.json\nclients        coze-auth-mock env --for python --url {base}\n",
            t.front_text
        );
        let mut reply = http::Response::new(text.into());
        let types = HeaderValue::from_static("text/plain; charset=utf-8");
        reply.headers_mut().insert(CONTENT_TYPE, types);
        let nosniff = HeaderValue::from_static("nosniff");
        reply.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
        reply
    };
    routes::log(&world, request.method(), "/", reply.status());
    Ok(into_response(reply))
}
