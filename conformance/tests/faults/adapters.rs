//! Flows over each adapter, and over transports of one's own as the samples have them: on the cell's clock, and with a
//! limit of their own.

use std::io::Read as _;
use std::time::Duration;

use coze_auth_conformance::SharedClock;
use coze_auth_core::{Body, Flow, Request, Response, TransportFailure};
use coze_auth_examples::custom_transport::HyperTransport;
use coze_auth_examples::custom_transport_blocking;
use coze_auth_tokens::{Error, SendError, blocking, tokio as awaited};

use crate::clocks::{AsyncClock, BlockingClock};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Adapter {
    Reqwest,
    Ureq,
    Hyper,
    Attohttpc,
}

pub(crate) const ADAPTERS: [Adapter; 4] = [
    Adapter::Reqwest,
    Adapter::Ureq,
    Adapter::Hyper,
    Adapter::Attohttpc,
];

impl Adapter {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reqwest => "reqwest",
            Self::Ureq => "ureq",
            Self::Hyper => "hyper",
            Self::Attohttpc => "attohttpc",
        }
    }

    /// Drives a flow. A whole request may take this long.
    pub(crate) fn run<F: Flow>(
        self,
        clock: &SharedClock,
        limit: Duration,
        flow: F,
    ) -> Result<F::Output, Error> {
        let (time, blocking_time) = (AsyncClock(clock.clone()), BlockingClock(clock.clone()));
        match self {
            Self::Reqwest => {
                let client = coze_auth_reqwest::Client::new().expect("a client");
                let client = client.with_timeout(limit).with_time(time);
                runtime().block_on(client.run(flow))
            }
            Self::Ureq => {
                let client = coze_auth_ureq::Client::new().expect("a client");
                client
                    .with_timeout(limit)
                    .with_time(blocking_time)
                    .run(flow)
            }
            Self::Hyper => {
                let transport = HyperTransport::default();
                let own = Own {
                    transport,
                    limit,
                    time,
                };
                runtime().block_on(awaited::run(&own, flow))
            }
            Self::Attohttpc => {
                let own = Own {
                    transport: (),
                    limit,
                    time: blocking_time,
                };
                blocking::run(&own, flow)
            }
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

/// A sample's transport.
struct Own<T, C> {
    transport: T,
    limit: Duration,
    time: C,
}

impl awaited::Transport for Own<HyperTransport, AsyncClock> {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let answer = tokio::time::timeout(self.limit, self.transport.send(request)).await;
        answer.unwrap_or_else(|_| Err(TransportFailure::Timeout.into()))
    }

    fn time(&self) -> &dyn awaited::Time {
        &self.time
    }
}

impl blocking::Transport for Own<(), BlockingClock> {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        let request = request.map(|body| body.as_bytes().to_vec());
        let answer = custom_transport_blocking::send(request, self.limit);
        let (head, body) = answer.map_err(SendError::of)?.into_parts();
        let mut bytes = Vec::new();
        let mut body = body.take(Body::READ_AT_MOST as u64);
        body.read_to_end(&mut bytes).map_err(SendError::of)?;
        Ok(Response::from_parts(head, bytes.into()))
    }

    fn time(&self) -> &dyn blocking::Time {
        &self.time
    }
}
