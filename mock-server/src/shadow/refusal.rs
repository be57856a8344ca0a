//! What the shadow answers by itself: the requests that it cannot pass on unchanged, and those that got no answer, by name.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::protocol::response::json_reply;

/// A header that Coze does not have: why the shadow has answered, and not the upstream.
const SHADOW: HeaderName = HeaderName::from_static("x-mock-shadow");

/// Why the shadow has answered by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The shadow has another name, as when a page of another site reaches it.
    Host,
    /// A page of another site has sent it.
    Origin,
    /// A plain proxy request, which has the whole URL as its target.
    WholeUrl,
    /// A tunnel to a host that is not the upstream's.
    Tunnel,
    /// A change to another protocol, such as WebSocket.
    Upgrade,
    BodyTooLong,
    /// The body did not arrive whole.
    Body,
    /// A body that is passed on while it arrives did not arrive whole.
    PartOfBody,
    /// An assertion that is not for the upstream, through a base that is not the upstream's.
    Audience(String),
    /// The upstream was not reached; the text is the reason.
    Unreachable(String),
    /// The connection ended before there was an answer.
    NoAnswer(String),
    /// There was no answer in time.
    Late,
}

impl Refusal {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::WholeUrl => "whole_url",
            Self::Tunnel => "tunnel",
            Self::Upgrade => "upgrade",
            Self::BodyTooLong => "body_too_long",
            Self::Body | Self::PartOfBody => "body",
            Self::Audience(_) => "aud",
            Self::Unreachable(_) => "unreachable",
            Self::NoAnswer(_) => "no_answer",
            Self::Late => "late",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Host | Self::Origin | Self::Tunnel => StatusCode::FORBIDDEN,
            Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WholeUrl | Self::Body | Self::PartOfBody | Self::Audience(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Upgrade => StatusCode::NOT_IMPLEMENTED,
            Self::Unreachable(_) | Self::NoAnswer(_) => StatusCode::BAD_GATEWAY,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// What happened, and what to do.
    pub(crate) fn text(&self) -> String {
        let nothing_sent = "; nothing was sent to the upstream";
        match self {
            Self::Host => format!(
                "the Host header does not name this machine: use the shadow's base URL, or the shadow as a proxy{nothing_sent}"
            ),
            Self::Origin => {
                format!("a page of another site has sent this request{nothing_sent}")
            }
            Self::WholeUrl => format!(
                "the shadow is a proxy for https alone (CONNECT): let the program keep the https base{nothing_sent}"
            ),
            Self::Tunnel => format!(
                "the shadow opens tunnels to the upstream's hosts alone: name the others in NO_PROXY{nothing_sent}"
            ),
            Self::Upgrade => format!(
                "the shadow cannot pass on a change of protocol (Upgrade), such as WebSocket: send this request straight to the upstream{nothing_sent}"
            ),
            Self::BodyTooLong => format!(
                "the body of a token request is longer than the shadow reads (1 MiB){nothing_sent}"
            ),
            Self::Body => format!("the body of the request did not arrive whole{nothing_sent}"),
            Self::PartOfBody => "the body of the request did not arrive whole; what had arrived was sent to the upstream, and the connection to it was closed".to_owned(),
            Self::Audience(upstream) => format!(
                "the aud of the assertion does not name {upstream}, which would refuse it: the audience is made from the client's base, and \
                 nobody between can change it (protocol 1.3). Use the shadow as a proxy, so that the base stays, or set the audience by hand{nothing_sent}"
            ),
            Self::Unreachable(why) => {
                format!("the upstream was not reached: {why}{nothing_sent}; try again")
            }
            Self::NoAnswer(why) => format!(
                "the upstream closed the connection without a whole answer ({why}); it may have acted on the request, and the shadow does not send it again"
            ),
            Self::Late => "the upstream did not answer in time; it may have acted on the request, and the shadow does not send it again".to_owned(),
        }
    }

    /// The answer. It has the shape of a refusal of Coze's (protocol §4.1), so that SDKs show its text.
    pub(crate) fn answer(&self) -> Response<Bytes> {
        let code = format!("shadow_{}", self.name());
        let body = json!({
            "error_code": code,
            "error_message": format!("coze-auth-mock shadow: {}", self.text()),
            "error": code,
        });
        let mut answer = json_reply(self.status(), body.to_string());
        let name = HeaderValue::from_static(self.name());
        answer.headers_mut().insert(SHADOW, name);
        answer
    }
}
