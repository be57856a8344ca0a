//! One send.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::http::header::CONTENT_LENGTH;
use coze_auth_core::{Body, Flow, Request, Response, TransportFailure, http};
use coze_auth_tokens::blocking::{Time, Transport, run, run_until};
use coze_auth_tokens::{SendError, Signal};
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
        run(self, flow)
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
    /// let cancel = Signal::new(); // a clone of it for those who may call it off: `cancel.set()`
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
        run_until(self, flow, cancel)
    }
}

impl Transport for Client {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        let proxy = self.proxy(request.uri())?;
        self.send_once(request, proxy.as_ref())
            .map_err(|(failure, error)| match error {
                // No handshake: rustls could not be set up, which no other attempt will change.
                ureq::Error::Rustls(_) => Error::Build(Arc::new(error)).into(),
                error => SendError::Failed {
                    failure,
                    cause: Some(network_error(error, proxy.as_ref().map(address))),
                },
            })
    }

    fn timeout(&self) -> Duration {
        self.timeouts.whole
    }

    fn time(&self) -> &dyn Time {
        &*self.time
    }
}

impl Client {
    /// Sends once.
    fn send_once(
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
