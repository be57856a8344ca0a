//! Tables of routes, and the conversion of answers to responses.

use axum::Router;
use axum::response::Response;
use axum::routing::MethodRouter;

use crate::protocol::response::Reply;

/// The path of the control plane of a world.
pub(crate) const CONTROL_AT: &str = "/_mock/v1";
/// The path at which worlds are made and listed.
pub(crate) const WORLDS_AT: &str = "/_mock/v1/worlds";

/// A path and its handlers.
pub(crate) type Route<S> = (&'static str, MethodRouter<S>);

pub(crate) fn routed<S>(routes: impl IntoIterator<Item = Route<S>>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let each = routes.into_iter();
    each.fold(Router::new(), |router, (path, methods)| {
        router.route(path, methods)
    })
}

pub(crate) fn into_response(reply: Reply) -> Response {
    reply.map(axum::body::Body::from)
}
