//! What a JWT grant is asked for.

use std::time::Duration;

use super::SessionContext;
use crate::endpoint::{AccountId, EnterpriseId, identifier};
use crate::error::{ConfigError, Problem};
use crate::scope::Scope;

/// What a JWT grant is asked for. Without anything said: the app's own account, all its permissions,
/// Coze's default life of 900 seconds.
///
/// ```
/// use std::time::Duration;
///
/// use coze_auth_core::{error::ConfigError, jwt::JwtGrant};
///
/// # fn main() -> Result<(), ConfigError> {
/// let grant = JwtGrant::new().session_name("user-42")?.ttl(Duration::from_secs(3600))?;
/// assert!(JwtGrant::new().ttl(Duration::from_secs(25 * 3600)).is_err()); // Coze gives 24 hours at most
/// # drop(grant);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct JwtGrant {
    pub(super) account: Option<AccountId>,
    pub(super) enterprise: Option<EnterpriseId>,
    pub(super) session_name: Option<String>,
    pub(super) session_context: Option<SessionContext>,
    pub(super) scope: Option<Scope>,
    pub(super) ttl: Option<Duration>,
}

impl JwtGrant {
    /// A grant with nothing special.
    pub fn new() -> Self {
        Self::default()
    }

    /// For another account. Comes before [`enterprise`](Self::enterprise) if both are named, as in the
    /// official SDKs (protocol §2.1).
    #[must_use]
    pub fn account(mut self, account: AccountId) -> Self {
        self.account = Some(account);
        self
    }

    /// For an enterprise (privileged apps).
    #[must_use]
    pub fn enterprise(mut self, enterprise: EnterpriseId) -> Self {
        self.enterprise = Some(enterprise);
        self
    }

    /// Keeps this end user's conversations apart from those of others under the same app.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is empty, which would silently mix users up, or has control characters.
    pub fn session_name(mut self, name: impl Into<String>) -> Result<Self, ConfigError> {
        self.session_name = Some(identifier("session name", name)?);
        Ok(self)
    }

    /// The device or consumer that the token is counted for (enterprise plans).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is empty or has invisible characters.
    pub fn session_context(mut self, context: SessionContext) -> Result<Self, ConfigError> {
        let (SessionContext::Device(id) | SessionContext::Consumer(id)) = &context;
        identifier("session context", id)?;
        self.session_context = Some(context);
        Ok(self)
    }

    /// Limits of the token (channel apps).
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// The life of the token, in whole seconds.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is not from 1 to 86,399 seconds, Coze's bound.
    pub fn ttl(mut self, ttl: Duration) -> Result<Self, ConfigError> {
        const MAX: u64 = 86_399;
        if !(1..=MAX).contains(&ttl.as_secs()) {
            return Err(ConfigError::new(
                "token ttl",
                Problem::Seconds { min: 1, max: MAX },
            ));
        }
        self.ttl = Some(ttl);
        Ok(self)
    }
}
