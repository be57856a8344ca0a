//! The mock's control plane, called from anywhere.

use std::sync::Arc;

use coze_auth_core::http;
use coze_auth_mock::CozeAuthMock;
use serde_json::{Map, Value};

/// A control of the mock that can be called from anywhere.
#[derive(Clone, Debug)]
pub(super) struct Controls {
    pub(super) mock: Arc<CozeAuthMock>,
    pub(super) name: String,
}

impl Controls {
    /// `POST /faults` and its body.
    pub(super) fn call(&self, what: &str, body: &Map<String, Value>) -> Result<Value, String> {
        let (method, path) = what.split_once(' ').unwrap_or(("GET", what));
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("/t/{}/_mock/v1{path}", self.name))
            .header("host", "127.0.0.1");
        let body = match method {
            "GET" | "DELETE" => Vec::new(),
            _ => {
                request = request.header("content-type", "application/json");
                Value::Object(body.clone()).to_string().into_bytes()
            }
        };
        let request = request
            .body(body.into())
            .map_err(|error| error.to_string())?;
        let response = self.mock.call_blocking(request);
        let text = String::from_utf8_lossy(response.body()).into_owned();
        match response.status().is_success() {
            true => serde_json::from_str(&text).map_err(|error| format!("{what}: {error}")),
            false => Err(format!("{what}: {} {text}", response.status())),
        }
    }
}
