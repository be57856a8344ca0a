//! No socket at all: the mock is called as a function. Nothing can break on the way, and it says so.

use std::sync::Arc;

use bytes::Bytes;
use coze_auth_conformance::{SharedClock, Subject, TestContext, in_threads};
use coze_auth_core::{Body, Error, Flow, Request, Response, Step, http};
use coze_auth_mock::CozeAuthMock;

pub(crate) struct InMemory {
    clock: SharedClock,
    mock: Arc<CozeAuthMock>,
}

impl Subject for InMemory {
    const CAPABILITIES: &'static [&'static str] = &["client.parallel"];

    fn new(context: &TestContext) -> Self {
        Self {
            clock: context.clock.clone(),
            mock: context.mock.clone().expect("a mock"),
        }
    }

    fn run<F: Flow<Output: Send> + Send + 'static>(&self, mut flow: F) -> Result<F::Output, Error> {
        loop {
            match flow.step(self.clock.now()) {
                Step::Send(request) => flow.receive(Ok(self.call(&request)), self.clock.now()),
                Step::Wait(pause) => self.clock.sleep(pause),
                Step::Done(result) => return result,
            }
        }
    }

    fn run_all<F: Flow<Output: Send> + Send + 'static>(
        &self,
        flows: Vec<F>,
    ) -> Vec<Result<F::Output, Error>> {
        in_threads(self, flows)
    }
}

impl InMemory {
    fn call(&self, request: &Request) -> Response {
        let mut copy = http::Request::builder()
            .method(request.method())
            .uri(request.uri().path_and_query().expect("a path").as_str())
            .header("host", request.uri().authority().expect("a host").as_str());
        for (name, value) in request.headers() {
            copy = copy.header(name, value);
        }
        let body = Bytes::copy_from_slice(request.body().as_bytes());
        let answer = self.mock.call_blocking(copy.body(body).expect("a request"));
        answer.map(|body| {
            let read = body.len().min(Body::READ_AT_MOST);
            Body::from(body[..read].to_vec())
        })
    }
}
