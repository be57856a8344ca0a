//! Whether an answer of Coze's API says that the access token is not valid (protocol §4.4).

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};

use crate::coding;
use crate::endpoint::origin;
use crate::error::ErrorCode;
use crate::json::{self, Object};
use crate::wire::Body;

/// How much of an answer is looked at. Coze's errors are far shorter.
pub const LOOKED_AT: usize = 64 * 1024;

/// Whether a request with this method may be sent twice (RFC 9110 §9.2.2).
pub fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

/// Whether a request that was redirected from one URL to another, and refused there, may be sent there directly: only
/// the answer to a request that surely carried the token says anything about it. No redirect changes a GET or HEAD
/// (RFC 9110 §15.4), and what else stands in the request is for its own origin.
pub fn may_go_directly(method: &Method, from: &str, to: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
        && origin(from).is_some_and(|from| origin(to) == Some(from))
}

/// Whether an answer with these headers is JSON. No other body has anything to say here, and an event stream must not
/// be read by anyone but its owner.
pub fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.to_str().is_ok_and(is_of_json))
}

fn is_of_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// Whether Coze's API refused the access token itself: 401, or one of the codes for it under whatever status.
/// 4101 is none of them, not even under 401: the token is good and lacks a permission, which no other token of
/// the same grant would have.
///
/// `json` is the body, if it is JSON and was looked at. It is read as an answer to a token request is: compressed, with
/// a byte order mark, beside a text in another encoding.
pub fn rejects_token(status: StatusCode, json: Option<&[u8]>) -> bool {
    match json.and_then(code).map(ErrorCode::Number) {
        Some(code) if code.rejects_token() => true,
        Some(ErrorCode::Number(4101)) => false,
        _ => status == StatusCode::UNAUTHORIZED,
    }
}

fn code(body: &[u8]) -> Option<i64> {
    let decoded = coding::decoded(None, body).ok()?;
    let body = decoded.as_ref().map_or(body, Body::as_bytes);
    Object::read(body, |object| {
        json::integer(object?.member("code").ok()??.words()?)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_bad_token_is_a_bad_token() {
        let says = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).expect("a status");
            rejects_token(status, Some(body.as_bytes()))
        };
        assert!(says(401, "{}"));
        assert!(says(401, "<html>"));
        assert!(says(401, r#"{"code":4100}"#));
        assert!(says(
            200,
            r#"{"code":4100,"msg":"authentication is invalid"}"#
        ));
        assert!(says(200, r#"{"code":700012006}"#));
        assert!(says(400, r#"{"code":"700012006"}"#));
        assert!(!says(401, r#"{"code":4101}"#));
        assert!(!says(200, r#"{"code":4101}"#));
        assert!(!says(403, r#"{"code":4101}"#));
        assert!(!says(200, r#"{"code":0,"data":{"code":4100}}"#));
        assert!(!says(403, "{}"));
        assert!(!says(400, r#"{"code":4000}"#));
        // As gateways leave it: the text need not be text, and nothing else hides the code.
        assert!(says(200, "\u{feff}{\"code\":4100}"));
        assert!(says(200, r#"{"code":4100.0,"msg":"cut \ud83d"}"#));
        assert!(!says(401, "\u{feff}{\"code\":4101}"));
        assert!(rejects_token(
            StatusCode::OK,
            Some(b"{\"msg\":\"\xca\xda\xc8\xa8\n\",\"code\":4100}")
        ));
        assert!(rejects_token(StatusCode::UNAUTHORIZED, None));
        assert!(!rejects_token(StatusCode::OK, None));
    }

    #[test]
    fn a_compressed_refusal_is_read() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(br#"{"code":4100}"#).expect("memory");
        let packed = packed.finish().expect("memory");
        assert!(rejects_token(StatusCode::OK, Some(&packed)));
        assert!(!rejects_token(
            StatusCode::OK,
            Some(&packed[..packed.len() - 9])
        ));
    }

    #[test]
    fn directly_to_the_same_origin_with_a_method_that_no_redirect_changes() {
        let may = |method, to| may_go_directly(&method, "https://api.example/a", to);
        assert!(may(Method::GET, "https://api.example/b?c=d"));
        assert!(may(Method::HEAD, "https://API.example:443/b"));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert!(!may(method.clone(), "https://api.example/b"), "{method}");
        }
        for to in [
            "http://api.example/b",
            "https://api.example:8443/b",
            "https://www.api.example/b",
            "foo://api.example/b",
            "",
        ] {
            assert!(!may(Method::GET, to), "{to}");
        }
        assert!(!may_go_directly(&Method::GET, "foo://a", "foo://a"));
    }

    #[test]
    fn json_by_its_type() {
        let typed = |value: &str| {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            HeaderMap::from_iter([(CONTENT_TYPE, value)])
        };
        assert!(!is_json(&HeaderMap::new()));
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
        ] {
            assert!(is_json(&typed(json)), "{json}");
        }
        for other in [
            "text/event-stream",
            "text/html",
            "",
            "application/jsonl",
            "日本",
        ] {
            assert!(!is_json(&typed(other)), "{other}");
        }
    }
}
