//! HTTP/1.1 over a bare `TcpStream`: what a transport of one's own takes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use coze_auth_conformance::{SharedClock, Subject, TestContext, in_threads};
use coze_auth_core::{Body, Error, Flow, Request, Response, Step, TransportFailure, http};

pub(crate) struct RawSocket(SharedClock);

impl Subject for RawSocket {
    const CAPABILITIES: &'static [&'static str] = &["network", "client.parallel"];

    fn new(context: &TestContext) -> Self {
        Self(context.clock.clone())
    }

    fn run<F: Flow<Output: Send> + Send + 'static>(&self, mut flow: F) -> Result<F::Output, Error> {
        loop {
            match flow.step(self.0.now()) {
                Step::Send(request) => flow.receive(send(&request), self.0.now()),
                Step::Wait(pause) => self.0.sleep(pause),
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

fn send(request: &Request) -> Result<Response, TransportFailure> {
    if request.uri().scheme_str() != Some("http") {
        return Err(TransportFailure::NotSent); // it has no TLS
    }
    let authority = request.uri().authority().expect("an absolute URI").as_str();
    let mut socket = TcpStream::connect(authority).map_err(|_| TransportFailure::NotSent)?;
    exchange(&mut socket, authority, request).ok_or(TransportFailure::NoAnswer)
}

fn exchange(socket: &mut TcpStream, authority: &str, request: &Request) -> Option<Response> {
    let target = request.uri().path_and_query()?;
    let mut message = format!(
        "{} {target} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n",
        request.method()
    );
    for (name, value) in request.headers() {
        message += &format!("{name}: {}\r\n", value.to_str().ok()?);
    }
    message += &format!("content-length: {}\r\n\r\n", request.body().len());
    socket
        .write_all(&[message.as_bytes(), request.body().as_bytes()].concat())
        .ok()?;
    let mut answer = Vec::new();
    let most = Body::READ_AT_MOST + 64 * 1024; // and its head
    socket.take(most as u64).read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let mut lines = std::str::from_utf8(&answer[..end]).ok()?.split("\r\n");
    let mut response = http::Response::builder().status(lines.next()?.split(' ').nth(1)?);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    let mut body = answer.split_off(end + 4);
    body.truncate(Body::READ_AT_MOST);
    let response = response.body(Body::from(body)).ok()?;
    let length = response
        .headers()
        .get("content-length")?
        .to_str()
        .ok()?
        .parse::<usize>()
        .ok()?;
    // Less than was promised is no answer; more than is wanted was cut off above.
    (response.body().len() >= length.min(Body::READ_AT_MOST)).then_some(response)
}
