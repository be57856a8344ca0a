//! A mock as the upstream, a shadow before it, and for each rule requests that show it.

use std::time::Duration;

use bytes::Bytes;
use coze_auth_mock::{Builder, ClockHandle, CozeAuthMock, DeviceAction, Shadow, ShadowBuilder};
use http::Request;
use serde_json::{Value, json};

use crate::assertions;
use crate::support::*;

pub(crate) const WEB: &str = "11111111111111111111111111111111.app.coze";
pub(crate) const PKCE: &str = "22222222222222222222222222222222.app.coze";
pub(crate) const DEVICE: &str = "33333333333333333333333333333333.app.coze";
pub(crate) const JWT: &str = "100000000001";
pub(crate) const WORKLOAD: &str = "55555555555555555555555555555555";
pub(crate) const SECRET: &str = "mock-web-secret";
pub(crate) const WORKLOAD_SECRET: &str =
    "mockworkloadsecret0123456789mockworkloadsecret0123456789mockwork";
pub(crate) const CALLBACK: &str = "http://localhost:8080/callback";
pub(crate) const TOKEN: &str = "/api/permission/oauth2/token";
pub(crate) const DEVICE_CODE: &str = "/api/permission/oauth2/device/code";
pub(crate) const WORKLOAD_TOKEN: &str = "/.well-known/token";
pub(crate) const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const NOW: u64 = 1_750_000_000;

/// The apps of the upstream: the ready-made ones, and a second one where two are needed. A person decides about devices alone.
pub(crate) const APPS: &str = r#"
[[app]]
kind = "web"
client_id = "11111111111111111111111111111111.app.coze"
client_secret = "mock-web-secret"
redirect_uris = ["http://localhost:8080/callback"]
consent = "approve"

[[app]]
kind = "pkce"
client_id = "22222222222222222222222222222222.app.coze"
redirect_uris = ["http://localhost:8080/callback"]
consent = "approve"

[[app]]
kind = "device"
client_id = "33333333333333333333333333333333.app.coze"

[[app]]
kind = "device"
client_id = "44444444444444444444444444444444.app.coze"

[[app]]
kind = "jwt"
client_id = "100000000001"
keys = [{ kid = "mock-jwt-key-1", development = true }]

[[app]]
kind = "jwt"
client_id = "100000000002"
keys = [{ kid = "mock-jwt-key-2", development = true }]

[[app]]
kind = "workload"
client_id = "55555555555555555555555555555555"
client_secret = "mockworkloadsecret0123456789mockworkloadsecret0123456789mockwork"

[[app]]
kind = "workload"
client_id = "66666666666666666666666666666666"
client_secret = "anotherworkloadsecret89mockworkloadsecret0123456789mockwork"
"#;

/// A mock as the upstream, and a shadow before it, which share a clock.
pub(crate) struct Pair {
    pub(crate) upstream: CozeAuthMock,
    pub(crate) shadow: Shadow,
    pub(crate) clock: ClockHandle,
}

impl Pair {
    /// The shadow knows the ready-made apps.
    pub(crate) async fn with(set: impl FnOnce(Builder) -> Builder) -> Self {
        Self::of(set, ShadowBuilder::mock_apps).await
    }

    pub(crate) async fn of(
        set: impl FnOnce(Builder) -> Builder,
        shadow: impl FnOnce(ShadowBuilder) -> ShadowBuilder,
    ) -> Self {
        let clock = ClockHandle::frozen_at(Duration::from_secs(NOW));
        let builder = CozeAuthMock::builder().clock(clock.clone());
        let builder = builder.toml(APPS).expect("a configuration");
        let upstream = set(builder).start().await.expect("a mock");
        let port = upstream.base_url().rsplit(':').next().expect("a port");
        // A name that is not the shadow's, so that no audience of the shadow's is one of the upstream's.
        let builder = Shadow::builder(&format!("http://api.coze.localhost:{port}"));
        let shadow = shadow(builder.clock(clock.clone())).start().await;
        Self {
            upstream,
            shadow: shadow.expect("a shadow"),
            clock,
        }
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Reply {
        send(self.shadow.base_url(), request).await
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// What the report says of a rule: how often both agree, differ, and were not judged.
    pub(crate) fn row(&self, id: &str) -> (u64, u64, u64) {
        let report = self.shadow.report();
        let rows = report["rules"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["rule"] == id);
        let of = |name: &str| row.map_or(0, |row| row[name].as_u64().expect("a number"));
        (of("agrees"), of("differs"), of("not_judged"))
    }

    pub(crate) fn assert_differs(&self, ids: &[&str]) {
        assert_eq!(
            self.shadow.differing(),
            ids,
            "{}",
            self.shadow.report_text()
        );
    }

    /// The answer to an authorize request with these parameters instead of the usual ones; an empty value removes one.
    pub(crate) async fn authorize(&self, parameters: &[(&str, &str)]) -> Reply {
        let mut all = vec![
            ("response_type", "code"),
            ("client_id", WEB),
            ("redirect_uri", CALLBACK),
            ("state", "state-1"),
        ];
        for (name, value) in parameters {
            all.retain(|(known, _)| known != name);
            if !value.is_empty() {
                all.push((name, value));
            }
        }
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(all)
            .finish();
        self.send(get(
            &format!("/api/permission/oauth2/authorize?{query}"),
            None,
        ))
        .await
    }

    pub(crate) async fn code(&self, parameters: &[(&str, &str)]) -> String {
        let reply = self.authorize(parameters).await;
        let to = url::Url::parse(reply.header("location")).expect("a redirect");
        let code = to.query_pairs().find(|(name, _)| name == "code");
        code.expect("a code").1.into_owned()
    }

    pub(crate) async fn pkce_code(&self, verifier: &str) -> String {
        self.code(&[
            ("client_id", PKCE),
            ("code_challenge", verifier),
            ("code_challenge_method", "plain"),
        ])
        .await
    }

    pub(crate) async fn token(&self, bearer: Option<&str>, body: &Value) -> Reply {
        self.send(post(TOKEN, bearer, body)).await
    }

    pub(crate) async fn exchange(&self, code: &str) -> Reply {
        self.token(Some(SECRET), &exchange(WEB, code)).await
    }

    pub(crate) async fn exchange_pkce(&self, code: &str, verifier: &str) -> Reply {
        let mut body = exchange(PKCE, code);
        body["code_verifier"] = json!(verifier);
        self.token(None, &body).await
    }

    /// Access and refresh token of the web app.
    pub(crate) async fn tokens(&self) -> (String, String) {
        let reply = self.exchange(&self.code(&[]).await).await;
        (reply.member("access_token"), reply.member("refresh_token"))
    }

    pub(crate) async fn refresh(&self, token: &str) -> Reply {
        self.token(Some(SECRET), &refresh(WEB, token)).await
    }

    /// Device code and user code.
    pub(crate) async fn device(&self) -> (String, String) {
        let reply = self
            .send(post(DEVICE_CODE, None, &json!({ "client_id": DEVICE })))
            .await;
        (reply.member("device_code"), reply.member("user_code"))
    }

    pub(crate) async fn poll(&self, client_id: &str, device_code: &str) -> Reply {
        let body = json!({ "grant_type": DEVICE_GRANT, "client_id": client_id, "device_code": device_code });
        self.token(None, &body).await
    }

    pub(crate) fn decide(&self, user_code: &str, action: DeviceAction) {
        self.upstream
            .decide_device(user_code, action)
            .expect("a decision");
    }

    pub(crate) async fn jwt(&self, change: impl FnOnce(&mut Value, &mut Value)) -> Reply {
        let assertion = assertion(self.clock.unix().as_secs(), change);
        self.token(Some(&assertion), &json!({ "grant_type": JWT_GRANT }))
            .await
    }

    pub(crate) async fn form(&self, pairs: &[(&str, &str)]) -> Reply {
        self.send(form(pairs)).await
    }

    pub(crate) async fn id_token(&self) -> String {
        let reply = self.form(&credentials(WORKLOAD, WORKLOAD_SECRET)).await;
        reply.member("access_token")
    }

    pub(crate) async fn me(&self, token: &str) -> Reply {
        self.send(get("/v1/users/me", Some(token))).await
    }
}

pub(crate) fn exchange(client_id: &str, code: &str) -> Value {
    json!({
        "grant_type": "authorization_code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "code": code,
    })
}

pub(crate) fn refresh(client_id: &str, token: &str) -> Value {
    json!({ "grant_type": "refresh_token", "client_id": client_id, "refresh_token": token })
}

/// A token request of a workload.
pub(crate) fn form(pairs: &[(&str, &str)]) -> Request<Bytes> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let request = Request::post(WORKLOAD_TOKEN)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(body));
    request.expect("a request")
}

pub(crate) const fn credentials<'a>(
    client_id: &'a str,
    secret: &'a str,
) -> [(&'a str, &'a str); 3] {
    [
        ("client_id", client_id),
        ("client_secret", secret),
        ("grant_type", "client_credentials"),
    ]
}

pub(crate) const fn token_exchange<'a>(
    client_id: &'a str,
    token: &'a str,
) -> [(&'a str, &'a str); 4] {
    [
        ("client_id", client_id),
        ("subject_token", token),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:id_token",
        ),
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
    ]
}

/// A signed assertion for the upstream; `change` gets header and claims before they are signed.
pub(crate) fn assertion(now: u64, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    assertions::assertion(now, |header, claims| {
        claims["aud"] = json!("api.coze.localhost");
        change(header, claims);
    })
}

fn of_page(mut request: Request<Bytes>) -> Request<Bytes> {
    let origin = http::HeaderValue::from_static("http://localhost:3000");
    request.headers_mut().insert("origin", origin);
    request
}

/// Sends requests that show whether the upstream has this rule; the last of them violates it. Returns the answer to it.
pub(crate) async fn violate(id: &str, pair: &Pair) -> Reply {
    const VERIFIER: &str = "0123456789012345678901234567890123456789012";
    match id {
        "cors.answered" => {
            let mut asks = of_page(get(TOKEN, None));
            *asks.method_mut() = http::Method::OPTIONS;
            let method = http::HeaderValue::from_static("POST");
            asks.headers_mut()
                .insert("access-control-request-method", method);
            pair.send(asks).await;
            pair.send(of_page(post(
                DEVICE_CODE,
                None,
                &json!({ "client_id": DEVICE }),
            )))
            .await
        }
        "cors.exposed" => {
            pair.send(of_page(post(
                DEVICE_CODE,
                None,
                &json!({ "client_id": DEVICE }),
            )))
            .await
        }
        "body.json" => {
            let mut request = post(DEVICE_CODE, None, &json!({ "client_id": DEVICE }));
            let kind = http::HeaderValue::from_static("text/plain");
            request.headers_mut().insert("content-type", kind);
            pair.send(request).await
        }
        "body.limit" => {
            let body = json!({ "client_id": DEVICE, "more": "x".repeat(70_000) });
            pair.send(post(DEVICE_CODE, None, &body)).await
        }
        "path.method" => pair.send(get(TOKEN, None)).await,
        "param.required" => pair.send(post(DEVICE_CODE, None, &json!({}))).await,
        "param.once" => {
            let mut request = post(DEVICE_CODE, None, &json!({}));
            *request.body_mut() = Bytes::from_static(
                br#"{"client_id":"33333333333333333333333333333333.app.coze","client_id":"a"}"#,
            );
            pair.send(request).await
        }
        "param.length" => {
            let workspace = "w".repeat(2_049);
            let path = format!("/api/permission/oauth2/workspace_id/{workspace}/device/code");
            pair.send(post(&path, None, &json!({ "client_id": DEVICE })))
                .await
        }
        "param.page" => {
            let (access, _) = pair.tokens().await;
            pair.send(get("/v1/workspaces?page_num=0", Some(&access)))
                .await
        }
        "grant.supported" => pair.token(None, &json!({ "grant_type": "password" })).await,
        "client.kind" => {
            pair.send(post(DEVICE_CODE, None, &json!({ "client_id": WEB })))
                .await
        }
        "client.secret_missing" => {
            let code = pair.code(&[]).await;
            pair.token(None, &exchange(WEB, &code)).await
        }
        "client.secret" => {
            let code = pair.code(&[]).await;
            pair.token(Some("wrong"), &exchange(WEB, &code)).await
        }
        "authorize.response_type" => pair.authorize(&[("response_type", "token")]).await,
        "authorize.redirect_uri" => {
            pair.authorize(&[("redirect_uri", "http://evil.example/")])
                .await
        }
        "authorize.redirect_uri_form" => {
            pair.authorize(&[("redirect_uri", "javascript:alert(1)")])
                .await
        }
        "authorize.state" => pair.authorize(&[("state", "")]).await,
        "authorize.code_challenge" => pair.authorize(&[("client_id", PKCE)]).await,
        "code.single_use" => {
            let code = pair.code(&[]).await;
            assert_eq!(pair.exchange(&code).await.status, 200);
            pair.exchange(&code).await
        }
        "code.expiry" => {
            let code = pair.code(&[]).await;
            pair.pass(310);
            pair.exchange(&code).await
        }
        "code.client" => {
            let code = pair.pkce_code(VERIFIER).await;
            let mut body = exchange(WEB, &code);
            body["code_verifier"] = json!(VERIFIER);
            pair.token(Some(SECRET), &body).await
        }
        "code.redirect_uri" => {
            let mut body = exchange(WEB, &pair.code(&[]).await);
            body["redirect_uri"] = json!(format!("{CALLBACK}/"));
            pair.token(Some(SECRET), &body).await
        }
        "pkce.verifier" => {
            let code = pair.pkce_code(VERIFIER).await;
            pair.exchange_pkce(&code, &VERIFIER.replace('0', "1")).await
        }
        "pkce.verifier_length" => {
            let code = pair.pkce_code("short").await;
            pair.exchange_pkce(&code, "short").await
        }
        "refresh.rotate" => {
            let (_, first) = pair.tokens().await;
            assert_eq!(pair.refresh(&first).await.status, 200);
            pair.refresh(&first).await
        }
        "refresh.expiry" => {
            let (_, first) = pair.tokens().await;
            pair.pass(30 * 24 * 3600 + 10);
            pair.refresh(&first).await
        }
        "refresh.client" => {
            let (_, first) = pair.tokens().await;
            pair.token(None, &refresh(PKCE, &first)).await
        }
        "device.client" => {
            let (code, user_code) = pair.device().await;
            pair.decide(&user_code, DeviceAction::Approve);
            pair.poll("44444444444444444444444444444444.app.coze", &code)
                .await
        }
        "device.single_use" => {
            let (code, user_code) = pair.device().await;
            pair.decide(&user_code, DeviceAction::Approve);
            assert_eq!(pair.poll(DEVICE, &code).await.status, 200);
            pair.poll(DEVICE, &code).await
        }
        "device.expired" => {
            let (code, user_code) = pair.device().await;
            pair.decide(&user_code, DeviceAction::Approve);
            pair.pass(310);
            pair.poll(DEVICE, &code).await
        }
        "device.denied" => {
            let (code, user_code) = pair.device().await;
            pair.decide(&user_code, DeviceAction::Deny);
            pair.poll(DEVICE, &code).await
        }
        "device.interval" => {
            let (code, _) = pair.device().await;
            pair.poll(DEVICE, &code).await;
            pair.pass(1);
            pair.poll(DEVICE, &code).await
        }
        "device.pending" => {
            let (code, _) = pair.device().await;
            pair.poll(DEVICE, &code).await
        }
        "jwt.present" => pair.token(None, &json!({ "grant_type": JWT_GRANT })).await,
        "jwt.form" => {
            pair.token(Some("not.a.jwt"), &json!({ "grant_type": JWT_GRANT }))
                .await
        }
        "jwt.alg" => pair.jwt(|header, _| header["alg"] = json!("none")).await,
        "jwt.kid" => pair.jwt(|header, _| header["kid"] = json!("another")).await,
        "jwt.iss" => {
            pair.jwt(|_, claims| claims["iss"] = json!("100000000002"))
                .await
        }
        "jwt.signature" => {
            let signed = assertion(pair.clock.unix().as_secs(), |_, _| {});
            let (signed, _) = signed.rsplit_once('.').expect("a signature");
            let forged = format!("{signed}.c2ln");
            pair.token(Some(&forged), &json!({ "grant_type": JWT_GRANT }))
                .await
        }
        "jwt.claims" => {
            pair.jwt(|_, claims| claims["exp"] = json!("tomorrow"))
                .await
        }
        "jwt.exp" => {
            let now = pair.clock.unix().as_secs();
            pair.jwt(|_, claims| {
                claims["iat"] = json!(now - 600);
                claims["exp"] = json!(now - 10);
            })
            .await
        }
        "jwt.exp_after_iat" => {
            pair.jwt(|_, claims| claims["iat"] = claims["exp"].clone())
                .await
        }
        "jwt.jti" => {
            let once = assertion(pair.clock.unix().as_secs(), |_, _| {});
            let body = json!({ "grant_type": JWT_GRANT });
            assert_eq!(pair.token(Some(&once), &body).await.status, 200);
            pair.token(Some(&once), &body).await
        }
        "jwt.duration" | "jwt.scope" => {
            let once = assertion(pair.clock.unix().as_secs(), |_, _| {});
            let mut body = json!({ "grant_type": JWT_GRANT });
            match id {
                "jwt.scope" => body["scope"] = json!("account"),
                _ => body["duration_seconds"] = json!(86_400),
            }
            pair.token(Some(&once), &body).await
        }
        "workload.form" => {
            let pairs = credentials(WORKLOAD, WORKLOAD_SECRET);
            let body: serde_json::Map<_, _> = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            pair.send(post(WORKLOAD_TOKEN, None, &Value::Object(body)))
                .await
        }
        "workload.secret" => pair.form(&credentials(WORKLOAD, "wrong")).await,
        "workload.client" => pair.form(&credentials(WEB, SECRET)).await,
        "workload.subject_type" => {
            let token = pair.id_token().await;
            let mut pairs = token_exchange(WORKLOAD, &token);
            pairs[2].1 = "urn:ietf:params:oauth:token-type:jwt";
            pair.form(&pairs).await
        }
        "workload.subject_expiry" => {
            let token = pair.id_token().await;
            pair.pass(610);
            pair.form(&token_exchange(WORKLOAD, &token)).await
        }
        "workload.subject_client" => {
            let token = pair.id_token().await;
            pair.form(&token_exchange("66666666666666666666666666666666", &token))
                .await
        }
        "workload.lane" => {
            let body = "client_id=55555555555555555555555555555555&client_secret=mockworkloadsecret0123456789mockworkloadsecret0123456789mockwork&grant_type=client_credentials";
            let request = Request::post(WORKLOAD_TOKEN)
                .header("content-type", "application/x-www-form-urlencoded")
                .header("x-use-ppe", "1")
                .body(Bytes::from_static(body.as_bytes()));
            pair.send(request.expect("a request")).await
        }
        "workload.access" => {
            let (access, _) = pair.tokens().await;
            pair.send(get("/api/v1/secret/env", Some(&access))).await
        }
        "workload.integration" => {
            let token = pair.id_token().await;
            let token = pair
                .form(&token_exchange(WORKLOAD, &token))
                .await
                .member("access_token");
            let body = json!({ "integration_name": "integration-wechat-bot" });
            pair.send(post("/api/v1/secret/integration", Some(&token), &body))
                .await
        }
        "token.known" => {
            let (_, refresh) = pair.tokens().await;
            pair.me(&refresh).await
        }
        "token.expiry" => {
            let (access, _) = pair.tokens().await;
            pair.pass(910);
            pair.me(&access).await
        }
        _ => panic!(
            "no requests that show {id}: write them, or say in OUT_OF_REACH why there are none"
        ),
    }
}
