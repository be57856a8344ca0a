//! What a flow costs beside what it cannot do without, or beside what others do for the same.
//!
//! Ratios only, from rounds that take turns, so that a slow moment of the machine hits both sides.
//! `just bench` prints each with its spread and its goal.

// A bench measures time; the core itself may not.
#![allow(missing_docs, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::device::DeviceApp;
use coze_auth_core::jwt::{JwtApp, JwtGrant, RsaKey};
use coze_auth_core::web::WebApp;
use coze_auth_core::{
    Body, ClientSecret, Endpoints, Entropy, Flow, Now, RefreshToken, Response, SteadyTime, Step,
    UnixTime,
};
use oauth2::basic::BasicClient;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, DeviceAuthorizationUrl, EndpointNotSet, EndpointSet,
    RedirectUrl, StandardDeviceAuthorizationResponse, TokenUrl,
};

const ROUNDS: usize = 31;
const ROUND: Duration = Duration::from_millis(20);

enum Goal {
    /// Our time over theirs is at most this.
    AtMost(f64),
    /// No goal: their time over ours. All of it is less than a microsecond or two beside a request; what it may grow by is held
    /// by `just instructions`.
    Told,
}

/// Seconds for one call, from a round of at least `ROUND`.
fn round(work: &mut dyn FnMut(), calls: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        work();
    }
    start.elapsed().as_secs_f64() / f64::from(calls)
}

/// How many calls fill a round; warms up on the way (aws-lc's first random byte takes 22 ms).
fn calls_in_a_round(work: &mut dyn FnMut()) -> u32 {
    let (start, mut calls) = (Instant::now(), 0);
    while start.elapsed() < ROUND {
        work();
        calls += 1;
    }
    calls
}

fn compare(name: &str, goal: &Goal, mut ours: impl FnMut(), mut theirs: impl FnMut()) -> bool {
    let (our_calls, their_calls) = (calls_in_a_round(&mut ours), calls_in_a_round(&mut theirs));
    let mut rows: Vec<(f64, f64, f64)> = (0..ROUNDS)
        .map(|turn| {
            // Who goes first takes turns too.
            let (a, b) = match turn % 2 {
                0 => (round(&mut ours, our_calls), round(&mut theirs, their_calls)),
                _ => {
                    let b = round(&mut theirs, their_calls);
                    (round(&mut ours, our_calls), b)
                }
            };
            let ratio = match goal {
                Goal::AtMost(_) => a / b,
                Goal::Told => b / a,
            };
            (ratio, a, b)
        })
        .collect();
    rows.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (ratio, a, b) = rows[ROUNDS / 2];
    let (low, high) = (rows[ROUNDS / 4].0, rows[ROUNDS * 3 / 4].0);
    let (goal, met) = match goal {
        Goal::AtMost(most) => (format!("≤ {most}"), ratio <= *most),
        Goal::Told => ("none".to_owned(), true),
    };
    let verdict = match (goal.as_str(), met) {
        ("none", _) => "",
        (_, true) => "met",
        (_, false) => "NOT MET",
    };
    println!(
        "{name:<54} {ratio:>7.3} × (quartiles {low:.3}–{high:.3})  goal {goal:<7} {verdict:<7} {:>9.2} µs beside {:.2} µs",
        a * 1e6,
        b * 1e6
    );
    met
}

fn now() -> Now {
    Now {
        unix: UnixTime::from_secs(1_750_000_000),
        steady: SteadyTime::from_duration(Duration::from_secs(100)),
    }
}

const TOKEN: &str = r#"{"access_token":"czu_0123456789012345678901234567890123456789012345678901234567890123","expires_in":1750003600,"refresh_token":"012345678901234567890123456789012345678901234567890123456789","token_type":"bearer"}"#;
const DEVICE: &str = r#"{"device_code":"012345678901234567890123456789012345678901234567890123456789","user_code":"VIK-AZC-ZTV","verification_uri":"https://www.coze.cn/oauth/device-activation","expires_in":300,"interval":5}"#;

fn response(body: &str) -> Response {
    Response::new(Body::new(body.as_bytes().to_vec()))
}

/// One request and its answer, as a driver would carry them.
fn drive<F: Flow>(mut flow: F, body: &str) -> F::Output {
    loop {
        match flow.step(now()) {
            Step::Send(request) => {
                black_box(&request);
                flow.receive(Ok(response(body)), now());
            }
            Step::Wait(_) => panic!("the first poll is due"),
            Step::Done(result) => return result.expect("a success"),
        }
    }
}

fn canned(
    body: &'static str,
) -> impl Fn(oauth2::HttpRequest) -> Result<oauth2::HttpResponse, std::io::Error> {
    move |request| {
        black_box(&request);
        let mut response = oauth2::HttpResponse::new(body.as_bytes().to_vec());
        response.headers_mut().insert(
            "content-type",
            http::HeaderValue::from_static("application/json"),
        );
        Ok(response)
    }
}

#[derive(serde::Serialize)]
struct BareRequest {
    grant_type: &'static str,
    client_id: &'static str,
    refresh_token: &'static str,
}

#[derive(serde::Deserialize)]
#[allow(dead_code)] // parsed, not read
struct BareAnswer {
    access_token: String,
    refresh_token: String,
    expires_in: u64,
}

type Client = BasicClient<EndpointSet, EndpointSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

fn oauth2_client() -> Client {
    let url = |path: &str| format!("https://api.coze.cn/api/permission/oauth2/{path}");
    BasicClient::new(ClientId::new("1234.app.coze".into()))
        .set_client_secret(oauth2::ClientSecret::new("web-secret".into()))
        .set_auth_uri(AuthUrl::new(url("authorize")).expect("a URL"))
        .set_token_uri(TokenUrl::new(url("token")).expect("a URL"))
        .set_device_authorization_url(
            DeviceAuthorizationUrl::new(url("device/code")).expect("a URL"),
        )
        .set_redirect_uri(RedirectUrl::new("https://app.example/callback".into()).expect("a URL"))
}

fn main() {
    let mut met = true;

    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("DER");
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
        STANDARD.encode(der.as_ref())
    );
    let signer = RsaKey::from_pem(&pem).expect("a key");
    let jwt = JwtApp::new(
        Endpoints::cn(),
        "1000000001",
        "0123456789012345678901234567890123456789012",
        signer,
    )
    .expect("an app");
    let grant = JwtGrant::new();
    let mut seed = 0_u64;
    let mut entropy = move || {
        seed += 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Entropy::from_bytes(bytes)
    };
    let (random, message, mut signature) = (SystemRandom::new(), [b'x'; 400], [0; 256]);
    met &= compare(
        "JWT grant: ours / one bare RSA-2048 signature",
        &Goal::AtMost(1.02),
        || drop(black_box(drive(jwt.grant(&grant, entropy()), TOKEN))),
        || {
            pair.sign(
                &RSA_PKCS1_SHA256,
                &random,
                black_box(&message),
                &mut signature,
            )
            .expect("a signature");
            black_box(&signature);
        },
    );

    let client = oauth2_client();
    let secret = ClientSecret::new("web-secret").expect("a secret");
    let web = WebApp::new(Endpoints::cn(), "1234.app.coze", secret).expect("an app");
    let redirect = RedirectUri::new("https://app.example/callback").expect("a URL");
    let (url, pending) = web
        .authorize(&redirect, Entropy::from_bytes([7; 32]))
        .expect("a URL");
    let state = url.as_str().split("state=").nth(1).expect("a state");
    let callback =
        Callback::parse(&format!("code=code_0123456789&state={state}")).expect("a callback");
    met &= compare(
        "code exchange: the oauth2 crate's / ours",
        &Goal::Told,
        || {
            drop(black_box(drive(
                web.exchange(pending.clone(), &callback).expect("our state"),
                TOKEN,
            )))
        },
        || {
            let code = AuthorizationCode::new("code_0123456789".into());
            drop(black_box(
                client
                    .exchange_code(code)
                    .request(&canned(TOKEN))
                    .expect("a token"),
            ));
        },
    );

    let token = RefreshToken::new("012345678901234567890123456789").expect("a token");
    let their_token = oauth2::RefreshToken::new("012345678901234567890123456789".into());
    met &= compare(
        "refresh: the oauth2 crate's / ours",
        &Goal::Told,
        || drop(black_box(drive(web.refresh(&token), TOKEN))),
        || {
            drop(black_box(
                client
                    .exchange_refresh_token(&their_token)
                    .request(&canned(TOKEN))
                    .expect("a token"),
            ))
        },
    );

    let device = DeviceApp::new(Endpoints::cn(), "1234.app.coze").expect("an app");
    met &= compare(
        "device start: the oauth2 crate's / ours",
        &Goal::Told,
        || drop(black_box(drive(device.start(), DEVICE))),
        || {
            let started: StandardDeviceAuthorizationResponse = client
                .exchange_device_code()
                .request(&canned(DEVICE))
                .expect("a device code");
            drop(black_box(started));
        },
    );

    let mut start = device.start();
    let issued = Now {
        steady: SteadyTime::from_duration(Duration::ZERO),
        ..now()
    };
    let _ = start.step(issued);
    start.receive(Ok(response(DEVICE)), issued);
    let Step::Done(Ok(started)) = start.step(issued) else {
        panic!("no device authorization")
    };
    let their_start: StandardDeviceAuthorizationResponse = client
        .exchange_device_code()
        .request(&canned(DEVICE))
        .expect("a device code");
    met &= compare(
        "device poll: the oauth2 crate's / ours",
        &Goal::Told,
        || drop(black_box(drive(device.poll(&started), TOKEN))),
        || {
            let poll = client.exchange_device_access_token(&their_start);
            drop(black_box(
                poll.request(&canned(TOKEN), |_| (), None).expect("a token"),
            ));
        },
    );

    let uri: http::Uri = "https://api.coze.cn/api/permission/oauth2/token"
        .parse()
        .expect("a URI");
    let bare = BareRequest {
        grant_type: "refresh_token",
        client_id: "1234.app.coze",
        refresh_token: "012345678901234567890123456789",
    };
    // What nobody can do without: a message with four headers and a body, and an answer parsed. It bounds
    // what the rows above can reach.
    compare(
        "refresh: the oauth2 crate's / a bare message and parse",
        &Goal::Told,
        || {
            let mut request = http::Request::new(Vec::<u8>::with_capacity(256));
            *request.uri_mut() = uri.clone();
            for name in ["accept", "user-agent", "content-type", "authorization"] {
                let name = http::HeaderName::from_static(name);
                request
                    .headers_mut()
                    .insert(name, http::HeaderValue::from_static("value"));
            }
            serde_json::to_writer(request.body_mut(), &bare).expect("JSON");
            black_box(&request);
            let answer: BareAnswer =
                serde_json::from_slice(black_box(TOKEN.as_bytes())).expect("JSON");
            drop(black_box(answer));
        },
        || {
            drop(black_box(
                client
                    .exchange_refresh_token(&their_token)
                    .request(&canned(TOKEN))
                    .expect("a token"),
            ))
        },
    );

    println!(
        "Times are ours beside theirs. The last row is the most that any row above it can reach."
    );
    if !met {
        println!("A goal is not met; docs/design.md tells why.");
    }
}
