//! What is printed, and how it is kept from steering a terminal.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _, Write as _};

use coze_auth::error::is_invisible;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::failure::{Failure, Kind};

/// Prints a line on standard output. What a terminal would obey is escaped.
pub(crate) fn line(text: impl fmt::Display) -> Result<(), Failure> {
    let text = Zeroizing::new(plain(&text.to_string()));
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", *text).and_then(|()| out.flush());
    written.map_err(failed)
}

/// Prints a secret of somebody else's form on standard output, and a line's end. A program reads it as it is; what a terminal would obey
/// is escaped.
pub(crate) fn value(text: &str) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        return line(text);
    }
    bytes(&Zeroizing::new([text.as_bytes(), b"\n"].concat()))
}

/// Tells the person something on standard error. What a terminal would obey is escaped, and where nobody reads nothing happens:
/// `eprintln!` panics there, and a login would be lost.
pub(crate) fn tell(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{}", plain(&text.to_string()));
}

/// Prints bytes on standard output as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(failed)
}

/// Why standard output takes no more.
fn failed(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Kind::OutputClosed, "standard output is closed"),
        _ => Failure::new(
            Kind::Other,
            format!("standard output cannot be written: {error}"),
        ),
    }
}

/// A value as JSON in one line. What a terminal would obey or hide is escaped, which means the same in JSON.
pub(crate) fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// A text whose control characters, line ends and tabs aside, are escaped.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match is_invisible(character) && !matches!(character, '\n' | '\t') {
            true => plain.extend(character.escape_unicode()),
            false => plain.push(character),
        }
    }
    plain
}

/// Returns true if a person looks at standard error, at a terminal that can redraw a line.
pub(crate) fn is_drawn() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_nothing_that_a_terminal_obeys_and_means_the_same() {
        let name = "扣\u{9b}31m\u{202e}\u{e0041}\u{1b}]0;owned\u{7}\n😀";
        let text = json(&name);
        assert!(!text.chars().any(is_invisible), "{text:?}");
        assert!(text.contains("扣") && text.contains("😀"), "{text}");
        let read: String = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read, name);
    }

    #[test]
    fn a_plain_text_keeps_its_lines() {
        assert_eq!(plain("a\tb\n\u{1b}[2Jc"), "a\tb\n\\u{1b}[2Jc");
    }
}
