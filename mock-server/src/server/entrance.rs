//! The guard in front of the router, for requests that do not pass the service of a connection: in memory, and in servers of
//! others.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;

use crate::web::guard::{self, Entry};
use crate::world::World;

/// The router with the guard in front. `root` is the world at `/`.
pub(crate) fn guarded(router: Router, root: Arc<World>) -> Router {
    router.layer(middleware::from_fn_with_state(root, pass))
}

async fn pass(State(root): State<Arc<World>>, request: Request, next: Next) -> Response {
    match guard::enter(&root, false, &request) {
        Entry::Passes => next.run(request).await,
        Entry::PassesFor(page) => {
            let mut response = next.run(request).await;
            page.open(&mut response);
            response
        }
        Entry::Answered(response) => *response,
    }
}
