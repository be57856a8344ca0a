//! The one place that knows how Coze spells success and refusal in JSON (protocol §3, §4).
//!
//! An answer is judged in this order: a redirect is refused before its body is looked at; then the
//! body, because Coze puts errors under 200 too; then the status, because a gateway puts anything
//! under 500.

use std::borrow::Cow;
use std::time::Duration;

use crate::error::{Error, ErrorCode, Oddity, Origin, Refused, ServerText, Unexpected};
use crate::json::{Json, Repeated};
use crate::secret::Hidden;
use crate::time::{ClockSkew, Now, UnixTime};
use crate::wire::{Body, Outgoing, Response};

/// A success: a JSON object with no error in it, under a 2xx status.
pub(crate) struct Answer<'a> {
    members: Json<'a>,
    sent: &'a Outgoing,
    response: &'a Response,
    now: Now,
}

impl<'a> Answer<'a> {
    /// Opens the answer to a request, which arrived `now`.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] and [`Error::Unexpected`].
    pub(crate) fn open(
        sent: &'a Outgoing,
        response: &'a Response,
        now: Now,
    ) -> Result<Self, Error> {
        let mut answer = Self {
            members: Json::Null,
            sent,
            response,
            now,
        };
        if response.status().is_redirection() {
            return Err(answer.odd(Oddity::Redirect));
        }
        let body = response.body().as_bytes();
        if body.len() >= Body::READ_AT_MOST {
            return Err(answer.odd(Oddity::TooLong));
        }
        if body.trim_ascii().is_empty() {
            return Err(answer.odd(Oddity::Empty));
        }
        // The parser's own message quotes values, so it goes no further.
        answer.members = serde_json::from_slice(body).map_err(|_| answer.odd(Oddity::NotJson))?;
        if !matches!(answer.members, Json::Object(_)) {
            return Err(answer.odd(Oddity::NotJson));
        }
        answer.refusal()?;
        if !response.status().is_success() {
            return Err(answer.odd(Oddity::Unexplained));
        }
        Ok(answer)
    }

    /// Looks for an error in any of the spellings of protocol §4.1.
    fn refusal(&self) -> Result<(), Error> {
        let Some(code) = self.error_code()? else {
            return Ok(());
        };
        let message = self
            .any_text(&["error_message", "error_description", "msg"])?
            .unwrap_or_default();
        let text = self.server_text();
        let refused = Refused {
            code: ErrorCode::of_server(&code, &text),
            message: text.clean(message),
            origin: self.origin(),
        };
        Err(Error::Refused(refused))
    }

    /// The first code that is neither empty nor zero.
    fn error_code(&self) -> Result<Option<String>, Error> {
        for name in ["error_code", "error", "code"] {
            match self.find(name)? {
                Some(Json::Integer(number)) if *number != 0 => return Ok(Some(number.to_string())),
                Some(Json::Text(text)) if !matches!(&**text, "" | "0") => {
                    return Ok(Some(text.to_string()));
                }
                None | Some(Json::Integer(_) | Json::Text(_)) => {}
                // It says something that is not understood: not the moment to see a success.
                Some(_) => return Err(self.odd(Oddity::WrongType(name))),
            }
        }
        Ok(None)
    }

    /// The header's log id, else the body's.
    fn log_id(&self) -> Option<String> {
        let detail = || match self.members.member("detail").ok()??.member("logid") {
            Ok(Some(Json::Text(id))) if !id.is_empty() => Some(&**id),
            _ => None,
        };
        self.header("x-tt-logid")
            .or_else(detail)
            .map(|id| self.server_text().clean(id))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// What time it was at the server. A copy out of a cache says how old it is (RFC 9111 §5.1).
    fn date(&self) -> Option<UnixTime> {
        let made = http_date(self.header("date")?)?;
        let age = self.header("age").and_then(|age| age.trim().parse().ok());
        Some(made.plus(Duration::from_secs(age.unwrap_or_default())))
    }

    /// `Retry-After` (RFC 9110 §10.2.3). A date counts from the server's clock, else from ours, and one that
    /// has passed is no pause. A fraction is not in the RFC, but can mean one thing only.
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

    fn origin(&self) -> Box<Origin> {
        Box::new(Origin {
            of: self.sent.origin(),
            status: self.response.status().as_u16(),
            log_id: self.log_id(),
            clock_skew: self.clock_skew(),
            retry_after: self.retry_after(),
            grant: self.sent.grant,
        })
    }

    /// What the server may repeat of what it was sent, and must not be quoted with.
    fn server_text(&self) -> ServerText {
        let mut sent = Vec::new();
        if let Some(bearer) = self
            .sent
            .bearer
            .as_ref()
            .and_then(|value| value.to_str().ok())
        {
            let credential = bearer.trim_start_matches("Bearer ");
            sent.push(Hidden::new(credential));
            // An assertion in parts: all of it first, for the longest match.
            sent.extend(
                credential
                    .split('.')
                    .filter(|part| part.len() > 16)
                    .map(Hidden::new),
            );
        }
        if let Ok(body) = serde_json::from_slice::<Json<'_>>(self.sent.body.as_bytes()) {
            for name in ["code", "code_verifier", "device_code", "refresh_token"] {
                if let Ok(Some(Json::Text(text))) = body.member(name) {
                    sent.push(Hidden::new(text.as_ref()));
                }
            }
        }
        ServerText::knowing(sent)
    }

    /// The first of these members that is a text and not empty.
    fn any_text(&self, names: &[&'static str]) -> Result<Option<&str>, Error> {
        for name in names {
            match self.find(name)? {
                Some(Json::Text(text)) if !text.is_empty() => return Ok(Some(text)),
                _ => {}
            }
        }
        Ok(None)
    }

    fn find(&self, name: &'static str) -> Result<Option<&Json<'a>>, Error> {
        self.members
            .member(name)
            .map_err(|Repeated| self.odd(Oddity::Repeated(name)))
    }

    /// A member that must be a text.
    pub(crate) fn text(&self, name: &'static str) -> Result<&str, Error> {
        self.optional_text(name)?
            .ok_or_else(|| self.odd(Oddity::Missing(name)))
    }

    /// A member that is a text, or absent, null or empty.
    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<&str>, Error> {
        match self.find(name)? {
            None => Ok(None),
            Some(Json::Text(text)) if text.is_empty() => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.odd(Oddity::WrongType(name))),
        }
    }

    /// A member that must be a text or a whole number, as text: Coze's own table and sample of
    /// `user_code` differ (protocol §3.2).
    pub(crate) fn text_or_number(&self, name: &'static str) -> Result<Cow<'_, str>, Error> {
        match self.find(name)? {
            Some(Json::Integer(number)) => Ok(Cow::Owned(number.to_string())),
            _ => self.text(name).map(Cow::Borrowed),
        }
    }

    /// A member that must be a whole number.
    pub(crate) fn integer(&self, name: &'static str) -> Result<i64, Error> {
        self.optional_integer(name)?
            .ok_or_else(|| self.odd(Oddity::Missing(name)))
    }

    /// A member that is a whole number, or absent or null.
    pub(crate) fn optional_integer(&self, name: &'static str) -> Result<Option<i64>, Error> {
        match self.find(name)? {
            None => Ok(None),
            Some(Json::Integer(number)) => Ok(Some(*number)),
            Some(_) => Err(self.odd(Oddity::WrongType(name))),
        }
    }

    /// The `data` of an API answer (protocol §10).
    pub(crate) fn data(mut self) -> Result<Self, Error> {
        match self.find("data")? {
            Some(Json::Object(_)) => {}
            None => return Err(self.odd(Oddity::Missing("data"))),
            Some(_) => return Err(self.odd(Oddity::WrongType("data"))),
        }
        self.members = std::mem::replace(&mut self.members, Json::Null).take("data");
        Ok(self)
    }

    /// The error for an answer that cannot be read.
    pub(crate) fn odd(&self, oddity: Oddity) -> Error {
        let body_len = self.response.body().len();
        Error::Unexpected(Unexpected {
            origin: self.origin(),
            oddity,
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
