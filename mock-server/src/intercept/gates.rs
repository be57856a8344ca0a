//! Gates hold requests to the data plane, or the answers to them, until a test lets them go on.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::gate::GateState;
use super::phase::At;
use super::selector::On;
use crate::protocol::request::Incoming;

/// Holds requests to the data plane; those that a consent or device page makes and
/// [`MockWorld::authorize`](crate::MockWorld::authorize) pass. Dropping it opens it.
#[must_use = "a gate opens when it is dropped"]
pub struct Gate {
    gate: Arc<GateState>,
    gates: Arc<Gates>,
}

impl Gate {
    /// Waits until at least `n` requests have come to this gate since it was set, those that went
    /// on or hung up included. False: not within `timeout` of real time, or the gate was opened by
    /// a reset, another gate of its name or the end of the mock.
    ///
    /// Needs no runtime's timer.
    pub async fn arrived(&self, n: usize, timeout: Duration) -> bool {
        self.gate.arrived(n, timeout).await
    }

    /// [`arrived`](Self::arrived), blocking this thread.
    #[must_use]
    pub fn arrived_blocking(&self, n: usize, timeout: Duration) -> bool {
        self.gate.arrived_blocking(n, timeout)
    }

    /// How many requests are held now; a client that hung up is not counted.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.gate.counts().1
    }

    /// Lets the `n` that have waited longest go on; if fewer wait, also the next that come.
    pub fn release(&self, n: usize) {
        self.gate.release(n);
    }

    /// Lets all go on and removes the gate, as dropping it does.
    pub fn open(self) {
        drop(self);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.gates.remove(&self.gate);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gate").field(&self.gate).finish()
    }
}

/// The gates of one mock, in the order in which they were set. Apart from the world, so that
/// nobody waits while holding its lock.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    all: Vec<Arc<GateState>>,
    /// The world is gone, so that nobody would open a gate.
    ended: bool,
}

impl Gates {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the one that had this name.
    pub(crate) fn set(self: &Arc<Self>, name: &str, on: On, at: At) -> Gate {
        let gate = GateState::new(name, on, at);
        self.put(gate.clone(), usize::MAX);
        Gate {
            gate,
            gates: self.clone(),
        }
    }

    /// False: there are `most` others.
    pub(crate) fn put(&self, gate: Arc<GateState>, most: usize) -> bool {
        let mut state = self.state();
        if state.ended {
            gate.open();
        }
        let all = &mut state.all;
        let before = all.iter().position(|other| other.name == gate.name);
        if before.is_none() && all.len() >= most {
            return false;
        }
        // Set before the other opens: who comes in between finds one of the two.
        all.push(gate);
        if let Some(before) = before {
            all.remove(before).open();
        }
        true
    }

    pub(crate) fn named(&self, name: &str) -> Option<Arc<GateState>> {
        let state = self.state();
        state.all.iter().find(|gate| gate.name == name).cloned()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let state = self.state();
        state.all.iter().map(|gate| gate.name.clone()).collect()
    }

    /// Opens `gate`, and leaves another of its name alone.
    pub(crate) fn remove(&self, gate: &Arc<GateState>) {
        let all = &mut self.state().all;
        all.retain(|other| !Arc::ptr_eq(other, gate));
        gate.open();
    }

    /// How many there are, and how many requests wait at them.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let all = &self.state().all;
        (all.len(), all.iter().map(|gate| gate.counts().1).sum())
    }

    /// Whether a request waits at one of them.
    pub(crate) fn holds(&self) -> bool {
        let state = self.state();
        state.all.iter().any(|gate| gate.counts().1 > 0)
    }

    pub(crate) fn open_all(&self) {
        for gate in self.state().all.drain(..) {
            gate.open();
        }
    }

    /// Opens all, and those that are set from now on by requests that are still on their way.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.open_all();
    }

    /// Takes a request through every gate that holds it here.
    pub(crate) async fn pass(&self, request: &Incoming, at: At) {
        for gate in self.before(request, at) {
            // In a box, as few requests meet a gate and all would be larger by it.
            Box::pin(gate.pass()).await;
        }
    }

    fn before(&self, request: &Incoming, at: At) -> Vec<Arc<GateState>> {
        let state = self.state();
        let here = state.all.iter().filter(|gate| gate.at == at);
        here.filter(|gate| gate.on.matches(request))
            .cloned()
            .collect()
    }
}
