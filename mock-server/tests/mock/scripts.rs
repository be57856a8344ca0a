//! Scripts: the next requests are answered as they say.

use coze_auth_mock::{At, Fault, On, ScriptEnd, ScriptHandle, ScriptStep};
use serde_json::{Value, json};

use crate::support::*;

fn run<const N: usize>(m: &Mock, steps: [ScriptStep; N], after: ScriptEnd) -> ScriptHandle {
    m.mock.script(On::grant("refresh_token"), steps, after)
}

/// Error code of a refresh with `token`, or "ok".
fn code(m: &Mock, token: &str) -> String {
    let reply = m.refresh_web(token);
    match reply.status {
        200 => "ok".to_owned(),
        _ => reply.member("error"),
    }
}

#[test]
fn the_next_requests_are_answered_in_order_and_change_nothing() {
    let m = Mock::new();
    let (access, token) = m.web_tokens();
    let steps = [
        ScriptStep::error("invalid_grant"),
        ScriptStep::error_with(503, "internal_error"),
        ScriptStep::fault(Fault::status(502)),
        ScriptStep::pass(),
    ];
    let script = run(&m, steps, ScriptEnd::Pass);
    let first = m.refresh_web(&token);
    let expected = json!({
        "error": "invalid_grant",
        "error_code": "invalid_grant",
        "error_message": first.json["error_message"],
    });
    assert_eq!((first.status, &first.json), (400, &expected));
    assert!(first.json["error_message"].is_string());
    assert_eq!(m.me(&access).status, 200, "another endpoint takes no step");
    assert_eq!(m.refresh_web(&token).status, 503);
    let third = m.refresh_web(&token);
    assert_eq!(
        (third.status, third.header("x-mock-fault")),
        (502, "status")
    );
    assert_user_tokens(&m.refresh_web(&token));
    assert_eq!(m.refresh_web(&token).rule(), Some("refresh.rotate"));
    assert_eq!(script.matched(), 5);

    let entries: Vec<_> = m.mock.requests();
    let actual: Vec<_> = entries
        .iter()
        .filter(|entry| entry.grant == Some("refresh_token"))
        .map(|entry| (entry.script.as_deref(), entry.fault, entry.outcome.status))
        .collect();
    let expected = [
        (Some("s1"), None, 400),
        (Some("s1"), None, 503),
        (Some("s1"), Some("status"), 502),
        (None, None, 200),
        (None, None, 400),
    ];
    assert_eq!(actual, expected);
}

#[test]
fn an_error_is_explained_by_its_script() {
    let m = Mock::new();
    let _script = m.mock.script(
        On::endpoint("users_me"),
        [ScriptStep::error("4100")],
        ScriptEnd::Last,
    );
    let reply = m.me("pat_mock_alice");
    let logid = reply.header("x-tt-logid");
    let expected = json!({
        "code": 4100,
        "msg": reply.json["msg"],
        "detail": { "logid": logid },
    });
    assert_eq!((reply.status, &reply.json), (401, &expected));
    let why = reply.explanation.as_ref().expect("an entry");
    assert_eq!(why.rule, None);
    assert_eq!(
        why.text,
        "the script s1 answered: no rule has looked at this request."
    );
    let entry = m.mock.requests().pop().expect("an entry");
    assert_eq!(entry.outcome.error.as_deref(), Some("4100"));
}

#[test]
fn an_authorize_request_gets_the_page_of_an_error() {
    let m = Mock::new();
    let on = On::endpoint("authorize");
    let _script = m
        .mock
        .script(on, [ScriptStep::error("access_deny")], ScriptEnd::Last);
    let reply = m.get(target(&authorize_url(&[])), None);
    assert_eq!(reply.status, 403);
    assert!(reply.header("content-type").starts_with("text/html"));
    assert!(reply.text.contains("access_deny") && reply.text.contains("script"));
}

#[test]
fn at_its_end_a_script_passes_repeats_or_stays() {
    let m = Mock::new();
    let steps = || {
        [
            ScriptStep::error("slow_down"),
            ScriptStep::error("expired_token"),
        ]
    };
    for (after, third, fourth) in [
        (ScriptEnd::Pass, "invalid_grant", "invalid_grant"),
        (ScriptEnd::Repeat, "slow_down", "expired_token"),
        (ScriptEnd::Last, "expired_token", "expired_token"),
    ] {
        let _script = run(&m, steps(), after);
        let codes = [(); 4].map(|()| code(&m, "unknown"));
        assert_eq!(codes, ["slow_down", "expired_token", third, fourth]);
    }
    let none: [ScriptStep; 0] = [];
    for after in [ScriptEnd::Pass, ScriptEnd::Repeat, ScriptEnd::Last] {
        let _script = run(&m, none.clone(), after);
        assert_eq!(code(&m, "unknown"), "invalid_grant", "no step, no script");
    }
}

#[test]
fn a_script_comes_before_faults_and_ends_with_its_handle_or_a_reset() {
    let m = Mock::new();
    let _fault = m.mock.fault(On::token(), Fault::status(502));
    let script = run(
        &m,
        [ScriptStep::error("slow_down"), ScriptStep::pass()],
        ScriptEnd::Repeat,
    );
    let second = run(&m, [ScriptStep::error("expired_token")], ScriptEnd::Last);
    let status = || m.refresh_web("unknown").status;
    assert_eq!(
        [status(), status()],
        [400, 502],
        "a step that passes does so"
    );
    assert_eq!(second.matched(), 0);
    script.stop();
    assert_eq!(code(&m, "unknown"), "expired_token");
    m.mock.reset();
    assert_eq!(code(&m, "unknown"), "invalid_grant");
}

#[test]
fn a_fault_of_a_script_acts_when_it_says() {
    let m = Mock::new();
    for (at, acted) in [(At::Request, false), (At::Answer, true)] {
        let (_, token) = m.web_tokens();
        let _script = run(
            &m,
            [ScriptStep::fault(Fault::empty_200().at(at))],
            ScriptEnd::Pass,
        );
        let reply = m.refresh_web(&token);
        assert_eq!((reply.status, &*reply.text), (200, ""));
        let entry = m.mock.requests().pop().expect("an entry");
        assert_eq!(entry.fault, Some("empty_200"));
        assert!(entry.script.is_some());
        assert_eq!(entry.issued.is_some(), acted);
        let rule = m.refresh_web(&token).rule();
        assert_eq!(rule == Some("refresh.rotate"), acted);
    }
}

#[test]
fn scripts_over_http_are_those_of_the_library() {
    let m = Mock::new();
    let on = json!({ "endpoint": "token", "grant": "refresh_token", "client_id": WEB });
    let then = json!([
        { "error": "slow_down" },
        { "error": "invalid_grant", "status": 401 },
        { "fault": { "kind": "status" } },
        { "fault": { "kind": "empty_200" }, "at": "answer" },
        { "pass": true },
    ]);
    let body = json!({ "on": on, "then": then, "after": "repeat" });
    let reply = m.control("/script", &body);
    assert_eq!((reply.status, reply.json), (200, json!({ "id": "s1" })));
    let statuses = [(); 6].map(|()| m.refresh_web("unknown").status);
    assert_eq!(statuses, [400, 401, 502, 200, 400, 400]);
    let delete = |id: &str| {
        let request = http::Request::delete(format!("/_mock/v1/script/{id}"));
        m.send(request.body(bytes::Bytes::new()).expect("a request"))
    };
    let unknown = delete("s2");
    assert_eq!(
        (unknown.status, &unknown.json["scripts"]),
        (404, &json!(["s1"]))
    );
    assert_eq!(delete("s1").status, 200);
    assert_eq!(code(&m, "unknown"), "invalid_grant");
}

#[test]
fn an_invalid_script_is_refused() {
    let m = Mock::new();
    let set = |then: Value, after: &str| {
        let body = json!({ "on": { "endpoint": "token" }, "then": then, "after": after });
        m.control("/script", &body)
    };
    let pass = || json!({ "pass": true });
    let step = r#"a step is {"error":"invalid_grant""#;
    for (then, after, part) in [
        (json!([]), "pass", "then has 1 to 1000 steps"),
        (
            json!(vec![pass(); 1001]),
            "pass",
            "then has 1 to 1000 steps",
        ),
        (
            json!([pass()]),
            "stop",
            r#"after is "pass", "repeat" or "last""#,
        ),
        (json!([{}]), "pass", step),
        (json!([{ "pass": false }]), "pass", step),
        (json!([{ "pass": true, "error": "x" }]), "pass", step),
        (json!([{ "error": "x", "at": "answer" }]), "pass", step),
        (
            json!([{ "error": "x", "status": 100 }]),
            "pass",
            "status is 200 to 599",
        ),
        (
            json!([{ "fault": { "kind": "rest" } }]),
            "pass",
            "expected a fault",
        ),
        (json!("pass"), "pass", r#"expected {"on""#),
    ] {
        let reply = set(then, after);
        let error = reply.json["error"].as_str().unwrap_or_default();
        assert!(
            reply.status == 400 && error.contains(part),
            "{}",
            reply.text
        );
    }
    for _ in 0..64 {
        assert_eq!(set(json!([pass()]), "pass").status, 200);
    }
    assert_eq!(set(json!([pass()]), "pass").status, 409);
}
