//! Whose grant it is.

use coze_auth_core::error::ConfigError;
use coze_auth_core::jwt::{JwtGrant, JwtIssuer};
use coze_auth_core::workload::WorkloadApp;
use coze_auth_core::{Endpoints, RefreshApp};
use sha2::{Digest as _, Sha256};

/// Names a grant: a server has many users, and may talk to both regions and as several apps.
///
/// ```
/// use coze_auth_store::GrantKey;
/// use coze_auth_store::core::{Endpoints, error::ConfigError, device::DeviceApp};
///
/// # fn main() -> Result<(), ConfigError> {
/// let app = DeviceApp::new(Endpoints::cn(), "1234.app.coze")?.into();
/// let key = GrantKey::new(&app, "alice")?;
/// assert_eq!(key.id().len(), 32); // the name of a file or row
/// assert_ne!(key.id(), GrantKey::new(&app, "bob")?.id());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct GrantKey {
    api_base: String,
    client_id: String,
    subject: String,
}

impl GrantKey {
    /// The grant of this app for `subject`: your own name for the person or device that logged in.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the subject is empty, has white space around it or invisible characters: two people
    /// whose names look the same must not share a grant.
    pub fn new(app: &RefreshApp, subject: impl Into<String>) -> Result<Self, ConfigError> {
        Self::of(app.endpoints(), app.client_id(), subject)
    }

    /// A grant that no refresh token renews, for `subject`: of a JWT app, or a token of Coze's console under a name of
    /// yours in the place of the client id.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new), of the client id as well.
    pub fn of(
        endpoints: &Endpoints,
        client_id: impl Into<String>,
        subject: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            api_base: endpoints.api_base().to_owned(),
            client_id: coze_auth_core::endpoint::identifier("client id", client_id)?,
            subject: coze_auth_core::endpoint::identifier("subject", subject)?,
        })
    }

    /// The token that a JWT app is given by such a grant, shared by all processes that ask for the same. Whatever decides whose
    /// token it is decides the key, as a digest in the place of the subject: API base, app, audience, account or enterprise, session, scope, life. So
    /// another grant never finds the token of this one. The key that signs does not count.
    pub fn jwt(issuer: &JwtIssuer, grant: &JwtGrant) -> Self {
        let api_base = issuer.endpoints().api_base().to_owned();
        Self::shared(api_base, issuer.client_id(), &issuer.token_identity(grant))
    }

    /// The token of a workload, shared as that of a JWT app: the key has its client id, its endpoints and its lane. The secret does not count.
    pub fn workload(app: &WorkloadApp) -> Self {
        let api_base = app.endpoints().api().api_base().to_owned();
        Self::shared(api_base, app.client_id(), &app.token_identity())
    }

    fn shared(api_base: String, client_id: &str, identity: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(identity).into();
        Self {
            api_base,
            client_id: client_id.to_owned(),
            // The white space before it keeps it apart from any subject of an application's own, which may not begin so.
            subject: format!(" shared {}", hex(&digest)),
        }
    }

    /// The API base, without a slash at its end.
    pub fn api_base(&self) -> &str {
        &self.api_base
    }

    /// The app.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Who logged in; of a shared token what it is shared for, as a digest.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// 32 hexadecimal digits that differ for different keys: a file's name, a row's id.
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.api_base, &self.client_id, &self.subject] {
            // With its length: what one part ends with is not what the next begins with.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        hex(&digest[..16])
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
