//! Values from the caller that cannot work, found before anything is sent.

use std::borrow::Cow;
use std::fmt;

use super::{is_invisible, report};

/// A value that cannot work: which one, why, and what to do. Never the value.
#[derive(Clone, Eq, PartialEq)]
pub struct ConfigError {
    what: Cow<'static, str>,
    /// The file that it was read from.
    file: Option<Box<str>>,
    problem: Problem,
}

impl ConfigError {
    /// A value that a crate above this one found wanting.
    pub fn of(what: &'static str, problem: Problem) -> Self {
        Self::new(what, problem)
    }

    pub(crate) fn new(what: impl Into<Cow<'static, str>>, problem: Problem) -> Self {
        Self {
            what: what.into(),
            file: None,
            problem,
        }
    }

    /// The same problem under the name that the person knows: a variable, a member of a file.
    pub(crate) fn named(mut self, what: impl Into<Cow<'static, str>>) -> Self {
        self.what = what.into();
        self
    }

    /// The same problem of what stands in this file, whose name the error then shows.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<Box<str>>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Which value: `client id`, `COZE_API_TOKEN`, `private_key`.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

/// What is wrong with a value.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// It is not set, or empty where it comes from the environment.
    Missing,
    /// It is empty.
    Empty,
    /// It has a character that it cannot have, at this byte.
    Character {
        /// The byte's position, from 0.
        at: usize,
        /// What kind of character that is: `a space`, `an invisible character`.
        is: &'static str,
    },
    /// It looks like something that is pasted in its place, in these words: `is in quotes; …`.
    Looks(&'static str),
    /// It is longer or shorter than the 43 to 128 characters of RFC 7636 §4.1.
    VerifierLength(usize),
    /// It is longer than this many bytes.
    TooLong(usize),
    /// It is not an absolute http or https URL.
    NotAUrl,
    /// It is a host without `https://` in front.
    NoScheme,
    /// Its host is not the one that is meant, for this reason.
    Host(&'static str),
    /// It has a path that does not belong there, for this reason.
    Path(&'static str),
    /// It is http to a host that is not this machine.
    Insecure,
    /// It has a part that does not belong there: user info, a path, a query, a fragment.
    UrlPart(&'static str),
    /// The www host cannot be told from the API base.
    NoWww,
    /// It is outside these bounds, in seconds.
    Seconds {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// It is not JSON of the expected form.
    NotJson,
    /// It is not JSON, and this is where.
    Json {
        /// The line, from 1.
        line: u32,
        /// The character in the line, from 1.
        column: u32,
        /// What stands there, and what is expected.
        why: String,
    },
    /// It is not a text but this: `a list`, `an object`.
    NotText(&'static str),
    /// It is there twice.
    Twice,
    /// It is not a kind of app.
    ClientType,
    /// The file could not be read, for this reason.
    Unreadable(String),
    /// It is not a private key in PEM, for this reason.
    Key(Cow<'static, str>),
    /// It is not a proxy that can be used.
    Proxy,
}

impl Problem {
    /// The character at this byte of a text is one that the text cannot have.
    pub(crate) fn character(text: &str, at: usize) -> Self {
        let is = match text.get(at..).and_then(|rest| rest.chars().next()) {
            Some('*') => "a *",
            Some(' ') => "a space",
            Some('\n' | '\r' | '\u{2028}' | '\u{2029}') => "a line break",
            Some('\t') => "a tab",
            Some(char::REPLACEMENT_CHARACTER) => "the mark of text that is not Unicode",
            Some(c) if c.is_control() => "a control character",
            Some(c) if is_invisible(c) => "an invisible character",
            Some(c) if c.is_whitespace() => "a wide or non-breaking space",
            Some('\u{3002}' | '\u{ff01}'..='\u{ff64}') => "a full-width character",
            Some(c) if !c.is_ascii() => "a character that is not ASCII",
            _ => "a character",
        };
        Self::Character { at, is }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{} ({}): ", self.what, file.escape_debug())?,
            None => write!(f, "{}: ", self.what)?,
        }
        match &self.problem {
            Problem::Missing => f.write_str("not set"),
            Problem::Empty => f.write_str("is empty"),
            Problem::Character { at, is } => {
                write!(f, "has {is} at byte {at}, which it cannot have (copied along?)")
            }
            Problem::Looks(why) => f.write_str(why),
            Problem::VerifierLength(len) => write!(f, "has {len} characters; RFC 7636 asks for 43 to 128"),
            Problem::TooLong(max) => write!(f, "is longer than {max} bytes"),
            Problem::NotAUrl => f.write_str("is not an absolute http or https URL, such as https://host.example/path"),
            Problem::NoScheme => f.write_str("has no https:// in front (http:// is for this machine alone)"),
            Problem::Host(why) => write!(f, "has a host that {why}"),
            Problem::Path(why) => write!(f, "has a path {why}"),
            Problem::Insecure => f.write_str(
                "is http, which would send credentials in the clear; use https (in code, custom_insecure and allow_origin_insecure name the exception)",
            ),
            Problem::UrlPart(part) => write!(f, "has a {part}, which does not belong there"),
            Problem::NoWww => f.write_str("the www host cannot be told from this API base; set it (with_www)"),
            Problem::Seconds { min, max } => write!(f, "must be from {min} to {max} seconds"),
            Problem::NotJson => f.write_str("is not JSON of the expected form"),
            Problem::Json { line, column, why } => {
                write!(f, "is not JSON: line {line}, column {column}: {why}")
            }
            Problem::NotText(found) => write!(f, "is {found}; a text is asked for"),
            Problem::Twice => f.write_str("is there twice, and nobody can tell which one is meant"),
            Problem::ClientType => f.write_str("is not a kind of app: web, pkce, device or jwt"),
            Problem::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Problem::Key(why) => write!(f, "is not a usable RSA private key: {why}"),
            Problem::Proxy => f.write_str(
                "is not a proxy that can be used, and none is gone around: it takes http, https, socks4, socks4a, socks5 or \
                 socks5h, ://, host:port, and in a user or password %2F for /, %23 for #, %3F for ?, %5C for \\",
            ),
        }
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl std::error::Error for ConfigError {}
