//! An answer of the API, looked at and handed on as it came.

use std::io::{Cursor, Read as _};

use coze_auth_core::http::Response;
use coze_auth_core::http::header::CONTENT_TYPE;
use coze_auth_core::rejection::{LOOKED_AT, is_json, rejects_token};
use ureq::Body;

/// The answer, and whether it says that the token is no good.
pub(crate) fn judge(answer: Response<Body>) -> Result<(Response<Body>, bool), ureq::Error> {
    let status = answer.status();
    let content_type = answer.headers().get(CONTENT_TYPE);
    if !content_type.is_some_and(|value| value.to_str().is_ok_and(is_json)) {
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
