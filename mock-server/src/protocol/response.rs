//! Answers in the shapes of protocol §3 and §4.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::api::Api;
use super::endpoint::Endpoint;
use super::refusal::Refusal;
use super::rules::{Rule, RuleSet};

/// The answer of a handler if no rule is violated.
#[derive(Debug)]
pub(crate) enum Answer {
    Json(Vec<u8>),
    Redirect(String),
    /// That of a call of the user's own.
    Own(Arc<Api>),
}

impl Answer {
    pub(crate) fn json(value: &impl serde::Serialize) -> Self {
        // The capacity is for two tokens.
        let mut body = Vec::with_capacity(256);
        serde_json::to_writer(&mut body, value).expect("our answers have string keys");
        Self::Json(body)
    }
}

pub(crate) const LOGID: HeaderName = HeaderName::from_static("x-tt-logid");

/// A header that Coze does not have: the rule that refused, for people who look at the traffic.
const RULE: &str = "x-mock-rule";

/// The same for the fault that acted on the answer.
const FAULT: &str = "x-mock-fault";

pub(crate) type Reply = Response<Bytes>;

pub(crate) fn json_reply(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

pub(crate) fn redirect(location: &str) -> Reply {
    let mut reply = Response::new(Bytes::new());
    let headers = reply.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // `Url` percent-encodes all characters that a header cannot hold.
    if let Ok(location) = HeaderValue::from_str(location) {
        headers.insert(LOCATION, location);
    }
    *reply.status_mut() = StatusCode::FOUND;
    reply
}

pub(crate) fn success(answer: Answer) -> Reply {
    match answer {
        Answer::Json(body) => json_reply(StatusCode::OK, body),
        Answer::Redirect(location) => redirect(&location),
        Answer::Own(api) => api.reply(),
    }
}

/// Status, error code and body of a refusal. A code that consists of digits is a resource error (protocol §4.1, F2), any
/// other an OAuth error (F1; of a workload that of RFC 6749).
pub(crate) fn refusal_body(
    endpoint: Endpoint<'_>,
    refusal: &Refusal,
    rules: &RuleSet,
    logid: &str,
) -> (StatusCode, String, Value) {
    let (status, error) = rules.answer(refusal.rule);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let body = error_body(endpoint, error, &refusal.message(), logid);
    (status, error.to_owned(), body)
}

pub(crate) fn error_body(endpoint: Endpoint<'_>, error: &str, message: &str, logid: &str) -> Value {
    match error.parse::<u64>() {
        Ok(code) => {
            // The message belongs to the code, so another code brings its own (protocol §4.4).
            let message = match code {
                700_012_006 => "access token invalid",
                _ => message,
            };
            json!({ "code": code, "msg": message, "detail": { "logid": logid } })
        }
        // RFC 6749 §5.2, as the workload's client reads it (protocol §15.4).
        Err(_) if matches!(endpoint, Endpoint::WorkloadToken { .. }) => json!({
            "error": error,
            "error_description": message,
        }),
        Err(_) => json!({
            "error_code": error,
            "error_message": message,
            "error": error,
        }),
    }
}

/// Adds the headers that every answer of the data plane has.
pub(crate) fn stamp(reply: &mut Reply, logid: &str, refused_by: Option<Rule>) {
    let headers = reply.headers_mut();
    if let Ok(logid) = HeaderValue::from_str(logid) {
        headers.insert(LOGID, logid);
    }
    if let Some(rule) = refused_by {
        headers.insert(RULE, HeaderValue::from_static(rule.id()));
    }
}

pub(crate) fn marked(mut reply: Reply, fault: Option<&'static str>) -> Reply {
    if let Some(fault) = fault {
        reply
            .headers_mut()
            .insert(FAULT, HeaderValue::from_static(fault));
    }
    reply
}

pub(crate) fn allow(reply: &mut Reply, methods: &str) {
    if let Ok(methods) = HeaderValue::from_str(methods) {
        reply.headers_mut().insert(ALLOW, methods);
    }
}
