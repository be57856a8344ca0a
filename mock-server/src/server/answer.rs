//! The body of an answer as it is sent, with which its request ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::net::connections::RequestUnderWay;
use crate::net::socket::{AnswerFault, ConnectionHandle};

#[derive(Debug)]
pub(crate) struct Answer {
    body: axum::body::Body,
    fault: Option<(AnswerFault, ConnectionHandle)>,
    _request: RequestUnderWay,
}

impl Answer {
    pub(crate) fn new(
        body: axum::body::Body,
        fault: Option<(AnswerFault, ConnectionHandle)>,
        request: RequestUnderWay,
    ) -> Self {
        Self {
            body,
            fault,
            _request: request,
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some((AnswerFault::Last, handle)) = &self.fault {
            handle.say_farewell();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if let Some((AnswerFault::Cut(left), handle)) = &mut this.fault {
            // What was given before is with HTTP/2 now, and goes out before the connection ends.
            if *left == 0 {
                handle.cut();
                return Poll::Pending;
            }
            let polled = Pin::new(&mut this.body).poll_frame(context);
            return polled.map_ok(|frame| {
                frame.map_data(|mut data| {
                    data.truncate(*left);
                    *left -= data.len();
                    data
                })
            });
        }
        Pin::new(&mut this.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        let is_cut = matches!(self.fault, Some((AnswerFault::Cut(_), _)));
        !is_cut && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
