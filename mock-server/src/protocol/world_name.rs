//! The syntax of names of worlds.

use std::fmt;

use crate::limits::MAX_WORLD_NAME;

/// Why a world cannot have a name: the name does not fit in a path.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct WorldNameError;

impl fmt::Display for WorldNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the name of a world has 1 to {MAX_WORLD_NAME} letters, digits, '-', '_' and '.', and begins with a letter or digit"
        )
    }
}

/// The same as `Display`, since people read what `main` and `unwrap` print.
impl fmt::Debug for WorldNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for WorldNameError {}

pub(crate) fn check(name: &str) -> Result<(), WorldNameError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let starts = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    match starts && name.len() <= MAX_WORLD_NAME && name.bytes().all(allowed) {
        true => Ok(()),
        false => Err(WorldNameError),
    }
}
