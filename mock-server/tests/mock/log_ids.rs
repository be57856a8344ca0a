//! Log ids: each names its world, is found from every world, and is given once.

use std::collections::BTreeSet;

use bytes::Bytes;
use coze_auth_mock::{At, Fault, On};
use http::Request;
use serde_json::{Value, json};

use crate::support::*;

fn me(m: &Mock, mount: &str) -> Reply {
    m.get(&format!("{mount}/v1/users/me"), Some("pat_mock_bob"))
}

#[test]
fn a_log_id_is_found_from_every_world() {
    let m = Mock::new();
    let logids =
        ["", "/t/one", "/t/two.b"].map(|mount| me(&m, mount).header("x-tt-logid").to_owned());
    assert_eq!(logids[0], "20250615150640MOCK00000000000001");
    assert_eq!(logids[2], "20250615150640MOCK00000000000001-two.b");
    let names = [None, Some("one"), Some("two.b")];
    for from in ["", "/t/one", "/t/two.b"] {
        for (logid, world) in logids.iter().zip(names) {
            let call = |path: &str| m.get(&format!("{from}/_mock/{path}"), None);
            let explained = call(&format!("v1/explain/{logid}"));
            assert_eq!(explained.status, 200, "{from} {logid}");
            assert_eq!(explained.json["logid"], **logid);
            assert_eq!(explained.json["world"], json!(world), "{from} {logid}");
            assert_eq!(explained.json["rule"], "token.known");
            let listed = call(&format!("v1/requests?logid={logid}"));
            let found = listed.json["requests"].as_array().expect("a list");
            assert_eq!(found.len(), 1, "{from} {logid}");
            assert_eq!(found[0]["outcome"]["logid"], **logid);
            let other = call(&format!("v1/requests?logid={logid}&status=200"));
            assert_eq!(other.json["requests"], json!([]));
            assert_eq!(call(&format!("request?logid={logid}")).status, 200);
        }
    }
    let one = m.mock.world("one").expect("a name");
    for logid in &logids {
        assert!(one.explain(logid).is_some() && m.mock.explain(logid).is_some());
    }
    // To look is not to make.
    for unknown in ["20250615150640MOCK00000000000001-three", "x", "-one"] {
        let reply = m.get(&format!("/_mock/v1/explain/{unknown}"), None);
        assert_eq!(reply.status, 404, "{unknown}");
        let listed = m.get(&format!("/_mock/v1/requests?logid={unknown}"), None);
        assert_eq!(listed.json["requests"], json!([]));
    }
    let worlds = m.get("/_mock/v1/worlds", None).json;
    assert_eq!(
        worlds["worlds"].as_array().map(Vec::len),
        Some(2),
        "{worlds}"
    );
}

/// On a clock that stands, and although the numbers of a world begin again.
#[test]
fn a_log_id_is_given_once_and_on_one_line_of_the_log() {
    let m = Mock::new();
    let names = ["one", "two", "three"];
    let mut given = Vec::new();
    let mut ask = |mount: &str| given.push(me(&m, mount).header("x-tt-logid").to_owned());
    for round in 0..4 {
        for name in names {
            ask("");
            ask(&format!("/t/{name}"));
            ask(&format!("/t/{name}"));
        }
        m.mock.reset();
        m.mock.world("one").expect("a name").reset();
        // A world that nobody asked anything, twice, gives none away.
        m.mock.world("one").expect("a name").reset();
        let remove = Request::delete("/_mock/v1/worlds/two").body(Bytes::new());
        assert_eq!(m.send(remove.expect("a request")).status, 200, "{round}");
        m.control("/worlds", &json!({ "name": "three", "seed": round }));
    }
    // A request that a fault delays is on two lines.
    let delay = m.mock.fault(
        On::endpoint("users_me"),
        Fault::delay(std::time::Duration::ZERO).at(At::Request),
    );
    ask("");
    drop(delay);
    assert_eq!(given[0], "20250615150640MOCK00000000000001");
    assert_eq!(given[10], "20250615150640MOCK00010000000001-one");
    let each: BTreeSet<_> = given.iter().collect();
    assert_eq!((each.len(), given.len()), (37, 37));

    let log = crate::logs::of_this_thread();
    for logid in &given {
        let of = format!("logid=\"{logid}\"");
        let lines: Vec<_> = log.lines().filter(|line| line.ends_with(&of)).collect();
        assert_eq!(lines.len(), 1, "{logid}: {lines:?}");
        match logid.split_once('-') {
            Some((_, name)) => assert!(lines[0].contains(&format!(" world=\"{name}\" method="))),
            None => assert!(!lines[0].contains("world="), "{}", lines[0]),
        }
    }
    assert!(log.contains("waits=true fault=\"delay\" seq=1"), "{log}");
}

/// Everything that a world answers: its heads and bodies.
fn session(m: &Mock, meanwhile: impl Fn(usize)) -> Vec<String> {
    let mut said = Vec::new();
    let mut ask = |method: &str, path: &str, bearer: &str, body: Value| {
        meanwhile(said.len());
        let request = Request::builder()
            .method(method)
            .uri(format!("/t/w{path}"))
            .header("Host", "localhost:9777")
            .header("Content-Type", "application/json")
            .header("Authorization", format!("Bearer {bearer}"))
            .body(Bytes::from(body.to_string()));
        let reply = m.send(request.expect("a request"));
        said.push(format!(
            "{} {:?} {}",
            reply.status, reply.headers, reply.text
        ));
        reply
    };
    let url = authorize_url(&[]);
    let approve = json!({ "url": url, "action": "approve" });
    let redirect = ask("POST", "/_mock/v1/authorize", "", approve).member("redirect");
    let code = query_value(&redirect, "code").expect("a code");
    let tokens = ask("POST", TOKEN, SECRET, exchange(WEB, &code));
    let token = tokens.member("refresh_token");
    ask("POST", TOKEN, SECRET, refresh(WEB, &token));
    ask("POST", TOKEN, SECRET, refresh(WEB, &token));
    ask("POST", DEVICE_CODE, "", json!({ "client_id": DEVICE }));
    ask("GET", "/v1/users/me", "none", json!({}));
    ask(
        "POST",
        "/_mock/v1/faults",
        "",
        json!({ "on": { "endpoint": "users_me" }, "fault": { "kind": "status" }, "probability": 0.5 }),
    );
    for _ in 0..4 {
        ask("GET", "/v1/users/me", "pat_mock_alice", json!({}));
    }
    for path in ["tokens", "metrics", "info", "clock", "leaks", "faults"] {
        ask("GET", &format!("/_mock/v1/{path}"), "", json!({}));
    }
    said
}

#[test]
fn a_world_answers_the_same_whatever_other_worlds_do() {
    let alone = session(&Mock::new(), |_| {});
    let m = Mock::new();
    let busy = session(&m, |step| {
        let other = m.mock.world(&format!("o{}", step % 3)).expect("a name");
        let _ = m.mock.world(&format!("new{step}"));
        let path = format!("/t/o{}{}", step % 3, target(&authorize_url(&[])));
        for _ in 0..=step {
            m.get(&path, None);
            me(&m, "");
        }
        if step % 4 == 3 {
            other.reset();
            m.mock.reset();
            m.control("/worlds", &json!({ "name": "o1", "seed": step }));
        }
    });
    assert_eq!(alone.len(), 17);
    for (alone, busy) in alone.iter().zip(&busy) {
        assert_eq!(alone, busy);
    }
}
