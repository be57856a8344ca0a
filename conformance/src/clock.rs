//! One clock for client and server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
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
    alarms: Arc<Mutex<Vec<(SteadyTime, Waker)>>>,
    /// Of the client's calendar alone.
    ahead: Arc<Mutex<Duration>>,
}

impl SharedClock {
    /// A clock at the start of a case.
    #[allow(clippy::new_without_default)] // a clock is shared, and one made in passing is shared with nobody
    pub fn new() -> Self {
        Self {
            handle: ClockHandle::frozen_at(START),
            sleeps: Arc::default(),
            alarms: Arc::default(),
            ahead: Arc::default(),
        }
    }

    /// Both clocks of the core.
    pub fn now(&self) -> Now {
        Now {
            unix: UnixTime::from_duration(self.handle.unix() + *locked(&self.ahead)),
            steady: SteadyTime::from_duration(self.handle.steady()),
        }
    }

    /// Sets the client's calendar ahead of the server's, as of a machine whose clock is wrong. Both steady clocks
    /// stay one.
    pub fn set_ahead(&self, by: Duration) {
        *locked(&self.ahead) = by;
    }

    /// What a client's sleep is here: the time passes at once, for both sides.
    pub fn sleep(&self, pause: Duration) {
        locked(&self.sleeps).push(pause);
        self.advance(pause);
    }

    /// Lets time pass without anyone sleeping.
    pub fn advance(&self, by: Duration) {
        self.handle.advance(by);
        let now = self.now().steady;
        let mut alarms = locked(&self.alarms);
        let due = alarms
            .extract_if(.., |(at, _)| *at <= now)
            .collect::<Vec<_>>();
        drop(alarms);
        for (_, waker) in due {
            waker.wake();
        }
    }

    /// Calls the waker when the steady clock has come to this moment; at once, if it has. For who waits for
    /// somebody else's work and, should that be lost, for this moment: such waiting lets no time pass.
    pub fn wake_at(&self, moment: SteadyTime, waker: &Waker) {
        let mut alarms = locked(&self.alarms);
        // Under the lock: an advance that comes now will see the alarm.
        if self.now().steady >= moment {
            drop(alarms);
            waker.wake_by_ref();
        } else {
            alarms.push((moment, waker.clone()));
        }
    }

    /// The sleeps so far.
    pub fn sleeps(&self) -> Vec<Duration> {
        locked(&self.sleeps).clone()
    }

    /// The mock's view of it.
    pub fn handle(&self) -> ClockHandle {
        self.handle.clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
