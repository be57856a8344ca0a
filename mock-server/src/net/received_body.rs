//! The body of a request as it arrives, for which the mock does not wait for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::connections::{BodyUnderWay, Connection};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug)]
pub(crate) struct ReceivedBody {
    incoming: Incoming,
    connection: Arc<Connection>,
    /// Once its rest had to be waited for; most bodies arrive together with their heads.
    under_way: Option<BodyUnderWay>,
}

impl ReceivedBody {
    pub(crate) fn new(incoming: Incoming, connection: Arc<Connection>) -> Self {
        Self {
            incoming,
            connection,
            under_way: None,
        }
    }
}

impl Body for ReceivedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.incoming).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(under_way), Some(data)) = (&mut this.under_way, frame.data_ref()) {
                    under_way.receives(data.len());
                }
            }
            Poll::Ready(_) => this.under_way = None,
            Poll::Pending => {}
        }
        if polled.is_pending() || this.under_way.is_some() {
            let connection = &this.connection;
            let under_way = this
                .under_way
                .get_or_insert_with(|| connection.wait_for_body());
            if let Some(late) = under_way.late(context.waker()) {
                this.under_way = None;
                return Poll::Ready(Some(Err(late.into())));
            }
        }
        polled.map_err(Error::from)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
