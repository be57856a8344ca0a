//! The calls of the shadow's own: its report, as a page, for programs and as a text, and the certificate of its CA.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use super::page;
use super::refusal::Refusal;
use super::serve::Shared;
use crate::net::addressing::is_loopback;
use crate::protocol::response::{json_reply, redirect};

const PAGE: &str = "/_mock/";
const REPORT: &str = "/_mock/v1/shadow";
const CA: &str = "/_mock/v1/shadow/ca.pem";

/// Returns true for a path that is the shadow's own and is never passed on.
pub(crate) fn is_at(path: &str) -> bool {
    path == "/_mock" || path.starts_with("/_mock/")
}

/// Answers `GET /_mock/`, the page, `GET /_mock/v1/shadow`, as a text with `?format=text`, and `GET /_mock/v1/shadow/ca.pem`. No page of
/// another origin is answered.
pub(crate) fn answer<B>(shared: &Shared, request: &Request<B>) -> Response<Bytes> {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !text(HOST.as_str()).is_some_and(is_loopback) {
        return Refusal::Host.answer();
    }
    let site = text("sec-fetch-site").unwrap_or("none");
    if headers.contains_key(ORIGIN) || !matches!(site, "none" | "same-origin") {
        return Refusal::Origin.answer();
    }
    let path = request.uri().path();
    if !["/_mock", PAGE, REPORT, CA].contains(&path) {
        return json_reply(
            StatusCode::NOT_FOUND,
            r#"{"error":"unknown path; the report is at /_mock/v1/shadow, as a page at /_mock/"}"#,
        );
    }
    if request.method() != Method::GET {
        let mut refused = json_reply(
            StatusCode::METHOD_NOT_ALLOWED,
            r#"{"error":"expected GET"}"#,
        );
        refused
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET"));
        return refused;
    }
    let upstream = shared.upstream.sites().map(|site| site.url());
    let text = match path {
        "/_mock" => return redirect(PAGE),
        PAGE => return page::report(&shared.judge().report, &upstream[0], headers),
        CA => shared.ca_pem.clone(),
        _ if request.uri().query() == Some("format=text") => {
            shared.judge().report.text(&upstream[0])
        }
        _ => {
            let report = shared.judge().report.json(&upstream);
            return json_reply(StatusCode::OK, report.to_string());
        }
    };
    let mut reply = json_reply(StatusCode::OK, text);
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, plain);
    reply
}
