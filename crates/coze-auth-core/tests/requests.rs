//! What goes out: method, URL, headers and body of every request (protocol §2).

mod common;

use common::*;
use coze_auth_core::endpoint::WorkspaceId;
use coze_auth_core::secret::DeviceCode;
use coze_auth_core::{AccessToken, Endpoints, Flow, RefreshApp, RefreshToken, Step, whoami};

const TOKEN: &str = "POST https://api.example:8080/api/permission/oauth2/token";

#[test]
fn web_exchange_sends_the_secret_as_bearer() {
    let (url, pending) = login();
    let mut call = web()
        .exchange(pending, &callback(&url, "code_1"))
        .expect("the right state");
    let request = request_of(&mut call, at(0));
    let (line, body) = shape(&request);
    assert_eq!(line, TOKEN);
    assert_eq!(
        body,
        r#"{"grant_type":"authorization_code","client_id":"web-id","redirect_uri":"https://app.example/cb?a=1&b=2","code":"code_1"}"#
    );
    assert_eq!(bearer(&request), Some("web-secret"));
    assert_eq!(request.headers()["accept"], "application/json");
    assert!(
        request.headers()["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("coze-auth/")
    );
}

#[test]
fn pkce_exchange_sends_the_verifier_and_no_authorization() {
    let (url, pending) = pkce().authorize(&redirect(), entropy()).unwrap();
    let saved = pending.to_secret_json();
    let mut call = pkce().exchange(pending, &callback(&url, "code_1")).unwrap();
    let request = request_of(&mut call, at(0));
    let body = shape(&request).1;
    let verifier = saved
        .expose()
        .split(r#""code_verifier":""#)
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert_eq!(verifier.len(), 43);
    assert_eq!(
        body,
        format!(
            r#"{{"grant_type":"authorization_code","client_id":"pkce-id","redirect_uri":"https://app.example/cb?a=1&b=2","code":"code_1","code_verifier":"{verifier}"}}"#
        )
    );
    assert!(
        request.headers().get("authorization").is_none(),
        "a public client sends no empty Bearer"
    );
}

#[test]
fn refresh_is_the_same_for_three_kinds_of_app() {
    let token = RefreshToken::new("refresh-1").unwrap();
    let calls = [
        ("web-id", Some("web-secret"), web().refresh(&token)),
        ("pkce-id", None, pkce().refresh(&token)),
        ("device-id", None, device().refresh(&token)),
    ];
    for (id, secret, mut call) in calls {
        let request = request_of(&mut call, at(0));
        let body = format!(
            r#"{{"grant_type":"refresh_token","client_id":"{id}","refresh_token":"refresh-1"}}"#
        );
        assert_eq!(shape(&request), (TOKEN.to_owned(), body));
        assert_eq!(bearer(&request), secret);
    }
}

/// What keeps a login's tokens by app and base asks `RefreshApp` for both.
#[test]
fn any_app_that_refreshes_says_which_it_is() {
    for (id, app) in [
        ("web-id", RefreshApp::from(web())),
        ("pkce-id", pkce().into()),
        ("device-id", device().into()),
    ] {
        assert_eq!(app.client_id(), id);
        assert_eq!(app.endpoints().api_base(), base().api_base());
        let token = RefreshToken::new("refresh-1").unwrap();
        let request = request_of(&mut app.refresh(&token), at(0));
        assert!(shape(&request).1.contains(id), "the request is another's");
    }
}

#[test]
fn device_start_and_poll() {
    let start = request_of(&mut device().start(), at(0));
    let line = "POST https://api.example:8080/api/permission/oauth2/device/code";
    assert_eq!(
        shape(&start),
        (line.to_owned(), r#"{"client_id":"device-id"}"#.to_owned())
    );
    assert!(start.headers().get("authorization").is_none());

    let workspace = WorkspaceId::new("ws_a").unwrap();
    let start = request_of(&mut device().start_in(&workspace), at(0));
    let line = "POST https://api.example:8080/api/permission/oauth2/workspace_id/ws_a/device/code";
    assert_eq!(shape(&start).0, line);

    let poll = request_of(&mut device().poll(&started(300, Some(5))), at(5));
    let code = DeviceCode::new("device-1").unwrap();
    let once = request_of(&mut device().poll_once(&code), at(0));
    let body = r#"{"client_id":"device-id","grant_type":"urn:ietf:params:oauth:grant-type:device_code","device_code":"device-1"}"#;
    for poll in [poll, once] {
        assert_eq!(shape(&poll), (TOKEN.to_owned(), body.to_owned()));
        assert!(poll.headers().get("authorization").is_none());
    }
}

#[test]
fn whoami_is_a_get_with_the_token() {
    let token = AccessToken::new("pat_x").unwrap();
    let request = request_of(&mut whoami(&base(), &token), at(0));
    assert_eq!(
        shape(&request),
        (
            "GET https://api.example:8080/v1/users/me".to_owned(),
            String::new()
        )
    );
    assert_eq!(bearer(&request), Some("pat_x"));
}

#[test]
fn a_base_keeps_its_path_and_loses_its_slashes() {
    for base in [
        "http://127.0.0.1:9777/t/a",
        "http://127.0.0.1:9777/t/a/",
        "http://127.0.0.1:9777/t/a//",
    ] {
        let endpoints = Endpoints::custom(base).unwrap();
        let token = AccessToken::new("pat_x").unwrap();
        let request = request_of(&mut whoami(&endpoints, &token), at(0));
        assert_eq!(
            request.uri().to_string(),
            "http://127.0.0.1:9777/t/a/v1/users/me",
            "for {base}"
        );
    }
}

#[test]
fn a_step_without_an_answer_asks_for_the_same_again() {
    let mut call = device().start();
    let first = request_of(&mut call, at(0));
    let second = request_of(&mut call, at(9));
    assert_eq!(shape(&first), shape(&second));
    call.receive(Ok(reply(200, "{}")), at(9));
    assert!(matches!(call.step(at(9)), Step::Done(Err(_))));
    assert!(matches!(
        call.step(at(9)),
        Step::Done(Err(coze_auth_core::Error::FlowFinished))
    ));
}
