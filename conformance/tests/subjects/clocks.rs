//! The clock of a case, as each adapter wants it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use coze_auth_conformance::SharedClock;
use coze_auth_core::Now;
use coze_auth_reqwest::{Sleep, Waiting};
use coze_auth_ureq::Signal;

#[derive(Clone)]
pub(crate) struct AsyncClock(pub(crate) SharedClock);

impl coze_auth_reqwest::Time for AsyncClock {
    fn now(&self) -> Now {
        self.0.now()
    }

    fn sleep(&self, pause: Duration) -> Sleep<'_> {
        Box::pin(async move {
            self.0.sleep(pause);
            // A caller can go away in a sleep; without this the next request would be under way by then.
            tokio::task::yield_now().await;
        })
    }

    fn wait<'a>(&'a self, mut woken: Waiting, at_most: Duration) -> Sleep<'a> {
        let end = self.0.now().steady.plus(at_most);
        Box::pin(poll_fn(move |context| {
            self.0.wake_at(end, context.waker());
            match self.0.now().steady >= end {
                true => Poll::Ready(()),
                false => Pin::new(&mut woken).poll(context),
            }
        }))
    }
}

#[derive(Clone)]
pub(crate) struct BlockingClock(pub(crate) SharedClock);

impl coze_auth_ureq::Time for BlockingClock {
    fn now(&self) -> Now {
        self.0.now()
    }

    fn sleep(&self, pause: Duration) {
        self.0.sleep(pause);
    }

    fn wait(&self, signal: &Signal, at_most: Duration) {
        let end = self.0.now().steady.plus(at_most);
        self.0.wake_at(end, &signal.waker());
        signal.wait();
    }
}
