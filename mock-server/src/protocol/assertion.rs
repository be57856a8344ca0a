//! Parses a JWT assertion.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::json_body::kind_of;
use super::refusal::Refusal;
use super::rules::Rule;

/// An assertion, parsed but not verified.
pub(crate) struct Assertion<'a> {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    pub(crate) signed: &'a str,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Assertion<'a> {
    pub(crate) fn parse(assertion: &'a str) -> Result<Self, String> {
        let (signed, signature) = assertion.rsplit_once('.').ok_or("a text without dots")?;
        let (header, claims) = signed.split_once('.').ok_or("a text with one dot")?;
        let part = |name: &str, text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text);
            let bytes = bytes.map_err(|_| format!("a {name} that is not unpadded base64url"))?;
            serde_json::from_slice(&bytes)
                .map_err(|_| format!("a {name} that is not a JSON object"))
        };
        Ok(Self {
            header: part("header", header)?,
            claims: part("payload", claims)?,
            signed,
            signature: URL_SAFE_NO_PAD
                .decode(signature)
                .map_err(|_| "a signature that is not unpadded base64url")?,
        })
    }

    /// The audiences: `aud` is a text, or an array of them, which some JWT libraries always make (RFC 7519 §4.1.3).
    pub(crate) fn audiences(&self) -> impl Iterator<Item = &str> {
        let all = match self.claims.get("aud") {
            Some(Value::Array(all)) => all,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        all.iter().filter_map(Value::as_str)
    }

    /// A claim that has to be a string that is not empty.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Refusal> {
        match self.claims.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            other => Err(self.wrong(name, "a string that is not empty", other)),
        }
    }

    /// A claim that has to be whole Unix seconds.
    pub(crate) fn seconds(&self, name: &str) -> Result<i64, Refusal> {
        let value = self.claims.get(name);
        value
            .and_then(Value::as_i64)
            .ok_or_else(|| self.wrong(name, "a whole number of Unix seconds", value))
    }

    fn wrong(&self, name: &str, expected: &str, actual: Option<&Value>) -> Refusal {
        let actual = match actual {
            Some(Value::String(text)) if text.is_empty() => "an empty string",
            Some(Value::Number(_)) => "another number",
            Some(value) => kind_of(value),
            None => "nothing",
        };
        Refusal {
            rule: Rule::JwtClaims,
            detail: name.to_owned(),
            expected: format!("{name}: {expected}"),
            actual: format!("{name}: {actual}"),
        }
    }
}
