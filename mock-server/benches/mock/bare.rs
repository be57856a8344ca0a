//! A route of axum that reads the JSON of a refresh and answers as many bytes as the mock, in head and body, and does
//! nothing else.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;

use crate::http::TOKEN;

const LOGID: HeaderName = HeaderName::from_static("x-tt-logid");
/// Of the mock's body.
const ANSWER: usize = 225;

pub(crate) fn serve(address: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .expect("a port");
        let headers = [
            (CONTENT_TYPE, "application/json; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (LOGID, "20260101000000MOCK00000000000001"),
        ];
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let answer = async move |Json(asked): Json<Value>| {
            let padding = "x".repeat(ANSWER - "{\"refresh_token\":\"\"}".len());
            let _ = asked["refresh_token"].as_str();
            let body = Json(serde_json::json!({ "refresh_token": padding }));
            (headers.clone(), body)
        };
        let router = Router::new()
            .route("/", get(async || "here"))
            .route(TOKEN, post(answer));
        axum::serve(listener, router).await.expect("it serves");
    });
}
