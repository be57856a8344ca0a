//! The public type of a fault, and its constructors.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, LOCATION, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::fault_kind::{CallbackFault, Kind};
use super::member::{Member, MemberChange};
use super::phase::At;
use crate::limits::MAX_FAULT_TIME;
use crate::protocol::response::Reply;

/// Bytes that are not HTTP, nor the start of another protocol.
const GARBAGE: &[u8] = b"\x00\xff\xfe not HTTP \x01\r\n\x00";

/// A fault of a request or its answer, and how often it acts. A fault that replaces the answer acts at the request,
/// before the mock has acted. A fault that changes the answer acts at the answer, after the mock has acted.
/// [`at`](Self::at) overrides this. The README has a table of all kinds.
///
/// The faults that act on the socket (`reset`, `close_before_body`, `truncate`, `garbage`, `slow_drip`) need a socket of
/// the mock. In [`CozeAuthMock::call`](crate::CozeAuthMock::call) and in the router of another server the answer is a 501
/// that names the fault.
///
/// ```
/// use coze_auth_mock::{CozeAuthMock, Fault, On};
///
/// let mock = CozeAuthMock::builder().build()?;
/// # let get = |mock: &CozeAuthMock, token: &str| {
/// #     let request = http::Request::get("/v1/users/me").header("Authorization", format!("Bearer {token}"));
/// #     mock.call_blocking(request.body(bytes::Bytes::new()).unwrap()).status().as_u16()
/// # };
/// let fault = mock.fault(On::endpoint("users_me"), Fault::status(503).times(1));
/// assert_eq!(get(&mock, "pat_mock_alice"), 503);
/// assert_eq!(get(&mock, "pat_mock_alice"), 200);
/// assert_eq!(fault.fired(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a fault does nothing until it is passed to `MockWorld::fault` or to a script"]
pub struct Fault {
    pub(crate) kind: Kind,
    pub(crate) at: At,
    pub(crate) body: Option<Bytes>,
    pub(crate) headers: HeaderMap,
    pub(crate) times: u64,
    pub(crate) skip: u64,
    pub(crate) probability: f64,
}

impl Fault {
    /// Number of bytes that it holds, roughly.
    pub(super) fn bytes(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + 64);
        let member = match &self.kind {
            Kind::Member(member) => member.bytes(),
            _ => 0,
        };
        let body = self.body.as_ref().map_or(0, Bytes::len);
        size_of::<Self>() + headers.sum::<usize>() + body + member
    }

    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            at: kind.row().at,
            kind,
            body: None,
            headers: HeaderMap::new(),
            times: u64::MAX,
            skip: 0,
            probability: 1.0,
        }
    }

    /// Answers with this status, as a gateway in front of Coze would.
    ///
    /// # Panics
    ///
    /// If the status is not within 200 and 599.
    pub fn status(status: u16) -> Self {
        or_panic(Self::try_status(status))
    }

    pub(crate) fn try_status(status: u16) -> Result<Self, String> {
        Ok(Self::new(Kind::Status(sendable(status)?)))
    }

    /// Delays the answer by real time, at most 60 s.
    pub fn delay(by: Duration) -> Self {
        Self::new(Kind::Delay(by.min(MAX_FAULT_TIME)))
    }

    /// Holds the answer until the fault is removed or the client disconnects.
    pub fn hold() -> Self {
        Self::new(Kind::Hold)
    }

    /// Resets the connection (RST) instead of an answer.
    pub fn reset() -> Self {
        Self::new(Kind::Reset)
    }

    /// Sends the head with its `Content-Length`, then closes the connection (FIN).
    pub fn close_before_body() -> Self {
        Self::new(Kind::CloseBeforeBody)
    }

    /// Closes the connection (FIN) in the middle of the body.
    pub fn truncate() -> Self {
        Self::new(Kind::Truncate(None))
    }

    /// Closes the connection (FIN) after this many bytes of the body, but always before its last byte.
    pub fn truncate_at(byte: usize) -> Self {
        Self::new(Kind::Truncate(Some(byte)))
    }

    /// Sends bytes that are not HTTP, then closes the connection (FIN).
    pub fn garbage() -> Self {
        Self::new(Kind::Garbage).body(GARBAGE)
    }

    /// Sends the answer byte by byte with this pause between the bytes; after 60 s it sends the rest at once. The connection
    /// ends with the answer.
    pub fn slow_drip(pause: Duration) -> Self {
        Self::new(Kind::SlowDrip(
            pause.clamp(Duration::from_millis(1), MAX_FAULT_TIME),
        ))
    }

    /// Answers with a redirect, which Coze does not send.
    ///
    /// # Panics
    ///
    /// If the status is not within 300 and 399, or the location does not fit in a header.
    pub fn redirect(status: u16, location: &str) -> Self {
        or_panic(Self::try_redirect(status, location))
    }

    pub(crate) fn try_redirect(status: u16, location: &str) -> Result<Self, String> {
        let known = StatusCode::from_u16(status).ok();
        let known = known.filter(StatusCode::is_redirection);
        let status = known.ok_or("status of a redirect is 300 to 399")?;
        let location = HeaderValue::from_str(location);
        let location = location.map_err(|_| "location does not fit in a header")?;
        Ok(Self::new(Kind::Redirect(status, location)))
    }

    /// Sends the answer as `text/html`, or with the `Content-Type` that [`header`](Self::header) sets.
    pub fn wrong_content_type() -> Self {
        Self::new(Kind::WrongContentType)
    }

    /// Answers 200 without `Content-Type` and body.
    pub fn empty_200() -> Self {
        Self::new(Kind::Empty200)
    }

    /// Sends the answer with its `Content-Type` twice, or with a second value for each header that [`header`](Self::header)
    /// sets.
    pub fn dup_header() -> Self {
        Self::new(Kind::DupHeader)
    }

    /// Changes one member of a good answer: a name such as `expires_in`, or names with stops between them, such as
    /// `data.user_id`. It does not act on a refusal, nor on an answer without this member.
    ///
    /// # Panics
    ///
    /// If the name is empty or has more than 2,048 bytes.
    pub fn member(member: &str, change: MemberChange) -> Self {
        or_panic(Self::try_member(member, change))
    }

    pub(crate) fn try_member(member: &str, change: MemberChange) -> Result<Self, String> {
        Ok(Self::new(Kind::Member(Box::new(Member::new(
            member, change,
        )?))))
    }

    /// Serves the consent page with `form-action 'self'` in its policy. A browser then stops the redirect to the app after the
    /// decision: the code was issued, and nobody gets it. It acts on authorize requests that lead to the consent page.
    pub fn consent_policy() -> Self {
        Self::new(Kind::Callback(CallbackFault::Policy))
    }

    /// Redirects to the app with 307 instead of 302, so that a browser sends the form of the consent page to the app (RFC 9700
    /// §4.12). It acts on authorize requests.
    pub fn callback_307() -> Self {
        Self::new(Kind::Callback(CallbackFault::Status307))
    }

    /// Makes a browser request the callback twice, as a prefetch or a second click does: the answer is a page that loads it as a
    /// picture, and then goes there. It acts on authorize requests.
    pub fn callback_twice() -> Self {
        Self::new(Kind::Callback(CallbackFault::Twice))
    }

    /// Sets the body, instead of the fault's own or that of the answer.
    ///
    /// # Panics
    ///
    /// If this kind of fault does not take a body.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        or_panic(self.try_body(body.into()))
    }

    pub(crate) fn try_body(mut self, body: Bytes) -> Result<Self, String> {
        self.takes("body")?;
        self.body = Some(body);
        Ok(self)
    }

    /// Sets a header of the answer.
    ///
    /// # Panics
    ///
    /// If this kind of fault does not take headers, if HTTP does not allow this name or value, or if the header frames the
    /// body.
    pub fn header(self, name: &str, value: &str) -> Self {
        or_panic(self.try_header(name, value))
    }

    pub(crate) fn try_header(mut self, name: &str, value: &str) -> Result<Self, String> {
        self.takes("header")?;
        let header = (name.parse::<HeaderName>(), HeaderValue::from_str(value));
        let (Ok(name), Ok(value)) = header else {
            return Err("header names and values must be allowed by HTTP".to_owned());
        };
        // The server frames the answer itself, and a second header would contradict it.
        if [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE].contains(&name) {
            return Err(format!(
                "header cannot contain {name}, which frames the answer"
            ));
        }
        self.headers.append(name, value);
        Ok(self)
    }

    pub(crate) fn takes(&self, what: &str) -> Result<(), String> {
        let row = self.kind.row();
        if row.takes.contains(&what) {
            return Ok(());
        }
        let all = match row.takes {
            [] => "nothing".to_owned(),
            some => some.join(", "),
        };
        Err(format!("the fault {} takes {all}", row.name))
    }

    /// Sets when the fault acts: before the mock has acted, or after it has.
    pub fn at(mut self, at: At) -> Self {
        self.at = at;
        self
    }

    /// Sets the maximum number of requests on which the fault acts; by default it acts on all.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Sets the number of requests that pass before the fault acts.
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Sets the share of the requests on which the fault acts, 0 to 1. The choice is a function of the world's seed, so the
    /// same run repeats exactly.
    ///
    /// # Panics
    ///
    /// If the probability is not within 0 and 1.
    pub fn probability(self, probability: f64) -> Self {
        or_panic(self.try_probability(probability))
    }

    pub(crate) fn try_probability(mut self, probability: f64) -> Result<Self, String> {
        if !(0.0..=1.0).contains(&probability) {
            return Err("probability is 0 to 1".to_owned());
        }
        self.probability = probability;
        Ok(self)
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.kind.row().name
    }

    /// Returns true if there is something in the answer that the fault can change. Most kinds change any.
    pub(crate) fn fits(&self, reply: &Reply) -> bool {
        match &self.kind {
            Kind::Member(member) => member.changed(reply).is_some(),
            Kind::Callback(how) => {
                let to = reply
                    .headers()
                    .get(LOCATION)
                    .and_then(|to| to.to_str().ok());
                let to = to.filter(|_| reply.status() == StatusCode::FOUND);
                let policy = *how == CallbackFault::Policy;
                to.is_some_and(|to| !policy || consent_key(to).is_some())
            }
            _ => true,
        }
    }

    pub(crate) const fn callback(&self) -> Option<CallbackFault> {
        match self.kind {
            Kind::Callback(how) => Some(how),
            _ => None,
        }
    }

    /// The change of a member, for explanations.
    pub(crate) fn change(&self) -> Option<String> {
        match &self.kind {
            Kind::Member(member) => Some(member.describe()),
            _ => None,
        }
    }

    /// Returns true if the fault delays a request and then lets it pass.
    pub(crate) const fn waits(&self) -> bool {
        matches!(self.kind, Kind::Delay(_) | Kind::Hold)
    }
}

/// The key of the consent page to which an authorize request is redirected.
pub(crate) fn consent_key(location: &str) -> Option<&str> {
    let (_, key) = location.split_once("/oauth/consent?authorize_key=")?;
    Some(key)
}

/// Returns the status if an answer can have it: 200 to 599.
pub(super) fn sendable(status: u16) -> Result<StatusCode, String> {
    let known = StatusCode::from_u16(status).ok();
    let known = known.filter(|status| (200..600).contains(&status.as_u16()));
    known.ok_or_else(|| "status is 200 to 599".to_owned())
}

fn or_panic<T>(made: Result<T, String>) -> T {
    made.unwrap_or_else(|problem| panic!("{problem}"))
}
