//! What a page of another origin is answered, as text: a browser is lenient about some of it.

use bytes::Bytes;
use coze_auth_mock::{At, Builder, Fault, On, SetupError};
use http::{Method, Request};
use serde_json::json;

use crate::support::*;

pub(crate) const PAGE: &str = "http://localhost:3000";

/// A request with headers.
pub(crate) fn ask(m: &Mock, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    m.send(request.body(Bytes::new()).expect("a request"))
}

fn preflight(m: &Mock, path: &str, origin: &str) -> Reply {
    let headers = [
        ("Host", "127.0.0.1:9777"),
        ("Origin", origin),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "cors"),
        ("Access-Control-Request-Method", "POST"),
        (
            "Access-Control-Request-Headers",
            "authorization,content-type,x-coze-client-user-agent",
        ),
    ];
    let mut request = Request::options(path);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    // A preflight is not in the document: it is none of the API's calls.
    m.reply(
        m.mock
            .call_blocking(request.body(Bytes::new()).expect("a request")),
    )
}

fn assert_is_open(reply: &Reply, origin: &str) {
    assert_eq!(reply.header("access-control-allow-origin"), origin);
    assert_eq!(reply.header("access-control-expose-headers"), "x-tt-logid");
    let vary: Vec<_> = reply.headers.get_all("vary").iter().collect();
    assert!(vary.iter().any(|value| *value == "origin"), "{vary:?}");
    let credentials = reply.headers.get("access-control-allow-credentials");
    assert_eq!(credentials, None, "the SDKs send no cookies");
}

fn assert_is_closed(reply: &Reply) {
    let names = reply.headers.keys().map(http::HeaderName::as_str);
    let named: Vec<_> = names
        .filter(|name| name.starts_with("access-control-"))
        .collect();
    assert!(named.is_empty(), "{named:?}");
}

#[test]
fn a_preflight_names_what_a_page_may_send() {
    let m = Mock::new();
    for path in [
        TOKEN,
        DEVICE_CODE,
        "/v1/users/me",
        "/v1/nobody/knows",
        "//v1/users/me",
        "/oauth/nothing",
        "/t/alpha/v1/users/me",
        "/t/not a name/v1".replace(' ', "%20").as_str(),
    ] {
        let reply = preflight(&m, path, PAGE);
        assert_eq!((reply.status, reply.text.as_str()), (204, ""), "{path}");
        assert_is_open(&reply, PAGE);
        assert_eq!(
            reply.header("access-control-allow-headers"),
            "authorization, content-type, x-coze-client-user-agent, agw-js-conv",
            "by name: a star does not cover authorization"
        );
        assert_eq!(
            reply.header("access-control-allow-methods"),
            "GET, POST, PUT, PATCH, DELETE"
        );
        assert_eq!(reply.header("access-control-max-age"), "0");
    }
    assert!(m.mock.requests().is_empty(), "none is in the journal");
    let worlds = m.get("/_mock/v1/worlds", None).json;
    assert_eq!(worlds["worlds"], json!([]), "none makes a world");
}

#[test]
fn a_preflight_uses_nothing_up() {
    let m = Mock::new();
    let other = Mock::new();
    let on = || json!({ "endpoint": "token" });
    let fault = json!({ "on": on(), "fault": { "kind": "status" }, "times": 1 });
    let script = json!({ "on": on(), "then": [{ "error": "invalid_grant" }] });
    for m in [&m, &other] {
        assert_eq!(m.control("/faults", &fault).status, 200);
        assert_eq!(m.control("/script", &script).status, 200);
    }
    assert_eq!(preflight(&m, TOKEN, PAGE).status, 204);
    let gate = m.mock.gate("g", On::token(), At::Request);
    for _ in 0..3 {
        assert_eq!(preflight(&m, TOKEN, PAGE).status, 204, "no gate holds it");
    }
    drop(gate);
    let count = json!({ "expect": [{ "endpoint": "token", "count": { "eq": 0 } }] });
    assert_eq!(m.control("/verify", &count).json["ok"], true);
    // Script, fault, and the ids of both are those of a mock that got no preflight.
    for _ in 0..3 {
        let body = json!({ "grant_type": "password" });
        let [own, other] = [&m, &other].map(|m| m.post(TOKEN, None, &body));
        assert_eq!((own.status, &own.text), (other.status, &other.text));
        assert_eq!(own.header("x-tt-logid"), other.header("x-tt-logid"));
    }
    let requests = m.mock.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].script.as_deref(), Some("s1"));
    assert_eq!(requests[1].fault, Some("status"));
}

#[test]
fn every_answer_is_shown_to_the_page() {
    let m = Mock::new();
    let with = |path: &str, bearer: &str| {
        let bearer = format!("Bearer {bearer}");
        let headers = [("Origin", PAGE), ("Authorization", bearer.as_str())];
        ask(&m, "GET", path, &headers)
    };
    for (path, bearer, status) in [
        ("/v1/users/me", "pat_mock_alice", 200),
        ("/v1/users/me", "nobody-knows", 401),
        ("/v1/nobody/knows", "pat_mock_alice", 404),
        ("//v1/users/me", "pat_mock_alice", 404),
        (TOKEN, "x", 405),
        ("/oauth/nothing", "x", 404),
        ("/t/alpha/v1/users/me", "pat_mock_alice", 200),
        ("/t/-/v1/users/me", "pat_mock_alice", 404),
    ] {
        let reply = with(path, bearer);
        assert_eq!(reply.status, status, "{path}");
        assert_is_open(&reply, PAGE);
    }
    let url = authorize_url(&[]);
    let redirect = ask(&m, "GET", target(&url), &[("Origin", PAGE)]);
    assert_eq!(redirect.status, 302);
    assert_is_open(&redirect, PAGE);
    let page = authorize_url(&[("client_id", "nobody")]);
    let refused = ask(&m, "GET", target(&page), &[("Origin", PAGE)]);
    let vary: Vec<_> = refused.headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["Accept-Language", "origin"]);

    let fault = m.mock.fault(On::endpoint("users_me"), Fault::status(502));
    assert_is_open(&with("/v1/users/me", "pat_mock_alice"), PAGE);
    drop(fault);
    let empty = m.mock.fault(On::endpoint("users_me"), Fault::empty_200());
    assert_is_open(&with("/v1/users/me", "pat_mock_alice"), PAGE);
    drop(empty);
    let body = json!({ "on": { "endpoint": "users_me" }, "then": [{ "error": "invalid_grant" }] });
    assert_eq!(m.control("/script", &body).status, 200);
    let scripted = with("/v1/users/me", "pat_mock_alice");
    assert_eq!(scripted.json["error_code"], "invalid_grant");
    assert_is_open(&scripted, PAGE);

    assert_is_closed(&m.me("pat_mock_alice"));
}

#[test]
fn pages_of_this_machine_may_ask_unless_others_are_listed() {
    let status = |m: &Mock, origin: &str| preflight(m, TOKEN, origin).status;
    let m = Mock::new();
    for origin in [
        "http://localhost",
        "http://localhost:3000",
        "https://localhost:8443",
        "http://127.0.0.1:5173",
        "http://127.1.2.3",
        "http://[::1]:3000",
        "http://alpha.localhost:9777",
        // The mock's own.
        "http://127.0.0.1:9777",
    ] {
        assert_eq!(status(&m, origin), 204, "{origin}");
    }
    for origin in [
        "null",
        "https://app.example",
        "http://localhost.evil.example",
        "http://localhost:3000.evil.example",
        "http://10.0.0.1",
        "http://evil.example:9777",
        "ftp://localhost",
        "chrome-extension://abc",
        "localhost",
        "",
    ] {
        let refused = preflight(&m, TOKEN, origin);
        assert_eq!(refused.status, 403, "{origin}");
        assert_eq!(refused.header("x-mock-guard"), "origin", "{origin}");
        assert_is_closed(&refused);
    }
    assert!(m.mock.requests().is_empty());

    let listed = ["https://App.example:443/", "chrome-extension://abc", "null"];
    let m = Mock::with(|builder| builder.allowed_origins(listed));
    for origin in ["https://app.example", "chrome-extension://abc", "null"] {
        assert_eq!(status(&m, origin), 204, "{origin}");
    }
    for origin in [
        "http://localhost:3000",
        "https://app.example:444",
        "http://app.example",
    ] {
        assert_eq!(status(&m, origin), 403, "{origin}");
    }
    let m = Mock::with(|builder| builder.allowed_origins(["loopback", "https://app.example"]));
    assert_eq!(status(&m, "https://app.example"), 204);
    assert_eq!(status(&m, PAGE), 204);
    let m = Mock::with(|builder| builder.allowed_origins([""; 0]));
    assert_eq!(status(&m, PAGE), 403);
    let toml = |builder: Builder| builder.toml("allowed_origins = [\"https://app.example\"]");
    let m = Mock::with(|builder| toml(builder).expect("a configuration"));
    assert_eq!(status(&m, "https://app.example"), 204);
    assert_eq!(status(&m, PAGE), 403);

    for (text, why) in [
        ("*", "it is not an origin"),
        ("app.example", "it is not an origin"),
        (
            "https://app.example/path",
            "more than scheme, host and port",
        ),
        ("https://u:p@app.example", "more than scheme, host and port"),
        ("data:text/html,x", "it has no host"),
    ] {
        let refused = builder().0.allowed_origins([text]).build().err();
        assert!(
            matches!(&refused, Some(SetupError::AllowedOrigin(of, said)) if of == text && said.contains(why)),
            "{refused:?}"
        );
    }
}

#[test]
fn the_control_plane_and_the_pages_stay_closed() {
    let m = Mock::with(|builder| builder.allowed_origins(["loopback", "https://app.example"]));
    for path in [
        "/_mock/v1/info",
        "/t/alpha/_mock/v1/info",
        "/_mock/v1/info?world=alpha",
    ] {
        assert_is_closed(&preflight(&m, path, PAGE));
        assert_is_closed(&ask(&m, "GET", path, &[("Origin", PAGE)]));
        let listed = ask(&m, "GET", path, &[("Origin", "https://app.example")]);
        assert_eq!(listed.status, 403, "{path}: the list is the data plane's");
        // Before a world is made for it.
        assert_eq!(listed.header("x-mock-guard"), "origin", "{path}");
        assert_is_closed(&listed);
    }
    for path in ["/oauth/consent", "/oauth/device-activation", "/_mock/"] {
        assert_is_closed(&preflight(&m, path, PAGE));
    }
}

/// See `rules.rs` for the rules that refuse.
#[test]
fn the_rules_of_cors_switch_it_off() {
    let m = Mock::with(|builder| builder.rule("cors.answered", false));
    let refused = preflight(&m, TOKEN, PAGE);
    assert_eq!((refused.status, refused.rule()), (405, Some("path.method")));
    assert_is_closed(&refused);
    let headers = [("Origin", PAGE), ("Authorization", "Bearer pat_mock_alice")];
    let answered = ask(&m, "GET", "/v1/users/me", &headers);
    assert_eq!(answered.status, 200);
    assert_is_closed(&answered);

    let m = Mock::with(|builder| builder.rule("cors.exposed", false));
    let answered = ask(&m, "GET", "/v1/users/me", &headers);
    assert_eq!(answered.header("access-control-allow-origin"), PAGE);
    assert_eq!(answered.header("access-control-expose-headers"), "");

    // A world has rules of its own.
    let m = Mock::new();
    let config = "[rules]\ncors.answered = \"off\"";
    let made = m.control("/worlds", &json!({ "name": "closed", "config": config }));
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(
        preflight(&m, &format!("/t/closed{TOKEN}"), PAGE).status,
        405
    );
    assert_eq!(preflight(&m, TOKEN, PAGE).status, 204);
}

/// A method in small letters is sent as it is, also beforehand.
#[test]
fn only_a_preflight_is_answered_as_one() {
    let m = Mock::new();
    let options = ask(&m, "OPTIONS", TOKEN, &[("Origin", PAGE)]);
    assert_eq!((options.status, options.rule()), (405, Some("path.method")));
    assert_is_open(&options, PAGE);
    let headers = [("Origin", PAGE), ("Access-Control-Request-Method", "POST")];
    let posted = ask(&m, Method::POST.as_str(), TOKEN, &headers);
    assert_eq!(posted.rule(), Some("body.json"));
    let without = ask(&m, "OPTIONS", TOKEN, &[headers[1]]);
    assert_eq!(without.status, 405, "a preflight has an origin");
}
