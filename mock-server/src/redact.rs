//! What journals, logs and explanations may show of a request.
//!
//! Secrets are kept out by position (`mask`: this place holds a secret) and, where a value is
//! meant to be harmless, by shape (`scrub`: someone put a token into the wrong place).

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};
use url::form_urlencoded;

/// How Coze's credentials and this mock's begin (protocol §3.3; `eyJ` is a JWT), and from which
/// length on a word that begins so is taken for one: `code_challenge_method` is none.
const PREFIXES: &[(&str, usize)] = &[
    ("pat_", 10),
    ("sat_", 10),
    ("czu_", 10),
    ("czs_", 10),
    ("cztei_", 10),
    ("mock_", 12),
    ("eyJ", 12),
    ("code_", 24),
];
const LONGEST: usize = 200;

/// A value from a place that holds a secret: its kind and length at most.
pub(crate) fn mask(secret: &str) -> String {
    let known = PREFIXES
        .iter()
        .any(|(prefix, _)| secret.starts_with(prefix));
    match secret.char_indices().nth(6) {
        Some((six, _)) if known && secret.len() >= 20 => {
            format!("{}…({} chars)", &secret[..six], secret.chars().count())
        }
        _ => "***".to_owned(),
    }
}

/// A value from a place that holds no secret, shortened, control characters escaped, and words
/// that look like a credential masked all the same.
pub(crate) fn scrub(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if shown.len() >= LONGEST {
            shown.push('…');
            break;
        }
        let word = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)))
            .unwrap_or(rest.len());
        if word == 0 {
            match first.is_control() {
                true => shown.extend(first.escape_default()),
                false => shown.push(first),
            }
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, tail) = rest.split_at(word);
        if holds_credential(word) {
            shown.push_str(&mask(word));
        } else {
            shown.push_str(&word[..word.len().min(LONGEST)]);
        }
        rest = tail;
    }
    shown
}

/// `mock-…-secret` is how the ready-made secrets look; the rest is by prefix.
fn holds_credential(word: &str) -> bool {
    word.contains("-secret")
        || PREFIXES
            .iter()
            .any(|(prefix, length)| word.len() >= *length && word.contains(prefix))
}

/// Members of token and device bodies that are no secrets (protocol §2.4, §6).
const OPEN_MEMBERS: &[&str] = &[
    "grant_type",
    "client_id",
    "redirect_uri",
    "duration_seconds",
    "scope",
    "account_id",
    "enterprise_id",
];

/// Claims and header members of an assertion that are no secrets (protocol §5). A `jti` is spent
/// as soon as it has been seen.
const OPEN_CLAIMS: &[&str] = &[
    "alg",
    "typ",
    "kid",
    "iss",
    "aud",
    "iat",
    "exp",
    "jti",
    "session_name",
    "session_context",
];

pub(crate) fn members<'a>(members: impl Iterator<Item = (&'a str, &'a Value)>) -> Value {
    let shown = members.map(|(name, value)| {
        let open = OPEN_MEMBERS.contains(&name);
        (
            member_name(name),
            if open {
                scrub_value(value)
            } else {
                hide(value)
            },
        )
    });
    Value::Object(shown.collect())
}

pub(crate) fn claims(claims: &Map<String, Value>) -> Value {
    let shown = claims.iter().map(|(name, value)| {
        let value = match OPEN_CLAIMS.contains(&name.as_str()) {
            true => scrub_value(value),
            false => hide(value),
        };
        (member_name(name), value)
    });
    Value::Object(shown.collect())
}

fn member_name(name: &str) -> String {
    let plain = name.len() <= 32 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match plain && !holds_credential(name) {
        true => name.to_owned(),
        false => "***".to_owned(),
    }
}

/// Null stays visible, since absent and null are worth telling apart.
fn hide(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::String(secret) if secret.is_empty() => Value::String(String::new()),
        Value::String(secret) => Value::String(mask(secret)),
        _ => Value::String("***".to_owned()),
    }
}

fn scrub_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(scrub(text)),
        Value::Array(items) => items.iter().map(scrub_value).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (scrub(name), scrub_value(value)))
            .collect(),
        other => other.clone(),
    }
}

const OPEN_HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-coze-client-user-agent",
];

pub(crate) fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let text = value.to_str();
        let value = match text {
            Ok(text) if name == AUTHORIZATION => authorization(text),
            Ok(text) if OPEN_HEADERS.contains(&name.as_str()) => scrub(text),
            _ => "***".to_owned(),
        };
        shown
            .entry(scrub(name.as_str()))
            .and_modify(|before| *before = format!("{before}, {value}"))
            .or_insert(value);
    }
    shown
}

/// `Bearer czu_mo…(69 chars)`; a bare `Bearer` stays as it is.
pub(crate) fn authorization(value: &str) -> String {
    let (scheme, credential) = value.split_once(' ').unwrap_or((value, ""));
    let known = ["bearer", "basic", "digest"].contains(&scheme.to_ascii_lowercase().as_str());
    match (known, credential.trim()) {
        (true, "") => scheme.to_owned(),
        (true, credential) => format!("{scheme} {}", mask(credential)),
        (false, _) => "***".to_owned(),
    }
}

/// Query parameters of an authorize request that are no secrets; `state` ties a browser to a login
/// and a plain `code_challenge` is the verifier itself.
const OPEN_PARAMETERS: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "code_challenge_method",
];

/// Path and query as the journal shows them.
pub(crate) fn target(path: &str, query: Option<&str>) -> String {
    let mut shown = scrub(path);
    let Some(query) = query else { return shown };
    let mut separator = '?';
    for (name, value) in form_urlencoded::parse(query.as_bytes()).take(32) {
        let value = match OPEN_PARAMETERS.contains(&name.as_ref()) {
            true if name == "redirect_uri" => redirect_uri(&value),
            true => scrub(&value),
            false if value.is_empty() => String::new(),
            false => mask(&value),
        };
        shown.push(separator);
        shown.push_str(&member_name(&name));
        shown.push('=');
        shown.push_str(&value);
        separator = '&';
    }
    shown
}

/// A redirect URI without the values in its query, which are the app's own business.
pub(crate) fn redirect_uri(uri: &str) -> String {
    match uri.split_once(['?', '#']) {
        Some((before, _)) => format!("{}?***", scrub(before)),
        None => scrub(uri),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_shows_kind_and_length_of_known_shapes_alone() {
        let token = format!("czu_mock_{}", "a".repeat(60));
        assert_eq!(mask(&token), "czu_mo…(69 chars)");
        assert_eq!(mask("mock-web-secret"), "***");
        assert_eq!(mask(&"s".repeat(48)), "***");
        assert_eq!(mask("pat_short"), "***");
        assert_eq!(mask("eyJé"), "***");
    }

    #[test]
    fn a_credential_in_the_wrong_place_is_masked() {
        let token = format!("czu_mock_{}", "a".repeat(60));
        assert_eq!(scrub(&format!("x={token}!")), "x=czu_mo…(69 chars)!");
        assert_eq!(scrub("a mock-web-secret b"), "a *** b");
        assert_eq!(scrub("line\nbreak\u{1b}[0m"), "line\\nbreak\\u{1b}[0m");
        assert_eq!(scrub(&"é".repeat(500)).chars().count(), 101);
        assert_eq!(scrub("22222222222222222222222222222222.app.coze").len(), 41);
    }

    #[test]
    fn the_target_hides_state_and_code() {
        let query = "client_id=c&state=tell-no-one&redirect_uri=http%3A%2F%2Flocalhost%3A1%2F%3Fa%3Dsecret&x-y=1";
        assert_eq!(
            target("/authorize", Some(query)),
            "/authorize?client_id=c&state=***&redirect_uri=http://localhost:1/?***&***=***"
        );
    }

    #[test]
    fn authorization_keeps_its_scheme() {
        assert_eq!(authorization("Bearer"), "Bearer");
        assert_eq!(authorization("Bearer "), "Bearer");
        assert_eq!(authorization("Bearer mock-web-secret"), "Bearer ***");
        assert_eq!(authorization("mock-web-secret"), "***");
    }
}
