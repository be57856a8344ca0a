//! A route of axum that reads JSON and answers JSON of the size of a token answer, and does nothing else.

use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;

const ANSWER: usize = 234;

pub(crate) fn serve(address: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .expect("a port");
        let answer = async |Json(asked): Json<Value>| {
            let padding = "x".repeat(ANSWER - "{\"refresh_token\":\"\"}".len());
            let _ = asked["refresh_token"].as_str();
            Json(serde_json::json!({ "refresh_token": padding }))
        };
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/token", post(answer));
        axum::serve(listener, router).await.expect("it serves");
    });
}
