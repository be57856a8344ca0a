//! Each flow, as a library that knows nothing of Coze makes it.

use coze_auth_mock::{AppKind, DeviceAction};
use serde_json::json;

use super::process::{Answer, Bridge, MACHINE, REDIRECT, basic};
use crate::support::Home;

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn web_secret(home: &Home) -> String {
    let app = home.mock.app(AppKind::Web).expect("an app");
    app.client_secret().expect("a secret").to_owned()
}

fn is_a_grant(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["token_type"], "Bearer");
    let left = json["expires_in"].as_u64().expect("a number");
    assert!((895..=900).contains(&left), "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("pragma"), "no-cache");
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.header("x-tt-logid").len() > 20, "{answer:?}");
}

#[test]
fn a_web_login_by_basic_and_by_the_body_has_a_profile_and_is_refreshed() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let (id, secret) = (home.app(AppKind::Web), web_secret(&home));
    let authorization = basic(&id, &secret);
    for by_basic in [true, false] {
        let (head, more): (&[&str], &[(&str, &str)]) = match by_basic {
            true => (&[&authorization], &[]),
            false => (&[], &[("client_id", &id), ("client_secret", &secret)]),
        };
        let code = bridge.code(&home, AppKind::Web, &[]);
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", REDIRECT),
        ];
        let granted = bridge.token(head, &[&form, more].concat());
        is_a_grant(&granted);
        let token = format!("Authorization: Bearer {}", granted.text("access_token"));
        let profile = bridge.get("/userinfo", &[&token]);
        assert_eq!(profile.status, 200, "{profile:?}");
        assert_eq!(profile.text("sub"), "7300000000000000001");
        assert_eq!(profile.text("name"), "Alice");
        let mut spent = granted.text("refresh_token");
        for _ in 0..2 {
            let form = [("grant_type", "refresh_token"), ("refresh_token", &*spent)];
            let renewed = bridge.token(head, &[&form, more].concat());
            is_a_grant(&renewed);
            assert_ne!(renewed.text("refresh_token"), spent);
            let again = bridge.token(head, &[&form, more].concat());
            let words = again.refused(400, "invalid_grant");
            assert!(
                words.starts_with("Coze refused: invalid_grant (HTTP 400): "),
                "{words}"
            );
            let log_id = again.header("x-tt-logid");
            assert!(
                words.ends_with(&format!("[log id {log_id}]")) && log_id.len() > 20,
                "{again:?}"
            );
            spent = renewed.text("refresh_token");
        }
    }
    assert_eq!(bridge.end().code, Some(0));
}

#[test]
fn a_pkce_login_needs_no_secret() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let id = home.app(AppKind::Pkce);
    let challenge = [
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let code = bridge.code(&home, AppKind::Pkce, &challenge);
    let form = |verifier| {
        [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", REDIRECT),
            ("client_id", &*id),
            ("code_verifier", verifier),
        ]
    };
    let granted = bridge.token(&[], &form(VERIFIER));
    is_a_grant(&granted);
    let spent = bridge.token(&[], &form(VERIFIER));
    spent.refused(400, "invalid_grant");
    let token = granted.text("refresh_token");
    // As libraries do that always have a pair: the secret is empty.
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
    is_a_grant(&bridge.token(&[&basic(&id, "")], &form));
}

#[test]
fn a_device_login_waits_is_slowed_down_and_is_approved() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let id = home.app(AppKind::Device);
    let started = bridge.post(
        "/device_authorization",
        &[],
        &[("client_id", &id), ("scope", "profile")],
    );
    assert_eq!(started.status, 200, "{started:?}");
    let json = started.json();
    assert_eq!(
        (&json["expires_in"], &json["interval"]),
        (&json!(300), &json!(5))
    );
    let page = format!("{}/oauth/device-activation", home.mock.base_url());
    assert_eq!(json["verification_uri"], page);
    let (user, device) = (started.text("user_code"), started.text("device_code"));
    assert_eq!(
        json["verification_uri_complete"],
        format!("{page}?user_code={user}")
    );
    let form = [
        ("grant_type", DEVICE),
        ("device_code", &*device),
        ("client_id", &*id),
    ];
    bridge
        .token(&[], &form)
        .refused(400, "authorization_pending");
    bridge.token(&[], &form).refused(400, "slow_down");
    home.mock
        .decide_device(&user, DeviceAction::Approve)
        .expect("it waits");
    home.mock
        .clock()
        .advance(std::time::Duration::from_secs(120));
    let granted = bridge.token(&[], &form);
    is_a_grant(&granted);
    let token = granted.text("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*token),
        ("client_id", &*id),
    ];
    is_a_grant(&bridge.token(&[], &form));
}

#[test]
fn a_machine_token_is_for_a_configured_client() {
    let home = Home::new();
    let bridge = Bridge::with_machine(&home, &[]);
    let (id, secret) = MACHINE;
    let form = [
        ("grant_type", "client_credentials"),
        ("session_name", "user-42"),
    ];
    let granted = bridge.token(&[&basic(id, secret)], &form);
    is_a_grant(&granted);
    assert_eq!(granted.json()["refresh_token"], json!(null));
    let again = bridge.token(
        &[],
        &[&form[..1], &[("client_id", id), ("client_secret", secret)]].concat(),
    );
    is_a_grant(&again);
    assert_ne!(granted.text("access_token"), again.text("access_token"));
    let sent = home.mock.requests();
    let name =
        |nth: usize| sent[nth].jwt.as_ref().expect("an assertion").payload["session_name"].clone();
    assert_eq!(
        (sent.len(), name(0), name(1)),
        (2, json!("user-42"), json!(null))
    );
}

#[test]
fn a_library_finds_the_endpoints_by_itself() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let found = bridge.get("/.well-known/oauth-authorization-server", &[]);
    assert_eq!(found.status, 200, "{found:?}");
    let at = |path: &str| format!("http://{}{path}", bridge.to);
    assert_eq!(
        found.json(),
        json!({
            "issuer": at(""),
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "device_authorization_endpoint": at("/device_authorization"),
            "userinfo_endpoint": at("/userinfo"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", DEVICE],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "code_challenge_methods_supported": ["S256", "plain"],
        })
    );
    assert_eq!(bridge.issuer, at(""));
    // Under the name that the client has written.
    let host = format!("Host: localhost:{}", bridge.to.port());
    let found = bridge.get("/.well-known/oauth-authorization-server", &[&host]);
    assert_eq!(
        found.text("issuer"),
        format!("http://localhost:{}", bridge.to.port())
    );
    let none = bridge.get("/.well-known/openid-configuration", &[]);
    let words = none.refused(404, "invalid_request");
    assert!(words.contains("not OpenID Connect"), "{words}");
}
