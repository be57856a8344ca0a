//! Answers of the control plane, and the parsing of its requests.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::protocol::response::json_reply;
use crate::web::routes;

/// The answer of a control.
pub(super) type Handled = Result<Json, Problem>;

/// The JSON of a successful control.
pub(super) struct Json(pub(super) Value);

/// The answer of a control that has no data.
pub(super) fn done() -> Json {
    Json(json!({ "ok": true }))
}

/// The refusal of a control request: its status and its JSON.
pub(super) struct Problem(pub(super) StatusCode, pub(super) Value);

impl Problem {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self(status, json!({ "error": error.into() }))
    }

    pub(super) fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(super) fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }
}

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        routes::into_response(json_reply(StatusCode::OK, self.0.to_string()))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(status, body) = self;
        routes::into_response(json_reply(status, body.to_string()))
    }
}

/// An answer that is not JSON.
pub(super) fn plain(kind: &'static str, body: String) -> Response {
    let mut reply = json_reply(StatusCode::OK, body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    routes::into_response(reply)
}

/// Parses a body. The error does not quote it, since it may hold a token.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8], shape: &str) -> Result<T, Problem> {
    // As an object first, since serde would also accept an array for a struct.
    let object = serde_json::from_slice::<Map<String, Value>>(body);
    let parsed = object.and_then(|members| serde_json::from_value(Value::Object(members)));
    parsed.map_err(|_| Problem::bad(format!("expected {shape}")))
}
