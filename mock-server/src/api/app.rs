//! An app of a mock, as a test sees it.

use crate::state::app::{App, AppKind, key_id};

/// An app that a world knows, as its owner has registered it.
///
/// ```
/// use coze_auth_mock::{AppKind, CozeAuthMock};
///
/// let mock = CozeAuthMock::builder().build()?;
/// let web = mock.app(AppKind::Web).expect("a ready-made app");
/// assert_eq!(web.client_secret(), Some("mock-web-secret"));
/// assert_eq!(web.redirect_uris()[0], "http://localhost:*/*");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MockApp {
    app: App,
}

impl MockApp {
    pub(super) const fn new(app: App) -> Self {
        Self { app }
    }

    /// What the app is.
    #[must_use]
    pub const fn kind(&self) -> AppKind {
        self.app.kind
    }

    /// Client id; of a JWT app the app id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.app.client_id
    }

    /// Client secret, which only a web app and a workload have.
    #[must_use]
    pub fn client_secret(&self) -> Option<&str> {
        self.app.client_secret.as_deref()
    }

    /// Key id of a JWT app, for the `kid` of its assertions: that of the [`private_key`](Self::private_key), else the first one.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        key_id(&self.app.keys)
    }

    /// Key ids of all keys of a JWT app, of which the `kid` of an assertion names one.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.app.keys.iter().map(|key| key.kid.as_str())
    }

    /// Private key of a JWT app in PEM. None if the configuration has only its public key.
    #[must_use]
    pub const fn private_key(&self) -> Option<&str> {
        self.app.private_key
    }

    /// Integrations of a workload: the name of each, and its credential.
    pub fn integrations(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.app.integrations.iter();
        all.map(|one| (one.name.as_str(), one.credential.as_str()))
    }

    /// Variables of a workload's project, in their order: the key of each, and its value.
    pub fn project_env(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.app.variables.iter();
        all.map(|one| (one.key.as_str(), one.value.as_str()))
    }

    /// Redirect URIs, of web and PKCE apps. One that ends with `:*/*` is any port and path of its host.
    #[must_use]
    pub fn redirect_uris(&self) -> &[String] {
        &self.app.redirect_uris
    }
}
