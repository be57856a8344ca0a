//! The journal, explanations, and who may ask for them.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::support::*;

#[test]
fn the_journal_can_be_filtered_and_cleared() {
    let m = Mock::new();
    m.web_tokens();
    m.device();
    m.me("pat_mock_alice");
    m.jwt(|_, _| {});
    let list = |query: &str| {
        let reply = m.get(&format!("/_mock/v1/requests{query}"), None);
        let found = reply.json["requests"].as_array().expect("a list").clone();
        found
            .iter()
            .map(|entry| entry["seq"].as_u64().expect("a number"))
            .collect::<Vec<_>>()
    };
    assert_eq!(list(""), [1, 2, 3, 4, 5], "the control plane is not in it");
    assert_eq!(list("?endpoint=token"), [2, 5]);
    assert_eq!(list("?grant=jwt_bearer"), [5]);
    assert_eq!(list(&format!("?client_id={DEVICE}")), [3]);
    assert_eq!(list("?since=3"), [4, 5]);
    assert_eq!(list("?since=1&limit=2"), [4, 5]);
    assert_eq!(m.get("/_mock/v1/requests?colour=red", None).status, 400);

    let all = m
        .get("/_mock/v1/requests?endpoint=token&limit=1", None)
        .json;
    let entry = &all["requests"][0];
    assert_eq!(entry["at_ms"], NOW * 1000);
    assert_eq!(entry["method"], "POST");
    assert_eq!(entry["path"], TOKEN);
    assert_eq!(entry["client"], JWT);
    assert_eq!(entry["jwt"]["header"]["kid"], "mock-jwt-key-1");
    assert_eq!(entry["jwt"]["payload"]["aud"], "api.coze.cn");
    assert_eq!(entry["json"]["grant_type"], crate::support::JWT_GRANT);
    assert_eq!(entry["outcome"]["status"], 200);
    assert!(entry["outcome"]["logid"].is_string());
    assert!(entry["elapsed_us"].is_u64());

    let request = Request::delete("/_mock/v1/requests").body(Bytes::new());
    assert_eq!(m.send(request.expect("a request")).status, 200);
    assert_eq!(list(""), [0; 0]);
    m.me("pat_mock_alice");
    assert_eq!(list(""), [6], "numbers go on");
}

/// 2,000 of them are kept, so what one takes counts.
#[test]
fn an_entry_stays_small_whatever_was_sent() {
    let m = Mock::new();
    let long = json!(vec!["a"; 15_000]);
    let many: serde_json::Map<_, _> = (0..4_000).map(|n| (format!("m{n}"), json!(n))).collect();
    let assertion = assertion(NOW, |header, claims| {
        header["typ"] = long.clone();
        claims["session_context"] = json!(many);
    });
    let mut request = Request::post(format!(
        "{TOKEN}?{}",
        "client_id=abc.abc.abc&".repeat(2_000)
    ))
    .header("Content-Type", "application/json")
    .header("Authorization", format!("Bearer {assertion}"));
    for _ in 0..1_000 {
        request = request.header("Accept", "text/plain ".repeat(20));
    }
    let body = json!({ "grant_type": JWT_GRANT, "scope": long });
    m.send(
        request
            .body(Bytes::from(body.to_string()))
            .expect("a request"),
    );
    let entry = m.mock.requests().pop().expect("an entry");
    let json = entry.json.as_ref().expect("a body");
    assert_eq!(json["scope"][32], "… 14968 more");
    let jwt = entry.jwt.as_ref().expect("an assertion");
    assert_eq!(jwt.header["typ"], "***", "a type is a text");
    assert_eq!(jwt.payload["session_context"]["…"], "3968 more");
    assert_eq!(entry.headers["…"], "938 more");
    let size = serde_json::to_vec(&entry).expect("JSON").len();
    assert!(size < 24 * 1024, "{size} bytes");
}

#[test]
fn reset_goes_back_to_the_first_moment() {
    let m = Mock::new();
    let before = m.web_tokens();
    assert!(m.mock.revoke("pat_mock_alice"));
    m.pass(5);
    assert_eq!(m.control("/reset", &json!({})).status, 200);
    assert_eq!(m.me(&before.0).rule(), Some("token.known"));
    assert_eq!(m.me("pat_mock_alice").status, 200);
    assert_eq!(m.mock.requests().len(), 2);
    assert_eq!(m.clock.unix_ms(), (NOW + 5) * 1000, "the clock stays");
    m.mock.reset();
    assert_eq!(m.web_tokens(), before, "the same ids again");
}

#[test]
fn every_answer_can_be_explained() {
    let m = Mock::new();
    let explain = |logid: &str| m.get(&format!("/_mock/v1/explain/{logid}"), None);
    let refused = m.post(TOKEN, Some(SECRET), &exchange(WEB, "code_unknown"));
    let explained = explain(refused.header("x-tt-logid")).json;
    assert_eq!(explained["rule"], "code.known");
    assert_eq!(explained["evidence"], "guess");
    assert_eq!(explained["expected"], "a code that this server issued");
    for member in ["text", "reference", "actual", "fix"] {
        assert!(explained[member].is_string(), "{member}");
    }
    let fine = m.exchange_web(&m.code(&[]));
    let explained = explain(fine.header("x-tt-logid")).json;
    assert_eq!(explained["rule"], Value::Null);
    let text = explained["text"].as_str().expect("a text");
    let held = "authorization_code succeeded: every rule held. ";
    assert!(text.starts_with(held), "{text}");
    assert_eq!(explain("nobody").status, 404);
}

#[test]
fn tokens_can_be_revoked() {
    let m = Mock::new();
    let (access, refresh) = m.web_tokens();
    for token in [&access, &refresh] {
        assert_eq!(
            m.control("/tokens/revoke", &json!({ "token": token }))
                .status,
            200
        );
    }
    let reply = m.me(&access);
    assert_eq!((reply.status, reply.rule()), (401, Some("token.revoked")));
    assert_eq!(reply.json["code"], 4100);
    assert_eq!(m.refresh_web(&refresh).rule(), Some("refresh.revoked"));
    let unknown = m.control("/tokens/revoke", &json!({ "token": "nobody-knows-this" }));
    assert_eq!(unknown.status, 404);
    assert!(!unknown.text.contains("nobody-knows-this"));
    assert_eq!(
        m.control("/tokens/paint", &json!({ "token": access }))
            .status,
        404
    );
}

#[test]
fn the_control_plane_answers_only_to_this_machine() {
    let m = Mock::new();
    let ask = |name: &str, value: &str| {
        let request = Request::get("/_mock/v1/requests").header(name, value);
        m.send(request.body(Bytes::new()).expect("a request"))
            .status
    };
    for host in ["localhost:9777", "127.0.0.1", "127.9.9.9:1", "[::1]:9777"] {
        assert_eq!(ask("Host", host), 200, "{host}");
        assert_eq!(ask("Origin", &format!("http://{host}")), 200, "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1:1.evil.example",
        "10.0.0.1:9777",
        "api.coze.cn",
    ] {
        assert_eq!(ask("Host", host), 403, "{host}");
        assert_eq!(ask("Origin", &format!("http://{host}")), 403, "{host}");
    }
    assert_eq!(ask("Origin", "null"), 403);
    let request = Request::get("/v1/users/me")
        .header("Host", "api.coze.cn")
        .header("Authorization", "Bearer pat_mock_alice");
    let reply = m.send(request.body(Bytes::new()).expect("a request"));
    assert_eq!(reply.status, 200, "the data plane goes by any name");
    assert_eq!(m.get("/_mock/v1/nothing", None).status, 404);
    assert_eq!(m.get("/_mock/v1/reset", None).status, 405);
}
