//! An answer of the API, looked at and handed on as it came.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use coze_auth_core::http;
use coze_auth_core::rejection::{LOOKED_AT, is_json, rejects_token};
use coze_auth_tokens::{Origins, Refused};
use http_body::{Frame, SizeHint};
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

/// The answer, and whether it says that the token is no good.
async fn judge(mut answer: Response) -> reqwest::Result<(Response, bool)> {
    let status = answer.status();
    if !is_json(answer.headers()) {
        return Ok((answer, rejects_token(status, None)));
    }
    let mut read = Vec::new();
    while read.len() <= LOOKED_AT {
        match answer.chunk().await? {
            Some(chunk) => read.extend_from_slice(&chunk),
            None => {
                let rejected = rejects_token(status, Some(&read));
                return Ok((put_back(answer, read), rejected));
            }
        }
    }
    Ok((put_back(answer, read), rejects_token(status, None)))
}

/// The answer with what was read of its body before the rest.
fn put_back(answer: Response, read: Vec<u8>) -> Response {
    let url = answer.url().clone();
    let (mut head, rest) = http::Response::<Body>::from(answer).into_parts();
    // reqwest keeps the URL apart from the message; this is its way to say it again.
    let with_url = http::Response::builder().url(url).body(());
    if let Ok(with_url) = with_url {
        head.extensions.extend(with_url.into_parts().0.extensions);
    }
    let body = Body::wrap(PutBack {
        read: Some(read.into()),
        rest,
    });
    Response::from(http::Response::from_parts(head, body))
}

struct PutBack {
    read: Option<Bytes>,
    rest: Body,
}

impl http_body::Body for PutBack {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<reqwest::Result<Frame<Bytes>>>> {
        match self.read.take() {
            Some(read) => Poll::Ready(Some(Ok(Frame::data(read)))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.as_ref().map_or(0, |read| read.len() as u64);
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}
