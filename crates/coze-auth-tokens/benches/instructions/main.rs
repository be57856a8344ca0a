//! What a message costs to build and its answer to read, and what a fresh token costs: `run.py`, beside this file, counts the
//! instructions. A run does one of them so often: `instructions NAME CALLS`.
//!
//! Keys are left out: aws-lc picks its code by the processor, and then another machine counts otherwise.

#![allow(missing_docs)]

mod fresh;

use std::hint::black_box;
use std::time::{Duration, Instant};

use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::device::DeviceApp;
use coze_auth_core::error::SigningError;
use coze_auth_core::jwt::{JwtApp, JwtGrant, Signer};
use coze_auth_core::web::WebApp;
use coze_auth_core::{
    AccessToken, Body, ClientSecret, Endpoints, Entropy, Error, Flow, Now, RefreshToken, Response,
    SteadyTime, Step, UnixTime, whoami,
};

const TOKEN: &str = r#"{"access_token":"czu_0123456789012345678901234567890123456789012345678901234567890123","expires_in":1750003600,"refresh_token":"012345678901234567890123456789012345678901234567890123456789","token_type":"bearer"}"#;
const DEVICE: &str = r#"{"device_code":"012345678901234567890123456789012345678901234567890123456789","user_code":"VIK-AZC-ZTV","verification_uri":"https://www.coze.cn/oauth/device-activation","expires_in":300,"interval":5}"#;
const USER: &str = r#"{"code":0,"msg":"","detail":{"logid":"20250101000000"},"data":{"user_id":"7300000000000000001","user_name":"alice","nick_name":"Alice","avatar_url":"https://example.com/a.png"}}"#;
const REFUSAL: &str = r#"{"error_code":"invalid_grant","error_message":"the refresh token is spent","error":"invalid_grant"}"#;

/// A flow, by name, and what carries it out so often.
type Measured = (&'static str, fn(u32));

const ALL: &[Measured] = &[
    ("jwt grant", jwt_grant),
    ("authorize url", authorize_url),
    ("code exchange", code_exchange),
    ("refresh", refresh),
    ("refresh, refused", refresh_refused),
    ("device start", device_start),
    ("device poll", device_poll),
    ("who am I", who_am_i),
    ("fresh token", fresh::token),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = match &arguments[..] {
        [name, calls] => calls.parse().ok().map(|calls: u32| (name, calls)),
        _ => None,
    };
    let Some((name, calls)) = asked else {
        ALL.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let measured = ALL.iter().find(|(known, _)| known == name);
    let (_, carry_out) = measured.unwrap_or_else(|| panic!("there is no {name}"));
    let begun = Instant::now();
    carry_out(calls);
    println!("{}", begun.elapsed().as_nanos());
}

pub(crate) fn now() -> Now {
    Now {
        unix: UnixTime::from_secs(1_750_000_000),
        steady: SteadyTime::from_duration(Duration::from_secs(100)),
    }
}

fn entropy() -> Entropy {
    Entropy::from_bytes(black_box([7; 32]))
}

/// One request and its answer, as a driver would carry them.
fn drive<F: Flow>(mut flow: F, status: u16, body: &str) -> Result<F::Output, Error> {
    loop {
        match flow.step(now()) {
            Step::Send(request) => {
                black_box(&request);
                let mut response = Response::new(Body::new(black_box(body).as_bytes().to_vec()));
                *response.status_mut() = status.try_into().expect("a status");
                flow.receive(Ok(response), now());
            }
            Step::Wait(_) => panic!("the first poll is due"),
            Step::Done(result) => return result,
        }
    }
}

fn web() -> WebApp {
    let secret = ClientSecret::new("web-secret").expect("a secret");
    WebApp::new(Endpoints::cn(), "1234.app.coze", secret).expect("an app")
}

fn redirect() -> RedirectUri {
    RedirectUri::new("https://app.example/callback").expect("a URL")
}

fn device() -> DeviceApp {
    DeviceApp::new(Endpoints::cn(), "1234.app.coze").expect("an app")
}

fn refresh_token() -> RefreshToken {
    RefreshToken::new("012345678901234567890123456789").expect("a token")
}

/// A signature as long as that of a key of 2,048 bits.
struct NoKey;

impl Signer for NoKey {
    fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        black_box(message);
        Ok(vec![7; 256])
    }
}

fn jwt_grant(calls: u32) {
    let key_id = "0123456789012345678901234567890123456789012";
    let app = JwtApp::new(Endpoints::cn(), "1000000001", key_id, NoKey).expect("an app");
    let grant = JwtGrant::new().session_name("user-42").expect("a name");
    for _ in 0..calls {
        let call = black_box(&app).grant(&grant, entropy());
        drop(black_box(drive(call, 200, TOKEN).expect("a token")));
    }
}

fn authorize_url(calls: u32) {
    let (web, redirect) = (web(), redirect());
    for _ in 0..calls {
        let begun = black_box(&web).authorize(&redirect, entropy());
        drop(black_box(begun.expect("a URL")));
    }
}

fn code_exchange(calls: u32) {
    let web = web();
    let (url, pending) = web.authorize(&redirect(), entropy()).expect("a URL");
    let state = url.as_str().split("state=").nth(1).expect("a state");
    let request = format!("/callback?code=code_0123456789&state={state}");
    for _ in 0..calls {
        let callback = Callback::parse(black_box(&request)).expect("a callback");
        let call = web.exchange(pending.clone(), &callback).expect("our state");
        drop(black_box(drive(call, 200, TOKEN).expect("a token")));
    }
}

fn refresh(calls: u32) {
    let (web, token) = (web(), refresh_token());
    for _ in 0..calls {
        let call = black_box(&web).refresh(&token);
        drop(black_box(drive(call, 200, TOKEN).expect("a token")));
    }
}

fn refresh_refused(calls: u32) {
    let (web, token) = (web(), refresh_token());
    for _ in 0..calls {
        let call = black_box(&web).refresh(&token);
        drop(black_box(drive(call, 400, REFUSAL).expect_err("a refusal")));
    }
}

fn device_start(calls: u32) {
    let device = device();
    for _ in 0..calls {
        let start = black_box(&device).start();
        drop(black_box(drive(start, 200, DEVICE).expect("a code")));
    }
}

fn device_poll(calls: u32) {
    let device = device();
    let mut start = device.start();
    let issued = Now {
        steady: SteadyTime::from_duration(Duration::ZERO),
        ..now()
    };
    let _ = start.step(issued);
    let answer = Response::new(Body::new(DEVICE.as_bytes().to_vec()));
    start.receive(Ok(answer), issued);
    let Step::Done(Ok(started)) = start.step(issued) else {
        panic!("no device code")
    };
    for _ in 0..calls {
        let poll = black_box(&device).poll(&started);
        drop(black_box(drive(poll, 200, TOKEN).expect("a token")));
    }
}

fn who_am_i(calls: u32) {
    let token = AccessToken::new("pat_0123456789").expect("a token");
    let endpoints = Endpoints::cn();
    for _ in 0..calls {
        let call = whoami(black_box(&endpoints), &token);
        drop(black_box(drive(call, 200, USER).expect("a user")));
    }
}
