//! The picture of a user, which pages of other origins show.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};

use crate::protocol::endpoint::PICTURE;
use crate::world::worlds::PREFIX;

/// The same for all users of all worlds, so that none of them is looked for.
const PNG: &[u8] = include_bytes!("avatar.png");

/// Returns true if the whole path is that of a picture.
pub(crate) fn is_at(path: &str) -> bool {
    let Some(before) = path.strip_suffix(PICTURE) else {
        return false;
    };
    let name = before.strip_prefix(PREFIX);
    before.is_empty() || name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

/// Shows the picture, in pages that take only what was meant for them as well.
pub(crate) fn answer(method: &Method) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "image/png"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    match *method {
        // The server leaves the body of an answer to HEAD out.
        Method::GET | Method::HEAD => *response.body_mut() = Body::from(PNG),
        _ => {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        }
    }
    response
}
