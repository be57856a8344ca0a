//! Passing one request on to the upstream, and its answer back: unchanged, but for the headers of the connection (RFC 9110 §7.6.1)
//! and `Host`. Nothing is sent twice.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, ORIGIN, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::Mutex;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::answer::Answer;
use super::record::{Exchange, without_ids};
use super::refusal::Refusal;
use super::serve::{Held, Shared};
use super::upstream::{API, Audience, INTEGRATION, SITES, Site, WWW};
use crate::limits::{MAX_BODY, SHADOW_BODY};
use crate::net::addressing::is_loopback;
use crate::net::received_body::ReceivedBody;
use crate::protocol::assertion::Assertion;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::grant::{JWT_BEARER, grant_of, name};
use crate::protocol::json_body::JsonObject;
use crate::protocol::request::{Body as Content, Incoming as Judged};
use crate::redact::places;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body that is passed on.
pub(crate) type Outgoing = axum::body::Body;

/// How a request has reached the shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the shadow's own base URL.
    Base,
    /// By a tunnel to this one of the upstream's hosts.
    Tunnel(usize),
}

/// The connections to the upstream's hosts that belong to one connection of a client. So the upstream sees the connections that it
/// would see of the client.
pub(crate) type Lines = Mutex<[Option<SendRequest<Outgoing>>; SITES]>;

/// The headers that belong to a connection and not to the message (RFC 9110 §7.6.1), beside those that `Connection` names.
const OF_CONNECTION: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Answers a request with the upstream's answer, or says why it cannot.
pub(crate) async fn pass(
    held: Held,
    lines: Arc<Lines>,
    way: Way,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let method = places::method(request.method());
    let path = without_ids(request.uri().path(), |_| "***".to_owned());
    let path = places::path(&path, None).into_owned();
    let shared = held.shared.clone();
    let answered = match checked(&shared, way, &request) {
        Ok(site) => exchange(held, lines, way, site, request).await,
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(answer) => {
            tracing::info!(method, path, status = answer.status().as_u16());
            answer
        }
        Err(refusal) => {
            let refused = refusal.name();
            shared.judge().report.refused += 1;
            tracing::warn!(method, path, refused, "{}", refusal.text());
            refusal.answer().map(whole)
        }
    }
}

/// The upstream's host for this request, if it can be passed on.
fn checked(shared: &Shared, way: Way, request: &Request<Incoming>) -> Result<usize, Refusal> {
    let headers = request.headers();
    if request.uri().authority().is_some() {
        return Err(Refusal::WholeUrl);
    }
    let host = match of_one(headers, &HOST) {
        One::Text(host) => host,
        One::None | One::Other => return Err(Refusal::Host),
    };
    let site = match way {
        Way::Tunnel(site) if shared.upstream.sites()[site].is(host) => site,
        // A page of another site reaches the shadow by a name of its own.
        Way::Base if is_loopback(host) => match Endpoint::of(request.uri().path()) {
            // The authorize page alone is on the www host (protocol §2.1), integrations and variables on a third one (§15.1).
            Endpoint::Authorize { .. } => WWW,
            Endpoint::Integration | Endpoint::ProjectEnv => INTEGRATION,
            _ => API,
        },
        Way::Tunnel(_) | Way::Base => return Err(Refusal::Host),
    };
    // A page of this machine is a program under development; one of another site has nothing to do here.
    let is_fine = match of_one(headers, &ORIGIN) {
        One::None => true,
        One::Text(origin) => {
            way != Way::Base
                || origin
                    .split_once("://")
                    .is_some_and(|(_, host)| is_loopback(host))
        }
        One::Other => false,
    };
    if !is_fine || (way == Way::Base && is_embedded(request)) {
        return Err(Refusal::Origin);
    }
    // Java's own client offers HTTP/2 in this way with every request, and takes it that nobody answers.
    let upgrades = headers.get(UPGRADE).is_some_and(|to| to != "h2c");
    match upgrades {
        true => Err(Refusal::Upgrade),
        false => Ok(site),
    }
}

/// Returns true if a browser has sent it for a page of another site, which is said without `Origin` of an image, a script or a frame.
/// A link may lead to the authorize page.
fn is_embedded<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let says = |name: &'static str, value: &str| headers.get(name).is_some_and(|own| own == value);
    let is_opened = says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document");
    let is_page = matches!(
        Endpoint::of(request.uri().path()),
        Endpoint::Authorize { .. }
    );
    says("sec-fetch-site", "cross-site")
        && !headers.contains_key(ORIGIN)
        && !(is_page && is_opened && *request.method() == Method::GET)
}

enum One<'a> {
    None,
    Text(&'a str),
    /// It is there twice, or is not a text.
    Other,
}

fn of_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> One<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (None, _) => One::None,
        (Some(Ok(text)), None) => One::Text(text),
        _ => One::Other,
    }
}

/// The headers that are passed on, in their order; of a request with the `Host` of the upstream.
pub(crate) fn passed_on(headers: &HeaderMap, host: Option<&HeaderValue>) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut passed = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let of_connection = OF_CONNECTION.contains(&name.as_str())
            || named.iter().any(|named| named == name.as_str());
        if of_connection {
            continue;
        }
        let value = match host {
            Some(host) if name == HOST => host,
            _ => value,
        };
        passed.append(name.clone(), value.clone());
    }
    passed
}

pub(crate) fn whole(body: Bytes) -> Outgoing {
    Outgoing::from(body)
}

async fn exchange(
    held: Held,
    lines: Arc<Lines>,
    way: Way,
    site: usize,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Refusal> {
    let (mut parts, body) = request.into_parts();
    let shared = held.shared.clone();
    let looks = !matches!(
        Endpoint::of(parts.uri.path()),
        Endpoint::Api | Endpoint::Unknown
    );
    let to = shared.upstream.sites()[site];
    let host = HeaderValue::from_str(&to.authority()).map_err(|_| Refusal::Host)?;
    parts.headers = passed_on(&parts.headers, Some(&host));
    let (body, judged) = match looks {
        true => {
            let body = read(ReceivedBody::new(body, held.entry.connection.clone())).await?;
            let jwt_host = &shared.upstream.api;
            let is_free = way != Way::Base || shared.any_audience;
            if !is_free && !is_for(jwt_host, parts.uri.path(), &parts.headers, &body) {
                return Err(Refusal::Audience(jwt_host.authority()));
            }
            let incoming = Judged {
                base: to.url(),
                path: parts.uri.path().to_owned(),
                query: parts.uri.query().map(str::to_owned),
                method: parts.method.clone(),
                headers: parts.headers.clone(),
                body: match body.len() > MAX_BODY {
                    true => Content::TooLong,
                    false => Content::Whole(body.clone()),
                },
                call: None,
            };
            (whole(body), Some(incoming))
        }
        false => {
            shared.judge().report.others += 1;
            (streamed(body, shared.body_time), None)
        }
    };
    parts.version = Version::HTTP_11;
    parts.uri = origin_form(&parts.uri, &parts.method);
    let request = Request::from_parts(parts, body);
    // In a task of its own, since the upstream acts whether the client waits for the answer or not. The connection counts as open
    // until then: its client cannot go and come again without end.
    let asked = tokio::spawn(async move {
        let _under_way = held.entry.connection.begin();
        let mut lines = lines.lock().await;
        let times = (shared.clock.unix_ms(), shared.clock.steady());
        if let Some(judged) = &judged {
            shared.judge().begin(judged);
        }
        let sent = send(&shared, site, &mut lines[site], request).await;
        let answer = sent.inspect_err(|refusal| {
            if let Some(judged) = &judged {
                let may_have_acted = !matches!(refusal, Refusal::Unreachable(_));
                shared.judge().lost(judged, may_have_acted);
            }
        })?;
        let took = shared.clock.steady().saturating_sub(times.1);
        let (mut head, body) = answer.into_parts();
        head.headers = passed_on(&head.headers, None);
        let body = match judged {
            Some(judged) => {
                let body = Replayed::read(body, shared.answer_time).await;
                match body.whole() {
                    Some(bytes) => {
                        let answer = Answer::new(head.status, head.headers.clone(), &bytes, took);
                        shared.judge().judge(&judged, times, &answer);
                        if let Some(mut recorder) = shared.recorder() {
                            recorder.add(Exchange {
                                at_ms: times.0,
                                steady: times.1,
                                took,
                                request: judged,
                                status: head.status,
                                headers: head.headers.clone(),
                                body: bytes,
                            });
                        }
                    }
                    None => shared.judge().lost(&judged, true),
                }
                Outgoing::new(body)
            }
            None => streamed(body, shared.answer_time),
        };
        Ok(Response::from_parts(head, body))
    });
    asked
        .await
        .unwrap_or_else(|_| Err(Refusal::NoAnswer("the shadow failed".to_owned())))
}

/// Path and query, which is what a request to a server has as its target.
fn origin_form(uri: &Uri, method: &Method) -> Uri {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    match *method == Method::OPTIONS && path == "*" {
        true => Uri::from_static("*"),
        false => path.parse().unwrap_or_else(|_| uri.clone()),
    }
}

/// Reads the body of a request to an OAuth endpoint.
async fn read(body: ReceivedBody) -> Result<Bytes, Refusal> {
    let limited = http_body_util::Limited::new(body, SHADOW_BODY);
    match limited.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Refusal::BodyTooLong),
        Err(_) => Err(Refusal::Body),
    }
}

/// Returns false if the request is a JWT grant whose assertion is for another host than the upstream, which would refuse it.
fn is_for(upstream: &Site, path: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let grant = match Endpoint::of(path) {
        Endpoint::Token { .. } => serde_json::from_slice::<JsonObject<'_>>(body)
            .ok()
            .and_then(|members| grant_of(&members)),
        _ => None,
    };
    let bearer = headers.get(http::header::AUTHORIZATION);
    let bearer = bearer.and_then(|value| value.to_str().ok()?.trim().split_once(' '));
    let (Some(grant), Some((_, assertion))) = (grant, bearer) else {
        return true;
    };
    // What is not an assertion is the upstream's to refuse.
    let Ok(jwt) = Assertion::parse(assertion.trim()) else {
        return true;
    };
    name(JWT_BEARER) != Some(grant) || upstream.named_in(&jwt) != Audience::None
}

/// Sends a request by the connection that there is, or by a new one. A connection that has ended before anything was written to it
/// has taken nothing of the request, which then goes by a new one; what may have been sent is not sent again.
async fn send(
    shared: &Shared,
    site: usize,
    line: &mut Option<SendRequest<Outgoing>>,
    mut request: Request<Outgoing>,
) -> Result<Response<Incoming>, Refusal> {
    loop {
        let kept = match line.take() {
            Some(mut kept) => kept.ready().await.is_ok().then_some(kept),
            None => None,
        };
        let (mut sender, is_new) = match kept {
            Some(kept) => (kept, false),
            None => {
                let upstream = &shared.upstream;
                let made = upstream.connect(upstream.sites()[site]).await;
                (made.map_err(Refusal::Unreachable)?, true)
            }
        };
        let sent = timeout(shared.answer_time, sender.try_send_request(request)).await;
        match sent {
            Err(_) => return Err(Refusal::Late),
            Ok(Ok(answer)) => {
                *line = Some(sender);
                return Ok(answer);
            }
            Ok(Err(mut error)) => match error.take_message() {
                Some(unsent) if !is_new => request = unsent,
                _ if error.error().is_user() => return Err(Refusal::PartOfBody),
                _ => return Err(Refusal::NoAnswer(error.error().to_string())),
            },
        }
    }
}

/// A body that is passed on while it arrives.
fn streamed(body: Incoming, time: Duration) -> Outgoing {
    Outgoing::new(Replayed {
        frames: VecDeque::new(),
        then: Then::rest(body, time),
    })
}

/// A body: the parts that were read, and what follows them.
pub(crate) struct Replayed {
    frames: VecDeque<Frame<Bytes>>,
    then: Then,
}

enum Then {
    End,
    /// The rest is passed on while it arrives, with a time limit for each part.
    Rest {
        body: Incoming,
        limit: Pin<Box<Sleep>>,
        time: Duration,
    },
    /// What has arrived is passed on first: an answer that has begun is not asked for again by the program, as one without a
    /// beginning is.
    Failed {
        error: Option<BoxError>,
        is_flushed: bool,
    },
}

impl Then {
    fn rest(body: Incoming, time: Duration) -> Self {
        Self::Rest {
            body,
            limit: Box::pin(sleep(time)),
            time,
        }
    }

    fn failed(error: impl Into<BoxError>) -> Self {
        Self::Failed {
            error: Some(error.into()),
            is_flushed: false,
        }
    }
}

impl Replayed {
    /// Reads up to [`SHADOW_BODY`] bytes, and leaves the rest to be passed on while it arrives.
    async fn read(mut body: Incoming, time: Duration) -> Self {
        let mut frames = VecDeque::new();
        let mut length = 0;
        let then = loop {
            if length > SHADOW_BODY {
                break Then::rest(body, time);
            }
            match timeout(time, body.frame()).await {
                Ok(None) => break Then::End,
                Ok(Some(Ok(frame))) => {
                    length += frame.data_ref().map_or(0, Bytes::len);
                    frames.push_back(frame);
                }
                Ok(Some(Err(error))) => break Then::failed(error),
                Err(late) => break Then::failed(late),
            }
        };
        Self { frames, then }
    }

    /// All of the body; none if it did not arrive whole, or is too long to be held.
    fn whole(&self) -> Option<Bytes> {
        match (&self.then, self.frames.front(), self.frames.len()) {
            (Then::End, None, _) => Some(Bytes::new()),
            (Then::End, Some(one), 1) => Some(one.data_ref().cloned().unwrap_or_default()),
            (Then::End, ..) => {
                let parts: Vec<&[u8]> = self
                    .frames
                    .iter()
                    .filter_map(Frame::data_ref)
                    .map(|part| &part[..])
                    .collect();
                Some(parts.concat().into())
            }
            _ => None,
        }
    }
}

impl Body for Replayed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(frame) = self.frames.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let failed = match &mut self.then {
            Then::End => return Poll::Ready(None),
            Then::Failed { error, is_flushed } => {
                if *is_flushed {
                    return Poll::Ready(error.take().map(Err));
                }
                // What waits makes the server send what it has.
                *is_flushed = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Then::Rest { body, limit, time } => match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Err(error))) => Then::failed(error),
                Poll::Ready(part) => {
                    limit.as_mut().reset(Instant::now() + *time);
                    return Poll::Ready(part.map(|part| part.map_err(Into::into)));
                }
                Poll::Pending => {
                    ready!(limit.as_mut().poll(cx));
                    Then::failed("nothing arrived for too long")
                }
            },
        };
        self.then = failed;
        self.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
            && match &self.then {
                Then::End => true,
                Then::Failed { error, .. } => error.is_none(),
                Then::Rest { body, .. } => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.frames.iter().filter_map(Frame::data_ref);
        let held: u64 = held.map(|part| part.len() as u64).sum();
        match &self.then {
            Then::End => SizeHint::with_exact(held),
            Then::Rest { body, .. } if self.frames.is_empty() => body.size_hint(),
            Then::Rest { .. } | Then::Failed { .. } => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_connection_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "127.0.0.1:1"),
            ("connection", "keep-alive, X-Of-Hop"),
            ("x-of-hop", "1"),
            ("te", "trailers"),
            ("proxy-connection", "keep-alive"),
            ("x-twice", "1"),
            ("authorization", "Bearer a"),
            ("x-twice", "2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let host = HeaderValue::from_static("api.coze.cn");
        let passed = passed_on(&headers, Some(&host));
        let passed: Vec<_> = passed
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().expect("a text")))
            .collect();
        let expected = [
            ("host", "api.coze.cn"),
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("authorization", "Bearer a"),
        ];
        assert_eq!(passed, expected);
    }
}
