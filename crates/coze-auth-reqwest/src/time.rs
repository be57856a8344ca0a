//! The clocks that flows run on.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use coze_auth_core::{Now, UnixTime};
use coze_auth_tokens::{Waiting, system_now};

/// Tells the time and lets it pass. [`SystemClock`] is the machine's; write your own for tests that must
/// not wait. HTTP timeouts are always real time.
pub trait Time: Send + Sync {
    /// Both clocks, read together.
    fn now(&self) -> Now;

    /// The calendar alone. A fresh token needs no more, and reading two clocks is most of what it costs.
    fn unix(&self) -> UnixTime {
        self.now().unix
    }

    /// Ready after at least this long, on the steady clock.
    fn sleep(&self, pause: Duration) -> Sleep<'_>;

    /// Ready when `woken` is, or after this much of the machine's time. It never sleeps on this clock: one that passes by
    /// being slept on would pass at once, while whoever is waited for is still at work. A clock of your own that
    /// does not run by itself may look again whenever it is moved.
    fn wait<'a>(&'a self, woken: Waiting, at_most: Duration) -> Sleep<'a> {
        Box::pin(async move {
            // Its one error says that the time has passed.
            let _ = tokio::time::timeout(at_most, woken).await;
        })
    }
}

/// A pause on its way.
pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl<T: Time + ?Sized> Time for Arc<T> {
    fn now(&self) -> Now {
        (**self).now()
    }

    fn unix(&self) -> UnixTime {
        (**self).unix()
    }

    fn sleep(&self, pause: Duration) -> Sleep<'_> {
        (**self).sleep(pause)
    }

    fn wait<'a>(&'a self, woken: Waiting, at_most: Duration) -> Sleep<'a> {
        (**self).wait(woken, at_most)
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

    /// Needs a tokio runtime with its timer on, as reqwest itself does.
    fn sleep(&self, pause: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(pause))
    }
}
