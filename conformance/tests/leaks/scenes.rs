//! Scenes that play every flow, and tell each secret that was in play. What a scene makes itself it writes in one piece, and hands over or wipes.

use std::time::Duration;

use coze_auth_core::authorize::{Callback, PendingAuthorization, RedirectUri};
use coze_auth_core::config::{Environment, OAuthConfig};
use coze_auth_core::device::DeviceApp;
use coze_auth_core::error::SigningError;
use coze_auth_core::http::StatusCode;
use coze_auth_core::jwt::{JwtApp, JwtGrant, RsaKey, Signer};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::web::WebApp;
use coze_auth_core::workload::{WorkloadApp, WorkloadEndpoints};
use coze_auth_core::{
    AccessToken, ClientSecret, Endpoints, Entropy, Error, Flow, Now, RefreshToken, Region, Request,
    Response, SteadyTime, Step, TokenGrant, TransportFailure, UnixTime, whoami,
};
use coze_auth_store::{FileStore, GrantStore, MemoryStore};
use coze_auth_tokens::SendError;
use coze_auth_tokens::blocking::{TokenSource, Transport};
use zeroize::Zeroizing;

use crate::secrets::{Kind, sentinel};

/// Is told each secret that is in play.
pub(crate) type Tell<'a> = dyn FnMut(Kind, &[u8]) + 'a;

/// These parts as one text, in memory that is as large as the text.
pub(crate) fn text(parts: &[&str]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| text.push_str(part));
    text
}

/// A sentinel that is wiped.
pub(crate) fn secret(kind: Kind) -> Zeroizing<String> {
    Zeroizing::new(sentinel(kind))
}

pub(crate) const START: u64 = 1_790_000_000;

fn at(seconds: u64) -> Now {
    Now {
        unix: UnixTime::from_secs(START + seconds),
        steady: SteadyTime::from_duration(Duration::from_secs(seconds)),
    }
}

/// Random bytes that are none, the same in each process.
pub(crate) fn entropy(kind: Kind) -> Entropy {
    let text = secret(kind);
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.copy_from_slice(&text.as_bytes()[..32]);
    Entropy::from_bytes(*bytes)
}

/// What a server in memory does with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Server {
    Good,
    Packed,
    Quotes,
    Page,
    Redirects,
    Breaks,
    NotText,
    TooLong,
    Silent,
}

const SERVERS: [Server; 9] = [
    Server::Good,
    Server::Packed,
    Server::Quotes,
    Server::Page,
    Server::Redirects,
    Server::Breaks,
    Server::NotText,
    Server::TooLong,
    Server::Silent,
];

/// The answer with which each flow succeeds.
pub(crate) fn good(path: &str, body: &[u8]) -> String {
    let body = std::str::from_utf8(body).unwrap_or_default();
    let of = |kind| secret(kind);
    match path {
        "/v1/users/me" => {
            text(&[r#"{"code":0,"msg":"","data":{"user_id":"7300","user_name":"alice"}}"#])
        }
        "/api/permission/oauth2/device/code" => text(&[
            r#"{"device_code":""#,
            &of("device code"),
            r#"","user_code":""#,
            &of("user code"),
            r#"","verification_uri":"https://www.coze.cn/device","expires_in":300,"interval":5}"#,
        ]),
        "/id" => text(&[
            r#"{"access_token":""#,
            &of("id token"),
            r#"","expires_in":60}"#,
        ]),
        "/access" => text(&[
            r#"{"access_token":""#,
            &of("access token of a workload"),
            r#"","expires_in":900}"#,
        ]),
        "/out/integration" => text(&[
            r#"{"code":0,"data":{"credential":""#,
            &of("credential of an integration"),
            r#""}}"#,
        ]),
        "/out/env" => text(&[
            r#"{"code":0,"data":{"secrets":[{"key":"NAME","value":""#,
            &of("project variable"),
            r#""},{"key":"OTHER","value":"a\/b"}]}}"#,
        ]),
        _ if body.contains("jwt-bearer") => text(&[
            r#"{"access_token":""#,
            &of("access token of a JWT app"),
            r#"","expires_in":4000000000,"token_type":"Bearer"}"#,
        ]),
        // A slash may be written with an escape.
        _ => text(&[
            r#"{"access_token":"\/"#,
            &of("access token"),
            r#"","refresh_token":"\/"#,
            &of("new refresh token"),
            r#"","expires_in":4000000000,"token_type":"Bearer"}"#,
        ]),
    }
}

/// All that the server was sent, as a text of JSON.
pub(crate) fn quoted(request: &Request) -> String {
    let bearer = request.headers().get("authorization");
    let bearer = bearer.map_or(&b""[..], |value| value.as_bytes());
    let mut text = String::with_capacity(2 * (bearer.len() + request.body().len()) + 2);
    for &byte in bearer.iter().chain(b" ").chain(request.body().as_bytes()) {
        if matches!(byte, b'"' | b'\\') {
            text.push('\\');
        }
        text.push(byte.into());
    }
    text
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    // Stored: a compressor keeps copies of its own.
    let mut writer =
        flate2::write::GzEncoder::new(Vec::with_capacity(4096), flate2::Compression::none());
    writer.write_all(bytes).expect("memory");
    writer.finish().expect("memory")
}

impl Server {
    fn answer(self, request: &Request) -> Result<Response, TransportFailure> {
        let path = request.uri().path();
        let good = Zeroizing::new(good(path, request.body().as_bytes()));
        let quoted = Zeroizing::new(quoted(request));
        let json = [
            r#"{"error_code":"invalid_grant","error_message":""#,
            &quoted,
            r#"","code":4000,"msg":""#,
            &quoted,
            r#""}"#,
        ];
        let (status, body) = match self {
            Self::Good => (200, text(&[&good]).into_bytes()),
            Self::Packed => (200, packed(good.as_bytes())),
            Self::Quotes => (400, text(&json).into_bytes()),
            Self::Page => (502, text(&["<html>", &quoted, &good]).into_bytes()),
            Self::Redirects => (307, text(&[&quoted]).into_bytes()),
            Self::Breaks => (200, text(&[&good[..good.len() - 4]]).into_bytes()),
            Self::NotText => {
                let mut body = text(&[json[0], json[1], json[2], json[3], "?\"}"]).into_bytes();
                let at = body.len() - 3;
                body[at] = 0xff;
                (400, body)
            }
            Self::TooLong => {
                let mut body = Vec::with_capacity(coze_auth_core::Body::READ_AT_MOST);
                body.extend_from_slice(quoted.as_bytes());
                body.resize(coze_auth_core::Body::READ_AT_MOST, b' ');
                (200, body)
            }
            Self::Silent => return Err(TransportFailure::Timeout),
        };
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        if self == Self::Packed {
            let coding = "gzip".parse().expect("a value");
            response.headers_mut().insert("content-encoding", coding);
        }
        Ok(response)
    }
}

/// Drives a flow over a server in memory, and tells the assertion that it sends.
fn run<F: Flow>(server: Server, mut flow: F, tell: &mut Tell<'_>) -> Result<F::Output, Error> {
    let mut seconds = 0;
    loop {
        match flow.step(at(seconds)) {
            Step::Send(request) => {
                let bearer = request.headers().get("authorization");
                let bearer = bearer.and_then(|value| value.to_str().ok());
                assertions_of(bearer.unwrap_or_default(), tell);
                let reply = server.answer(&request);
                drop(request);
                flow.receive(reply, at(seconds));
            }
            // What a poll does after an answer that it does not understand.
            Step::Wait(_) if seconds > 1_000 => panic!("it waits for ever"),
            Step::Wait(pause) => seconds += pause.as_secs().max(1),
            Step::Done(result) => return result,
        }
    }
}

/// A raw signature as aws-lc-rs makes it.
pub(crate) const OF_AWS_LC: Kind = "signature";

/// The signatures of the assertions that are in the head of a request.
pub(crate) fn assertions_of(head: &str, tell: &mut Tell<'_>) {
    for word in head.split_ascii_whitespace() {
        if word.len() > 300 && word.matches('.').count() == 2 && word.starts_with("ey") {
            let signature = word.rsplit('.').next().expect("a part");
            tell("assertion", signature.as_bytes());
            tell(OF_AWS_LC, &raw(signature));
        }
    }
}

/// A form, in memory that is large enough.
pub(crate) fn form(members: &[(&str, &str)]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    url::form_urlencoded::Serializer::new(&mut *text).extend_pairs(members);
    text
}

/// A grant as it is stored, whose access token ends then.
pub(crate) fn saved(expires_at: u64) -> Zeroizing<String> {
    let end = expires_at.to_string();
    Zeroizing::new(text(&[
        r#"{"access_token":""#,
        &secret("access token"),
        r#"","refresh_token":""#,
        &secret("refresh token"),
        r#"","issued_at":1690000000,"expires_at":"#,
        &end,
        "}",
    ]))
}

/// What base64 says.
fn raw(text: &str) -> Zeroizing<Vec<u8>> {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut bytes = Zeroizing::new(vec![0; text.len()]);
    let length = engine.decode_slice(text, &mut bytes).expect("base64");
    bytes.truncate(length);
    bytes
}

/// The key of the mock's JWT app, which is in its repository.
pub(crate) fn key() -> Zeroizing<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../mock-server/dev-key.pem");
    Zeroizing::new(std::fs::read_to_string(path).expect("the key"))
}

/// What is secret of a key: its body behind the public part, in base64, and the numbers that it is made of.
fn tell_key(pem: &str, tell: &mut Tell<'_>) {
    use base64::Engine as _;
    // A comment stands before it.
    let mut body = Zeroizing::new(String::with_capacity(pem.len()));
    let lines = pem
        .lines()
        .skip_while(|line| !line.starts_with('-'))
        .skip(1);
    for line in lines.take_while(|line| !line.starts_with('-')) {
        body.push_str(line);
    }
    let engine = base64::engine::general_purpose::STANDARD;
    let der = Zeroizing::new(engine.decode(&*body).expect("base64"));
    // The public exponent, 65537, is the last of the public part (RFC 8017 A.1.2).
    let public = der.windows(5).position(|part| part == [2, 3, 1, 0, 1]);
    let private = &der[public.expect("its exponent") + 5..];
    tell("private key", private);
    let mut rest = private;
    while let [2, more @ ..] = rest {
        let (length, number) = match more {
            [0x82, high, low, number @ ..] => (usize::from(*high) << 8 | usize::from(*low), number),
            [0x81, length, number @ ..] | [length, number @ ..] => (usize::from(*length), number),
            [] => break,
        };
        // As the library that signs holds it: its words begin with the lowest.
        let mut reversed = Zeroizing::new(number[..length].to_vec());
        reversed.reverse();
        tell("loaded key", &reversed);
        rest = &number[length..];
    }
}

/// Every flow of the core over each server, from settings as they are read to what is stored.
pub(crate) fn core(tell: &mut Tell<'_>) {
    let base = "https://api.coze.cn";
    let endpoints = || Endpoints::custom(base).expect("a base");
    tell_all(tell);
    tell("raw signature", secret("raw signature").as_bytes());

    let redirect = RedirectUri::new("https://app.example/callback").expect("a URI");
    let client_secret = || ClientSecret::new(sentinel("client secret")).expect("a secret");
    for server in SERVERS {
        // A web app out of a file.
        let file = Zeroizing::new(text(&[
            r#"{"client_type":"web","client_id":"1.app.coze","client_secret":""#,
            &secret("client secret"),
            r#"","coze_api_base":"https://api.coze.cn","coze_www_base":"https://www.coze.cn"}"#,
        ]));
        let OAuthConfig::Web(app) = OAuthConfig::from_json(&file).expect("a file") else {
            panic!("another app");
        };
        let by_hand = WebApp::new(endpoints(), "1.app.coze", client_secret()).expect("an app");
        let app = std::hint::black_box([app, by_hand]);
        for app in &app {
            let (url, pending) = app.authorize(&redirect, entropy("entropy")).expect("a URL");
            let json = pending.to_secret_json();
            let pending = PendingAuthorization::from_secret_json(json.expose()).expect("saved");
            tell("state", pending.state().expose().as_bytes());
            tell("state", &raw(pending.state().expose()));
            let code = secret("authorization code");
            let query = form(&[("code", &code), ("state", pending.state().expose())]);
            let callback = Callback::parse(&query).expect("a callback");
            let call = app.exchange(pending, &callback).expect("it is its own");
            drop((url, json));
            keep(run(server, call, tell));
            let token = RefreshToken::new(sentinel("refresh token")).expect("a token");
            keep(run(server, app.refresh(&token), tell));
        }
        // One without a secret.
        let app = PkceApp::new(endpoints(), "2.app.coze").expect("an app");
        let (_, pending) = app.authorize(&redirect, entropy("entropy")).expect("a URL");
        let json = pending.to_secret_json();
        let verifier = json
            .expose()
            .split("\"code_verifier\":\"")
            .nth(1)
            .expect("one");
        tell("code verifier", &verifier.as_bytes()[..43]);
        tell("code verifier", &raw(&verifier[..43]));
        let code = secret("authorization code");
        let query = form(&[("code", &code), ("state", pending.state().expose())]);
        let callback = Callback::parse(&query).expect("a callback");
        let call = app.exchange(pending, &callback).expect("it is its own");
        keep(run(server, call, tell));
        // A device.
        let app = DeviceApp::new(endpoints(), "3.app.coze").expect("an app");
        if let Ok(started) = run(server, app.start(), tell) {
            keep(run(server, app.poll(&started), tell));
        }
        let code = coze_auth_core::secret::DeviceCode::new(sentinel("device code"));
        keep(run(server, app.poll_once(&code.expect("a code")), tell));
        // A key.
        let pem = key();
        let loaded = RsaKey::from_pem(&pem).expect("a key");
        let app = JwtApp::new(endpoints(), "4", "key-1", loaded).expect("an app");
        let grant = JwtGrant::new().session_name("alice").expect("a name");
        keep(run(server, app.grant(&grant, entropy("entropy")), tell));
        let app = JwtApp::new(endpoints(), "4", "key-1", Signs).expect("an app");
        keep(run(
            server,
            app.grant(&JwtGrant::new(), entropy("entropy")),
            tell,
        ));
        let settings = Environment::new(Region::Cn, |name| match name {
            "COZE_JWT_OAUTH_CLIENT_ID" => Some("4".to_owned()),
            "COZE_JWT_OAUTH_PUBLIC_KEY_ID" => Some("key-1".to_owned()),
            "COZE_JWT_OAUTH_PRIVATE_KEY" => Some(text(&[&key()])),
            "COZE_API_TOKEN" => Some(sentinel("SAT")),
            _ => None,
        });
        let (_, key) = settings
            .jwt_issuer(|_| panic!("no file"))
            .expect("settings");
        drop(key.rsa_key().expect("a key"));
        // Tokens of the console.
        let sat = settings.access_token().expect("a token");
        keep(run(server, whoami(&endpoints(), &sat), tell));
        let pat = AccessToken::new(sentinel("PAT")).expect("a token");
        keep(run(server, whoami(&endpoints(), &pat), tell));
        // A workload.
        let places =
            WorkloadEndpoints::custom("https://id.example/id", "https://id.example/access");
        let places = places.and_then(|places| places.with_outbound("https://id.example/out"));
        let id_secret = ClientSecret::new(sentinel("workload client secret")).expect("a secret");
        let app = WorkloadApp::new(places.expect("endpoints"), "workload", id_secret);
        let app = app.expect("an app");
        keep(run(server, app.grant(), tell));
        let token = AccessToken::received(sentinel("access token of a workload")).expect("a token");
        let call = app.integration(&token, "feishu").expect("it has a place");
        keep(run(server, call, tell));
        let call = app.project_env(&token).expect("it has a place");
        keep(run(server, call, tell));
        // What is stored.
        let stored = saved(4_000_000_000);
        let grant = TokenGrant::from_secret_json(&stored).expect("a grant");
        keep::<_, Error>(Ok((
            grant.to_secret_json(),
            grant.issued_token().to_secret_json(),
        )));
    }
}

/// Those secrets that are known before anything begins.
pub(crate) fn tell_all(tell: &mut Tell<'_>) {
    for kind in KINDS {
        tell(kind, secret(kind).as_bytes());
    }
    tell_key(&key(), tell);
    // The pair of a workload in base64 is its API key.
    let key = Zeroizing::new(text(&["workload:", &secret("workload client secret")]));
    tell("workload API key", key.as_bytes());
}

/// Those that are the same in each process.
const KINDS: [Kind; 19] = [
    "client secret",
    "authorization code",
    "device code",
    "user code",
    "PAT",
    "SAT",
    "refresh token",
    "new refresh token",
    "access token",
    "access token of a JWT app",
    "id token",
    "access token of a workload",
    "workload client secret",
    "credential of an integration",
    "project variable",
    "entropy",
    "proxy password",
    "sealing key",
    "Redis password",
];

/// A key elsewhere, whose signature is known. (That of a key in memory leaves a copy in aws-lc-rs, which signs to a `Box` of its own, copies it
/// out, and does not wipe it.)
struct Signs;

impl Signer for Signs {
    fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        let mut signature = Vec::with_capacity(256);
        signature.extend_from_slice(secret("raw signature").as_bytes());
        signature.resize(256, b'.');
        Ok(signature)
    }
}

/// It is there until here.
fn keep<T, E>(what: Result<T, E>) {
    drop(std::hint::black_box(what));
}

/// The server in memory, for token sources.
#[derive(Clone)]
pub(crate) struct Wire(pub(crate) Server, pub(crate) fn(Kind, &[u8]));

impl Transport for Wire {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        let bearer = request.headers().get("authorization");
        let bearer = bearer.and_then(|value| value.to_str().ok());
        assertions_of(bearer.unwrap_or_default(), &mut |kind, secret| {
            (self.1)(kind, secret)
        });
        self.0.answer(&request).map_err(Into::into)
    }
}

/// Token sources over the server in memory and a store, from a login that has ended to its removal.
fn sources(wire: &Wire, store: impl GrantStore + Clone + 'static) {
    let endpoints = || Endpoints::custom("https://api.coze.cn").expect("a base");
    let secret = ClientSecret::new(sentinel("client secret")).expect("a secret");
    let app = WebApp::new(endpoints(), "1.app.coze", secret).expect("an app");
    let tokens = TokenSource::stored(wire, app, "alice", store.clone()).expect("a subject");
    let grant = TokenGrant::from_secret_json(&saved(1_700_000_000)).expect("a grant");
    keep(tokens.install(grant));
    keep(tokens.token());
    keep(tokens.whoami());
    keep(tokens.forget());
    keep(tokens.close());
    let key = RsaKey::from_pem(&key()).expect("a key");
    let app = JwtApp::new(endpoints(), "4", "key-1", key).expect("an app");
    let tokens = TokenSource::jwt(wire, app, JwtGrant::new()).shared(store);
    let tokens = tokens.expect("it can be shared");
    keep(tokens.session("user-42").expect("a name").token());
    keep(tokens.token());
    keep(tokens.close());
    let app = JwtApp::new(endpoints(), "4", "key-1", Signs).expect("an app");
    let tokens = TokenSource::jwt(wire, app, JwtGrant::new());
    keep(tokens.token());
    keep(tokens.close());
    let places = WorkloadEndpoints::custom("https://id.example/id", "https://id.example/access");
    let places = places.and_then(|places| places.with_outbound("https://id.example/out"));
    let secret = ClientSecret::new(sentinel("workload client secret")).expect("a secret");
    let app = WorkloadApp::new(places.expect("endpoints"), "workload", secret);
    let tokens = TokenSource::workload(wire, app.expect("an app"));
    keep(tokens.token());
    keep(tokens.integration("feishu"));
    keep(tokens.project_env());
    keep(tokens.close());
    let pat = AccessToken::new(sentinel("PAT")).expect("a token");
    keep(TokenSource::fixed(wire, &endpoints(), pat).whoami());
}

/// Token sources over both stores of this machine.
pub(crate) fn stores(tell: fn(Kind, &[u8])) {
    tell("raw signature", secret("raw signature").as_bytes());
    let folder = std::env::temp_dir().join(format!("coze-auth-leaks-{}", std::process::id()));
    for server in [Server::Good, Server::Quotes] {
        sources(&Wire(server, tell), MemoryStore::new());
        sources(
            &Wire(server, tell),
            FileStore::new(&folder).expect("a folder"),
        );
    }
    std::fs::remove_dir_all(folder).expect("it is there");
}
