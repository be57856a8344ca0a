//! One send.

use std::time::Duration;

use coze_auth_core::{Body, Flow, Request, Response, TransportFailure, http};
use coze_auth_tokens::SendError;
use coze_auth_tokens::tokio::{Time, Transport, run};

use crate::network::network_error;
use crate::{Client, Error};

/// Room for an answer. Coze's stay below it (protocol §3), so that none is copied while it grows.
const USUAL_ANSWER: usize = 8 * 1024;

impl Client {
    /// Drives a flow to its result. Dropping the future stops it, be it in a pause or in a request.
    ///
    /// Pass a flow by `&mut` to keep it: another run takes it up where a dropped one left it. But a request
    /// that was under way may have arrived: its authorization code, device code or refresh token may be
    /// spent then, and the other run, which sends it again, refused.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] with the flow's own error; [`Error::Build`] and [`Error::Redirected`] end any flow.
    pub async fn run<F: Flow>(&self, flow: F) -> Result<F::Output, Error> {
        run(self, flow).await
    }
}

impl Transport for Client {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let (client, proxy) = self.for_uri(request.uri())?;
        let mut request = outgoing(request).map_err(|error| SendError::Failed {
            failure: TransportFailure::NotSent,
            cause: Some(network_error(error, None)),
        })?;
        *request.timeout_mut() = Some(self.timeouts.whole);
        let asked = request.url().clone();
        let answer = match client.execute(request).await {
            Ok(answer) if *answer.url() != asked => {
                return Err(Error::redirected(answer.url().as_str()).into());
            }
            Ok(answer) => incoming(answer).await,
            Err(error) => Err(error),
        };
        answer.map_err(|error| {
            let url = error.url().unwrap_or(&asked);
            if error.is_redirect() || *url != asked {
                return Error::redirected(url.as_str()).into();
            }
            SendError::Failed {
                failure: consequence(&error, self.is_own()),
                cause: Some(network_error(error, proxy)),
            }
        })
    }

    fn timeout(&self) -> Duration {
        self.timeouts.whole
    }

    fn time(&self) -> &dyn Time {
        &*self.time
    }
}

fn outgoing(request: Request) -> reqwest::Result<reqwest::Request> {
    let (head, body) = request.into_parts();
    // The copy is reqwest's, and is not wiped.
    let body = body.as_bytes().to_vec();
    reqwest::Request::try_from(http::Request::from_parts(head, body))
}

/// Reads an answer, whatever its status. reqwest has no limit of its own; what is longer than the core
/// wants is cut off, and the core refuses it.
async fn incoming(mut answer: reqwest::Response) -> reqwest::Result<Response> {
    let mut body = Vec::with_capacity(USUAL_ANSWER);
    while body.len() < Body::READ_AT_MOST {
        let Some(chunk) = answer.chunk().await? else {
            break;
        };
        let room = Body::READ_AT_MOST - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    let mut response = Response::new(body.into());
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

/// Can the server have acted on the request?
fn consequence(error: &reqwest::Error, is_own: bool) -> TransportFailure {
    // Name, connection, proxy tunnel and TLS are all made in hyper's connector; so is its timeout, which
    // is why this is asked first. The rest of the time is counted after it. A client that was handed over
    // may have followed a redirect first: reqwest names the address asked for then, too.
    if is_own && (error.is_connect() || error.is_builder()) {
        TransportFailure::NotSent
    } else if error.is_timeout() {
        TransportFailure::Timeout
    } else {
        TransportFailure::NoAnswer
    }
}
