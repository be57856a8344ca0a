//! What every test of the mock needs: a mock on a frozen clock, requests, signed assertions.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use coze_auth_mock::{Builder, ClockHandle, CozeAuthMock, Explanation};
use http::{Request, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) use crate::assertions::{assertion, assertion_by};

pub(crate) const WEB: &str = "11111111111111111111111111111111.app.coze";
pub(crate) const PKCE: &str = "22222222222222222222222222222222.app.coze";
pub(crate) const DEVICE: &str = "33333333333333333333333333333333.app.coze";
pub(crate) const JWT: &str = "100000000001";
pub(crate) const WORKLOAD: &str = "55555555555555555555555555555555";
pub(crate) const SECRET: &str = "mock-web-secret";
pub(crate) const WORKLOAD_SECRET: &str =
    "mockworkloadsecret0123456789mockworkloadsecret0123456789mockwork";
pub(crate) const CALLBACK: &str = "http://localhost:8080/callback";
pub(crate) const NOW: u64 = 1_750_000_000;
/// Of real time, so that a test that waits for nothing fails and does not hang.
pub(crate) const GUARD: Duration = Duration::from_secs(20);

pub(crate) const TOKEN: &str = "/api/permission/oauth2/token";
pub(crate) const WORKLOAD_TOKEN: &str = "/.well-known/token";
pub(crate) const INTEGRATION: &str = "/api/v1/secret/integration";
pub(crate) const PROJECT_ENV: &str = "/api/v1/secret/env";
pub(crate) const DEVICE_CODE: &str = "/api/permission/oauth2/device/code";
pub(crate) const EXCHANGE_GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const ID_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:id_token";
pub(crate) const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A mock on a frozen clock, without a socket.
pub(crate) struct Mock {
    pub(crate) mock: CozeAuthMock,
    pub(crate) clock: ClockHandle,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
    pub(crate) explanation: Option<Explanation>,
}

impl Reply {
    pub(crate) fn rule(&self) -> Option<&'static str> {
        self.explanation
            .as_ref()
            .and_then(|explanation| explanation.rule)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    pub(crate) fn member(&self, name: &str) -> String {
        let value = self.json[name].as_str();
        value
            .unwrap_or_else(|| panic!("no {name} in {}", self.text))
            .to_owned()
    }
}

pub(crate) fn builder() -> (Builder, ClockHandle) {
    crate::logs::catch();
    let clock = ClockHandle::frozen_at(Duration::from_secs(NOW));
    (CozeAuthMock::builder().seed(1).clock(clock.clone()), clock)
}

impl Mock {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(set: impl FnOnce(Builder) -> Builder) -> Self {
        let (builder, clock) = builder();
        let mock = set(builder).build().expect("a mock");
        Self { mock, clock }
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn send(&self, request: Request<Bytes>) -> Reply {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let reply = self.reply(self.mock.call_blocking(request));
        crate::documented::check(&self.mock, &method, &uri, &reply);
        reply
    }

    pub(crate) fn reply(&self, response: Response<Bytes>) -> Reply {
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.to_vec()).expect("text");
        let logid = parts.headers.get("x-tt-logid");
        let logid = logid.and_then(|logid| logid.to_str().ok());
        Reply {
            status: parts.status.as_u16(),
            json: serde_json::from_str(&text).unwrap_or(Value::Null),
            explanation: logid.and_then(|logid| self.mock.explain(logid)),
            headers: parts.headers,
            text,
        }
    }

    pub(crate) fn get(&self, target: &str, bearer: Option<&str>) -> Reply {
        let mut request = Request::get(target);
        if let Some(bearer) = bearer {
            request = request.header("Authorization", format!("Bearer {bearer}"));
        }
        self.send(request.body(Bytes::new()).expect("a request"))
    }

    pub(crate) fn post(&self, path: &str, bearer: Option<&str>, body: &Value) -> Reply {
        self.send(post(path, bearer, body))
    }

    pub(crate) fn control(&self, path: &str, body: &Value) -> Reply {
        self.post(&format!("/_mock/v1{path}"), None, body)
    }

    /// An approved authorization code.
    pub(crate) fn code(&self, parameters: &[(&str, &str)]) -> String {
        let url = authorize_url(parameters);
        let redirect = self
            .mock
            .authorize(&url, true)
            .expect("an accepted request");
        query_value(&redirect, "code").expect("a code")
    }

    pub(crate) fn exchange_web(&self, code: &str) -> Reply {
        self.post(TOKEN, Some(SECRET), &exchange(WEB, code))
    }

    pub(crate) fn exchange_pkce(&self, code: &str, verifier: &str) -> Reply {
        let mut body = exchange(PKCE, code);
        body["code_verifier"] = json!(verifier);
        self.post(TOKEN, None, &body)
    }

    /// Access and refresh token of the web app.
    pub(crate) fn web_tokens(&self) -> (String, String) {
        let reply = self.exchange_web(&self.code(&[("client_id", WEB)]));
        assert_eq!(reply.status, 200, "{}", reply.text);
        (reply.member("access_token"), reply.member("refresh_token"))
    }

    pub(crate) fn refresh_web(&self, token: &str) -> Reply {
        self.post(TOKEN, Some(SECRET), &refresh(WEB, token))
    }

    /// Device code and user code.
    pub(crate) fn device(&self) -> (String, String) {
        let reply = self.post(DEVICE_CODE, None, &json!({ "client_id": DEVICE }));
        assert_eq!(reply.status, 200, "{}", reply.text);
        (reply.member("device_code"), reply.member("user_code"))
    }

    pub(crate) fn poll(&self, device_code: &str) -> Reply {
        let body = json!({
            "grant_type": DEVICE_GRANT,
            "client_id": DEVICE,
            "device_code": device_code,
        });
        self.post(TOKEN, None, &body)
    }

    pub(crate) fn decide(&self, user_code: &str, action: &str) -> Reply {
        self.control(
            &format!("/device/{user_code}"),
            &json!({ "action": action }),
        )
    }

    /// A JWT grant with the standard assertion, changed by `change`.
    pub(crate) fn jwt(&self, change: impl FnOnce(&mut Value, &mut Value)) -> Reply {
        let assertion = assertion(self.clock.unix().as_secs(), change);
        self.post(TOKEN, Some(&assertion), &json!({ "grant_type": JWT_GRANT }))
    }

    pub(crate) fn form(&self, path: &str, pairs: &[(&str, &str)]) -> Reply {
        self.send(form(path, pairs))
    }

    /// The id token of the workload.
    pub(crate) fn id_token(&self) -> String {
        let reply = self.form(WORKLOAD_TOKEN, &credentials(WORKLOAD_SECRET));
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.member("access_token")
    }

    /// An access token of the workload.
    pub(crate) fn workload_token(&self) -> String {
        let reply = self.form(WORKLOAD_TOKEN, &token_exchange(&self.id_token()));
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.member("access_token")
    }

    pub(crate) fn integration(&self, token: &str, name: &str) -> Reply {
        self.post(
            INTEGRATION,
            Some(token),
            &json!({ "integration_name": name }),
        )
    }

    pub(crate) fn me(&self, token: &str) -> Reply {
        self.get("/v1/users/me", Some(token))
    }
}

pub(crate) fn post(path: &str, bearer: Option<&str>, body: &Value) -> Request<Bytes> {
    let mut request = Request::post(path)
        .header("Host", "127.0.0.1:9777")
        .header("Content-Type", "application/json");
    if let Some(bearer) = bearer {
        request = request.header("Authorization", format!("Bearer {bearer}"));
    }
    let body = Bytes::from(body.to_string());
    request.body(body).expect("a request")
}

pub(crate) fn form(path: &str, pairs: &[(&str, &str)]) -> Request<Bytes> {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    let body = Bytes::from(body.extend_pairs(pairs).finish());
    let request = Request::post(path).header("Host", "127.0.0.1:9777");
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    request.body(body).expect("a request")
}

/// W1 of the ready-made workload, as its client sends it.
pub(crate) const fn credentials(secret: &str) -> [(&str, &str); 3] {
    [
        ("client_id", WORKLOAD),
        ("client_secret", secret),
        ("grant_type", "client_credentials"),
    ]
}

/// W2 of the ready-made workload, as its client sends it.
pub(crate) const fn token_exchange(id_token: &str) -> [(&str, &str); 4] {
    [
        ("client_id", WORKLOAD),
        ("subject_token", id_token),
        ("subject_token_type", ID_TOKEN_TYPE),
        ("grant_type", EXCHANGE_GRANT),
    ]
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
    json!({
        "grant_type": "refresh_token",
        "client_id": client_id,
        "refresh_token": token,
    })
}

/// A web app's authorize URL, its parameters replaced or added to; an empty value removes one.
pub(crate) fn authorize_url(parameters: &[(&str, &str)]) -> String {
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
    let mut url = url::Url::parse("http://localhost/api/permission/oauth2/authorize").expect("URL");
    url.query_pairs_mut().extend_pairs(all);
    url.into()
}

/// Path and query of an authorize URL, to request it.
pub(crate) fn target(url: &str) -> &str {
    url.strip_prefix("http://localhost").expect("our own URL")
}

pub(crate) fn query_value(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).expect("a URL");
    let found = url.query_pairs().find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned())
}

pub(crate) fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// The names of the members of a JSON answer.
pub(crate) fn members(reply: &Reply) -> BTreeSet<&str> {
    let object = reply.json.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

pub(crate) fn assert_user_tokens(reply: &Reply) {
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
