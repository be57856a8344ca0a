//! The control plane, `/_mock/v1`: what a test or a person does to the mock itself.

mod clock;
mod events;
mod faults;
pub(crate) mod gates;
mod owner;
mod requests;
mod seeing;
mod user;
mod verify;
pub(crate) mod worlds;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::answer::json_reply;
use crate::apps::App;
use crate::reach::Reach;
use crate::router::{Shared, base, into_response};
use crate::token::same;

type Handled = Result<Value, Problem>;

/// A control request that was not carried out.
struct Problem(StatusCode, Value);

impl Problem {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self(status, json!({ "error": error.into() }))
    }

    fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }
}

fn respond(handled: Handled) -> Response {
    let (status, body) = match handled {
        Ok(body) => (StatusCode::OK, body),
        Err(Problem(status, body)) => (status, body),
    };
    into_response(json_reply(status, body.to_string()))
}

/// What is no JSON.
fn plain(kind: &'static str, body: String) -> Response {
    let mut reply = json_reply(StatusCode::OK, body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    into_response(reply)
}

/// What there is, for who asks for what there is not.
const CONTROLS: &[&str] = &[
    "GET /info",
    "GET /health",
    "GET /key",
    "GET /ca.pem",
    "POST /authorize",
    "GET /device",
    "POST /device/{user_code}",
    "GET /clock",
    "POST /clock",
    "GET /requests",
    "DELETE /requests",
    "GET /requests/next",
    "GET /requests.har",
    "GET /requests.jsonl",
    "POST /verify",
    "GET /events",
    "GET /tokens",
    "GET /tokens/{fingerprint}/lineage",
    "GET /leaks",
    "POST /leaks",
    "GET /metrics",
    "GET /fidelity",
    "GET /magic",
    "POST /reset",
    "GET /explain/{logid}",
    "POST /tokens/revoke",
    "POST /tokens/restrict",
    "POST /apps/{client_id}",
    "GET /worlds",
    "POST /worlds",
    "DELETE /worlds/{name}",
    "POST /gates/{name}",
    "GET /gates/{name}",
    "DELETE /gates/{name}",
    "POST /gates/{name}/release",
    "POST /faults",
    "GET /faults",
    "DELETE /faults",
    "DELETE /faults/{id}",
    "POST /script",
    "DELETE /script/{id}",
];

async fn no_such_control() -> Response {
    let body = json!({ "error": "no such control", "controls": CONTROLS });
    respond(Err(Problem(StatusCode::NOT_FOUND, body)))
}

async fn other_method() -> Response {
    let text = "this control has another method";
    respond(Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, text)))
}

pub(crate) fn router(reach: &Arc<Reach>) -> Router<Arc<Shared>> {
    Router::new()
        .route("/info", get(info))
        .route("/health", get(health))
        .route("/key", get(key))
        .route("/ca.pem", get(ca_pem))
        .route("/authorize", post(user::authorize))
        .route("/device", get(user::devices))
        .route("/device/{user_code}", post(user::decide_device))
        .route("/clock", get(clock::clock).post(clock::set_clock))
        .route(
            "/requests",
            get(requests::requests).delete(requests::forget_requests),
        )
        .route("/requests/next", get(requests::next))
        .route("/requests.har", get(requests::har))
        .route("/requests.jsonl", get(requests::jsonl))
        .route("/verify", post(verify::verify))
        .route("/events", get(events::events))
        .route("/leaks", get(seeing::leaks).post(seeing::leaks_of_text))
        .route("/metrics", get(seeing::metrics))
        .route("/fidelity", get(seeing::fidelity))
        .route("/magic", get(seeing::magic))
        .route("/reset", post(reset))
        .route("/explain/{logid}", get(requests::explain))
        .route("/tokens", get(seeing::list))
        .route("/tokens/{action}", post(owner::change_token))
        .route("/tokens/{action}/lineage", get(seeing::family))
        .route("/apps/{client_id}", post(owner::change_app))
        .route(
            "/gates/{name}",
            post(gates::set).get(gates::watch).delete(gates::open),
        )
        .route("/gates/{name}/release", post(gates::release))
        .route(
            "/faults",
            post(faults::place).get(faults::list).delete(faults::clear),
        )
        .route("/faults/{id}", delete(faults::remove))
        .route("/script", post(faults::run))
        .route("/script/{id}", delete(faults::stop))
        .fallback(no_such_control)
        .method_not_allowed_fallback(other_method)
        .layer(middleware::from_fn_with_state(reach.clone(), guard))
}

/// A web page elsewhere must not drive the mock on this machine: neither through a name that it
/// makes point here (`Host`), nor by a request across origins (`Origin`). Where other machines come too, nobody
/// may without the token.
async fn guard(State(reach): State<Arc<Reach>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_here = |authority: &str| is_here(&reach, authority);
    let host_here = match headers.get(HOST) {
        Some(host) => host.to_str().is_ok_and(is_here),
        None => request.uri().host().is_none_or(is_here),
    };
    let origin_here = headers.get(ORIGIN).is_none_or(|origin| {
        let origin = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        origin.is_some_and(|(_, host)| is_here(host))
    });
    if !host_here || !origin_here {
        let text = "the control plane answers only to localhost, 127.0.0.0/8 and [::1], and to the host of the public URL if one is set";
        return respond(Err(Problem::new(StatusCode::FORBIDDEN, text)));
    }
    // A container's health check has no token, and learns nothing.
    // Nor who has to trust the CA before it can send one.
    if matches!(request.uri().path(), "/health" | "/ca.pem") || has_token(&reach, headers) {
        return next.run(request).await;
    }
    let text = "the control plane takes the admin token: send Authorization: Bearer <token>; it was set or printed at the start";
    respond(Err(Problem::new(StatusCode::UNAUTHORIZED, text)))
}

fn has_token(reach: &Reach, headers: &HeaderMap) -> bool {
    let Some(wanted) = &reach.admin_token else {
        return true;
    };
    let sent = headers
        .get(AUTHORIZATION)
        .and_then(|sent| sent.to_str().ok());
    let sent = sent.and_then(|sent| sent.split_once(' '));
    sent.is_some_and(|(scheme, sent)| {
        scheme.eq_ignore_ascii_case("bearer") && same(sent.trim(), wanted)
    })
}

fn is_here(reach: &Reach, authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').unwrap_or(("", "")),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let here = host.eq_ignore_ascii_case("localhost")
        || reach.is_own_host(host)
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    here && (port.is_empty() || port.strip_prefix(':').is_some_and(digits))
}

/// Never quotes what was sent: it may hold a token.
fn parse<T: DeserializeOwned>(body: &[u8], shape: &str) -> Result<T, Problem> {
    // An object first, since serde would take an array for a struct too.
    let object = serde_json::from_slice::<Map<String, Value>>(body);
    let parsed = object.and_then(|members| serde_json::from_value(Value::Object(members)));
    parsed.map_err(|_| Problem::bad(format!("expected {shape}")))
}

async fn info(
    State(shared): State<Arc<Shared>>,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let path = original.path();
    let at = path.rfind("/_mock/v1").unwrap_or(path.len());
    let base = base(&shared, &headers, &original, &path[at..]);
    respond(Ok(describe(&shared, &base)))
}

/// Design §4: what `--print json` and `GET /info` say.
pub(crate) fn describe(shared: &Shared, base_url: &str) -> Value {
    let world = shared.world();
    let apps: Vec<&App> = world.known_apps().collect();
    let mut info = json!({
        "base_url": base_url,
        "apps": apps,
        "tokens": world.settings.tokens,
        "version": env!("CARGO_PKG_VERSION"),
    });
    if shared.reach.ca_pem().is_some() {
        info["ca_pem_url"] = format!("{base_url}/_mock/v1/ca.pem").into();
    }
    info
}

async fn health() -> Response {
    respond(Ok(
        json!({ "ok": true, "version": env!("CARGO_PKG_VERSION") }),
    ))
}

/// The JWT app's private key, for `export …="$(curl …)"`.
async fn key(State(shared): State<Arc<Shared>>) -> &'static str {
    let keys = shared.world().known_apps().find_map(|app| app.private_key);
    keys.unwrap_or("")
}

/// What clients have to trust.
async fn ca_pem(State(shared): State<Arc<Shared>>) -> Response {
    match shared.reach.ca_pem() {
        Some(pem) => plain("application/x-pem-file", pem.to_owned()),
        None => {
            let text = "this mock has no CA of its own; start it with --tls self";
            respond(Err(Problem::new(StatusCode::NOT_FOUND, text)))
        }
    }
}

async fn reset(State(shared): State<Arc<Shared>>) -> Response {
    shared.reset();
    respond(Ok(json!({ "ok": true })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_counts_as_local() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:9777",
            "127.8.9.1",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(is_here(&Reach::default(), host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:1",
            "127.0.0.1.evil.example",
            "[::1]evil.example",
            "127.0.0.1:1.evil.example",
            "localhost:evil.example",
            "[::1]:1.evil.example",
            "localhost:",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0",
        ] {
            assert!(!is_here(&Reach::default(), host), "{host}");
        }
    }
}
