//! Faults as another process sets them, over HTTP.

use http::Request;
use serde_json::{Value, json};

use crate::support::*;

fn place(m: &Mock, fault: Value) -> Reply {
    let body = json!({ "on": { "endpoint": "users_me" }, "fault": fault });
    m.control("/faults", &body)
}

fn delete(m: &Mock, path: &str) -> Reply {
    let request = Request::delete(format!("/_mock/v1{path}"));
    m.send(request.body(bytes::Bytes::new()).expect("a request"))
}

fn list(m: &Mock) -> Value {
    m.get("/_mock/v1/faults", None).json["faults"].clone()
}

/// Every kind, with all that it takes; what it takes not is refused.
#[test]
fn each_kind_is_placed_and_takes_its_own_members_alone() {
    let m = Mock::new();
    let members = json!({
        "status": 307,
        "ms": 1,
        "at_byte": 12,
        "body": "<html>",
        "location": "http://127.0.0.1:1/",
        "header": { "retry-after": "3" },
        "member": "expires_in",
        "to": "absent",
        "value": 1,
    });
    for (kind, takes) in [
        ("status", &["status", "body", "header"][..]),
        ("delay", &["ms"]),
        ("hold", &[]),
        ("reset", &[]),
        ("close_before_body", &["body"]),
        ("truncate", &["at_byte", "body"]),
        ("garbage", &["body"]),
        ("slow_drip", &["ms", "body"]),
        ("redirect", &["status", "location", "header"]),
        ("wrong_content_type", &["body", "header"]),
        ("empty_200", &[]),
        ("dup_header", &["header"]),
        ("member", &["member", "to"]),
    ] {
        let mut fault = json!({ "kind": kind });
        for member in takes {
            fault[member] = members[member].clone();
        }
        let placed = place(&m, fault.clone());
        assert_eq!(placed.status, 200, "{kind}: {}", placed.text);
        let listed = list(&m);
        assert_eq!(
            (&listed[0]["kind"], &listed[0]["id"]),
            (&json!(kind), &placed.json["id"])
        );
        assert_eq!(delete(&m, "/faults").status, 200);
        for (member, value) in members.as_object().expect("an object") {
            // Of these two one is there.
            if takes.contains(&&**member) || kind == "member" && member == "value" {
                continue;
            }
            let mut more = fault.clone();
            more[member] = value.clone();
            let refused = place(&m, more);
            let error = refused.json["error"].as_str().unwrap_or_default();
            let is_told = error.starts_with(&format!("the fault {kind} takes "));
            assert!(refused.status == 400 && is_told, "{kind} {member}: {error}");
        }
    }
    assert_eq!(list(&m), json!([]));
}

#[test]
fn faults_are_listed_with_their_counts() {
    let m = Mock::new();
    let on = json!({
        "endpoint": "token", "grant": "refresh_token", "client_id": WEB, "path": TOKEN,
    });
    let body = json!({
        "on": on,
        "fault": { "kind": "status", "status": 503 },
        "times": 2,
        "skip": 1,
        "probability": 1.0,
        "at": "answer",
    });
    assert_eq!(m.control("/faults", &body).json, json!({ "id": "f1" }));
    assert_eq!(
        place(&m, json!({ "kind": "reset" })).json,
        json!({ "id": "f2" })
    );
    let statuses = [(); 4].map(|()| m.refresh_web("unknown").status);
    assert_eq!(statuses, [400, 503, 503, 400]);
    let expected = json!([
        {
            "id": "f1", "on": on, "kind": "status", "at": "answer", "times": 2, "skip": 1,
            "probability": 1.0, "matched": 4, "fired": 2,
        },
        {
            "id": "f2", "on": { "endpoint": "users_me", "grant": null, "client_id": null, "path": null },
            "kind": "reset", "at": "request", "times": null, "skip": 0, "probability": 1.0,
            "matched": 0, "fired": 0,
        },
    ]);
    assert_eq!(list(&m), expected);
    let elsewhere = m.get("/_mock/v1/faults?world=w1", None).json;
    assert_eq!(elsewhere, json!({ "faults": [] }));

    let unknown = delete(&m, "/faults/f3");
    assert_eq!(
        (unknown.status, &unknown.json["faults"]),
        (404, &json!(["f1", "f2"]))
    );
    assert_eq!(delete(&m, "/faults/f1").json, json!({ "ok": true }));
    assert_eq!(m.refresh_web("unknown").status, 400);
    assert_eq!(list(&m)[0]["id"], "f2");
    assert_eq!(delete(&m, "/faults").status, 200);
    let next = place(&m, json!({ "kind": "hold" }));
    assert_eq!(next.json, json!({ "id": "f3" }), "no id comes twice");
    m.mock.reset();
    assert_eq!(list(&m), json!([]));
    assert_eq!(
        place(&m, json!({ "kind": "hold" })).json,
        json!({ "id": "f1" })
    );
}

#[test]
fn an_invalid_fault_is_refused_and_not_quoted() {
    let m = Mock::new();
    let fault = |fault: Value| json!({ "on": { "endpoint": "token" }, "fault": fault });
    let with = |name: &str, value: Value| {
        let mut body = fault(json!({ "kind": "reset" }));
        body[name] = value;
        body
    };
    for (body, part) in [
        (json!({}), r#"expected {"on":{"endpoint":"token""#),
        (fault(json!({ "kind": "s3cret" })), "slow_drip|redirect"),
        (
            fault(json!({ "kind": "status", "status": 199 })),
            "status is 200 to 599",
        ),
        (
            fault(json!({ "kind": "status", "status": 600 })),
            "status is 200 to 599",
        ),
        (
            fault(json!({ "kind": "status", "body": "b".repeat(65537) })),
            "65536",
        ),
        (
            fault(json!({ "kind": "delay", "ms": 0 })),
            "ms is 1 to 60000",
        ),
        (
            fault(json!({ "kind": "delay", "ms": 60001 })),
            "ms is 1 to 60000",
        ),
        (
            fault(json!({ "kind": "redirect" })),
            "redirect needs a location",
        ),
        (
            fault(json!({ "kind": "redirect", "location": "/", "status": 200 })),
            "status of a redirect is 300 to 399",
        ),
        (
            fault(json!({ "kind": "redirect", "location": "/s3cret\r\n" })),
            "location does not fit in a header",
        ),
        (
            fault(json!({ "kind": "dup_header", "header": { "s3cret\n": "x" } })),
            "header names and values must be allowed by HTTP",
        ),
        (
            fault(json!({ "kind": "status", "header": { "Content-Length": "3" } })),
            "content-length, which frames the answer",
        ),
        (
            with("at", json!("s3cret")),
            r#"at is "request" or "answer""#,
        ),
        (with("probability", json!(1.5)), "probability is 0 to 1"),
        (with("times", json!(-1)), "expected {"),
        (with("s3cret", json!(1)), "expected {"),
        (
            json!({ "on": { "endpoint": "s3cret" }, "fault": { "kind": "reset" } }),
            "endpoint is one of",
        ),
        (
            json!({
                "on": { "endpoint": "users_me", "client_id": "s3cret" },
                "fault": { "kind": "reset" },
            }),
            "client_id is only for the endpoints authorize, token, device_code",
        ),
    ] {
        let reply = m.control("/faults", &body);
        let error = reply.json["error"].as_str().unwrap_or_default();
        assert!(
            reply.status == 400 && error.contains(part),
            "{body}: {error}"
        );
        assert!(!error.contains("s3cret"), "{error}");
    }
    assert_eq!(list(&m), json!([]));
}

#[test]
fn there_are_64_faults_at_most() {
    let m = Mock::new();
    let set = || place(&m, json!({ "kind": "reset" })).status;
    assert!((0..64).all(|_| set() == 200));
    assert_eq!(set(), 409);
    assert_eq!(delete(&m, "/faults/f7").status, 200);
    assert_eq!((set(), set()), (200, 409));
    let on = coze_auth_mock::On::token();
    let _library = m.mock.fault(on, coze_auth_mock::Fault::reset());
}

/// Gates have the same filter.
#[test]
fn a_gate_can_be_for_one_client() {
    let m = Mock::new();
    let on = json!({ "endpoint": "token", "client_id": PKCE });
    let gate = json!({ "on": on, "at": "answer" });
    assert_eq!(m.control("/gates/pkce", &gate).status, 200);
    assert_eq!(m.refresh_web("unknown").status, 400, "another client");
    let request = post(TOKEN, None, &refresh(PKCE, "unknown"));
    drop(crate::gates::Client::held(&m, request));
}
