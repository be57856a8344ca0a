//! The answer of an API call of the user's own as a streamed body, an event at a time.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;

use super::routes::into_response;
use crate::limits::MAX_FAULT_TIME;
use crate::protocol::api::EventStream;
use crate::protocol::response::Reply;
use crate::time::ticker::Ticker;

/// Converts an answer, and streams its body if it has events.
pub(crate) fn answered(mut reply: Reply) -> Response {
    match reply.extensions_mut().remove::<EventStream>() {
        Some(stream) => reply.map(|body| Body::new(ApiStream::new(stream, body))),
        None => into_response(reply),
    }
}

struct ApiStream {
    ends: std::vec::IntoIter<usize>,
    sent: usize,
    body: Bytes,
    pause: Option<Duration>,
    ticker: Option<Ticker>,
    begun: Instant,
}

impl ApiStream {
    fn new(stream: EventStream, body: Bytes) -> Self {
        Self {
            ends: stream.ends.into_iter(),
            sent: 0,
            body,
            pause: Some(stream.pause).filter(|pause| !pause.is_zero()),
            ticker: None,
            begun: Instant::now(),
        }
    }
}

impl HttpBody for ApiStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let in_time = self.begun.elapsed() < MAX_FAULT_TIME;
        if let Some(ticker) = self.ticker.as_mut().filter(|_| in_time) {
            ready!(ticker.poll_next(context));
        }
        let Some(end) = self.ends.next() else {
            return Poll::Ready(None);
        };
        // No pause before the first event, nor after the last.
        self.ticker = match self.ends.len() {
            0 => None,
            _ => self.ticker.take().or_else(|| self.pause.map(Ticker::every)),
        };
        let event = self.body.slice(self.sent..end);
        self.sent = end;
        Poll::Ready(Some(Ok(Frame::data(event))))
    }
}
