//! Keys in what a person handed over: a message may quote a part of it, and never a part of a key.

use std::borrow::Cow;

/// So many characters of base64 in a row are a piece of a key, if the text that they stand in has one.
const PIECE: usize = 12;

/// A line of PEM has 64 characters, or 76.
const LINE: usize = 60;

/// Returns a message about `input` without the pieces of a key that `input` has, so that a message can quote what was wrong.
/// The input may be any text: a configuration, a path, all arguments of a command. An input without a key changes nothing.
///
/// ```
/// use coze_auth_mock::without_keys;
///
/// let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
/// assert_eq!(without_keys(&format!("cannot read {line:?}"), line), "cannot read \"***\"");
/// assert_eq!(without_keys("cannot read \"SomeKey.pem\"", "SomeKey.pem"), "cannot read \"SomeKey.pem\"");
/// ```
#[must_use]
pub fn without_keys<'a>(message: &'a str, input: &str) -> Cow<'a, str> {
    if !has_key(input) {
        return Cow::Borrowed(message);
    }
    let mut shown = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(in_base64) {
        let (before, run) = rest.split_at(start);
        let (run, after) = run.split_at(run.find(|c| !in_base64(c)).unwrap_or(run.len()));
        shown.push_str(before);
        shown.push_str(if is_piece(run) { "***" } else { run });
        rest = after;
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

const fn in_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_')
}

fn has_key(input: &str) -> bool {
    let mut runs = input.split(|c| !in_base64(c));
    input.to_ascii_uppercase().contains("PRIVATE") || runs.any(|run| run.len() >= LINE)
}

/// Returns true if a value is a key, or its bytes as numbers. Shorter ones are masked by their words, if at all.
pub(super) fn is_key(value: &str) -> bool {
    let mut runs = value.split(|c| !in_base64(c));
    value.contains("PRIVATE KEY")
        || value.len() >= LINE
            && (runs.any(|run| run.len() >= LINE && is_piece_of_base64(run))
                || value.split(',').filter(|number| is_byte(number)).count() >= PIECE)
}

fn is_byte(number: &str) -> bool {
    let number = number.trim_matches(|c: char| c.is_whitespace() || matches!(c, '[' | ']'));
    number.parse::<u8>().is_ok()
}

fn is_piece(run: &str) -> bool {
    run.len() >= LINE || run.len() >= PIECE && is_piece_of_base64(run)
}

/// Names are in one case, and base64 is not.
fn is_piece_of_base64(run: &str) -> bool {
    let count = |is: fn(&u8) -> bool| run.bytes().filter(is).count();
    count(u8::is_ascii_uppercase) >= 2 && count(u8::is_ascii_lowercase) >= 2
}
