//! An app, and how its requests are decided.

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Serialize, Serializer};
use url::Url;

/// What an app is: how it proves itself, and how its users log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AppKind {
    /// Authorization code, with a client secret.
    Web,
    /// Authorization code with a challenge (PKCE), without a secret.
    Pkce,
    /// Device code.
    Device,
    /// Assertions that the app signs.
    Jwt,
    /// Client credentials and a token exchange: the identity of a project on Coze's coding platform.
    Workload,
}

impl AppKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Pkce => "pkce",
            Self::Device => "device",
            Self::Jwt => "jwt",
            Self::Workload => "workload",
        }
    }
}

/// An app, as its owner has registered it.
#[derive(Clone, Serialize)]
pub(crate) struct App {
    pub(crate) kind: AppKind,
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret: Option<String>,
    #[serde(
        rename = "key_id",
        serialize_with = "first_kid",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) keys: Vec<Key>,
    /// The private half of the development key; the mock has no other private keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) private_key: Option<&'static str>,
    pub(crate) redirect_uris: Vec<String>,
    /// Those that a workload may ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) integrations: Vec<Integration>,
    /// Those of the workload's project, in their order. One key may be there twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) variables: Vec<Variable>,
    /// Base64 of a workload's id, colon and secret, which is the secret in another spelling (protocol §15.6), without padding.
    #[serde(skip)]
    pub(crate) api_key: Option<String>,
    /// How its requests are decided; none for the setting of the mock.
    #[serde(skip)]
    pub(crate) consent: Option<Consent>,
    #[serde(skip)]
    pub(crate) enabled: bool,
    /// True if the configuration no longer has it. It is unknown then, but its tokens still name it.
    #[serde(skip)]
    pub(crate) removed: bool,
}

/// An integration of a workload, and its credential.
#[derive(Clone, Serialize)]
pub(crate) struct Integration {
    pub(crate) name: String,
    pub(crate) credential: String,
}

/// A variable of a workload's project.
#[derive(Clone, Serialize)]
pub(crate) struct Variable {
    pub(crate) key: String,
    pub(crate) value: String,
}

// A test that fails prints its mock: secrets that it was configured with are not in `Debug`.
impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("kind", &self.kind)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Integration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Integration")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A key that a JWT app has registered.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) public: ParsedPublicKey,
    /// True for the development key, whose private half the mock publishes.
    pub(crate) development: bool,
}

/// The key id that goes with the private key, which is that of the development key; else the first one.
pub(crate) fn key_id(keys: &[Key]) -> Option<&str> {
    let development = keys.iter().find(|key| key.development);
    development.or_else(|| keys.first()).map(|key| &*key.kid)
}

fn first_kid<S: Serializer>(keys: &[Key], serializer: S) -> Result<S::Ok, S::Error> {
    key_id(keys).serialize(serializer)
}

impl App {
    /// An app that has only a kind, a name and a client id.
    pub(crate) fn named(kind: AppKind, name: &str, client_id: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: None,
            keys: Vec::new(),
            private_key: None,
            redirect_uris: Vec::new(),
            integrations: Vec::new(),
            variables: Vec::new(),
            api_key: None,
            consent: None,
            enabled: true,
            removed: false,
        }
    }

    /// A workload with this secret.
    pub(crate) fn workload(name: &str, client_id: &str, client_secret: &str) -> Self {
        let pair = format!("{client_id}:{client_secret}");
        Self {
            client_secret: Some(client_secret.to_owned()),
            api_key: Some(STANDARD_NO_PAD.encode(pair)),
            ..Self::named(AppKind::Workload, name, client_id)
        }
    }

    pub(crate) fn key(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid == kid)
    }
}

impl App {
    /// Returns true if the app may use this redirect URI. A pattern `scheme://host:*/*` allows any port and path of that
    /// host; any other URI is compared character for character.
    pub(crate) fn allows_redirect(&self, uri: &str, url: &Url) -> bool {
        self.redirect_uris.iter().any(|pattern| {
            match pattern
                .strip_suffix(":*/*")
                .map(|origin| origin.split_once("://"))
            {
                Some(Some((scheme, host))) => {
                    url.scheme() == scheme && url.host_str() == Some(host)
                }
                _ => pattern == uri,
            }
        })
    }
}

/// How authorize requests and device codes are decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consent {
    /// A person decides on the consent page and the device page, or a test over the control plane.
    #[default]
    Page,
    /// The mock approves at once.
    Approve,
    /// The mock denies at once.
    Deny,
}

#[cfg(test)]
mod tests {
    use crate::protocol::redirect_uri::redirect_uri;
    use crate::state::ready_made::apps;

    #[test]
    fn only_registered_redirect_uris_are_allowed() {
        let web = &apps()[0];
        let allowed = |uri: &str| redirect_uri(uri).is_ok_and(|url| web.allows_redirect(uri, &url));
        for uri in [
            "http://localhost:8080/callback",
            "http://127.0.0.1:1/a/b?c=d",
            "http://[::1]/",
            "http://[::1]:8080/callback",
            "http://localhost/",
            "https://app.example/callback",
        ] {
            assert!(allowed(uri), "{uri}");
        }
        for uri in [
            "https://app.example/callback/",
            "https://app.example/callback?x=1",
            "https://app.example:444/callback",
            "https://localhost:8080/callback",
            "http://localhost.evil.example/cb",
            "http://localhost:80@evil.example/cb",
            "http://evil.example/#@localhost:80/",
            "http://localhost:8080/\r\nx: y",
            "http://localhost:8080/a b",
            "http://localhost:8080/callback#",
            "http://localhost:8080/callback#/login",
            "http://127.0.0.1:8080#callback",
            "http://localhost:8080\\callback",
            "http://localhost:8080/a\\b?c=d",
            "http://localhost\\@evil.example/",
            "http:\\\\localhost\\callback",
            "https://[::1]:8080/callback",
            "http://[::2]:8080/callback",
            "http://[::1].evil.example/callback",
            "javascript:alert(1)",
            "/callback",
            "",
        ] {
            assert!(!allowed(uri), "{uri}");
        }
    }
}
