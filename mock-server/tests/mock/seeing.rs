//! Exports, metrics, fidelity, magic values, and the last words of a failed test.

use serde_json::{Value, json};

use crate::support::*;

#[test]
fn the_journal_is_exported_as_har_and_jsonl() {
    let m = Mock::new();
    m.web_tokens();
    m.me("nobody");
    let har = m.get("/_mock/v1/requests.har", None).json;
    assert_eq!(har["log"]["version"], "1.2");
    assert_eq!(har["log"]["creator"]["name"], "coze-auth-mock");
    let entries = har["log"]["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 3);
    for entry in entries {
        for member in [
            "startedDateTime",
            "time",
            "request",
            "response",
            "cache",
            "timings",
        ] {
            assert!(!entry[member].is_null(), "{member}");
        }
        let request = &entry["request"];
        let url = request["url"].as_str().expect("a URL");
        assert!(
            url::Url::parse(url).is_ok() && url.starts_with("http://localhost/"),
            "{url}"
        );
        let (message, members) = (
            &entry["response"],
            [
                "httpVersion",
                "cookies",
                "headers",
                "headersSize",
                "bodySize",
            ],
        );
        for part in [request, message] {
            for member in members {
                assert!(!part[member].is_null(), "{member}");
            }
        }
        for member in ["status", "statusText", "content", "redirectURL"] {
            assert!(!message[member].is_null(), "{member}");
        }
    }
    let authorize = &entries[0];
    assert_eq!(authorize["startedDateTime"], "2025-06-15T15:06:40.000Z");
    let query = authorize["request"]["queryString"]
        .as_array()
        .expect("a query");
    assert!(query.contains(&json!({ "name": "redirect_uri", "value": CALLBACK })));
    assert!(query.contains(&json!({ "name": "state", "value": "***" })));
    assert_eq!(
        entries[1]["request"]["postData"]["mimeType"],
        "application/json"
    );
    assert_eq!(entries[2]["_outcome"]["rule"], "token.known");
    assert_eq!(entries[2]["response"]["statusText"], "Unauthorized");

    let lines = m.get("/_mock/v1/requests.jsonl?endpoint=token", None);
    assert_eq!(lines.header("content-type"), "application/jsonl");
    let lines: Vec<Value> = lines
        .text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        lines[0],
        m.get("/_mock/v1/requests?endpoint=token", None).json["requests"][0]
    );
}

#[test]
fn metrics_count_requests_and_what_is_live() {
    let m = Mock::new();
    let (_, token) = m.web_tokens();
    for _ in 0..3 {
        m.refresh_web(&token);
    }
    m.mock.world("other").expect("a name");
    let _gate = m.mock.gate(
        "g",
        coze_auth_mock::On::token(),
        coze_auth_mock::At::Request,
    );
    let reply = m.get("/_mock/v1/metrics", None);
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4");
    for line in [
        "# TYPE coze_auth_mock_requests_total counter",
        r#"coze_auth_mock_requests_total{endpoint="authorize",grant="",status="302",rule="",fault=""} 1"#,
        r#"coze_auth_mock_requests_total{endpoint="token",grant="authorization_code",status="200",rule="",fault=""} 1"#,
        r#"coze_auth_mock_requests_total{endpoint="token",grant="refresh_token",status="200",rule="",fault=""} 1"#,
        r#"coze_auth_mock_requests_total{endpoint="token",grant="refresh_token",status="400",rule="refresh.rotate",fault=""} 2"#,
        r#"coze_auth_mock_tokens_live{kind="code"} 0"#,
        r#"coze_auth_mock_tokens_live{kind="access_token"} 2"#,
        r#"coze_auth_mock_tokens_live{kind="refresh_token"} 1"#,
        "coze_auth_mock_leaks_total 0",
        "coze_auth_mock_journal_entries 5",
        "coze_auth_mock_gates 1",
        "coze_auth_mock_gates_waiting 0",
        "coze_auth_mock_worlds 2",
    ] {
        assert!(
            reply.text.lines().any(|one| one == line),
            "{line} is not in\n{}",
            reply.text
        );
    }
    // Every sample stands behind the type of its metric, and each type once.
    let mut typed: Vec<&str> = Vec::new();
    for line in reply.text.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(rest) => {
                let name = rest.split(' ').next().expect("a name");
                assert!(!typed.contains(&name), "{name}");
                typed.push(name);
            }
            None if line.starts_with('#') => {}
            None => {
                let name = line.split(['{', ' ']).next();
                assert_eq!(name, typed.last().copied());
            }
        }
    }
    m.pass(15 * 60);
    let later = m.get("/_mock/v1/metrics", None).text;
    assert!(later.contains("tokens_live{kind=\"access_token\"} 0\n"));
}

#[test]
fn fidelity_tells_how_sure_each_rule_is_and_whether_it_is_on() {
    let m = Mock::with(|builder| {
        builder
            .rule("code.single_use", false)
            .answer("refresh.rotate", 401, None)
    });
    let listed = m.get("/_mock/v1/fidelity", None).json;
    let rules = listed["rules"].as_array().expect("rules");
    let table: toml::Table = include_str!("../../rules.toml").parse().expect("the table");
    let rows = table["rule"].as_array().expect("rows");
    assert_eq!(rules.len(), rows.len());
    for evidence in ["documented", "sdk", "report", "guess"] {
        let counted = rows
            .iter()
            .filter(|row| row["evidence"].as_str() == Some(evidence));
        assert_eq!(listed["evidence"][evidence], counted.count(), "{evidence}");
    }
    let named = |id: &str| rules.iter().find(|rule| rule["id"] == id).expect("a rule");
    assert_eq!(named("code.single_use")["on"], false);
    assert_eq!(named("code.single_use")["default"], true);
    assert_eq!(named("refresh.rotate")["status"], 401);
}

fn magic(m: &Mock, place: &str, value: &str) -> Reply {
    match place {
        "code" => m.exchange_web(value),
        "refresh_token" => m.refresh_web(value),
        "device_code" => m.poll(value),
        "access_token" => m.me(value),
        other => panic!("no place {other}"),
    }
}

#[test]
fn a_magic_value_is_refused_as_its_row_says() {
    let table = Mock::new().get("/_mock/v1/magic", None).json;
    let rows = table["magic"].as_array().expect("rows");
    assert_eq!(rows.len(), 15);
    // Whichever rules are on, and whatever comes before.
    let off = [
        "code.expiry",
        "code.single_use",
        "refresh.rotate",
        "refresh.expiry",
        "token.expiry",
        "device.interval",
    ];
    let lenient = Mock::with(|builder| {
        off.iter()
            .fold(builder, |builder, id| builder.rule(id, false))
    });
    for row in rows {
        let text = |name: &str| row[name].as_str().expect("text");
        for m in [&Mock::new(), &lenient] {
            let reply = magic(m, text("place"), text("value"));
            assert_eq!(reply.rule(), row["rule"].as_str(), "{row}: {}", reply.text);
            assert_eq!(reply.status, row["status"]);
            let error = match reply.json["code"].as_u64() {
                Some(code) => code.to_string(),
                None => reply.member("error_code"),
            };
            assert_eq!(error, text("error"));
            let actual = reply
                .explanation
                .and_then(|explanation| explanation.actual)
                .expect("the actual value");
            assert!(
                actual.contains(text("value")) && actual.contains(text("text")),
                "{actual}"
            );
        }
    }
}

#[test]
fn a_magic_value_is_one_in_its_own_place_alone() {
    let m = Mock::new();
    assert_eq!(m.refresh_web("mock_pending").rule(), Some("refresh.known"));
    assert_eq!(m.me("mock_expired").rule(), Some("token.known"));
    let unproven = m.post(TOKEN, Some("x"), &refresh(WEB, "mock_expired"));
    assert_eq!(unproven.rule(), Some("client.secret"), "the client first");
    let changed =
        Mock::with(|builder| builder.answer("refresh.expiry", 401, Some("invalid_client")));
    let reply = changed.refresh_web("mock_expired");
    assert_eq!(
        (reply.status, reply.member("error").as_str()),
        (401, "invalid_client")
    );
}

/// Runs itself again, as a test that fails.
#[test]
fn a_test_that_panics_prints_the_journal() {
    const FAIL: &str = "COZE_AUTH_MOCK_TEST_FAILS";
    if std::env::var_os(FAIL).is_some() {
        let m = Mock::new();
        for _ in 0..60 {
            m.me("pat_mock_alice");
        }
        m.refresh_web(&m.web_tokens().0);
        let other = m.mock.world("other").expect("a name");
        assert!(other.requests().is_empty());
        panic!("as asked");
    }
    let name = "seeing::a_test_that_panics_prints_the_journal";
    let run = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture"])
        .env(FAIL, "1")
        .output()
        .expect("it runs");
    assert!(!run.status.success());
    let printed = String::from_utf8(run.stderr).expect("text");
    let lines: Vec<_> = printed
        .lines()
        .filter(|line| line.contains(" logid="))
        .collect();
    assert_eq!(lines.len(), 50, "{printed}");
    assert!(
        printed.contains("the last 50 of 63 requests to http://localhost:\n"),
        "{printed}"
    );
    assert_eq!(
        lines[49],
        "  63 POST token refresh_token 400 invalid_grant rule=refresh.known logid=20250615150640MOCK0000000000003F leak=access_token@body"
    );
}
