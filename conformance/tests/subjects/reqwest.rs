//! The async adapter, on a runtime of its own.

use coze_auth_conformance::{SharedClock, Subject};
use coze_auth_core::{Error, Flow};
use coze_auth_reqwest::Client;

use crate::clocks::AsyncClock;

pub(crate) struct Reqwest {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Subject for Reqwest {
    fn new(clock: SharedClock) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let client = Client::new()
            .expect("a client")
            .with_time(AsyncClock(clock));
        Self {
            runtime: runtime.expect("a runtime"),
            client,
        }
    }

    fn run<F: Flow<Output: Send> + Send + 'static>(&self, flow: F) -> Result<F::Output, Error> {
        self.runtime
            .block_on(self.client.run(flow))
            .map_err(|error| match error {
                coze_auth_reqwest::Error::Core { error, .. } => error,
                other => panic!("the adapter itself failed: {other}"),
            })
    }
}
