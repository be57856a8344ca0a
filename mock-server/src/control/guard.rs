//! The guard of the control plane, which runs before every control.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Router, middleware};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::other_method;
use super::reply::Problem;
use crate::limits::MAX_CONTROL_BODY;
use crate::net::addressing::Addressing;
use crate::protocol::request::Body;
use crate::web::access::{comes_from_here, has_token};
use crate::web::body::read;

pub(super) fn guarded<S>(router: Router<S>, addressing: &Arc<Addressing>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    router
        .method_not_allowed_fallback(other_method)
        .layer(DefaultBodyLimit::max(MAX_CONTROL_BODY))
        .layer(middleware::from_fn_with_state(addressing.clone(), guard))
}

/// Refuses requests that a web page of another site may have made: those to a foreign name that resolves to this machine
/// (`Host`), and those across origins (`Origin`). If the mock has an admin token, it also requires the token.
async fn guard(
    State(addressing): State<Arc<Addressing>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if !comes_from_here(&addressing, &request) {
        let text = "the control plane answers only requests to localhost, 127.0.0.0/8, [::1] and the host of the public URL";
        return Problem::new(StatusCode::FORBIDDEN, text).into_response();
    }
    // A container's health check has no token, and the answer has no secret.
    // A client needs the CA's certificate before it can send a token over https.
    if matches!(request.uri().path(), "/health" | "/ca.pem") || has_token(&addressing, headers) {
        return in_json(next.run(request).await).await;
    }
    let text = "the control plane requires the admin token: send Authorization: Bearer <token>; the token was set or printed at the start";
    Problem::new(StatusCode::UNAUTHORIZED, text).into_response()
}

/// Gives the framework's own refusals the shape of ours: a body that is too long or incomplete, a path that is not a text.
async fn in_json(response: Response) -> Response {
    let kind = response.headers().get(CONTENT_TYPE);
    let plain = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let status = response.status();
    if !plain || !status.is_client_error() {
        return response;
    }
    let text = match (status, read(response.into_body()).await) {
        (StatusCode::PAYLOAD_TOO_LARGE, _) => {
            format!("the body has more than {MAX_CONTROL_BODY} bytes; send a smaller one")
        }
        (_, Body::Whole(text)) => String::from_utf8_lossy(&text).into_owned(),
        _ => "this request cannot be read".to_owned(),
    };
    Problem::new(status, text).into_response()
}
