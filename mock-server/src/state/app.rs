//! The ready-made apps, user and tokens, the same in every start.

use std::sync::Arc;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Serialize, Serializer};
use url::Url;

use super::settings::Consent;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Web,
    Pkce,
    Device,
    Jwt,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Pkce => "pkce",
            Self::Device => "device",
            Self::Jwt => "jwt",
        }
    }
}

/// An app as its owner has registered it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct App {
    pub(crate) kind: Kind,
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
    /// Of the development key alone: the mock has no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) private_key: Option<&'static str>,
    pub(crate) redirect_uris: Vec<String>,
    /// Who decides, if this is not the mock's own setting.
    #[serde(skip)]
    pub(crate) consent: Option<Consent>,
    #[serde(skip)]
    pub(crate) enabled: bool,
    /// No longer in the configuration: unknown, but its tokens still name it.
    #[serde(skip)]
    pub(crate) removed: bool,
}

/// A key that a JWT app has registered.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) public: ParsedPublicKey,
}

fn first_kid<S: Serializer>(keys: &[Key], serializer: S) -> Result<S::Ok, S::Error> {
    keys.first().map(|key| &key.kid).serialize(serializer)
}

/// A person with a Coze account.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) nick: String,
    pub(crate) avatar_url: String,
    pub(crate) workspace: String,
}

/// A token that is made in the console and not by a flow.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ConsoleToken {
    pub(crate) kind: &'static str,
    pub(crate) value: String,
    /// The name of its user; the first one if none is named.
    #[serde(skip)]
    pub(crate) user: Option<String>,
}

const REDIRECT_URIS: [&str; 3] = [
    "http://localhost:*/*",
    "http://127.0.0.1:*/*",
    "https://app.example/callback",
];

impl App {
    /// One with nothing but its name.
    pub(crate) fn named(kind: Kind, name: &str, client_id: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: None,
            keys: Vec::new(),
            private_key: None,
            redirect_uris: Vec::new(),
            consent: None,
            enabled: true,
            removed: false,
        }
    }

    pub(crate) fn key(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid == kid)
    }
}

pub(crate) fn redirect_uris() -> Vec<String> {
    REDIRECT_URIS.map(str::to_owned).to_vec()
}

pub(crate) fn apps() -> Vec<App> {
    let id = |digit: &str| format!("{}.app.coze", digit.repeat(32));
    vec![
        App {
            client_secret: Some("mock-web-secret".to_owned()),
            redirect_uris: redirect_uris(),
            ..App::named(Kind::Web, "Mock Web App", &id("1"))
        },
        App {
            redirect_uris: redirect_uris(),
            ..App::named(Kind::Pkce, "Mock PKCE App", &id("2"))
        },
        App::named(Kind::Device, "Mock Device App", &id("3")),
        App {
            keys: vec![Key {
                kid: "mock-jwt-key-1".to_owned(),
                public: public_key(),
            }],
            private_key: Some(private_key()),
            ..App::named(Kind::Jwt, "Mock JWT App", "100000000001")
        },
    ]
}

/// The ready-made user, and the shape of those that a configuration has.
pub(crate) fn user(name: &str, number: usize) -> User {
    let nick = name[..1].to_uppercase() + &name[1..];
    User {
        id: format!("7300000000000000{number:03}"),
        name: name.to_owned(),
        nick,
        avatar_url: format!("https://app.example/{name}.png"),
        workspace: "ws_a".to_owned(),
    }
}

pub(crate) fn users() -> Vec<Arc<User>> {
    vec![Arc::new(user("alice", 1))]
}

pub(crate) fn console_tokens() -> Vec<ConsoleToken> {
    let token = |kind, value: &str| ConsoleToken {
        kind,
        value: value.to_owned(),
        user: None,
    };
    vec![token("pat", "pat_mock_alice"), token("sat", "sat_mock_ci")]
}

/// The armoured key without the words before it.
pub(crate) fn private_key() -> &'static str {
    let file = include_str!("../../dev-key.pem");
    file.find("-----BEGIN").map_or(file, |at| &file[at..])
}

/// The key that verifies the JWT app's assertions.
pub(crate) fn public_key() -> ParsedPublicKey {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(include_bytes!("../../dev-key.pub.pem"))
        .expect("dev-key.pub.pem is part of this program and tested");
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.as_ref())
        .expect("dev-key.pub.pem is part of this program and tested")
}

/// Why a redirect URI is none, or the URI.
pub(crate) fn redirect_uri(uri: &str) -> Result<Url, &'static str> {
    // `Url` would drop tabs and line breaks silently, so they are looked for first.
    if uri.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("a URI with a space or control character");
    }
    let Ok(url) = Url::parse(uri) else {
        return Err("no absolute URL");
    };
    match url {
        _ if !matches!(url.scheme(), "http" | "https") => {
            Err("a URL that is neither http nor https")
        }
        _ if !url.username().is_empty() || url.password().is_some() => Err("a URL with user info"),
        url => Ok(url),
    }
}

impl App {
    /// A pattern `scheme://host:*/*` allows any port and path of that host; any other one is
    /// compared character for character.
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

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
    use rustls_pki_types::PrivatePkcs8KeyDer;

    #[test]
    fn the_two_halves_of_the_development_key_belong_together() {
        let private = PrivatePkcs8KeyDer::from_pem_slice(include_bytes!("../../dev-key.pem"))
            .expect("PEM readers skip the words before the armour");
        let pair = RsaKeyPair::from_pkcs8(private.secret_pkcs8_der()).expect("an RSA key");
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            .expect("a public key");
        let rng = aws_lc_rs::rand::SystemRandom::new();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(
            &aws_lc_rs::signature::RSA_PKCS1_SHA256,
            &rng,
            b"x",
            &mut signature,
        )
        .expect("a signature");
        assert!(public.verify_sig(b"x", &signature).is_ok());
        assert!(public_key().verify_sig(b"x", &signature).is_ok());
        assert!(private_key().starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(private_key().ends_with("-----END PRIVATE KEY-----\n"));
    }

    #[test]
    fn only_registered_redirect_uris_are_allowed() {
        let web = &apps()[0];
        let allowed = |uri: &str| redirect_uri(uri).is_ok_and(|url| web.allows_redirect(uri, &url));
        for uri in [
            "http://localhost:8080/callback",
            "http://127.0.0.1:1/a/b?c=d",
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
            "javascript:alert(1)",
            "/callback",
            "",
        ] {
            assert!(!allowed(uri), "{uri}");
        }
    }
}
