//! Every case over an async transport of my own.

use std::time::Duration;

use bytes::Bytes;
use coze_auth_conformance::{SharedClock, Subject, TestContext, conformance_tests};
use coze_auth_core::{Body, Error, Flow, Now, Request, Response, TransportFailure};
use coze_auth_tokens::SendError;
use coze_auth_tokens::tokio::{Sleep, Time, Transport, run};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

struct MyTransport {
    clock: CaseClock,
    http: Client<HttpConnector, Full<Bytes>>, // follows no redirect
}

impl Transport for MyTransport {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let request = request.map(|body| Full::from(body.as_bytes().to_vec()));
        let sent = async {
            let answer = self.http.request(request).await.map_err(SendError::of)?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, Body::READ_AT_MOST).collect().await;
            let body = body.map_err(SendError::of)?.to_bytes();
            Ok(Response::from_parts(head, Vec::from(body).into()))
        };
        let answer = tokio::time::timeout(self.timeout(), sent).await;
        answer.unwrap_or_else(|_| Err(TransportFailure::Timeout.into()))
    }

    fn time(&self) -> &dyn Time {
        &self.clock // leave this out, and the machine's clock counts
    }
}

struct CaseClock(SharedClock);

impl Time for CaseClock {
    fn now(&self) -> Now {
        self.0.now()
    }

    fn sleep(&self, pause: Duration) -> Sleep<'_> {
        self.0.sleep(pause); // virtual: an hour passes at once
        Box::pin(std::future::ready(()))
    }
}

struct MySubject {
    runtime: tokio::runtime::Runtime,
    transport: MyTransport,
}

impl Subject for MySubject {
    fn new(context: &TestContext) -> Self {
        Self {
            runtime: tokio::runtime::Runtime::new().expect("a runtime"),
            transport: MyTransport {
                clock: CaseClock(context.clock.clone()),
                http: Client::builder(TokioExecutor::new()).build_http(),
            },
        }
    }

    fn run<F: Flow<Output: Send> + Send + 'static>(&self, flow: F) -> Result<F::Output, Error> {
        let result = self.runtime.block_on(run(&self.transport, flow));
        result.map_err(|error| match error {
            coze_auth_tokens::Error::Core { error, .. } => error,
            other => panic!("the transport itself failed: {other}"),
        })
    }
}

conformance_tests!(MySubject);
