//! The JWT grant (protocol §2.4, §5, §6).

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::*;

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
    for path in [
        "/api/permission/oauth2/account/1/token",
        "/api/permission/oauth2/enterprise_id/e/token",
    ] {
        for grant in [
            "authorization_code",
            "refresh_token",
            DEVICE_GRANT,
            "password",
        ] {
            let reply = m.post(path, None, &json!({ "grant_type": grant }));
            assert_eq!(reply.rule(), Some("grant.supported"), "{path} {grant}");
            let message = format!("not supported grant type: {grant}");
            assert_eq!(reply.member("error_message"), message);
            let expected = reply.explanation.and_then(|e| e.expected);
            assert!(
                expected.is_some_and(|text| text.ends_with("the only grant type of this path"))
            );
        }
    }
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

/// Word by word, the first of them misspelt as Coze has it (protocol §1.1, §13.2).
#[test]
fn what_is_wrong_with_an_assertion_is_said_in_cozes_form() {
    let m = Mock::new();
    let message = |reply: Reply| (reply.status, reply.member("error_message"));
    let said = |text: &str| (401, format!("invalid jwt: {text}"));
    let kid = m.jwt(|header, _| header["kid"] = json!("another"));
    assert_eq!(message(kid), said("kid not been registred"));
    let aud = m.jwt(|_, claims| claims["aud"] = json!("https://api.coze.cn"));
    assert_eq!(message(aud), said("aud"));
    let exp = m.jwt(|_, claims| {
        claims["iat"] = json!(NOW - 600);
        claims["exp"] = json!(NOW);
    });
    assert_eq!(message(exp), said("exp"));
    let signed = assertion(NOW, |_, _| {});
    let (signed, _) = signed.rsplit_once('.').expect("a signature");
    let (_, other) = signed.split_once('.').expect("claims");
    let forged = format!("{signed}.{other}");
    let forged = m.post(TOKEN, Some(&forged), &json!({ "grant_type": JWT_GRANT }));
    assert_eq!(message(forged), said("signature"));
}

#[test]
fn an_assertion_in_the_body_is_not_read() {
    let m = Mock::new();
    let body = json!({ "grant_type": JWT_GRANT, "assertion": assertion(NOW, |_, _| {}) });
    let without = m.post(TOKEN, None, &body);
    assert_eq!(without.rule(), Some("jwt.present"));
    let body = json!({ "grant_type": JWT_GRANT, "assertion": "not.a.jwt" });
    let beside = m.post(TOKEN, Some(&assertion(NOW, |_, _| {})), &body);
    assert_eq!(beside.status, 200, "{}", beside.text);
}

#[test]
fn a_scope_limits_nothing() {
    let m = Mock::new();
    let scope = json!({
        "account_permission": { "permission_list": ["Nobody.knows", "Connector.botChat"] },
        "anything": { "at": { "all": [1] } },
    });
    let body = json!({ "grant_type": JWT_GRANT, "scope": scope });
    let reply = m.post(TOKEN, Some(&assertion(NOW, |_, _| {})), &body);
    service_token(&reply, NOW + 900);
    assert_eq!(m.me(&reply.member("access_token")).status, 200);
    for odd in [json!("account"), json!([]), json!({ "anything": "x" })] {
        let body = json!({ "grant_type": JWT_GRANT, "scope": odd });
        let reply = m.post(TOKEN, Some(&assertion(NOW, |_, _| {})), &body);
        assert_eq!(reply.rule(), Some("jwt.scope"), "{odd}");
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
fn an_assertion_that_may_be_expired_is_spent_all_the_same() {
    let m = Mock::with(|builder| builder.rule("jwt.exp", false));
    let body = json!({ "grant_type": JWT_GRANT });
    for exp in [NOW - 60, NOW + 60] {
        let once = assertion(NOW, |_, claims| {
            claims["iat"] = json!(NOW - 600);
            claims["exp"] = json!(exp);
        });
        assert_eq!(m.post(TOKEN, Some(&once), &body).status, 200, "{exp}");
        m.pass(3600);
        let again = m.post(TOKEN, Some(&once), &body);
        assert_eq!(again.rule(), Some("jwt.jti"), "{exp}: {}", again.text);
    }
}

/// RFC 7515 §4.1.11: who does not understand what `crit` lists must not accept the JWS.
#[test]
fn a_critical_extension_is_refused() {
    let m = Mock::new();
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!(null)] {
        let reply = m.jwt(|header, _| header["crit"] = crit.clone());
        assert_eq!(
            (reply.status, reply.rule()),
            (401, Some("jwt.form")),
            "{crit}"
        );
        let actual = reply.explanation.and_then(|explanation| explanation.actual);
        assert_eq!(actual.as_deref(), Some("a header with crit"), "{crit}");
    }
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
fn a_full_memory_refuses_new_assertions_and_evicts_none() {
    let m = Mock::with(|builder| {
        let few = builder.toml("[limits]\ngrants = 2\n");
        few.expect("no mistakes")
    });
    let send = |jti: &str, lasts: u64| {
        let reply = m.jwt(|_, claims| {
            claims["iat"] = json!(NOW - 1);
            claims["jti"] = json!(jti);
            claims["exp"] = json!(NOW + lasts);
        });
        (reply.status, reply.rule())
    };
    assert_eq!(send("a", 100), (200, None));
    assert_eq!(send("b", 200), (200, None));
    assert_eq!(send("c", 300), (503, Some("jwt.jti_room")));
    assert_eq!(send("a", 300), (401, Some("jwt.jti")));
    m.pass(100);
    assert_eq!(send("c", 300), (200, None));
    assert_eq!(send("b", 300), (401, Some("jwt.jti")));
}

/// The ready-made apps have one JWT app, so there are two of a configuration here.
#[test]
fn a_key_signs_for_its_own_app_alone() {
    let app = |id: &str, kid: &str| {
        format!(
            "[[app]]\nkind = \"jwt\"\nclient_id = \"{id}\"\nkeys = [{{ kid = \"{kid}\", development = true }}]\n"
        )
    };
    let apps = app(JWT, "mock-jwt-key-1") + &app("100000000002", "another");
    let m = Mock::with(|builder| builder.toml(&apps).expect("no mistakes"));
    assert_eq!(m.jwt(|_, _| ()).status, 200);
    let other = m.jwt(|_, claims| claims["iss"] = json!("100000000002"));
    assert_eq!((other.status, other.rule()), (401, Some("jwt.iss")));
}
