//! The web and PKCE flows as clients run them, shapes and lifetimes included (protocol §2, §3).

use serde_json::{Value, json};

use crate::support::*;

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
fn an_empty_bearer_is_not_a_credential() {
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

#[test]
fn rotation_off_keeps_the_old_refresh_token() {
    let m = Mock::with(|builder| builder.rule("refresh.rotate", false));
    let (_, first) = m.web_tokens();
    for _ in 0..3 {
        assert_user_tokens(&m.refresh_web(&first));
    }
}

/// Coze may do otherwise (protocol §8).
#[test]
fn a_spent_refresh_token_does_not_end_the_grant() {
    let m = Mock::new();
    let (_, first) = m.web_tokens();
    let second = m.refresh_web(&first);
    assert_eq!(m.refresh_web(&first).rule(), Some("refresh.rotate"));
    assert_eq!(m.me(&second.member("access_token")).status, 200);
    assert_user_tokens(&m.refresh_web(&second.member("refresh_token")));
}

#[test]
fn tokens_know_where_they_belong() {
    let m = Mock::new();
    let (access, refresh_token) = m.web_tokens();
    let actual = |reply: Reply| reply.explanation.and_then(|e| e.actual).unwrap_or_default();
    assert_eq!(actual(m.me(&refresh_token)), "a refresh token");
    assert_eq!(actual(m.refresh_web(&access)), "an access token");
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
