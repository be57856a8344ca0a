//! The syntax of names of worlds.

use std::fmt;

use crate::limits::{MAX_WORLD_NAME, MAX_WORLDS, WORLD_IN_USE};

/// Why a name has no world.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum WorldError {
    /// A world cannot have this name: it does not fit in a path.
    Name,
    /// The maximum number of worlds are in use, or the worlds hold as much memory as they may.
    Full,
}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(
                f,
                "the name of a world has 1 to {MAX_WORLD_NAME} letters, digits, '-', '_' and '.', and begins with a letter or digit"
            ),
            Self::Full => write!(
                f,
                "this mock has no room for another world: it has {MAX_WORLDS}, or as many as its memory is for, and all are in use (held, or used again within {} seconds); remove one (DELETE /_mock/v1/worlds/{{name}}), or try again later",
                WORLD_IN_USE.as_secs()
            ),
        }
    }
}

/// The same as `Display`, since people read what `main` and `unwrap` print.
impl fmt::Debug for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for WorldError {}

pub(crate) fn check(name: &str) -> Result<(), WorldError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let starts = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    match starts && name.len() <= MAX_WORLD_NAME && name.bytes().all(allowed) {
        true => Ok(()),
        false => Err(WorldError::Name),
    }
}
