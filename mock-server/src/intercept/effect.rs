//! The effect of a fault on an answer.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Response, StatusCode};
use serde::de::IgnoredAny;
use serde_json::json;

use super::fault::Fault;
use super::fault_kind::Kind;
use super::socket_fault::SocketFault;
use crate::protocol::response::{self, LOGID, Reply};

/// The body of an answer that has none, for faults that break off within the body.
const FILLER: &[u8] = b"This body is longer than what is sent of it.\n";

/// An answer, and what the socket is to do with it.
#[derive(Debug)]
pub(crate) struct FaultedReply {
    pub(crate) reply: Reply,
    pub(crate) socket_fault: Option<SocketFault>,
}

impl FaultedReply {
    pub(crate) const fn plain(reply: Reply) -> Self {
        Self {
            reply,
            socket_fault: None,
        }
    }

    /// The status for the journal; 0 if no head is sent.
    pub(crate) fn status(&self) -> u16 {
        match self.socket_fault {
            Some(SocketFault::Reset | SocketFault::Garbage(_)) => 0,
            _ => self.reply.status().as_u16(),
        }
    }
}

/// The answer on which a fault at the request acts, since the mock has none then.
pub(crate) fn placeholder() -> Reply {
    let text = "a fault acted first: the mock has not looked at this request";
    response::json_reply(StatusCode::OK, json!({ "error": text }).to_string())
}

impl Fault {
    /// Applies the fault to an answer. `socket` is true if the request was received by a socket of the mock.
    pub(crate) fn apply(&self, reply: Reply, method: &Method, socket: bool) -> FaultedReply {
        let logid = reply.headers().get(LOGID).cloned();
        let mut faulted = match self.kind.row().socket && !socket {
            true => FaultedReply::plain(self.needs_a_socket()),
            false => self.act(reply, method),
        };
        let headers = faulted.reply.headers_mut();
        if let Some(logid) = logid.filter(|_| !headers.contains_key(LOGID)) {
            headers.insert(LOGID, logid);
        }
        // The events of another body, or of one that the socket cuts, are not sent one by one.
        if !matches!(self.kind, Kind::Delay(_) | Kind::Hold | Kind::DupHeader) {
            faulted.reply.extensions_mut().clear();
        }
        faulted.reply = response::marked(faulted.reply, Some(self.name()));
        faulted
    }

    fn needs_a_socket(&self) -> Reply {
        let name = self.name();
        let text = format!(
            "the fault {name} needs a socket of the mock: this request was sent in memory or through another server"
        );
        response::json_reply(
            StatusCode::NOT_IMPLEMENTED,
            json!({ "error": text, "fault": name }).to_string(),
        )
    }

    fn act(&self, mut reply: Reply, method: &Method) -> FaultedReply {
        let socket_fault = match &self.kind {
            Kind::Status(status) => {
                reply = self.gateway(*status);
                None
            }
            Kind::Redirect(status, location) => {
                reply = Response::new(Bytes::new());
                *reply.status_mut() = *status;
                reply.headers_mut().insert(LOCATION, location.clone());
                self.set_headers(&mut reply);
                None
            }
            Kind::Empty200 => {
                reply = Response::new(Bytes::new());
                None
            }
            Kind::Delay(_) | Kind::Hold => None,
            Kind::WrongContentType => {
                self.replace_body(&mut reply);
                let html = HeaderValue::from_static("text/html; charset=utf-8");
                reply.headers_mut().insert(CONTENT_TYPE, html);
                self.set_headers(&mut reply);
                None
            }
            Kind::DupHeader => {
                self.double_headers(&mut reply);
                None
            }
            Kind::Member(member) => {
                if let Some(body) = member.changed(&reply) {
                    *reply.body_mut() = body.into();
                }
                None
            }
            // The state of the world has the consent page; see `pipeline`.
            Kind::Callback(_) => None,
            Kind::Reset => Some(SocketFault::Reset),
            Kind::Garbage => Some(SocketFault::Garbage(self.body.clone().unwrap_or_default())),
            Kind::CloseBeforeBody => Some(self.cut(&mut reply, Some(0), method)),
            Kind::Truncate(at) => Some(self.cut(&mut reply, *at, method)),
            Kind::SlowDrip(pause) => {
                self.replace_body(&mut reply);
                let close = HeaderValue::from_static("close");
                reply.headers_mut().insert(CONNECTION, close);
                Some(SocketFault::Drip(*pause))
            }
        };
        FaultedReply {
            reply,
            socket_fault,
        }
    }

    fn gateway(&self, status: StatusCode) -> Reply {
        let reason = status.canonical_reason().unwrap_or("no reason");
        let body = self.body.clone();
        let mut reply = Response::new(body.unwrap_or_else(|| format!("{reason}\n").into()));
        *reply.status_mut() = status;
        let is_json = matches!(reply.body().first(), Some(b'{' | b'['))
            && serde_json::from_slice::<IgnoredAny>(reply.body()).is_ok();
        let kind = match is_json {
            true => "application/json; charset=utf-8",
            false => "text/plain; charset=utf-8",
        };
        let kind = HeaderValue::from_static(kind);
        reply.headers_mut().insert(CONTENT_TYPE, kind);
        self.set_headers(&mut reply);
        reply
    }

    fn replace_body(&self, reply: &mut Reply) {
        if let Some(body) = &self.body {
            *reply.body_mut() = body.clone();
        }
    }

    fn set_headers(&self, reply: &mut Reply) {
        for (name, value) in &self.headers {
            reply.headers_mut().insert(name, value.clone());
        }
    }

    /// Doubles each header. If the answer does not have it, the fault adds it twice.
    fn double_headers(&self, reply: &mut Reply) {
        let headers = reply.headers_mut();
        let mut twice = self.headers.clone();
        if twice.is_empty() {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            let own = headers.get(CONTENT_TYPE).cloned();
            twice.insert(CONTENT_TYPE, own.unwrap_or(json));
        }
        for (name, value) in &twice {
            if !headers.contains_key(name) {
                headers.append(name, value.clone());
            }
            headers.append(name, value.clone());
        }
    }

    /// Cuts the body. An answer without one gets one first.
    fn cut(&self, reply: &mut Reply, at: Option<usize>, method: &Method) -> SocketFault {
        self.replace_body(reply);
        if reply.body().is_empty() {
            *reply.body_mut() = Bytes::from_static(FILLER);
        }
        let length = reply.body().len();
        SocketFault::Cut(match *method == Method::HEAD {
            true => 0,
            false => at.unwrap_or(length / 2).min(length - 1),
        })
    }
}
