//! One gate: how many requests have arrived, which ones wait, and how many more may pass.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::phase::At;
use super::selector::On;
use crate::time::waiting_thread::on_thread;

#[derive(Debug)]
pub(crate) struct GateState {
    pub(crate) name: String,
    pub(crate) on: On,
    pub(crate) at: At,
    state: Mutex<State>,
    /// Notified when a request arrives, and when the gate is opened.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    arrived: usize,
    /// Oldest first. A sender without its receiver is a client that has disconnected.
    queue: VecDeque<oneshot::Sender<()>>,
    /// Number of later requests that may pass at once.
    passes: usize,
    open: bool,
}

impl State {
    fn waiting(&self) -> usize {
        self.queue.iter().filter(|one| !one.is_closed()).count()
    }
}

impl GateState {
    pub(crate) fn new(name: &str, on: On, at: At) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            on,
            at,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits at the gate until the request may pass.
    pub(crate) async fn pass(&self) {
        let Some(passed) = self.arrive() else { return };
        // An error means that the sender was dropped, which has the same meaning.
        let _ = passed.await;
    }

    fn arrive(&self) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        state.arrived += 1;
        self.changed.notify_all();
        if state.open {
            return None;
        }
        if let Some(left) = state.passes.checked_sub(1) {
            state.passes = left;
            return None;
        }
        // Otherwise disconnected clients would accumulate at a gate that is never released.
        state.queue.retain(|one| !one.is_closed());
        let (pass, passed) = oneshot::channel();
        state.queue.push_back(pass);
        Some(passed)
    }

    /// Number of requests that have arrived since the gate was set, and number of those that wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.arrived, state.waiting())
    }

    pub(crate) fn release(&self, n: usize) {
        let mut state = self.state();
        let mut left = n;
        while left > 0 {
            let Some(one) = state.queue.pop_front() else {
                break;
            };
            // A client that has disconnected does not use up a pass.
            left -= usize::from(one.send(()).is_ok());
        }
        state.passes = state.passes.saturating_add(left);
    }

    /// Releases the requests that wait now, and no later ones.
    pub(crate) fn release_waiting(&self) {
        self.state().queue.clear();
    }

    pub(crate) fn open(&self) {
        let mut state = self.state();
        state.open = true;
        state.queue.clear();
        self.changed.notify_all();
    }

    pub(crate) fn arrived_blocking(&self, n: usize, timeout: Duration) -> bool {
        self.arrived_unless(n, timeout, &|| false)
    }

    /// Waits for `n` arrivals, or until `given_up` returns true.
    fn arrived_unless(&self, n: usize, timeout: Duration, given_up: &dyn Fn() -> bool) -> bool {
        let coming = |state: &mut State| state.arrived < n && !state.open && !given_up();
        let waited = self
            .changed
            .wait_timeout_while(self.state(), timeout, coming);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.arrived >= n
    }

    /// Waits for `n` arrivals, on a thread that ends when nobody waits any more.
    pub(crate) async fn arrived(self: &Arc<Self>, n: usize, timeout: Duration) -> bool {
        if self.counts().0 >= n {
            return true;
        }
        let (gate, woken) = (self.clone(), self.clone());
        let arrived = on_thread(
            move || {
                // Under the lock, so that the thread does not look before this and sleep after it.
                let _locked = woken.state();
                woken.changed.notify_all();
            },
            move |given_up| gate.arrived_unless(n, timeout, given_up),
        );
        arrived.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Instant;

    #[test]
    fn those_that_hung_up_do_not_pile_up() {
        let gate = GateState::new("refreshes", On::token(), At::Request);
        for _ in 0..100 {
            drop(gate.arrive());
        }
        assert_eq!(gate.counts(), (100, 0));
        assert_eq!(gate.state().queue.len(), 1);
    }

    /// Often enough that somebody is asleep when it happens.
    #[test]
    fn those_who_wait_for_arrivals_are_woken() {
        let guard = Duration::from_secs(20);
        let since = Instant::now();
        for opened in [false, true].repeat(100) {
            let gate = GateState::new("refreshes", On::token(), At::Request);
            let waiter = {
                let gate = gate.clone();
                thread::spawn(move || gate.arrived_blocking(1, guard))
            };
            thread::yield_now();
            if opened {
                gate.open();
            } else {
                drop(gate.arrive());
            }
            assert_eq!(waiter.join().ok(), Some(!opened));
            assert!(since.elapsed() < guard, "by the end of its time alone");
        }
    }

    /// Otherwise threads of disconnected clients would accumulate.
    #[test]
    fn the_thread_ends_when_nobody_waits_for_arrivals() {
        let guard = Duration::from_secs(20);
        let gate = GateState::new("refreshes", On::token(), At::Request);
        {
            let mut waiting = Box::pin(gate.arrived(1, guard));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            assert!(Arc::strong_count(&gate) > 1, "the thread has it");
        }
        let since = Instant::now();
        while Arc::strong_count(&gate) > 1 {
            assert!(since.elapsed() < guard / 2, "by the end of its time alone");
            thread::yield_now();
        }
    }
}
