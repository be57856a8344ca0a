//! The body of an answer as it is sent, with which its request ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::Version;
use http_body::{Body, Frame, SizeHint};

use crate::net::connections::{OfferedAnswer, RequestUnderWay};
use crate::net::socket::{AnswerFault, ConnectionHandle};

#[derive(Debug)]
pub(crate) struct Answer {
    body: axum::body::Body,
    fault: Option<(AnswerFault, ConnectionHandle)>,
    request: Request,
}

/// The request, until its answer has been given to HTTP/1.1, or over HTTP/2 until the client has taken it.
#[derive(Debug)]
enum Request {
    OfConnection { _under_way: RequestUnderWay },
    OfStream(Arc<OfferedAnswer>),
}

/// A part of an answer.
#[derive(Debug)]
pub(crate) struct Part {
    bytes: Bytes,
    of: Option<Arc<OfferedAnswer>>,
}

impl Buf for Part {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(answer) = &self.of {
            answer.is_taken();
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(answer) = &self.of {
            answer.is_over();
        }
    }
}

impl Answer {
    pub(crate) fn new(
        body: axum::body::Body,
        fault: Option<(AnswerFault, ConnectionHandle)>,
        request: RequestUnderWay,
        version: Version,
    ) -> Self {
        let bytes = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let request = match version {
            Version::HTTP_2 => Request::OfStream(request.offered(bytes)),
            _ => {
                request.answers(bytes);
                Request::OfConnection {
                    _under_way: request,
                }
            }
        };
        Self {
            body,
            fault,
            request,
        }
    }

    fn poll_part(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some((AnswerFault::Cut(left), handle)) = &mut self.fault {
            // What was given before is with HTTP/2 now, and goes out before the connection ends.
            if *left == 0 {
                handle.cut();
                return Poll::Pending;
            }
            let polled = Pin::new(&mut self.body).poll_frame(context);
            return polled.map_ok(|frame| {
                frame.map_data(|mut data| {
                    data.truncate(*left);
                    *left -= data.len();
                    data
                })
            });
        }
        Pin::new(&mut self.body).poll_frame(context)
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
    type Data = Part;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Part>, axum::Error>>> {
        let polled = self.poll_part(context);
        let Request::OfStream(answer) = &self.request else {
            return polled.map_ok(|frame| frame.map_data(|bytes| Part { bytes, of: None }));
        };
        if !matches!(polled, Poll::Ready(Some(_))) {
            answer.waits();
        }
        polled.map_ok(|frame| {
            frame.map_data(|bytes| {
                answer.gives();
                let of = Some(answer.clone());
                Part { bytes, of }
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        let is_cut = matches!(self.fault, Some((AnswerFault::Cut(_), _)));
        !is_cut && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
