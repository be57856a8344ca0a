//! The routes of one world.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use axum::{Router, middleware};

use crate::control;
use crate::net::socket::Line;
use crate::pages::dashboard;
use crate::pages::routes::routes;
use crate::web::data::data;
use crate::web::routes::{CONTROL_AT, routed};
use crate::world::Shared;

/// The routes of one world.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    routed(routes())
        .merge(dashboard::router(&shared.reach))
        .nest(CONTROL_AT, control::router(&shared.reach))
        .fallback(routed_data)
        .layer(middleware::map_response_with_state(shared.clone(), dated))
        .with_state(shared)
}

async fn dated(State(shared): State<Arc<Shared>>, mut response: Response) -> Response {
    shared.date(&mut response);
    response
}

async fn routed_data(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Infallible> {
    let line = Line::of(request.extensions());
    data(shared, request, line).await
}
