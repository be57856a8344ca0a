//! The redirect to the app, and what a fault makes of it.

use askama::Template;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::language::texts;
use super::page::page;
use super::texts::Texts;
use crate::intercept::fault_kind::CallbackFault;
use crate::protocol::response::{self, Reply};

#[derive(Template)]
#[template(path = "twice.html")]
struct Twice<'a> {
    t: &'static Texts,
    to: &'a str,
}

/// Redirects to the app. `headers` are those of the request.
pub(crate) fn redirect(headers: &HeaderMap, to: &str, fault: Option<CallbackFault>) -> Reply {
    let mut reply = match fault {
        Some(CallbackFault::Twice) => {
            let t = texts(headers);
            let mut reply = page(StatusCode::OK, t, &Twice { t, to });
            // The picture is the app's callback; `*` does not allow the icon of the page.
            let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src * data:; frame-ancestors 'none'; base-uri 'none'";
            let policy = HeaderValue::from_static(policy);
            reply.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
            reply
        }
        _ => response::redirect(to),
    };
    if fault == Some(CallbackFault::Status307) {
        *reply.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    }
    response::marked(reply, fault.map(CallbackFault::name))
}
