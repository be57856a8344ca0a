//! Wakes the threads that wait for a journal to grow.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Wakes the threads that wait for requests of a world: after each request, and when the world is reset or ends.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// What has happened up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    requests: u64,
    /// Number of resets so far; the end of the mock or world counts as one.
    pub(crate) epoch: u64,
    waiting: usize,
}

impl Progress {
    pub(crate) const fn since(self, seen: Self) -> bool {
        self.requests != seen.requests || self.epoch != seen.epoch
    }
}

impl Notifier {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the waiting threads after a request was recorded.
    pub(crate) fn notify(&self) {
        let mut progress = self.progress();
        progress.requests += 1;
        if progress.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// What has happened so far.
    pub(crate) fn now(&self) -> Progress {
        *self.progress()
    }

    /// Makes the waiting threads ask `given_up` again.
    pub(crate) fn wake(&self) {
        // Under the lock, so that no thread checks before this call and sleeps after it.
        let _locked = self.progress();
        self.changed.notify_all();
    }

    /// Ends the waiting of all threads: the world was reset, or it ends.
    pub(crate) fn end(&self) {
        self.progress().epoch += 1;
        self.changed.notify_all();
    }

    /// Epoch, incremented at every reset and at the end. Read it before the journal, so that no reset is missed.
    pub(crate) fn epoch(&self) -> u64 {
        self.progress().epoch
    }

    /// Number of threads that wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.progress().waiting
    }

    /// Blocks until something has happened since `seen`, until the time `until`, or until `given_up` returns true.
    pub(crate) fn wait(
        &self,
        seen: Progress,
        until: Instant,
        given_up: impl Fn() -> bool,
    ) -> Progress {
        let mut progress = self.progress();
        progress.waiting += 1;
        while !progress.since(seen) && !given_up() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.changed.wait_timeout(progress, left);
            progress = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        progress.waiting -= 1;
        *progress
    }
}
