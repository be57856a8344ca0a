//! A token source over an HTTP client of one's own: hyper 1, by the client of hyper-util.
//!
//! ```console
//! $ export COZE_JWT_OAUTH_CLIENT_ID=… COZE_JWT_OAUTH_PUBLIC_KEY_ID=…
//! $ export COZE_JWT_OAUTH_PRIVATE_KEY="$(cat private_key.pem)"
//! $ cargo run --example custom_transport
//! ```

use std::error::Error;

use bytes::Bytes;
use coze_auth_tokens::core::http::Request as HttpRequest;
use coze_auth_tokens::core::{Body, Region, Request, Response, TransportFailure, jwt::JwtGrant};
use coze_auth_tokens::tokio::{TokenSource, Transport};
use coze_auth_tokens::{PeekableBody, SendError, jwt_app_from_env};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

/// hyper follows no redirect, goes through no proxy, and has no time limit.
#[derive(Clone)]
pub struct HyperTransport {
    /// The application's own client.
    pub http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Default for HyperTransport {
    /// It trusts whom Mozilla trusts.
    fn default() -> Self {
        let https = HttpsConnectorBuilder::new().with_webpki_roots();
        let https = https.https_or_http().enable_http1().build();
        let http = Client::builder(TokioExecutor::new()).build(https);
        Self { http }
    }
}

impl HyperTransport {
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let transport = HyperTransport::default();
    let app = jwt_app_from_env(Region::Cn)?;
    let url = format!("{}/v1/users/me", app.endpoints().api_base());
    let tokens = TokenSource::jwt(&transport, app, JwtGrant::new()); // keep it
    println!("{}", tokens.whoami().await?.user_name);

    // A request of the application's own. Its answer streams: the body is looked at where it is JSON, and handed on from the first byte.
    let http = transport.http;
    let send = |request| {
        let sent = http.request(request);
        async { sent.await.map(|answer| answer.map(PeekableBody::new)) }
    };
    let request = HttpRequest::get(url).body(Full::default())?;
    let answer = tokens.send_with(request, send).await?; // a token that is refused is renewed, and the request sent once more
    println!("{}", answer.status());
    tokens.close().await?;
    Ok(())
}
