//! Gates as another process sets them, over HTTP and sockets.

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_mock::{At, On};
use http::Request;
use serde_json::{Value, json};

use crate::gates::{Client, me};
use crate::sockets::{address, talk};
use crate::support::*;

pub(crate) const ME: &str = "GET /v1/users/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer pat_mock_alice\r\nConnection: close\r\n\r\n";

/// One control over a socket of its own.
pub(crate) fn ask(to: SocketAddr, method: &str, path: &str, body: &Value) -> Value {
    let body = body.to_string();
    let answer = talk(
        to,
        format!(
            "{method} /_mock/v1{path} HTTP/1.1\r\nHost: {to}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    let (_, body) = answer.split_once("\r\n\r\n").expect("head and body");
    serde_json::from_str(body).expect("JSON")
}

/// Eight clients with one refresh token, as eight processes would come.
#[test]
fn eight_refreshes_meet_at_a_gate_and_go_on_one_by_one() {
    let (builder, _) = builder();
    let mock = builder.start_blocking().expect("a mock");
    let to = address(&mock);
    let url = mock
        .authorize(&authorize_url(&[]), true)
        .expect("a redirect");
    let code = query_value(&url, "code").expect("a code");
    let tokens = mock.call_blocking(post(TOKEN, Some(SECRET), &exchange(WEB, &code)));
    let tokens: Value = serde_json::from_slice(tokens.body()).expect("JSON");
    let on = json!({ "endpoint": "token", "grant": "refresh_token" });
    let set = json!({ "on": on, "at": "request" });
    assert_eq!(
        ask(to, "POST", "/gates/refreshes", &set),
        json!({ "ok": true })
    );

    let body = refresh(WEB, tokens["refresh_token"].as_str().expect("a token")).to_string();
    let request = format!(
        "POST {TOKEN} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SECRET}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let (answered, answers) = mpsc::channel();
    for _ in 0..8 {
        let (request, answered) = (request.clone(), answered.clone());
        thread::spawn(move || answered.send(talk(to, request.as_bytes())));
    }
    let met = ask(
        to,
        "GET",
        "/gates/refreshes?arrived=8&timeout_ms=20000",
        &json!({}),
    );
    let expected = json!({ "name": "refreshes", "arrived": 8, "waiting": 8, "reached": true });
    assert_eq!(met, expected);
    assert_eq!(mock.requests().len(), 2);

    ask(to, "POST", "/gates/refreshes/release", &json!({ "n": 1 }));
    let first = answers.recv_timeout(GUARD).expect("an answer");
    assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
    let left = ask(to, "GET", "/gates/refreshes?arrived=8", &json!({}));
    assert_eq!((&left["arrived"], &left["waiting"]), (&json!(8), &json!(7)));
    assert_eq!(mock.requests().len(), 3);

    assert_eq!(
        ask(to, "DELETE", "/gates/refreshes", &json!({})),
        json!({ "ok": true })
    );
    for _ in 0..7 {
        let answer = answers.recv_timeout(GUARD).expect("an answer");
        assert!(answer.contains("x-mock-rule: refresh.rotate"), "{answer}");
    }
}

#[test]
fn a_client_that_hangs_up_no_longer_waits() {
    let (builder, _) = builder();
    let mock = builder.start_blocking().expect("a mock");
    let to = address(&mock);
    for at in [At::Request, At::Answer] {
        let gate = mock.gate("me", On::endpoint("users_me"), at);
        let mut gone = TcpStream::connect(to).expect("a connection");
        std::io::Write::write_all(&mut gone, ME.as_bytes()).expect("it is taken");
        assert!(gate.arrived_blocking(1, GUARD));
        let stays = thread::spawn(move || talk(to, ME.as_bytes()));
        assert!(gate.arrived_blocking(2, GUARD));
        assert_eq!(gate.waiting(), 2);
        drop(gone);
        let until = Instant::now() + GUARD;
        while gate.waiting() != 1 {
            assert!(Instant::now() < until, "it is still counted");
            thread::yield_now();
        }
        gate.release(1);
        let answer = stays.join().expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[test]
fn gates_over_http_are_those_of_the_library() {
    let m = Mock::new();
    let set = json!({ "on": { "endpoint": "users_me" }, "at": "request" });
    assert_eq!(m.control("/gates/me", &set).status, 200);
    assert_eq!(
        m.control("/gates/me/release", &json!({ "n": 2 })).status,
        200
    );
    assert!(Client::send(&m, me()).is_ok());
    assert_eq!(m.control("/gates/me/release", &json!({})).status, 200);
    assert!(Client::send(&m, me()).is_ok());
    let state = |query: &str| m.get(&format!("/_mock/v1/gates/me{query}"), None).json;
    let counts =
        |n, reached| json!({ "name": "me", "arrived": n, "waiting": 0, "reached": reached });
    assert_eq!(
        state(""),
        counts(2, true),
        "nobody waited, so {{}} let nobody by"
    );
    assert_eq!(state("?arrived=3&timeout_ms=1"), counts(2, false));

    let gate = m.mock.gate("me", On::token(), At::Answer);
    assert_eq!(state(""), counts(0, true), "another gate of its name");
    let delete = Request::delete("/_mock/v1/gates/me").body(bytes::Bytes::new());
    assert_eq!(m.send(delete.expect("a request")).status, 200);
    assert_eq!(state("")["gates"], json!([]));
    let refresh = post(TOKEN, Some(SECRET), &refresh(WEB, "x"));
    assert!(Client::send(&m, refresh).is_ok());
    drop(gate);
}

#[test]
fn a_release_without_a_number_is_for_those_that_wait_and_nobody_else() {
    let m = Mock::new();
    let gate = m.mock.gate("me", On::endpoint("users_me"), At::Request);
    let mut held = [(); 3].map(|()| Client::held(&m, me()));
    let release = |body| m.control("/gates/me/release", &body).status;
    assert_eq!(release(json!({ "n": 1 })), 200);
    let through = held.each_mut().map(|client| client.answer(&m).is_some());
    assert_eq!(through, [true, false, false]);
    assert_eq!(release(json!({})), 200);
    let [_, second, third] = &mut held;
    assert!(second.answer(&m).is_some() && third.answer(&m).is_some());
    drop(Client::held(&m, me()));
    gate.open();
}

#[test]
fn the_default_wait_has_an_end() {
    let m = Mock::new();
    let gate = m.mock.gate("me", On::endpoint("users_me"), At::Request);
    let watch = Request::get("/_mock/v1/gates/me?arrived=1").body(bytes::Bytes::new());
    let mut watch = Client::held(&m, watch.expect("a request"));
    assert!(!gate.arrived_blocking(1, Duration::from_millis(100)));
    assert!(watch.answer(&m).is_none(), "it gave up at once");
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let m = Mock::new();
    let set = |on: Value, at: &str| m.control("/gates/a", &json!({ "on": on, "at": at }));
    for (on, at, part) in [
        (
            json!({}),
            "request",
            r#"expected {"on":{"endpoint":"token""#,
        ),
        (
            json!({ "endpoint": "me" }),
            "request",
            "authorize, token, device_code, workload_token, integration, project_env, users_me, workspaces, api, unknown",
        ),
        (
            json!({ "endpoint": "token", "grant": "jwt" }),
            "answer",
            "authorization_code, refresh_token, device_code, jwt_bearer",
        ),
        (
            json!({ "endpoint": "users_me", "grant": "refresh_token" }),
            "answer",
            "only for the endpoint token",
        ),
        (
            json!({ "endpoint": "token", "colour": "red" }),
            "request",
            "expected {",
        ),
        (
            json!({ "endpoint": "token" }),
            "body",
            r#"at is "request" or "answer""#,
        ),
    ] {
        let reply = set(on, at);
        let error = reply.json["error"].as_str().unwrap_or_default();
        assert!(
            reply.status == 400 && error.contains(part),
            "{}",
            reply.text
        );
    }
    let unknown = json!({ "on": { "endpoint": "token" }, "at": "answer", "n": 1 });
    assert_eq!(m.control("/gates/a", &unknown).status, 400);
    let on = json!({ "endpoint": "token", "grant": "refresh_token" });
    assert_eq!(set(on, "answer").status, 200);

    let get = |path: &str| m.get(&format!("/_mock/v1{path}"), None);
    let delete = Request::delete("/_mock/v1/gates/b").body(bytes::Bytes::new());
    for reply in [
        get("/gates/b?arrived=1"),
        m.control("/gates/b/release", &json!({})),
        m.send(delete.expect("a request")),
    ] {
        assert_eq!((reply.status, &reply.json["gates"]), (404, &json!(["a"])));
    }
    assert_eq!(get("/gates/a?timeout_ms=60000").status, 200);
    for query in ["arrived=-1", "timeout_ms=60001", "arrived=1&colour=red"] {
        assert_eq!(get(&format!("/gates/a?{query}")).status, 400, "{query}");
    }
    for body in [
        json!({ "n": -1 }),
        json!({ "n": "1" }),
        json!({ "all": true }),
    ] {
        assert_eq!(m.control("/gates/a/release", &body).status, 400, "{body}");
    }
}

#[test]
fn there_are_64_gates_at_most() {
    let m = Mock::new();
    let set = |name: &str| {
        let body = json!({ "on": { "endpoint": "token" }, "at": "request" });
        m.control(&format!("/gates/{name}"), &body).status
    };
    for n in 0..64 {
        assert_eq!(set(&format!("gate-{n}")), 200);
    }
    assert_eq!(set("gate-64"), 409);
    assert_eq!(set("gate-63"), 200, "in the place of its namesake");
    assert_eq!(set(&"g".repeat(65)), 400);
    assert_eq!(set("g%20"), 400);
    let _library = m.mock.gate("mine", On::endpoint("users_me"), At::Request);
    drop(Client::held(&m, me()));
    m.mock.reset();
    assert_eq!(set(&"g".repeat(64)), 200);
}
