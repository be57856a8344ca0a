//! Requests that no client should send: each gets an answer, a log id and a reason.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::json;

use crate::support::{
    CALLBACK, DEVICE, DEVICE_CODE, Mock, Reply, SECRET, TOKEN, WEB, authorize_url, target,
};

fn body(m: &Mock, content_type: Option<&str>, body: impl Into<Bytes>) -> Reply {
    let mut request = Request::post(TOKEN);
    if let Some(content_type) = content_type {
        request = request.header("Content-Type", content_type);
    }
    m.send(request.body(body.into()).expect("a request"))
}

#[test]
fn bodies_that_are_not_json_objects_are_refused() {
    let m = Mock::new();
    let json = Some("application/json");
    let form = "grant_type=authorization_code&client_id=x&code=y";
    for (content_type, bytes) in [
        (Some("application/x-www-form-urlencoded"), form),
        (json, form),
        (None, r#"{"grant_type":"refresh_token"}"#),
        (Some("text/plain"), r#"{"grant_type":"refresh_token"}"#),
        (json, ""),
        (json, "{"),
        (json, "[]"),
        (json, "null"),
        (json, r#""refresh_token""#),
        (json, r#"{"grant_type":"refresh_token"} {}"#),
        (json, "\u{0}"),
    ] {
        let reply = body(&m, content_type, bytes);
        assert_eq!(
            (reply.status, reply.rule()),
            (400, Some("body.json")),
            "{bytes}"
        );
        assert_eq!(reply.member("error_code"), "invalid_request");
    }
    let reply = body(&m, json, &b"{\"grant_type\":\"\xff\"}"[..]);
    assert_eq!(reply.rule(), Some("body.json"));
    let deep = format!("{{\"a\":{}", "[".repeat(60_000));
    assert_eq!(body(&m, json, deep).rule(), Some("body.json"));
    for fine in ["application/json; charset=utf-8", "Application/JSON"] {
        let reply = body(&m, Some(fine), r#"{"grant_type":"x"}"#);
        assert_eq!(reply.rule(), Some("grant.supported"), "{fine}");
    }
}

#[test]
fn a_body_may_have_its_members_in_any_order_and_65536_bytes() {
    let m = Mock::new();
    let json = Some("application/json");
    let refresh = |m: &Mock| m.web_tokens().1;
    for order in [
        format!(
            r#"{{"grant_type":"refresh_token","client_id":"{WEB}","refresh_token":"{}"}}"#,
            refresh(&m)
        ),
        format!(
            r#"{{"refresh_token":"{}","client_id":"{WEB}","grant_type":"refresh_token"}}"#,
            refresh(&m)
        ),
    ] {
        let request = Request::post(TOKEN)
            .header("Content-Type", "application/json")
            .header("Authorization", format!("Bearer {SECRET}"));
        let reply = m.send(request.body(order.into()).expect("a request"));
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let start = format!(r#"{{"client_id":"{DEVICE}","grant_type":"x","#);
    let of = |length: usize| format!("{start}{:>1$}", "\"a\":1}", length - start.len());
    assert_eq!(of(65_536).len(), 65_536);
    assert_eq!(body(&m, json, of(65_536)).rule(), Some("grant.supported"));
    assert_eq!(body(&m, json, of(65_537)).rule(), Some("body.limit"));
}

#[test]
fn a_missing_parameter_is_named() {
    let m = Mock::new();
    for value in [
        json!(null),
        json!(""),
        json!(5),
        json!({}),
        json!([]),
        json!(true),
    ] {
        let reply = m.post(DEVICE_CODE, None, &json!({ "client_id": value }));
        assert_eq!(reply.rule(), Some("param.required"), "{value}");
        assert_eq!(reply.member("error_message"), "invalid request: client_id");
    }
    let whole = json!({
        "grant_type": "authorization_code", "client_id": WEB, "redirect_uri": "r", "code": "c",
    });
    for name in ["grant_type", "client_id", "redirect_uri", "code"] {
        let mut part = whole.clone();
        part.as_object_mut().expect("an object").remove(name);
        let reply = m.post(TOKEN, Some(SECRET), &part);
        assert_eq!(
            reply.member("error_message"),
            format!("invalid request: {name}")
        );
    }
    for name in ["client_id", "redirect_uri", "response_type"] {
        let reply = m.get(target(&authorize_url(&[(name, "")])), None);
        assert_eq!(
            (reply.status, reply.rule()),
            (400, Some("param.required")),
            "{name}"
        );
    }
}

#[test]
fn a_parameter_sent_twice_is_refused() {
    let m = Mock::new();
    let url = authorize_url(&[]);
    let twice = format!("{}&state=other", target(&url));
    assert_eq!(m.get(&twice, None).rule(), Some("param.once"));
    let unknown = format!("{}&lang=zh&lang=en", target(&url));
    assert_eq!(
        m.get(&unknown, None).status,
        302,
        "unknown parameters are ignored"
    );
    let request = Request::get("/v1/users/me")
        .header("Authorization", "Bearer pat_mock_alice")
        .header("Authorization", "Bearer sat_mock_ci");
    let reply = m.send(request.body(Bytes::new()).expect("a request"));
    assert_eq!(reply.rule(), Some("param.once"));
}

#[test]
fn other_methods_and_paths_are_refused() {
    let m = Mock::new();
    for (path, allowed) in [
        (TOKEN, "POST"),
        (DEVICE_CODE, "POST"),
        ("/v1/users/me", "GET"),
        ("/api/permission/oauth2/authorize", "GET"),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW"] {
            if method == allowed {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let request = Request::builder().method(method).uri(path);
            let reply = m.send(request.body(Bytes::new()).expect("a request"));
            assert_eq!((reply.status, reply.rule()), (405, Some("path.method")));
            assert_eq!(reply.header("allow"), allowed);
        }
    }
    for path in [
        "/",
        "/v1/users/me/",
        "/v1/users",
        "/oauth",
        "//api/permission/oauth2/token",
    ] {
        let reply = m.get(path, Some("pat_mock_alice"));
        assert_eq!(
            (reply.status, reply.rule()),
            (404, Some("path.known")),
            "{path}"
        );
        assert_eq!(reply.json["code"], 4000);
    }
}

#[test]
fn other_schemes_and_unreadable_credentials_are_not_bearer_credentials() {
    let m = Mock::new();
    for (value, actual) in [
        (
            &b"Basic eDp5"[..],
            "an Authorization header that is not a Bearer credential",
        ),
        (
            b"mock-web-secret",
            "an Authorization header that is not a Bearer credential",
        ),
        (
            b"Bearer \xff\xfe",
            "an Authorization header that is not a Bearer credential",
        ),
        (b"Bearer", "an empty Bearer credential"),
        (b"", "an empty Bearer credential"),
    ] {
        let request = Request::get("/v1/users/me").header("Authorization", value);
        let reply = m.send(request.body(Bytes::new()).expect("a request"));
        assert_eq!((reply.status, reply.rule()), (401, Some("token.known")));
        assert_eq!(
            reply.explanation.and_then(|e| e.actual).as_deref(),
            Some(actual)
        );
    }
    let request = Request::get("/v1/users/me").header("Authorization", "bearer  pat_mock_alice ");
    assert_eq!(
        m.send(request.body(Bytes::new()).expect("a request"))
            .status,
        200
    );
}

#[test]
fn wrong_kinds_of_apps_are_told_so() {
    let m = Mock::new();
    for (path, body) in [
        (DEVICE_CODE, json!({ "client_id": WEB })),
        (
            TOKEN,
            json!({ "grant_type": "authorization_code", "client_id": DEVICE }),
        ),
        (
            TOKEN,
            json!({ "grant_type": "refresh_token", "client_id": "100000000001" }),
        ),
    ] {
        let reply = m.post(path, Some(SECRET), &body);
        assert_eq!((reply.status, reply.rule()), (403, Some("client.kind")));
        assert_eq!(reply.member("error_code"), "access_deny");
        assert_eq!(reply.member("error_message"), "invalid app type");
    }
}

#[test]
fn a_deactivated_app_is_named() {
    let m = Mock::new();
    let switch = |on| m.control(&format!("/apps/{DEVICE}"), &json!({ "enabled": on }));
    assert_eq!(switch(false).status, 200);
    let reply = m.post(DEVICE_CODE, None, &json!({ "client_id": DEVICE }));
    let message = "app: Mock Device App is currently deactivated by the owner";
    assert_eq!(reply.member("error_message"), message);
    assert_eq!(switch(true).status, 200);
    assert_eq!(
        m.post(DEVICE_CODE, None, &json!({ "client_id": DEVICE }))
            .status,
        200
    );
}

#[test]
fn a_refused_authorize_request_never_redirects() {
    let m = Mock::new();
    for uri in [
        "http://evil.example/callback",
        "https://localhost:8080/callback",
        "//evil.example/",
        "http://localhost:1@evil.example/",
        "http://localhost:8080/\r\nLocation: http://evil.example/",
    ] {
        let reply = m.get(target(&authorize_url(&[("redirect_uri", uri)])), None);
        assert_eq!(reply.status, 400, "{uri}");
        assert_eq!(reply.header("location"), "");
        assert!(
            reply
                .rule()
                .is_some_and(|rule| rule.starts_with("authorize.redirect_uri"))
        );
    }
    for (uri, why) in [
        ("http://localhost:8080/callback#", "a URL with a fragment"),
        ("http://localhost:8080/#/callback", "a URL with a fragment"),
        ("http://[::1]:8080#callback", "a URL with a fragment"),
        ("http://localhost:8080\\callback", "a URL with a backslash"),
        ("http://localhost:8080/a\\b", "a URL with a backslash"),
        ("http://localhost\\@evil.example/", "a URL with a backslash"),
    ] {
        let reply = m.get(target(&authorize_url(&[("redirect_uri", uri)])), None);
        let refused = (reply.status, reply.rule());
        assert_eq!(refused, (400, Some("authorize.redirect_uri_form")), "{uri}");
        let actual = reply.explanation.and_then(|explanation| explanation.actual);
        assert!(
            actual.is_some_and(|actual| actual.starts_with(why)),
            "{uri}"
        );
    }
    for uri in ["http://[::1]:8080/callback", "http://127.0.0.1:1/a%5Cb%23c"] {
        let reply = m.get(target(&authorize_url(&[("redirect_uri", uri)])), None);
        assert_eq!(reply.status, 302, "{uri}");
    }
    // Even where any URI is let through, it has to be one that a browser can be sent to.
    let m = Mock::with(|builder| builder.rule("authorize.redirect_uri", false));
    let anywhere = authorize_url(&[("redirect_uri", "http://elsewhere.example/cb")]);
    assert_eq!(m.get(target(&anywhere), None).status, 302);
    let script = authorize_url(&[("redirect_uri", "javascript:alert(1)")]);
    assert_eq!(
        m.get(target(&script), None).rule(),
        Some("authorize.redirect_uri_form")
    );
}

/// They are kept until a user decides, and there may be many.
#[test]
fn what_an_authorize_request_leaves_behind_is_short() {
    let m = Mock::new();
    let callback = |length: usize| format!("{CALLBACK:a<length$}");
    let (longest, longer) = (callback(2_048), callback(2_049));
    assert_eq!((longest.len(), longer.len()), (2_048, 2_049));
    let ask = |name: &str, value: &str| m.get(target(&authorize_url(&[(name, value)])), None);
    for name in ["redirect_uri", "state", "code_challenge"] {
        assert_eq!(ask(name, &longest).status, 302, "{name}");
        let reply = ask(name, &longer);
        assert_eq!((reply.status, reply.rule()), (400, Some("param.length")));
        assert!(reply.header("content-type").starts_with("text/html"));
        let actual = reply.explanation.and_then(|explanation| explanation.actual);
        assert_eq!(actual, Some(format!("{name}: 2049 bytes")));
    }
    let workspace = "w".repeat(2_049);
    let path = format!("/api/permission/oauth2/workspace_id/{workspace}/authorize");
    let reply = m.get(&path, None);
    assert_eq!(reply.rule(), Some("param.length"));
}
