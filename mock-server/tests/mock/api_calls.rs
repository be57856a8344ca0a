//! Paths of the API: the token before the path, workspaces, and calls of the user's own.

use std::time::Duration;

use bytes::Bytes;
use coze_auth_mock::{Api, Expect, Fault, On};
use http::Request;
use serde_json::{Value, json};

use crate::raw::{End, Server, ask};
use crate::support::*;

const ALICE: Option<&str> = Some("pat_mock_alice");

fn bot() -> Api {
    Api::json(
        "GET",
        "/v1/bots/{bot_id}",
        json!({ "code": 0, "data": { "name": "Mock" } }),
    )
}

fn delete(m: &Mock, path: &str) -> Reply {
    let request = Request::delete(format!("/_mock/v1{path}"));
    m.send(request.body(Bytes::new()).expect("a request"))
}

fn why(reply: &Reply) -> String {
    let explanation = reply.explanation.as_ref().expect("an explanation");
    format!(
        "{} {} {}",
        explanation.actual.as_deref().unwrap_or_default(),
        explanation.fix.as_deref().unwrap_or_default(),
        explanation.text
    )
}

/// At every path of the API, known, unknown or of the user's own.
#[test]
fn the_token_is_looked_at_before_the_path() {
    let m = Mock::with(|builder| builder.api(bot()).api(Api::text("POST", "/elsewhere", "x")));
    m.mock.revoke("sat_mock_ci");
    for path in [
        "/v1/users/me",
        "/v1/users/me/",
        "/v1/workspaces",
        "/v1/bots/7",
        "/v1/nonsense",
        "/v2/x",
        "/v3/chat",
        "/open_api/v2/chat",
        "/elsewhere",
    ] {
        for (token, rule) in [
            (None, "token.known"),
            (Some("dead"), "token.known"),
            (Some("sat_mock_ci"), "token.revoked"),
            (Some("pat_mock_expired"), "token.expiry"),
        ] {
            let reply = m.get(path, token);
            assert_eq!((reply.status, reply.rule()), (401, Some(rule)), "{path}");
            assert_eq!(reply.json["code"], 4100, "{path}");
        }
        let forbidden = m.get(path, Some("pat_mock_forbidden"));
        assert_eq!(
            (forbidden.status, &forbidden.json["code"]),
            (403, &json!(4101))
        );
    }
    // These are not of the API: nobody looks at the token.
    for path in ["/v1", "//v1/users/me", "/api/permission/oauth2/token/"] {
        let reply = m.get(path, None);
        assert_eq!(
            (reply.status, reply.rule()),
            (404, Some("path.known")),
            "{path}"
        );
    }
}

#[test]
fn a_path_of_cozes_that_the_mock_lacks_is_called_that() {
    let m = Mock::new();
    for path in [
        "/v3/chat",
        "/v1/bot/publish",
        "/v1/workspaces/7/members",
        "/open_api/v2/chat",
    ] {
        let reply = m.get(path, ALICE);
        assert_eq!(
            (reply.status, reply.rule()),
            (404, Some("path.api")),
            "{path}"
        );
        assert_eq!(reply.json["code"], 4000);
        let why = why(&reply);
        assert!(
            why.contains("which is Coze's (") && why.contains("The base URL is right"),
            "{why}"
        );
        assert!(!why.contains("slash"), "{why}");
    }
    for path in ["/v1/nonsense", "/v1/users/me/", "/v1//bots", "/v1/bots/"] {
        let reply = m.get(path, ALICE);
        assert_eq!(
            (reply.status, reply.rule()),
            (404, Some("path.known")),
            "{path}"
        );
        assert!(why(&reply).contains("must not end in a slash"), "{path}");
    }
    assert_eq!(m.mock.leaks(), [], "a good Bearer belongs there");
}

#[test]
fn a_token_in_the_body_of_an_api_call_is_a_leak() {
    let m = Mock::with(|builder| builder.api(Api::text("POST", "/v3/chat", "x")));
    m.post(
        "/v3/chat",
        ALICE,
        &json!({ "bot_id": "1", "token": "pat_mock_alice" }),
    );
    let leaks = m.mock.leaks();
    assert_eq!(
        (leaks.len(), leaks[0].kind, leaks[0].place),
        (1, "pat", "body")
    );
    let entry = m.mock.requests().pop().expect("an entry");
    assert_eq!(entry.json, Some(json!({ "bot_id": "***", "token": "***" })));
}

#[test]
fn workspaces_come_by_pages_in_the_shape_that_the_sdks_read() {
    let m = Mock::with(|builder| {
        let text = "[[user]]\nname = \"bob\"\nworkspace = \"w0\"\nworkspaces = [\"w1\", \"w2\", \"w3\", \"w4\"]\n";
        builder.toml(text).expect("no mistakes")
    });
    let ids = |query: &str| -> (Vec<String>, Value) {
        let reply = m.get(&format!("/v1/workspaces{query}"), ALICE);
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json["detail"]["logid"], reply.header("x-tt-logid"));
        let data = &reply.json["data"];
        let all = data["workspaces"].as_array().expect("a list").iter();
        let ids = all.map(|one| one["id"].as_str().expect("a text").to_owned());
        (ids.collect(), data["total_count"].clone())
    };
    for (query, expected) in [
        ("", &["w0", "w1", "w2", "w3", "w4"][..]),
        ("?page_num=1&page_size=2", &["w0", "w1"]),
        ("?page_num=3&page_size=2&enterprise_id=x&user_id=y", &["w4"]),
        ("?page_num=4&page_size=2", &[]),
        ("?page_size=50", &["w0", "w1", "w2", "w3", "w4"]),
        ("?page_num=18446744073709551615&page_size=50", &[]),
    ] {
        assert_eq!(
            ids(query),
            (
                expected.iter().map(|id| (*id).to_owned()).collect(),
                json!(5)
            ),
            "{query}"
        );
    }
    let first = &m.get("/v1/workspaces", ALICE).json["data"]["workspaces"];
    assert_eq!(
        first[0],
        json!({
            "id": "w0", "name": "w0", "icon_url": m.me("pat_mock_alice").json["data"]["avatar_url"], "role_type": "owner",
            "workspace_type": "personal", "enterprise_id": "",
        })
    );
    assert_eq!(
        (&first[1]["role_type"], &first[1]["workspace_type"]),
        (&json!("member"), &json!("team"))
    );
    for query in [
        "page_num=0",
        "page_num=x",
        "page_num=",
        "page_size=0",
        "page_size=51",
        "page_size=-1",
        "page_size=1.5",
    ] {
        let reply = m.get(&format!("/v1/workspaces?{query}"), ALICE);
        assert_eq!(
            (reply.status, reply.rule(), &reply.json["code"]),
            (400, Some("param.page"), &json!(4000)),
            "{query}"
        );
    }
    let twice = m.get("/v1/workspaces?page_num=1&page_num=1", ALICE);
    assert_eq!(twice.rule(), Some("param.once"));
}

#[test]
fn a_call_of_ones_own_is_answered_as_it_was_set() {
    let m = Mock::with(|builder| {
        builder
            .api(bot())
            .api(
                Api::text("GET", "/plain", "hello")
                    .status(418)
                    .header("x-more", "1"),
            )
            .api(Api::text("GET", "/as-json", " {\"a\": 1}"))
    });
    let reply = m.get("/v1/bots/7?x=1", ALICE);
    assert_eq!(
        (reply.status, &reply.json["data"]["name"]),
        (200, &json!("Mock"))
    );
    assert_eq!(
        reply.header("content-type"),
        "application/json; charset=utf-8"
    );
    assert!(!reply.header("x-tt-logid").is_empty());
    let text = reply.explanation.expect("an explanation").text;
    assert_eq!(text, "the API call of your own succeeded: every rule held.");
    let plain = m.get("/plain", ALICE);
    assert_eq!(
        (plain.status, &*plain.text, plain.header("x-more")),
        (418, "hello", "1")
    );
    assert_eq!(plain.header("content-type"), "text/plain; charset=utf-8");
    let json = m.get("/as-json", ALICE);
    assert_eq!(
        (&*json.text, json.header("content-type")),
        (" {\"a\": 1}", "application/json; charset=utf-8")
    );
    let other = m.post("/v1/bots/7", ALICE, &json!({}));
    assert_eq!(
        (other.status, other.rule(), other.header("allow")),
        (405, Some("path.method"), "GET")
    );
    let endpoints: Vec<_> = m
        .mock
        .requests()
        .iter()
        .map(|entry| entry.endpoint)
        .collect();
    assert_eq!(endpoints, ["api"; 4]);
}

/// What the mock has itself can be answered otherwise, too, and with another method goes on as it was.
#[test]
fn a_call_of_ones_own_goes_before_the_mocks() {
    let m = Mock::with(|builder| {
        let own = Api::json("GET", "/v1/workspaces", json!({ "own": true }));
        builder
            .api(own)
            .api(Api::text("PUT", "/v1/users/me", "put"))
    });
    assert_eq!(
        m.mock.call_blocking(get("/v1/workspaces")).body(),
        "{\"own\":true}"
    );
    assert_eq!(m.me("pat_mock_alice").json["data"]["user_name"], "alice");
    let put = Request::put("/v1/users/me").header("Authorization", "Bearer pat_mock_alice");
    let put = m
        .mock
        .call_blocking(put.body(Bytes::new()).expect("a request"));
    assert_eq!(put.body(), "put");
}

fn get(path: &str) -> Request<Bytes> {
    let request = Request::get(path).header("Authorization", "Bearer pat_mock_alice");
    request.body(Bytes::new()).expect("a request")
}

#[test]
fn calls_are_added_listed_and_removed_over_the_control_plane() {
    let m = Mock::with(|builder| builder.api(bot()));
    let add = |body: Value| m.control("/api", &body);
    let reply = add(json!({ "method": "POST", "path": "/v3/chat", "text": "one" }));
    assert_eq!((reply.status, &reply.json), (200, &json!({ "id": "a2" })));
    let reply =
        add(json!({ "method": "POST", "path": "/v3/chat", "json": { "two": 2 }, "status": 201 }));
    assert_eq!(
        reply.json,
        json!({ "id": "a3" }),
        "it takes the place of the other"
    );
    assert_eq!(m.post("/v3/chat", ALICE, &json!({})).status, 201);
    let listed = m.get("/_mock/v1/api", None).json;
    assert_eq!(
        listed,
        json!({ "api": [
            { "id": "a1", "method": "GET", "path": "/v1/bots/{bot_id}", "answers": "json", "status": 200, "bytes": 33 },
            { "id": "a3", "method": "POST", "path": "/v3/chat", "answers": "json", "status": 201, "bytes": 9 },
        ] })
    );
    let elsewhere = m.get("/t/w1/v3/chat", ALICE);
    assert_eq!(elsewhere.status, 404, "each world has its own");
    assert_eq!(
        m.get("/t/w1/v1/bots/7", ALICE).status,
        200,
        "and those of the settings"
    );
    assert_eq!(delete(&m, "/api/a1").status, 200);
    assert_eq!(m.get("/v1/bots/7", ALICE).rule(), Some("path.api"));
    let unknown = delete(&m, "/api/a1");
    assert_eq!(
        (unknown.status, &unknown.json["api"]),
        (404, &json!(["a3"]))
    );
    assert_eq!(delete(&m, "/api").status, 200);
    assert_eq!(m.get("/_mock/v1/api", None).json, json!({ "api": [] }));
    m.mock.reset();
    assert_eq!(
        m.get("/_mock/v1/api", None).json["api"][0]["id"],
        "a1",
        "a reset gives back the settings'"
    );
}

#[test]
fn what_cannot_be_answered_is_refused_and_not_quoted() {
    let m = Mock::new();
    let with = |name: &str, value: Value| {
        let mut body = json!({ "method": "GET", "path": "/v1/x", "text": "x" });
        body[name] = value;
        body
    };
    for (body, part) in [
        (json!({}), r#"expected {"method":"GET""#),
        (with("s3cret", json!(1)), "expected {"),
        (with("method", json!("s3cret")), "method is not one of HTTP"),
        (
            with("path", json!("s3cret")),
            "path is not one of at most 2048",
        ),
        (
            with("path", json!("/_mock/v1/s3cret")),
            "path begins with /_mock",
        ),
        (
            with("path", json!("/api/permission/oauth2/token")),
            "where the mock answers itself",
        ),
        (
            with("json", json!({})),
            "the answer is one of json, text and events",
        ),
        (
            json!({ "method": "GET", "path": "/x" }),
            "the answer is one of json, text and events",
        ),
        (with("status", json!(199)), "status is 200 to 599"),
        (
            with("text", json!("s".repeat(65_537))),
            "text has more than 65536 bytes",
        ),
        (
            with("header", json!({ "content-length": "1" })),
            "content-length, which frames the answer",
        ),
        (
            with("header", json!({ "s3cret\n": "1" })),
            "allowed by HTTP",
        ),
        (with("pause_ms", json!(1)), "pause_ms is only for events"),
        (
            json!({ "method": "GET", "path": "/x", "events": [] }),
            "events has 1 to 1000 events",
        ),
        (
            json!({ "method": "GET", "path": "/x", "events": [{ "event": "s3cret\n", "data": "" }] }),
            "one line each",
        ),
        (
            json!({ "method": "GET", "path": "/x", "events": [{ "data": "" }], "pause_ms": 60_001 }),
            "pause_ms is 0 to 60000",
        ),
    ] {
        let reply = m.control("/api", &body);
        let error = reply.json["error"].as_str().unwrap_or_default();
        assert!(
            reply.status == 400 && error.contains(part),
            "{body}: {error}"
        );
        assert!(!error.contains("s3cret"), "{error}");
    }
    for n in 0..64 {
        let added = m.control(
            "/api",
            &json!({ "method": "GET", "path": format!("/{n}"), "text": "" }),
        );
        assert_eq!(added.status, 200);
    }
    assert_eq!(m.control("/api", &with("path", json!("/more"))).status, 409);
    assert_eq!(
        m.control("/api", &with("path", json!("/7"))).status,
        200,
        "in the place of another"
    );
}

#[test]
fn faults_gates_scripts_and_verify_know_the_calls() {
    let m = Mock::with(|builder| builder.api(bot()).api(Api::text("POST", "/v3/chat", "x")));
    let busy = Fault::status(429)
        .body(r#"{"code":4020,"msg":"busy"}"#)
        .times(1);
    let busy = m.mock.fault(On::endpoint("api").path("/v3/chat"), busy);
    assert_eq!(m.get("/v1/bots/7", ALICE).status, 200, "of another path");
    let refused = m.post("/v3/chat", ALICE, &json!({}));
    assert_eq!((refused.status, &refused.json["code"]), (429, &json!(4020)));
    assert_eq!(m.post("/v3/chat", ALICE, &json!({})).status, 200);
    assert_eq!((busy.matched(), busy.fired()), (2, 1));
    let script = json!({ "on": { "endpoint": "api", "path": "/v1/bots/7" }, "then": [{ "error": "4101", "status": 403 }] });
    assert_eq!(m.control("/script", &script).status, 200);
    assert_eq!(m.get("/v1/bots/7", ALICE).json["code"], 4101);
    m.mock
        .verify(&[
            Expect::exactly(2, On::endpoint("api").path("/v3/chat")),
            Expect::exactly(
                1,
                coze_auth_mock::RequestFilter::any()
                    .path("/v3/chat")
                    .status(429),
            ),
        ])
        .expect("as it was");
    let verify =
        json!({ "expect": [{ "endpoint": "api", "path": "/v1/bots/7", "count": { "eq": 3 } }] });
    let unmet = m.control("/verify", &verify).json["failures"][0]["why"].clone();
    let unmet = unmet.as_str().expect("a text");
    assert!(
        unmet.contains("expected exactly 3 of endpoint api, path /v1/bots/7; 2 matched"),
        "{unmet}"
    );
    assert!(unmet.contains("path /v3/chat, not /v1/bots/7"), "{unmet}");
    let listed = m.get("/_mock/v1/requests?path=/v1/bots/7", None).json;
    assert_eq!(listed["requests"].as_array().map(Vec::len), Some(2));
    let gate = json!({ "on": { "endpoint": "api", "path": "/v3/chat" }, "at": "request" });
    assert_eq!(m.control("/gates/chat", &gate).status, 200);
    let request = post("/v3/chat", ALICE, &json!({}));
    drop(crate::gates::Client::held(&m, request));
}

/// Each event is a chunk of its own, and a program sees the first before the last is sent.
#[test]
fn a_stream_comes_event_by_event() {
    let server = Server::thread();
    let (world, _) = server.world_with_request("stream", "users_me");
    let events = [("a", "1"), ("b", "2"), ("", "[DONE]")];
    world.add_api(Api::events("POST", "/v3/chat", events));
    let request = b"POST /t/stream/v3/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer pat_mock_alice\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let received = ask(&mut server.connect(), request, false);
    let text = String::from_utf8_lossy(received.body()).into_owned();
    assert_eq!((received.status(), received.end), (200, End::Fin));
    assert_eq!(
        received.header("content-type"),
        ["text/event-stream; charset=utf-8"]
    );
    assert_eq!(received.header("transfer-encoding"), ["chunked"]);
    assert_eq!(
        text,
        "13\r\nevent: a\ndata: 1\n\n\r\n13\r\nevent: b\ndata: 2\n\n\r\nE\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
            .replace("13\r\n", "12\r\n")
    );
    let slow = Api::events("POST", "/v3/chat", events).pause(Duration::from_millis(20));
    world.add_api(slow);
    let received = ask(&mut server.connect(), request, false);
    assert!(
        received.took >= Duration::from_millis(40),
        "{:?}",
        received.took
    );
    assert!(
        received.took < Duration::from_secs(10),
        "no pause after the last: {:?}",
        received.took
    );
    // A fault on the socket has the whole body to cut.
    let _cut = world.fault(On::endpoint("api"), Fault::truncate_at(7));
    let received = ask(&mut server.connect(), request, false);
    assert_eq!((received.body(), received.end), (&b"event: "[..], End::Fin));
}

#[test]
fn calls_of_a_configuration() {
    let text = r#"
[[api]]
method = "GET"
path = "/v1/bots/{bot_id}"
json = { code = 0, msg = "", data = { n = -1, list = [1.5, true] } }
[[api]]
method = "POST"
path = "/v3/chat"
events = [{ event = "delta", data = { content = "Hello" } }, { id = "2", data = "[DONE]" }]
status = 202
header = { x-more = "1" }
"#;
    let m = Mock::with(|builder| builder.toml(text).expect("no mistakes"));
    assert_eq!(
        m.get("/v1/bots/7", ALICE).json["data"],
        json!({ "n": -1, "list": [1.5, true] })
    );
    let chat = m.post("/v3/chat", ALICE, &json!({}));
    assert_eq!((chat.status, chat.header("x-more")), (202, "1"));
    assert_eq!(
        chat.text,
        "event: delta\ndata: {\"content\":\"Hello\"}\n\nid: 2\ndata: [DONE]\n\n"
    );
    m.mock.add_api(Api::text("GET", "/added", "x"));
    let other = coze_auth_mock::CozeAuthMock::builder()
        .toml("[[api]]\nmethod = \"GET\"\npath = \"/v1/other\"\ntext = \"x\"")
        .expect("no mistakes");
    m.mock.reload(other).expect("settings");
    assert_eq!(m.get("/v1/other", ALICE).status, 200);
    assert_eq!(
        m.get("/added", ALICE).status,
        200,
        "a reload keeps what a test has added"
    );
    assert_eq!(m.get("/v1/bots/7", ALICE).status, 404);
}

#[test]
fn mistakes_in_calls_are_reported_where_they_are() {
    let text = "[[api]]\nmethod = \"get\"\npath = \"/x\"\ntext = \"\"\n[[api]]\nmethod = \"GET\"\npath = \"x\"\ntext = \"\"\n[[api]]\nmethod = \"GET\"\npth = \"/x\"\n[[api]]\nmethod = 1\n[[api]]\nmethod = \"GET\"\npath = \"/y\"\ntext = \"\"\n[[api]]\nmethod = \"GET\"\npath = \"/y\"\ntext = \"\"\n";
    let errors = coze_auth_mock::CozeAuthMock::builder()
        .toml(text)
        .expect_err("mistakes");
    let places: Vec<_> = errors
        .errors()
        .iter()
        .map(|error| (error.line, error.column))
        .collect();
    assert_eq!(places, [(2, 10), (7, 8), (11, 1), (12, 1), (18, 1)]);
    let text = errors.to_string();
    for part in [
        "expected one such as GET, POST, PUT or DELETE",
        "did you mean \"path\"?",
        "this is not an API call; expected method",
        "a second [[api]] with GET /y; each must have its own method and path",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
