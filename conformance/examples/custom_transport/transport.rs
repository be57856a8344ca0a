//! hyper 1, by the client of hyper-util, as a transport.

use bytes::Bytes;
use coze_auth_tokens::SendError;
use coze_auth_tokens::core::{Body, Request, Response, TransportFailure};
use coze_auth_tokens::tokio::Transport;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

/// hyper follows no redirect, goes through no proxy, and has no time limit. Give it a connector for TLS (hyper-rustls).
#[derive(Clone)]
pub(crate) struct HyperTransport {
    pub(crate) http: Client<HttpConnector, Full<Bytes>>,
}

impl HyperTransport {
    pub(crate) fn new() -> Self {
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { http }
    }

    async fn answer(&self, request: Request) -> Result<Response, SendError> {
        let request = request.map(|body| Full::from(body.as_bytes().to_vec()));
        let answer = self.http.request(request).await.map_err(SendError::of)?;
        let (head, mut rest) = answer.into_parts();
        let mut body = Vec::new();
        while body.len() < Body::READ_AT_MOST
            && let Some(frame) = rest.frame().await
        {
            let frame = frame.map_err(SendError::of)?;
            body.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
        }
        body.truncate(Body::READ_AT_MOST);
        Ok(Response::from_parts(head, body.into()))
    }
}

impl Transport for HyperTransport {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let answer = tokio::time::timeout(self.timeout(), self.answer(request)).await;
        answer.unwrap_or_else(|_| Err(TransportFailure::Timeout.into()))
    }
}
