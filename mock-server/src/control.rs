//! The control plane, `/_mock/v1`: what a test or a person does to the mock itself.

mod apps;
mod clock;
mod consent;
pub(crate) mod events;
pub(crate) mod faults;
pub(crate) mod gates;
pub(crate) mod metrics;
pub(crate) mod requests;
mod tokens;
mod verify;
pub(crate) mod worlds;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, OriginalUri, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{delete, get, post};
use axum::{Router, middleware};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::net::addressing::Reach;
use crate::oauth::context::Body;
use crate::oauth::token::same;
use crate::openapi;
use crate::protocol::response::json_reply;
use crate::server::router::{Route, Shared, base, into_response, read, routed};
use crate::state::app::App;

/// Bytes of a body: a script has many faults, and a log that is searched for secrets is long.
pub(crate) const LONGEST_BODY: usize = 2 * 1024 * 1024;

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

/// Tells what there is.
async fn no_such_control() -> Response {
    let body = json!({ "error": "no such control", "controls": openapi::controls() });
    respond(Err(Problem(StatusCode::NOT_FOUND, body)))
}

async fn other_method() -> Response {
    let text = "this control has another method";
    respond(Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, text)))
}

/// Paths below `/_mock/v1`; those of worlds are in [`worlds`].
pub(crate) fn routes() -> impl IntoIterator<Item = Route<Arc<Shared>>> {
    [
        ("/info", get(info)),
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
        ("/leaks", get(tokens::leaks).post(tokens::leaks_of_text)),
        ("/metrics", get(tokens::metrics)),
        ("/fidelity", get(tokens::fidelity)),
        ("/magic", get(tokens::magic)),
        ("/reset", post(reset)),
        ("/explain/{logid}", get(requests::explain)),
        ("/tokens", get(tokens::list)),
        ("/tokens/revoke", post(apps::revoke)),
        ("/tokens/restrict", post(apps::restrict)),
        ("/tokens/{fingerprint}/lineage", get(tokens::family)),
        ("/apps/{client_id}", post(apps::change_app)),
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

pub(crate) fn router(reach: &Arc<Reach>) -> Router<Arc<Shared>> {
    guarded(routed(routes()).fallback(no_such_control), reach)
}

fn guarded<S>(router: Router<S>, reach: &Arc<Reach>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    router
        .method_not_allowed_fallback(other_method)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state(reach.clone(), guard))
}

/// A web page elsewhere must not drive the mock on this machine: neither through a name that it
/// makes point here (`Host`), nor by a request across origins (`Origin`). Where other machines come too, nobody
/// may without the token.
async fn guard(State(reach): State<Arc<Reach>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !comes_from_here(&reach, &request) {
        let text = "the control plane answers only to localhost, 127.0.0.0/8 and [::1], and to the host of the public URL if one is set";
        return respond(Err(Problem::new(StatusCode::FORBIDDEN, text)));
    }
    // A container's health check has no token, and learns nothing.
    // Nor who has to trust the CA before it can send one.
    if matches!(request.uri().path(), "/health" | "/ca.pem") || has_token(&reach, headers) {
        return in_json(next.run(request).await).await;
    }
    let text = "the control plane takes the admin token: send Authorization: Bearer <token>; it was set or printed at the start";
    respond(Err(Problem::new(StatusCode::UNAUTHORIZED, text)))
}

/// What the framework refuses itself, in the shape of our refusals: a body that is too long or broke off, a path
/// that is no text.
async fn in_json(response: Response) -> Response {
    let kind = response.headers().get(CONTENT_TYPE);
    let plain = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let status = response.status();
    if !plain || !status.is_client_error() {
        return response;
    }
    let text = match (status, read(response.into_body()).await) {
        (StatusCode::PAYLOAD_TOO_LARGE, _) => {
            format!("the body has more than {LONGEST_BODY} bytes; send less at once")
        }
        (_, Body::Whole(text)) => String::from_utf8_lossy(&text).into_owned(),
        _ => "this request cannot be read".to_owned(),
    };
    respond(Err(Problem::new(status, text)))
}

/// Whether `Host` and `Origin` are of this machine or the mock's own.
pub(crate) fn comes_from_here(reach: &Reach, request: &Request) -> bool {
    let headers = request.headers();
    let is_here = |authority: &str| is_here(reach, authority);
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
    host_here && origin_here
}

/// As a bearer token, or as the password of a browser, with any user name.
pub(crate) fn has_token(reach: &Reach, headers: &HeaderMap) -> bool {
    let Some(wanted) = &reach.admin_token else {
        return true;
    };
    let sent = headers
        .get(AUTHORIZATION)
        .and_then(|sent| sent.to_str().ok());
    let sent = sent.and_then(|sent| sent.split_once(' '));
    sent.is_some_and(
        |(scheme, sent)| match scheme.to_ascii_lowercase().as_str() {
            "bearer" => same(sent.trim(), wanted),
            "basic" => password(sent.trim()).is_some_and(|password| same(&password, wanted)),
            _ => false,
        },
    )
}

/// RFC 7617 §2.
fn password(sent: &str) -> Option<String> {
    let pair = String::from_utf8(STANDARD.decode(sent).ok()?).ok()?;
    let (_, password) = pair.split_once(':')?;
    Some(password.to_owned())
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

/// The world's address, as the caller of a control sees it.
fn seen(shared: &Shared, headers: &HeaderMap, original: &Uri) -> String {
    let path = original.path();
    let at = path.rfind("/_mock/v1").unwrap_or(path.len());
    base(shared, headers, original, &path[at..])
}

async fn info(
    State(shared): State<Arc<Shared>>,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let base = seen(&shared, &headers, &original);
    respond(Ok(describe(&shared, &base)))
}

async fn document(
    State(shared): State<Arc<Shared>>,
    OriginalUri(original): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let base = seen(&shared, &headers, &original);
    respond(Ok(openapi::document(&shared, &base)))
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
