//! The pages, as a browser gets them.

use bytes::Bytes;
use http::Request;
use serde_json::json;

use crate::support::{
    CALLBACK, DEVICE, Mock, PKCE, Reply, WEB, authorize_url, query_value, target,
};

fn form(m: &Mock, path: &str, fields: &[(&str, &str)]) -> Reply {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    let body = body.extend_pairs(fields).finish();
    let request = Request::post(path).header("Content-Type", "application/x-www-form-urlencoded");
    m.send(request.body(Bytes::from(body)).expect("a request"))
}

/// The text of the element with this test id.
fn element<'a>(page: &'a Reply, id: &str) -> &'a str {
    let mark = format!("data-testid=\"{id}\"");
    let (_, rest) = page
        .text
        .split_once(&mark)
        .unwrap_or_else(|| panic!("no {id}: {}", page.text));
    let (_, rest) = rest.split_once('>').expect("the end of the tag");
    rest.split('<').next().expect("some text").trim()
}

fn assert_is_page(page: &Reply, status: u16) {
    assert_eq!(page.status, status, "{}", page.text);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "same-origin");
    assert!(!page.text.contains("<script"), "no script");
    assert!(page.text.contains("prefers-color-scheme: dark"));
}

/// The key of a new consent page.
fn consent_key(m: &Mock, parameters: &[(&str, &str)]) -> String {
    let reply = m.get(target(&authorize_url(parameters)), None);
    assert_eq!(reply.status, 302);
    let location = reply.header("location");
    assert!(
        location.starts_with("http://localhost/oauth/consent?"),
        "{location}"
    );
    query_value(location, "authorize_key").expect("a key")
}

fn consent_page(m: &Mock, key: &str) -> Reply {
    m.get(&format!("/oauth/consent?authorize_key={key}"), None)
}

fn decide(m: &Mock, key: &str, action: &str) -> Reply {
    form(
        m,
        "/oauth/consent",
        &[("authorize_key", key), ("action", action)],
    )
}

#[test]
fn the_consent_page_shows_who_asks_for_what() {
    let m = Mock::new();
    let key = consent_key(&m, &[("client_id", PKCE), ("code_challenge", "ver")]);
    let page = consent_page(&m, &key);
    assert_is_page(&page, 200);
    assert_eq!(element(&page, "app"), "Mock PKCE App asks for access");
    assert_eq!(element(&page, "client-id"), PKCE);
    assert_eq!(element(&page, "redirect-uri"), CALLBACK);
    assert_eq!(element(&page, "user"), "Alice");
    assert_eq!(element(&page, "approve"), "Approve");
    assert_eq!(element(&page, "deny"), "Deny");
    assert_eq!(element(&page, "challenge"), "plain");
    assert!(page.text.contains(&key), "the form carries the key");
    assert!(
        page.text
            .contains(r#"<form method="post" action="consent">"#)
    );
    assert!(
        !page.text.contains("state-1"),
        "the state is not the page's business"
    );
}

#[test]
fn approve_and_deny_redirect_once() {
    let m = Mock::new();
    let key = consent_key(&m, &[]);
    let approved = decide(&m, &key, "approve");
    assert_eq!(approved.status, 302);
    let location = approved.header("location").to_owned();
    assert!(
        location.starts_with(&format!("{CALLBACK}?code=code_mock_")),
        "{location}"
    );
    assert_eq!(query_value(&location, "state").as_deref(), Some("state-1"));
    assert_is_page(&decide(&m, &key, "approve"), 400);
    assert_is_page(&consent_page(&m, &key), 400);
    let code = query_value(&location, "code").expect("a code");
    assert_eq!(m.exchange_web(&code).status, 200);

    let denied = decide(&m, &consent_key(&m, &[]), "deny");
    let location = denied.header("location");
    assert_eq!(denied.status, 302);
    assert_eq!(
        query_value(location, "error").as_deref(),
        Some("access_denied")
    );
    let why = query_value(location, "error_description");
    assert_eq!(why.as_deref(), Some("the user denied the request"));
    assert_eq!(query_value(location, "state").as_deref(), Some("state-1"));
}

#[test]
fn a_consent_needs_its_key_and_an_action_in_time() {
    let m = Mock::new();
    let key = consent_key(&m, &[]);
    assert!(key.len() >= 43 && key.chars().all(|c| c.is_ascii_alphanumeric()));
    for wrong in ["", "guess", &key[1..]] {
        let reply = decide(&m, wrong, "approve");
        assert_is_page(&reply, 400);
        assert_eq!(element(&reply, "title"), "This page is no longer valid");
    }
    assert_is_page(&decide(&m, &key, "maybe"), 400);
    m.pass(600);
    let late = decide(&m, &key, "approve");
    assert_is_page(&late, 400);
    assert!(element(&late, "text").contains("has expired"));
}

#[test]
fn an_odd_state_and_query_come_back_as_they_were() {
    let m = Mock::new();
    let state = "a b&c=d#é\r\n\"<>'%00";
    let callback = "http://localhost:8080/cb?keep=1&x=%26";
    let key = consent_key(&m, &[("state", state), ("redirect_uri", callback)]);
    let location = decide(&m, &key, "approve").header("location").to_owned();
    assert!(location.starts_with("http://localhost:8080/cb?keep=1&x=%26&code=code_mock_"));
    assert_eq!(query_value(&location, "state").as_deref(), Some(state));
    // Official SDKs leave the state out or empty; nothing is made up for them.
    let key = consent_key(&m, &[("state", "")]);
    let location = decide(&m, &key, "approve").header("location").to_owned();
    assert_eq!(query_value(&location, "state"), None);
}

#[test]
fn hostile_values_are_escaped() {
    let m = Mock::new();
    let hostile = "\"><script>alert(1)</script>";
    let uri = "http://localhost:8080/\"><script>alert(1)</script>";
    let page = consent_page(
        &m,
        &consent_key(&m, &[("redirect_uri", uri), ("state", hostile)]),
    );
    assert_is_page(&page, 200);
    assert!(page.text.contains("&#60;script&#62;"), "{}", page.text);

    let encoded: String = url::form_urlencoded::byte_serialize(hostile.as_bytes()).collect();
    let page = m.get(
        &format!("/oauth/device-activation?user_code={encoded}"),
        None,
    );
    assert_is_page(&page, 404);
    assert!(page.text.contains("&#60;script&#62;"));
    let page = m.get(&format!("/oauth/consent?authorize_key={encoded}"), None);
    assert_is_page(&page, 400);

    for (name, value) in [
        ("client_id", hostile),
        ("redirect_uri", hostile),
        ("redirect_uri", "http://evil.example/<script>"),
        ("response_type", hostile),
    ] {
        let page = m.get(target(&authorize_url(&[(name, value)])), None);
        assert_is_page(&page, if name == "client_id" { 401 } else { 400 });
    }
    let in_path = authorize_url(&[]).replace("oauth2/", "oauth2/workspace_id/%22%3Cscript%3E/");
    let reply = m.get(target(&in_path), None);
    let key = query_value(reply.header("location"), "authorize_key").expect("a key");
    assert_is_page(&consent_page(&m, &key), 200);
}

#[test]
fn a_refused_authorize_request_explains_itself_to_people() {
    let m = Mock::new();
    let page = m.get(
        target(&authorize_url(&[(
            "redirect_uri",
            "http://evil.example/cb",
        )])),
        None,
    );
    assert_is_page(&page, 400);
    assert_eq!(element(&page, "title"), "OAuth error");
    assert_eq!(element(&page, "rule"), "authorize.redirect_uri");
    assert_eq!(element(&page, "error"), "invalid_request");
    assert_eq!(element(&page, "message"), "invalid request: redirect_uri");
    assert_eq!(element(&page, "actual"), "http://evil.example/cb");
    assert_eq!(element(&page, "logid"), page.header("x-tt-logid"));
    assert!(!element(&page, "fix").is_empty());
}

#[test]
fn a_person_connects_a_device() {
    let m = Mock::new();
    let entry = m.get("/oauth/device-activation", None);
    assert_is_page(&entry, 200);
    assert_eq!(element(&entry, "continue"), "Continue");
    assert!(entry.text.contains("data-testid=\"user-code\""));

    let wrong = m.get("/oauth/device-activation?user_code=AAA-AAA-AAA", None);
    assert_is_page(&wrong, 404);
    assert!(element(&wrong, "problem").starts_with("No device is waiting"));
    assert!(
        wrong.text.contains("value=\"AAA-AAA-AAA\""),
        "what was typed is still there"
    );

    let (device_code, user_code) = m.device();
    let typed = user_code.to_lowercase().replace('-', "+");
    let confirm = m.get(&format!("/oauth/device-activation?user_code={typed}"), None);
    assert_is_page(&confirm, 200);
    assert_eq!(element(&confirm, "user-code"), user_code);
    assert_eq!(element(&confirm, "app"), "Mock Device App");
    assert_eq!(element(&confirm, "client-id"), DEVICE);
    assert_eq!(
        m.poll(&device_code).rule(),
        Some("device.pending"),
        "looking decides nothing"
    );
    let path = "/oauth/device-activation";
    let done = form(
        &m,
        path,
        &[("user_code", &user_code), ("action", "approve")],
    );
    assert_is_page(&done, 200);
    assert_eq!(element(&done, "title"), "Device connected");
    let html = &done.text;
    assert!(html.contains("<h1 class=\"done\""), "{html}");
    assert_eq!(m.poll(&device_code).status, 200);
    let again = form(&m, path, &[("user_code", &user_code), ("action", "deny")]);
    assert_is_page(&again, 410);
    assert!(element(&again, "problem").contains("used already"));
}

#[test]
fn a_person_denies_a_device_or_comes_too_late() {
    let m = Mock::new();
    let path = "/oauth/device-activation";
    let (device_code, user_code) = m.device();
    let nothing = form(&m, path, &[("user_code", &user_code), ("action", "expire")]);
    assert_is_page(&nothing, 400);
    let done = form(&m, path, &[("user_code", &user_code), ("action", "deny")]);
    assert_eq!(element(&done, "title"), "Device denied");
    let html = &done.text;
    assert!(
        html.contains("<h1 class=\"denied\""),
        "not the green of success: {html}"
    );
    assert_eq!(m.poll(&device_code).rule(), Some("device.denied"));

    let (_, user_code) = m.device();
    m.pass(300);
    let late = m.get(&format!("{path}?user_code={user_code}"), None);
    assert_is_page(&late, 410);
    assert!(element(&late, "problem").contains("expired"));
    let unknown = form(&m, path, &[("user_code", "AAA"), ("action", "approve")]);
    assert_is_page(&unknown, 404);
}

#[test]
fn a_workspace_is_shown() {
    let m = Mock::new();
    let url = authorize_url(&[("client_id", WEB)]).replace("oauth2/", "oauth2/workspace_id/ws_a/");
    let reply = m.get(target(&url), None);
    let key = query_value(reply.header("location"), "authorize_key").expect("a key");
    assert_eq!(element(&consent_page(&m, &key), "workspace"), "ws_a");
    let path = "/api/permission/oauth2/workspace_id/ws_b/device/code";
    let started = m.post(path, None, &json!({ "client_id": DEVICE }));
    let target = format!(
        "/oauth/device-activation?user_code={}",
        started.member("user_code")
    );
    assert_eq!(element(&m.get(&target, None), "workspace"), "ws_b");
}
