//! Every case over a transport of my own.

use coze_auth_conformance::{SharedClock, Subject, TestContext, conformance_tests};
use coze_auth_core::{Body, Error, Flow, Request, Response, Step, TransportFailure};

struct MyTransport {
    clock: SharedClock,
    http: ureq::Agent,
}

impl Subject for MyTransport {
    fn new(context: &TestContext) -> Self {
        let http = ureq::Agent::config_builder()
            .http_status_as_error(false) // Coze says in the body what was wrong
            .max_redirects(0) // a token request is not for anybody else
            .proxy(None) // the mock is on 127.0.0.1
            .build();
        Self {
            clock: context.clock.clone(),
            http: http.into(),
        }
    }

    fn run<F: Flow<Output: Send> + Send + 'static>(&self, mut flow: F) -> Result<F::Output, Error> {
        loop {
            match flow.step(self.clock.now()) {
                Step::Send(request) => flow.receive(self.send(request), self.clock.now()),
                Step::Wait(pause) => self.clock.sleep(pause),
                Step::Done(result) => return result,
            }
        }
    }
}

impl MyTransport {
    fn send(&self, request: Request) -> Result<Response, TransportFailure> {
        let request = request.map(|body| body.as_bytes().to_vec());
        let response = self.http.run(request).map_err(|error| match error {
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => TransportFailure::NotSent,
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                TransportFailure::NotSent
            }
            _ => TransportFailure::NoAnswer,
        })?;
        let (head, mut body) = response.into_parts();
        let body = body.read_to_vec().map_err(|_| TransportFailure::NoAnswer)?;
        Ok(Response::from_parts(head, Body::from(body)))
    }
}

conformance_tests!(MyTransport);
