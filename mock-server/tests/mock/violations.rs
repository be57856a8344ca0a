//! For each rule a request that breaks it.

use bytes::Bytes;
use http::Request;
use serde_json::json;

use crate::support::*;

/// A request that breaks the rule and no other, sent to a fresh mock.
pub(crate) fn violate(id: &str, m: &Mock) -> Reply {
    let authorize = |parameters: &[(&str, &str)]| m.get(target(&authorize_url(parameters)), None);
    let token = |body| m.post(TOKEN, Some(SECRET), &body);
    let challenge = s256("a verifier");
    let pkce = || {
        m.code(&[
            ("client_id", PKCE),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ])
    };
    match id {
        "path.known" => m.get("//v1/users/me", Some("pat_mock_alice")),
        "path.api" => m.get("/v3/chat", Some("pat_mock_alice")),
        "path.method" => m.get(TOKEN, None),
        "body.limit" => m.post(
            DEVICE_CODE,
            None,
            &json!({ "client_id": "x".repeat(70_000) }),
        ),
        "body.json" => raw(
            m,
            DEVICE_CODE,
            "application/x-www-form-urlencoded",
            "client_id=x",
        ),
        "param.once" => raw(
            m,
            DEVICE_CODE,
            "application/json",
            r#"{"client_id":"a","client_id":"a"}"#,
        ),
        "param.required" => m.post(DEVICE_CODE, None, &json!({})),
        "param.length" => {
            let workspace = "w".repeat(2_049);
            let path = format!("/api/permission/oauth2/workspace_id/{workspace}/device/code");
            m.post(&path, None, &json!({ "client_id": DEVICE }))
        }
        "param.page" => m.get("/v1/workspaces?page_num=0", Some("pat_mock_alice")),
        "grant.supported" => token(json!({ "grant_type": "password" })),
        "client.known" => m.post(DEVICE_CODE, None, &json!({ "client_id": "nobody" })),
        "client.enabled" => {
            let changed = m.control(&format!("/apps/{DEVICE}"), &json!({ "enabled": false }));
            assert_eq!(changed.status, 200);
            m.post(DEVICE_CODE, None, &json!({ "client_id": DEVICE }))
        }
        "client.kind" => m.post(DEVICE_CODE, None, &json!({ "client_id": WEB })),
        "client.secret_missing" => m.post(TOKEN, None, &exchange(WEB, &m.code(&[]))),
        "client.secret" => m.post(TOKEN, Some("wrong"), &exchange(WEB, &m.code(&[]))),
        "authorize.response_type" => authorize(&[("response_type", "token")]),
        "authorize.redirect_uri" => authorize(&[("redirect_uri", "http://evil.example/")]),
        "authorize.redirect_uri_form" => authorize(&[("redirect_uri", "javascript:alert(1)")]),
        "authorize.state" => authorize(&[("state", "")]),
        "authorize.code_challenge" => authorize(&[("client_id", PKCE)]),
        "code.known" => m.exchange_web("code_nobody_knows"),
        "code.single_use" => {
            let code = m.code(&[]);
            assert_eq!(m.exchange_web(&code).status, 200);
            m.exchange_web(&code)
        }
        "code.expiry" => {
            let code = m.code(&[]);
            m.pass(300);
            m.exchange_web(&code)
        }
        "code.client" => {
            let code = m.code(&[("client_id", PKCE), ("code_challenge", "plain verifier")]);
            let mut body = exchange(WEB, &code);
            body["code_verifier"] = json!("plain verifier");
            token(body)
        }
        "code.redirect_uri" => {
            let mut body = exchange(WEB, &m.code(&[]));
            body["redirect_uri"] = json!(format!("{CALLBACK}/"));
            token(body)
        }
        "pkce.verifier" => m.exchange_pkce(&pkce(), "another verifier"),
        "pkce.verifier_length" => m.exchange_pkce(&pkce(), "a verifier"),
        "refresh.known" => m.refresh_web("mock_nobody_knows"),
        "refresh.rotate" => {
            let (_, first) = m.web_tokens();
            assert_eq!(m.refresh_web(&first).status, 200);
            m.refresh_web(&first)
        }
        "refresh.expiry" => {
            let (_, first) = m.web_tokens();
            m.pass(30 * 24 * 3600);
            m.refresh_web(&first)
        }
        "refresh.client" => {
            let (_, first) = m.web_tokens();
            m.post(TOKEN, None, &refresh(PKCE, &first))
        }
        "refresh.revoked" => {
            let (_, first) = m.web_tokens();
            assert_eq!(
                m.control("/tokens/revoke", &json!({ "token": first }))
                    .status,
                200
            );
            m.refresh_web(&first)
        }
        _ if id.starts_with("device.") => violate_device(id, m),
        _ if id.starts_with("jwt.") => violate_jwt(id, m),
        _ if id.starts_with("workload.") => violate_workload(id, m),
        "token.known" => m.me("czu_nobody_knows"),
        "token.expiry" => {
            let (access, _) = m.web_tokens();
            m.pass(900);
            m.me(&access)
        }
        "token.revoked" => {
            assert!(m.mock.revoke("pat_mock_alice"));
            m.me("pat_mock_alice")
        }
        "token.permission" => {
            let restricted = m.control("/tokens/restrict", &json!({ "token": "sat_mock_ci" }));
            assert_eq!(restricted.status, 200);
            m.me("sat_mock_ci")
        }
        _ => panic!("no request that breaks {id}: write one"),
    }
}

fn violate_device(id: &str, m: &Mock) -> Reply {
    let (device_code, user_code) = m.device();
    let decide = |action| assert_eq!(m.decide(&user_code, action).status, 200);
    match id {
        "device.known" => m.poll("nobody-knows"),
        "device.single_use" => {
            decide("approve");
            assert_eq!(m.poll(&device_code).status, 200);
            m.poll(&device_code)
        }
        "device.expired" => {
            decide("approve");
            m.pass(300);
            m.poll(&device_code)
        }
        "device.denied" => {
            decide("deny");
            m.poll(&device_code)
        }
        "device.interval" => {
            assert_eq!(m.poll(&device_code).status, 428);
            m.pass(4);
            m.poll(&device_code)
        }
        "device.pending" => m.poll(&device_code),
        _ => panic!("no request that breaks {id}: write one"),
    }
}

fn violate_jwt(id: &str, m: &Mock) -> Reply {
    let with = |body| m.post(TOKEN, Some(&assertion(NOW, |_, _| {})), &body);
    match id {
        "jwt.present" => m.post(TOKEN, None, &json!({ "grant_type": JWT_GRANT })),
        "jwt.form" => m.post(
            TOKEN,
            Some("not.a.jwt"),
            &json!({ "grant_type": JWT_GRANT }),
        ),
        "jwt.alg" => m.jwt(|header, _| header["alg"] = json!("none")),
        "jwt.kid" => m.jwt(|header, _| header["kid"] = json!("another")),
        "jwt.iss" => m.jwt(|_, claims| claims["iss"] = json!("100000000002")),
        "jwt.signature" => {
            let signed = assertion(NOW, |_, _| {});
            let (signed, _) = signed.rsplit_once('.').expect("a signature");
            let (_, other) = signed.split_once('.').expect("claims");
            let forged = format!("{signed}.{other}");
            m.post(TOKEN, Some(&forged), &json!({ "grant_type": JWT_GRANT }))
        }
        "jwt.claims" => m.jwt(|_, claims| claims["exp"] = json!("tomorrow")),
        "jwt.aud" => m.jwt(|_, claims| claims["aud"] = json!("https://api.coze.cn")),
        "jwt.exp" => m.jwt(|_, claims| {
            claims["iat"] = json!(NOW - 600);
            claims["exp"] = json!(NOW);
        }),
        "jwt.exp_after_iat" => m.jwt(|_, claims| claims["iat"] = claims["exp"].clone()),
        "jwt.jti" => {
            let once = assertion(NOW, |_, _| {});
            let body = json!({ "grant_type": JWT_GRANT });
            assert_eq!(m.post(TOKEN, Some(&once), &body).status, 200);
            m.post(TOKEN, Some(&once), &body)
        }
        "jwt.duration" => with(json!({ "grant_type": JWT_GRANT, "duration_seconds": 86_400 })),
        "jwt.scope" => with(json!({ "grant_type": JWT_GRANT, "scope": "account" })),
        _ => panic!("no request that breaks {id}: write one"),
    }
}

fn violate_workload(id: &str, m: &Mock) -> Reply {
    let exchange = |id_token: &str, kind: &str| {
        let mut pairs = token_exchange(id_token);
        pairs[2].1 = kind;
        m.form(WORKLOAD_TOKEN, &pairs)
    };
    match id {
        "workload.form" => {
            let pairs =
                credentials(WORKLOAD_SECRET).map(|(name, value)| (name.to_owned(), json!(value)));
            m.post(
                WORKLOAD_TOKEN,
                None,
                &serde_json::Value::Object(pairs.into_iter().collect()),
            )
        }
        "workload.client" => m.form(
            WORKLOAD_TOKEN,
            &[
                ("client_id", WEB),
                ("client_secret", SECRET),
                ("grant_type", "client_credentials"),
            ],
        ),
        "workload.secret" => m.form(WORKLOAD_TOKEN, &credentials("wrong")),
        "workload.subject_type" => exchange(&m.id_token(), "urn:ietf:params:oauth:token-type:jwt"),
        "workload.subject_known" => exchange("eyJ.eyJ.c2ln", ID_TOKEN_TYPE),
        "workload.subject_expiry" => {
            let token = m.id_token();
            m.pass(600);
            m.form(WORKLOAD_TOKEN, &token_exchange(&token))
        }
        "workload.lane" => {
            let mut request = form(WORKLOAD_TOKEN, &credentials(WORKLOAD_SECRET));
            request
                .headers_mut()
                .insert("x-use-ppe", http::HeaderValue::from_static("1"));
            m.send(request)
        }
        "workload.access" => m.get(PROJECT_ENV, Some("pat_mock_alice")),
        "workload.integration" => m.integration(&m.workload_token(), "integration-wechat-bot"),
        _ => panic!("no request that breaks {id}: write one"),
    }
}

fn raw(m: &Mock, path: &str, kind: &str, body: &'static str) -> Reply {
    let request = Request::post(path).header("Content-Type", kind);
    m.send(request.body(Bytes::from(body)).expect("a request"))
}
