//! What became of each token, and which came from which.

use coze_auth_mock::fingerprint;
use serde_json::{Value, json};

use crate::support::*;

/// (kind, state, from, made, spent) of each member of the lineage of `token`.
fn lineage(m: &Mock, token: &str) -> Vec<(String, String, Value, Value, Value)> {
    let path = format!("/_mock/v1/tokens/{}/lineage", fingerprint(token));
    let reply = m.get(&path, None);
    let all = reply.json["lineage"].as_array();
    let all = all.unwrap_or_else(|| panic!("{}", reply.text)).clone();
    assert_eq!(reply.json["total"], all.len());
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    all.iter()
        .map(|row| {
            let at = |name: &str| row[name]["seq"].clone();
            let (kind, state) = (text(&row["kind"]), text(&row["state"]));
            (kind, state, row["from"].clone(), at("made"), at("spent"))
        })
        .collect()
}

#[test]
fn a_lineage_leads_from_the_code_to_the_newest_tokens() {
    let m = Mock::new();
    let code = m.code(&[]);
    let first = m.exchange_web(&code);
    let second = m.refresh_web(&first.member("refresh_token"));
    m.web_tokens();
    let row = |kind: &str, state: &str, from: &str, made: u64, spent: Option<u64>| {
        let from = match from {
            "" => Value::Null,
            from => json!(fingerprint(from)),
        };
        (
            kind.to_owned(),
            state.to_owned(),
            from,
            json!(made),
            json!(spent),
        )
    };
    let spent = first.member("refresh_token");
    let expected = [
        row("code", "spent", "", 1, Some(2)),
        row("access_token", "live", &code, 2, None),
        row("refresh_token", "spent", &code, 2, Some(3)),
        row("access_token", "live", &spent, 3, None),
        row("refresh_token", "live", &spent, 3, None),
    ];
    for member in [&code, &spent, &second.member("access_token")] {
        assert_eq!(lineage(&m, member), expected, "the same from every member");
    }
    let path = format!("/_mock/v1/tokens/{}/lineage", fingerprint(&spent));
    let shown = &m.get(&path, None).json["lineage"][2];
    let logids: Vec<_> = m
        .mock
        .requests()
        .into_iter()
        .map(|entry| entry.outcome.logid)
        .collect();
    assert_eq!(shown["made"]["logid"], logids[1]);
    assert_eq!(shown["spent"]["logid"], logids[2]);
    assert_eq!(shown["client_id"], WEB);

    m.mock.revoke(&second.member("refresh_token"));
    m.pass(15 * 60);
    let states: Vec<_> = lineage(&m, &code).into_iter().map(|row| row.1).collect();
    assert_eq!(states, ["spent", "expired", "spent", "expired", "revoked"]);
}

#[test]
fn the_other_grants_have_a_lineage_too() {
    let m = Mock::new();
    let (device_code, user_code) = m.device();
    m.decide(&user_code, "approve");
    let tokens = m.poll(&device_code);
    let kinds = |token: &str| {
        lineage(&m, token)
            .into_iter()
            .map(|row| row.0)
            .collect::<Vec<_>>()
    };
    let expected = ["device_code", "access_token", "refresh_token"];
    assert_eq!(kinds(&tokens.member("refresh_token")), expected);
    let (denied, user_code) = m.device();
    m.decide(&user_code, "deny");
    assert_eq!(lineage(&m, &denied)[0].1, "denied");
    let service = m.jwt(|_, _| {}).member("access_token");
    assert_eq!(kinds(&service), ["access_token"]);
    // On the consent page it is the authorize request that made the code.
    let page = m.get(target(&authorize_url(&[])), None);
    let key = query_value(page.header("location"), "authorize_key").expect("a key");
    let form = format!("authorize_key={key}&action=approve");
    let decide = http::Request::post("/oauth/consent").body(bytes::Bytes::from(form));
    let back = m.send(decide.expect("a request"));
    let code = query_value(back.header("location"), "code").expect("a code");
    let newest = m.mock.requests().pop().expect("an entry").seq;
    assert_eq!(lineage(&m, &code)[0].3, newest);
}

#[test]
fn tokens_are_listed_and_unknown_fingerprints_are_not_found() {
    let m = Mock::new();
    m.web_tokens();
    let list = |query: &str| {
        let reply = m.get(&format!("/_mock/v1/tokens{query}"), None);
        let all = reply.json["tokens"].as_array().expect("a list").clone();
        assert_eq!(reply.json["evicted"], 0);
        all.iter()
            .map(|row| row["kind"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(list(""), ["code", "access_token", "refresh_token"]);
    assert_eq!(list("?limit=1"), ["refresh_token"], "the newest");
    let status = |path: &str| m.get(&format!("/_mock/v1/tokens{path}"), None).status;
    assert_eq!(status("?limit=x"), 400);
    assert_eq!(status("/0123456789abcdef/lineage"), 404);
    assert_eq!(status("/0123456789ABCDEF/lineage"), 400);
    assert_eq!(
        status(&format!("/{}/lineage", fingerprint("pat_mock_alice"))),
        404
    );
}

#[test]
fn the_oldest_grant_is_evicted_and_explain_says_so() {
    let m = Mock::with(|builder| {
        let few = builder.toml("[limits]\ngrants = 2\n");
        few.expect("no mistakes")
    });
    let tokens = [(); 3].map(|()| m.web_tokens().0);
    let evicted = m.me(&tokens[0]);
    assert_eq!(evicted.status, 401);
    let why = evicted.explanation.and_then(|why| why.actual);
    let why = why.unwrap_or_default();
    assert!(why.contains("the oldest 1 were evicted"), "{why}");
    assert_eq!(m.me(&tokens[1]).status, 200);
    assert_eq!(m.me(&tokens[2]).status, 200);
    assert_eq!(m.me("pat_mock_alice").status, 200, "PAT and SAT stay");
}
