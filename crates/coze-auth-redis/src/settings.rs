//! A setting of the store that cannot work.

use std::borrow::Cow;
use std::fmt;

use coze_auth_core::error::report;

/// A setting of the store that cannot work, found before anything is sent: which one, why, and what to do. Never a
/// password, a key or a URL.
///
/// ```
/// use coze_auth_redis::RedisOptions;
///
/// let error = RedisOptions::from_url("redis://host/?db=3").unwrap_err();
/// assert_eq!(error.what(), "Redis URL");
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct SettingsError {
    what: &'static str,
    why: Cow<'static, str>,
}

impl SettingsError {
    pub(crate) fn new(what: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            what,
            why: why.into(),
        }
    }

    /// Which setting: `Redis URL`, `seal key`, `CA file`.
    pub fn what(&self) -> &str {
        self.what
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl fmt::Debug for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report(self, f)
    }
}

impl std::error::Error for SettingsError {}
