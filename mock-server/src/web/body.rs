//! Reading a body, up to a limit.

use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::oauth::context::BODY_LIMIT;
use crate::protocol::request::Body;

/// Bytes of an oversized body that are read and dropped, so that a client that is still sending
/// gets to see the answer.
pub(crate) const DRAIN_LIMIT: usize = 16 * 1024 * 1024;

pub(crate) async fn read(mut body: axum::body::Body) -> Body {
    let mut whole = BytesMut::new();
    let mut length: usize = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Body::Broken;
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length = length.saturating_add(data.len());
        if length <= BODY_LIMIT && whole.is_empty() && body.is_end_stream() {
            return Body::Whole(data);
        }
        if length <= BODY_LIMIT {
            whole.extend_from_slice(&data);
        }
        if length > DRAIN_LIMIT {
            break;
        }
    }
    match length > BODY_LIMIT {
        true => Body::TooLong,
        false => Body::Whole(whole.freeze()),
    }
}

pub(crate) async fn form(request: Request) -> Bytes {
    match read(request.into_body()).await {
        Body::Whole(form) => form,
        Body::TooLong | Body::Broken => Bytes::new(),
    }
}
