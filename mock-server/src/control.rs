//! The control plane, `/_mock/v1`: requests by which a test or a person controls the mock.

mod api;
mod apps;
mod clock;
mod consent;
mod events;
mod faults;
mod gates;
mod guard;
pub(crate) mod info;
mod leaks;
mod metrics;
mod port;
mod reply;
mod requests;
mod rules;
mod tokens;
mod verify;
pub(crate) mod worlds;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post, put};
use http::StatusCode;
use serde_json::json;

use crate::net::addressing::Addressing;
use crate::openapi;
use crate::web::in_world::InWorld;
use crate::web::routes::{Route, routed};
use guard::guarded;
use info::{ca_pem, client_variables, document, health, info, key};
use reply::{Json, Problem, done};

/// Refuses an unknown path, and lists the known ones.
async fn no_such_control() -> Problem {
    let body = json!({ "error": "unknown control", "controls": openapi::controls() });
    Problem(StatusCode::NOT_FOUND, body)
}

async fn other_method() -> Problem {
    let text = "this control does not have this method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, text)
}

/// The routes below `/_mock/v1`, without those of [`worlds`].
pub(crate) fn routes() -> impl IntoIterator<Item = Route<()>> {
    [
        ("/info", get(info)),
        ("/variables", get(client_variables)),
        ("/health", get(health)),
        ("/openapi.json", get(document)),
        ("/key", get(key)),
        ("/ca.pem", get(ca_pem)),
        ("/authorize", post(consent::authorize)),
        ("/device", get(consent::devices)),
        ("/device/{user_code}", post(consent::decide_device)),
        ("/clock", get(clock::clock).post(clock::set_clock)),
        (
            "/requests",
            get(requests::requests).delete(requests::forget_requests),
        ),
        ("/requests/next", get(requests::next)),
        ("/requests.har", get(requests::har)),
        ("/requests.jsonl", get(requests::jsonl)),
        ("/verify", post(verify::verify)),
        ("/events", get(events::events)),
        ("/leaks", get(leaks::leaks).post(leaks::leaks_of_text)),
        ("/metrics", get(metrics::metrics)),
        ("/fidelity", get(rules::fidelity)),
        ("/magic", get(rules::magic)),
        ("/port", put(port::open).delete(port::close)),
        ("/reset", post(reset)),
        ("/explain/{logid}", get(requests::explain)),
        ("/tokens", get(tokens::list)),
        ("/tokens/revoke", post(tokens::revoke)),
        ("/tokens/restrict", post(tokens::restrict)),
        ("/tokens/{fingerprint}/lineage", get(tokens::family)),
        ("/api", post(api::add).get(api::list).delete(api::clear)),
        ("/api/{id}", delete(api::remove)),
        ("/apps/{client_id}", post(apps::change_app)),
        (
            "/apps/{client_id}/keys",
            get(apps::list_keys).post(apps::add_key),
        ),
        ("/apps/{client_id}/keys/{kid}", delete(apps::remove_key)),
        (
            "/gates/{name}",
            post(gates::set).get(gates::watch).delete(gates::open),
        ),
        ("/gates/{name}/release", post(gates::release)),
        (
            "/faults",
            post(faults::place).get(faults::list).delete(faults::clear),
        ),
        ("/faults/{id}", delete(faults::remove)),
        ("/script", post(faults::run)),
        ("/script/{id}", delete(faults::stop)),
    ]
}

pub(crate) fn router(addressing: &Arc<Addressing>) -> Router {
    guarded(routed(routes()).fallback(no_such_control), addressing)
}

async fn reset(InWorld(world): InWorld) -> Json {
    world.reset();
    done()
}
