//! The flows as clients run them, shapes and lifetimes included (protocol §2, §3, §13).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{
    CALLBACK, DEVICE, DEVICE_CODE, JWT_GRANT, Mock, NOW, PKCE, Reply, SECRET, TOKEN, WEB,
    assertion, authorize_url, exchange, query_value, refresh, s256,
};

fn members(reply: &Reply) -> BTreeSet<&str> {
    let object = reply.json.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

fn assert_user_tokens(reply: &Reply) {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let names = ["access_token", "expires_in", "refresh_token", "token_type"];
    assert_eq!(members(reply), BTreeSet::from(names));
    let access = reply.member("access_token");
    assert!(
        access.starts_with("czu_mock_") && access.len() == 69,
        "{access}"
    );
    assert_eq!(reply.member("refresh_token").len(), 72);
    assert_eq!(reply.member("token_type"), "Bearer");
}

#[test]
fn a_web_app_gets_refreshes_and_uses_tokens() {
    let m = Mock::new();
    let code = m.code(&[]);
    assert!(code.starts_with("code_mock_"), "{code}");
    let first = m.exchange_web(&code);
    assert_user_tokens(&first);
    assert_eq!(first.json["expires_in"], NOW + 900, "absolute Unix seconds");

    m.pass(600);
    let second = m.refresh_web(&first.member("refresh_token"));
    assert_user_tokens(&second);
    assert_eq!(second.json["expires_in"], NOW + 1500);
    for token in [&first, &second] {
        let me = m.me(&token.member("access_token"));
        assert_eq!(me.status, 200, "a refresh leaves older access tokens alone");
        assert_eq!(me.json["code"], 0);
        assert_eq!(me.json["data"]["user_name"], "alice");
        assert!(
            me.json["data"]
                .as_object()
                .expect("data")
                .values()
                .all(Value::is_string)
        );
        assert_eq!(me.json["detail"]["logid"], me.header("x-tt-logid"));
    }
    m.pass(300);
    let expired = m.me(&first.member("access_token"));
    assert_eq!(
        (expired.status, expired.rule()),
        (401, Some("token.expiry"))
    );
    assert_eq!(expired.json["code"], 4100);
    assert_eq!(m.me(&second.member("access_token")).status, 200);
}

#[test]
fn a_code_lives_a_moment_less_than_five_minutes() {
    let m = Mock::new();
    let code = m.code(&[]);
    m.pass(299);
    assert_eq!(m.exchange_web(&code).status, 200);
}

#[test]
fn a_failed_exchange_does_not_use_the_code_up() {
    let m = Mock::new();
    let code = m.code(&[]);
    let wrong = m.post(TOKEN, Some("wrong"), &exchange(WEB, &code));
    assert_eq!(
        (wrong.status, wrong.member("error_code")),
        (401, "invalid_client".to_owned())
    );
    let mut body = exchange(WEB, &code);
    body["redirect_uri"] = json!("http://localhost:8080/other");
    assert_eq!(
        m.post(TOKEN, Some(SECRET), &body).rule(),
        Some("code.redirect_uri")
    );
    assert_eq!(m.exchange_web(&code).status, 200);
}

#[test]
fn pkce_with_both_methods_and_a_short_verifier() {
    let m = Mock::new();
    for (verifier, challenge, method) in [
        ("ver", "ver".to_owned(), "plain"),
        ("ver", "ver".to_owned(), ""),
        // RFC 7636 appendix B.
        (
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned(),
            "S256",
        ),
        ("ver", s256("ver"), "S256"),
    ] {
        let code = m.code(&[
            ("client_id", PKCE),
            ("code_challenge", &challenge),
            ("code_challenge_method", method),
        ]);
        let hash = m.exchange_pkce(&code, &challenge);
        if method == "S256" {
            assert_eq!(
                hash.rule(),
                Some("pkce.verifier"),
                "the challenge is no verifier"
            );
            assert_user_tokens(&m.exchange_pkce(&code, verifier));
        } else {
            assert_user_tokens(&hash);
        }
    }
}

#[test]
fn pkce_cannot_be_left_out_or_added_afterwards() {
    let m = Mock::new();
    let code = m.code(&[("client_id", PKCE), ("code_challenge", "ver")]);
    let without = m.post(TOKEN, None, &exchange(PKCE, &code));
    assert_eq!(without.rule(), Some("pkce.verifier"));
    let mut body = exchange(WEB, &m.code(&[]));
    body["code_verifier"] = json!("ver");
    assert_eq!(
        m.post(TOKEN, Some(SECRET), &body).rule(),
        Some("pkce.verifier")
    );
}

#[test]
fn a_web_app_used_with_pkce_alone_is_told_about_the_secret() {
    let m = Mock::new();
    let code = m.code(&[("code_challenge", "ver")]);
    let mut body = exchange(WEB, &code);
    body["code_verifier"] = json!("ver");
    let reply = m.post(TOKEN, None, &body);
    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.member("error_message"),
        "invalid request: client_secret"
    );
    assert_user_tokens(&m.post(TOKEN, Some(SECRET), &body));
}

#[test]
fn a_web_app_needs_its_secret_to_refresh() {
    let m = Mock::new();
    let (_, token) = m.web_tokens();
    let reply = m.post(TOKEN, None, &refresh(WEB, &token));
    assert_eq!(reply.rule(), Some("client.secret_missing"));
    let reply = m.post(TOKEN, Some("wrong"), &refresh(WEB, &token));
    assert_eq!(reply.rule(), Some("client.secret"));
    assert_user_tokens(&m.refresh_web(&token));
}

/// coze-js and coze-go send an empty Bearer for public clients (protocol §2.3).
#[test]
fn an_empty_bearer_is_no_credential() {
    let m = Mock::new();
    let code = m.code(&[("client_id", PKCE), ("code_challenge", "ver")]);
    let mut body = exchange(PKCE, &code);
    body["code_verifier"] = json!("ver");
    let reply = m.post(TOKEN, Some(""), &body);
    assert_user_tokens(&reply);
    let token = reply.member("refresh_token");
    assert_user_tokens(&m.post(TOKEN, Some(""), &refresh(PKCE, &token)));
    assert_eq!(
        m.post(DEVICE_CODE, Some(""), &json!({ "client_id": DEVICE }))
            .status,
        200
    );
    let reply = m.post(TOKEN, Some(""), &exchange(WEB, &m.code(&[])));
    assert_eq!(reply.rule(), Some("client.secret_missing"));
    assert_eq!(m.me("").rule(), Some("token.known"));
}

#[test]
fn a_device_waits_is_approved_and_gets_tokens_once() {
    let m = Mock::new();
    let workspace = "/api/permission/oauth2/workspace_id/ws1/device/code";
    for path in [DEVICE_CODE, workspace] {
        let started = m.post(path, None, &json!({ "client_id": DEVICE }));
        assert_eq!(started.status, 200);
        assert_eq!(started.json["expires_in"], 300, "a duration");
        assert_eq!(started.json["interval"], 5);
        let uri = "http://127.0.0.1:9777/oauth/device-activation";
        assert_eq!(started.json["verification_uri"], uri);
        let (device_code, user_code) = (started.member("device_code"), started.member("user_code"));
        let shape: Vec<_> = user_code.split('-').map(str::len).collect();
        assert_eq!(shape, [3, 3, 3], "{user_code}");

        let pending = m.poll(&device_code);
        assert_eq!(pending.status, 428);
        assert_eq!(pending.member("error_code"), "authorization_pending");
        assert_eq!(pending.member("error"), "authorization_pending");
        assert_eq!(m.decide(&user_code, "approve").status, 200);
        assert_user_tokens(&m.poll(&device_code));
        assert_eq!(m.poll(&device_code).rule(), Some("device.single_use"));
        assert_eq!(m.decide(&user_code, "deny").status, 409);
    }
}

#[test]
fn polls_keep_the_interval_with_a_quarter_second_of_tolerance() {
    let m = Mock::new();
    let (device_code, user_code) = m.device();
    let poll_after = |ms| {
        m.clock.advance(std::time::Duration::from_millis(ms));
        m.poll(&device_code).rule()
    };
    assert_eq!(
        poll_after(0),
        Some("device.pending"),
        "never the first poll"
    );
    assert_eq!(poll_after(4749), Some("device.interval"));
    assert_eq!(poll_after(4750), Some("device.pending"));
    assert_eq!(poll_after(5000), Some("device.pending"));
    assert_eq!(poll_after(0), Some("device.interval"));
    m.decide(&user_code, "approve");
    assert_eq!(poll_after(0), None, "who is approved gets the tokens");
}

#[test]
fn a_device_can_be_expired_by_hand_and_by_time() {
    let m = Mock::new();
    let (device_code, user_code) = m.device();
    m.decide(&user_code, "expire");
    let reply = m.poll(&device_code);
    assert_eq!(
        (reply.status, reply.member("error_code")),
        (400, "expired_token".to_owned())
    );
    assert_eq!(m.decide(&user_code, "approve").status, 409);

    let (device_code, user_code) = m.device();
    m.pass(299);
    assert_eq!(m.poll(&device_code).rule(), Some("device.pending"));
    m.pass(1);
    assert_eq!(m.poll(&device_code).rule(), Some("device.expired"));
    assert_eq!(m.decide(&user_code, "approve").status, 409);
}

#[test]
fn a_device_token_refreshes_without_a_secret() {
    let m = Mock::with(|builder| builder.consent(coze_auth_mock::Consent::Approve));
    let (device_code, _) = m.device();
    let first = m.poll(&device_code);
    assert_user_tokens(&first);
    let second = m.post(
        TOKEN,
        None,
        &refresh(DEVICE, &first.member("refresh_token")),
    );
    assert_user_tokens(&second);
}

#[test]
fn consent_can_be_given_or_refused_for_everyone() {
    use coze_auth_mock::Consent;
    let url = authorize_url(&[]);
    let ask = |consent| {
        let m = Mock::with(|builder| builder.consent(consent));
        let (device_code, _) = m.device();
        let target = crate::support::target(&url).to_owned();
        (m.get(&target, None), m.poll(&device_code))
    };
    let (authorize, device) = ask(Consent::Approve);
    let location = authorize.header("location");
    assert_eq!(authorize.status, 302);
    assert!(location.starts_with(CALLBACK), "{location}");
    assert_eq!(query_value(location, "state").as_deref(), Some("state-1"));
    assert!(query_value(location, "code").is_some());
    assert_eq!(device.status, 200);

    let (authorize, device) = ask(Consent::Deny);
    let location = authorize.header("location");
    assert_eq!(
        query_value(location, "error").as_deref(),
        Some("access_denied")
    );
    assert!(query_value(location, "error_description").is_some());
    assert_eq!(query_value(location, "state").as_deref(), Some("state-1"));
    assert_eq!(query_value(location, "code"), None);
    assert_eq!(device.rule(), Some("device.denied"));
}

fn service_token(reply: &Reply, expires_in: u64) {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let names = ["access_token", "expires_in", "token_type"];
    assert_eq!(members(reply), BTreeSet::from(names), "no refresh token");
    let token = reply.member("access_token");
    assert!(
        token.starts_with("czs_mock_") && token.len() == 69,
        "{token}"
    );
    assert_eq!(reply.json["expires_in"], expires_in);
}

#[test]
fn jwt_bodies_as_the_official_sdks_send_them() {
    let m = Mock::new();
    let scope = json!({
        "account_permission": { "permission_list": ["Connector.botChat"] },
        "attribute_constraint": { "connector_bot_chat_attribute": { "bot_id_list": ["b1"] } },
        "workspace_permission": null,
    });
    for (body, ttl) in [
        (json!({}), 900),
        (json!({ "duration_seconds": 900, "scope": null }), 900),
        (
            json!({ "duration_seconds": 86_399, "scope": scope }),
            86_399,
        ),
        (
            json!({ "duration_seconds": 1, "client_id": "100000000001" }),
            1,
        ),
        (json!({ "account_id": 5, "enterprise_id": "" }), 900),
    ] {
        for path in [
            TOKEN,
            "/api/permission/oauth2/account/7300000000000000001/token",
            "/api/permission/oauth2/enterprise_id/volcano_210195/token",
        ] {
            let mut body = body.clone();
            body["grant_type"] = json!(JWT_GRANT);
            let reply = m.post(path, Some(&assertion(NOW, |_, _| {})), &body);
            service_token(&reply, NOW + ttl);
            assert_eq!(m.me(&reply.member("access_token")).status, 200);
        }
    }
    let reply = m.post(
        "/api/permission/oauth2/account/1/token",
        None,
        &exchange(WEB, "x"),
    );
    assert_eq!(reply.rule(), Some("grant.supported"));
    assert_eq!(
        reply.member("error_message"),
        "not supported grant type: authorization_code"
    );
}

#[test]
fn audiences_that_official_sdks_send_are_accepted() {
    let m = Mock::new();
    for aud in [
        json!("api.coze.cn"),
        json!("api.coze.com"),
        json!("127.0.0.1"),
        json!("127.0.0.1:9777"),
        json!(["api.coze.cn"]),
    ] {
        let reply = m.jwt(|_, claims| claims["aud"] = aud.clone());
        assert_eq!(reply.status, 200, "{aud}: {}", reply.text);
    }
    for aud in [
        json!("127.0.0.1:9778"),
        json!("evil.example"),
        json!(null),
        json!([]),
        json!(5),
    ] {
        let reply = m.jwt(|_, claims| claims["aud"] = aud.clone());
        assert_eq!(
            (reply.status, reply.rule()),
            (401, Some("jwt.aud")),
            "{aud}"
        );
    }
}

#[test]
fn a_missing_or_odd_claim_is_named() {
    let m = Mock::new();
    for claim in ["iss", "iat", "exp", "jti"] {
        for value in [json!(null), json!(""), json!([1]), json!(1.5)] {
            let reply = m.jwt(|_, claims| claims[claim] = value.clone());
            assert_eq!(reply.rule(), Some("jwt.claims"), "{claim}: {value}");
            assert_eq!(
                reply.member("error_message"),
                format!("invalid jwt: {claim}")
            );
        }
    }
    let reply = m.jwt(|_, claims| claims["iss"] = json!(WEB));
    assert_eq!(reply.rule(), Some("client.kind"));
    for exp in [i64::MIN, -1, 0] {
        let reply = m.jwt(|_, claims| {
            claims["exp"] = json!(exp);
            claims["iat"] = json!(exp.saturating_sub(1));
        });
        assert!(
            matches!(reply.rule(), Some("jwt.exp" | "jwt.exp_after_iat")),
            "{exp}"
        );
    }
    let reply = m.jwt(|_, claims| claims["exp"] = json!(i64::MAX));
    assert_eq!(reply.status, 200, "no documented maximum");
}

#[test]
fn an_assertion_is_spent_although_its_body_was_refused() {
    let m = Mock::new();
    let once = assertion(NOW, |_, _| {});
    let body = |seconds: u64| json!({ "grant_type": JWT_GRANT, "duration_seconds": seconds });
    assert_eq!(
        m.post(TOKEN, Some(&once), &body(0)).rule(),
        Some("jwt.duration")
    );
    assert_eq!(m.post(TOKEN, Some(&once), &body(1)).rule(), Some("jwt.jti"));
}

#[test]
fn rotation_off_keeps_the_old_refresh_token() {
    let m = Mock::with(|builder| builder.rule("refresh.rotate", false));
    let (_, first) = m.web_tokens();
    for _ in 0..3 {
        assert_user_tokens(&m.refresh_web(&first));
    }
}

#[test]
fn tokens_know_where_they_belong() {
    let m = Mock::new();
    let (access, refresh_token) = m.web_tokens();
    let came = |reply: Reply| reply.explanation.and_then(|e| e.came).unwrap_or_default();
    assert_eq!(came(m.me(&refresh_token)), "a refresh token");
    assert_eq!(came(m.refresh_web(&access)), "an access token");
    for token in ["pat_mock_alice", "sat_mock_ci"] {
        m.pass(400 * 24 * 3600);
        assert_eq!(m.me(token).status, 200, "{token} never expires");
    }
}

#[test]
fn the_same_seed_gives_the_same_tokens() {
    assert_eq!(Mock::new().web_tokens(), Mock::new().web_tokens());
    let other = Mock::with(|builder| builder.seed(2));
    assert_ne!(Mock::new().web_tokens(), other.web_tokens());
}
