//! How many renewals of one app run at once. The other sources wait in a queue, which needs no thread or task of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::{Now, SteadyTime};

use crate::source::{Clock, Source};
use crate::sync::{Mutex, locked};

/// Maximum number of renewals of an app at once, unless the application sets another.
const AT_ONCE: usize = 64;

/// The turns of one app's sources. Its lock is taken under a source's, and never the other way round.
pub(crate) struct Turns {
    lease: Duration,
    clock: Clock,
    queue: Mutex<Queue>,
}

struct Queue {
    at_once: usize,
    /// Turns and places are numbered in the order in which they are given.
    numbers: u64,
    /// Until when a turn counts: a renewal that hangs keeps the others waiting for no longer than its lease.
    taken: BTreeMap<u64, SteadyTime>,
    /// Sources that callers wait for. The first is called next.
    places: BTreeMap<u64, Arc<Source>>,
    /// When a renewal last had a result, by the steady clock.
    result: SteadyTime,
}

/// The right to renew. Dropping it calls the next source.
pub(crate) struct Turn {
    turns: Arc<Turns>,
    number: u64,
}

/// How it stands with a queue.
pub(crate) struct Standstill {
    /// For how long none of the renewals has come to a result.
    pub(crate) since: Duration,
    /// When the first turn ends, even if its renewal hangs.
    pub(crate) at_most: Duration,
}

impl Turns {
    pub(crate) fn new(lease: Duration, clock: Clock) -> Arc<Self> {
        let queue = Mutex::new(Queue {
            at_once: AT_ONCE,
            numbers: 0,
            taken: BTreeMap::new(),
            places: BTreeMap::new(),
            result: SteadyTime::from_duration(Duration::ZERO),
        });
        Arc::new(Self {
            lease,
            clock,
            queue,
        })
    }

    /// Sets how many run at once; at least one does.
    pub(crate) fn set_at_once(self: &Arc<Self>, at_once: usize) {
        locked(&self.queue).at_once = at_once.max(1);
        self.call();
    }

    /// A turn, if one is free.
    pub(crate) fn take(self: &Arc<Self>, now: Now) -> Option<Turn> {
        let number = locked(&self.queue).free(now, self.lease)?;
        let turns = self.clone();
        Some(Turn { turns, number })
    }

    /// A turn, or the place that this source gets in the queue.
    pub(crate) fn take_or_join(
        self: &Arc<Self>,
        source: &Arc<Source>,
        now: Now,
    ) -> Result<Turn, u64> {
        let mut queue = locked(&self.queue);
        let Some(number) = queue.free(now, self.lease) else {
            return Err(queue.join(source));
        };
        let turns = self.clone();
        Ok(Turn { turns, number })
    }

    /// Gives a place up. It may have been called already.
    pub(crate) fn leave(&self, place: u64) {
        let left = locked(&self.queue).places.remove(&place);
        drop(left);
    }

    /// Takes the turns back whose lease is over, and calls as many sources.
    pub(crate) fn take_back(self: &Arc<Self>, now: Now) {
        let mut queue = locked(&self.queue);
        let is_over = queue.end_overdue(now);
        drop(queue);
        if is_over {
            self.call();
        }
    }

    pub(crate) fn standstill(&self, now: Now) -> Standstill {
        let queue = locked(&self.queue);
        let first = queue.taken.values().min();
        Standstill {
            since: queue.result.until(now.steady),
            at_most: first.map_or(Duration::ZERO, |until| now.steady.until(*until)),
        }
    }

    /// Calls sources as long as turns are free. Nobody's lock is held meanwhile.
    fn call(self: &Arc<Self>) {
        let until = (self.clock)().steady.plus(self.lease);
        loop {
            let called = locked(&self.queue).next(until);
            let Some((place, source, number)) = called else {
                return;
            };
            let turns = self.clone();
            if !source.shared.call(place, || Turn { turns, number }) {
                // All who waited for it have gone.
                locked(&self.queue).taken.remove(&number);
            }
        }
    }
}

impl Queue {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn join(&mut self, source: &Arc<Source>) -> u64 {
        let place = self.number();
        self.places.insert(place, source.clone());
        place
    }

    /// Whether any turn's lease was over.
    fn end_overdue(&mut self, now: Now) -> bool {
        let before = self.taken.len();
        self.taken.retain(|_, until| now.steady < *until);
        self.taken.len() < before
    }

    /// The number of a turn, for a source that has not queued.
    fn free(&mut self, now: Now, lease: Duration) -> Option<u64> {
        if self.places.is_empty() {
            self.end_overdue(now);
        }
        self.take(now.steady.plus(lease))
    }

    fn take(&mut self, until: SteadyTime) -> Option<u64> {
        (self.taken.len() < self.at_once).then(|| {
            let number = self.number();
            self.taken.insert(number, until);
            number
        })
    }

    fn next(&mut self, until: SteadyTime) -> Option<(u64, Arc<Source>, u64)> {
        if self.places.is_empty() {
            return None;
        }
        let turn = self.take(until)?;
        let (place, source) = self.places.pop_first()?;
        Some((place, source, turn))
    }
}

impl Turn {
    /// The renewal begins: its lease counts from now. False if the turn was taken back meanwhile.
    pub(crate) fn begin(&self, now: Now) -> bool {
        let mut queue = locked(&self.turns.queue);
        let until = queue.taken.get_mut(&self.number);
        until.is_some_and(|until| {
            *until = now.steady.plus(self.turns.lease);
            true
        })
    }

    /// Its renewal has come to a result, a token or a refusal.
    pub(crate) fn has_result(&self, now: Now) {
        locked(&self.turns.queue).result = now.steady;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let taken = locked(&self.turns.queue).taken.remove(&self.number);
        if taken.is_some() {
            self.turns.call();
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}
