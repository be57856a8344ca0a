//! Where a token may be sent.

use std::sync::Arc;

use coze_auth_core::Endpoints;
use coze_auth_core::endpoint::origin;
use coze_auth_core::error::{ConfigError, Problem};

use crate::Error;

/// The origin of the API, and others that were allowed by name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Origins(Arc<[String]>);

impl Origins {
    /// The API's own.
    pub fn of(endpoints: &Endpoints) -> Self {
        Self([endpoints.api_origin()].into())
    }

    /// One more: whoever answers there gets the tokens.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is no absolute URL.
    pub fn and(&self, url: &str) -> Result<Self, ConfigError> {
        let other = origin(url).ok_or_else(|| ConfigError::of("origin", Problem::NotAUrl))?;
        Ok(Self(self.0.iter().cloned().chain([other]).collect()))
    }

    /// # Errors
    ///
    /// [`Error::OtherOrigin`] if a token must not be sent there.
    pub fn check(&self, url: &str) -> Result<(), Error> {
        let to = origin(url).unwrap_or_default();
        match self.0.contains(&to) {
            true => Ok(()),
            false => Err(Error::OtherOrigin {
                to,
                api: self.0[0].clone(),
            }),
        }
    }
}
