//! Faults that change one member of a good answer, or the way back to the app.

use bytes::Bytes;
use coze_auth_mock::{Consent, Fault, MemberChange, On};
use http::Request;
use serde_json::{Value, json};

use crate::support::*;

/// Each member of each good answer, by its path.
#[test]
fn each_member_of_each_good_answer_can_be_changed() {
    let m = Mock::with(|builder| builder.consent(Consent::Approve));
    let ask = |answer: &str| match answer {
        "authorization_code" => m.exchange_web(&m.code(&[])),
        "refresh_token" => m.refresh_web(&m.web_tokens().1),
        "device_code" => m.poll(&m.device().0),
        "jwt_bearer" => m.jwt(|_, _| {}),
        "device" => m.post(DEVICE_CODE, None, &json!({ "client_id": DEVICE })),
        "users_me" => m.me("pat_mock_alice"),
        _ => m.get("/v1/workspaces", Some("pat_mock_alice")),
    };
    let mut tried = 0;
    for answer in [
        "authorization_code",
        "refresh_token",
        "device_code",
        "jwt_bearer",
        "device",
        "users_me",
        "workspaces",
    ] {
        let on = || match answer {
            "device" => On::endpoint("device_code"),
            "users_me" | "workspaces" => On::endpoint(answer),
            grant => On::grant(grant),
        };
        for path in paths(&ask(answer).json, "") {
            let fault = m
                .mock
                .fault(on(), Fault::member(&path, MemberChange::Absent));
            let reply = ask(answer);
            assert_eq!(
                (reply.status, fault.fired()),
                (200, 1),
                "{answer} {path}: {}",
                reply.text
            );
            assert!(
                !paths(&reply.json, "").contains(&path),
                "{path} is absent: {}",
                reply.text
            );
            assert_eq!(reply.header("x-mock-fault"), "member");
            let entry = m.mock.requests().pop().expect("an entry");
            assert_eq!(
                (entry.fault, entry.change),
                (Some("member"), Some(format!("{path}: absent")))
            );
            let why = reply.explanation.expect("an explanation").text;
            assert!(
                why.ends_with(&format!(
                    "Then the fault member ({path}: absent) acted on the answer."
                )),
                "{why}"
            );
            tried += 1;
        }
    }
    assert_eq!(tried, 4 + 4 + 4 + 3 + 5 + 9 + 14);
}

/// The last items of lists come first, so that taking one out does not move another into its place.
fn paths(value: &Value, above: &str) -> Vec<String> {
    let below = |name: &str, value: &Value| {
        let path = format!("{above}{name}");
        let mut all = paths(value, &format!("{path}."));
        all.insert(0, path);
        all
    };
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| below(name, value))
            .collect(),
        // One item of each list is enough, the last one.
        Value::Array(items) => {
            let last = items.len() - 1;
            below(&last.to_string(), &items[last])
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_change_is_placed_over_http_and_leaves_refusals_alone() {
    let m = Mock::new();
    let place = |fault: Value| {
        m.control(
            "/faults",
            &json!({ "on": { "endpoint": "token" }, "fault": fault, "times": 1 }),
        )
    };
    let refused = m.refresh_web("unknown");
    assert_eq!(
        place(json!({ "kind": "member", "member": "expires_in", "to": "milliseconds" })).status,
        200
    );
    assert_eq!(
        m.refresh_web("unknown").text,
        refused.text,
        "a refusal is left alone"
    );
    let tokens = m.exchange_web(&m.code(&[]));
    assert_eq!(tokens.json["expires_in"], (NOW + 900) * 1000);
    assert_eq!(
        m.exchange_web(&m.code(&[])).json["expires_in"],
        NOW + 900,
        "once"
    );
    for value in [json!(null), json!({ "a": 1 }), json!("soon")] {
        assert_eq!(
            place(json!({ "kind": "member", "member": "expires_in", "value": value })).status,
            200
        );
        assert_eq!(m.exchange_web(&m.code(&[])).json["expires_in"], value);
    }
    for (fault, part) in [
        (
            json!({ "kind": "member", "to": "absent" }),
            "member needs a member",
        ),
        (
            json!({ "kind": "member", "member": "s3cret" }),
            "member needs one of to and value",
        ),
        (
            json!({ "kind": "member", "member": "s3cret", "to": "null", "value": 1 }),
            "one of to and value",
        ),
        (
            json!({ "kind": "member", "member": "x", "to": "s3cret" }),
            "to is one of absent, null, string",
        ),
        (
            json!({ "kind": "member", "member": "x", "value": "s3cret".repeat(11_000) }),
            "value has at most 65536 bytes",
        ),
        (
            json!({ "kind": "member", "member": "", "to": "null" }),
            "a name such as expires_in",
        ),
        (
            json!({ "kind": "reset", "value": null }),
            "the fault reset takes nothing",
        ),
        (
            json!({ "kind": "callback_twice" }),
            "acts on the endpoint authorize alone",
        ),
    ] {
        let reply = place(fault);
        let error = reply.json["error"].as_str().unwrap_or_default();
        assert!(reply.status == 400 && error.contains(part), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

/// What a fault at the answer costs is told.
#[test]
fn a_cut_after_the_mock_has_acted_is_explained() {
    let m = Mock::new();
    let (_, refresh) = m.web_tokens();
    let lost = Fault::status(500).at(coze_auth_mock::At::Answer).times(1);
    let _lost = m.mock.fault(On::grant("refresh_token"), lost);
    let reply = m.refresh_web(&refresh);
    let why = reply.explanation.expect("an explanation").text;
    assert!(
        why.contains("what the request spends is spent, and what was issued did not arrive"),
        "{why}"
    );
    assert_eq!(m.refresh_web(&refresh).rule(), Some("refresh.rotate"));
}

/// Both clients of Coze Loop send one assertion again after a 500.
#[test]
fn an_assertion_that_is_repeated_after_a_500_is_refused() {
    let m = Mock::new();
    let once = assertion(NOW, |_, _| {});
    let ask = || m.post(TOKEN, Some(&once), &json!({ "grant_type": JWT_GRANT }));
    let lost = json!({
        "on": { "endpoint": "token", "grant": "jwt_bearer" },
        "fault": { "kind": "status", "status": 500 }, "at": "answer", "times": 1,
    });
    assert_eq!(m.control("/faults", &lost).status, 200);
    assert_eq!(ask().status, 500);
    assert_eq!(ask().rule(), Some("jwt.jti"));
}

fn authorize(m: &Mock) -> Reply {
    m.get(target(&authorize_url(&[])), None)
}

fn decide(m: &Mock, reply: &Reply) -> (Reply, Reply) {
    let key = query_value(reply.header("location"), "authorize_key").expect("a key");
    let page = m.get(&format!("/oauth/consent?authorize_key={key}"), None);
    let form = format!("authorize_key={key}&action=approve");
    let decide = Request::post("/oauth/consent").body(Bytes::from(form));
    (page, m.send(decide.expect("a request")))
}

#[test]
fn the_policy_of_the_consent_page_can_stop_the_redirect() {
    let m = Mock::new();
    let fault = m
        .mock
        .fault(On::endpoint("authorize"), Fault::consent_policy().times(1));
    let reply = authorize(&m);
    let (page, back) = decide(&m, &reply);
    let policies: Vec<_> = page
        .headers
        .get_all("content-security-policy")
        .iter()
        .collect();
    assert!(
        policies
            .iter()
            .any(|policy| *policy == "form-action 'self'"),
        "{policies:?}"
    );
    assert_eq!(
        (page.status, page.header("x-mock-fault")),
        (200, "consent_policy")
    );
    assert_eq!(back.status, 302, "the code is issued all the same");
    let why = reply.explanation.expect("an explanation").text;
    assert!(
        why.contains("a browser stops the redirect to the app after the decision"),
        "{why}"
    );
    assert_eq!(m.mock.requests()[0].fault, Some("consent_policy"));
    let (page, _) = decide(&m, &authorize(&m));
    assert!(
        page.headers
            .get_all("content-security-policy")
            .iter()
            .all(|policy| *policy != "form-action 'self'")
    );
    assert_eq!((fault.matched(), fault.fired()), (2, 1));
}

#[test]
fn the_callback_can_come_by_307_or_twice() {
    let m = Mock::new();
    for (fault, status) in [(Fault::callback_307(), 307), (Fault::callback_twice(), 200)] {
        let fault = m
            .mock
            .fault(On::endpoint("authorize").client(WEB), fault.times(1));
        let refused = m.get(target(&authorize_url(&[("response_type", "x")])), None);
        assert_eq!(
            (refused.status, fault.fired()),
            (400, 0),
            "a refusal is left alone"
        );
        let (page, back) = decide(&m, &authorize(&m));
        assert_eq!((page.status, page.header("x-mock-fault")), (200, ""));
        assert_eq!(back.status, status, "{}", back.text);
        match status {
            307 => assert!(back.header("location").starts_with(CALLBACK)),
            _ => {
                let to = back
                    .text
                    .matches(&format!("{CALLBACK}?code=code_mock_"))
                    .count();
                assert_eq!(
                    to, 4,
                    "picture, refresh, and the link with its text: {}",
                    back.text
                );
                assert!(back.header("content-security-policy").contains("img-src *"));
            }
        }
        let (_, plain) = decide(&m, &authorize(&m));
        assert_eq!(plain.status, 302, "once");
    }
}

/// Without a person in between, the answer to the authorize request is the redirect.
#[test]
fn nobody_has_to_decide_for_it() {
    let m = Mock::with(|builder| builder.consent(Consent::Approve));
    let _policy = m
        .mock
        .fault(On::endpoint("authorize"), Fault::consent_policy());
    assert_eq!(authorize(&m).header("x-mock-fault"), "", "there is no page");
    let _fault = m
        .mock
        .fault(On::endpoint("authorize"), Fault::callback_307());
    let reply = authorize(&m);
    assert_eq!(
        (reply.status, reply.header("x-mock-fault")),
        (307, "callback_307")
    );
    assert!(!reply.header("x-tt-logid").is_empty());
}
