//! An answer of the API, looked at and handed on as it arrived.

use coze_auth_core::http;
use coze_auth_core::rejection::{is_json, rejects_token};
use coze_auth_tokens::adapter::Refused;
use coze_auth_tokens::tokio::Answer as _;
use coze_auth_tokens::{Origins, PeekableBody};
use reqwest::{Body, Response, ResponseBuilderExt as _};

use crate::Error;
use crate::network::network_error;

/// Sends a request with a token. With the answer comes what it refuses, if it does. reqwest tells where a request
/// ended, and not by which way.
///
/// # Errors
///
/// [`Error::Redirected`] if it ended where the token must not be sent, and refuses it: the token may have gone along.
pub(crate) async fn ask(
    http: &reqwest::Client,
    request: reqwest::Request,
    origins: &Origins,
) -> Result<(Response, Option<Refused>), Error> {
    let failed = |error| Error::Request(network_error(error, None));
    let mut asked = request.url().clone();
    asked.set_fragment(None);
    let answer = http.execute(request).await.map_err(failed)?;
    let ended = answer.url().clone();
    let (answer, rejected) = judge(answer).await.map_err(failed)?;
    let refused = rejected.then(|| origins.refused_at(asked.as_str(), ended.as_str()));
    Ok((answer, refused.transpose()?))
}

/// The answer, and whether it refuses the token.
async fn judge(answer: Response) -> reqwest::Result<(Response, bool)> {
    if !is_json(answer.headers()) {
        let rejected = rejects_token(answer.status(), None);
        return Ok((answer, rejected));
    }
    let url = answer.url().clone();
    let mut answer = http::Response::<Body>::from(answer).map(PeekableBody::new);
    let rejected = answer.refuses_token().await?;
    // reqwest keeps the URL apart from the message; this is its way to say it again.
    if let Ok(with_url) = http::Response::builder().url(url).body(()) {
        let extensions = with_url.into_parts().0.extensions;
        answer.extensions_mut().extend(extensions);
    }
    Ok((answer.map(Body::wrap).into(), rejected))
}
