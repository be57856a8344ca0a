//! The guard of the dashboard, which belongs to the control plane and is used by browsers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};

use crate::html::language;
use crate::html::page::message;
use crate::net::addressing::Addressing;
use crate::web::access::{comes_from_here, has_token};
use crate::web::routes::into_response;

/// Does the same as the guard of the control plane, with pages and a password dialog. That a form is one of our pages' the guard of
/// all planes has seen.
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
    next.run(request).await
}
