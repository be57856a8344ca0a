//! The clocks that flows run on.

use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use coze_auth_core::{Now, SteadyTime};

/// Tells the time and lets it pass. [`SystemClock`] is the machine's; write your own for tests that must
/// not wait. HTTP timeouts are always real time.
pub trait Time: Send + Sync {
    /// Both clocks, read together.
    fn now(&self) -> Now;

    /// Ready after at least this long, on the steady clock.
    fn sleep(&self, pause: Duration) -> Sleep<'_>;
}

/// A pause on its way.
pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl<T: Time + ?Sized> Time for Arc<T> {
    fn now(&self) -> Now {
        (**self).now()
    }

    fn sleep(&self, pause: Duration) -> Sleep<'_> {
        (**self).sleep(pause)
    }
}

/// Where the steady clock starts: one for the process, because steady times travel between its clients,
/// as in `DeviceAuthorization::received_at`.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The machine's clocks: [`SystemTime`], and [`Instant`] since this process first asked.
///
/// All values of this type tell the same steady time. In another process, and in another adapter of the
/// same process, that time means nothing: finish a device login where it was started.
///
/// Whether the steady one runs on while the machine sleeps is up to the system; on Linux and macOS it
/// does not. A device poll then ends by the server's word instead of the local deadline.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Time for SystemClock {
    fn now(&self) -> Now {
        Now {
            unix: SystemTime::now().into(),
            steady: SteadyTime::from_duration(START.elapsed()),
        }
    }

    /// Needs a tokio runtime with its timer on, as reqwest itself does.
    fn sleep(&self, pause: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(pause))
    }
}
