//! Requests to Coze, and the log id of what it answered.

use std::sync::Mutex;
use std::sync::PoisonError;

use coze_auth::core::{Flow, Request, Response};
use coze_auth::tokens::SendError;
use coze_auth::tokens::tokio::{Time, Transport, run};
use coze_auth::{Client, Error};
use hyper::header::{HeaderName, HeaderValue};

/// The id that Coze's support asks for.
pub(super) const LOG_ID: HeaderName = HeaderName::from_static("x-tt-logid");

/// A client that remembers the log id of the last answer.
pub(super) struct Upstream<'a> {
    client: &'a Client,
    log_id: Mutex<Option<HeaderValue>>,
}

impl<'a> Upstream<'a> {
    pub(super) const fn new(client: &'a Client) -> Self {
        Self {
            client,
            log_id: Mutex::new(None),
        }
    }

    pub(super) async fn run<F: Flow>(&self, flow: F) -> Result<F::Output, Error> {
        run(self, flow).await
    }

    /// Of the last answer, if it looks like one of Coze's.
    pub(super) fn log_id(&self) -> Option<HeaderValue> {
        self.log_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Transport for Upstream<'_> {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let response = self.client.send(request).await?;
        let log_id = response
            .headers()
            .get(&LOG_ID)
            .filter(|id| is_log_id(id))
            .cloned();
        *self.log_id.lock().unwrap_or_else(PoisonError::into_inner) = log_id;
        Ok(response)
    }

    fn timeout(&self) -> std::time::Duration {
        self.client.timeout()
    }

    fn time(&self) -> &dyn Time {
        self.client.time()
    }
}

/// Time, address and number, in some 34 letters and digits. What is longer may be a secret that somebody repeats.
fn is_log_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    bytes.len() <= 40 && bytes.iter().all(u8::is_ascii_alphanumeric)
}
