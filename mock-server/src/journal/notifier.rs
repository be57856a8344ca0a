//! Wakes those who wait for a journal to grow.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<Rung>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rung {
    requests: u64,
    /// Resets, and the end of the mock or world.
    pub(crate) ends: u64,
    waiting: usize,
}

impl Rung {
    pub(crate) const fn since(self, seen: Self) -> bool {
        self.requests != seen.requests || self.ends != seen.ends
    }
}

impl Bell {
    fn rung(&self) -> MutexGuard<'_, Rung> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request was written down.
    pub(crate) fn ring(&self) {
        let mut rung = self.rung();
        rung.requests += 1;
        if rung.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// What has happened so far.
    pub(crate) fn now(&self) -> Rung {
        *self.rung()
    }

    /// Those who wait look whether they still have to.
    pub(crate) fn wake(&self) {
        // Under the lock, or one might look before and sleep after.
        let _rung = self.rung();
        self.changed.notify_all();
    }

    /// Nobody waits any longer.
    pub(crate) fn end(&self) {
        self.rung().ends += 1;
        self.changed.notify_all();
    }

    /// Changes at every end. Who takes it before looking misses none.
    pub(crate) fn life(&self) -> u64 {
        self.rung().ends
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.rung().waiting
    }

    /// Until something happened since `seen`, `until` has come or nobody listens any more.
    pub(crate) fn wait(&self, seen: Rung, until: Instant, given_up: impl Fn() -> bool) -> Rung {
        let mut rung = self.rung();
        rung.waiting += 1;
        while !rung.since(seen) && !given_up() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.changed.wait_timeout(rung, left);
            rung = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        rung.waiting -= 1;
        *rung
    }
}
