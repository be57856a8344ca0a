//! Redaction by place: what may be shown is what belongs to the place. A word that does not is masked, whatever its length.

use std::borrow::Cow;

use http::Method;

use super::keys::is_key;
use super::words::{has_any, in_word, words_from};
use super::{decoded, decoded_once, holds_credential, mask, scrub, scrubbed};

/// Paths that are shown without looking at their segments: those of nearly every request.
const KNOWN_PATHS: [&str; 5] = [
    "/api/permission/oauth2/token",
    "/api/permission/oauth2/authorize",
    "/api/permission/oauth2/device/code",
    "/v1/users/me",
    "/v1/workspaces",
];

/// Values that are shown without looking at their words, for the same reason.
const KNOWN_VALUES: [&str; 5] = [
    "application/json",
    "authorization_code",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
];

/// Words of letters and digits that are names of something.
const NAMES: [&str; 9] = [
    "oauth2",
    "oauth4webapi",
    "httpx2",
    "python3",
    "aarch64",
    "linux2",
    "base64",
    "sha256",
    "openapi3",
];

/// Words after which, or after an equals sign or colon behind them, a text has a secret.
const TELL_SECRETS: [&str; 15] = [
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "key",
    "code",
    "verifier",
    "assertion",
    "credential",
    "cookie",
    "bearer",
    "basic",
    "authorization",
    "auth",
];

const LONGEST_WORD: usize = 28;

/// The length from which letters among digits are no longer a version, as in `v1` and `S256`.
const MIXED: usize = 6;

/// Returns true for a word as paths and tables of values have them: small letters, or digits, joined by `-._~`.
fn is_plain(word: &str) -> bool {
    if word.len() > LONGEST_WORD || holds_credential(word) {
        return false;
    }
    word.split(['-', '.', '_', '~']).all(|atom| {
        let letters = atom.bytes().all(|byte| byte.is_ascii_lowercase());
        let digits = atom.bytes().all(|byte| byte.is_ascii_digit());
        let version = atom
            .strip_prefix('v')
            .is_some_and(|n| n.bytes().all(|n| n.is_ascii_digit()));
        letters || digits || version || NAMES.contains(&atom)
    }) || word.len() < MIXED && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns true if a part of the word has letters and digits mixed, as secrets have and words have not.
pub(super) fn is_mixed(word: &str) -> bool {
    // Most words have none.
    if !has_any(word, |byte| byte.is_ascii_digit()) {
        return false;
    }
    word.split(['-', '.', '_', '~']).any(|atom| {
        let letter = atom.bytes().any(|byte| byte.is_ascii_alphabetic());
        let digit = atom.bytes().any(|byte| byte.is_ascii_digit());
        atom.len() >= MIXED && letter && digit && !NAMES.contains(&&*atom.to_ascii_lowercase())
    })
}

/// A word from a place of known words: shown if it could be one, else masked.
fn plain_or_mask(word: &str) -> Cow<'_, str> {
    match is_plain(word) {
        true => Cow::Borrowed(word),
        false => mask(word),
    }
}

/// The path of a request: its fixed parts and its ids. `own` is the path of the API call of the user's own that it fits.
pub(crate) fn path<'a>(path: &'a str, own: Option<&str>) -> Cow<'a, str> {
    if KNOWN_PATHS.contains(&path) {
        return Cow::Borrowed(path);
    }
    let mut own = own.into_iter().flat_map(|own| own.split('/'));
    let mut shown = String::with_capacity(path.len().min(super::LONGEST));
    for (at, segment) in path.split('/').enumerate() {
        if at > 0 {
            shown.push('/');
        }
        if shown.len() >= super::LONGEST {
            shown.push('…');
            break;
        }
        match own.next() == Some(segment) {
            true => shown.push_str(segment),
            false => shown.push_str(&self::segment(segment)),
        }
    }
    Cow::Owned(shown)
}

/// The method of a request. One of the client's own may be anything.
pub(crate) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "***",
    }
}

/// A segment of a path.
pub(crate) fn segment(segment: &str) -> Cow<'_, str> {
    let plain = decoded_once(segment);
    match is_plain(&plain) {
        true => Cow::Borrowed(segment),
        // A token of Coze's is shown by its kind.
        false if holds_credential(&plain) => Cow::Owned(scrub(&plain)),
        false => Cow::Borrowed("***"),
    }
}

/// A value from a table, such as a grant type or a response type: known words, and what stands between them.
pub(crate) fn value(text: &str) -> Cow<'_, str> {
    match KNOWN_VALUES.contains(&text) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(by_word(text, |word, _| plain_or_mask(word))),
    }
}

/// The name of a permission, or an id: letters with full stops between them, or what a path could have.
pub(super) fn permission(text: &str) -> Cow<'_, str> {
    let name = text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'.');
    match name && !holds_credential(text) || is_plain(text) {
        true => Cow::Borrowed(text),
        false => mask(text),
    }
}

/// A header whose value is made of known words, such as a media type.
pub(crate) fn structure(text: &str) -> Cow<'_, str> {
    if KNOWN_VALUES.contains(&text) {
        return Cow::Borrowed(text);
    }
    if !text.contains('%') && !words_from(MIXED, text).any(is_odd) {
        return scrubbed(text);
    }
    Cow::Owned(by_word(text, |word, _| masked_if(word, is_odd(word))))
}

fn is_odd(word: &str) -> bool {
    word.len() > LONGEST_WORD || is_mixed(word) || holds_credential(word)
}

fn masked_if(word: &str, is_secret: bool) -> Cow<'_, str> {
    match is_secret {
        true => Cow::Borrowed("***"),
        false => Cow::Borrowed(word),
    }
}

/// A text of the client's, such as `User-Agent`: words, but none that looks random or is called a secret.
pub(crate) fn free(text: &str) -> Cow<'_, str> {
    let may_tell = has_any(text, |byte| matches!(byte, b'=' | b':' | b' ' | b'%'));
    if !may_tell && !words_from(MIXED, text).any(is_mixed) {
        return scrubbed(text);
    }
    let scrubbed = scrub(text);
    Cow::Owned(by_word(&scrubbed, |word, before| {
        masked_if(word, is_mixed(word) || tells_secret(before))
    }))
}

/// Returns true if the text before a word says that a secret follows: `token=`, `"password": "`, `Bearer `.
fn tells_secret(before: &str) -> bool {
    let name = before.trim_end_matches([' ', '"', '\'', ':', '=']);
    let between = &before[name.len()..];
    let word = name.rsplit(|c| !in_word(c)).next().unwrap_or(name);
    let word = word.to_ascii_lowercase();
    let scheme = matches!(&*word, "bearer" | "basic");
    let named = TELL_SECRETS.iter().any(|known| word.ends_with(known));
    named && (between.contains([':', '=']) || scheme && !between.is_empty())
}

/// Shows each word as `show` says, which also gets what stands before it, unless the whole could be read otherwise.
fn by_word<'a>(text: &'a str, show: impl Fn(&'a str, &'a str) -> Cow<'a, str>) -> String {
    // What is encoded could be read by who decodes it.
    match text.contains('%') || is_key(text) {
        true => "***".to_owned(),
        false => super::by_word(text, show),
    }
}

/// The query of a redirect URI in a body: names, and values of which neither the name nor the look tells a secret. Coze compares it
/// as text (protocol §2.2), so a person who looks for a difference has to see it as it was sent.
pub(super) fn redirect_query(query: &str) -> String {
    let pairs = query.split('&').take(32).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let (Some(name_said), Some(said)) = (decoded(name), decoded(value)) else {
            return "***".to_owned();
        };
        let is_secret = tells_secret(&format!("{name_said}="))
            || name_said.eq_ignore_ascii_case("state")
            || words_from(MIXED, &said).any(is_odd)
            || holds_credential(&said)
            || is_key(&said);
        let named = words_from(MIXED, &name_said).any(is_odd);
        match (pair.contains('='), named, is_secret) {
            (false, _, false) | (true, false, false) => pair.to_owned(),
            (true, false, true) => format!("{name}=***"),
            _ => "***".to_owned(),
        }
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// The name of a header.
pub(crate) fn header_name(name: &str) -> &str {
    match is_plain(name) {
        true => name,
        false => "***",
    }
}

/// Masks user and password of a URL, and what else stands before an `@`.
pub(super) fn without_user_info(text: &str) -> Cow<'_, str> {
    let Some(at) = text.rfind('@') else {
        return Cow::Borrowed(text);
    };
    let before = &text[..at];
    let start = before.rfind(['/', '\\', ' ', '"', '<', '(', ',', '=']);
    let start = start.map_or(0, |start| start + 1);
    Cow::Owned(format!(
        "{}***{}",
        &without_user_info(&before[..start]),
        &text[at..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: [&str; 7] = [
        "s3cret",
        "hunter2",
        "p4ssw0rd",
        "Xq7-short-1",
        "S3NT1NEL-tell-no-one",
        "a1b2c3d4e5f6",
        "Zm9vYmFy",
    ];

    #[test]
    fn known_values_are_shown_as_those_that_are_looked_at() {
        for known in KNOWN_VALUES {
            assert_eq!(by_word(known, |word, _| plain_or_mask(word)), known);
            assert_eq!(scrubbed(known), known);
            assert!(!words_from(MIXED, known).any(is_odd), "{known}");
            assert_eq!(
                (value(known), structure(known)),
                (known.into(), known.into())
            );
        }
    }

    #[test]
    fn a_path_shows_what_belongs_to_one() {
        for shown in [
            "/",
            "//v1/users/me",
            "/v1/users/me/",
            "/v3/chat",
            "/api/permission/oauth2/token/",
            "/api/permission/oauth2/account/7300000000000000009/token",
            "/api/permission/oauth2/enterprise_id/volcano_2100000000/token",
            "/api/permission/oauth2/workspace_id/ws1/device/code",
            "/v1/bots/7/submit_tool_outputs",
            "/.well-known/openid-configuration",
            "/favicon.ico",
            "/v1/%62ots",
        ] {
            assert_eq!(path(shown, None), shown);
        }
        for secret in SECRETS {
            for (at, around) in [
                format!("/v1/{secret}/x"),
                format!("/{secret}"),
                format!("/v1/bots/x.{secret}"),
            ]
            .iter()
            .zip(["/v1/***/x", "/***", "/v1/bots/***"])
            {
                assert_eq!(path(at, None), around, "{at}");
            }
            let encoded: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
            assert_eq!(path(&format!("/v1/{encoded}"), None), "/v1/***");
            let own = format!("/v1/{secret}/{{id}}");
            assert_eq!(
                path(&format!("/v1/{secret}/{secret}"), Some(&own)),
                format!("/v1/{secret}/***")
            );
        }
        assert_eq!(path("/a;token=x/b c/%2561", None), "/***/***/***");
    }

    #[test]
    fn values_and_headers_show_known_words() {
        for shown in [
            "code",
            "S256",
            "id_token code",
            "urn:ietf:params:oauth:grant-type:device_code",
            "client_credentials",
        ] {
            assert_eq!(value(shown), shown);
        }
        for shown in [
            "application/json; charset=utf-8",
            "*/*;q=0.8",
            "keep-alive",
            "gzip, br",
            "text/html",
        ] {
            assert_eq!(structure(shown), shown);
        }
        for shown in [
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.8078.73",
            "coze-auth/0.1.0",
            r#"{"version":"0.20.0","os_version":"6.1.0-25-amd64"}"#,
        ] {
            assert_eq!(free(shown), shown);
        }
        for secret in SECRETS {
            assert!(!value(secret).contains(secret), "{secret}");
            if is_mixed(secret) {
                assert!(!structure(&format!("text/{secret}")).contains(secret));
                assert!(!free(&format!("app/1 {secret}")).contains(secret));
            }
        }
        for told in [
            "app (token=short)",
            "app \"password\": \"short\"",
            "x Bearer short",
            "X-Api-Key: short",
            "CLIENT_SECRET=short",
        ] {
            assert!(!free(told).contains("short"), "{}", free(told));
        }
    }

    /// A client that encodes it anew sends another text, and only the text tells.
    #[test]
    fn the_query_of_a_redirect_uri_is_shown_as_it_was_sent_but_for_its_secrets() {
        for shown in [
            "from=coze",
            "a=%20b&name=%E4%BD%A0%2B&x=1;2",
            "a=+b&&x=",
            "word",
        ] {
            assert_eq!(redirect_query(shown), shown);
        }
        for (sent, shown) in [
            ("token=short&a=1", "token=***&a=1"),
            ("to%6ben=short", "to%6ben=***"),
            ("state=short", "state=***"),
            ("client_secret=", "client_secret=***"),
            ("s3cret-1a2b3c=x", "***"),
        ] {
            assert_eq!(redirect_query(sent), shown);
        }
        for secret in SECRETS {
            if is_mixed(secret) {
                assert_eq!(redirect_query(&format!("a={secret}")), "a=***");
                assert_eq!(redirect_query(secret), "***");
            }
        }
    }

    #[test]
    fn no_user_info_is_shown() {
        for (text, shown) in [
            ("http://user:short@host/a", "http://***@host/a"),
            ("user:short@host:1", "***@host:1"),
            ("http:\\\\user:short@host", "http:\\\\***@host"),
            ("https://a@b@host", "https://***@host"),
            ("none", "none"),
        ] {
            assert_eq!(without_user_info(text), shown);
        }
    }
}
