//! What is wrong with a configuration.

use std::{fmt, io};

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// Counts from 1; 0 if the file could not be read at all.
    pub line: usize,
    /// Counts characters from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Everything that is wrong with a configuration, in the order of its lines.
///
/// It prints one line for each: `FILE:LINE:COLUMN: what is wrong; what would be right`.
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
                "cannot read it: {error}; `coze-auth-mock init` writes a configuration"
            ),
        }])
    }

    pub(super) fn of_file(self, name: String) -> Self {
        let file = Some(name);
        Self { file, ..self }
    }

    /// The mistakes, of which there is one at least.
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
                Some(file) if *line == 0 => write!(f, "{file}: ")?,
                Some(file) => write!(f, "{file}:{line}:{column}: ")?,
                None => write!(f, "line {line}, column {column}: ")?,
            }
            f.write_str(&error.message)?;
        }
        Ok(())
    }
}

/// What `main` and `unwrap` print is read by people.
impl fmt::Debug for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigErrors {}
