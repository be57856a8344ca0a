//! An answer of the API, looked at and handed on as it arrived.

use coze_auth_core::http::{Request, Response};
use coze_auth_core::rejection::{LOOKED_AT, is_json, rejects_token};
use coze_auth_tokens::adapter::Refused;
use coze_auth_tokens::blocking::Answer as _;
use coze_auth_tokens::{Origins, PeekableBody};
use ureq::config::RedirectAuthHeaders;
use ureq::{Agent, AsSendBody, Body, ResponseExt as _};

use crate::Error;
use crate::client::deliver;
use crate::network::{network_error, proxy_of};

/// Sends a request with a token. With the answer comes what it refuses, if it does.
pub(crate) fn ask<B: AsSendBody>(
    agent: &Agent,
    request: Request<B>,
    origins: &Origins,
) -> Result<(Response<Body>, Option<Refused>), Error> {
    let proxy = proxy_of(agent, request.uri());
    let failed = |error| Error::Request(network_error(error, proxy.clone()));
    let answer = deliver(agent, request).map_err(failed)?;
    let keeps = agent.config().redirect_auth_headers() == RedirectAuthHeaders::SameHost;
    let way = answer.get_redirect_history().unwrap_or_default();
    let ended = origins.ended_without(way, keeps)?;
    let about = ended.map_or(Refused::Token, |to| Refused::Without(to.to_string()));
    let (answer, rejected) = judge(answer).map_err(failed)?;
    Ok((answer, rejected.then_some(about)))
}

/// The answer, and whether it refuses the token.
fn judge(answer: Response<Body>) -> Result<(Response<Body>, bool), ureq::Error> {
    if !is_json(answer.headers()) {
        let rejected = rejects_token(answer.status(), None);
        return Ok((answer, rejected));
    }
    let mut like = Body::builder();
    if let Some(mime_type) = answer.body().mime_type() {
        like = like.mime_type(mime_type);
    }
    if let Some(charset) = answer.body().charset() {
        like = like.charset(charset);
    }
    let mut answer = answer.map(|body| PeekableBody::new(body.into_reader()));
    let rejected = answer.refuses_token()?;
    // ureq takes a length with bytes alone.
    let read = answer.peek(LOOKED_AT + 1)?;
    let whole = (read.len() <= LOOKED_AT).then(|| read.to_vec());
    let answer = answer.map(|body| match whole {
        Some(bytes) => like.data(bytes),
        None => like.reader(body),
    });
    Ok((answer, rejected))
}
