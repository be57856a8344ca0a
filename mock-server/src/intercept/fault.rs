//! A fault, as a test makes it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::fault_kind::Kind;
use super::phase::At;
use crate::limits::MAX_FAULT_TIME;

/// Not HTTP, and not the start of anything else.
const GARBAGE: &[u8] = b"\x00\xff\xfe no HTTP \x01\r\n\x00";

/// What goes wrong with a request or its answer, and how often. What replaces the answer acts at
/// the request, so that the mock has not acted; what spoils it acts at the answer, when it has;
/// [`at`](Self::at) says otherwise. The README has the table.
///
/// Those that act on the socket (`reset`, `close_before_body`, `truncate`, `garbage`,
/// `slow_drip`) need one of the mock's own: in [`CozeAuthMock::call`](crate::CozeAuthMock::call)
/// and in another server's router the answer is a 501 that names the fault.
#[derive(Clone, Debug)]
#[must_use = "a fault does nothing until a world is given it"]
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

    /// Another status than Coze's, as a gateway on the way would answer.
    ///
    /// # Panics
    ///
    /// If it is not within 200 and 599.
    pub fn status(status: u16) -> Self {
        or_panic(Self::try_status(status))
    }

    pub(crate) fn try_status(status: u16) -> Result<Self, String> {
        Ok(Self::new(Kind::Status(sendable(status)?)))
    }

    /// The answer comes later, by real time; at most 60 s.
    pub fn delay(by: Duration) -> Self {
        Self::new(Kind::Delay(by.min(MAX_FAULT_TIME)))
    }

    /// The answer does not come until the fault is removed, or the client goes away.
    pub fn hold() -> Self {
        Self::new(Kind::Hold)
    }

    /// The connection is reset (RST) in place of an answer.
    pub fn reset() -> Self {
        Self::new(Kind::Reset)
    }

    /// The head says how long the body is, and the connection ends (FIN) behind it.
    pub fn close_before_body() -> Self {
        Self::new(Kind::CloseBeforeBody)
    }

    /// The connection ends (FIN) in the middle of the body.
    pub fn truncate() -> Self {
        Self::new(Kind::Truncate(None))
    }

    /// As [`truncate`](Self::truncate), after so many bytes of the body, but never after the last.
    pub fn truncate_at(byte: usize) -> Self {
        Self::new(Kind::Truncate(Some(byte)))
    }

    /// Bytes that are no HTTP, then the end of the connection (FIN).
    pub fn garbage() -> Self {
        Self::new(Kind::Garbage).body(GARBAGE)
    }

    /// One byte of the answer, this long a pause, one byte; after 60 s the rest at once. The
    /// connection ends with the answer.
    pub fn slow_drip(pause: Duration) -> Self {
        Self::new(Kind::SlowDrip(
            pause.clamp(Duration::from_millis(1), MAX_FAULT_TIME),
        ))
    }

    /// A redirect that Coze would not send.
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

    /// The answer as `text/html`, unless [`header`](Self::header) says another type.
    pub fn wrong_content_type() -> Self {
        Self::new(Kind::WrongContentType)
    }

    /// 200 and nothing else.
    pub fn empty_200() -> Self {
        Self::new(Kind::Empty200)
    }

    /// The answer with its `Content-Type` twice, or with a second value for the headers that
    /// [`header`](Self::header) names.
    pub fn dup_header() -> Self {
        Self::new(Kind::DupHeader)
    }

    /// The body in place of the fault's own, or of the answer's that it spoils.
    ///
    /// # Panics
    ///
    /// If this kind of fault takes none.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        or_panic(self.try_body(body.into()))
    }

    pub(crate) fn try_body(mut self, body: Bytes) -> Result<Self, String> {
        self.takes("body")?;
        self.body = Some(body);
        Ok(self)
    }

    /// A header of the answer.
    ///
    /// # Panics
    ///
    /// If this kind of fault takes none, if it is none, or one that frames the body.
    pub fn header(self, name: &str, value: &str) -> Self {
        or_panic(self.try_header(name, value))
    }

    pub(crate) fn try_header(mut self, name: &str, value: &str) -> Result<Self, String> {
        self.takes("header")?;
        let header = (name.parse::<HeaderName>(), HeaderValue::from_str(value));
        let (Ok(name), Ok(value)) = header else {
            return Err("header has names and values that HTTP allows".to_owned());
        };
        // The server frames the answer, and would contradict itself.
        if [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE].contains(&name) {
            return Err(format!(
                "header cannot have {name}, which frames the answer"
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

    /// When it acts: before the mock has, or when it has.
    pub fn at(mut self, at: At) -> Self {
        self.at = at;
        self
    }

    /// Acts on so many requests and no more.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Lets so many requests by before it acts on one.
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Acts on this part of the requests, 0 to 1. On which is a function of the world's seed, so
    /// the same run repeats exactly.
    ///
    /// # Panics
    ///
    /// If it is not within 0 and 1.
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

    /// It makes a request wait, and lets it go on.
    pub(crate) const fn waits(&self) -> bool {
        matches!(self.kind, Kind::Delay(_) | Kind::Hold)
    }
}

/// A status that ends an exchange.
pub(super) fn sendable(status: u16) -> Result<StatusCode, String> {
    let known = StatusCode::from_u16(status).ok();
    let known = known.filter(|status| (200..600).contains(&status.as_u16()));
    known.ok_or_else(|| "status is 200 to 599".to_owned())
}

fn or_panic<T>(made: Result<T, String>) -> T {
    made.unwrap_or_else(|problem| panic!("{problem}"))
}
