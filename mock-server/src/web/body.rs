//! Reading a body, up to a limit.

use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::limits::{MAX_BODY, MAX_DRAINED_BODY};
use crate::net::connections::Late;
use crate::protocol::request::Body;

pub(crate) async fn read(mut body: axum::body::Body) -> Body {
    let mut whole = BytesMut::new();
    let mut length: usize = 0;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return broken(error),
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length = length.saturating_add(data.len());
        if length <= MAX_BODY && whole.is_empty() && body.is_end_stream() {
            return Body::Whole(data);
        }
        if length <= MAX_BODY {
            whole.extend_from_slice(&data);
        }
        if length > MAX_DRAINED_BODY {
            break;
        }
    }
    match length > MAX_BODY {
        true => Body::TooLong,
        false => Body::Whole(whole.freeze()),
    }
}

fn broken(error: axum::Error) -> Body {
    match error.into_inner().downcast_ref::<Late>() {
        Some(late) => Body::Late(late.to_string()),
        None => Body::Broken,
    }
}

pub(crate) async fn form(request: Request) -> Bytes {
    match read(request.into_body()).await {
        Body::Whole(form) => form,
        Body::TooLong | Body::Broken | Body::Late(_) => Bytes::new(),
    }
}
