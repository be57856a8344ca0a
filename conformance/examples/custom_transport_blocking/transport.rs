//! attohttpc, as a transport.

use std::error::Error;
use std::io::Read as _;
use std::time::Duration;

use attohttpc::{ErrorKind, ProxySettings, RequestBuilder, ResponseReader};
use coze_auth_tokens::SendError;
use coze_auth_tokens::blocking::Transport;
use coze_auth_tokens::core::{Body, Request, Response, http};

/// It has nothing to keep: attohttpc makes a connection for each request.
#[derive(Clone)]
pub(crate) struct AttohttpcTransport;

/// Sends a request once and gives the answer, whatever its status, its body unread.
pub(crate) fn send(
    request: http::Request<Vec<u8>>,
    timeout: Duration,
) -> Result<http::Response<ResponseReader>, Box<dyn Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let mut builder = RequestBuilder::try_new(head.method, head.uri.to_string())?;
    *builder.headers_mut() = head.headers;
    let answer = builder
        .timeout(timeout)
        .follow_redirects(false) // a token is for nobody else
        .proxy_settings(ProxySettings::builder().build()) // the mock is on this machine
        .bytes(body)
        .send();
    let answer = answer.map_err(|error| -> Box<dyn Error + Send + Sync> {
        match error.into_kind() {
            // attohttpc hides it from `source()`, where the reason is looked for.
            ErrorKind::Io(error) => error.into(),
            other => attohttpc::Error::from(other).into(),
        }
    });
    let (status, headers, body) = answer?.split();
    let mut answer = http::Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

impl Transport for AttohttpcTransport {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        let request = request.map(|body| body.as_bytes().to_vec());
        let (head, body) = self::send(request, self.timeout())
            .map_err(SendError::of)?
            .into_parts();
        let mut bytes = Vec::new();
        let mut body = body.take(Body::READ_AT_MOST as u64);
        body.read_to_end(&mut bytes).map_err(SendError::of)?;
        Ok(Response::from_parts(head, bytes.into()))
    }
}
