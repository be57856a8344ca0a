//! API calls of the user's own: a method and path, and the answer to who brings a good token.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::response::Reply;
use crate::limits::{MAX_API_BODY, MAX_API_EVENTS, MAX_FAULT_TIME, MAX_PARAMETER};

/// An API call of the user's own: a method, a path, and the answer to a request with a good access token. The token is
/// checked as at `/v1/users/me`, so a request without one gets 4100 or 4101.
///
/// A segment `{name}` of the path stands for any one segment. Of several calls that fit a request the oldest answers; one of
/// the same method and path replaces an earlier one.
///
/// ```
/// use coze_auth_mock::{Api, CozeAuthMock};
/// use serde_json::json;
///
/// let bot = Api::json("GET", "/v1/bots/{bot_id}", json!({ "code": 0, "data": { "name": "Mock" } }));
/// let mock = CozeAuthMock::builder().api(bot).build()?;
/// # let get = |token: &str| {
/// #     let request = http::Request::get("/v1/bots/7").header("Authorization", format!("Bearer {token}"));
/// #     mock.call_blocking(request.body(bytes::Bytes::new()).unwrap()).status().as_u16()
/// # };
/// assert_eq!(get("pat_mock_alice"), 200);
/// assert_eq!(get("of-somebody-else"), 401);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Api {
    pub(crate) method: Method,
    pub(crate) path: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    stream: Option<EventStream>,
}

/// What a world answers to a request at a path of the user's own.
#[derive(Clone, Debug)]
pub(crate) enum Called {
    Answer(Arc<Api>),
    /// The path is there for these methods alone, joined by commas.
    OtherMethods(String),
}

/// Where each event of a body ends, and the real time between two of them.
#[derive(Clone, Debug)]
pub(crate) struct EventStream {
    pub(crate) ends: Vec<usize>,
    pub(crate) pause: Duration,
}

/// The member that is wrong, and why.
pub(crate) type Wrong = (&'static str, String);

impl Api {
    /// Number of bytes that it holds, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let events = self.stream.as_ref().map_or(0, |stream| stream.ends.len());
        size_of::<Self>() + self.path.len() + self.body.len() + events * size_of::<usize>()
    }

    /// Answers with this JSON.
    ///
    /// # Panics
    ///
    /// If the mock cannot answer this method and path, or the JSON has more than 65,536 bytes.
    #[must_use]
    pub fn json(method: &str, path: &str, json: Value) -> Self {
        or_panic(Self::try_new(method, path).and_then(|api| api.try_json(&json)))
    }

    /// Answers with this text, as `application/json` if it is a JSON object or array, else as `text/plain`.
    ///
    /// # Panics
    ///
    /// If the mock cannot answer this method and path, or the text has more than 65,536 bytes.
    #[must_use]
    pub fn text(method: &str, path: &str, text: &str) -> Self {
        or_panic(Self::try_new(method, path).and_then(|api| api.try_text(text.to_owned())))
    }

    /// Answers with a stream of server-sent events, each with its name (empty for one without) and its data, a chunk of the
    /// answer each.
    ///
    /// ```
    /// use coze_auth_mock::Api;
    ///
    /// let chat = Api::events("POST", "/v3/chat", [
    ///     ("conversation.message.delta", r#"{"content":"Hello"}"#),
    ///     ("done", "[DONE]"),
    /// ]);
    /// # drop(chat);
    /// ```
    ///
    /// # Panics
    ///
    /// If the mock cannot answer this method and path, if the events are none or more than 1,000, if they have more than
    /// 65,536 bytes, or if a name has a line break.
    #[must_use]
    pub fn events<N: AsRef<str>, D: AsRef<str>>(
        method: &str,
        path: &str,
        events: impl IntoIterator<Item = (N, D)>,
    ) -> Self {
        let events: Vec<_> = events
            .into_iter()
            .map(|(name, data)| Event {
                id: None,
                name: Some(name.as_ref().to_owned()).filter(|name| !name.is_empty()),
                data: data.as_ref().to_owned(),
            })
            .collect();
        or_panic(Self::try_new(method, path).and_then(|api| api.try_events(&events)))
    }

    /// Sets the status of the answer, 200 unless it is set.
    ///
    /// # Panics
    ///
    /// If the status is not within 200 and 599.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        or_panic(self.try_status(status))
    }

    /// Sets a header of the answer.
    ///
    /// # Panics
    ///
    /// If HTTP does not allow this name or value, or if the header frames the body.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        or_panic(self.try_header(name, value))
    }

    /// Sets the pause between two events, in real time, at most 60 s. After 60 s the rest is sent at once.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        if let Some(stream) = &mut self.stream {
            stream.pause = pause.min(MAX_FAULT_TIME);
        }
        self
    }

    /// A call whose answer has no body yet.
    pub(crate) fn try_new(method: &str, path: &str) -> Result<Self, Wrong> {
        let upper = !method.is_empty()
            && method.len() <= 16
            && method.bytes().all(|byte| byte.is_ascii_uppercase());
        let method = Method::from_bytes(method.as_bytes()).ok();
        let method = method.filter(|_| upper).ok_or_else(|| {
            let text = "method is not one of HTTP; expected one such as GET, POST, PUT or DELETE";
            ("method", text.to_owned())
        })?;
        check_path(path).map_err(|why| ("path", why))?;
        Ok(Self {
            method,
            path: path.to_owned(),
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            stream: None,
        })
    }

    pub(crate) fn try_json(self, json: &Value) -> Result<Self, Wrong> {
        self.try_body("json", json.to_string(), "application/json; charset=utf-8")
    }

    pub(crate) fn try_text(self, text: String) -> Result<Self, Wrong> {
        let json = text.trim_start().starts_with(['{', '['])
            && serde_json::from_str::<IgnoredAny>(&text).is_ok();
        let kind = match json {
            true => "application/json; charset=utf-8",
            false => "text/plain; charset=utf-8",
        };
        self.try_body("text", text, kind)
    }

    pub(crate) fn try_events(self, events: &[Event]) -> Result<Self, Wrong> {
        if !(1..=MAX_API_EVENTS).contains(&events.len()) {
            return Err(("events", format!("events has 1 to {MAX_API_EVENTS} events")));
        }
        let (mut text, mut ends) = (String::new(), Vec::with_capacity(events.len()));
        for event in events {
            event.write(&mut text)?;
            ends.push(text.len());
        }
        let mut api = self.try_body("events", text, "text/event-stream; charset=utf-8")?;
        api.stream = Some(EventStream {
            ends,
            pause: Duration::ZERO,
        });
        Ok(api)
    }

    fn try_body(
        mut self,
        member: &'static str,
        body: String,
        kind: &'static str,
    ) -> Result<Self, Wrong> {
        if body.len() > MAX_API_BODY {
            let text = format!("{member} has more than {MAX_API_BODY} bytes");
            return Err((member, text));
        }
        self.body = body.into();
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.headers
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(self)
    }

    pub(crate) fn try_status(mut self, status: u16) -> Result<Self, Wrong> {
        let known = StatusCode::from_u16(status).ok();
        let known = known.filter(|status| (200..600).contains(&status.as_u16()));
        self.status = known.ok_or_else(|| ("status", "status is 200 to 599".to_owned()))?;
        Ok(self)
    }

    pub(crate) fn try_header(mut self, name: &str, value: &str) -> Result<Self, Wrong> {
        let header = (name.parse::<HeaderName>(), HeaderValue::from_str(value));
        let (Ok(name), Ok(value)) = header else {
            let text = "header names and values must be allowed by HTTP";
            return Err(("header", text.to_owned()));
        };
        if [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE].contains(&name) {
            let text = format!("header cannot contain {name}, which frames the answer");
            return Err(("header", text));
        }
        self.headers.insert(name, value);
        Ok(self)
    }

    pub(crate) fn try_pause(mut self, pause: Duration) -> Result<Self, Wrong> {
        let Some(stream) = &mut self.stream else {
            return Err(("pause_ms", "pause_ms is only for events".to_owned()));
        };
        if pause > MAX_FAULT_TIME {
            let text = format!("pause_ms is 0 to {}", MAX_FAULT_TIME.as_millis());
            return Err(("pause_ms", text));
        }
        stream.pause = pause;
        Ok(self)
    }

    /// Number of bytes that the answer takes.
    pub(crate) fn size(&self) -> usize {
        self.body.len()
    }

    /// `json`, `text` or `events`, for a list.
    pub(crate) fn answers(&self) -> &'static str {
        let kind = self.headers.get(CONTENT_TYPE);
        let json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        match (&self.stream, json) {
            (Some(_), _) => "events",
            (None, true) => "json",
            (None, false) => "text",
        }
    }

    pub(crate) const fn status_code(&self) -> StatusCode {
        self.status
    }

    /// Returns true if both answer the same requests.
    pub(crate) fn same_call(&self, other: &Self) -> bool {
        self.method == other.method && self.path == other.path
    }

    /// Returns true if the path of a request is one of this call's.
    pub(crate) fn fits(&self, path: &str) -> bool {
        if !self.path.contains('{') {
            return self.path == path;
        }
        let (mut own, mut asked) = (self.path.split('/'), path.split('/'));
        loop {
            match (own.next(), asked.next()) {
                (None, None) => return true,
                (Some(own), Some(part))
                    if own == part || own.starts_with('{') && !part.is_empty() => {}
                _ => return false,
            }
        }
    }

    pub(crate) fn reply(&self) -> Reply {
        let mut reply = Response::new(self.body.clone());
        *reply.status_mut() = self.status;
        *reply.headers_mut() = self.headers.clone();
        if let Some(stream) = &self.stream {
            reply.extensions_mut().insert(stream.clone());
        }
        reply
    }
}

/// A server-sent event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) data: String,
}

impl Event {
    /// Writes it in the form of the HTML standard §9.2.6.
    fn write(&self, text: &mut String) -> Result<(), Wrong> {
        for (field, value) in [("id", &self.id), ("event", &self.name)] {
            let Some(value) = value else { continue };
            if value.contains(['\r', '\n', '\0']) {
                let text = "the id and the name of an event are one line each";
                return Err(("events", text.to_owned()));
            }
            let _ = writeln!(text, "{field}: {value}");
        }
        for line in self
            .data
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .split('\n')
        {
            let _ = writeln!(text, "data: {line}");
        }
        text.push('\n');
        Ok(())
    }
}

/// Paths that the mock answers itself, whatever a call of the user's own says.
const RESERVED: [&str; 4] = ["/_mock", "/oauth/", "/t/", "/api/permission/oauth2/"];

fn check_path(path: &str) -> Result<(), String> {
    let shape = "expected one such as /v1/bots/{bot_id}";
    if let Some(reserved) = RESERVED.iter().find(|start| path.starts_with(**start)) {
        return Err(format!(
            "path begins with {reserved}, where the mock answers itself; {shape}"
        ));
    }
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '<' | '>' | '\\');
    let segment = |segment: &str| match segment.strip_prefix('{') {
        None => !segment.contains(['{', '}']),
        Some(rest) => rest
            .strip_suffix('}')
            .is_some_and(|name| !name.is_empty() && !name.contains(['{', '}'])),
    };
    let good = path.starts_with('/')
        && path.len() <= MAX_PARAMETER
        && path.chars().all(plain)
        && path.split('/').all(segment);
    match good {
        true => Ok(()),
        false => Err(format!(
            "path is not one of at most {MAX_PARAMETER} visible ASCII characters without query, with / at its start; {shape}"
        )),
    }
}

fn or_panic(made: Result<Api, Wrong>) -> Api {
    made.unwrap_or_else(|(_, why)| panic!("{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_stands_for_one_segment() {
        let api = Api::text("GET", "/v1/bots/{bot_id}/x", "");
        for (path, fits) in [
            ("/v1/bots/7/x", true),
            ("/v1/bots/7%2F8/x", true),
            ("/v1/bots//x", false),
            ("/v1/bots/7/8/x", false),
            ("/v1/bots/7", false),
            ("/v1/bots/7/x/", false),
        ] {
            assert_eq!(api.fits(path), fits, "{path}");
        }
    }

    #[test]
    fn events_are_written_as_the_standard_has_them() {
        let event = Event {
            id: Some("1".to_owned()),
            name: Some("delta".to_owned()),
            data: "a\r\nb\nc".to_owned(),
        };
        let mut text = String::new();
        event.write(&mut text).expect("an event");
        assert_eq!(text, "id: 1\nevent: delta\ndata: a\ndata: b\ndata: c\n\n");
        let broken = Event {
            name: Some("a\nb".to_owned()),
            ..event
        };
        assert!(broken.write(&mut text).is_err());
    }

    #[test]
    fn paths_that_the_mock_answers_itself_are_refused() {
        for path in [
            "/_mock/v1/x",
            "/oauth/consent",
            "/t/w/v1/x",
            "/api/permission/oauth2/token",
        ] {
            let (member, why) = Api::try_new("GET", path).expect_err(path);
            assert!(member == "path" && why.contains("answers itself"), "{why}");
        }
        for path in ["", "v1/x", "/v1/x?a=1", "/a b", "/{}", "/a{b}", "/é"] {
            let (member, why) = Api::try_new("GET", path).expect_err(path);
            assert!(member == "path" && why.contains("path is not one"), "{why}");
        }
        for method in ["", "get", "GET /", "ABCDEFGHIJKLMNOPQ"] {
            assert_eq!(Api::try_new(method, "/x").expect_err(method).0, "method");
        }
    }
}
