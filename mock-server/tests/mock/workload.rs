//! Workload identity: the two token requests, and what a workload gets with its access token (protocol §15).

use std::collections::BTreeSet;

use bytes::Bytes;
use coze_auth_mock::{AppKind, Fault, MemberChange, On};
use http::{HeaderValue, Request};
use serde_json::{Value, json};

use crate::support::*;

const TWO: &str = "[[app]]\nkind = \"workload\"\nclient_id = \"one\"\nclient_secret = \"first\"\n[[app]]\nkind = \"workload\"\nclient_id = \"two\"\nclient_secret = \"second\"\n";

fn id_token_of<'a>(client_id: &'a str, secret: &'a str) -> [(&'a str, &'a str); 3] {
    let mut pairs = credentials(secret);
    pairs[0].1 = client_id;
    pairs
}

fn exchange_of<'a>(client_id: &'a str, id_token: &'a str) -> [(&'a str, &'a str); 4] {
    let mut pairs = token_exchange(id_token);
    pairs[0].1 = client_id;
    pairs
}

fn is_three_parts(token: &str) -> bool {
    let parts: Vec<_> = token.split('.').collect();
    let in_base64url = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let full = |part: &&str| !part.is_empty() && part.chars().all(in_base64url);
    parts.len() == 3 && parts.iter().all(full)
}

#[test]
fn two_forms_give_an_access_token_whose_life_is_a_duration() {
    let m = Mock::new();
    let first = m.form(WORKLOAD_TOKEN, &credentials(WORKLOAD_SECRET));
    assert_eq!(first.status, 200, "{}", first.text);
    let names = ["access_token", "expires_in", "token_type"];
    assert_eq!(members(&first), BTreeSet::from(names));
    assert_eq!(first.json["expires_in"], 600);
    let id_token = first.member("access_token");
    assert!(is_three_parts(&id_token), "{id_token}");

    let second = m.form(WORKLOAD_TOKEN, &token_exchange(&id_token));
    assert_eq!(second.status, 200, "{}", second.text);
    assert_eq!(second.json["expires_in"], 900, "seconds from now");
    assert_eq!(
        second.member("issued_token_type"),
        "urn:ietf:params:oauth:token-type:access_token"
    );
    let access = second.member("access_token");
    assert!(is_three_parts(&access) && access != id_token, "{access}");
    let again = m.form(WORKLOAD_TOKEN, &token_exchange(&id_token));
    assert_eq!(again.status, 200, "an id token is spent by nothing");
    assert_ne!(again.member("access_token"), access);

    let journal = m.mock.requests();
    let seen: Vec<_> = journal
        .iter()
        .map(|one| (one.endpoint, one.grant, one.client.as_deref()))
        .collect();
    let by = |grant| ("workload_token", Some(grant), Some(WORKLOAD));
    assert_eq!(
        seen,
        [
            by("client_credentials"),
            by("token_exchange"),
            by("token_exchange")
        ]
    );
    let print = coze_auth_mock::fingerprint(&id_token);
    assert_eq!(journal[1].presented.as_deref(), Some(print.as_str()));
}

#[test]
fn each_of_two_paths_takes_its_own_grant_alone() {
    let m = Mock::new();
    let id_token = m.form("/id/token", &credentials(WORKLOAD_SECRET));
    assert_eq!(id_token.status, 200, "{}", id_token.text);
    let id_token = id_token.member("access_token");
    let access = m.form("/access/token", &token_exchange(&id_token));
    assert_eq!(access.status, 200, "{}", access.text);
    for refused in [
        m.form("/id/token", &token_exchange(&id_token)),
        m.form("/access/token", &credentials(WORKLOAD_SECRET)),
        m.form(WORKLOAD_TOKEN, &[("grant_type", "password")]),
        m.form(WORKLOAD_TOKEN, &[("grant_type", "refresh_token")]),
    ] {
        assert_eq!(
            (refused.status, refused.rule()),
            (400, Some("grant.supported"))
        );
        assert_eq!(refused.member("error"), "unsupported_grant_type");
    }
    let json = m.post(TOKEN, None, &json!({ "grant_type": "client_credentials" }));
    assert_eq!(json.rule(), Some("grant.supported"), "E3 does not know it");
    let variables = |paths: &str| {
        let text = format!("workload_paths = {paths:?}\n");
        let m = Mock::with(|builder| builder.toml(&text).expect("no mistakes"));
        let names = ["IDENTITY_TOKEN_ENDPOINT", "ACCESS_TOKEN_ENDPOINT"];
        names.map(|name| {
            m.mock
                .variable(&format!("COZE_WORKLOAD_{name}"))
                .expect("a URL")
        })
    };
    let at = |path: &str| format!("http://localhost{path}");
    assert_eq!(variables("one"), [at(WORKLOAD_TOKEN), at(WORKLOAD_TOKEN)]);
    assert_eq!(variables("two"), [at("/id/token"), at("/access/token")]);
}

#[test]
fn the_environment_has_the_six_names_that_the_client_reads() {
    let m = Mock::new();
    let found: Vec<_> = m
        .mock
        .variables()
        .into_iter()
        .filter(|(name, _)| {
            name.contains("WORKLOAD") || name.contains("OUTBOUND") || name.contains("SERVER_ENV")
        })
        .collect();
    let expected = [
        ("COZE_WORKLOAD_IDENTITY_CLIENT_ID", WORKLOAD),
        ("COZE_WORKLOAD_IDENTITY_CLIENT_SECRET", WORKLOAD_SECRET),
        (
            "COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT",
            "http://localhost/.well-known/token",
        ),
        (
            "COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT",
            "http://localhost/.well-known/token",
        ),
        (
            "COZE_OUTBOUND_AUTH_ENDPOINT",
            "http://localhost/api/v1/secret",
        ),
        ("COZE_SERVER_ENV", "NONE"),
    ];
    assert_eq!(
        found,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!((WORKLOAD.len(), WORKLOAD_SECRET.len()), (32, 64));
}

#[test]
fn integrations_and_variables_are_those_of_the_app() {
    let m = Mock::new();
    let token = m.workload_token();
    let app = m.mock.app(AppKind::Workload).expect("a ready-made app");
    assert_eq!(app.client_secret(), Some(WORKLOAD_SECRET));
    let mut bare = 0;
    for (name, credential) in app.integrations() {
        let reply = m.integration(&token, name);
        assert_eq!(
            reply.json,
            json!({ "code": 0, "msg": "success", "data": { "credential": credential } })
        );
        bare += usize::from(serde_json::from_str::<Value>(credential).is_err());
    }
    assert_eq!(
        (app.integrations().count(), bare),
        (2, 1),
        "one bare, one JSON in a text"
    );
    let reply = m.get(PROJECT_ENV, Some(&token));
    let secrets: Vec<_> = app
        .project_env()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect();
    assert_eq!(secrets.len(), 3);
    assert_eq!(
        reply.json,
        json!({ "code": 0, "msg": "success", "data": { "secrets": secrets } })
    );
    let last = m.mock.requests().pop().expect("an entry");
    assert_eq!(
        (last.endpoint, last.client.as_deref()),
        ("project_env", Some(WORKLOAD))
    );
}

#[test]
fn only_an_access_token_of_a_workload_is_taken() {
    let m = Mock::new();
    let segments = "token contains an invalid number of segments";
    let invalid = "authentication is invalid";
    let (user, _) = m.web_tokens();
    let id_token = m.id_token();
    for (token, text) in [
        ("pat_mock_alice", segments),
        ("sat_mock_ci", segments),
        (&*user, segments),
        ("a.b", segments),
        ("a.b.c", invalid),
        (&*id_token, invalid),
    ] {
        let reply = m.get(PROJECT_ENV, Some(token));
        assert_eq!(
            (reply.status, reply.rule()),
            (401, Some("workload.access")),
            "{token}"
        );
        assert_eq!(reply.json["code"], 4100);
        assert_eq!(reply.member("msg"), text, "{token}");
    }
    let none = m.get(PROJECT_ENV, None);
    assert_eq!((none.status, none.member("msg")), (401, invalid.to_owned()));

    let token = m.workload_token();
    assert_eq!(m.me(&token).status, 200, "a guess: protocol §13.2");
    m.pass(899);
    assert_eq!(m.get(PROJECT_ENV, Some(&token)).status, 200);
    m.pass(1);
    let late = m.get(PROJECT_ENV, Some(&token));
    assert_eq!((late.status, late.rule()), (401, Some("token.expiry")));
    assert_eq!(late.member("msg"), invalid);
    let token = m.workload_token();
    assert!(m.mock.revoke(&token));
    assert_eq!(
        m.integration(&token, "integration-feishu-base").rule(),
        Some("token.revoked")
    );
}

#[test]
fn an_id_token_is_exchanged_by_its_own_workload() {
    let with = |on| {
        Mock::with(|builder| {
            builder
                .toml(TWO)
                .expect("no mistakes")
                .rule("workload.subject_client", on)
        })
    };
    for (on, status) in [(true, 400), (false, 200)] {
        let m = with(on);
        let id_token = m
            .form(WORKLOAD_TOKEN, &id_token_of("one", "first"))
            .member("access_token");
        let foreign = m.form(WORKLOAD_TOKEN, &exchange_of("two", &id_token));
        assert_eq!(foreign.status, status, "{}", foreign.text);
        let explanation = foreign.explanation.expect("an explanation");
        match on {
            true => {
                assert_eq!(explanation.rule, Some("workload.subject_client"));
                assert_eq!(foreign.json["error"], "invalid_request");
            }
            false => assert_eq!(explanation.relaxed, ["workload.subject_client"]),
        }
        assert_eq!(
            m.form(WORKLOAD_TOKEN, &exchange_of("one", &id_token))
                .status,
            200
        );
    }
}

#[test]
fn apps_of_other_kinds_and_switched_off_ones_get_nothing() {
    let m = Mock::new();
    let foreign = m.form(WORKLOAD_TOKEN, &id_token_of(WEB, SECRET));
    let actual = foreign
        .explanation
        .as_ref()
        .and_then(|why| why.actual.clone());
    assert_eq!(actual.as_deref(), Some("that of an app of kind web"));
    let web = m.post(TOKEN, Some(WORKLOAD_SECRET), &exchange(WORKLOAD, "code"));
    assert_eq!(web.rule(), Some("client.kind"), "{}", web.text);
    let off = m.control(&format!("/apps/{WORKLOAD}"), &json!({ "enabled": false }));
    assert_eq!(off.status, 200);
    let refused = m.form(WORKLOAD_TOKEN, &credentials(WORKLOAD_SECRET));
    assert_eq!(
        (refused.status, refused.rule()),
        (403, Some("client.enabled"))
    );
}

#[test]
fn a_form_has_each_of_its_members_once_and_full() {
    let m = Mock::new();
    let twice = [
        credentials(WORKLOAD_SECRET).as_slice(),
        &[("client_id", WORKLOAD)],
    ]
    .concat();
    let refused = m.form(WORKLOAD_TOKEN, &twice);
    assert_eq!(
        (refused.rule(), refused.member("error_description")),
        (Some("param.once"), "invalid request: client_id".to_owned())
    );
    for missing in 0..4 {
        let token = m.id_token();
        let mut pairs = token_exchange(&token).to_vec();
        pairs[missing].1 = "";
        let refused = m.form(WORKLOAD_TOKEN, &pairs);
        assert_eq!(
            (refused.status, refused.rule()),
            (400, Some("param.required")),
            "{}",
            pairs[missing].0
        );
        pairs.remove(missing);
        assert_eq!(
            m.form(WORKLOAD_TOKEN, &pairs).rule(),
            Some("param.required")
        );
    }
    // As RFC 6749 §2.3.1 has it, which the client does not send.
    let basic = Request::post(WORKLOAD_TOKEN)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Authorization", "Basic NTU6c2Vj");
    let body = Bytes::from(format!(
        "client_id={WORKLOAD}&grant_type=client_credentials"
    ));
    assert_eq!(
        m.send(basic.body(body).expect("a request")).rule(),
        Some("param.required")
    );
}

#[test]
fn a_lane_is_shown_and_its_rule_holds_at_all_four() {
    for on in [false, true] {
        let m = Mock::with(|builder| builder.rule("workload.lane", on));
        let token = m.workload_token();
        let id_token = m.id_token();
        let bearer = |mut request: Request<Bytes>| {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
            request.headers_mut().insert("authorization", value);
            request
        };
        let integration = json!({ "integration_name": "integration-feishu-base" });
        let all = || {
            [
                form(WORKLOAD_TOKEN, &credentials(WORKLOAD_SECRET)),
                form(WORKLOAD_TOKEN, &token_exchange(&id_token)),
                bearer(post(INTEGRATION, None, &integration)),
                bearer(
                    Request::get(PROJECT_ENV)
                        .body(Bytes::new())
                        .expect("a request"),
                ),
            ]
        };
        for (lane, ppe, fits) in [
            ("ppe_x", true, true),
            ("boe_x", false, true),
            ("boe_x", true, false),
            ("PPE_x", true, false),
        ] {
            for mut request in all() {
                request
                    .headers_mut()
                    .insert("x-tt-env", HeaderValue::from_static(lane));
                if ppe {
                    request
                        .headers_mut()
                        .insert("x-use-ppe", HeaderValue::from_static("1"));
                }
                let reply = m.send(request);
                let rule = (on && !fits).then_some("workload.lane");
                assert_eq!(reply.rule(), rule, "{lane}: {}", reply.text);
                let last = m.mock.requests().pop().expect("an entry");
                let shown = last.headers.get("x-tt-env");
                assert_eq!(shown.map(String::as_str), Some(lane));
            }
        }
    }
}

/// Each answer that protocol §15.3 and §15.4 leave open can be had.
#[test]
fn the_answers_that_nobody_knows_can_be_set() {
    let m = Mock::new();
    let changed = |on: On, member: &str, to: MemberChange, ask: &dyn Fn() -> Reply| {
        let _fault = m.mock.fault(on, Fault::member(member, to));
        ask().json
    };
    let moment = NOW + 900;
    for (to, expected) in [
        (MemberChange::Value(json!(30)), json!(30)),
        (MemberChange::Value(json!(moment)), json!(moment)),
        (MemberChange::Null, Value::Null),
        (MemberChange::String, json!("900")),
    ] {
        let id_token = m.id_token();
        let ask = || m.form(WORKLOAD_TOKEN, &token_exchange(&id_token));
        let answer = changed(On::grant("token_exchange"), "expires_in", to, &ask);
        assert_eq!(answer["expires_in"], expected);
    }
    let id_token = m.id_token();
    let ask = || m.form(WORKLOAD_TOKEN, &token_exchange(&id_token));
    let answer = changed(
        On::grant("token_exchange"),
        "expires_in",
        MemberChange::Absent,
        &ask,
    );
    assert!(answer.get("expires_in").is_none());
    let ask = || m.form(WORKLOAD_TOKEN, &credentials(WORKLOAD_SECRET));
    let answer = changed(
        On::grant("client_credentials"),
        "error",
        MemberChange::Value(Value::Null),
        &ask,
    );
    assert_eq!(answer.get("error"), Some(&Value::Null));
    let id_token = answer["access_token"]
        .as_str()
        .expect("a good token beside it");
    assert_eq!(
        m.form(WORKLOAD_TOKEN, &token_exchange(id_token)).status,
        200
    );
    let token = m.workload_token();
    let ask = || m.integration(&token, "integration-feishu-base");
    let answer = changed(
        On::endpoint("integration"),
        "code",
        MemberChange::Value(json!(1001)),
        &ask,
    );
    assert_eq!(answer["code"], 1001);

    let named = Fault::status(200).body(r#"{"id_token":"a.b.c"}"#);
    let fault = m.mock.fault(On::grant("client_credentials"), named);
    let answer = m.form(WORKLOAD_TOKEN, &credentials(WORKLOAD_SECRET));
    assert_eq!(answer.json, json!({ "id_token": "a.b.c" }));
    drop(fault);
    let away = m.mock.fault(
        On::endpoint("workload_token"),
        Fault::redirect(307, "https://elsewhere.example/token"),
    );
    let answer = m.form(WORKLOAD_TOKEN, &credentials(WORKLOAD_SECRET));
    assert_eq!(
        (answer.status, answer.header("location")),
        (307, "https://elsewhere.example/token")
    );
    drop(away);
    let _fault = m.mock.fault(
        On::endpoint("project_env"),
        Fault::status(400).body(r#"{"code":400,"msg":"no"}"#),
    );
    assert_eq!(m.get(PROJECT_ENV, Some(&token)).status, 400);
}

#[test]
fn a_script_answers_as_rfc_6749_has_it() {
    let m = Mock::new();
    let script = json!({ "on": { "endpoint": "workload_token", "grant": "token_exchange" }, "then": [{ "error": "invalid_token" }] });
    assert_eq!(m.control("/script", &script).status, 200);
    let reply = m.form(WORKLOAD_TOKEN, &token_exchange("x"));
    assert_eq!(reply.json["error"], "invalid_token", "{}", reply.text);
    assert!(
        reply.json.get("error_description").is_some() && reply.json.get("error_code").is_none()
    );
    let wrong = json!({ "on": { "endpoint": "token", "grant": "token_exchange" }, "then": [{ "pass": true }] });
    assert_eq!(m.control("/script", &wrong).status, 400);
}

/// The secret, the API key (base64 of the pair), the id token, and what a workload gets.
#[test]
fn nothing_shows_the_secret_the_api_key_or_a_token() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let m = Mock::new();
    let api_key = STANDARD.encode(format!("{WORKLOAD}:{WORKLOAD_SECRET}"));
    assert!(api_key.len() == 132 && api_key.ends_with("=="));
    let (id_token, token) = (m.id_token(), m.workload_token());
    m.form(WORKLOAD_TOKEN, &token_exchange(&id_token));
    m.integration(&token, "integration-volcano-ark");
    m.get(PROJECT_ENV, Some(&token));
    m.form(WORKLOAD_TOKEN, &credentials(&api_key));
    m.form(WORKLOAD_TOKEN, &id_token_of(&api_key, &id_token));
    m.integration(&token, &api_key);
    m.integration(&api_key, WORKLOAD_SECRET);
    m.get(
        &format!("{PROJECT_ENV}?key={api_key}&secret={WORKLOAD_SECRET}&id={id_token}"),
        Some(&token),
    );
    let mut shown = format!("{:?}", m.mock.requests());
    for call in [
        "requests",
        "requests.har",
        "requests.jsonl",
        "tokens",
        "leaks",
        "metrics",
        "events?limit=0",
    ] {
        shown += &m.get(&format!("/_mock/v1/{call}"), None).text;
    }
    for entry in m.mock.requests() {
        shown += &m
            .get(&format!("/_mock/v1/explain/{}", entry.outcome.logid), None)
            .text;
    }
    shown += &m.get("/_mock/", None).text;
    for secret in [
        WORKLOAD_SECRET,
        &api_key,
        api_key.trim_end_matches('='),
        &id_token,
        &token,
        "mock_feishu_tenant_token",
        "mock-db-secret",
    ] {
        assert!(!shown.contains(secret), "{secret}");
    }
    let found = |text: &str| {
        m.mock
            .leaks_in(text)
            .iter()
            .map(|leak| leak.kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&format!("key={api_key};")), ["api_key"]);
    assert_eq!(found(&id_token), ["subject_token"]);
    assert_eq!(found(&token), ["access_token"]);
    assert_eq!(found(WORKLOAD_SECRET), ["client_secret"]);
}

/// What belongs where it is sent is not a leak.
#[test]
fn a_grant_leaks_nothing_and_a_misplaced_id_token_does() {
    let m = Mock::new();
    let token = m.workload_token();
    assert_eq!(m.integration(&token, "integration-feishu-base").status, 200);
    assert_eq!(m.get(PROJECT_ENV, Some(&token)).status, 200);
    assert!(m.mock.leaks().is_empty(), "{:?}", m.mock.leaks());
    let id_token = m.id_token();
    assert_eq!(m.me(&id_token).status, 401);
    let leaks = m.mock.leaks();
    let found: Vec<_> = leaks
        .iter()
        .map(|leak| (leak.kind, leak.place, leak.name.as_deref()))
        .collect();
    assert_eq!(found, [("subject_token", "header", Some("authorization"))]);
}

#[test]
fn a_world_and_a_configuration_have_workloads_of_their_own() {
    let config = "[ttl]\nid_token = 5\naccess = 7\n[[app]]\nkind = \"workload\"\nclient_id = \"own\"\nclient_secret = \"s\"\nintegrations = [{ name = \"i\", credential = \"c\" }]\nvariables = [{ key = \"A\", value = \"1\" }, { key = \"A\", value = \"\" }]\n";
    let m = Mock::new();
    let made = m.control("/worlds", &json!({ "name": "w", "config": config }));
    assert_eq!(made.status, 200, "{}", made.text);
    let at = |path: &str| format!("/t/w{path}");
    let first = m.form(&at(WORKLOAD_TOKEN), &id_token_of("own", "s"));
    assert_eq!(first.json["expires_in"], 5);
    let id_token = first.member("access_token");
    let foreign = m.form(WORKLOAD_TOKEN, &token_exchange(&id_token));
    assert_eq!(
        foreign.rule(),
        Some("workload.subject_known"),
        "another world"
    );
    let second = m.form(&at(WORKLOAD_TOKEN), &exchange_of("own", &id_token));
    assert_eq!(second.json["expires_in"], 7);
    let env = m.get(&at(PROJECT_ENV), Some(&second.member("access_token")));
    let expected = json!([{ "key": "A", "value": "1" }, { "key": "A", "value": "" }]);
    assert_eq!(
        env.json["data"]["secrets"], expected,
        "in its order, a key twice"
    );
    let world = m.mock.world("w").expect("a name");
    let url = world.variable("COZE_OUTBOUND_AUTH_ENDPOINT");
    assert_eq!(url.as_deref(), Some("http://localhost/t/w/api/v1/secret"));

    let wrong = "[[app]]\nkind = \"workload\"\nclient_id = \"a\"\nredirect_uris = []\n[[app]]\nkind = \"web\"\nclient_id = \"b\"\nclient_secret = \"s\"\nvariables = []\n";
    let errors = crate::config_errors::errors(wrong).to_string();
    for expected in [
        "[[app]] without client_secret",
        "an app of kind \"workload\" has no redirect_uris",
        "an app of kind \"web\" has no variables; remove it, or make the kind workload",
    ] {
        assert!(errors.contains(expected), "{expected}: {errors:?}");
    }
}

#[test]
fn the_lineage_goes_from_the_id_token_to_its_access_tokens() {
    let m = Mock::new();
    let id_token = m.id_token();
    let access = m
        .form(WORKLOAD_TOKEN, &token_exchange(&id_token))
        .member("access_token");
    let print = coze_auth_mock::fingerprint(&access);
    let lineage = m
        .get(&format!("/_mock/v1/tokens/{print}/lineage"), None)
        .json;
    let kinds: Vec<_> = lineage["lineage"]
        .as_array()
        .expect("tokens")
        .iter()
        .map(|one| one["kind"].clone())
        .collect();
    assert_eq!(kinds, ["id_token", "access_token"], "{lineage}");
}

/// The examples of forms are taken, as those of JSON are (`openapi.rs`).
#[test]
fn the_examples_of_forms_work() {
    let document = Mock::new().mock.openapi();
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let content = &methods["post"]["requestBody"]["content"];
        let example = &content["application/x-www-form-urlencoded"]["example"];
        let Some(example) = example.as_object() else {
            continue;
        };
        let pairs = example.iter();
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str().expect("a text")));
        let reply = Mock::new().form(path, &pairs.collect::<Vec<_>>());
        let rule = (path == "/access/token").then_some("workload.subject_known");
        assert_eq!(reply.rule(), rule, "{path}: {}", reply.text);
        tried += 1;
    }
    assert_eq!(tried, 3);
}

#[test]
fn the_dashboard_names_an_id_token() {
    let m = Mock::new();
    m.workload_token();
    let shown = |language: &str| {
        let request = Request::get("/_mock/").header("Accept-Language", language);
        m.send(request.body(Bytes::new()).expect("a request")).text
    };
    assert!(shown("en").contains("id token"));
    assert!(shown("zh-CN").contains("身份令牌"));
}
