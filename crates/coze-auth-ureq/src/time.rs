//! The clocks that flows run on.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use coze_auth_core::{Now, UnixTime};
use coze_auth_tokens::{Signal, system_now};

/// Tells the time and lets it pass. [`SystemClock`] is the machine's; write your own for tests that must
/// not wait. HTTP timeouts are always real time.
pub trait Time: Send + Sync {
    /// Both clocks, read together.
    fn now(&self) -> Now;

    /// The calendar alone. A fresh token needs no more, and reading two clocks is most of what it costs.
    fn unix(&self) -> UnixTime {
        self.now().unix
    }

    /// Comes back after at least this long, on the steady clock.
    fn sleep(&self, pause: Duration);

    /// Comes back when the signal is set, or after this long on the steady clock. A clock of your own that does
    /// not run by itself has to look again whenever it is moved.
    fn wait(&self, signal: &Signal, at_most: Duration) {
        signal.wait_at_most(at_most);
    }
}

impl<T: Time + ?Sized> Time for Arc<T> {
    fn now(&self) -> Now {
        (**self).now()
    }

    fn unix(&self) -> UnixTime {
        (**self).unix()
    }

    fn sleep(&self, pause: Duration) {
        (**self).sleep(pause);
    }

    fn wait(&self, signal: &Signal, at_most: Duration) {
        (**self).wait(signal, at_most);
    }
}

/// The machine's clocks: [`SystemTime`], and [`Instant`](std::time::Instant) since this
/// process first asked.
///
/// All values of this type tell the same steady time. In another process that time means nothing: finish a
/// device login where it was started.
///
/// Whether the steady one runs on while the machine sleeps is up to the system; on Linux and macOS it
/// does not. A device poll then ends by the server's word instead of the local deadline.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Time for SystemClock {
    fn now(&self) -> Now {
        system_now()
    }

    fn unix(&self) -> UnixTime {
        SystemTime::now().into()
    }

    fn sleep(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}
