//! An answer of the upstream, as the judge reads it.

use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE};
use http::{HeaderMap, StatusCode};
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::{Map, Value};

use crate::limits::SHADOW_BODY;

/// An answer of the upstream.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The members, if the body is a JSON object.
    pub(crate) members: Option<Map<String, Value>>,
    /// The code of a refusal (protocol §4.1, 3), whatever the status.
    pub(crate) code: Option<String>,
    /// How long the upstream took for it.
    pub(crate) took: Duration,
}

impl Answer {
    pub(crate) fn new(
        status: StatusCode,
        headers: HeaderMap,
        body: &Bytes,
        took: Duration,
    ) -> Self {
        let members = unpacked(&headers, body)
            .and_then(|body| serde_json::from_slice::<Map<String, Value>>(&body).ok());
        let code = members.as_ref().and_then(code);
        Self {
            status,
            headers,
            members,
            code,
            took,
        }
    }

    /// Returns true if the request was granted.
    pub(crate) fn is_success(&self) -> bool {
        self.code.is_none() && (self.status.is_success() || self.status.is_redirection())
    }

    /// Returns true for trouble that passes (protocol §4.1), which tells nothing of a rule.
    pub(crate) fn is_trouble(&self) -> bool {
        let busy = ["4008", "4009", "4020", "5000", "internal_error"];
        let is_busy = self
            .code
            .as_deref()
            .is_some_and(|code| busy.contains(&code));
        is_busy || matches!(self.status.as_u16(), 408 | 429) || self.status.is_server_error()
    }

    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.members.as_ref()?.get(member)?.as_str()
    }

    pub(crate) fn number(&self, member: &str) -> Option<u64> {
        self.members.as_ref()?.get(member)?.as_u64()
    }

    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn is_json(&self) -> bool {
        let kind = self.header(CONTENT_TYPE).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    }

    /// The time of the server, in Unix seconds.
    pub(crate) fn date(&self) -> Option<u64> {
        let date = DateTimeParser::new().parse_timestamp(self.header(DATE)?);
        u64::try_from(date.ok()?.as_second()).ok()
    }
}

/// The first of `error_code`, `error` and `code` that is neither empty, false nor 0.
fn code(members: &Map<String, Value>) -> Option<String> {
    let all = ["error_code", "error", "code"];
    all.into_iter().find_map(|name| match members.get(name)? {
        Value::String(text) if !text.is_empty() && text != "0" => Some(text.clone()),
        Value::Number(number) if number.as_f64() != Some(0.0) => Some(number.to_string()),
        _ => None,
    })
}

/// The body without its coding; none if it cannot be read.
fn unpacked(headers: &HeaderMap, body: &Bytes) -> Option<Bytes> {
    let most = u64::try_from(SHADOW_BODY).unwrap_or(u64::MAX);
    let mut plain = Vec::new();
    let coding = headers.get(CONTENT_ENCODING);
    match coding.map_or(&b"identity"[..], |coding| coding.as_bytes()) {
        b"identity" | b"" => return Some(body.clone()),
        b"gzip" => GzDecoder::new(&**body).take(most).read_to_end(&mut plain),
        b"deflate" => ZlibDecoder::new(&**body).take(most).read_to_end(&mut plain),
        _ => return None,
    }
    .ok()?;
    Some(plain.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    use super::*;

    fn answer(status: u16, coding: Option<&'static str>, body: &[u8]) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        let status = StatusCode::from_u16(status).expect("a status");
        Answer::new(
            status,
            headers,
            &Bytes::copy_from_slice(body),
            Duration::ZERO,
        )
    }

    #[test]
    fn a_packed_answer_is_read() {
        let body = br#"{"access_token":"a"}"#;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(body).expect("packed");
        let mut deflate = ZlibEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(body).expect("packed");
        for (coding, body) in [
            ("gzip", gzip.finish().expect("packed")),
            ("deflate", deflate.finish().expect("packed")),
            ("identity", body.to_vec()),
        ] {
            let read = answer(200, Some(coding), &body);
            assert_eq!(read.text("access_token"), Some("a"), "{coding}");
        }
        let unreadable = answer(200, Some("br"), body);
        assert!(unreadable.members.is_none());
    }

    /// Protocol §4.1, 3.
    #[test]
    fn a_code_is_a_refusal_under_any_status() {
        for (body, code) in [
            (r#"{"error_code":"a","error":"b"}"#, Some("a")),
            (r#"{"error_code":"","error":"b"}"#, Some("b")),
            (r#"{"code":4100}"#, Some("4100")),
            (r#"{"code":0,"data":{}}"#, None),
            (r#"{"error":false,"code":null}"#, None),
            ("[]", None),
        ] {
            let read = answer(200, None, body.as_bytes());
            assert_eq!(read.code.as_deref(), code, "{body}");
            assert_eq!(read.is_success(), code.is_none(), "{body}");
        }
        assert!(!answer(400, None, b"").is_success());
        assert!(answer(302, None, b"").is_success());
    }

    #[test]
    fn trouble_that_passes_is_told_from_refusals() {
        for (status, body) in [
            (429, ""),
            (408, ""),
            (503, "<html>"),
            (200, r#"{"code":4008}"#),
            (400, r#"{"error_code":"internal_error"}"#),
        ] {
            assert!(
                answer(status, None, body.as_bytes()).is_trouble(),
                "{status} {body}"
            );
        }
        assert!(!answer(400, None, br#"{"error_code":"invalid_grant"}"#).is_trouble());
    }
}
