//! The library's own handles.

use coze_auth_mock::{AppKind, Consent, CozeAuthMock, MockApp, SetupError};
use http::Request;
use serde_json::{Value, json};

use crate::support::*;

#[test]
fn invalid_settings_are_refused() {
    let build = |id: &str, on| CozeAuthMock::builder().rule(id, on).build().err();
    assert!(matches!(
        build("code.single-use", false),
        Some(SetupError::UnknownRule(_))
    ));
    let message = build("code.single_us", false)
        .expect("no such rule")
        .to_string();
    assert!(
        message.contains("code.single_use, "),
        "it must say which there are: {message}"
    );
    assert!(matches!(
        build("path.known", false),
        Some(SetupError::NotSwitchable(_))
    ));
    let answer = |status| {
        CozeAuthMock::builder()
            .answer("code.known", status, None)
            .build()
            .err()
    };
    for status in [0, 199, 302, 600] {
        assert!(matches!(answer(status), Some(SetupError::AnswerStatus(_, s)) if s == status));
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
    assert!(environment.contains("-----END PRIVATE KEY-----'\n"));
    assert!(environment.ends_with("export COZE_SERVER_ENV='NONE'\n"));
}

#[test]
fn apps_and_variables_have_types() {
    let mock = CozeAuthMock::builder().build().expect("a mock");
    let kinds: Vec<_> = mock.apps().iter().map(MockApp::kind).collect();
    let all = [
        AppKind::Web,
        AppKind::Pkce,
        AppKind::Device,
        AppKind::Jwt,
        AppKind::Workload,
    ];
    assert_eq!(kinds, all);
    let web = mock.app(AppKind::Web).expect("a ready-made app");
    assert_eq!(web.client_id(), WEB);
    assert_eq!(web.client_secret(), Some(SECRET));
    assert_eq!((web.key_id(), web.private_key()), (None, None));
    assert_eq!(web.redirect_uris()[1], "http://127.0.0.1:*/*");
    let jwt = mock.app(AppKind::Jwt).expect("a ready-made app");
    assert_eq!(jwt.client_secret(), None);
    assert_eq!(jwt.key_id(), Some("mock-jwt-key-1"));
    let key = jwt.private_key().expect("the development key");
    assert_eq!(mock.console_token("sat").as_deref(), Some("sat_mock_ci"));
    assert_eq!(mock.console_token("other"), None);

    let variable = |name: &str| mock.variable(name).unwrap_or_default();
    assert_eq!(variable("COZE_API_BASE"), mock.base_url());
    assert_eq!(variable("COZE_WEB_OAUTH_CLIENT_ID"), WEB);
    assert_eq!(variable("COZE_JWT_OAUTH_PRIVATE_KEY"), key.trim());
    assert_eq!(mock.variable("COZE_JWT_OAUTH_CLIENT_SECRET"), None);
    assert_eq!(mock.variables().len(), 17);
    let lines = mock.environment();
    for (name, value) in mock.variables() {
        assert!(
            lines.contains(&format!("export {name}='{value}'\n")),
            "{name}"
        );
    }
    // A world's base is its own.
    let world = mock.world("w").expect("a name");
    assert_eq!(
        world.variable("COZE_API_BASE").as_deref(),
        Some(world.base_url())
    );
    assert_ne!(world.base_url(), mock.base_url());
}
