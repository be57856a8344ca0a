//! The routes that every world has.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;

use crate::control;
use crate::net::addressing::Addressing;
use crate::net::socket::ConnectionHandle;
use crate::pages::dashboard;
use crate::pages::routes::routes;
use crate::web::data::data;
use crate::web::in_world::InWorld;
use crate::web::routes::{CONTROL_AT, routed};

/// The routes of all worlds. The world is in the extensions of a request; see [`InWorld`].
pub(crate) fn router(addressing: &Arc<Addressing>) -> Router {
    routed(routes())
        .merge(dashboard::router(addressing))
        .nest(CONTROL_AT, control::router(addressing))
        .fallback(routed_data)
        .layer(middleware::from_fn(dated))
}

async fn dated(InWorld(world): InWorld, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    world.date(&mut response);
    response
}

async fn routed_data(InWorld(world): InWorld, request: Request) -> Result<Response, Infallible> {
    let connection = ConnectionHandle::of(request.extensions());
    data(world, request, connection).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::journal::log_id::LogIds;
    use crate::openapi::document;
    use crate::protocol::endpoint::{ENDPOINTS, Endpoint};
    use crate::state::State;
    use crate::state::settings::Settings;
    use crate::world::World;

    #[test]
    fn the_routers_and_the_document_have_the_same_paths() {
        let control = control::routes().into_iter();
        let control = control.map(|(path, _)| format!("{CONTROL_AT}{path}"));
        let worlds = control::worlds::routes().into_iter();
        let worlds = worlds.map(|(path, _)| path.to_owned());
        let pages = routes().into_iter().map(|(path, _)| path.to_owned());
        let routed: BTreeSet<_> = control.chain(worlds).chain(pages).collect();
        let state = State::new(Settings::standard([1; 32]), LogIds::new("", 0));
        let document = document(&World::new(state, String::new(), Arc::default()), "");
        let paths = document["paths"]
            .as_object()
            .expect("an object")
            .keys()
            .cloned();
        let (data_plane, others): (BTreeSet<_>, _) =
            paths.partition(|path| Endpoint::of(path) != Endpoint::Unknown);
        assert_eq!(others, routed);
        let mut served: BTreeSet<_> = data_plane
            .iter()
            .map(|path| Endpoint::of(path).name())
            .collect();
        // A call of the user's own has a path that only a world knows.
        served.extend([Endpoint::Api.name(), Endpoint::Unknown.name()]);
        assert_eq!(served, BTreeSet::from(ENDPOINTS));
    }
}
