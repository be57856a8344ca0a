//! What `explain` tells of a client that is built on a library for OAuth 2.0 in general.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::support::*;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const BASIC: &str = "Basic MTExMTE6bW9jay13ZWItc2VjcmV0";
const BRIDGE: &str =
    "For a program that cannot be made to send this, `coze-auth bridge` speaks OAuth 2.0.";

/// The rule and the fix of a token request with these headers.
fn refused(m: &Mock, path: &str, headers: &[(&str, &str)], body: &str) -> (String, String) {
    let request = Request::post(path).header("Host", "127.0.0.1:9777");
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let body = Bytes::from(body.to_owned());
    let reply = m.send(request.body(body).expect("a request"));
    let explanation = reply.explanation.expect("an explanation");
    let rule = explanation.rule.expect("a refusal").to_owned();
    (rule, explanation.fix.expect("a fix"))
}

fn table() -> toml::Table {
    toml::from_str(include_str!("../../rules.toml")).expect("the table")
}

fn row_fix(id: &str) -> String {
    let table = table();
    let rows = table["rule"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["id"].as_str() == Some(id));
    row.expect("the rule")["fix"]
        .as_str()
        .expect("a text")
        .to_owned()
}

#[test]
fn a_form_is_explained_to_the_library_that_its_user_agent_gives_away() {
    let m = Mock::new();
    let form = "grant_type=authorization_code&code=x&client_secret=mock-web-secret";
    let told = |path: &str, agent: &str| {
        let headers = [("Content-Type", FORM), ("User-Agent", agent)];
        let (rule, fix) = refused(&m, path, &headers, form);
        assert_eq!(rule, "body.json", "{agent}");
        let own = row_fix("body.json");
        fix.strip_prefix(&own)
            .expect("the rule's fix")
            .trim()
            .to_owned()
    };
    for path in [TOKEN, DEVICE_CODE] {
        assert_eq!(
            told(path, "openid-client/v6.9.0"),
            format!(
                "The User-Agent is that of openid-client: Give it a ClientAuth function of your own that sets Authorization: Bearer <client secret>, and a [customFetch] that sends the form's members as JSON. {BRIDGE}"
            )
        );
    }
    // Each says a word of its own library, and nothing that the User-Agent does not prove.
    for (agent, is, setting) in [
        ("oauth4webapi/v3.8.8", "Auth.js", "[customFetch]"),
        (
            "python-requests/2.34.2",
            "requests",
            "register_client_auth_method",
        ),
        (
            "python-httpx/0.28.1",
            "httpx",
            "register_client_auth_method",
        ),
        ("Go-http-client/1.1", "any program in Go:", "RoundTripper"),
        (
            "Go-http-client/2.0",
            "any program in Go:",
            "AuthStyleInParams",
        ),
        ("axios/1.18.0", "axios", "n8n itself has no setting"),
        ("node", "fetch", "genericOAuth"),
        (
            "Java/17.0.15",
            "HttpURLConnection",
            "sendAccessTokenRequestSync",
        ),
        ("Java-http-client/17.0.15", "HttpClient", "interceptor"),
        (
            "Popsicle (https://github.com/serviejs/popsicle)",
            "Popsicle",
            "client-oauth2",
        ),
        (
            "Apache-HttpAsyncClient/4.1.5 (Java/17.0.15)",
            "if it is told to",
            "sendAccessTokenRequestSync",
        ),
        ("Node-oauth", "passport-oauth2", "_request"),
        ("PostmanRuntime/7.56.1", "Postman", "Bearer Token"),
        ("curl/7.88.1", "curl", "--json"),
    ] {
        let fix = told(TOKEN, agent);
        let (said, rest) = fix
            .split_once(": ")
            .unwrap_or_else(|| panic!("{agent}: {fix}"));
        assert!(format!("{said}:").contains(is), "{agent}: {said}");
        assert!(rest.contains(setting), "{agent}: {rest}");
        assert!(rest.ends_with(BRIDGE), "{agent}: {rest}");
    }
    let table = table();
    let clients = table["client"].as_array().expect("rows");
    assert!(clients.len() > 10, "{}", clients.len());
    for client in clients {
        for seen in client["seen"].as_array().expect("evidence") {
            let agent = seen[0].as_str().expect("a User-Agent");
            let setting = client["setting"].as_str().expect("a text");
            let fix = told(TOKEN, agent);
            assert!(
                fix.ends_with(&format!("{setting} {BRIDGE}")),
                "{agent}: {fix}"
            );
        }
    }
    // An official SDK sends no form, and node or Go behind it is not what the client is.
    for agent in [
        "coze-js/1.3.9 node/20.20.2 linux/6.1",
        "cozego/0.1.0 go/1.26",
        "nobody",
    ] {
        assert_eq!(told(TOKEN, agent), BRIDGE, "{agent}");
    }
    let (_, fix) = refused(&m, TOKEN, &[("Content-Type", FORM)], form);
    assert_eq!(
        fix,
        format!("{} {BRIDGE}", row_fix("body.json")),
        "no User-Agent"
    );
    // Bad JSON is not a form.
    let headers = [("Content-Type", JSON), ("User-Agent", "Go-http-client/1.1")];
    let (rule, fix) = refused(&m, TOKEN, &headers, "[]");
    assert_eq!((rule, fix), ("body.json".to_owned(), row_fix("body.json")));
}

#[test]
fn a_secret_as_the_rfc_has_it_is_explained_to_the_library() {
    let m = Mock::new();
    let agent = ("User-Agent", "openid-client/v6.9.0");
    let own = row_fix("client.secret_missing");
    let advised = format!("{own} The User-Agent is that of openid-client: Give it a ClientAuth ");
    let code = exchange(WEB, "code_unknown");
    let mut post = code.clone();
    post["client_secret"] = json!(SECRET);
    for (authorization, body) in [
        (Some(BASIC), &code),
        (Some("basic bW9j"), &code),
        (None, &post),
    ] {
        let mut headers = vec![("Content-Type", JSON), agent];
        headers.extend(authorization.map(|value| ("Authorization", value)));
        let (rule, fix) = refused(&m, TOKEN, &headers, &body.to_string());
        assert_eq!(rule, "client.secret_missing");
        assert!(fix.starts_with(&advised), "{fix}");
        assert!(!fix.contains(SECRET) && !fix.contains("bW9j"), "{fix}");
    }
    // Nothing was sent as the RFC has it: the settings lack a secret.
    let headers = [("Content-Type", JSON), agent];
    let (rule, fix) = refused(&m, TOKEN, &headers, &code.to_string());
    assert_eq!((rule, fix), ("client.secret_missing".to_owned(), own));
}

/// There a form is right, and Basic is not (protocol §15.2).
#[test]
fn a_workload_that_sends_basic_is_told_to_send_a_form() {
    let m = Mock::new();
    let headers = [
        ("Content-Type", FORM),
        ("Authorization", BASIC),
        ("User-Agent", "curl/7.88.1"),
    ];
    let (rule, fix) = refused(
        &m,
        WORKLOAD_TOKEN,
        &headers,
        "grant_type=client_credentials",
    );
    assert_eq!(rule, "param.required");
    assert!(
        fix.contains("client_secret_post") && !fix.contains("JSON"),
        "{fix}"
    );
    let (_, fix) = refused(
        &m,
        WORKLOAD_TOKEN,
        &headers[..1],
        "grant_type=client_credentials",
    );
    assert_eq!(fix, row_fix("param.required"));
}

#[test]
fn a_grant_tells_that_expires_in_is_a_moment() {
    let m = Mock::new();
    let text = |reply: &Reply| {
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply
            .explanation
            .as_ref()
            .expect("an explanation")
            .text
            .clone()
    };
    let web = m.exchange_web(&m.code(&[]));
    assert_eq!(
        text(&web),
        "authorization_code succeeded: every rule held. expires_in 1750000900 is the moment at which the token expires, in Unix seconds (2025-06-15T15:21:40Z), and not a duration. A library for OAuth 2.0 adds it to its clock, so it takes the token for good until the year 2080, and does not refresh it."
    );
    assert_eq!(web.json["expires_in"], 1_750_000_900);
    m.pass(600);
    let (device_code, user_code) = m.device();
    let started = m
        .mock
        .requests()
        .last()
        .map(|entry| entry.outcome.logid.clone());
    assert_eq!(m.decide(&user_code, "approve").status, 200);
    for reply in [
        m.refresh_web(&web.member("refresh_token")),
        m.poll(&device_code),
        m.jwt(|_, _| ()),
    ] {
        let text = text(&reply);
        assert!(
            text.contains(" expires_in 1750001500 is the moment "),
            "{text}"
        );
    }
    // Durations, and answers without any.
    let started = m
        .mock
        .explain(&started.expect("an entry"))
        .expect("kept")
        .text;
    assert_eq!(started, "device_code succeeded: every rule held.");
    let credentials = credentials(WORKLOAD_SECRET);
    let workload = text(&m.form(WORKLOAD_TOKEN, &credentials));
    assert_eq!(workload, "client_credentials succeeded: every rule held.");
    let exchange = text(&m.form(WORKLOAD_TOKEN, &token_exchange(&m.id_token())));
    assert_eq!(exchange, "token_exchange succeeded: every rule held.");
    assert_eq!(
        text(&m.me("pat_mock_alice")),
        "users_me succeeded: every rule held."
    );
}

/// A fault acts on what the mock has answered.
#[test]
fn a_fault_that_changes_the_moment_is_told_after_it() {
    let m = Mock::new();
    let fault = json!({ "on": { "endpoint": "token" }, "fault": { "kind": "member", "member": "expires_in", "to": "milliseconds" } });
    let placed = m.control("/faults", &fault);
    assert_eq!(placed.status, 200, "{}", placed.text);
    let web = m.exchange_web(&m.code(&[]));
    let text = web.explanation.expect("an explanation").text;
    let (moment, fault) = text.split_once(" Then the fault member ").expect("both");
    assert!(
        moment.contains("expires_in 1750000900 is the moment"),
        "{text}"
    );
    assert!(
        fault.starts_with("(expires_in: milliseconds) acted on the answer."),
        "{text}"
    );
    assert_ne!(web.json["expires_in"], Value::from(1_750_000_900));
}
