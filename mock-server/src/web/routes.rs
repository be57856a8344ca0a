//! Routes as tables, and answers as responses.

use axum::Router;
use axum::response::Response;
use axum::routing::MethodRouter;

use crate::protocol::response::Reply;

/// A path and what is done at it.
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
