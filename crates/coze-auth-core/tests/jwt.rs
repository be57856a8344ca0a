//! Assertions: what they claim, who can sign them, which keys are taken (protocol §5).
#![cfg(feature = "rs256-aws-lc")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use common::*;
use coze_auth_core::endpoint::{AccountId, EnterpriseId};
use coze_auth_core::error::{ErrorKind, GrantType, Problem, SigningError, TransportFailure};
use coze_auth_core::jwt::{JwtApp, JwtGrant, JwtIssuer, RsaKey, SessionContext, Signer};
use coze_auth_core::scope::Scope;
use coze_auth_core::{Entropy, Error, Flow, Now, Request, Retry, Step};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

/// A key made for this run: its PKCS#8 and its public key in DER.
struct TestKey {
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

fn key() -> &'static TestKey {
    static KEY: std::sync::OnceLock<TestKey> = std::sync::OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der = AsDer8::as_der(&pair);
        TestKey {
            public: pair.public_key().as_ref().to_vec(),
            pkcs8: der,
        }
    })
}

/// Keeps the one call with a type to infer in one place.
struct AsDer8;

impl AsDer8 {
    fn as_der(pair: &KeyPair) -> Vec<u8> {
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("DER");
        der.as_ref().to_vec()
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn app() -> JwtApp {
    let signer = RsaKey::from_pem(&pem("PRIVATE KEY", &key().pkcs8)).unwrap();
    JwtApp::new(base(), "1000000001", "kid-1", signer).unwrap()
}

/// The claims of a request's assertion, its signature verified by another library.
fn claims(request: &Request) -> (jsonwebtoken::Header, BTreeMap<String, serde_json::Value>) {
    // Other packages of the workspace may link a second backend, which makes the default ambiguous.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.validate_exp = false;
    rules.set_audience(&["api.example:8080", "other"]);
    let public = DecodingKey::from_rsa_der(&key().public);
    let data = jsonwebtoken::decode(bearer(request).expect("an assertion"), &public, &rules)
        .expect("a good signature");
    (data.header, data.claims)
}

#[test]
fn an_assertion_claims_what_coze_asks_for() {
    let mut call = app().grant(&JwtGrant::new(), entropy());
    let request = request_of(&mut call, at(100));
    let (header, claims) = claims(&request);
    assert_eq!(
        (header.alg, header.typ.as_deref(), header.kid.as_deref()),
        (Algorithm::RS256, Some("JWT"), Some("kid-1"))
    );
    let mut names: Vec<&str> = claims.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["aud", "exp", "iat", "iss", "jti"]);
    assert_eq!(claims["iss"], "1000000001");
    assert_eq!(claims["aud"], "api.example:8080");
    assert_eq!(
        claims["iat"],
        UNIX + 100,
        "the time of the step, not of the call"
    );
    assert_eq!(claims["exp"], UNIX + 700);
    assert_eq!(claims["jti"].as_str().unwrap().len(), 64);
    let (line, body) = shape(&request);
    assert_eq!(
        line,
        "POST https://api.example:8080/api/permission/oauth2/token"
    );
    assert_eq!(
        body, r#"{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer"}"#,
        "nothing that was not asked for"
    );
}

#[test]
fn everything_that_can_be_asked_for() {
    let scope = Scope::bot_chat(["b1"])
        .workspaces(["ws_a"], ["listWorkspace"])
        .workflows(["wf_1"], ["run"]);
    let grant = JwtGrant::new()
        .session_name("user-42")
        .unwrap()
        .session_context(SessionContext::Device("device-9".into()))
        .unwrap()
        .scope(scope)
        .ttl(Duration::from_secs(7200))
        .unwrap();
    let request = request_of(&mut app().grant(&grant, entropy()), at(0));
    let (_, claims) = claims(&request);
    assert_eq!(claims["session_name"], "user-42");
    assert_eq!(
        claims["session_context"].to_string(),
        r#"{"device_info":{"device_id":"device-9"}}"#
    );
    assert_eq!(
        claims["exp"],
        UNIX + 600,
        "the life of the assertion is not that of the token"
    );
    assert_eq!(
        shape(&request).1,
        r#"{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","duration_seconds":7200,"scope":{"account_permission":{"permission_list":["Connector.botChat"]},"attribute_constraint":{"connector_bot_chat_attribute":{"bot_id_list":["b1"]}},"workspace_permission":{"workspace_id_list":["ws_a"],"permission_list":["listWorkspace"]},"workflow_permission":{"workflow_id_list":["wf_1"],"permission_list":["run"]}}}"#
    );
    let consumer = JwtGrant::new()
        .session_context(SessionContext::Consumer("c".into()))
        .unwrap();
    let claims = self::claims(&request_of(&mut app().grant(&consumer, entropy()), at(0))).1;
    assert_eq!(
        claims["session_context"].to_string(),
        r#"{"device_info":{"custom_consumer":"c"}}"#
    );
}

#[test]
fn the_account_path_comes_before_the_enterprise_path() {
    let account = AccountId::new("123").unwrap();
    let enterprise = EnterpriseId::new("volcano_1").unwrap();
    for (grant, path) in [
        (JwtGrant::new().account(account.clone()), "account/123"),
        (
            JwtGrant::new().enterprise(enterprise.clone()),
            "enterprise_id/volcano_1",
        ),
        (
            JwtGrant::new().enterprise(enterprise).account(account),
            "account/123",
        ),
    ] {
        let request = request_of(&mut app().grant(&grant, entropy()), at(0));
        assert_eq!(
            request.uri().path(),
            format!("/api/permission/oauth2/{path}/token")
        );
    }
}

#[test]
fn audience_and_lifetime_can_be_others() {
    let issuer = JwtIssuer::new(base(), "1", "kid-1").unwrap();
    let issuer = issuer
        .with_audience("other")
        .unwrap()
        .with_assertion_lifetime(Duration::from_secs(60))
        .unwrap();
    let signer = RsaKey::from_pem(&pem("PRIVATE KEY", &key().pkcs8)).unwrap();
    let app = JwtApp::from_issuer(issuer, signer);
    let (_, claims) = claims(&request_of(
        &mut app.grant(&JwtGrant::new(), entropy()),
        at(0),
    ));
    assert_eq!(
        (&claims["aud"], &claims["exp"]),
        (&"other".into(), &(UNIX + 60).into())
    );
}

#[test]
fn a_call_is_one_attempt_with_one_assertion() {
    let app = app();
    let mut call = app.grant(&JwtGrant::new(), Entropy::from_bytes([1; 32]));
    let first = bearer(&request_of(&mut call, at(0))).unwrap().to_owned();
    let again = bearer(&request_of(&mut call, at(9))).unwrap().to_owned();
    assert_eq!(first, again, "signed once, at the first step");
    call.receive(Err(TransportFailure::NotSent), at(9));
    assert!(matches!(
        result_of(&mut call, at(9)),
        Err(Error::Transport {
            grant: Some(GrantType::Assertion),
            ..
        })
    ));
    assert_eq!(
        result_of(&mut call, at(9)).unwrap_err(),
        Error::FlowFinished
    );

    let mut other = app.grant(&JwtGrant::new(), Entropy::from_bytes([2; 32]));
    let jti = |request: &Request| claims(request).1["jti"].as_str().unwrap().to_owned();
    let mut call = app.grant(&JwtGrant::new(), Entropy::from_bytes([1; 32]));
    assert_ne!(
        jti(&request_of(&mut call, at(0))),
        jti(&request_of(&mut other, at(0)))
    );
}

#[test]
fn a_jwt_grant_has_no_refresh_token() {
    let body = format!(
        r#"{{"access_token":"czs_a","expires_in":{},"token_type":"Bearer"}}"#,
        UNIX + 900
    );
    let grant = answered(app().grant(&JwtGrant::new(), entropy()), reply(200, body)).unwrap();
    assert!(grant.refresh_token.is_none());
}

/// A signer that must be awaited: the input goes out, the signature comes in.
#[test]
fn the_grant_can_be_taken_in_two_steps() {
    let issuer = JwtIssuer::new(base(), "1000000001", "kid-1").unwrap();
    let unsigned = issuer.assertion(&JwtGrant::new(), entropy(), at(0));
    let signer = RsaKey::from_pem(&pem("PRIVATE KEY", &key().pkcs8)).unwrap();
    let signature = signer.sign_rs256(unsigned.signing_input()).unwrap();
    let mut call = unsigned.signed(&signature, at(3)).unwrap();
    let two_steps = bearer(&request_of(&mut call, at(0))).unwrap().to_owned();
    let one_step = request_of(&mut app().grant(&JwtGrant::new(), entropy()), at(0));
    assert_eq!(Some(&*two_steps), bearer(&one_step));
}

/// A KMS that hangs: by the steady clock, as the calendar may be set while it signs.
#[test]
fn a_signature_that_comes_after_the_assertions_life_is_not_sent() {
    let issuer = JwtIssuer::new(base(), "1", "k")
        .unwrap()
        .with_assertion_lifetime(Duration::from_secs(10))
        .unwrap();
    let signed = |after| {
        let unsigned = issuer.assertion(&JwtGrant::new(), entropy(), at(0));
        let set_back = Now {
            unix: at(0).unix,
            ..at_ms(after)
        };
        unsigned.signed(b"signature", set_back)
    };
    assert!(signed(9_999).is_ok());
    let error = Error::from(signed(10_000).expect_err("it has expired"));
    assert_eq!(
        error.to_string(),
        "the assertion was not signed: the signature was ready after 10 s, and the assertion was good for 10 s; nothing was sent"
    );
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(1)));
    assert_eq!(error.kind(), ErrorKind::Wait(Duration::from_secs(1)));
}

/// The same app, audience and life, under another `kid` and with another key.
#[test]
fn an_app_may_have_another_key() {
    struct Other;
    impl Signer for Other {
        fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
            Ok(b"other".to_vec())
        }
    }
    let other = app().with_key("kid-2", Other).unwrap();
    let parts = |app: &JwtApp| {
        let request = request_of(&mut app.grant(&JwtGrant::new(), entropy()), at(0));
        let assertion = bearer(&request).unwrap().to_owned();
        let parts: Vec<_> = assertion.split('.').map(str::to_owned).collect();
        let header = URL_SAFE_NO_PAD.decode(&parts[0]).unwrap();
        (String::from_utf8(header).unwrap(), parts)
    };
    let ((header, own), (other_header, others)) = (parts(&app()), parts(&other));
    assert_eq!(header.replace("kid-1", "kid-2"), other_header);
    assert!(header.contains("kid-1"), "{header}");
    assert_eq!(own[1], others[1], "the claims");
    assert_eq!(others[2], URL_SAFE_NO_PAD.encode("other"));
    let error = app().with_key(" ", Other).unwrap_err();
    assert_eq!(error.what(), "key id");
}

/// What Coze says of a key that it does not know is `invalid_client`, with a text (protocol §4.3).
#[test]
fn a_refusal_that_another_key_may_heal() {
    let refusal = |status, code: &str| {
        let body = format!(
            r#"{{"error_code":"{code}","error_message":"invalid jwt: kid not been registred"}}"#
        );
        match answered(
            app().grant(&JwtGrant::new(), entropy()),
            reply(status, body),
        ) {
            Err(Error::Refused(refused)) => refused,
            other => panic!("{other:?}"),
        }
    };
    for (status, code, may_be) in [
        (401, "invalid_client", true),
        (200, "invalid_client", true),
        (400, "invalid_grant", true),
        (400, "invalid_request", false),
        (403, "access_deny", false),
        (429, "4008", false),
        (503, "invalid_client", false),
        (500, "internal_error", false),
    ] {
        let refused = refusal(status, code);
        assert_eq!(refused.may_be_the_key(), may_be, "{status} {code}");
    }
    // A client secret is no key.
    let body = r#"{"error_code":"invalid_client"}"#;
    let Error::Refused(refused) = error_of(web().refresh(&cache::refresh(1)), reply(401, body))
    else {
        panic!("it was refused");
    };
    assert!(!refused.may_be_the_key());
}

#[test]
fn a_signer_of_your_own_may_fail() {
    struct Hsm;
    impl Signer for Hsm {
        fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
            Err(SigningError::new("the session is closed"))
        }
    }
    struct Empty;
    impl Signer for Empty {
        fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
            Ok(Vec::new())
        }
    }
    let app = JwtApp::new(base(), "1", "k", Arc::new(Hsm)).unwrap();
    let error = result_of(&mut app.grant(&JwtGrant::new(), entropy()), at(0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the assertion was not signed: the session is closed"
    );
    let unsigned =
        JwtIssuer::new(base(), "1", "k")
            .unwrap()
            .assertion(&JwtGrant::new(), entropy(), at(0));
    assert!(
        unsigned.signed(&[], at(0)).is_err(),
        "two steps are no way around it"
    );
    let app = JwtApp::new(base(), "1", "k", Empty).unwrap();
    let mut call = app.grant(&JwtGrant::new(), entropy());
    assert!(matches!(
        call.step(at(0)),
        Step::Done(Err(Error::Signing(_)))
    ));
}

#[test]
fn what_cannot_be_asked_for() {
    assert!(
        JwtGrant::new().session_name("").is_err(),
        "an empty name would mix users up"
    );
    let nobody = SessionContext::Device(String::new());
    assert_eq!(
        JwtGrant::new()
            .session_context(nobody)
            .unwrap_err()
            .problem(),
        &Problem::Empty
    );
    for id in [" ", "1 ", " 1", "1\u{202e}", "1\u{fffd}"] {
        assert!(JwtIssuer::new(base(), id, "k").is_err(), "{id:?}");
    }
    for secs in [0, 86_400] {
        let error = JwtGrant::new().ttl(Duration::from_secs(secs)).unwrap_err();
        assert_eq!(
            error.problem(),
            &Problem::Seconds {
                min: 1,
                max: 86_399
            }
        );
    }
    let issuer = || JwtIssuer::new(base(), "1", "k").unwrap();
    assert!(issuer().with_assertion_lifetime(Duration::ZERO).is_err());
    assert!(
        issuer()
            .with_assertion_lifetime(Duration::from_secs(86_401))
            .is_err()
    );
    assert!(issuer().with_audience("").is_err());
    assert!(JwtIssuer::new(base(), "", "k").is_err());
    assert!(JwtIssuer::new(base(), "1", "k\n").is_err());
}
