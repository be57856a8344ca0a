//! Waiting for a request that a world has not seen yet.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Shared;
use crate::journal::notifier::Bell;
use crate::state::World;

/// What became of waiting.
#[derive(Debug)]
pub(crate) enum Awaited<T> {
    Came(T),
    Late,
    /// The world was reset, or it ended.
    Over,
}

/// Tells the thread that waits for it when nobody does any more.
struct Listener<T> {
    told: oneshot::Receiver<Awaited<T>>,
    bell: Arc<Bell>,
}

impl<T> Drop for Listener<T> {
    fn drop(&mut self) {
        self.told.close();
        self.bell.wake();
    }
}

impl Shared {
    /// Asks `look` now and after every request, until it finds something. Over when `life` is no
    /// longer the bell's.
    pub(crate) fn awaited_blocking<T>(
        &self,
        life: u64,
        timeout: Duration,
        look: impl Fn(&World) -> Option<T>,
        given_up: impl Fn() -> bool,
    ) -> Awaited<T> {
        let now = Instant::now();
        // For who waits as long as it takes.
        let until = now.checked_add(timeout);
        let until = until.unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 24 * 3600));
        let mut seen = self.bell.now();
        loop {
            if seen.ends != life {
                return Awaited::Over;
            }
            if let Some(found) = look(&self.world()) {
                return Awaited::Came(found);
            }
            let rung = self.bell.wait(seen, until, &given_up);
            if !rung.since(seen) {
                return Awaited::Late;
            }
            seen = rung;
        }
    }

    /// As [`awaited_blocking`](Self::awaited_blocking). A thread keeps the time: the caller's
    /// runtime may have no timer, a paused one, or not be there at all.
    pub(crate) async fn awaited<T: Send + 'static>(
        self: &Arc<Self>,
        life: u64,
        timeout: Duration,
        look: impl Fn(&World) -> Option<T> + Send + 'static,
    ) -> Awaited<T> {
        if let Some(found) = look(&self.world()) {
            return Awaited::Came(found);
        }
        let (tell, told) = oneshot::channel();
        let mut listener = Listener {
            told,
            bell: self.bell.clone(),
        };
        let shared = self.clone();
        thread::spawn(move || {
            let awaited = shared.awaited_blocking(life, timeout, look, || tell.is_closed());
            // An error is a listener that has gone.
            let _ = tell.send(awaited);
        });
        (&mut listener.told).await.unwrap_or(Awaited::Over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::filter::Calls;
    use crate::oauth::dispatch;
    use crate::protocol::request::{Body, Incoming};
    use crate::state::settings::Settings;

    const GUARD: Duration = Duration::from_secs(20);

    fn shared() -> Arc<Shared> {
        Shared::new(
            World::new(Settings::standard([1; 32])),
            String::new(),
            Arc::default(),
        )
    }

    /// Until a thread waits at the bell, or the test fails.
    fn until_waiting(shared: &Shared, n: usize) {
        let since = Instant::now();
        while shared.bell.waiting() != n {
            assert!(since.elapsed() < GUARD, "{} wait", shared.bell.waiting());
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
        }
    }

    /// After a reset too, which makes another journal.
    #[test]
    fn those_who_wait_are_woken_by_a_request() {
        let shared = shared();
        let since = Instant::now();
        for reset in [false, true] {
            if reset {
                shared.reset();
            }
            let waiter = {
                let shared = shared.clone();
                let life = shared.bell.life();
                let came = |world: &World| world.journal.next(0, &Calls::any()).map(|_| ());
                thread::spawn(move || shared.awaited_blocking(life, GUARD, came, || false))
            };
            until_waiting(&shared, 1);
            dispatch::serve(&mut shared.world(), &request(), None);
            assert!(matches!(waiter.join(), Ok(Awaited::Came(()))));
            assert!(since.elapsed() < GUARD, "by the end of its time alone");
        }
    }

    #[test]
    fn a_reset_ends_the_wait() {
        let shared = shared();
        let waiter = {
            let shared = shared.clone();
            thread::spawn(move || shared.awaited_blocking(0, GUARD, |_| None::<()>, || false))
        };
        until_waiting(&shared, 1);
        shared.reset();
        assert!(matches!(waiter.join(), Ok(Awaited::Over)));
    }

    /// Or threads would pile up behind clients that hang up.
    #[test]
    fn the_thread_ends_when_nobody_listens() {
        let shared = shared();
        {
            let mut waiting = Box::pin(shared.awaited(0, GUARD, |_| None::<()>));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            until_waiting(&shared, 1);
        }
        let since = Instant::now();
        until_waiting(&shared, 0);
        assert!(since.elapsed() < GUARD / 2);
    }
}
