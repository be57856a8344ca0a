//! A token source over an HTTP client of one's own, blocking: attohttpc.
//!
//! ```console
//! $ export COZE_JWT_OAUTH_CLIENT_ID=… COZE_JWT_OAUTH_PUBLIC_KEY_ID=…
//! $ export COZE_JWT_OAUTH_PRIVATE_KEY="$(cat private_key.pem)"
//! $ cargo run --example custom_transport_blocking
//! ```

use std::error::Error;
use std::io::Read as _;
use std::time::Duration;

use attohttpc::{ErrorKind, ProxySettings, RequestBuilder, ResponseReader};
use coze_auth_tokens::blocking::{TokenSource, Transport};
use coze_auth_tokens::core::{Body, Region, Request, Response, http, jwt::JwtGrant};
use coze_auth_tokens::{PeekableBody, SendError, jwt_app_from_env};

/// It has nothing to keep: attohttpc makes a connection for each request.
#[derive(Clone)]
pub struct AttohttpcTransport;

impl Transport for AttohttpcTransport {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        let request = request.map(|body| body.as_bytes().to_vec());
        let answer = self::send(request, self.timeout()).map_err(SendError::of)?;
        let (head, body) = answer.into_parts();
        let mut bytes = Vec::new();
        let mut body = body.take(Body::READ_AT_MOST as u64);
        body.read_to_end(&mut bytes).map_err(SendError::of)?;
        Ok(Response::from_parts(head, bytes.into()))
    }
}

/// Sends a request once and gives the answer, whatever its status, its body unread.
///
/// # Errors
///
/// If there is no answer.
pub fn send(
    request: http::Request<Vec<u8>>,
    timeout: Duration,
) -> Result<http::Response<ResponseReader>, Box<dyn Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let mut builder = RequestBuilder::try_new(head.method, head.uri.to_string())?;
    *builder.headers_mut() = head.headers;
    let answer = builder
        .timeout(timeout)
        .follow_redirects(false) // a token is for nobody else
        .proxy_settings(ProxySettings::builder().build()) // none, or `from_env`
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

fn main() -> Result<(), Box<dyn Error>> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let app = jwt_app_from_env(Region::Cn)?;
    let url = format!("{}/v1/users/me", app.endpoints().api_base());
    let tokens = TokenSource::jwt(&AttohttpcTransport, app, JwtGrant::new()); // keep it
    println!("{}", tokens.whoami()?.user_name);

    // A request of the application's own. Its answer streams: the body is looked at where it is JSON, and handed on from the first byte.
    let minute = Duration::from_secs(60);
    let send = |request| self::send(request, minute).map(|answer| answer.map(PeekableBody::new));
    let request = http::Request::get(url).body(Vec::new())?;
    let answer = tokens.send_with(request, send)?; // a token that is refused is renewed, and the request sent once more
    println!("{}", answer.status());
    tokens.close()?;
    Ok(())
}
