//! The mistakes of a configuration.

use std::{fmt, io};

use crate::redact::without_keys;

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The line, counted from 1; 0 if the file could not be read.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong, and what is expected.
    pub message: String,
}

/// All mistakes of a configuration, in the order of its lines.
///
/// Each is printed as one line: `FILE:LINE:COLUMN: what is wrong; what is expected`.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    file: Option<String>,
    errors: Vec<ConfigError>,
}

impl ConfigErrors {
    pub(super) fn new(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by_key(|error| (error.line, error.column));
        Self { file: None, errors }
    }

    pub(super) fn unreadable(error: &io::Error) -> Self {
        Self::new(vec![ConfigError {
            line: 0,
            column: 0,
            message: format!(
                "cannot read the configuration: {error}; `coze-auth-mock init` writes one"
            ),
        }])
    }

    pub(super) fn of_file(self, name: String) -> Self {
        let file = Some(name);
        Self { file, ..self }
    }

    /// The mistakes, at least one.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.errors.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            let ConfigError { line, column, .. } = error;
            match &self.file {
                Some(file) if *line == 0 => write!(f, "{}: ", without_keys(file, file))?,
                Some(file) => write!(f, "{file}:{line}:{column}: ")?,
                None => write!(f, "line {line}, column {column}: ")?,
            }
            f.write_str(&error.message)?;
        }
        Ok(())
    }
}

/// The same as `Display`, since people read what `main` and `unwrap` print.
impl fmt::Debug for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigErrors {}
