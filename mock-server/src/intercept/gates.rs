//! Gates, which hold requests to the data plane or their answers until a test releases them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::gate::GateState;
use super::phase::At;
use super::selector::On;
use crate::protocol::request::Incoming;

/// A gate, which holds requests to the data plane. Requests of the consent and device pages and of
/// [`MockWorld::authorize`](crate::MockWorld::authorize) pass it. Dropping it opens it.
///
/// ```
/// use std::time::Duration;
///
/// use coze_auth_mock::{At, CozeAuthMock, On};
///
/// let mock = CozeAuthMock::builder().build()?;
/// # let get = |mock: &CozeAuthMock, token: &str| {
/// #     let request = http::Request::get("/v1/users/me").header("Authorization", format!("Bearer {token}"));
/// #     mock.call_blocking(request.body(bytes::Bytes::new()).unwrap()).status().as_u16()
/// # };
/// let gate = mock.gate("me", On::endpoint("users_me"), At::Request);
/// std::thread::scope(|threads| {
///     let client = threads.spawn(|| get(&mock, "pat_mock_alice"));
///     assert!(gate.arrived_blocking(1, Duration::from_secs(10)));
///     assert!(!client.is_finished()); // it waits at the gate
///     gate.release(1);
///     assert_eq!(client.join().unwrap(), 200);
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a gate opens when it is dropped"]
pub struct Gate {
    gate: Arc<GateState>,
    gates: Arc<Gates>,
}

impl Gate {
    /// Waits until at least `n` requests have arrived at this gate since it was set, released and disconnected ones included.
    /// Returns false if that did not happen within `timeout` of real time, or if the gate was opened by a reset, another
    /// gate of its name or the end of the mock.
    ///
    /// It does not need the timer of a runtime.
    pub async fn arrived(&self, n: usize, timeout: Duration) -> bool {
        self.gate.arrived(n, timeout).await
    }

    /// Does the same as [`arrived`](Self::arrived) and blocks this thread.
    #[must_use]
    pub fn arrived_blocking(&self, n: usize, timeout: Duration) -> bool {
        self.gate.arrived_blocking(n, timeout)
    }

    /// Number of requests that wait at the gate now, without those of disconnected clients.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.gate.counts().1
    }

    /// Releases the `n` requests that have waited longest. If fewer wait, the next ones to arrive pass as well.
    pub fn release(&self, n: usize) {
        self.gate.release(n);
    }

    /// Releases all requests and removes the gate, as dropping it does.
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

/// The gates of one world, in the order in which they were set. They are outside of its lock, so that no request waits
/// while it holds that lock.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    all: Vec<Arc<GateState>>,
    /// True after the end of the world, when nothing opens a gate any more.
    ended: bool,
}

impl Gates {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a gate, and opens an earlier one of this name.
    pub(crate) fn set(self: &Arc<Self>, name: &str, on: On, at: At) -> Gate {
        let gate = GateState::new(name, on, at);
        self.put(gate.clone(), usize::MAX);
        Gate {
            gate,
            gates: self.clone(),
        }
    }

    /// Adds a gate, in place of one of its name. Returns false if there are `most` others.
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
        // Added before the other opens, so that a request in between is held by one of the two.
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

    /// Opens and removes `gate`, but not another one of its name.
    pub(crate) fn remove(&self, gate: &Arc<GateState>) {
        let all = &mut self.state().all;
        all.retain(|other| !Arc::ptr_eq(other, gate));
        gate.open();
    }

    /// Number of gates, and number of requests that wait at them.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let all = &self.state().all;
        (all.len(), all.iter().map(|gate| gate.counts().1).sum())
    }

    pub(crate) fn open_all(&self) {
        for gate in self.state().all.drain(..) {
            gate.open();
        }
    }

    /// Opens all gates, and those that requests still set from now on.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.open_all();
    }

    /// Passes a request through every gate that holds it at this phase.
    pub(crate) async fn pass(&self, request: &Incoming, at: At) {
        for gate in self.before(request, at) {
            // Boxed, since few requests meet a gate and the future of each would be larger by it.
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
