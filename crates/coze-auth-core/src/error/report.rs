//! `Debug` of errors, which is read by people: `main` prints it of the error that it returns, `unwrap` of the
//! one that it meets.

use std::error::Error;
use std::fmt;
use std::iter::successors;

use super::text::ServerText;

/// Writes what the error says, then its causes, one a line: what `Debug` of every error of these crates prints.
/// Each cause, which may be a library's words, is cut to 200 characters and escaped.
///
/// # Errors
///
/// As the writer's.
pub fn report(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{error}")?;
    let causes: Vec<_> = successors(error.source(), |&cause| cause.source()).collect();
    if !causes.is_empty() {
        f.write_str("\n\nCaused by:")?;
    }
    for (at, cause) in causes.iter().enumerate() {
        let cause = ServerText::knowing(Vec::new()).clean(&cause.to_string());
        match causes.len() {
            1 => write!(f, "\n    {cause}")?,
            _ => write!(f, "\n    {at}: {cause}")?,
        }
    }
    Ok(())
}
