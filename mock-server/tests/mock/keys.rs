//! JWT apps with several keys, which change while the mock runs.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coze_auth_mock::{CozeAuthMock, KeyError, SetupError};
use http::Request;
use serde_json::json;

use crate::support::*;

/// A key of another's, and its public half in PEM.
fn other() -> (RsaKeyPair, String) {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().expect("its public half");
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).expect("base64"))
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    );
    (key, pem)
}

/// The rule that refuses an assertion that `key` signs and that names `kid`; none if it is accepted.
fn grant(m: &Mock, key: Option<&RsaKeyPair>, kid: &str) -> Option<&'static str> {
    let assertion = assertion_by(key, NOW, |header, _| header["kid"] = json!(kid));
    m.post(TOKEN, Some(&assertion), &json!({ "grant_type": JWT_GRANT }))
        .rule()
}

fn delete(m: &Mock, path: &str) -> Reply {
    let request = Request::delete(format!("/_mock/v1{path}"));
    m.send(request.body(Bytes::new()).expect("a request"))
}

#[test]
fn the_kid_says_which_key_counts() {
    let (key, pem) = other();
    let m = Mock::with(|builder| builder.key(JWT, "k2", &pem));
    assert_eq!(grant(&m, None, "mock-jwt-key-1"), None);
    assert_eq!(grant(&m, Some(&key), "k2"), None);
    assert_eq!(grant(&m, None, "k2"), Some("jwt.signature"));
    assert_eq!(
        grant(&m, Some(&key), "mock-jwt-key-1"),
        Some("jwt.signature")
    );
    assert_eq!(grant(&m, Some(&key), "k3"), Some("jwt.kid"));
    // The first key goes with the private key that the mock tells, whatever their order is.
    let text = format!(
        "[[app]]\nkind = \"jwt\"\nclient_id = \"{JWT}\"\nkeys = [{{ kid = \"k2\", public_pem = \"\"\"{pem}\"\"\" }}, {{ kid = \"dev\", development = true }}]"
    );
    let m = Mock::with(|builder| builder.toml(&text).expect("no mistakes"));
    assert_eq!(m.mock.info()["apps"][0]["key_id"], "dev");
    assert_eq!(
        (grant(&m, None, "dev"), grant(&m, Some(&key), "k2")),
        (None, None)
    );
}

#[test]
fn keys_change_while_the_mock_runs() {
    let m = Mock::new();
    let (key, pem) = other();
    assert_eq!(grant(&m, Some(&key), "k2"), Some("jwt.kid"));
    m.mock.add_key(JWT, "k2", &pem).expect("a key");
    assert_eq!(grant(&m, Some(&key), "k2"), None);
    m.mock.remove_key(JWT, "mock-jwt-key-1").expect("there");
    assert_eq!(grant(&m, None, "mock-jwt-key-1"), Some("jwt.kid"));
    assert_eq!(
        m.mock.info()["apps"][3].get("private_key"),
        None,
        "its key is gone"
    );
    assert_eq!(
        m.get("/t/w1/_mock/v1/apps/100000000001/keys", None).json["keys"][0]["kid"],
        "mock-jwt-key-1"
    );
    // The same kid for another key.
    m.mock.add_key(JWT, "k2", &other().1).expect("a key");
    assert_eq!(grant(&m, Some(&key), "k2"), Some("jwt.signature"));
    m.mock.reset();
    assert_eq!(
        grant(&m, None, "mock-jwt-key-1"),
        None,
        "a reset gives back the settings'"
    );
    assert_eq!(grant(&m, Some(&key), "k2"), Some("jwt.kid"));
    for (changed, error) in [
        (m.mock.add_key("nobody", "k", &pem), KeyError::UnknownApp),
        (m.mock.add_key(WEB, "k", &pem), KeyError::NotJwt),
        (m.mock.add_key(JWT, "", &pem), KeyError::BadKid),
        (m.mock.add_key(JWT, "a b", &pem), KeyError::BadKid),
        (
            m.mock.add_key(JWT, "k", "x"),
            KeyError::NotAKey("it has no -----BEGIN PUBLIC KEY----- followed by a key"),
        ),
        (m.mock.remove_key(JWT, "k"), KeyError::UnknownKey),
    ] {
        assert_eq!(changed, Err(error));
    }
    let wrong = CozeAuthMock::builder().key("nobody", "k", &pem).build();
    assert!(matches!(wrong, Err(SetupError::Key(KeyError::UnknownApp))));
}

#[test]
fn keys_change_over_the_control_plane() {
    let m = Mock::new();
    let (key, pem) = other();
    let keys = format!("/apps/{JWT}/keys");
    let add = |kid: &str, pem: &str| m.control(&keys, &json!({ "kid": kid, "public_pem": pem }));
    assert_eq!(add("k2", &pem).json, json!({ "ok": true }));
    let listed = json!({ "keys": [{ "kid": "mock-jwt-key-1", "development": true }, { "kid": "k2", "development": false }] });
    assert_eq!(m.get(&format!("/_mock/v1{keys}"), None).json, listed);
    assert_eq!(grant(&m, Some(&key), "k2"), None);
    assert_eq!(
        delete(&m, &format!("{keys}/k2")).json,
        json!({ "ok": true })
    );
    assert_eq!(grant(&m, Some(&key), "k2"), Some("jwt.kid"));
    assert_eq!(delete(&m, &format!("{keys}/k2")).status, 404);
    assert_eq!(
        m.control(&keys, &json!({ "kid": "again", "development": true }))
            .status,
        200
    );
    assert_eq!(grant(&m, None, "again"), None);
    for (path, body, status) in [
        (&*keys, json!({ "kid": "k" }), 400),
        (
            &keys,
            json!({ "kid": "k", "public_pem": pem, "development": true }),
            400,
        ),
        (&keys, json!({ "kid": "k", "public_pem": "s3cret" }), 400),
        (
            "/apps/nobody/keys",
            json!({ "kid": "k", "public_pem": pem }),
            404,
        ),
        (
            &format!("/apps/{WEB}/keys"),
            json!({ "kid": "k", "public_pem": pem }),
            400,
        ),
    ] {
        let reply = m.control(path, &body);
        assert_eq!(reply.status, status, "{}", reply.text);
        assert!(!reply.text.contains("s3cret"), "{}", reply.text);
    }
    for n in 0..14 {
        assert_eq!(add(&format!("n{n}"), &pem).status, 200);
    }
    assert_eq!(add("more", &pem).status, 409, "16 at most");
    assert_eq!(
        m.get(&format!("/_mock/v1/apps/{WEB}/keys"), None).status,
        400
    );
}
