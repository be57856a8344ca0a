//! The control plane and the library's own handles.

use std::time::Duration;

use bytes::Bytes;
use coze_auth_mock::{Consent, CozeAuthMock, DeviceAction, NotWaiting, SetupError};
use http::Request;
use serde_json::{Value, json};

use crate::support::{
    CALLBACK, DEVICE, DEVICE_CODE, JWT, Mock, NOW, PKCE, SECRET, TOKEN, WEB, authorize_url,
    exchange, query_value,
};

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
        "came",
        "fix",
        "logid",
        "error",
    ] {
        assert!(refused.json[member].is_string(), "{member}");
    }
    let slashes = authorize_url(&[]).replace("/api/", "//api/");
    assert_eq!(ask(&slashes, "approve").json["rule"], "path.known");
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
    assert_eq!(m.mock.device(&user_code, DeviceAction::Deny), Ok(()));
    assert_eq!(
        m.mock.device(&user_code, DeviceAction::Approve),
        Err(NotWaiting::Decided)
    );
    assert_eq!(
        m.mock.device("nobody", DeviceAction::Approve),
        Err(NotWaiting::Unknown)
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
    ] {
        assert_eq!(clock(body.clone()).status, 400, "{body}");
    }
    assert_eq!(m.me("pat_mock_alice").status, 200, "at the end of time too");
}

#[test]
fn the_journal_can_be_filtered_and_forgotten() {
    let m = Mock::new();
    m.web_tokens();
    m.device();
    m.me("pat_mock_alice");
    m.jwt(|_, _| {});
    let list = |query: &str| {
        let reply = m.get(&format!("/_mock/v1/requests{query}"), None);
        let found = reply.json["requests"].as_array().expect("a list").clone();
        found
            .iter()
            .map(|entry| entry["seq"].as_u64().expect("a number"))
            .collect::<Vec<_>>()
    };
    assert_eq!(list(""), [1, 2, 3, 4, 5], "the control plane is not in it");
    assert_eq!(list("?endpoint=token"), [2, 5]);
    assert_eq!(list("?grant=jwt_bearer"), [5]);
    assert_eq!(list(&format!("?client_id={DEVICE}")), [3]);
    assert_eq!(list("?since=3"), [4, 5]);
    assert_eq!(list("?since=1&limit=2"), [4, 5]);
    assert_eq!(m.get("/_mock/v1/requests?colour=red", None).status, 400);

    let all = m
        .get("/_mock/v1/requests?endpoint=token&limit=1", None)
        .json;
    let entry = &all["requests"][0];
    assert_eq!(entry["at_ms"], NOW * 1000);
    assert_eq!(entry["method"], "POST");
    assert_eq!(entry["path"], TOKEN);
    assert_eq!(entry["client"], JWT);
    assert_eq!(entry["jwt"]["header"]["kid"], "mock-jwt-key-1");
    assert_eq!(entry["jwt"]["payload"]["aud"], "api.coze.cn");
    assert_eq!(entry["json"]["grant_type"], crate::support::JWT_GRANT);
    assert_eq!(entry["outcome"]["status"], 200);
    assert!(entry["outcome"]["logid"].is_string());
    assert!(entry["elapsed_us"].is_u64());

    let request = Request::delete("/_mock/v1/requests").body(Bytes::new());
    assert_eq!(m.send(request.expect("a request")).status, 200);
    assert_eq!(list(""), [0; 0]);
    m.me("pat_mock_alice");
    assert_eq!(list(""), [6], "numbers go on");
}

#[test]
fn reset_goes_back_to_the_first_moment() {
    let m = Mock::new();
    let before = m.web_tokens();
    assert!(m.mock.revoke("pat_mock_alice"));
    m.pass(5);
    assert_eq!(m.control("/reset", &json!({})).status, 200);
    assert_eq!(m.me(&before.0).rule(), Some("token.known"));
    assert_eq!(m.me("pat_mock_alice").status, 200);
    assert_eq!(m.mock.requests().len(), 2);
    assert_eq!(m.clock.unix_ms(), (NOW + 5) * 1000, "the clock stays");
    m.mock.reset();
    assert_eq!(m.web_tokens(), before, "the same ids again");
}

#[test]
fn every_answer_can_be_explained() {
    let m = Mock::new();
    let explain = |logid: &str| m.get(&format!("/_mock/v1/explain/{logid}"), None);
    let refused = m.post(TOKEN, Some(SECRET), &exchange(WEB, "code_unknown"));
    let told = explain(refused.header("x-tt-logid")).json;
    assert_eq!(told["rule"], "code.known");
    assert_eq!(told["evidence"], "guess");
    assert_eq!(told["expected"], "a code that this server issued");
    for member in ["text", "reference", "came", "fix"] {
        assert!(told[member].is_string(), "{member}");
    }
    let fine = m.exchange_web(&m.code(&[]));
    let told = explain(fine.header("x-tt-logid")).json;
    assert_eq!(told["rule"], Value::Null);
    assert_eq!(
        told["text"],
        "authorization_code succeeded: every rule held."
    );
    assert_eq!(explain("nobody").status, 404);
}

#[test]
fn tokens_can_be_revoked() {
    let m = Mock::new();
    let (access, refresh) = m.web_tokens();
    for token in [&access, &refresh] {
        assert_eq!(
            m.control("/tokens/revoke", &json!({ "token": token }))
                .status,
            200
        );
    }
    let reply = m.me(&access);
    assert_eq!((reply.status, reply.rule()), (401, Some("token.revoked")));
    assert_eq!(reply.json["code"], 4100);
    assert_eq!(m.refresh_web(&refresh).rule(), Some("refresh.revoked"));
    let unknown = m.control("/tokens/revoke", &json!({ "token": "nobody-knows-this" }));
    assert_eq!(unknown.status, 404);
    assert!(!unknown.text.contains("nobody-knows-this"));
    assert_eq!(
        m.control("/tokens/paint", &json!({ "token": access }))
            .status,
        404
    );
}

#[test]
fn the_control_plane_answers_only_to_this_machine() {
    let m = Mock::new();
    let ask = |name: &str, value: &str| {
        let request = Request::get("/_mock/v1/requests").header(name, value);
        m.send(request.body(Bytes::new()).expect("a request"))
            .status
    };
    for host in ["localhost:9777", "127.0.0.1", "127.9.9.9:1", "[::1]:9777"] {
        assert_eq!(ask("Host", host), 200, "{host}");
        assert_eq!(ask("Origin", &format!("http://{host}")), 200, "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "10.0.0.1:9777",
        "api.coze.cn",
    ] {
        assert_eq!(ask("Host", host), 403, "{host}");
        assert_eq!(ask("Origin", &format!("http://{host}")), 403, "{host}");
    }
    assert_eq!(ask("Origin", "null"), 403);
    let request = Request::get("/v1/users/me")
        .header("Host", "api.coze.cn")
        .header("Authorization", "Bearer pat_mock_alice");
    let reply = m.send(request.body(Bytes::new()).expect("a request"));
    assert_eq!(reply.status, 200, "the data plane goes by any name");
    assert_eq!(m.get("/_mock/v1/nothing", None).status, 404);
    assert_eq!(m.get("/_mock/v1/reset", None).status, 405);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let build = |id: &str, on| CozeAuthMock::builder().rule(id, on).build().err();
    assert!(matches!(
        build("code.single-use", false),
        Some(SetupError::UnknownRule(_))
    ));
    assert!(matches!(
        build("path.known", false),
        Some(SetupError::NoSwitch(_))
    ));
    let answer = |status| {
        CozeAuthMock::builder()
            .answer("code.known", status, None)
            .build()
            .err()
    };
    for status in [0, 199, 302, 600] {
        assert!(matches!(answer(status), Some(SetupError::BadAnswer(_, s)) if s == status));
    }
    let everywhere = CozeAuthMock::builder().listen(([0, 0, 0, 0], 0).into());
    let refused = everywhere.start_blocking().err();
    assert!(matches!(refused, Some(SetupError::NotLoopback(_))));
    assert!(refused.is_some_and(|error| error.to_string().contains("127.0.0.1")));
}

/// Mounted below a path, everything that the mock sends back points below it.
#[test]
fn the_router_can_be_nested() {
    let (builder, _) = crate::support::builder();
    let mock = builder.build().expect("a mock");
    let app = axum::Router::new().nest("/coze", mock.router());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let send = |request: Request<String>| {
        let request = request.map(axum::body::Body::from);
        let response = runtime.block_on(tower::ServiceExt::oneshot(app.clone(), request));
        let (parts, body) = response.expect("an answer").into_parts();
        let body = runtime
            .block_on(axum::body::to_bytes(body, 1 << 20))
            .expect("a body");
        (
            parts,
            serde_json::from_slice::<Value>(&body).unwrap_or_default(),
        )
    };
    let device = Request::post(format!("/coze{DEVICE_CODE}"))
        .header("Host", "localhost:8000")
        .header("Content-Type", "application/json")
        .body(json!({ "client_id": DEVICE }).to_string());
    let (_, started) = send(device.expect("a request"));
    assert_eq!(
        started["verification_uri"],
        "http://localhost:8000/coze/oauth/device-activation"
    );
    let url = authorize_url(&[]).replace("http://localhost/", "http://localhost:8000/coze/");
    let (parts, _) = send(Request::get(&url).body(String::new()).expect("a request"));
    let location = parts.headers["location"].to_str().expect("text");
    assert!(
        location.starts_with("http://localhost:8000/coze/oauth/consent?authorize_key="),
        "{location}"
    );
    let (parts, _) = send(
        Request::get(location)
            .body(String::new())
            .expect("a request"),
    );
    assert_eq!(parts.status, 200);
    let ask = Request::post("http://localhost:8000/coze/_mock/v1/authorize")
        .body(json!({ "url": url, "action": "approve" }).to_string());
    let (_, redirect) = send(ask.expect("a request"));
    assert!(redirect["redirect"].is_string(), "{redirect}");
    let info = Request::get("http://localhost:8000/coze/_mock/v1/info").body(String::new());
    assert_eq!(
        send(info.expect("a request")).1["base_url"],
        "http://localhost:8000/coze"
    );
}

#[test]
fn the_banner_says_what_is_not_as_coze() {
    let plain = Mock::new().mock.banner();
    assert!(!plain.contains("Not as Coze"), "{plain}");
    let m = Mock::with(|builder| {
        builder
            .rule("code.single_use", false)
            .rule("authorize.state", true)
            .answer("device.pending", 400, None)
            .consent(Consent::Deny)
    });
    let banner = m.mock.banner();
    for line in [
        "rule code.single_use is OFF",
        "rule authorize.state is on",
        "rule device.pending is answered with 400 authorization_pending",
        "everything is denied at once",
        "http://localhost",
        "export COZE_WEB_OAUTH_CLIENT_SECRET='mock-web-secret'",
    ] {
        assert!(banner.contains(line), "{line} is missing in {banner}");
    }
    let environment = m.mock.environment();
    assert!(
        environment.contains("export COZE_JWT_OAUTH_PRIVATE_KEY='-----BEGIN PRIVATE KEY-----\n")
    );
    assert!(environment.ends_with("-----END PRIVATE KEY-----'\n"));
}
