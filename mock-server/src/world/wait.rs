//! Waiting for a request that a world has not received yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::World;
use crate::limits::MAX_WAITING_CLIENTS;
use crate::state::State;
use crate::time::waiting_thread::on_thread;

/// The result of waiting.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    Found(T),
    TimedOut,
    /// The world was reset, or it ended.
    Closed,
}

/// The clients of the control plane that wait, over all worlds of a mock.
#[derive(Debug, Default)]
pub(crate) struct WaitingClients(Arc<AtomicUsize>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct WaitingClient(Arc<AtomicUsize>);

impl WaitingClients {
    /// None if there are as many as there may be.
    fn enter(&self) -> Option<WaitingClient> {
        let one = WaitingClient(self.0.clone());
        // The new one is dropped if there are too many before it.
        (self.0.fetch_add(1, Ordering::Relaxed) < MAX_WAITING_CLIENTS).then_some(one)
    }
}

impl Drop for WaitingClient {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl World {
    /// A client of the control plane that is about to wait; none if there are as many as there may be.
    pub(crate) fn waiting_client(&self) -> Option<WaitingClient> {
        match self.worlds() {
            Some(worlds) => worlds.waiting.enter(),
            // The mock has ended, so nobody waits for long.
            None => WaitingClients::default().enter(),
        }
    }

    /// Asks `look` now and after every request, until it finds something. [`Waited::Closed`] if
    /// the notifier has another epoch than `epoch`.
    pub(crate) fn wait_blocking<T>(
        &self,
        epoch: u64,
        timeout: Duration,
        look: impl Fn(&State) -> Option<T>,
        given_up: impl Fn() -> bool,
    ) -> Waited<T> {
        let now = Instant::now();
        // A timeout that is too large for the clock means to wait for ever.
        let until = now.checked_add(timeout);
        let until = until.unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 24 * 3600));
        let mut seen = self.notifier.now();
        loop {
            if seen.epoch != epoch {
                return Waited::Closed;
            }
            if let Some(found) = look(&self.state()) {
                return Waited::Found(found);
            }
            let progress = self.notifier.wait(seen, until, &given_up);
            if !progress.since(seen) {
                return Waited::TimedOut;
            }
            seen = progress;
        }
    }

    /// As [`wait_blocking`](Self::wait_blocking), on a thread of its own.
    pub(crate) async fn wait<T: Send + 'static>(
        self: &Arc<Self>,
        epoch: u64,
        timeout: Duration,
        look: impl Fn(&State) -> Option<T> + Send + 'static,
    ) -> Waited<T> {
        if let Some(found) = look(&self.state()) {
            return Waited::Found(found);
        }
        let notifier = self.notifier.clone();
        let world = self.clone();
        let waited = on_thread(
            move || notifier.wake(),
            move |given_up| world.wait_blocking(epoch, timeout, look, given_up),
        );
        waited.await.unwrap_or(Waited::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    use crate::journal::filter::RequestFilter;
    use crate::journal::log_id::LogIds;
    use crate::oauth::dispatch;
    use crate::protocol::request::{Body, Incoming};
    use crate::state::settings::Settings;

    const GUARD: Duration = Duration::from_secs(20);

    fn world() -> Arc<World> {
        World::new(
            State::new(Settings::standard([1; 32]), LogIds::new("", 0)),
            String::new(),
            Arc::default(),
        )
    }

    /// Until `n` threads wait, or the test fails.
    fn until_waiting(world: &World, n: usize) {
        let since = Instant::now();
        while world.notifier.waiting() != n {
            assert!(since.elapsed() < GUARD, "{} wait", world.notifier.waiting());
            thread::yield_now();
        }
    }

    fn request() -> Incoming {
        Incoming {
            method: http::Method::GET,
            path: "/v1/users/me".to_owned(),
            query: None,
            headers: http::HeaderMap::new(),
            body: Body::Whole(bytes::Bytes::new()),
            base: "http://localhost".to_owned(),
            call: None,
        }
    }

    /// After a reset too, which makes another journal.
    #[test]
    fn those_who_wait_are_woken_by_a_request() {
        let world = world();
        let since = Instant::now();
        for reset in [false, true] {
            if reset {
                world.reset();
            }
            let waiter = {
                let world = world.clone();
                let epoch = world.notifier.epoch();
                let arrived =
                    |state: &State| state.journal.next(0, &RequestFilter::any()).map(|_| ());
                thread::spawn(move || world.wait_blocking(epoch, GUARD, arrived, || false))
            };
            until_waiting(&world, 1);
            dispatch::serve(&mut world.state(), &request(), None);
            assert!(matches!(waiter.join(), Ok(Waited::Found(()))));
            assert!(since.elapsed() < GUARD, "by the end of its time alone");
        }
    }

    #[test]
    fn a_reset_ends_the_wait() {
        let world = world();
        let waiter = {
            let world = world.clone();
            thread::spawn(move || world.wait_blocking(0, GUARD, |_| None::<()>, || false))
        };
        until_waiting(&world, 1);
        world.reset();
        assert!(matches!(waiter.join(), Ok(Waited::Closed)));
    }

    /// Otherwise threads of disconnected clients would accumulate.
    #[test]
    fn the_thread_ends_when_nobody_listens() {
        let world = world();
        {
            let mut waiting = Box::pin(world.wait(0, GUARD, |_| None::<()>));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            until_waiting(&world, 1);
        }
        let since = Instant::now();
        until_waiting(&world, 0);
        assert!(since.elapsed() < GUARD / 2);
    }
}
