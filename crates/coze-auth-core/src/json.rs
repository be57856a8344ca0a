//! JSON that holds secrets, read without leaving copies behind.
//!
//! Of an object only the members are found that somebody reads, and a value is read when it is asked for. So what
//! nobody needs cannot make an answer unreadable, and takes no memory.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::{Zeroize as _, Zeroizing};

/// The members that somebody reads, of answers and of our own requests.
const READ: &[&str] = &[
    "access_token",
    "avatar_url",
    "code",
    "code_verifier",
    "credential",
    "data",
    "detail",
    "device_code",
    "error",
    "error_code",
    "error_description",
    "error_message",
    "expires_in",
    "interval",
    "key",
    "logid",
    "msg",
    "nick_name",
    "refresh_token",
    "secrets",
    "user_code",
    "user_id",
    "user_name",
    "value",
    "verification_uri",
    "verification_uri_complete",
];

/// What stands for bytes and escapes that are not text.
const NO_TEXT: char = char::REPLACEMENT_CHARACTER;

/// Those members of a JSON object that somebody reads.
#[derive(Default)]
pub(crate) struct Object<'a> {
    members: Members<'a>,
    /// Behind these members it was cut off, or is not JSON.
    pub(crate) is_damaged: bool,
}

type Members<'a> = Vec<(&'static str, Found<'a>)>;

enum Found<'a> {
    Once(&'a RawValue),
    Repeated,
}

/// A member is there twice, so nobody can say which one is meant.
#[derive(Debug)]
pub(crate) struct Repeated;

impl<'a> Object<'a> {
    /// Reads a body and hands over what is in it; none if it is not a JSON object.
    ///
    /// What is not text within strings (bytes of another encoding, half a surrogate pair, control characters) counts
    /// as U+FFFD: gateways cut and mix, and a message must not hide the code beside it.
    pub(crate) fn read<T>(body: &[u8], then: impl FnOnce(Option<Object<'_>>) -> T) -> T {
        let body = stripped(body);
        if let Ok(object) = serde_json::from_slice(body) {
            return then(Some(object));
        }
        if !body.starts_with(b"{") {
            return then(None);
        }
        let repaired = Zeroizing::new(repaired(body));
        then(Some(Self::up_to_damage(&repaired)))
    }

    /// The members that stand whole before whatever is wrong.
    fn up_to_damage(text: &str) -> Object<'_> {
        let mut members = Members::new();
        let mut json = serde_json::Deserializer::from_str(text);
        let read = json.deserialize_map(Collect(&mut members));
        Object {
            members,
            is_damaged: read.and_then(|()| json.end()).is_err(),
        }
    }

    /// Of a value that is one.
    pub(crate) fn of(raw: &'a str) -> Self {
        serde_json::from_str(raw).unwrap_or_default()
    }

    /// A member, unless it is `null`.
    pub(crate) fn member(&self, name: &str) -> Result<Option<Json<'a>>, Repeated> {
        debug_assert!(READ.contains(&name), "{name} is not kept");
        match self.members.iter().find(|(found, _)| *found == name) {
            None => Ok(None),
            Some((_, Found::Repeated)) => Err(Repeated),
            Some((_, Found::Once(value))) => Ok(Json::of(value.get())),
        }
    }
}

/// Without the byte order mark that some servers begin with (RFC 8259 §8.1 lets a reader pass it over), and
/// without the space around.
pub(crate) fn stripped(body: &[u8]) -> &[u8] {
    let body = body.trim_ascii();
    let mark = "\u{feff}".as_bytes();
    body.strip_prefix(mark)
        .map_or(body, <[u8]>::trim_ascii_start)
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Room for every answer of Coze's.
        let mut members = Members::with_capacity(8);
        deserializer.deserialize_map(Collect(&mut members))?;
        Ok(Object {
            members,
            is_damaged: false,
        })
    }
}

/// Puts members there as they come, so that those before an error are known.
struct Collect<'m, 'de>(&'m mut Members<'de>);

impl<'de> Visitor<'de> for Collect<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = entries.next_key()? {
            let Some(name) = name else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = entries.next_value()?;
            match self.0.iter_mut().find(|(found, _)| *found == name) {
                Some((_, found)) => *found = Found::Repeated,
                None => self.0.push((name, Found::Once(value))),
            }
        }
        Ok(())
    }
}

/// The name of a member, if somebody reads it.
struct Name(Option<&'static str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Known;

        impl Visitor<'_> for Known {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Name, E> {
                let mut read = READ.iter();
                Ok(Name(read.find(|known| known.as_bytes() == name).copied()))
            }
        }

        // As bytes: it need not be text.
        deserializer.deserialize_bytes(Known)
    }
}

/// The value of a member.
pub(crate) enum Json<'a> {
    Text(Text<'a>),
    /// As it is written.
    Number(&'a str),
    False,
    /// As it is written.
    Object(&'a str),
    /// As it is written.
    Array(&'a str),
    /// `true`: nothing that we read.
    Other,
}

impl<'a> Json<'a> {
    fn of(raw: &'a str) -> Option<Self> {
        Some(match raw.as_bytes()[0] {
            b'n' => return None,
            b'"' => Self::Text(Text::of(raw)),
            b'-' | b'0'..=b'9' => Self::Number(raw),
            b'{' => Self::Object(raw),
            b'[' => Self::Array(raw),
            b'f' => Self::False,
            _ => Self::Other,
        })
    }

    /// The elements of an array, as they are written; none of anything else.
    pub(crate) fn elements(&self) -> Option<Vec<Self>> {
        let Self::Array(raw) = self else {
            return None;
        };
        let elements: Vec<&'a RawValue> = serde_json::from_str(raw).unwrap_or_default();
        elements
            .into_iter()
            .map(|element| Self::of(element.get()))
            .collect()
    }

    /// A number, also one that is written as a text.
    pub(crate) fn number(&self) -> Option<f64> {
        number(self.words()?)
    }

    /// What a text or a number says.
    pub(crate) fn words(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(raw) => Some(raw),
            _ => None,
        }
    }
}

fn number(words: &str) -> Option<f64> {
    let words = words.trim_ascii();
    // Not `inf` and `nan`, which Rust reads, too.
    let is_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let number: f64 = words
        .parse()
        .ok()
        .filter(|_| words.bytes().all(is_number))?;
    number.is_finite().then_some(number)
}

/// What words say, if that is a whole number: `4100` and `4100.0`.
pub(crate) fn integer(words: &str) -> Option<i64> {
    /// From here on, not every whole number is one of `f64`'s.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    words.trim_ascii().parse().ok().or_else(|| {
        let number = number(words)?;
        (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
    })
}

/// A text; one with an escape in it had to be copied, and is wiped.
pub(crate) struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// Of a JSON string, quotes included.
    fn of(raw: &'a str) -> Self {
        let inner = &raw[1..raw.len() - 1];
        Self(match inner.contains('\\') {
            true => Cow::Owned(unescaped(inner)),
            false => Cow::Borrowed(inner),
        })
    }

    /// Whether all of it was text.
    pub(crate) fn is_whole(&self) -> bool {
        !self.contains(NO_TEXT)
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Text<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0 {
            text.zeroize();
        }
    }
}

/// What a JSON string says, with U+FFFD for half a surrogate pair.
fn unescaped(inner: &str) -> String {
    // Never longer than it is written, so no half-written copy is left behind.
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (character, length) = escape(&rest[at + 1..]);
        out.push(character);
        rest = &rest[at + 1 + length..];
    }
    out.push_str(rest);
    out
}

/// The character of an escape, and how long that is after its backslash.
fn escape(rest: &str) -> (char, usize) {
    let unit = |at: usize| u16::from_str_radix(rest.get(at..at + 4)?, 16).ok();
    let character = match rest.as_bytes()[0] {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let low = rest.get(5..7).filter(|next| *next == "\\u");
            let units = unit(1).into_iter().chain(low.and_then(|_| unit(7)));
            return match char::decode_utf16(units).next() {
                Some(Ok(character)) => (character, 6 * character.len_utf16() - 1),
                _ => (NO_TEXT, 5),
            };
        }
        itself => itself.into(),
    };
    (character, 1)
}

/// The same JSON with U+FFFD for what JSON does not have in its strings, once for a run of it: bytes that are not
/// UTF-8, control characters, escapes that there are not.
fn repaired(json: &[u8]) -> String {
    // One byte becomes three, and between any two of them stands one that stays.
    let mut out = String::with_capacity(json.len() * 2 + 2);
    let mut in_string = false;
    let mut after_invalid = false;
    for chunk in json.utf8_chunks() {
        let mut rest = chunk.valid();
        // The second byte of a character in GBK or Big5 may be that of the backslash.
        if after_invalid && in_string && rest.starts_with("\\\"") {
            rest = &rest[1..];
        }
        while let Some(character) = rest.chars().next() {
            rest = &rest[character.len_utf8()..];
            match character {
                '\\' if in_string => match escape_length(rest.as_bytes()) {
                    Some(length) => {
                        out.push('\\');
                        out.push_str(&rest[..length]);
                        rest = &rest[length..];
                    }
                    None => no_text(&mut out),
                },
                control if in_string && control.is_ascii_control() => no_text(&mut out),
                other => {
                    in_string ^= other == '"';
                    out.push(other);
                }
            }
        }
        after_invalid = !chunk.invalid().is_empty();
        if after_invalid {
            no_text(&mut out);
        }
    }
    out
}

fn no_text(out: &mut String) {
    if !out.ends_with(NO_TEXT) {
        out.push(NO_TEXT);
    }
}

/// How long the escape is that this begins with, after its backslash; none if it is not one.
fn escape_length(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(1),
        [b'u', digits @ ..] if digits.len() >= 4 => {
            let is_hex = digits[..4].iter().all(u8::is_ascii_hexdigit);
            is_hex.then_some(5)
        }
        _ => None,
    }
}
