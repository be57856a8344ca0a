//! Requests that the released official SDKs really send, recorded: the mock must accept each, and the
//! core's own must mean the same. `captures/README.md` tells how they were made.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::part;
use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::device::DeviceApp;
use coze_auth_core::endpoint::{AccountId, EnterpriseId, WorkspaceId};
use coze_auth_core::jwt::{JwtApp, JwtGrant, JwtIssuer, RsaKey, SessionContext, Signer};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::scope::Scope;
use coze_auth_core::web::WebApp;
use coze_auth_core::workload::{Lane, WorkloadApp, WorkloadEndpoints};
use coze_auth_core::{
    AccessToken, Body, ClientSecret, Endpoints, Entropy, Flow, Now, RefreshToken, Request,
    Response, SteadyTime, Step, UnixTime, http, whoami,
};
use coze_auth_mock::{AppKind, ClockHandle, Consent, CozeAuthMock};
use serde_json::{Value, json};

const FILES: [&str; 5] = [
    include_str!("captures/cozepy.jsonl"),
    include_str!("captures/cozejs.jsonl"),
    include_str!("captures/cozego.jsonl"),
    include_str!("captures/cozejava.jsonl"),
    include_str!("captures/cozeloop.jsonl"),
];

const WORKLOAD: &str = include_str!("captures/workload.jsonl");

const WEB: &str = "11111111111111111111111111111111.app.coze";
const PKCE: &str = "22222222222222222222222222222222.app.coze";
const DEVICE: &str = "33333333333333333333333333333333.app.coze";
const JWT: &str = "100000000001";
const REDIRECT: &str = "https://app.example/callback";

fn captures() -> impl Iterator<Item = Value> {
    let lines = FILES.iter().flat_map(|file| file.lines());
    lines.map(|line| serde_json::from_str(line).expect("a capture"))
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// The first word of `sdk`.
fn sdk(capture: &Value) -> &str {
    text(capture, "sdk").split(' ').next().unwrap_or_default()
}

/// What a capture is a request for, and by which app: `refresh cidp`, `jwt`.
fn call(capture: &Value) -> String {
    let (body, target) = (&capture["body"], text(capture, "target"));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let grant = text(body, "grant_type").rsplit(':').next();
    let what = match grant.unwrap_or_default() {
        "" if path.ends_with("/device/code") => "device start",
        "" if path.ends_with("/authorize") && query.contains("code_challenge=") => "authorize cidp",
        "" if path.ends_with("/authorize") => "authorize cid w",
        "" => path.trim_start_matches("/v1/"),
        "authorization_code" => "code",
        "refresh_token" => "refresh",
        "device_code" => "device poll",
        // The assertion names the app.
        "jwt-bearer" => return "jwt".to_owned(),
        other => panic!("an unknown grant {other}"),
    };
    let workspace = if target.contains("/workspace_id/") {
        " in a workspace"
    } else {
        ""
    };
    format!("{what}{workspace} {}", text(body, "client_id"))
        .trim_end()
        .to_owned()
}

/// A recorded request's headers by lower-case name: all of them, or the two that were kept.
fn headers(capture: &Value) -> BTreeMap<String, String> {
    let Some(head) = capture["head"].as_array() else {
        return serde_json::from_value(capture["headers"].clone()).expect("headers");
    };
    let lines = head.iter().filter_map(Value::as_str);
    let pairs = lines.map(|line| line.split_once(": ").expect("a header"));
    pairs
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect()
}

// ---------------------------------------------------------------------------------------------
// The mock accepts them.

struct Server {
    mock: CozeAuthMock,
    key: RsaKey,
}

impl Server {
    /// A server at the time of the recording, with everybody's consent.
    fn at(unix: u64) -> Self {
        let clock = ClockHandle::frozen_at(Duration::from_secs(unix));
        let mock = CozeAuthMock::builder()
            .seed(1)
            .clock(clock)
            .consent(Consent::Approve)
            .build()
            .expect("a mock");
        let app = mock.app(AppKind::Jwt).expect("a JWT app");
        let key = RsaKey::from_pem(app.private_key().expect("a key")).expect("a key");
        Self { mock, key }
    }

    fn post(&self, path: &str, authorization: Option<&str>, body: &Value) -> (u16, Value) {
        let json = ("content-type", "application/json");
        let credential = authorization.map(|credential| ("authorization", credential));
        self.request("POST", path, credential.into_iter().chain([json]), body)
    }

    fn request<'a>(
        &self,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &Value,
    ) -> (u16, Value) {
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.send(request.body(body.into()).expect("a request"))
    }

    fn send(&self, request: http::Request<bytes::Bytes>) -> (u16, Value) {
        let response = self.mock.call_blocking(request);
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(response.body()).unwrap_or_default(),
        )
    }

    /// An authorization code, with the recorded verifier's plain challenge if there is one.
    fn code(&self, client_id: &str, verifier: &str) -> String {
        let mut query =
            format!("response_type=code&client_id={client_id}&redirect_uri={REDIRECT}&state=s");
        if !verifier.is_empty() {
            query += &format!("&code_challenge={verifier}&code_challenge_method=plain");
        }
        self.approved(&format!("/api/permission/oauth2/authorize?{query}"))
    }

    /// The code that a person's yes on this page brings.
    fn approved(&self, target: &str) -> String {
        let url = format!("{}{target}", self.mock.base_url());
        let back = self.mock.authorize(&url, true);
        part(&back.unwrap_or_else(|refused| panic!("{refused}")), "code")
    }

    fn device_code(&self) -> String {
        let (status, started) = self.post(
            "/api/permission/oauth2/device/code",
            None,
            &json!({ "client_id": DEVICE }),
        );
        assert_eq!(status, 200, "{started}");
        text(&started, "device_code").to_owned()
    }

    fn refresh_token(&self, client_id: &str, authorization: Option<&str>) -> String {
        let mut body = json!({ "client_id": client_id, "grant_type": "authorization_code", "redirect_uri": REDIRECT });
        if client_id == DEVICE {
            body["grant_type"] = "urn:ietf:params:oauth:grant-type:device_code".into();
            body["device_code"] = self.device_code().into();
        } else {
            let verifier = if client_id == PKCE { "ver" } else { "" };
            body["code"] = self.code(client_id, verifier).into();
            if !verifier.is_empty() {
                body["code_verifier"] = verifier.into();
            }
        }
        let (status, granted) = self.post("/api/permission/oauth2/token", authorization, &body);
        assert_eq!(status, 200, "{granted}");
        text(&granted, "refresh_token").to_owned()
    }

    /// An access token of the JWT grant.
    fn jwt_token(&self) -> String {
        let claims =
            json!({ "aud": "api.example", "iat": RECORDED, "exp": RECORDED + 900, "jti": "own" });
        let header = json!({ "alg": "RS256", "typ": "JWT" });
        let assertion = self.sign(&json!({ "header": header, "claims": claims }));
        let body = json!({ "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer" });
        let credential = format!("Bearer {assertion}");
        let (status, granted) = self.post("/api/permission/oauth2/token", Some(&credential), &body);
        assert_eq!(status, 200, "{granted}");
        text(&granted, "access_token").to_owned()
    }

    /// The recorded header and claims under the mock's key; only what names the app is replaced.
    fn sign(&self, assertion: &Value) -> String {
        let (mut header, mut claims) = (assertion["header"].clone(), assertion["claims"].clone());
        header["kid"] = "mock-jwt-key-1".into();
        claims["iss"] = JWT.into();
        let here = self.mock.base_url().trim_start_matches("http://");
        match text(&claims, "aud") {
            "api.example:8080" => claims["aud"] = here.into(),
            "api.example" => {
                claims["aud"] = here.split(':').next().unwrap_or_default().into();
            }
            _ => {}
        }
        common::assertion(&header, &claims, |input| {
            self.key.sign_rs256(input).expect("a signature")
        })
    }
}

/// A time at which every SDK's recorded assertion is fresh.
const RECORDED: u64 = 1_795_391_251;

/// Client id, secret, redirect URI, code and tokens become this server's; every other member and header
/// stays as it was recorded, the verifier of three characters and the empty Bearer included.
#[test]
fn the_mock_accepts_what_the_sdks_send() {
    let mut accepted = BTreeMap::new();
    for capture in captures() {
        let at = format!("{} {}", sdk(&capture), call(&capture));
        let server = Server::at(RECORDED + 1);
        *accepted.entry(sdk(&capture).to_owned()).or_insert(0) += 1;
        if call(&capture).starts_with("authorize") {
            let target = text(&capture, "target")
                .replace("client_id=cid+w", &format!("client_id={WEB}"))
                .replace("client_id=cidp", &format!("client_id={PKCE}"))
                .replace(
                    "https%3A%2F%2Fapp.example%2Fcb",
                    "https%3A%2F%2Fapp.example%2Fcallback",
                );
            assert!(!server.approved(&target).is_empty(), "{at}");
            continue;
        }
        let mut headers = headers(&capture);
        headers.remove("host");
        headers.remove("content-length");
        if let Some(credential) = headers.get_mut("authorization") {
            *credential = match credential.as_str() {
                "Bearer sec" => "Bearer mock-web-secret".into(),
                "Bearer pat_x" => "Bearer pat_mock_alice".into(),
                "Bearer <jwt>" => format!("Bearer {}", server.sign(&capture["assertion"])),
                "Bearer czs_x" => format!("Bearer {}", server.jwt_token()),
                "Bearer" => "Bearer".into(), // as public clients send it
                other => panic!("an unknown credential {other}"),
            };
        }
        let authorization = headers.get("authorization").map(String::as_str);
        let mut body = capture["body"].clone();
        let client_id = match text(&body, "client_id") {
            "cid w" => WEB,
            "cidp" => PKCE,
            "cidd" => DEVICE,
            "cidj" => JWT,
            "" => "",
            other => panic!("an unknown client {other}"),
        };
        let verifier = text(&body, "code_verifier").to_owned();
        for (member, value) in body.as_object_mut().into_iter().flatten() {
            *value = match member.as_str() {
                "client_id" => client_id.into(),
                "redirect_uri" => REDIRECT.into(),
                "code" => server.code(client_id, &verifier).into(),
                "refresh_token" => server.refresh_token(client_id, authorization).into(),
                "device_code" => server.device_code().into(),
                _ => continue,
            };
        }
        let pairs = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let (method, target) = (text(&capture, "method"), text(&capture, "target"));
        let (status, answer) = server.request(method, target, pairs, &body);
        assert_eq!(status, 200, "{at}: {answer} to {body}");
        let got = ["access_token", "device_code", "data"]
            .iter()
            .find(|member| !answer[**member].is_null());
        assert!(got.is_some(), "{at}: {answer}");
    }
    let counts: Vec<(&str, i32)> = accepted
        .iter()
        .map(|(sdk, count)| (sdk.as_str(), *count))
        .collect();
    assert_eq!(
        counts,
        [
            ("@coze/api", 10),
            ("coze-api", 23),
            ("coze-go", 26),
            ("cozeloop", 1),
            ("cozeloop-core", 1),
            ("cozeloop-go", 1),
            ("cozepy", 11),
        ]
    );
}

/// Where the recorder had the four endpoints, and where the mock has them.
const RECORDED_AT: [(&str, &str); 4] = [
    ("/id/token", "/.well-known/token"),
    ("/access/token", "/.well-known/token"),
    ("/secret/integration", "/api/v1/secret/integration"),
    ("/secret/env", "/api/v1/secret/env"),
];

/// Client id, secret and tokens become this server's; every header and every other member stays as it was recorded.
#[test]
fn the_mock_accepts_what_the_workload_client_sends() {
    let app = "[[app]]\nkind = \"workload\"\nclient_id = \"w\"\nclient_secret = \"s\"\nintegrations = [{ name = \"integration-feishu-base\", credential = \"c\" }, { name = \"x\", credential = \"c\" }]\n";
    let mut accepted = 0;
    for capture in WORKLOAD.lines() {
        let capture: Value = serde_json::from_str(capture).expect("a capture");
        let mock = CozeAuthMock::builder().toml(app).expect("no mistakes");
        // The one rule that is off by default, and holds of this client.
        let mock = mock.rule("workload.lane", true).build().expect("a mock");
        let send =
            |method: &str, target: &str, headers: &BTreeMap<String, String>, body: String| {
                let mut request = http::Request::builder().method(method).uri(target);
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                let response = mock.call_blocking(request.body(body.into()).expect("a request"));
                let answer = serde_json::from_slice::<Value>(response.body()).unwrap_or_default();
                (response.status().as_u16(), answer)
            };
        let form = |members: &Value, id_token: &str| {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for member in members.as_array().into_iter().flatten() {
                let (name, recorded) = (member[0].as_str(), member[1].as_str());
                let value = match name.expect("a name") {
                    "client_id" => "w",
                    "client_secret" => "s",
                    "subject_token" => id_token,
                    _ => recorded.expect("a value"),
                };
                form.append_pair(name.expect("a name"), value);
            }
            form.finish()
        };
        // The grant before, by the recorded requests of the client.
        let first = |grant: &str, id_token: &str| {
            let mut all = WORKLOAD.lines().filter(|line| line.contains(grant));
            let recorded = all.next().expect("a recorded request");
            let recorded: Value = serde_json::from_str(recorded).expect("a capture");
            let body = form(&recorded["form"], id_token);
            let (status, answer) = send("POST", "/.well-known/token", &headers(&recorded), body);
            assert_eq!(status, 200, "{answer}");
            text(&answer, "access_token").to_owned()
        };
        let id_token = first("client_credentials", "");
        let access = first("token-exchange", &id_token);

        let mut headers = headers(&capture);
        if let Some(credential) = headers.get_mut("authorization") {
            *credential = format!("Bearer {access}");
        }
        let body = match &capture["body"] {
            Value::Null => form(&capture["form"], &id_token),
            body => body.to_string(),
        };
        let (recorded, target) = RECORDED_AT
            .into_iter()
            .find(|(recorded, _)| capture["target"] == *recorded)
            .expect("one of the four");
        let paths = [recorded, target];
        // Of the two token requests the recorder's paths are the mock's own as well.
        let paths = match capture["form"].is_array() {
            true => &paths[..],
            false => &paths[1..],
        };
        for path in paths {
            let (status, answer) = send(text(&capture, "method"), path, &headers, body.clone());
            assert_eq!(status, 200, "{answer} to {capture}");
            let got = ["access_token", "data"];
            let got = got.iter().any(|member| !answer[member].is_null());
            assert!(got, "{answer} to {capture}");
        }
        accepted += 1;
    }
    assert_eq!(accepted, 16);
}

// ---------------------------------------------------------------------------------------------
// The core sends the same.

/// Where the core's request differs from a recorded one, and why it should. `*` is both SDKs.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "*",
        "header accept: ours only",
        "we read JSON and nothing else; a gateway may heed it",
    ),
    (
        "*",
        "header accept-encoding: ours only",
        "what the SDKs' HTTP clients add is not compared; a gateway should compress nothing",
    ),
    (
        "@coze/api",
        "header authorization: theirs only",
        "an empty Bearer is no credential (protocol §2.3, §11)",
    ),
    (
        "coze-go",
        "header authorization: theirs only",
        "as @coze/api, but none at the device flow's first two requests",
    ),
    (
        "coze-go",
        "header content-type: other value",
        "JSON has no charset (RFC 8259 §11)",
    ),
    (
        "cozeloop-core",
        "header content-type: other value",
        "as coze-go",
    ),
    (
        "*",
        "body code_verifier: other value",
        "the recorded ones have 3 or 16 characters; RFC 7636 §4.1 asks for 43 (protocol §11)",
    ),
    (
        "cozepy",
        "body scope: theirs only",
        "null says nothing; what is not asked for is not sent (protocol §2.4)",
    ),
    ("cozeloop", "body scope: theirs only", "as cozepy"),
    (
        "coze-go",
        "body client_id: theirs only",
        "the assertion says whose it is (protocol §2.4)",
    ),
    ("cozeloop-go", "body client_id: theirs only", "as coze-go"),
    ("cozeloop-core", "body client_id: theirs only", "as coze-go"),
    (
        "coze-go",
        "body account_id: theirs only",
        "the path says it (protocol §2.1)",
    ),
    (
        "coze-go",
        "body enterprise_id: theirs only",
        "the path says it, if no account is named (protocol §2.1)",
    ),
    (
        "*",
        "claim exp: other value",
        "the assertion lives 600 s, not 900 to 3600: it is sent at once (protocol §5)",
    ),
    (
        "*",
        "claim jti: other value",
        "random, and 64 characters (protocol §5)",
    ),
    (
        "@coze/api",
        "claim aud: other value",
        "the SDK leaves it to the caller, we say the host we call (protocol §1.3)",
    ),
    (
        "coze-api",
        "claim aud: other value",
        "the host without its port (protocol §1.3)",
    ),
    ("cozeloop-core", "claim aud: other value", "as coze-api"),
    (
        "coze-api",
        "claim session_context: other value",
        "null for the one of the two that is not named (protocol §5)",
    ),
    ("*", "query state: other value", "ours is made, and random"),
    (
        "*",
        "query code_challenge: other value",
        "that of another verifier",
    ),
];

/// The members of a request by name: `method`, `header accept`, `query state`, `body code`, `claim iss`.
fn members(
    method: &str,
    target: &str,
    headers: &BTreeMap<String, String>,
    body: &Value,
    claims: &Value,
) -> BTreeMap<String, Value> {
    let base = url::Url::parse("https://api.example").expect("a URL");
    let url = base.join(target).expect("a target");
    let mut all = BTreeMap::from([
        ("method".to_owned(), method.into()),
        ("path".to_owned(), url.path().into()),
    ]);
    for (name, value) in url.query_pairs() {
        all.insert(format!("query {name}"), value.as_ref().into());
    }
    for (kind, object) in [("body", body), ("claim", claims)] {
        for (member, value) in object.as_object().into_iter().flatten() {
            all.insert(format!("{kind} {member}"), value.clone());
        }
    }
    all.extend(
        headers
            .iter()
            .map(|(name, value)| (format!("header {name}"), value.as_str().into())),
    );
    all
}

fn recorded(capture: &Value) -> BTreeMap<String, Value> {
    // These two, of any file.
    let headers = serde_json::from_value(capture["headers"].clone()).expect("headers");
    let claims = &capture["assertion"]["claims"];
    members(
        text(capture, "method"),
        text(capture, "target"),
        &headers,
        &capture["body"],
        claims,
    )
}

/// The link of a login as a request without headers.
fn link(url: &coze_auth_core::authorize::AuthorizeUrl) -> BTreeMap<String, Value> {
    let none = BTreeMap::new();
    members("GET", url.as_str(), &none, &Value::Null, &Value::Null)
}

fn ours(request: &Request) -> BTreeMap<String, Value> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.headers() {
        // The User-Agent is each client's own.
        if name != "user-agent" {
            headers.insert(name.to_string(), value.to_str().expect("ASCII").to_owned());
        }
    }
    let mut claims = Value::Null;
    if let Some(assertion) = headers
        .get("authorization")
        .and_then(|value| common::claims(value))
    {
        claims = assertion;
        headers.insert("authorization".into(), "Bearer <jwt>".into());
    }
    let body = serde_json::from_slice(request.body().as_bytes()).unwrap_or_default();
    members(
        request.method().as_str(),
        request.uri().path(),
        &headers,
        &body,
        &claims,
    )
}

/// The same permissions.
fn scope_of(scope: &Value) -> Scope {
    let list = |object: &Value, member: &str| -> Vec<String> {
        serde_json::from_value(object[member].clone()).unwrap_or_default()
    };
    let mut ours = Scope::new().account(list(&scope["account_permission"], "permission_list"));
    let bots = &scope["attribute_constraint"]["connector_bot_chat_attribute"];
    if !bots.is_null() {
        ours = ours.bots(list(bots, "bot_id_list"));
    }
    let part = &scope["workspace_permission"];
    if !part.is_null() {
        ours = ours.workspaces(
            list(part, "workspace_id_list"),
            list(part, "permission_list"),
        );
    }
    let part = &scope["workflow_permission"];
    if !part.is_null() {
        ours = ours.workflows(
            list(part, "workflow_id_list"),
            list(part, "permission_list"),
        );
    }
    ours
}

/// A JWT grant with what the recorded one asks for.
fn grant_of(capture: &Value) -> JwtGrant {
    let (body, claims) = (&capture["body"], &capture["assertion"]["claims"]);
    let mut grant = JwtGrant::new();
    if let Some(seconds) = body["duration_seconds"].as_u64() {
        grant = grant.ttl(Duration::from_secs(seconds)).expect("a ttl");
    }
    if body["scope"].is_object() {
        grant = grant.scope(scope_of(&body["scope"]));
    }
    if let Some(name) = claims["session_name"].as_str() {
        grant = grant.session_name(name).expect("a name");
    }
    let info = &claims["session_context"]["device_info"];
    for (member, context) in [
        (
            "device_id",
            SessionContext::Device as fn(String) -> SessionContext,
        ),
        ("custom_consumer", SessionContext::Consumer),
    ] {
        if let Some(id) = info[member].as_str() {
            grant = grant.session_context(context(id.into())).expect("an id");
        }
    }
    let mut path = text(capture, "target").split('/').skip(4);
    match (path.next(), path.next()) {
        (Some("account"), Some(id)) => grant.account(AccountId::new(id).expect("an id")),
        (Some("enterprise_id"), Some(id)) => {
            grant.enterprise(EnterpriseId::new(id).expect("an id"))
        }
        _ => grant,
    }
}

/// What the core sends for the same call with the same values; none if it has no such call.
fn same_call(capture: &Value) -> Option<BTreeMap<String, Value>> {
    let host = headers(capture).remove("host");
    let base = format!("https://{}", host.as_deref().unwrap_or("api.example:8080"));
    let endpoints = || Endpoints::custom(&base).expect("a base");
    let redirect = RedirectUri::new("https://app.example/cb").expect("a URL");
    let entropy = || Entropy::from_bytes([7; 32]);
    let web = WebApp::new(
        endpoints(),
        "cid w",
        ClientSecret::new("sec").expect("a secret"),
    )
    .expect("an app");
    let mut pkce = PkceApp::new(endpoints(), "cidp").expect("an app");
    if text(capture, "target").contains("code_challenge_method=plain") {
        pkce = pkce.with_plain_challenge();
    }
    let device = DeviceApp::new(endpoints(), "cidd").expect("an app");
    let callback = |url: &coze_auth_core::authorize::AuthorizeUrl| {
        Callback::parse(&format!("code=code1&state={}", part(url.as_str(), "state")))
            .expect("a callback")
    };
    let refresh = RefreshToken::new("rt1").expect("a token");
    let workspace = WorkspaceId::new("ws1").expect("an id");
    let request = match call(capture).as_str() {
        "workspaces" => return None,
        "authorize cid w" => {
            return Some(link(&web.authorize(&redirect, entropy()).expect("a URL").0));
        }
        "authorize cid w in a workspace" => {
            let started = web.authorize_in(&workspace, &redirect, entropy());
            return Some(link(&started.expect("a URL").0));
        }
        "authorize cidp" => {
            return Some(link(
                &pkce.authorize(&redirect, entropy()).expect("a URL").0,
            ));
        }
        "authorize cidp in a workspace" => {
            let started = pkce.authorize_in(&workspace, &redirect, entropy());
            return Some(link(&started.expect("a URL").0));
        }
        "code cid w" => {
            let (url, pending) = web.authorize(&redirect, entropy()).expect("a URL");
            sent(
                web.exchange(pending, &callback(&url)).expect("our state"),
                0,
            )
        }
        "code cidp" => {
            let (url, pending) = pkce.authorize(&redirect, entropy()).expect("a URL");
            sent(
                pkce.exchange(pending, &callback(&url)).expect("our state"),
                0,
            )
        }
        "refresh cid w" => sent(web.refresh(&refresh), 0),
        "refresh cidp" => sent(pkce.refresh(&refresh), 0),
        "refresh cidd" => sent(device.refresh(&refresh), 0),
        "device start cidd" => sent(device.start(), 0),
        "device start in a workspace cidd" => sent(device.start_in(&workspace), 0),
        "device poll cidd" => {
            let mut start = device.start();
            let _ = start.step(now(0));
            let answer = r#"{"device_code":"dc","user_code":"u","verification_uri":"https://a/","expires_in":300}"#;
            start.receive(Ok(Response::new(Body::new(answer.into()))), now(0));
            let Step::Done(Ok(started)) = start.step(now(0)) else {
                panic!("no device code")
            };
            sent(device.poll(&started), 5)
        }
        "jwt" => {
            let issued_at = capture["assertion"]["claims"]["iat"].as_u64().expect("iat");
            let issuer = JwtIssuer::new(endpoints(), "cidj", "kid1").expect("an issuer");
            let app = JwtApp::from_issuer(issuer, Unsigned);
            sent(app.grant(&grant_of(capture), entropy()), issued_at)
        }
        "users/me" => {
            let credential = text(&capture["headers"], "authorization");
            let token = AccessToken::new(credential.trim_start_matches("Bearer "));
            sent(whoami(&endpoints(), &token.expect("a token")), 0)
        }
        other => panic!("no call of ours for {other}"),
    };
    Some(ours(&request))
}

/// The signature is not what is compared.
struct Unsigned;

impl Signer for Unsigned {
    fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, coze_auth_core::error::SigningError> {
        Ok(vec![0; 256])
    }
}

fn now(secs: u64) -> Now {
    Now {
        unix: UnixTime::from_secs(secs),
        steady: SteadyTime::from_duration(Duration::from_secs(secs)),
    }
}

fn sent(mut flow: impl Flow, at: u64) -> Request {
    match flow.step(now(at)) {
        Step::Send(request) => request,
        _ => panic!("nothing is sent"),
    }
}

#[test]
fn the_core_sends_what_the_sdks_send_but_for_named_differences() {
    let mut used = BTreeSet::new();
    for capture in captures() {
        let Some(ours) = same_call(&capture) else {
            continue;
        };
        let theirs = recorded(&capture);
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        for member in names {
            let difference = match (ours.get(member), theirs.get(member)) {
                (Some(our), Some(their)) if our == their => continue,
                (Some(_), Some(_)) => format!("{member}: other value"),
                (Some(_), None) => format!("{member}: ours only"),
                (None, _) => format!("{member}: theirs only"),
            };
            let named = DIFFERENCES.iter().position(|(whose, what, _)| {
                (*whose == "*" || *whose == sdk(&capture)) && *what == difference
            });
            let Some(named) = named else {
                panic!(
                    "{} {}: {difference}: ours {:?}, theirs {:?}",
                    sdk(&capture),
                    call(&capture),
                    ours.get(member),
                    theirs.get(member)
                );
            };
            used.insert(named);
        }
    }
    for (index, (whose, what, _)) in DIFFERENCES.iter().enumerate() {
        assert!(
            used.contains(&index),
            "{whose}: {what} is no difference any more"
        );
    }
}

// ---------------------------------------------------------------------------------------------
// Workload identity.

/// The four requests of a workload, as they go out with the values of the recording.
fn of_workload(lane: &str, integration: &str) -> [Request; 4] {
    let endpoints = WorkloadEndpoints::custom(
        "https://api.example:8080/id/token",
        "https://api.example:8080/access/token",
    );
    let endpoints = endpoints.and_then(|it| it.with_outbound("https://api.example:8080/secret"));
    let secret = ClientSecret::new("PLACEHOLDER_CLIENT_SECRET").expect("a secret");
    let app = WorkloadApp::new(
        endpoints.expect("endpoints"),
        "PLACEHOLDER_CLIENT_ID",
        secret,
    );
    let app = app
        .expect("an app")
        .with_lane(Lane::new(lane).expect("a lane"));
    let mut grant = app.grant();
    let mut send = |answer: &str| {
        let Step::Send(request) = grant.step(now(0)) else {
            panic!("it sends two requests")
        };
        grant.receive(Ok(Response::new(Body::new(answer.into()))), now(0));
        request
    };
    let id = send(r#"{"access_token":"eyPLACEHOLDER_ID_TOKEN.eyJzdWIiOiJ3b3JrbG9hZCJ9.sig"}"#);
    let access = send(r#"{"access_token":"PLACEHOLDER_ACCESS_TOKEN_1","expires_in":3600}"#);
    let Step::Done(Ok(granted)) = grant.step(now(0)) else {
        panic!("no token")
    };
    let integration = app.integration(&granted.access_token, integration);
    let env = app.project_env(&granted.access_token);
    [
        id,
        access,
        sent(integration.expect("a call"), 0),
        sent(env.expect("a call"), 0),
    ]
}

/// Members in their order, and headers: but for those that its HTTP client adds and the captures leave out.
#[test]
fn the_core_sends_what_the_workload_client_sends() {
    let mut compared = 0;
    for capture in WORKLOAD.lines() {
        let capture: Value = serde_json::from_str(capture).expect("a capture");
        let lane = text(&capture["headers"], "x-tt-env");
        let integration = &capture["body"]["integration_name"];
        let ours = of_workload(lane, integration.as_str().unwrap_or("x"));
        let ours = ours
            .iter()
            .find(|ours| ours.uri().path() == capture["target"]);
        let ours = ours.expect("a request to the same endpoint");
        assert_eq!(ours.method().as_str(), capture["method"]);
        let mut headers: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in ours.headers() {
            if !["user-agent", "accept", "accept-encoding"].contains(&name.as_str()) {
                headers.insert(name.as_str(), value.to_str().expect("ASCII"));
            }
        }
        assert_eq!(json!(headers), capture["headers"], "{capture}");
        let body = ours.body().as_bytes();
        if let Some(form) = capture["form"].as_array() {
            let members = url::form_urlencoded::parse(body);
            let members: Vec<_> = members.map(|(name, value)| json!([name, value])).collect();
            assert_eq!(&members, form);
        } else {
            let json = serde_json::from_slice::<Value>(body).unwrap_or_default();
            assert_eq!(json, capture["body"]);
        }
        compared += 1;
    }
    assert_eq!(compared, 16);
}
