//! The clocks that flows run on.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use coze_auth_core::{Now, SteadyTime};

/// Tells the time and lets it pass. [`SystemClock`] is the machine's; write your own for tests that must
/// not wait. HTTP timeouts are always real time.
pub trait Time: Send + Sync {
    /// Both clocks, read together.
    fn now(&self) -> Now;

    /// Comes back after at least this long, on the steady clock.
    fn sleep(&self, pause: Duration);
}

impl<T: Time + ?Sized> Time for Arc<T> {
    fn now(&self) -> Now {
        (**self).now()
    }

    fn sleep(&self, pause: Duration) {
        (**self).sleep(pause);
    }
}

/// The machine's clocks: [`SystemTime`], and [`Instant`] since this value was made.
///
/// Whether the steady one runs on while the machine sleeps is up to the system; on Linux and macOS it
/// does not. A device poll then ends by the server's word instead of the local deadline.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts the steady clock.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Time for SystemClock {
    fn now(&self) -> Now {
        Now {
            unix: SystemTime::now().into(),
            steady: SteadyTime::from_duration(self.start.elapsed()),
        }
    }

    fn sleep(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}
