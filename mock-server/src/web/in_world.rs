//! The world that a request is for, as handlers take it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;

use crate::world::World;

/// The world of a request. The routes are the same for all worlds; which one is meant is found before them and laid
/// beside the request, so that a world costs no router.
#[derive(Clone, Debug)]
pub(crate) struct InWorld(pub(crate) Arc<World>);

impl<S: Sync> FromRequestParts<S> for InWorld {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let found = parts.extensions.get::<Self>().cloned();
        // Only routes that nobody has sent through a world have none.
        found.ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
