//! The one place that knows how Coze spells success and refusal in JSON (protocol §3, §4).
//!
//! An answer is judged in this order: a redirect is refused before its body is looked at; then the
//! body, because Coze puts errors under 200 too; then the status, because a gateway puts anything
//! under 500.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::coding;
use crate::error::{
    Error, ErrorCode, Oddity, Origin, Refused, ServerText, TransportFailure, Unexpected,
};
use crate::json::{self, Json, Object, Repeated, Text};
use crate::secret::Hidden;
use crate::time::{ClockSkew, Now, UnixTime};
use crate::wire::{Body, Outgoing, Response};

/// A success: a JSON object with no error in it, under a 2xx status.
pub(crate) struct Answer<'a> {
    members: Object<'a>,
    sent: &'a Outgoing,
    response: &'a Response,
    now: Now,
}

impl<'a> Answer<'a> {
    /// What comes of a request: [`read`](Self::read), unless the transport failed.
    pub(crate) fn of<T>(
        sent: &Outgoing,
        reply: Result<Response, TransportFailure>,
        now: Now,
        then: impl FnOnce(Answer<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match reply {
            Ok(response) => Self::read(sent, &response, now, then),
            Err(failure) => Err(sent.failed(failure)),
        }
    }

    /// Reads the answer to a request, which arrived `now`.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] and [`Error::Unexpected`], and those of `then`, which is given a success.
    pub(crate) fn read<T>(
        sent: &Outgoing,
        response: &Response,
        now: Now,
        then: impl FnOnce(Answer<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let blank = Answer {
            members: Object::default(),
            sent,
            response,
            now,
        };
        if response.status().is_redirection() {
            return Err(blank.odd(Oddity::Redirect));
        }
        let body = response.body().as_bytes();
        if body.len() >= Body::READ_AT_MOST {
            return Err(blank.odd(Oddity::TooLong));
        }
        if json::stripped(body).is_empty() {
            return Err(blank.unreadable(Oddity::Empty));
        }
        let decoded =
            coding::decoded(blank.coding(), body).map_err(|oddity| blank.unreadable(oddity))?;
        let body = decoded.as_ref().map_or(body, Body::as_bytes);
        Object::read(body, |object| {
            // The parser's own message quotes values, so it goes no further.
            let members = object.ok_or_else(|| blank.unreadable(Oddity::NotJson))?;
            let is_damaged = members.is_damaged;
            if is_damaged && blank.is_cut_off() {
                return Err(sent.failed(TransportFailure::NoAnswer));
            }
            let answer = Answer { members, ..blank };
            if !(is_damaged && response.status().is_success()) {
                answer.refusal()?;
            }
            if is_damaged {
                return Err(answer.odd(Oddity::NotJson));
            }
            if !response.status().is_success() {
                return Err(answer.odd(Oddity::Unexplained));
            }
            then(answer)
        })
    }

    /// The error for a body that is not a JSON object: where less of it arrived than was promised, it is the network's.
    fn unreadable(&self, oddity: Oddity) -> Error {
        match self.is_cut_off() {
            true => self.sent.failed(TransportFailure::NoAnswer),
            false => self.odd(oddity),
        }
    }

    /// Whether the body is shorter than its length in the headers (RFC 9112 §8), which not every HTTP client tells. A body that
    /// the client has unpacked may be shorter, too, so what can be read is not judged by it.
    fn is_cut_off(&self) -> bool {
        let promised = self.header("content-length").map(str::parse);
        let arrived = self.response.body().len();
        matches!(promised, Some(Ok(promised)) if arrived < promised)
    }

    /// Looks for an error in any of the spellings of protocol §4.1.
    fn refusal(&self) -> Result<(), Error> {
        let Some(code) = self.error_code()? else {
            return Ok(());
        };
        // A message that cannot be shown does not hide the code.
        let names = ["error_message", "error_description", "msg"];
        let message = names.iter().find_map(|name| self.shown(name));
        let text = self.server_text();
        let refused = Refused {
            code: ErrorCode::of_server(code.words().unwrap_or_default(), &text),
            message: message.map_or_else(String::new, |words| text.clean(&words)),
            origin: self.origin(&text),
        };
        Err(Error::Refused(refused))
    }

    /// The first code that can be read and is neither empty nor zero.
    fn error_code(&self) -> Result<Option<Json<'a>>, Error> {
        let mut oddity = None;
        for name in ["error_code", "error", "code"] {
            let value = match self.members.member(name) {
                Ok(None | Some(Json::False)) => continue,
                Ok(Some(value)) => value,
                Err(Repeated) => {
                    oddity.get_or_insert(Oddity::Repeated(name));
                    continue;
                }
            };
            match &value {
                _ if value.words().and_then(json::integer) == Some(0) => {}
                Json::Text(text) if text.trim().is_empty() => {}
                Json::Text(_) => return Ok(Some(value)),
                // A number may have been cut, too, and say another then; a text ends with its quote.
                _ if self.members.is_damaged => {}
                Json::Number(raw) if json::integer(raw).is_some() => return Ok(Some(value)),
                _ => {
                    oddity.get_or_insert(Oddity::WrongType(name));
                }
            }
        }
        // It says something that is not understood: not the moment to see a success.
        oddity.map_or(Ok(None), |oddity| Err(self.odd(oddity)))
    }

    /// A text that is there to be shown; none if it is empty, or something else.
    fn shown(&self, name: &str) -> Option<Text<'a>> {
        match self.members.member(name) {
            Ok(Some(Json::Text(text))) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The header's log id, else the body's.
    fn log_id(&self, text: &ServerText) -> Option<String> {
        if let Some(id) = self.header("x-tt-logid") {
            return Some(text.clean(id));
        }
        let Ok(Some(Json::Object(detail))) = self.members.member("detail") else {
            return None;
        };
        match Object::of(detail).member("logid") {
            Ok(Some(Json::Text(id))) if !id.is_empty() => Some(text.clean(&id)),
            _ => None,
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    fn coding(&self) -> Option<&str> {
        self.header("content-encoding")
    }

    /// What time it was at the server. A copy out of a cache says how old it is (RFC 9111 §5.1).
    fn date(&self) -> Option<UnixTime> {
        let made = http_date(self.header("date")?)?;
        let age = self.header("age").and_then(|age| age.trim().parse().ok());
        Some(made.plus(Duration::from_secs(age.unwrap_or_default())))
    }

    /// `Retry-After` (RFC 9110 §10.2.3). A date counts from the server's clock, else from ours, and one that
    /// has passed is not a pause. A fraction is not in the RFC, but can mean one thing only.
    fn retry_after(&self) -> Option<Duration> {
        let value = self.header("retry-after")?.trim();
        if let Some(until) = http_date(value) {
            return Some(self.date().unwrap_or(self.now.unix).until(until));
        }
        let is_number = value
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let seconds: f64 = value.parse().ok().filter(|_| is_number)?;
        Some(Duration::from_secs(seconds.ceil() as u64))
    }

    /// How far our clock is from the server's.
    pub(crate) fn clock_skew(&self) -> Option<ClockSkew> {
        ClockSkew::between(self.now.unix, self.date()?)
    }

    fn origin(&self, text: &ServerText) -> Box<Origin> {
        Box::new(Origin {
            of: self.sent.origin(),
            status: self.response.status().as_u16(),
            log_id: self.log_id(text),
            is_dated: self.date().is_some(),
            clock_skew: self.clock_skew(),
            retry_after: self.retry_after(),
            grant: self.sent.grant,
            is_of_integration: self.sent.is_of_integration,
        })
    }

    /// What the server may repeat of what it was sent, and must not be quoted with.
    fn server_text(&self) -> ServerText {
        let bearer = self.sent.bearer.as_ref();
        let bearer = bearer.and_then(|value| value.to_str().ok());
        let bearer = bearer.map(|bearer| bearer.trim_start_matches("Bearer "));
        let known = self.sent.known.iter().map(Hidden::expose);
        let mut sent: Vec<_> = bearer
            .into_iter()
            .chain(known)
            .map(|secret| Zeroizing::new(secret.to_owned()))
            .collect();
        Object::read(self.sent.body.as_bytes(), |body| {
            let body = body.unwrap_or_default();
            for name in ["code", "code_verifier", "device_code", "refresh_token"] {
                if let Ok(Some(Json::Text(text))) = body.member(name) {
                    sent.push(Zeroizing::new((*text).to_owned()));
                }
            }
        });
        ServerText::knowing(sent)
    }

    /// A member that must be understood; none if it is absent, null or empty.
    fn find(&self, name: &'static str) -> Result<Option<Json<'a>>, Error> {
        match self.members.member(name) {
            Err(Repeated) => Err(self.odd(Oddity::Repeated(name))),
            Ok(Some(Json::Text(text))) if text.is_empty() => Ok(None),
            Ok(Some(Json::Text(text))) if !text.is_whole() => Err(self.bad(name)),
            Ok(value) => Ok(value),
        }
    }

    /// A member that must be a text.
    pub(crate) fn text(&self, name: &'static str) -> Result<Text<'a>, Error> {
        self.optional_text(name)?
            .ok_or_else(|| self.odd(Oddity::Missing(name)))
    }

    /// A member that is a text, or absent, null or empty.
    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<Text<'a>>, Error> {
        match self.find(name)? {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.odd(Oddity::WrongType(name))),
        }
    }

    /// A member that must be a text, and may be empty.
    pub(crate) fn text_or_nothing(&self, name: &'static str) -> Result<Text<'a>, Error> {
        match self.members.member(name) {
            Err(Repeated) => Err(self.odd(Oddity::Repeated(name))),
            Ok(None) => Err(self.odd(Oddity::Missing(name))),
            Ok(Some(Json::Text(text))) if text.is_whole() => Ok(text),
            Ok(Some(Json::Text(_))) => Err(self.bad(name)),
            Ok(Some(_)) => Err(self.odd(Oddity::WrongType(name))),
        }
    }

    /// A member that must be a list of objects.
    pub(crate) fn list(&self, name: &'static str) -> Result<Vec<Self>, Error> {
        let wrong = || self.odd(Oddity::WrongType(name));
        let list = self.find(name)?;
        let list = list.ok_or_else(|| self.odd(Oddity::Missing(name)))?;
        let elements = list.elements().ok_or_else(wrong)?;
        let object = |element| match element {
            Json::Object(raw) => Ok(Self {
                members: Object::of(raw),
                ..*self
            }),
            _ => Err(wrong()),
        };
        elements.into_iter().map(object).collect()
    }

    /// A member that must be a text or a whole number, as text: Coze's own table and sample of
    /// `user_code` differ (protocol §3.2).
    pub(crate) fn text_or_number(&self, name: &'static str) -> Result<String, Error> {
        match self.find(name)? {
            // Longer ones than our integers are ids, too.
            Some(Json::Number(raw)) if raw.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(raw.to_owned())
            }
            Some(Json::Number(raw)) => match json::integer(raw) {
                Some(number) => Ok(number.to_string()),
                None => Err(self.bad(name)),
            },
            _ => self.text(name).map(|text| text.to_owned()),
        }
    }

    /// A member that must be a number, or a text that is one.
    pub(crate) fn number(&self, name: &'static str) -> Result<f64, Error> {
        self.optional_number(name)?
            .ok_or_else(|| self.odd(Oddity::Missing(name)))
    }

    /// A member that is a number or a text that is one, or absent, null or empty.
    pub(crate) fn optional_number(&self, name: &'static str) -> Result<Option<f64>, Error> {
        let Some(value) = self.find(name)? else {
            return Ok(None);
        };
        match (value.number(), value.words()) {
            (Some(number), _) => Ok(Some(number)),
            (None, Some(_)) => Err(self.bad(name)),
            (None, None) => Err(self.odd(Oddity::WrongType(name))),
        }
    }

    /// A text of people's, to be shown: whatever is in its place does not make the answer a failure.
    pub(crate) fn name(&self, name: &str) -> String {
        let value = self.members.member(name).ok().flatten();
        value
            .and_then(|value| value.words().map(str::to_owned))
            .unwrap_or_default()
    }

    /// The `data` of an API answer (protocol §10).
    pub(crate) fn data(self) -> Result<Self, Error> {
        let members = match self.find("data")? {
            Some(Json::Object(raw)) => Object::of(raw),
            None => return Err(self.odd(Oddity::Missing("data"))),
            Some(_) => return Err(self.odd(Oddity::WrongType("data"))),
        };
        Ok(Self { members, ..self })
    }

    /// The error for an answer that cannot be read.
    pub(crate) fn odd(&self, oddity: Oddity) -> Error {
        let body_len = self.response.body().len();
        let text = self.server_text();
        Error::Unexpected(Unexpected {
            origin: self.origin(&text),
            oddity,
            coding: self.coding().map(|coding| text.clean(coding)),
            body_len,
        })
    }

    /// The error for a member whose value cannot be meant.
    pub(crate) fn bad(&self, member: &'static str) -> Error {
        self.odd(Oddity::BadValue(member))
    }
}

/// Any of the three forms of RFC 9110 §5.6.7.
fn http_date(value: &str) -> Option<UnixTime> {
    httpdate::parse_http_date(value).ok().map(UnixTime::from)
}
