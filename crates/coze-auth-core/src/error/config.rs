//! Values from the caller that cannot work, found before anything is sent.

use std::borrow::Cow;
use std::fmt;

use super::report;

/// A value that cannot work: which one, why, and what to do. Never the value.
#[derive(Clone, Eq, PartialEq)]
pub struct ConfigError {
    what: Cow<'static, str>,
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
            problem,
        }
    }

    /// The same problem under the name that the person knows: a variable, a member of a file.
    pub(crate) fn named(mut self, what: impl Into<Cow<'static, str>>) -> Self {
        self.what = what.into();
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
    },
    /// It is longer or shorter than the 43 to 128 characters of RFC 7636 §4.1.
    VerifierLength(usize),
    /// It is longer than this many bytes.
    TooLong(usize),
    /// It is not an absolute http or https URL.
    NotAUrl,
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
    /// It names a kind of app that this is not, or that does not exist.
    ClientType,
    /// The file could not be read, for this reason.
    Unreadable(String),
    /// It is not a private key in PEM, for this reason.
    Key(Cow<'static, str>),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.what)?;
        match &self.problem {
            Problem::Missing => f.write_str("not set"),
            Problem::Empty => f.write_str("is empty"),
            Problem::Character { at } => {
                write!(f, "has a character at byte {at} that it cannot have (a space or line break copied along?)")
            }
            Problem::VerifierLength(len) => write!(f, "has {len} characters; RFC 7636 asks for 43 to 128"),
            Problem::TooLong(max) => write!(f, "is longer than {max} bytes"),
            Problem::NotAUrl => f.write_str("is not an absolute http or https URL, such as https://host.example/path"),
            Problem::Insecure => f.write_str(
                "is http, which would send credentials in the clear; use https (in code, custom_insecure and allow_origin_insecure name the exception)",
            ),
            Problem::UrlPart(part) => write!(f, "has a {part}, which does not belong there"),
            Problem::NoWww => f.write_str("the www host cannot be told from this API base; set it (with_www)"),
            Problem::Seconds { min, max } => write!(f, "must be from {min} to {max} seconds"),
            Problem::NotJson => f.write_str("is not JSON of the expected form"),
            Problem::ClientType => f.write_str("is not the kind of app that is asked for here"),
            Problem::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Problem::Key(why) => write!(f, "is not a usable RSA private key: {why}"),
        }
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl std::error::Error for ConfigError {}
