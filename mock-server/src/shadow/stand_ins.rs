//! Stand-ins for every value of a record that is somebody's.
//!
//! What is kept is listed here; all else is replaced. A stand-in has the length, the alphabet and the prefix of what it stands for, is
//! the same throughout one record, and tells nothing across records, since it is made with a key that is thrown away.

use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Method};
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

use crate::net::addressing::is_loopback;
use crate::protocol::grant::{GRANTS, WORKLOAD_GRANTS};
use crate::protocol::rules::Rule;
use crate::state::challenges::s256;

/// Shorter values are not searched for: they stand in any text.
const SHORTEST: usize = 6;

/// That of a time in milliseconds.
const LONGEST_NUMBER: usize = 13;

/// What begins a value, and tells its kind.
const PREFIXES: [&str; 7] = [
    "czu_", "czs_", "cztei_", "pat_", "sat_", "code_", "volcano_",
];
const SUFFIX: &str = ".app.coze";

/// Texts that mean the same for everybody.
const WORDS: [&str; 16] = [
    "code",
    "plain",
    "S256",
    "Bearer",
    "bearer",
    "RS256",
    "JWT",
    "GET",
    "POST",
    "ok",
    "success",
    "personal",
    "team",
    "owner",
    "urn:ietf:params:oauth:token-type:id_token",
    "urn:ietf:params:oauth:token-type:access_token",
];

/// Names of members and parameters that mean the same for everybody.
const NAMES: [&str; 65] = [
    "access_token",
    "account_id",
    "account_permission",
    "alg",
    "assertion",
    "attribute_constraint",
    "aud",
    "authorize_key",
    "avatar_url",
    "bot_id_list",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "connector_bot_chat_attribute",
    "credential",
    "data",
    "detail",
    "device_code",
    "duration_seconds",
    "enterprise_id",
    "error",
    "error_code",
    "error_description",
    "error_message",
    "exp",
    "expires_in",
    "grant_type",
    "iat",
    "icon_url",
    "id",
    "integration_name",
    "interval",
    "iss",
    "issued_token_type",
    "jti",
    "key",
    "kid",
    "logid",
    "msg",
    "name",
    "nick_name",
    "page_num",
    "page_size",
    "permission_list",
    "redirect_uri",
    "refresh_token",
    "response_type",
    "role_type",
    "scope",
    "secrets",
    "state",
    "subject_token",
    "subject_token_type",
    "token_type",
    "total_count",
    "user_code",
    "user_id",
    "user_name",
    "value",
    "verification_uri",
    "workspace_type",
    "workspaces",
];

/// Numbers that are times, counts or codes, and nobody's.
const NUMBERS: [&str; 9] = [
    "expires_in",
    "interval",
    "duration_seconds",
    "exp",
    "iat",
    "code",
    "page_num",
    "page_size",
    "total_count",
];

/// The stand-ins of one record.
pub(crate) struct StandIns {
    key: [u8; 32],
    made: BTreeMap<String, String>,
}

impl StandIns {
    pub(crate) fn new() -> Result<Self, String> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| format!("no randomness: {error}"))?;
        Ok(Self {
            key,
            made: BTreeMap::new(),
        })
    }

    /// The stand-in of a value: letters for letters, digits for digits, all else as it is; its prefix stays.
    pub(crate) fn of(&mut self, value: &str) -> String {
        if let Some(made) = self.made.get(value) {
            return made.clone();
        }
        let prefix = PREFIXES.iter().find(|prefix| value.starts_with(**prefix));
        let prefix = prefix.copied().unwrap_or_default();
        let rest = &value[prefix.len()..];
        let suffix = if rest.ends_with(SUFFIX) { SUFFIX } else { "" };
        let rest = &rest[..rest.len() - suffix.len()];
        let mut blocks = (1_u32..).flat_map(|block| {
            let hash = Sha256::new()
                .chain_update(self.key)
                .chain_update(value)
                .chain_update(block.to_be_bytes());
            <[u8; 32]>::from(hash.finalize())
        });
        let made = loop {
            let made: String = rest
                .chars()
                .zip(&mut blocks)
                .map(|(c, byte)| {
                    let of = |first: u8, count: u8| char::from(first + byte % count);
                    match c {
                        'a'..='z' => of(b'a', 26),
                        'A'..='Z' => of(b'A', 26),
                        '0'..='9' => of(b'0', 10),
                        c if c.is_ascii() => c,
                        _ => of(b'a', 26),
                    }
                })
                .collect();
            let same = made == rest && rest.chars().any(|c| c.is_ascii_alphanumeric());
            if !same {
                break made;
            }
        };
        let made = format!("{prefix}{made}{suffix}");
        self.made.insert(value.to_owned(), made.clone());
        made
    }

    /// Keeps a text that means the same for everybody.
    fn word(&mut self, text: &str) -> String {
        let grants = GRANTS.iter().chain(&WORKLOAD_GRANTS);
        let is_known = WORDS.contains(&text)
            || text.is_empty()
            || grants.clone().any(|(grant, _)| *grant == text)
            || Rule::ALL.iter().any(|rule| {
                let row = rule.text();
                row.error == text || row.message == text && !text.contains("{}")
            });
        match is_known {
            true => text.to_owned(),
            false => self.of(text),
        }
    }

    pub(crate) fn name(&mut self, name: &str) -> String {
        match NAMES.contains(&name) {
            true => name.to_owned(),
            false => self.of(name),
        }
    }

    /// A host, with or without its port, which stays.
    fn host(&mut self, authority: &str) -> String {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() && !host.ends_with(':') => {
                (host, format!(":{port}"))
            }
            _ => (authority, String::new()),
        };
        let is_coze = ["coze.cn", "coze.com"].iter().any(|domain| {
            host.strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        match is_coze || is_loopback(host) {
            true => authority.to_owned(),
            false => format!("{}.example{port}", self.of(host).replace(['.', ':'], "-")),
        }
    }

    pub(crate) fn url(&mut self, text: &str) -> String {
        let Ok(url) = Url::parse(text) else {
            return self.of(text);
        };
        let Some(host) = url.host_str().map(str::to_owned) else {
            return self.of(text);
        };
        let mut made = format!("{}://{}", url.scheme(), self.host(&host));
        if let Some(port) = url.port() {
            made += &format!(":{port}");
        }
        // Without the slash that a parser adds.
        let bare = text.split(['?', '#']).next().unwrap_or_default();
        if bare.matches('/').count() > 2 {
            let path = url.path().to_owned();
            made += &match path.as_str() {
                "/" => path,
                _ => self.of(&path),
            };
        }
        if let Some(query) = url.query() {
            made += "?";
            made += &self.pairs(query);
        }
        made
    }

    /// A query or a form.
    pub(crate) fn pairs(&mut self, text: &str) -> String {
        let pairs: Vec<_> = form_urlencoded::parse(text.as_bytes())
            .map(|(name, value)| (self.name(&name), self.text(&name, &value)))
            .collect();
        let mut made = form_urlencoded::Serializer::new(String::new());
        made.extend_pairs(pairs).finish()
    }

    /// The value of a member or parameter.
    fn text(&mut self, name: &str, value: &str) -> String {
        // An authorization code may be one as well, and is longer than a time is.
        let is_number = (1..=LONGEST_NUMBER).contains(&value.len())
            && value.bytes().all(|byte| byte.is_ascii_digit());
        match name {
            "redirect_uri" | "verification_uri" | "avatar_url" | "icon_url" => self.url(value),
            "aud" => self.host(value),
            _ if NUMBERS.contains(&name) && is_number => value.to_owned(),
            _ => self.word(value),
        }
    }

    fn value(&mut self, name: &str, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(name, text).into(),
            Value::Number(number) if !NUMBERS.contains(&name) => {
                let made = self.of(&number.to_string());
                serde_json::from_str(&made).unwrap_or_else(|_| json!(7))
            }
            Value::Array(items) => items.iter().map(|item| self.value(name, item)).collect(),
            Value::Object(members) => Value::Object(self.members(members)),
            other => other.clone(),
        }
    }

    pub(crate) fn members(&mut self, members: &Map<String, Value>) -> Map<String, Value> {
        let members = members.iter();
        members
            .map(|(name, value)| (self.name(name), self.value(name, value)))
            .collect()
    }

    pub(crate) fn headers(&mut self, headers: &HeaderMap, kept: &[&str]) -> Value {
        let mut made = Vec::new();
        for (name, value) in headers {
            let Some(name) = kept.iter().find(|kept| **kept == name.as_str()) else {
                continue;
            };
            let Ok(text) = value.to_str() else { continue };
            let text = match *name {
                "authorization" => self.authorization(text),
                "location" => self.url(text).into(),
                "origin" | "access-control-allow-origin" => match text {
                    "*" => text.into(),
                    _ => self.url(text).into(),
                },
                "host" => self.host(text).into(),
                "x-tt-logid" | "x-tt-env" => self.of(text).into(),
                // The rest is read by rules as it is, if it is nobody's.
                _ => match text.len() <= 64
                    && text
                        .bytes()
                        .all(|byte| byte.is_ascii_graphic() || byte == b' ')
                {
                    true if is_plain(name, text) => text.into(),
                    _ => self.of(text).into(),
                },
            };
            made.push(json!([name, text]));
        }
        made.into()
    }

    /// An assertion by its parts, which rules depend on; any other credential as a stand-in.
    fn authorization(&mut self, text: &str) -> Value {
        let Some((scheme, credential)) = text.split_once(' ') else {
            return self.word(text).into();
        };
        let parts: Vec<_> = credential.trim().split('.').collect();
        let read = |part: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice::<Map<String, Value>>(&bytes).ok()
        };
        if let [header, claims, signature] = parts[..]
            && let (Some(header), Some(claims)) = (read(header), read(claims))
            && claims.contains_key("jti")
            && claims.contains_key("iss")
        {
            // The whole is somebody's as well.
            self.of(credential.trim());
            let header = self.members(&header);
            let claims = self.members(&claims);
            return json!({ "header": header, "claims": claims, "signature": signature.len() });
        }
        format!("{} {}", self.word(scheme), self.of(credential)).into()
    }

    /// A verifier and its challenge belong together, so the stand-in of the challenge is that of the verifier, hashed.
    pub(crate) fn pair(&mut self, verifier: &str) {
        let made = self.of(verifier);
        self.made.insert(s256(verifier), s256(&made));
    }

    /// Looks through the finished text for everything that was replaced, as it is and in the spellings that requests have. All of
    /// them are searched for at once: they grow with the text.
    pub(crate) fn search(&self, text: &str) -> Result<(), String> {
        let mut spellings = BTreeMap::new();
        let all = self.made.iter();
        for (value, _) in all.filter(|(value, made)| value.len() >= SHORTEST && value != made) {
            let quoted = serde_json::to_string(value).unwrap_or_default();
            for spelling in [
                form_urlencoded::byte_serialize(value.as_bytes()).collect(),
                quoted.trim_matches('"').to_owned(),
                STANDARD_NO_PAD.encode(value),
                URL_SAFE_NO_PAD.encode(value),
                value.clone(),
            ] {
                spellings.insert(spelling, value);
            }
        }
        let automaton = AhoCorasick::new(spellings.keys());
        let automaton = automaton.map_err(|error| {
            format!(
                "the record is not written: it cannot be searched for what was replaced ({error})"
            )
        })?;
        let Some(found) = automaton.find(text) else {
            return Ok(());
        };
        let value = spellings.values().nth(found.pattern().as_usize());
        Err(format!(
            "the record is not written: a value of {} characters that was replaced stands somewhere else in it, too",
            value.map_or(0, |value| value.chars().count())
        ))
    }
}

/// Media types, dates, numbers and names of headers.
fn is_plain(name: &str, text: &str) -> bool {
    let words = [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/html",
        "text/plain",
        "charset=utf-8",
        "charset=UTF-8",
    ];
    match name {
        "content-type" => text.split(';').all(|part| words.contains(&part.trim())),
        "date" => {
            let date = DateTimeParser::new().parse_timestamp(text);
            date.is_ok() && text.ends_with("GMT") && !text.contains('(')
        }
        "retry-after" | "x-use-ppe" => text.bytes().all(|byte| byte.is_ascii_digit()),
        "access-control-request-method" => text.parse::<Method>().is_ok_and(|method| {
            matches!(method.as_str(), "GET" | "POST" | "PUT" | "PATCH" | "DELETE")
        }),
        "access-control-expose-headers" => text.eq_ignore_ascii_case("x-tt-logid"),
        "content-encoding" => matches!(text, "gzip" | "deflate" | "identity"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An audience has the host of the upstream's URL, with its port or without it (protocol §1.3).
    #[test]
    fn a_host_has_one_stand_in_with_and_without_its_port() {
        let mut stand_ins = StandIns::new().expect("randomness");
        let url = stand_ins.url("https://gateway.test:8443");
        let host = stand_ins.host("gateway.test");
        assert_eq!(url, format!("https://{host}:8443"));
        assert_eq!(stand_ins.host("gateway.test:8443"), format!("{host}:8443"));
        assert!(
            host.ends_with(".example") && !host.contains("gateway"),
            "{host}"
        );
        for kept in [
            "api.coze.cn",
            "integration.coze.cn:443",
            "127.0.0.1:1",
            "[::1]:1",
        ] {
            assert_eq!(stand_ins.host(kept), kept);
        }
        let address = stand_ins.host("2001:db8::1");
        assert!(!address.contains(':'), "{address}");
    }

    #[test]
    fn each_spelling_of_what_was_replaced_is_found() {
        let mut stand_ins = StandIns::new().expect("randomness");
        let value = "a secret/with \"marks\"";
        let made = stand_ins.of(value);
        stand_ins.of("short");
        assert!(stand_ins.search(&format!("{made} short")).is_ok());
        let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        for spelling in [
            value.to_owned(),
            encoded,
            json!(value).to_string(),
            STANDARD_NO_PAD.encode(value),
            URL_SAFE_NO_PAD.encode(value),
        ] {
            let refused = stand_ins.search(&format!("before {spelling} after"));
            let refused = refused.expect_err(&spelling);
            assert!(refused.contains("a value of 21 characters"), "{refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
