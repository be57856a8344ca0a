//! Redaction of what journals, logs and explanations show of a request.
//!
//! Secrets are masked by position (`mask`: this place holds a secret; `places`: this place holds known words, and this is none of
//! them) and, in places that may hold anything, by shape (`scrub`: a client may have put a token into the wrong place).

pub(crate) mod json;
mod keys;
pub(crate) mod places;
mod words;

pub use keys::without_keys;

use std::borrow::Cow;
use std::fmt::Write as _;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST,
    USER_AGENT,
};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::limits::MAX_HEADERS;
use json::member_name;
use words::{has_any, in_word, words_from};

/// The prefixes of Coze's and this mock's credentials (protocol §3.3; `eyJ` is a JWT), each with the minimum length of a
/// word that counts as one: `code_challenge_method` does not. Each prefix ends in `_` or `J`.
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

/// The end of the ready-made secrets.
const SECRET_SUFFIX: &str = "-secret";

/// Minimum length of a word that counts as a secret of unknown kind. A code verifier has at least 43 characters (RFC 7636
/// §4.1), a UUID has 36.
const SECRET_LENGTH: usize = 40;

/// The length of the shortest ready-made secret, `sat_mock_ci`.
const SHORTEST_SECRET: usize = 11;

/// Maximum number of bytes of a value that are shown.
const LONGEST: usize = 200;

/// Masks a value from a place that holds a secret: shows at most its kind and length.
pub(crate) fn mask(secret: &str) -> Cow<'static, str> {
    let known = PREFIXES
        .iter()
        .any(|(prefix, _)| secret.starts_with(prefix));
    match secret.char_indices().nth(6) {
        Some((six, _)) if known && secret.len() >= 20 => {
            let mut mask = String::with_capacity(32);
            let _ = write!(
                mask,
                "{}…({} chars)",
                &secret[..six],
                secret.chars().count()
            );
            mask.into()
        }
        _ => "***".into(),
    }
}

/// Scrubs a value from a place that holds no secret: shortens it, escapes control characters, and masks words that look
/// like a credential, percent-encoded or not.
pub(crate) fn scrub(text: &str) -> String {
    scrubbed(text).into_owned()
}

/// Does the same as [`scrub`] without copying most texts.
fn scrubbed(text: &str) -> Cow<'_, str> {
    // Most texts of a request have none of the characters that a short credential must have.
    let marked = |byte| matches!(byte, b'%' | b'-' | b'_' | b'J' | b'@') || !is_harmless(byte);
    if text.len() < SECRET_LENGTH && !has_any(text, marked) || is_client_id(text) {
        return Cow::Borrowed(text);
    }
    if let Cow::Owned(masked) = places::without_user_info(text)
        && masked != text
    {
        return Cow::Owned(scrub(&masked));
    }
    match decoded(text) {
        None => Cow::Borrowed("***"),
        Some(plain) if keys::is_key(&plain) => Cow::Borrowed("***"),
        Some(plain) if has_credential(&plain) => Cow::Owned(show(&plain)),
        Some(Cow::Borrowed(_)) if text.len() <= LONGEST && text.bytes().all(is_harmless) => {
            Cow::Borrowed(text)
        }
        // Not decoded, so that two spellings of one URI are distinct.
        Some(_) => Cow::Owned(show(text)),
    }
}

/// Returns true if the byte is shown as it is.
const fn is_harmless(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic()
}

fn has_credential(text: &str) -> bool {
    words_from(SECRET_SUFFIX.len(), text).any(holds_credential)
}

/// Removes percent-encoding; none if the text is encoded too many times.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    let mut plain = Cow::Borrowed(text);
    if !text.contains('%') {
        return Some(plain);
    }
    for _ in 0..4 {
        let next = decoded_once(&plain);
        if next == plain {
            return Some(plain);
        }
        plain = Cow::Owned(next.into_owned());
    }
    None
}

pub(crate) fn decoded_once(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The words that are long enough to be a secret of the mock.
pub(crate) fn long_words(text: &str) -> impl Iterator<Item = &str> {
    words_from(SHORTEST_SECRET, text)
}

fn show(text: &str) -> String {
    by_word(text, |word, _| match holds_credential(word) {
        true => mask(word),
        false => Cow::Borrowed(word),
    })
}

/// Shortens a text and escapes its control characters, and shows each word as `show` says, which also gets what stands before it.
fn by_word<'a>(text: &'a str, show: impl Fn(&'a str, &'a str) -> Cow<'a, str>) -> String {
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if shown.len() >= LONGEST {
            shown.push('…');
            break;
        }
        if !in_word(first) {
            match first.is_control() {
                true => shown.extend(first.escape_default()),
                false => shown.push(first),
            }
            at += first.len_utf8();
            continue;
        }
        let rest = &text[at..];
        let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        shown.push_str(&show(&rest[..end], &text[..at]));
        at += end;
    }
    shown
}

/// Returns true if the word looks like a credential: by its prefix, by the form `mock-…-secret` of the ready-made secrets,
/// or by its length.
fn holds_credential(word: &str) -> bool {
    word.len() >= SECRET_LENGTH && !is_client_id(word)
        || word.contains('-') && word.contains(SECRET_SUFFIX)
        || has_prefix(word)
}

/// Returns true if the word has a prefix of a credential. Only places with the last letter of a prefix are compared.
fn has_prefix(word: &str) -> bool {
    let letters = word.as_bytes();
    let ends = |at: usize| {
        PREFIXES.iter().any(|(prefix, length)| {
            letters.len() >= *length && letters[..=at].ends_with(prefix.as_bytes())
        })
    };
    let mut last = letters.iter().enumerate();
    last.any(|(at, letter)| matches!(letter, b'_' | b'J') && ends(at))
}

/// Returns true for a client id such as `22222222222222222222222222222222.app.coze`, the one long word that is public
/// (protocol §3.3).
fn is_client_id(word: &str) -> bool {
    let digits = word.strip_suffix(".app.coze");
    digits.is_some_and(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit()))
}

type Show = for<'a> fn(&'a str) -> Cow<'a, str>;

/// As names, which are compared by their numbers, each with how its value is shown.
static OPEN_HEADERS: [(HeaderName, Show); 11] = [
    (ACCEPT, places::structure),
    (ACCEPT_ENCODING, places::structure),
    (AUTHORIZATION, |value| Cow::Owned(authorization(value))),
    (CONNECTION, places::structure),
    (CONTENT_LENGTH, places::structure),
    (CONTENT_TYPE, places::structure),
    (HOST, scrubbed),
    (USER_AGENT, places::free),
    (
        HeaderName::from_static("x-coze-client-user-agent"),
        places::free,
    ),
    // The lane of a workload (protocol §15.2).
    (HeaderName::from_static("x-tt-env"), places::structure),
    (HeaderName::from_static("x-use-ppe"), places::structure),
];

/// The head of a request, redacted: path and query, then a line for each header, `name: value`. Headers after the first 64
/// are only counted.
pub(crate) fn head(
    path: &str,
    own: Option<&str>,
    query: Option<&str>,
    headers: &HeaderMap,
) -> String {
    let lengths = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 3);
    let mut head = String::with_capacity(path.len() + 1 + lengths.sum::<usize>());
    target(&mut head, path, own, query);
    head.push('\n');
    let mut line = |name: &str, value: &str| {
        for part in [name, ": ", value, "\n"] {
            head.push_str(part);
        }
    };
    for (name, value) in headers.iter().take(MAX_HEADERS) {
        let known = OPEN_HEADERS.iter().find(|(known, _)| known == name);
        let shown = match (known, value.to_str()) {
            (Some((_, show)), Ok(text)) => show(text),
            _ => Cow::Borrowed("***"),
        };
        match known {
            Some(_) => line(name.as_str(), &shown),
            None => line(places::header_name(name.as_str()), &shown),
        }
    }
    if let more @ 1.. = headers.len().saturating_sub(MAX_HEADERS) {
        line("…", &format!("{more} more"));
    }
    if head.len() < head.capacity() / 2 {
        head.shrink_to_fit();
    }
    head
}

/// Masks an `Authorization` header: `Bearer czu_mo…(69 chars)`. An empty `Bearer` is shown as it is.
pub(crate) fn authorization(value: &str) -> String {
    let (scheme, credential) = value.split_once(' ').unwrap_or((value, ""));
    let is = |known: &&str| scheme.eq_ignore_ascii_case(known);
    let known = ["bearer", "basic", "digest"].iter().any(is);
    match (known, credential.trim()) {
        (true, "") => scheme.to_owned(),
        (true, credential) => [scheme, " ", &mask(credential)].concat(),
        (false, _) => "***".to_owned(),
    }
}

/// Path and query as the journal shows them. Of the parameters only some are not secrets: `state` binds a browser to a login,
/// and a plain `code_challenge` is the verifier itself.
fn target(shown: &mut String, path: &str, own: Option<&str>, query: Option<&str>) {
    shown.push_str(&places::path(path, own));
    let Some(query) = query else { return };
    let mut separator = '?';
    for pair in query.split('&').filter(|pair| !pair.is_empty()).take(32) {
        // A word alone may be anything.
        if !pair.contains('=') {
            shown.push(separator);
            shown.push_str("***");
            separator = '&';
            continue;
        }
        let Some((name, value)) = form_urlencoded::parse(pair.as_bytes()).next() else {
            continue;
        };
        let value = match &*name {
            "redirect_uri" => redirect_uri(&value),
            "client_id" => scrub(&value),
            "response_type" | "code_challenge_method" | "page_num" | "page_size" => {
                places::value(&value).into_owned()
            }
            _ if value.is_empty() => String::new(),
            _ => mask(&value).into_owned(),
        };
        shown.push(separator);
        shown.push_str(member_name(&name));
        shown.push('=');
        shown.push_str(&value);
        separator = '&';
    }
}

/// Redacts a redirect URI: without its query, which belongs to the app. A percent-encoded `?` may be one that was encoded
/// twice.
pub(crate) fn redirect_uri(uri: &str) -> String {
    let uri = &*places::without_user_info(uri);
    let marks = ['?', '#'];
    let start = uri.split(marks).next().unwrap_or("");
    let plain = decoded(start).unwrap_or(Cow::Borrowed("***"));
    match plain.split_once(marks) {
        Some((before, _)) => format!("{}?***", scrub(before)),
        None if start.len() < uri.len() => format!("{}?***", scrub(start)),
        None => scrub(uri),
    }
}

/// Redacts the redirect URI of a body, which is shown with its query: the one of an address is seen by more people.
pub(crate) fn sent_redirect_uri(uri: &str) -> String {
    let without = &*places::without_user_info(uri);
    match without.split_once('?') {
        Some((start, query)) if decoded(start).is_some_and(|plain| !plain.contains(['?', '#'])) => {
            let (query, fragment) = match query.split_once('#') {
                Some((query, _)) => (query, "#***"),
                None => (query, ""),
            };
            let query = places::redirect_query(query);
            format!("{}?{query}{fragment}", scrub(start))
        }
        _ => redirect_uri(uri),
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
    fn every_credential_has_what_is_looked_for() {
        for (prefix, length) in PREFIXES {
            assert!(prefix.ends_with(['_', 'J']), "{prefix}");
            assert!(*length >= SECRET_SUFFIX.len(), "{prefix}");
            let word = format!("a.{prefix:a<24}");
            assert!(holds_credential(&word), "{word}");
        }
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
        let mut shown = String::new();
        target(&mut shown, "/authorize", None, Some(query));
        assert_eq!(
            shown,
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
