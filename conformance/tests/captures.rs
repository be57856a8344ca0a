//! Requests that the released official SDKs really send, recorded: the mock must accept each, and the
//! core's own must mean the same. `captures/README.md` tells how they were made.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::part;
use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::device::DeviceApp;
use coze_auth_core::endpoint::{AccountId, WorkspaceId};
use coze_auth_core::jwt::{JwtApp, JwtGrant, JwtIssuer, RsaKey, Signer};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::scope::Scope;
use coze_auth_core::web::WebApp;
use coze_auth_core::{
    AccessToken, Body, ClientSecret, Endpoints, Entropy, Flow, Now, RefreshToken, Request,
    Response, SteadyTime, Step, UnixTime, http, whoami,
};
use coze_auth_mock::{AppKind, ClockHandle, Consent, CozeAuthMock};
use serde_json::{Map, Value, json};

const COZEPY: &str = include_str!("captures/cozepy.jsonl");
const COZE_API: &str = include_str!("captures/cozejs.jsonl");

const WEB: &str = "11111111111111111111111111111111.app.coze";
const PKCE: &str = "22222222222222222222222222222222.app.coze";
const DEVICE: &str = "33333333333333333333333333333333.app.coze";
const REDIRECT: &str = "https://app.example/callback";

fn captures() -> impl Iterator<Item = Value> {
    COZEPY
        .lines()
        .chain(COZE_API.lines())
        .map(|line| serde_json::from_str(line).expect("a capture"))
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// What a capture is a request for: `cozepy refresh cidp`, `@coze/api jwt account/123`.
fn name(capture: &Value) -> String {
    let sdk = text(capture, "sdk").split(' ').next().unwrap_or_default();
    let (body, target) = (&capture["body"], text(capture, "target"));
    let what = match text(body, "grant_type")
        .rsplit(':')
        .next()
        .unwrap_or_default()
    {
        "" if target.ends_with("/device/code") => "device start",
        "" => "users/me",
        "authorization_code" => "code",
        "refresh_token" => "refresh",
        "device_code" => "device poll",
        "jwt-bearer" if body["scope"].is_object() => "jwt with scope",
        "jwt-bearer" => "jwt",
        other => panic!("an unknown grant {other}"),
    };
    let workspace = if target.contains("/workspace_id/") {
        " in a workspace"
    } else {
        ""
    };
    format!("{sdk} {what}{workspace} {}", text(body, "client_id"))
        .trim_end()
        .to_owned()
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
        let mut request = http::Request::post(path).header("content-type", "application/json");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        self.send(request.body(body.to_string().into()).expect("a request"))
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
        let url = format!(
            "{}/api/permission/oauth2/authorize?{query}",
            self.mock.base_url()
        );
        let back = self
            .mock
            .authorize(&url, true)
            .unwrap_or_else(|refused| panic!("{refused}"));
        part(&back, "code")
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

    /// The recorded header and claims under the mock's key; only what names the app is replaced.
    fn sign(&self, assertion: &Value) -> String {
        let (mut header, mut claims) = (assertion["header"].clone(), assertion["claims"].clone());
        header["kid"] = "mock-jwt-key-1".into();
        claims["iss"] = "100000000001".into();
        if claims["aud"] == "api.example:8080" {
            claims["aud"] = self.mock.base_url().trim_start_matches("http://").into();
        }
        common::assertion(&header, &claims, |input| {
            self.key.sign_rs256(input).expect("a signature")
        })
    }
}

/// Client id, secret, redirect URI, code and tokens become this server's; every other member stays as
/// it was recorded, the verifier of three characters and the empty Bearer included.
#[test]
fn the_mock_accepts_what_the_sdks_send() {
    let mut accepted = BTreeSet::new();
    for capture in captures() {
        let recorded_at = capture["assertion"]["claims"]["iat"]
            .as_u64()
            .unwrap_or(1_795_391_250);
        let server = Server::at(recorded_at + 1);
        let mut authorization = capture["headers"]["authorization"]
            .as_str()
            .map(str::to_owned);
        match authorization.as_deref() {
            Some("Bearer sec") => authorization = Some("Bearer mock-web-secret".into()),
            Some("Bearer pat_x") => authorization = Some("Bearer pat_mock_alice".into()),
            Some("Bearer <jwt>") => {
                authorization = Some(format!("Bearer {}", server.sign(&capture["assertion"])))
            }
            None | Some("Bearer") => {}
            Some(other) => panic!("an unknown credential {other}"),
        }
        let mut body = capture["body"].clone();
        let client_id = match text(&body, "client_id") {
            "cid w" => WEB,
            "cidp" => PKCE,
            "cidd" => DEVICE,
            "" => "",
            other => panic!("an unknown client {other}"),
        };
        let verifier = text(&body, "code_verifier").to_owned();
        let members = body.as_object_mut().map_or_else(Map::new, std::mem::take);
        let replaced = members.into_iter().map(|(member, recorded)| {
            let value = match member.as_str() {
                "client_id" => client_id.into(),
                "redirect_uri" => REDIRECT.into(),
                "code" => server.code(client_id, &verifier).into(),
                "refresh_token" => server
                    .refresh_token(client_id, authorization.as_deref())
                    .into(),
                "device_code" => server.device_code().into(),
                _ => recorded,
            };
            (member, value)
        });
        let body = Value::Object(replaced.collect());
        let (status, answer) = match text(&capture, "method") {
            "POST" => server.post(text(&capture, "target"), authorization.as_deref(), &body),
            _ => {
                let request = http::Request::get(text(&capture, "target"));
                let request = request.header("authorization", authorization.expect("a token"));
                server.send(request.body(bytes::Bytes::new()).expect("a request"))
            }
        };
        assert_eq!(status, 200, "{}: {answer} to {body}", name(&capture));
        let got = ["access_token", "device_code", "data"]
            .iter()
            .find(|member| !answer[**member].is_null());
        assert!(got.is_some(), "{}: {answer}", name(&capture));
        accepted.insert(name(&capture));
    }
    assert_eq!(accepted.len(), 21, "{accepted:?}");
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
        "the captures leave out what the SDKs' HTTP clients add; a gateway should compress nothing",
    ),
    (
        "@coze/api",
        "header authorization: theirs only",
        "an empty Bearer is no credential (protocol §2.3, §11)",
    ),
    (
        "*",
        "body code_verifier: other value",
        "the recorded one has 3 characters; RFC 7636 §4.1 asks for 43 (protocol §11)",
    ),
    (
        "cozepy",
        "body scope: theirs only",
        "null says nothing; what is not asked for is not sent (protocol §2.4)",
    ),
    (
        "*",
        "claim exp: other value",
        "the assertion lives 600 s, not 3600: it is sent at once (protocol §5)",
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
];

/// The members of a request by name: `method`, `header accept`, `body code`, `claim iss`.
fn members(
    method: &str,
    target: &str,
    headers: &BTreeMap<String, String>,
    body: &Value,
    claims: &Value,
) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::from([
        ("method".to_owned(), method.into()),
        ("target".to_owned(), target.into()),
    ]);
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

fn ours(request: &Request) -> BTreeMap<String, Value> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.headers() {
        // The captures leave the User-Agent out.
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

/// The core's request for the same call, with the same values.
fn same_call(capture: &Value) -> Request {
    let endpoints = || Endpoints::custom("https://api.example:8080").expect("a base");
    let redirect = RedirectUri::new("https://app.example/cb").expect("a URL");
    let entropy = || Entropy::from_bytes([7; 32]);
    let web = WebApp::new(
        endpoints(),
        "cid w",
        ClientSecret::new("sec").expect("a secret"),
    )
    .expect("an app");
    let pkce = PkceApp::new(endpoints(), "cidp").expect("an app");
    let device = DeviceApp::new(endpoints(), "cidd").expect("an app");
    let callback = |url: &coze_auth_core::authorize::AuthorizeUrl| {
        Callback::parse(&format!("code=code1&state={}", part(url.as_str(), "state")))
            .expect("a callback")
    };
    let refresh = RefreshToken::new("rt1").expect("a token");
    let call = name(capture);
    let (_, call) = call.split_once(' ').expect("an SDK and a call");
    match call {
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
        "device start in a workspace cidd" => {
            sent(device.start_in(&WorkspaceId::new("ws1").expect("an id")), 0)
        }
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
        "jwt" | "jwt with scope" => {
            let mut grant = JwtGrant::new()
                .ttl(Duration::from_secs(900))
                .expect("a ttl");
            if call == "jwt with scope" {
                grant = grant
                    .scope(Scope::bot_chat(["b1"]))
                    .session_name("s1")
                    .expect("a name");
            }
            if text(capture, "target").contains("/account/123/") {
                grant = grant.account(AccountId::new("123").expect("an id"));
            }
            let issued_at = capture["assertion"]["claims"]["iat"].as_u64().expect("iat");
            let issuer = JwtIssuer::new(endpoints(), "cidj", "kid1").expect("an issuer");
            sent(
                JwtApp::from_issuer(issuer, Unsigned).grant(&grant, entropy()),
                issued_at,
            )
        }
        "users/me" => sent(
            whoami(&endpoints(), &AccessToken::new("pat_x").expect("a token")),
            0,
        ),
        other => panic!("no call of ours for {other}"),
    }
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
        let (ours, theirs) = (ours(&same_call(&capture)), recorded(&capture));
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        for member in names {
            let difference = match (ours.get(member), theirs.get(member)) {
                (Some(our), Some(their)) if our == their => continue,
                (Some(_), Some(_)) => format!("{member}: other value"),
                (Some(_), None) => format!("{member}: ours only"),
                (None, _) => format!("{member}: theirs only"),
            };
            let sdk = name(&capture);
            let named = DIFFERENCES.iter().position(|(whose, what, _)| {
                (*whose == "*" || sdk.starts_with(whose)) && *what == difference
            });
            let Some(named) = named else {
                panic!(
                    "{sdk}: {difference}: ours {:?}, theirs {:?}",
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
