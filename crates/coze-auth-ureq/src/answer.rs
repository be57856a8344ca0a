//! An answer of the API, looked at and handed on as it came.

use std::io::{Cursor, Read as _};

use coze_auth_core::http::{Request, Response};
use coze_auth_core::rejection::{LOOKED_AT, is_json, rejects_token};
use coze_auth_tokens::{Origins, Refused};
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

/// The answer, and whether it says that the token is no good.
fn judge(answer: Response<Body>) -> Result<(Response<Body>, bool), ureq::Error> {
    let status = answer.status();
    if !is_json(answer.headers()) {
        return Ok((answer, rejects_token(status, None)));
    }
    let (head, body) = answer.into_parts();
    let (mime_type, charset) = (
        body.mime_type().map(str::to_owned),
        body.charset().map(str::to_owned),
    );
    let mut rest = body.into_reader();
    let mut read = Vec::new();
    rest.by_ref()
        .take(LOOKED_AT as u64 + 1)
        .read_to_end(&mut read)?;
    let whole = read.len() <= LOOKED_AT;
    let rejected = rejects_token(status, whole.then_some(&*read));
    let mut body = Body::builder();
    if let Some(mime_type) = mime_type {
        body = body.mime_type(mime_type);
    }
    if let Some(charset) = charset {
        body = body.charset(charset);
    }
    let body = match whole {
        // ureq takes a length with this alone.
        true => body.data(read),
        false => body.reader(Cursor::new(read).chain(rest)),
    };
    Ok((Response::from_parts(head, body), rejected))
}
