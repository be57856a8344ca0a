//! Clock readings, answers and apps for the tests.

// Each test file uses a part of it.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod cache;

use std::time::Duration;

use coze_auth_core::authorize::{AuthorizeUrl, Callback, PendingAuthorization, RedirectUri};
use coze_auth_core::device::{DeviceApp, DeviceAuthorization};
use coze_auth_core::http::{self, Method};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::web::WebApp;
use coze_auth_core::{
    ClientSecret, Endpoints, Entropy, Error, Flow, Now, Request, Response, SteadyTime, Step,
    UnixTime,
};

pub const UNIX: u64 = 1_750_000_000;

/// Both clocks, this many seconds after the start of the test.
pub fn at(secs: u64) -> Now {
    at_ms(secs * 1000)
}

pub fn at_ms(ms: u64) -> Now {
    let passed = Duration::from_millis(ms);
    Now {
        unix: UnixTime::from_secs(UNIX).plus(passed),
        steady: SteadyTime::from_duration(passed),
    }
}

pub fn entropy() -> Entropy {
    Entropy::from_bytes([7; 32])
}

pub fn base() -> Endpoints {
    Endpoints::custom("https://api.example:8080").expect("a base")
}

pub fn redirect() -> RedirectUri {
    RedirectUri::new("https://app.example/cb?a=1&b=2").expect("a URL")
}

pub fn web() -> WebApp {
    WebApp::new(
        base(),
        "web-id",
        ClientSecret::new("web-secret").expect("a secret"),
    )
    .expect("an app")
}

pub fn pkce() -> PkceApp {
    PkceApp::new(base(), "pkce-id").expect("an app")
}

pub fn device() -> DeviceApp {
    DeviceApp::new(base(), "device-id").expect("an app")
}

pub fn reply(status: u16, body: impl AsRef<[u8]>) -> Response {
    reply_with(status, &[], body)
}

pub fn reply_with(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Response {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response
        .body(body.as_ref().to_vec().into())
        .expect("a response")
}

/// A token answer that ends an hour after the start.
pub fn token_json() -> String {
    format!(
        r#"{{"access_token":"czu_access","expires_in":{},"refresh_token":"refresh-1","token_type":"Bearer"}}"#,
        UNIX + 3600
    )
}

pub fn request_of<F: Flow>(flow: &mut F, now: Now) -> Request {
    match flow.step(now) {
        Step::Send(request) => request,
        Step::Wait(pause) => panic!("waits for {pause:?} instead of sending"),
        Step::Done(_) => panic!("is over instead of sending"),
    }
}

/// Sends once and gives the result.
pub fn answered<F: Flow>(mut flow: F, response: Response) -> Result<F::Output, Error> {
    request_of(&mut flow, at(0));
    flow.receive(Ok(response), at(0));
    result_of(&mut flow, at(0))
}

pub fn result_of<F: Flow>(flow: &mut F, now: Now) -> Result<F::Output, Error> {
    match flow.step(now) {
        Step::Done(result) => result,
        Step::Wait(pause) => panic!("waits for {pause:?} instead of ending"),
        Step::Send(request) => panic!("sends {request:?} instead of ending"),
    }
}

pub fn error_of<F: Flow<Output: std::fmt::Debug>>(flow: F, response: Response) -> Error {
    answered(flow, response).expect_err("this answer is an error")
}

/// `METHOD path`, and the body as JSON; `null` if there is none.
pub fn shape(request: &Request) -> (String, String) {
    let body = String::from_utf8(request.body().as_bytes().to_vec()).expect("UTF-8");
    let has_json = request
        .headers()
        .get("content-type")
        .is_some_and(|value| value == "application/json");
    assert_eq!(
        has_json,
        request.method() == Method::POST,
        "a body and its type go together"
    );
    (format!("{} {}", request.method(), request.uri()), body)
}

pub fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get("authorization")?;
    assert!(
        value.is_sensitive(),
        "the Authorization header must be marked sensitive"
    );
    value.to_str().expect("ASCII").strip_prefix("Bearer ")
}

/// The callback that Coze would send for this login, with this code.
pub fn callback(url: &AuthorizeUrl, code: &str) -> Callback {
    Callback::parse(&format!(
        "https://app.example/cb?a=1&b=2&code={code}&state={}",
        query(url, "state")
    ))
    .expect("a callback")
}

pub fn query(url: &AuthorizeUrl, name: &str) -> String {
    let query = url.as_str().split_once('?').expect("a query").1;
    let pair = query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    pair.unwrap_or_else(|| panic!("no {name} in {query}"))
        .to_owned()
}

pub fn login() -> (AuthorizeUrl, PendingAuthorization) {
    web().authorize(&redirect(), entropy()).expect("a www base")
}

/// A device authorization, issued at the start.
pub fn started(expires_in: u64, interval: Option<u64>) -> DeviceAuthorization {
    let interval = interval.map_or_else(|| "null".to_owned(), |secs| secs.to_string());
    let body = format!(
        r#"{{"device_code":"device-1","user_code":"VIK-AZC-ZTV","verification_uri":"https://www.example/activate",
            "expires_in":{expires_in},"interval":{interval}}}"#
    );
    answered(device().start(), reply(200, body)).expect("a device authorization")
}
