//! The control plane: what a test or a person does to the mock.

use std::collections::BTreeMap;
use std::time::Duration;

use coze_auth_mock::{DeviceAction, UserCodeError};
use serde_json::{Value, json};

use crate::support::*;

#[test]
fn info_lists_the_ready_made_apps_and_tokens() {
    let m = Mock::new();
    let info = m.get("/_mock/v1/info", None).json;
    let apps = info["apps"].as_array().expect("apps");
    let named = |kind: &str| apps.iter().find(|app| app["kind"] == kind).expect("an app");
    assert_eq!(named("web")["client_id"], WEB);
    assert_eq!(named("web")["client_secret"], SECRET);
    assert_eq!(named("pkce")["client_id"], PKCE);
    assert!(named("pkce").get("client_secret").is_none());
    assert_eq!(named("device")["client_id"], DEVICE);
    assert_eq!(named("jwt")["client_id"], JWT);
    assert_eq!(named("jwt")["key_id"], "mock-jwt-key-1");
    let key = named("jwt")["private_key"].as_str().expect("a key");
    assert!(
        key.starts_with("-----BEGIN PRIVATE KEY-----\n"),
        "the bare PEM"
    );
    assert_eq!(m.get("/_mock/v1/key", None).text, key);
    for kind in ["web", "pkce"] {
        let uris = json!([
            "http://localhost:*/*",
            "http://127.0.0.1:*/*",
            "http://[::1]:*/*",
            "https://app.example/callback"
        ]);
        assert_eq!(named(kind)["redirect_uris"], uris);
    }
    let tokens = json!([
        { "kind": "pat", "value": "pat_mock_alice" },
        { "kind": "sat", "value": "sat_mock_ci" },
    ]);
    assert_eq!(info["tokens"], tokens);
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(info, m.mock.info());
    assert_eq!(m.get("/_mock/v1/health", None).json["ok"], true);
}

/// So that a helper in another language derives none of the names.
#[test]
fn variables_are_those_of_a_client() {
    let m = Mock::new();
    let variables = m.get("/_mock/v1/variables", None).json["variables"].clone();
    let expected: BTreeMap<String, String> = m.mock.variables().into_iter().collect();
    assert_eq!(variables, json!(expected));
    assert_eq!(variables["COZE_WEB_OAUTH_CLIENT_SECRET"], SECRET);
    let of_world = m.get("/t/alpha/_mock/v1/variables", None).json["variables"].clone();
    let base = of_world["COZE_API_BASE"].as_str().expect("a base");
    assert!(base.ends_with("/t/alpha"), "{base}");
}

#[test]
fn authorize_without_a_browser() {
    let m = Mock::new();
    let ask = |url: &str, action: &str| {
        m.control(
            "/authorize",
            &json!({ "url": url, "action": action, "user": "alice" }),
        )
    };
    let approved = ask(&authorize_url(&[]), "approve").member("redirect");
    assert!(
        approved.starts_with(&format!("{CALLBACK}?code=code_mock_")),
        "{approved}"
    );
    assert_eq!(query_value(&approved, "state").as_deref(), Some("state-1"));
    let code = query_value(&approved, "code").expect("a code");
    assert_eq!(m.exchange_web(&code).status, 200);
    let denied = ask(&authorize_url(&[]), "deny").member("redirect");
    assert_eq!(
        query_value(&denied, "error").as_deref(),
        Some("access_denied")
    );
    let in_workspace = authorize_url(&[]).replace("oauth2/", "oauth2/workspace_id/ws_a/");
    assert!(ask(&in_workspace, "approve").json["redirect"].is_string());

    let refused = ask(
        &authorize_url(&[("redirect_uri", "http://evil.example/")]),
        "approve",
    );
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json["rule"], "authorize.redirect_uri");
    for member in [
        "text",
        "evidence",
        "reference",
        "expected",
        "actual",
        "fix",
        "logid",
        "error",
    ] {
        assert!(refused.json[member].is_string(), "{member}");
    }
    let for_device = authorize_url(&[("client_id", DEVICE)]);
    assert_eq!(ask(&for_device, "approve").json["rule"], "client.kind");
    let slashes = authorize_url(&[]).replace("/api/", "//api/");
    assert_eq!(ask(&slashes, "approve").json["rule"], "path.known");
    let of_a_bridge = ask("http://localhost:8555/authorize?client_id=1", "approve");
    assert_eq!(of_a_bridge.json["rule"], "path.known");
    let fix = of_a_bridge.member("fix");
    assert!(
        fix.contains("which redirects the browser to that of the mock"),
        "{fix}"
    );
    assert_eq!(
        ask("http://localhost/v1/users/me", "approve").json["rule"],
        "token.known"
    );

    let seen: Vec<_> = m
        .mock
        .requests()
        .iter()
        .map(|entry| entry.endpoint)
        .collect();
    assert_eq!(seen[..3], ["authorize", "token", "authorize"]);
    for body in [
        json!({}),
        json!({ "url": authorize_url(&[]), "action": "maybe" }),
        json!({ "url": authorize_url(&[]), "action": "approve", "user": "mallory" }),
        json!({ "url": authorize_url(&[]), "action": "approve", "more": 1 }),
    ] {
        let reply = m.control("/authorize", &body);
        assert_eq!(reply.status, 400);
        assert!(reply.json["error"].is_string());
    }
}

#[test]
fn devices_are_listed_until_they_are_decided() {
    let m = Mock::new();
    let (_, first) = m.device();
    m.pass(10);
    let (_, second) = m.device();
    let listed = || {
        let list = m.get("/_mock/v1/device", None).json;
        let pending = list["pending"].as_array().expect("a list").clone();
        pending
            .iter()
            .map(|device| device["user_code"].as_str().expect("a code").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(), [first.clone(), second.clone()]);
    let lower = first.to_lowercase().replace('-', "");
    assert_eq!(m.decide(&lower, "approve").status, 200, "as people type it");
    assert_eq!(listed(), std::slice::from_ref(&second));
    m.pass(300);
    assert!(listed().is_empty());
    assert_eq!(m.decide("AAA-AAA-AAA", "approve").status, 404);
    assert_eq!(m.decide(&second, "dance").status, 400);

    let (device_code, user_code) = m.device();
    assert_eq!(m.mock.decide_device(&user_code, DeviceAction::Deny), Ok(()));
    assert_eq!(
        m.mock.decide_device(&user_code, DeviceAction::Approve),
        Err(UserCodeError::Decided)
    );
    assert_eq!(
        m.mock.decide_device("nobody", DeviceAction::Approve),
        Err(UserCodeError::Unknown)
    );
    assert_eq!(m.poll(&device_code).rule(), Some("device.denied"));
}

#[test]
fn the_clock_moves_over_http() {
    let m = Mock::new();
    let clock = |body: Value| m.control("/clock", &body);
    let now = m.get("/_mock/v1/clock", None).json;
    assert_eq!(
        now,
        json!({ "now_ms": NOW * 1000, "now": "2025-06-15T15:06:40Z", "mode": "frozen" })
    );
    assert_eq!(
        clock(json!({ "advance_ms": 1500 })).json["now_ms"],
        NOW * 1000 + 1500
    );
    assert_eq!(m.clock.steady(), Duration::from_millis(1500));
    let set = clock(json!({ "set": "2030-01-01T00:00:00Z" })).json;
    assert_eq!(set["now_ms"], 1_893_456_000_000_u64);
    assert_eq!(clock(json!({ "set_ms": 5 })).json["now_ms"], 5);
    assert_eq!(clock(json!({ "mode": "real" })).json["mode"], "real");
    assert_eq!(clock(json!({ "mode": "frozen" })).json["mode"], "frozen");
    assert_eq!(clock(json!({ "advance_ms": u64::MAX })).status, 200);
    for body in [
        json!({}),
        json!({ "advance_ms": -1 }),
        json!({ "set": "tomorrow" }),
        json!({ "set": "1969-12-31T23:59:59Z" }),
        json!({ "mode": "slow" }),
        json!({ "advance_ms": 1, "mode": "real" }),
        json!([5]),
    ] {
        assert_eq!(clock(body.clone()).status, 400, "{body}");
    }
    assert_eq!(m.me("pat_mock_alice").status, 200, "at the end of time too");
}

/// Who mistypes a control is told which there are; that each is one is a test of the document.
#[test]
fn an_unknown_control_lists_the_others() {
    let m = Mock::new();
    for path in ["/devices", "/tokens/renew"] {
        let reply = m.control(path, &json!({}));
        assert_eq!(
            (reply.status, &reply.json["error"]),
            (404, &json!("unknown control"))
        );
        let controls = reply.json["controls"].as_array().expect("a list");
        for known in ["POST /device/{user_code}", "DELETE /worlds/{name}"] {
            assert!(controls.contains(&json!(known)), "{known}");
        }
    }
}
