//! The journal of a world as a streamed body.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use http_body::Frame;

use crate::journal::Journal;
use crate::journal::entry::JournalEntry;
use crate::journal::filter::RequestFilter;
use crate::world::World;
use crate::world::wait::{Waited, WaitingClient};

/// Maximum silence of the stream; proxies close connections that are silent for longer.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Maximum number of requests in one frame of the body.
const AT_ONCE: usize = 64;

/// An event of the stream.
pub(crate) enum StreamEvent<'a> {
    Request(&'a JournalEntry),
    /// This many requests were evicted before they were sent.
    Lost(u64),
    Silence,
    /// The last event: the world was reset or has ended.
    Reset,
}

type Render = fn(&StreamEvent<'_>) -> String;

type Waiting = Pin<Box<dyn Future<Output = Waited<()>> + Send>>;

/// A reader's position in the journal. Nothing else is kept for it, so a slow reader may lose evicted requests.
pub(crate) struct JournalStream {
    _client: WaitingClient,
    world: Arc<World>,
    epoch: u64,
    after: u64,
    /// Number of requests that are still to be sent.
    left: u64,
    waiting: Option<Waiting>,
    over: bool,
    render: Render,
    /// The start of the body, before all requests.
    head: Option<String>,
}

impl JournalStream {
    /// Makes a stream of the requests after `after`, at most `left`, as `render` writes them. `epoch` is that of the notifier,
    /// read before `after`.
    pub(crate) fn new(
        client: WaitingClient,
        world: Arc<World>,
        epoch: u64,
        after: u64,
        left: u64,
        render: Render,
    ) -> Self {
        Self {
            _client: client,
            world,
            epoch,
            after,
            left,
            waiting: None,
            over: false,
            render,
            head: None,
        }
    }

    pub(crate) fn after_text(mut self, head: String) -> Self {
        self.head = Some(head);
        self
    }

    fn coming(&mut self) -> Option<String> {
        let world = self.world.clone();
        let state = world.state();
        let journal = &state.journal;
        let mut text = String::new();
        if let Some(lost) = lost(journal, self.after) {
            text.push_str(&(self.render)(&StreamEvent::Lost(lost)));
            self.after += lost;
        }
        for _ in 0..AT_ONCE {
            let Some(entry) = journal
                .next(self.after, &RequestFilter::any())
                .filter(|_| self.left > 0)
            else {
                break;
            };
            self.after = entry.seq;
            self.left -= 1;
            text.push_str(&(self.render)(&StreamEvent::Request(&entry.show())));
        }
        (!text.is_empty()).then_some(text)
    }

    fn wait(&self) -> Waiting {
        let world = self.world.clone();
        let (epoch, after) = (self.epoch, self.after);
        Box::pin(async move {
            let arrived = move |state: &crate::state::State| {
                let next = state.journal.next(after, &RequestFilter::any());
                next.map(|_| ())
            };
            world.wait(epoch, HEARTBEAT, arrived).await
        })
    }
}

/// Number of requests that were evicted between `after` and the oldest one that is kept.
pub(crate) fn lost(journal: &Journal, after: u64) -> Option<u64> {
    let oldest = journal.iter().next()?.seq;
    (oldest > after + 1).then(|| oldest - after - 1)
}

impl HttpBody for JournalStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = |text: String| Poll::Ready(Some(Ok(Frame::data(Bytes::from(text)))));
        if let Some(head) = self.head.take() {
            return frame(head);
        }
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            if let Some(waiting) = &mut self.waiting {
                let waited = ready!(waiting.as_mut().poll(context));
                self.waiting = None;
                if matches!(waited, Waited::TimedOut) {
                    return frame((self.render)(&StreamEvent::Silence));
                }
            }
            if self.world.notifier.epoch() != self.epoch {
                self.over = true;
                return frame((self.render)(&StreamEvent::Reset));
            }
            if let Some(text) = self.coming() {
                return frame(text);
            }
            if self.left == 0 {
                return Poll::Ready(None);
            }
            self.waiting = Some(self.wait());
        }
    }
}
