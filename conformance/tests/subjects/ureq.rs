//! The blocking adapter.

use coze_auth_conformance::{SharedClock, Subject};
use coze_auth_core::{Error, Flow};
use coze_auth_ureq::Client;

use crate::clocks::BlockingClock;

pub(crate) struct Ureq(Client);

impl Subject for Ureq {
    fn new(clock: SharedClock) -> Self {
        Self(
            Client::new()
                .expect("a client")
                .with_time(BlockingClock(clock)),
        )
    }

    fn run<F: Flow<Output: Send> + Send + 'static>(&self, flow: F) -> Result<F::Output, Error> {
        self.0.run(flow).map_err(|error| match error {
            coze_auth_ureq::Error::Core { error, .. } => error,
            other => panic!("the adapter itself failed: {other}"),
        })
    }
}
