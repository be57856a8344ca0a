//! A lane: Coze's own routing between its environments (protocol §15.2).

use std::fmt;

use http::{HeaderName, HeaderValue};

use crate::error::{ConfigError, Problem};
use crate::wire::Outgoing;

const ENV: HeaderName = HeaderName::from_static("x-tt-env");
const PPE: HeaderName = HeaderName::from_static("x-use-ppe");
const YES: HeaderValue = HeaderValue::from_static("1");
/// In bytes.
const LONGEST: usize = 256;

/// The lane that a workload's requests name, which Coze routes by: what `COZE_SERVER_ENV` says. Outside of Coze it is of no use.
///
/// ```
/// use coze_auth_core::workload::Lane;
///
/// assert_eq!(Lane::new("ppe_new")?.as_str(), Some("ppe_new"));
/// assert_eq!(Lane::new("NONE")?, Lane::default()); // nothing is sent
/// # Ok::<(), coze_auth_core::error::ConfigError>(())
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Lane(Option<HeaderValue>);

impl Lane {
    /// Takes its name. `NONE` and the empty one mean that there is none; case counts.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it has a character that is not visible ASCII, or more than 256 bytes.
    pub fn new(name: &str) -> Result<Self, ConfigError> {
        if matches!(name, "" | "NONE") {
            return Ok(Self::default());
        }
        let bad = |problem| ConfigError::new("lane", problem);
        if let Some(at) = name.bytes().position(|byte| !byte.is_ascii_graphic()) {
            return Err(bad(Problem::character(name, at)));
        }
        if name.len() > LONGEST {
            return Err(bad(Problem::TooLong(LONGEST)));
        }
        let value = HeaderValue::from_str(name);
        Ok(Self(Some(
            value.map_err(|_| bad(Problem::character(name, 0)))?,
        )))
    }

    /// Its name; none if there is none.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_ref()?.to_str().ok()
    }

    /// `x-use-ppe` goes with lanes of one kind alone, as the official client has it.
    pub(super) fn put_on(&self, request: Outgoing) -> Outgoing {
        let Some(name) = &self.0 else {
            return request;
        };
        let request = request.with(ENV, name.clone());
        match name.as_bytes().starts_with(b"ppe_") {
            true => request.with(PPE, YES),
            false => request,
        }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lane").field(&self.as_str()).finish()
    }
}
