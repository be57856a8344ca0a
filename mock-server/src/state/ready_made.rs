//! The ready-made apps, user and tokens, which are the same in every start.

use std::sync::Arc;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;

use super::app::{App, AppKind, Integration, Key, Variable};
use super::user::{ConsoleToken, User};

const REDIRECT_URIS: [&str; 4] = [
    "http://localhost:*/*",
    "http://127.0.0.1:*/*",
    "http://[::1]:*/*",
    "https://app.example/callback",
];

pub(crate) fn redirect_uris() -> Vec<String> {
    REDIRECT_URIS.map(str::to_owned).to_vec()
}

pub(crate) fn apps() -> Vec<App> {
    let id = |digit: &str| format!("{}.app.coze", digit.repeat(32));
    vec![
        App {
            client_secret: Some("mock-web-secret".to_owned()),
            redirect_uris: redirect_uris(),
            ..App::named(AppKind::Web, "Mock Web App", &id("1"))
        },
        App {
            redirect_uris: redirect_uris(),
            ..App::named(AppKind::Pkce, "Mock PKCE App", &id("2"))
        },
        App::named(AppKind::Device, "Mock Device App", &id("3")),
        App {
            keys: vec![Key {
                kid: "mock-jwt-key-1".to_owned(),
                public: public_key(),
                development: true,
            }],
            private_key: Some(private_key()),
            ..App::named(AppKind::Jwt, "Mock JWT App", "100000000001")
        },
        App {
            integrations: integrations(),
            variables: variables(),
            ..App::workload("Mock Workload", &"5".repeat(32), WORKLOAD_SECRET)
        },
    ]
}

/// 64 letters and digits, as Coze's have (protocol §15.6).
const WORKLOAD_SECRET: &str = "mockworkloadsecret0123456789mockworkloadsecret0123456789mockwork";

/// One credential is a token, the other JSON in a text (protocol §15.5).
pub(crate) fn integrations() -> Vec<Integration> {
    let one = |name: &str, credential: &str| Integration {
        name: name.to_owned(),
        credential: credential.to_owned(),
    };
    vec![
        one("integration-feishu-base", "mock_feishu_tenant_token"),
        one(
            "integration-volcano-ark",
            r#"{"ark_api_key":"mock-ark-secret","region":"cn-beijing"}"#,
        ),
    ]
}

pub(crate) fn variables() -> Vec<Variable> {
    let one = |key: &str, value: &str| Variable {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    vec![
        one("COZE_BUCKET_NAME", "mock-bucket"),
        one(
            "PGDATABASE_URL",
            "postgresql://mock:mock-db-secret@db.example/mock",
        ),
        one("GREETING", "你好"),
    ]
}

/// A user with ready-made values, of which a configuration can set others.
pub(crate) fn user(name: &str, number: usize) -> User {
    let nick = name[..1].to_uppercase() + &name[1..];
    User {
        id: format!("7300000000000000{number:03}"),
        name: name.to_owned(),
        nick,
        avatar_url: None,
        workspace: "ws_a".to_owned(),
        workspaces: vec!["ws_team".to_owned()],
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

/// The PEM of the private key, without the words before it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::magic_values;
    use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
    use rustls_pki_types::PrivatePkcs8KeyDer;

    #[test]
    fn no_console_token_is_a_magic_value() {
        for token in console_tokens() {
            assert!(magic_values::check("access_token", &token.value).is_ok());
        }
    }

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
}
