//! What people paste in the place of a setting: its placeholder, its quotes, the line that it stood in. Coze would
//! answer such a value with something that misleads.

use crate::error::{ConfigError, Problem};

/// What a setting is, and so what it cannot look like.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Setting {
    /// Letters, digits and `-._~+/=` (RFC 6750 §2.1), and Coze's have fewer.
    Token,
    /// Any visible characters, such as a client secret or an id.
    Text,
    /// A URL.
    Url,
}

/// Refuses what cannot be the value itself, whatever that is.
pub(crate) fn refuse(what: &'static str, text: &str, setting: Setting) -> Result<(), ConfigError> {
    match looks_like(text, setting) {
        Some(why) => Err(ConfigError::new(what, Problem::Looks(why))),
        None => Ok(()),
    }
}

const QUOTED: &str = "is in quotes; set it without them";
const PLACEHOLDER: &str = "is a placeholder; put the value of Coze's console in its place";
const ASSIGNMENT: &str = "has its name in front; set the value alone";
const NAME: &str = "is the name of a variable and not its value";
const BEARER: &str = "begins with Bearer, which is added when it is sent; set the value alone";
const JSON: &str = "is JSON; set the value alone";
const PEM: &str = "is a key or certificate in PEM, which does not belong here";
const URL: &str = "is a URL, which does not belong here";
const PATH: &str = "is a path; what stands in the file is asked for here";
const MASKED: &str = "is masked or shortened; copy the whole value";

/// What a text looks like if it cannot be a value.
pub(crate) fn looks_like(text: &str, setting: Setting) -> Option<&'static str> {
    let text = text.trim();
    if is_quoted(text, setting) {
        return Some(QUOTED);
    }
    if text.contains("-----BEGIN") {
        return Some(PEM);
    }
    if ["{\"", "{'", "[{", "[\""]
        .iter()
        .any(|start| text.starts_with(start))
    {
        return Some(JSON);
    }
    if begins(text, "bearer ") || begins(text, "authorization:") {
        return Some(BEARER);
    }
    if is_variable(text) {
        return Some(NAME);
    }
    if is_assignment(text) {
        return Some(ASSIGNMENT);
    }
    if is_placeholder(text) {
        return Some(PLACEHOLDER);
    }
    if setting != Setting::Url && (begins(text, "https://") || begins(text, "http://")) {
        return Some(URL);
    }
    // A token may have a `/`, and a file of secrets is below a folder.
    if setting == Setting::Token && text.starts_with('/') && text.matches('/').count() > 1 {
        return Some(PATH);
    }
    let cut = ["***", "...", "…", "•••"];
    (setting == Setting::Token && cut.iter().any(|sign| text.contains(sign))).then_some(MASKED)
}

fn begins(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(start))
}

fn is_quoted(text: &str, setting: Setting) -> bool {
    const QUOTES: &[char] = &[
        '"', '\'', '`', '“', '”', '‘', '’', '「', '」', '«', '»', '＂',
    ];
    let opens = text.starts_with(QUOTES);
    // As it stood in a file: with the comma of the list.
    let closes = text.trim_end_matches([',', ';']).ends_with(QUOTES);
    match setting {
        Setting::Token => opens || closes,
        Setting::Text | Setting::Url => opens && closes && text.chars().count() > 1,
    }
}

/// `NAME=value` or `name: value`, of a name that Coze or its samples have for a setting.
fn is_assignment(text: &str) -> bool {
    const NAMES: [&str; 14] = [
        "access_token",
        "api_base",
        "api_token",
        "base_url",
        "client_id",
        "client_secret",
        "kid",
        "private_key",
        "public_key_id",
        "redirect_uri",
        "refresh_token",
        "secret",
        "token",
        "app_id",
    ];
    let Some((name, value)) = text.split_once(['=', ':']) else {
        return false;
    };
    let name = name.trim().trim_matches(['"', '\'']);
    let name = ["export ", "set ", "ENV ", "$env:", "- "]
        .iter()
        .find_map(|start| name.strip_prefix(start))
        .unwrap_or(name);
    let known = begins(name, "coze_") || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known));
    // `token==` is the end of base64.
    known && !value.trim_matches('=').is_empty()
}

/// The name of a variable of Coze's.
fn is_variable(text: &str) -> bool {
    let name = text.strip_prefix('$').unwrap_or(text);
    name.starts_with("COZE_")
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

fn is_placeholder(text: &str) -> bool {
    const AROUND: [(&str, &str); 9] = [
        ("<", ">"),
        ("{", "}"),
        ("${", "}"),
        ("$(", ")"),
        ("[", "]"),
        ("【", "】"),
        ("《", "》"),
        ("＜", "＞"),
        ("«", "»"),
    ];
    const WORDS: [&str; 9] = [
        "changeme",
        "change_me",
        "replaceme",
        "replace_me",
        "placeholder",
        "null",
        "none",
        "nil",
        "undefined",
    ];
    const STARTS: [&str; 9] = [
        "your_", "your-", "your ", "你的", "您的", "<your", "${", "{{", "请填",
    ];
    let around = AROUND.iter().any(|(before, after)| {
        text.len() > before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
    });
    // What stands behind the prefix that tells a token's kind (protocol §3.3).
    let rest = ["pat_", "sat_", "czu_", "czs_"]
        .iter()
        .find_map(|kind| text.strip_prefix(kind))
        .unwrap_or(text);
    // No URL has these (RFC 3986 §2), and a template has.
    let is_template =
        begins(text, "http") && text.contains("://") && text.contains(['<', '>', '{', '}']);
    around
        || is_template
        || is_filler(rest)
        || STARTS.iter().any(|start| begins(rest, start))
        || WORDS.iter().any(|word| rest.eq_ignore_ascii_case(word))
        || is_reference(text)
}

/// `xxx`, `***`, `…`.
fn is_filler(text: &str) -> bool {
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return false;
    };
    let same = characters.all(|character| character.eq_ignore_ascii_case(&first));
    let long = text.chars().count() >= 3;
    same && (first == '…' || long && "xX*.•·#?-_".contains(first))
}

/// `$NAME` or `%NAME%`, which something should have replaced.
fn is_reference(text: &str) -> bool {
    let name = match text.strip_prefix('$') {
        Some(name) => name,
        None => match text
            .strip_prefix('%')
            .and_then(|rest| rest.strip_suffix('%'))
        {
            Some(name) => name,
            None => return false,
        },
    };
    name.len() > 2
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
