//! The ready-made apps, user and tokens, the same in every start.

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use url::Url;

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
#[derive(Debug, Serialize)]
pub(crate) struct App {
    pub(crate) kind: Kind,
    #[serde(skip)]
    pub(crate) name: &'static str,
    pub(crate) client_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) private_key: Option<&'static str>,
    pub(crate) redirect_uris: &'static [&'static str],
    #[serde(skip)]
    pub(crate) enabled: bool,
}

/// A person with a Coze account.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) nick: &'static str,
    pub(crate) avatar_url: &'static str,
    pub(crate) workspace: &'static str,
}

/// A token that is made in the console and not by a flow.
#[derive(Debug, Serialize)]
pub(crate) struct ConsoleToken {
    pub(crate) kind: &'static str,
    pub(crate) value: &'static str,
}

const REDIRECT_URIS: &[&str] = &[
    "http://localhost:*/*",
    "http://127.0.0.1:*/*",
    "https://app.example/callback",
];

pub(crate) fn apps() -> Vec<App> {
    let app = |kind, name, client_id| App {
        kind,
        name,
        client_id,
        client_secret: None,
        key_id: None,
        private_key: None,
        redirect_uris: &[],
        enabled: true,
    };
    vec![
        App {
            client_secret: Some("mock-web-secret"),
            redirect_uris: REDIRECT_URIS,
            ..app(
                Kind::Web,
                "Mock Web App",
                "11111111111111111111111111111111.app.coze",
            )
        },
        App {
            redirect_uris: REDIRECT_URIS,
            ..app(
                Kind::Pkce,
                "Mock PKCE App",
                "22222222222222222222222222222222.app.coze",
            )
        },
        app(
            Kind::Device,
            "Mock Device App",
            "33333333333333333333333333333333.app.coze",
        ),
        App {
            key_id: Some("mock-jwt-key-1"),
            private_key: Some(private_key()),
            ..app(Kind::Jwt, "Mock JWT App", "100000000001")
        },
    ]
}

pub(crate) const ALICE: User = User {
    id: "7300000000000000001",
    name: "alice",
    nick: "Alice",
    avatar_url: "https://app.example/alice.png",
    workspace: "ws_a",
};

pub(crate) const CONSOLE_TOKENS: [ConsoleToken; 2] = [
    ConsoleToken {
        kind: "pat",
        value: "pat_mock_alice",
    },
    ConsoleToken {
        kind: "sat",
        value: "sat_mock_ci",
    },
];

/// The armoured key without the words before it.
fn private_key() -> &'static str {
    let file = include_str!("dev-key.pem");
    file.find("-----BEGIN").map_or(file, |at| &file[at..])
}

/// The key that verifies the JWT app's assertions.
pub(crate) fn public_key() -> ParsedPublicKey {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(include_bytes!("dev-key.pub.pem"))
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
                _ => *pattern == uri,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
    use rustls_pki_types::PrivatePkcs8KeyDer;

    #[test]
    fn the_two_halves_of_the_development_key_belong_together() {
        let private = PrivatePkcs8KeyDer::from_pem_slice(include_bytes!("dev-key.pem"))
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
