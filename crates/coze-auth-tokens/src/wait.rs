//! Waiting for a renewal that somebody else makes, in async and in blocking code.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::source::Source;
use crate::sync::{Condvar, Mutex, locked};

/// Who is to be woken. It is a part of the state that a renewal changes, under the same lock: so nobody can
/// look, find a renewal running, and miss its end.
#[derive(Default)]
pub(crate) struct Waiters {
    /// How often all were woken.
    round: u64,
    named: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Waiters {
    /// A place in the queue of this round.
    pub(crate) fn join(&mut self, source: Arc<Source>) -> Waiting {
        self.named += 1;
        Waiting {
            source,
            name: self.named,
            round: self.round,
        }
    }

    /// Ends the round. The wakers are for the caller to call, without the lock.
    pub(crate) fn end_round(&mut self) -> BTreeMap<u64, Waker> {
        self.round += 1;
        std::mem::take(&mut self.wakers)
    }
}

/// A place in the queue of those who wait for a renewal: ready when it has ended, however it did.
///
/// Async code awaits it; blocking code takes a [`signal`](Self::signal) of it. Dropping it leaves the queue.
#[must_use = "a place in the queue does not wait by itself"]
pub struct Waiting {
    source: Arc<Source>,
    name: u64,
    round: u64,
}

impl Waiting {
    /// A signal that is set when the renewal has ended; set already, if it has.
    pub fn signal(&self) -> Signal {
        let signal = Signal::new();
        if self.is_over_or_wakes(&signal.waker()) {
            signal.set();
        }
        signal
    }

    /// Whether the round is over; if not, this waker is called when it is.
    fn is_over_or_wakes(&self, waker: &Waker) -> bool {
        // What a waker does when it is copied or dropped is its runtime's affair, and none for under our lock.
        let waker = waker.clone();
        let (over, _unneeded) =
            self.source
                .shared
                .with_waiters(|waiters| match waiters.round == self.round {
                    true => (false, waiters.wakers.insert(self.name, waker)),
                    false => (true, Some(waker)),
                });
        over
    }
}

impl Future for Waiting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.is_over_or_wakes(context.waker()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(
            self.source
                .shared
                .with_waiters(|waiters| waiters.wakers.remove(&self.name)),
        );
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

/// A flag to sleep on. Once set it stays so. Clones are the same flag.
///
/// ```
/// use coze_auth_tokens::Signal;
///
/// let cancel = Signal::new();
/// let other = cancel.clone();
/// let thread = std::thread::spawn(move || other.wait());
/// cancel.set();
/// thread.join().unwrap();
/// assert!(cancel.is_set());
/// ```
#[derive(Clone, Default)]
pub struct Signal(Arc<Flag>);

#[derive(Default)]
struct Flag {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// A signal that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets it, and wakes all who wait for it.
    pub fn set(&self) {
        *locked(&self.0.set) = true;
        self.0.changed.notify_all();
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        *locked(&self.0.set)
    }

    /// Sleeps until it is set.
    pub fn wait(&self) {
        let mut set = locked(&self.0.set);
        while !*set {
            set = self
                .0
                .changed
                .wait(set)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sleeps until it is set, or this much of the machine's time has passed.
    pub fn wait_at_most(&self, pause: Duration) {
        let set = locked(&self.0.set);
        drop(
            self.0
                .changed
                .wait_timeout_while(set, pause, |set| !*set)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// A waker that sets it.
    pub fn waker(&self) -> Waker {
        Waker::from(self.0.clone())
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        Signal(self).set();
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signal").field(&self.is_set()).finish()
    }
}
