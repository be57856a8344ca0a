//! The routes that every world has.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;

use crate::control;
use crate::net::addressing::Reach;
use crate::net::socket::Line;
use crate::pages::dashboard;
use crate::pages::routes::routes;
use crate::web::data::data;
use crate::web::in_world::InWorld;
use crate::web::routes::{CONTROL_AT, routed};

/// The routes of any world; a request brings its own, see [`InWorld`].
pub(crate) fn router(reach: &Arc<Reach>) -> Router {
    routed(routes())
        .merge(dashboard::router(reach))
        .nest(CONTROL_AT, control::router(reach))
        .fallback(routed_data)
        .layer(middleware::from_fn(dated))
}

async fn dated(InWorld(shared): InWorld, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    shared.date(&mut response);
    response
}

async fn routed_data(InWorld(shared): InWorld, request: Request) -> Result<Response, Infallible> {
    let line = Line::of(request.extensions());
    data(shared, request, line).await
}
