//! One send, one loop.

use std::io::{self, Read};
use std::sync::Arc;

use coze_auth_core::http::header::CONTENT_LENGTH;
use coze_auth_core::{Body, Flow, Request, Response, Step, TransportFailure, http};
use coze_auth_tokens::{NetworkError, Signal};
use ureq::{Proxy, SendBody};

use crate::network::{address, network_error, obstacle};
use crate::{Client, Error};

/// Room for an answer. Coze's stay below it (protocol §3), so that none is copied while it grows.
const USUAL_ANSWER: usize = 8 * 1024;

impl Client {
    /// Drives a flow to its result.
    ///
    /// Pass a flow by `&mut` to keep it: after an error that is not the flow's own ([`Error::Build`])
    /// another run takes it up where the first left it.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] with the flow's own error; [`Error::Build`] ends any flow.
    pub fn run<F: Flow>(&self, flow: F) -> Result<F::Output, Error> {
        self.drive(flow, None)
    }

    /// Like [`run`](Self::run), until the signal is set: a pause ends at once then, and a request, which cannot be
    /// broken off, when its answer is there or its time is over. Pass a flow by `&mut` to go on with it later.
    ///
    /// ```no_run
    /// # use coze_auth_ureq::{Client, Error, core};
    /// use coze_auth_ureq::Signal;
    ///
    /// # fn login(client: &Client, app: core::device::DeviceApp) -> Result<(), Error> {
    /// let started = client.run(app.start())?;
    /// let cancel = Signal::new(); // a clone of it for whoever may call it off: `cancel.set()`
    /// match client.run_until(app.poll(&started), &cancel) {
    ///     Err(Error::Cancelled) => println!("called off"),
    ///     result => drop(result?),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run), and [`Error::Cancelled`].
    pub fn run_until<F: Flow>(&self, flow: F, cancel: &Signal) -> Result<F::Output, Error> {
        self.drive(flow, Some(cancel))
    }

    fn drive<F: Flow>(&self, mut flow: F, cancel: Option<&Signal>) -> Result<F::Output, Error> {
        let mut cause: Option<NetworkError> = None;
        loop {
            match flow.step(self.time.now()) {
                // First: what has been granted is given, and not called off.
                Step::Done(result) => return result.map_err(|error| Error::Core { error, cause }),
                _ if cancel.is_some_and(Signal::is_set) => return Err(Error::Cancelled),
                Step::Send(request) => {
                    let proxy = self.proxy(request.uri())?;
                    let reply = match self.send(request, proxy.as_ref()) {
                        Ok(response) => {
                            cause = None;
                            Ok(response)
                        }
                        // No handshake: rustls could not be set up, which no other attempt will change.
                        Err((_, error @ ureq::Error::Rustls(_))) => {
                            return Err(Error::Build(Arc::new(error)));
                        }
                        Err((failure, error)) => {
                            cause = Some(network_error(error, proxy.as_ref().map(address)));
                            Err(failure)
                        }
                    };
                    flow.receive(reply, self.time.now());
                }
                Step::Wait(pause) => match cancel {
                    Some(cancel) => self.time.wait(cancel, pause),
                    None => self.time.sleep(pause),
                },
            }
        }
    }

    /// Sends once.
    fn send(
        &self,
        request: Request,
        proxy: Option<&Proxy>,
    ) -> Result<Response, (TransportFailure, ureq::Error)> {
        let (mut head, body) = request.into_parts();
        if body.is_empty() {
            let answer = self.dispatch(http::Request::from_parts(head, ()), proxy);
            return answer
                .and_then(incoming)
                .map_err(|error| (obstacle(&error).failure(), error));
        }
        // ureq would send a reader of unknown length in chunks.
        head.headers.insert(CONTENT_LENGTH, body.len().into());
        let mut watched = Watched {
            rest: body.as_bytes(),
            asked_for: false,
        };
        let request = http::Request::from_parts(head, SendBody::from_reader(&mut watched));
        let answer = self.dispatch(request, proxy);
        answer.and_then(incoming).map_err(|error| {
            let failure = match &error {
                _ if !watched.asked_for => TransportFailure::NotSent,
                ureq::Error::Timeout(_) => TransportFailure::Timeout,
                _ => TransportFailure::NoAnswer,
            };
            (failure, error)
        })
    }
}

/// A request's body that knows whether it was asked for. ureq names an I/O error the same before and
/// after it has connected, but reads the body only once the head has been written; until then no server
/// can have acted.
struct Watched<'a> {
    rest: &'a [u8],
    asked_for: bool,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.asked_for = true;
        self.rest.read(buffer)
    }
}

/// Reads an answer, whatever its status. What is longer than the core wants is cut off, and the core
/// refuses it.
fn incoming(answer: http::Response<ureq::Body>) -> Result<Response, ureq::Error> {
    let (head, body) = answer.into_parts();
    let mut bytes = Vec::with_capacity(USUAL_ANSWER);
    body.into_reader()
        .take(Body::READ_AT_MOST as u64)
        .read_to_end(&mut bytes)?;
    Ok(http::Response::from_parts(head, bytes.into()))
}
