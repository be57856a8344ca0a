//! One clock for client and server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coze_auth_core::{Now, SteadyTime, UnixTime};
use coze_auth_mock::ClockHandle;

/// Where every case starts: 2025-06-15T15:06:40Z.
const START: Duration = Duration::from_secs(1_750_000_000);

/// The clock of a case: it stands still until the client sleeps or the case lets time pass. The mock
/// server reads the same one. It remembers every sleep.
#[derive(Clone, Debug)]
pub struct SharedClock {
    handle: ClockHandle,
    sleeps: Arc<Mutex<Vec<Duration>>>,
}

impl SharedClock {
    /// A clock at the start of a case.
    #[allow(clippy::new_without_default)] // a clock is shared, and one made in passing is shared with nobody
    pub fn new() -> Self {
        Self {
            handle: ClockHandle::frozen_at(START),
            sleeps: Arc::default(),
        }
    }

    /// Both clocks of the core.
    pub fn now(&self) -> Now {
        Now {
            unix: UnixTime::from_duration(self.handle.unix()),
            steady: SteadyTime::from_duration(self.handle.steady()),
        }
    }

    /// What a client's sleep is here: the time passes at once, for both sides.
    pub fn sleep(&self, pause: Duration) {
        self.sleeps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(pause);
        self.handle.advance(pause);
    }

    /// Lets time pass without anyone sleeping.
    pub fn advance(&self, by: Duration) {
        self.handle.advance(by);
    }

    /// The sleeps so far.
    pub fn sleeps(&self) -> Vec<Duration> {
        self.sleeps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The mock's view of it.
    pub fn handle(&self) -> ClockHandle {
        self.handle.clone()
    }
}
