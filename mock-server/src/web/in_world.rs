//! The world of a request, as handlers take it, and its name in a query.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{StatusCode, Uri};
use url::form_urlencoded;

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

/// The name in `/_mock/v1/…?world=name`.
pub(crate) fn named_in_query(uri: &Uri) -> Option<String> {
    uri.path().strip_prefix("/_mock/v1/")?;
    let query = form_urlencoded::parse(uri.query()?.as_bytes());
    let found = query.into_iter().find(|(key, _)| key == "world");
    found.map(|(_, name)| name.into_owned())
}
