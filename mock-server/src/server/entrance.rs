//! The guard in front of the router, for requests that do not pass the service of a connection: in memory, and in servers of
//! others.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use tower::ServiceExt as _;

use crate::web::guard::{self, Entry};
use crate::world::World;

/// The router with the guard in front. `root` is the world at `/`.
pub(crate) fn guarded(router: Router, root: Arc<World>) -> Router {
    router.layer(middleware::from_fn_with_state(root, pass))
}

async fn pass(State(root): State<Arc<World>>, request: Request, next: Next) -> Response {
    enter(&root, request, |request| next.run(request)).await
}

/// Answers one request as the router with the guard does. To put the guard in front of a router copies all of its routes.
pub(crate) async fn answer(router: Router, root: &Arc<World>, request: Request) -> Response {
    let routed = async |request| {
        let Ok(response) = router.oneshot(request).await;
        response
    };
    enter(root, request, routed).await
}

/// Answers a request by `routed`, if the guard lets it pass.
async fn enter<F: Future<Output = Response>>(
    root: &Arc<World>,
    request: Request,
    routed: impl FnOnce(Request) -> F,
) -> Response {
    match guard::enter(root, false, &request) {
        Entry::Passes => routed(request).await,
        Entry::PassesFor(page) => {
            let mut response = routed(request).await;
            page.open(&mut response);
            response
        }
        Entry::Answered(response) => *response,
    }
}
