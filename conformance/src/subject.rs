//! What is under test.

use coze_auth_core::{Error, Flow};

use crate::clock::SharedClock;
use crate::stage::Stage;

/// A transport under test.
pub trait Subject {
    /// A transport that takes its time from this clock, and sleeps by it. It must reach loopback
    /// addresses without a proxy.
    fn new(clock: SharedClock) -> Self;

    /// Drives a flow to its end.
    ///
    /// # Errors
    ///
    /// The flow's own.
    fn run<F: Flow<Output: Send> + Send + 'static>(&self, flow: F) -> Result<F::Output, Error>;
}

/// Runs one case over a fresh server, clock and subject. It panics where the case fails, after
/// printing what the server saw.
pub fn run_case<S: Subject>(case: fn(&Stage<S>)) {
    case(&Stage::new());
}
