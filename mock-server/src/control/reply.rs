//! The answers of the control plane, and how its requests are read.

use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::protocol::response::json_reply;
use crate::web::routes::into_response;

pub(super) type Handled = Result<Value, Problem>;

/// A control request that was not carried out.
pub(super) struct Problem(pub(super) StatusCode, pub(super) Value);

impl Problem {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self(status, json!({ "error": error.into() }))
    }

    pub(super) fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }
}

pub(super) fn respond(handled: Handled) -> Response {
    let (status, body) = match handled {
        Ok(body) => (StatusCode::OK, body),
        Err(Problem(status, body)) => (status, body),
    };
    into_response(json_reply(status, body.to_string()))
}

/// What is no JSON.
pub(super) fn plain(kind: &'static str, body: String) -> Response {
    let mut reply = json_reply(StatusCode::OK, body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    into_response(reply)
}

/// Never quotes what was sent: it may hold a token.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8], shape: &str) -> Result<T, Problem> {
    // An object first, since serde would take an array for a struct too.
    let object = serde_json::from_slice::<Map<String, Value>>(body);
    let parsed = object.and_then(|members| serde_json::from_value(Value::Object(members)));
    parsed.map_err(|_| Problem::bad(format!("expected {shape}")))
}
