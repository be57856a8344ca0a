//! The blocking adapter.

use std::time::Duration;

use coze_auth_conformance::{SharedClock, Subject};
use coze_auth_core::{Error, Flow, Now};
use coze_auth_ureq::{Client, Time};

pub(crate) struct Ureq(Client);

impl Subject for Ureq {
    fn new(clock: SharedClock) -> Self {
        Self(Client::new().expect("a client").with_time(Clock(clock)))
    }

    fn run<F: Flow<Output: Send> + Send + 'static>(&self, flow: F) -> Result<F::Output, Error> {
        self.0.run(flow).map_err(|error| match error {
            coze_auth_ureq::Error::Core { error, .. } => error,
            other => panic!("the adapter itself failed: {other}"),
        })
    }
}

struct Clock(SharedClock);

impl Time for Clock {
    fn now(&self) -> Now {
        self.0.now()
    }

    fn sleep(&self, pause: Duration) {
        self.0.sleep(pause);
    }
}
