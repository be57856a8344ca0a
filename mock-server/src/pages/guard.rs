//! The guard of the dashboard, which belongs to the control plane and is used by browsers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::html::language;
use crate::html::page::message;
use crate::net::addressing::Addressing;
use crate::web::access::{comes_from_here, has_token};
use crate::web::routes::into_response;

/// Does the same as the guard of the control plane, with pages and a password dialog, and accepts forms from our own pages
/// only.
pub(super) async fn guard(
    State(addressing): State<Arc<Addressing>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let t = language::texts(headers);
    if !comes_from_here(&addressing, &request) {
        let status = StatusCode::FORBIDDEN;
        return into_response(message(t, status, t.wrong_host, t.wrong_host_text));
    }
    if !has_token(&addressing, headers) {
        let status = StatusCode::UNAUTHORIZED;
        let mut reply = message(t, status, t.sign_in, t.sign_in_text);
        let challenge =
            HeaderValue::from_static(r#"Basic realm="coze-auth-mock", charset="UTF-8""#);
        reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        return into_response(reply);
    }
    if request.method() == Method::POST && !is_our_form(&addressing, headers) {
        let status = StatusCode::FORBIDDEN;
        return into_response(message(t, status, t.not_done, t.elsewhere));
    }
    next.run(request).await
}

/// Returns true if one of our pages sent the form. Browsers omit `Sec-Fetch-Site` only on an untrustworthy connection, and
/// send `Origin` then. A client that sends neither is not a browser.
fn is_our_form(addressing: &Addressing, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text(ORIGIN.as_str()) else {
        return true;
    };
    let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
    let forwarded = addressing.forwarded(headers).host;
    let hosts = [text(HOST.as_str()), forwarded.as_deref()];
    hosts.contains(&Some(authority)) || addressing.is_public_authority(authority)
}
