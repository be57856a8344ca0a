//! An extractor for the world of a request.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;

use crate::world::World;

/// The world of a request. All worlds share the routes; the world is found before them and put into the extensions of the
/// request, so that a world does not need a router.
#[derive(Clone, Debug)]
pub(crate) struct InWorld(pub(crate) Arc<World>);

impl<S: Sync> FromRequestParts<S> for InWorld {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let found = parts.extensions.get::<Self>().cloned();
        // Every request to these routes has a world; see `world_routing`.
        found.ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
