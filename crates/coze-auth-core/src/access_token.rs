//! Access tokens. Personal (PAT) and service (SAT) tokens are made in Coze's console and used as they
//! are; the others come from a flow. All of them are a Bearer.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::error::ConfigError;
use crate::secret::{Alphabet, Hidden, check, secret};

secret! {
    /// What opens Coze's API, of whatever kind: sent as `Authorization: Bearer …`.
    ///
    /// ```
    /// use coze_auth_core::{AccessToken, error::ConfigError, http::HeaderMap};
    ///
    /// # fn main() -> Result<(), ConfigError> {
    /// let token = AccessToken::new("pat_of_the_console")?;
    /// let mut headers = HeaderMap::new();
    /// token.authorize(&mut headers); // of a request to Coze's API
    /// assert_eq!(headers["authorization"], "Bearer pat_of_the_console");
    /// assert_eq!(format!("{token:?}"), "AccessToken(***)");
    /// # Ok(()) }
    /// ```
    AccessToken, "access token", Header, set as Token
}

impl AccessToken {
    /// Takes a token that a server gave: as it comes, within what a header can hold.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is empty or has a character that no header holds.
    pub fn received(token: impl Into<String>) -> Result<Self, ConfigError> {
        let hidden = Hidden::new(token);
        check(&hidden, "access token", &Alphabet::Header).map(|()| Self(hidden))
    }

    /// `Bearer …`, for the `Authorization` header of a request to Coze's API; marked sensitive.
    pub fn bearer(&self) -> HeaderValue {
        self.0.bearer()
    }

    /// Puts it on the headers of a request to Coze's API, in place of whatever credential is there.
    pub fn authorize(&self, headers: &mut HeaderMap) {
        headers.insert(AUTHORIZATION, self.bearer());
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.matches(other.expose())
    }
}
