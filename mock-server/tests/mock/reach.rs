//! Under which address clients come, and who may use the control plane.

use bytes::Bytes;
use coze_auth_mock::SetupError;
use http::Request;
use serde_json::json;

use crate::support::*;

fn get(m: &Mock, target: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::get(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    m.send(request.body(Bytes::new()).expect("a request"))
}

/// Everywhere: library, control plane, pages, device answers, worlds.
#[test]
fn the_public_url_is_in_every_address() {
    let m = Mock::with(|builder| builder.public_url("https://dev.example/coze/"));
    let public = "https://dev.example/coze";
    assert_eq!(m.mock.base_url(), public);
    assert_eq!(m.get("/_mock/v1/info", None).json["base_url"], public);
    assert!(
        m.mock
            .environment()
            .starts_with(&format!("export COZE_API_BASE='{public}'\n"))
    );
    let device = |path: &str| {
        let body = json!({ "client_id": DEVICE });
        m.post(path, None, &body).member("verification_uri")
    };
    assert_eq!(
        device(DEVICE_CODE),
        format!("{public}/oauth/device-activation")
    );
    let in_world = format!("{public}/t/w");
    assert_eq!(
        device(&format!("/t/w{DEVICE_CODE}")),
        format!("{in_world}/oauth/device-activation")
    );
    assert_eq!(m.mock.world("w").expect("a name").base_url(), in_world);
    assert_eq!(
        m.get("/_mock/v1/info?world=w", None).json["base_url"],
        in_world
    );
    assert_eq!(
        m.get("/_mock/v1/worlds", None).json["worlds"][0]["base_url"],
        in_world
    );
    let url = authorize_url(&[]);
    let page = m.get(&format!("/t/w{}", target(&url)), None);
    assert!(
        page.header("location")
            .starts_with(&format!("{in_world}/oauth/consent?"))
    );

    // What is built from the address that was handed out is understood.
    let built = url.replace("http://localhost", &in_world);
    let ask = json!({ "url": built, "action": "approve" });
    let redirect = m.control("/authorize?world=w", &ask);
    assert!(redirect.json["redirect"].is_string(), "{}", redirect.text);
    let world = m.mock.world("w").expect("a name");
    assert!(world.authorize(&built, true).is_ok());

    for (url, why) in [
        ("mock", "not an absolute URL"),
        ("ftp://mock", "neither http nor https"),
        ("http://a:b@mock", "user info"),
        ("http://mock?x=1", "query"),
    ] {
        let (builder, _) = builder();
        let refused = builder.public_url(url).build().err();
        assert!(matches!(&refused, Some(SetupError::PublicUrl(..))), "{url}");
        assert!(
            refused.is_some_and(|error| error.to_string().contains(why)),
            "{url}"
        );
    }
}

/// Behind a public URL, who is nearer comes straight here, and signs for what it sees.
#[test]
fn an_assertion_may_be_for_either_address() {
    let m = Mock::with(|builder| builder.public_url("https://dev.example/coze"));
    for aud in ["dev.example", "127.0.0.1:9777", "127.0.0.1"] {
        assert_eq!(
            m.jwt(|_, claims| claims["aud"] = json!(aud)).status,
            200,
            "{aud}"
        );
    }
    let other = m.jwt(|_, claims| claims["aud"] = json!("other.example"));
    assert_eq!(other.rule(), Some("jwt.aud"));
}

#[test]
fn a_proxy_is_trusted_only_if_configured() {
    let headers = [
        ("Host", "127.0.0.1:9777"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "dev.example"),
        ("X-Forwarded-Prefix", "/coze"),
    ];
    let base_url = |m: &Mock, target: &str| get(m, target, &headers).member("base_url");
    let plain = Mock::new();
    assert_eq!(base_url(&plain, "/_mock/v1/info"), "http://127.0.0.1:9777");
    let m = Mock::with(coze_auth_mock::Builder::trust_forwarded);
    assert_eq!(base_url(&m, "/_mock/v1/info"), "https://dev.example/coze");
    assert_eq!(
        base_url(&m, "/t/w/_mock/v1/info"),
        "https://dev.example/coze/t/w"
    );
    assert_eq!(
        base_url(&m, "/_mock/v1/info?world=w"),
        "https://dev.example/coze/t/w"
    );
    let page = get(
        &m,
        &format!("/t/w{}", target(&authorize_url(&[]))),
        &headers,
    );
    assert!(
        page.header("location")
            .starts_with("https://dev.example/coze/t/w/oauth/consent?")
    );
    let both = Mock::with(|builder| builder.trust_forwarded().public_url("http://mock"));
    assert_eq!(
        base_url(&both, "/_mock/v1/info"),
        "http://mock",
        "the public URL counts first"
    );
}

#[test]
fn the_control_plane_knows_the_public_host_and_no_other() {
    let m = Mock::with(|builder| builder.public_url("http://mock:9777/coze"));
    let status = |headers: &[(&str, &str)]| get(&m, "/_mock/v1/clock", headers).status;
    for host in ["mock:9777", "MOCK", "localhost", "127.0.0.1:9777"] {
        assert_eq!(status(&[("Host", host)]), 200, "{host}");
    }
    for host in [
        "mock.evil.example",
        "evil.example",
        "mock:9777.evil.example",
        "0.0.0.0",
    ] {
        assert_eq!(status(&[("Host", host)]), 403, "{host}");
    }
    assert_eq!(
        status(&[("Host", "mock"), ("Origin", "http://evil.example")]),
        403
    );
    assert_eq!(
        status(&[("Host", "mock"), ("Origin", "http://mock:9777")]),
        200
    );
    let forwarded = Mock::with(coze_auth_mock::Builder::trust_forwarded);
    let headers = [("Host", "evil.example"), ("X-Forwarded-Host", "localhost")];
    assert_eq!(get(&forwarded, "/_mock/v1/clock", &headers).status, 403);
}

#[test]
fn a_token_that_was_set_is_asked_for_everywhere() {
    let m = Mock::with(|builder| builder.admin_token("let-me-in"));
    assert_eq!(m.mock.admin_token(), Some("let-me-in"));
    for path in [
        "/_mock/v1/info",
        "/_mock/v1/key",
        "/_mock/v1/worlds",
        "/t/w/_mock/v1/info",
        "/_mock/v1/info?world=w",
        "/_mock/v1/none",
    ] {
        for (authorization, known) in [
            ("Bearer let-me-in", true),
            ("bearer let-me-in", true),
            ("Bearer let-me-i", false),
            ("Bearer pat_mock_alice", false),
            ("Basic let-me-in", false),
            ("Bearer ", false),
        ] {
            let reply = get(&m, path, &[("Authorization", authorization)]);
            assert_eq!(reply.status != 401, known, "{path} {authorization}");
        }
        let without = get(&m, path, &[]);
        assert_eq!(without.status, 401, "{path}");
        let error = without.json["error"].as_str().unwrap_or_default();
        assert!(error.contains("Authorization: Bearer <token>"), "{error}");
    }
    assert_eq!(get(&m, "/_mock/v1/health", &[]).status, 200);
    let foreign = [
        ("Host", "evil.example"),
        ("Authorization", "Bearer let-me-in"),
    ];
    assert_eq!(
        get(&m, "/_mock/v1/info", &foreign).status,
        403,
        "a token opens no other host"
    );
    assert_eq!(m.me("pat_mock_alice").status, 200);
    for token in ["", "two words", "ключ"] {
        let (builder, _) = builder();
        assert!(matches!(
            builder.admin_token(token).build(),
            Err(SetupError::AdminToken)
        ));
    }
}

#[test]
fn other_machines_are_allowed_explicitly_and_need_an_admin_token() {
    let everywhere = || builder().0.listen(([0, 0, 0, 0], 0).into());
    assert!(matches!(
        everywhere().start_blocking(),
        Err(SetupError::NotLoopback(_))
    ));
    let mock = everywhere()
        .allow_other_machines()
        .start_blocking()
        .expect("a mock");
    assert!(
        mock.base_url().starts_with("http://127.0.0.1:"),
        "0.0.0.0 is no address for clients"
    );
    let token = mock.admin_token().expect("a token").to_owned();
    let other = everywhere()
        .allow_other_machines()
        .start_blocking()
        .expect("a mock");
    assert_ne!(
        other.admin_token(),
        Some(&*token),
        "random, whatever the seed"
    );
    assert!(!format!("{mock:?}").contains(&token));
    let own = everywhere()
        .allow_other_machines()
        .admin_token("own")
        .start_blocking();
    assert_eq!(own.expect("a mock").admin_token(), Some("own"));
    let here = builder()
        .0
        .listen_on("localhost:0")
        .allow_other_machines()
        .start_blocking();
    assert_eq!(
        here.expect("a mock").admin_token(),
        None,
        "nobody else can come"
    );
}
