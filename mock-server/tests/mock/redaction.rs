//! No secret leaves the mock through its journal, explanations, control plane, pages or log.

use bytes::Bytes;
use http::Request;
use serde_json::json;

use crate::support::{
    DEVICE, DEVICE_CODE, DEVICE_GRANT, JWT_GRANT, Mock, PKCE, SECRET, TOKEN, WEB, assertion,
    authorize_url, exchange, refresh, target,
};

const SENTINEL: &str = "S3NT1NEL-tell-no-one";

/// Everything that the mock tells about `run`: journal, explanations.
fn told(run: impl FnOnce(&Mock)) -> String {
    let m = Mock::new();
    run(&m);
    let mut told = crate::logs::of_this_thread();
    assert!(told.contains("logid="), "the log was caught: {told}");
    told.push_str(&m.get("/_mock/v1/requests", None).text);
    for entry in m.mock.requests() {
        told.push_str(&format!("{entry:?}"));
        told.push_str(&format!("{:?}", m.mock.explain(&entry.outcome.logid)));
        let logid = &entry.outcome.logid;
        told.push_str(&m.get(&format!("/_mock/v1/explain/{logid}"), None).text);
    }
    told
}

fn assert_kept(told: &str, secret: &str) {
    if let Some(at) = told.find(secret) {
        let from = told[..at]
            .char_indices()
            .rev()
            .nth(200)
            .map_or(0, |(at, _)| at);
        panic!("{secret} got out: …{}", &told[from..at + secret.len()]);
    }
}

#[test]
fn a_sentinel_in_every_secret_place_stays_in() {
    let told = told(|m| {
        let bearer = Some(SENTINEL);
        m.me(SENTINEL);
        m.post(TOKEN, bearer, &exchange(WEB, SENTINEL));
        m.post(TOKEN, Some(SECRET), &exchange(WEB, SENTINEL));
        m.post(TOKEN, Some(SECRET), &refresh(WEB, SENTINEL));
        let mut body = exchange(PKCE, SENTINEL);
        body["code_verifier"] = json!(SENTINEL);
        m.post(TOKEN, None, &body);
        m.post(
            TOKEN,
            bearer,
            &json!({ "grant_type": JWT_GRANT, "assertion": SENTINEL }),
        );
        let poll = json!({
            "grant_type": DEVICE_GRANT, "client_id": DEVICE, "device_code": SENTINEL,
            "client_secret": SENTINEL, "unknown": { "deep": [SENTINEL] },
        });
        m.post(TOKEN, None, &poll);
        // As the name of a member.
        m.post(
            DEVICE_CODE,
            None,
            &json!({ SENTINEL: 1, "client_id": DEVICE }),
        );
        m.jwt(|header, claims| {
            header["x5c"] = json!(SENTINEL);
            claims["password"] = json!(SENTINEL);
        });
        for name in ["state", "code_challenge", "code", "token", SENTINEL] {
            m.get(target(&authorize_url(&[(name, SENTINEL)])), None);
        }
        let callback = format!("http://localhost:1/?session={SENTINEL}");
        m.get(target(&authorize_url(&[("redirect_uri", &callback)])), None);
        let evil = format!("http://evil.example/?session={SENTINEL}");
        m.get(target(&authorize_url(&[("redirect_uri", &evil)])), None);
        for (name, value) in [
            ("Authorization", SENTINEL.to_owned()),
            ("Authorization", format!("Basic {SENTINEL}")),
            ("Cookie", format!("session={SENTINEL}")),
            ("X-Api-Key", SENTINEL.to_owned()),
        ] {
            let request = Request::get("/v1/users/me").header(name, value);
            m.send(request.body(Bytes::new()).expect("a request"));
        }
        let not_json = Request::post(TOKEN).header("Content-Type", "application/json");
        m.send(not_json.body(Bytes::from(SENTINEL)).expect("a request"));
        let form = Request::post(TOKEN).body(Bytes::from(format!("client_secret={SENTINEL}")));
        m.send(form.expect("a request"));
        m.get(&format!("/oauth/consent?authorize_key={SENTINEL}"), None);
        m.get(
            &format!("/oauth/device-activation?user_code={SENTINEL}"),
            None,
        );
        m.control("/tokens/revoke", &json!({ "token": SENTINEL }));
    });
    assert_kept(&told, SENTINEL);
}

#[test]
fn what_the_mock_issues_is_masked() {
    let mut secrets = vec![SECRET.to_owned(), "pat_mock_alice".to_owned()];
    let told = told(|m| {
        let code = m.code(&[]);
        let tokens = m.exchange_web(&code);
        m.exchange_web(&code);
        let refresh_token = tokens.member("refresh_token");
        m.refresh_web(&refresh_token);
        m.refresh_web(&refresh_token);
        m.me(&tokens.member("access_token"));
        m.me(&refresh_token);
        m.me("pat_mock_alice");
        let (device_code, user_code) = m.device();
        m.poll(&device_code);
        m.decide(&user_code, "deny");
        m.poll(&device_code);
        let jwt = assertion(crate::support::NOW, |_, _| {});
        m.post(TOKEN, Some(&jwt), &json!({ "grant_type": JWT_GRANT }));
        m.post(TOKEN, Some(&jwt), &json!({ "grant_type": JWT_GRANT }));
        secrets.extend([
            code,
            refresh_token,
            tokens.member("access_token"),
            device_code,
            jwt,
        ]);
    });
    for secret in &secrets {
        assert_kept(&told, secret);
    }
    assert!(told.contains("code_m…(50 chars)"), "masked, with its kind");
    assert!(told.contains("czu_mo…(69 chars)"));
}

/// Who mixes parameters up must not find the secret in the log either.
#[test]
fn credentials_in_the_wrong_place_are_masked() {
    let token = format!("czu_mock_{}", "x".repeat(60));
    let told = told(|m| {
        for wrong in [token.as_str(), SECRET, "pat_mock_alice"] {
            m.get(target(&authorize_url(&[("client_id", wrong)])), None);
            m.get(target(&authorize_url(&[("response_type", wrong)])), None);
            m.get(&format!("/v1/{wrong}"), None);
            m.post(TOKEN, None, &json!({ "grant_type": wrong }));
            m.post(DEVICE_CODE, None, &json!({ "client_id": wrong }));
            m.jwt(|header, claims| {
                header["kid"] = json!(wrong);
                claims["aud"] = json!(wrong);
            });
            m.jwt(|_, claims| claims["aud"] = json!(wrong));
            m.jwt(|_, claims| claims["iss"] = json!(wrong));
            let agent = Request::get("/v1/users/me").header("User-Agent", wrong);
            m.send(agent.body(Bytes::new()).expect("a request"));
        }
    });
    for secret in [token.as_str(), SECRET, "pat_mock_alice"] {
        assert_kept(&told, secret);
    }
}
