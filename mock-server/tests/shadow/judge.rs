//! What the shadow finds: each planted difference by its rule, and nothing where there is none.

use std::collections::BTreeSet;

use coze_auth_mock::DeviceAction;
use serde_json::json;

use crate::pair::*;
use crate::records::apart;
use crate::support::*;

pub(crate) fn rule_table() -> toml::Table {
    include_str!("../../rules.toml").parse().expect("TOML")
}

/// The rules of the table: id, whether it can be switched, whether it is on.
pub(crate) fn rules() -> Vec<(String, bool, bool)> {
    let table = rule_table();
    let rules = table["rule"].as_array().expect("rules");
    let flag = |rule: &toml::Value, name: &str, usual| {
        rule.get(name)
            .map_or(usual, |value| value.as_bool().expect("a flag"))
    };
    rules
        .iter()
        .map(|rule| {
            let id = rule["id"].as_str().expect("an id").to_owned();
            (id, flag(rule, "switch", false), flag(rule, "default", true))
        })
        .collect()
}

/// Both sides know these apps.
async fn pair(set: impl FnOnce(coze_auth_mock::Builder) -> coze_auth_mock::Builder) -> Pair {
    let file = File::new("apps.toml", APPS);
    Pair::of(set, |shadow| shadow.config(&file.0).records()).await
}

/// Through the base every audience has to name the upstream.
pub(crate) const THROUGH_A_TUNNEL: &str = "jwt.aud";

#[tokio::test]
async fn each_rule_that_is_switched_is_named_and_no_other() {
    let mut shown = 0;
    for (id, switch, default) in rules() {
        if !switch || id == THROUGH_A_TUNNEL {
            continue;
        }
        let pair = pair(|upstream| upstream.rule(&id, !default)).await;
        violate(&id, &pair).await;
        pair.assert_differs(&[&id]);
        shown += 1;
    }
    assert!(shown >= 30, "{shown} rules");
}

#[tokio::test]
async fn where_nothing_is_changed_nothing_differs() {
    for (id, _, default) in rules() {
        if OUT_OF_REACH.iter().any(|(out, _)| *out == id) || id == THROUGH_A_TUNNEL {
            continue;
        }
        let pair = pair(|upstream| upstream).await;
        let reply = violate(&id, &pair).await;
        pair.assert_differs(&[]);
        if default && !id.starts_with("cors.") {
            assert!(reply.status >= 400, "{id}: {}", reply.text);
        }
        if default {
            let (agrees, ..) = pair.row(&id);
            assert!(agrees > 0, "{id}: {}", pair.shadow.report_text());
        }
        // What its record shows is the same.
        let apart = apart(&id, &pair);
        match OF_KEYS.contains(&&*id) {
            true => assert!(
                apart.contains(
                    "only its record: \"jwt.signature\": agrees 0, differs 0, not judged 1"
                ),
                "{id}: {apart}"
            ),
            false => assert_eq!(apart, ""),
        }
    }
}

/// The rules that need the keys of an app, which no record has.
pub(crate) const OF_KEYS: [&str; 3] = ["jwt.kid", "jwt.iss", "jwt.signature"];

/// The rules that no request through the shadow can show, with the reason.
pub(crate) const OUT_OF_REACH: &[(&str, &str)] = &[
    (
        "path.known",
        "paths that the mock does not have are passed on and not judged",
    ),
    ("path.api", "a limit of the mock"),
    (
        "client.known",
        "the shadow does not know which apps the upstream has beside those that it was told",
    ),
    (
        "client.enabled",
        "what an owner switches off in the console is not seen",
    ),
    (
        "code.known",
        "a code that the shadow has not seen may be another one's",
    ),
    (
        "refresh.known",
        "a refresh token that the shadow has not seen may be another one's",
    ),
    (
        "refresh.revoked",
        "what is revoked in the console is not seen",
    ),
    (
        "device.known",
        "a device code that the shadow has not seen may be another one's",
    ),
    ("jwt.jti_room", "a limit of the mock"),
    (
        "workload.subject_known",
        "an id token that the shadow has not seen may be another one's",
    ),
    (
        "workload.integration",
        "which integrations a project has is not known to the shadow",
    ),
    (
        "token.revoked",
        "what is revoked in the console is not seen",
    ),
    (
        "token.permission",
        "what a token may do is set in the console",
    ),
];

#[tokio::test]
async fn each_rule_that_is_answered_otherwise_is_named_and_no_other() {
    let ids: BTreeSet<String> = rules().into_iter().map(|(id, ..)| id).collect();
    for (out, _) in OUT_OF_REACH {
        assert!(ids.contains(*out), "{out}");
    }
    for (id, _, default) in rules() {
        let is_out = OUT_OF_REACH.iter().any(|(out, _)| *out == id);
        if is_out || !default || id == THROUGH_A_TUNNEL || id.starts_with("cors.") {
            continue;
        }
        let by_status = pair(|upstream| upstream.answer(&id, 418, None)).await;
        violate(&id, &by_status).await;
        by_status.assert_differs(&[&id]);
        // The code of an authorize request is on a page; those of a poll tell what it waits for.
        if id.starts_with("authorize.") || matches!(&*id, "device.denied" | "device.pending") {
            continue;
        }
        let by_code = pair(|upstream| upstream.answer(&id, 400, Some("another_code"))).await;
        violate(&id, &by_code).await;
        by_code.assert_differs(&[&id]);
    }
}

/// Each flow from its begin to its end, with each API call.
pub(crate) async fn all_flows(pair: &Pair) {
    let (access, first) = pair.tokens().await;
    let second = pair.refresh(&first).await.member("refresh_token");
    assert_eq!(pair.refresh(&second).await.status, 200);
    assert_eq!(pair.me(&access).await.status, 200);
    let workspaces = get("/v1/workspaces?page_num=1&page_size=20", Some(&access));
    assert_eq!(pair.send(workspaces).await.status, 200);
    let verifier = "0123456789012345678901234567890123456789012";
    let code = pair.pkce_code(verifier).await;
    let reply = pair.exchange_pkce(&code, verifier).await;
    let token = reply.member("refresh_token");
    assert_eq!(pair.token(None, &refresh(PKCE, &token)).await.status, 200);
    let (code, user_code) = pair.device().await;
    assert_eq!(pair.poll(DEVICE, &code).await.status, 428);
    pair.pass(5);
    assert_eq!(pair.poll(DEVICE, &code).await.status, 428);
    pair.decide(&user_code, DeviceAction::Approve);
    pair.pass(5);
    let reply = pair.poll(DEVICE, &code).await;
    let token = reply.member("refresh_token");
    assert_eq!(pair.token(None, &refresh(DEVICE, &token)).await.status, 200);
    let reply = pair.jwt(|_, _| {}).await;
    assert_eq!(pair.me(&reply.member("access_token")).await.status, 200);
    let id_token = pair.id_token().await;
    let reply = pair.form(&token_exchange(WORKLOAD, &id_token)).await;
    let token = reply.member("access_token");
    let env = pair.send(get("/api/v1/secret/env", Some(&token))).await;
    assert_eq!(env.status, 200);
    let integration = json!({ "integration_name": "integration-feishu-base" });
    let reply = pair
        .send(post(
            "/api/v1/secret/integration",
            Some(&token),
            &integration,
        ))
        .await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn every_flow_agrees_whether_the_apps_are_known_or_not() {
    let known = Pair::with(|upstream| upstream).await;
    all_flows(&known).await;
    known.assert_differs(&[]);
    for id in [
        "answer.token",
        "answer.device",
        "answer.authorize",
        "answer.users_me",
        "answer.workspaces",
        "answer.workload_token",
        "answer.outbound",
        "answer.logid",
        "answer.content_type",
        "refresh.rotate",
        "token.expiry",
        "device.expired",
        "device.interval",
        "device.pending",
        "workload.subject_expiry",
    ] {
        let (agrees, _, not_judged) = known.row(id);
        assert!(
            agrees > 0 && not_judged == 0,
            "{id}: {}",
            known.shadow.report_text()
        );
    }
    let unknown = Pair::of(|upstream| upstream, |shadow| shadow).await;
    all_flows(&unknown).await;
    unknown.assert_differs(&[]);
    assert!(
        unknown.row("answer.token").0 >= 8,
        "{}",
        unknown.shadow.report_text()
    );
}

/// A workload's requests have a host of their own (protocol §15.1), and a program that keeps its settings reaches it by a tunnel.
#[tokio::test]
async fn a_workload_is_judged_in_tunnels_to_both_of_its_hosts() {
    for (off, differs) in [(false, &[][..]), (true, &["workload.access"])] {
        let mut builder = coze_auth_mock::CozeAuthMock::builder().tls();
        if off {
            builder = builder.answer("workload.access", 418, None);
        }
        let upstream = builder.start().await.expect("a mock");
        let port = upstream.base_url().rsplit(':').next().expect("a port");
        let ca = File::new("ca.pem", upstream.ca_pem().expect("a CA"));
        let [api, integration] =
            ["api", "integration"].map(|label| format!("{label}.coze.localhost:{port}"));
        let shadow = coze_auth_mock::Shadow::builder(&format!("https://{api}"))
            .upstream_ca(&ca.0)
            .mock_apps()
            .start()
            .await
            .expect("a shadow");
        let ask = |host: &str, request| {
            let host = host.to_owned();
            let shadow = &shadow;
            async move { through(shadow.base_url(), shadow.ca_pem(), &host, request).await }
        };
        let id_token = ask(&api, form(&credentials(WORKLOAD, WORKLOAD_SECRET))).await;
        let id_token = id_token.member("access_token");
        let token = ask(&api, form(&token_exchange(WORKLOAD, &id_token))).await;
        let token = token.member("access_token");
        let wanted = json!({ "integration_name": "integration-feishu-base" });
        let credential = post("/api/v1/secret/integration", Some(&token), &wanted);
        for request in [credential, get("/api/v1/secret/env", Some(&token))] {
            let reply = ask(&integration, request).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
        }
        // A token that is not a workload's is refused there; the API takes both.
        let jwt = assertion(
            coze_auth_mock::ClockHandle::real().unix().as_secs(),
            |_, claims| {
                claims["aud"] = json!(api);
            },
        );
        let jwt = ask(
            &api,
            post(TOKEN, Some(&jwt), &json!({ "grant_type": JWT_GRANT })),
        )
        .await;
        let jwt = jwt.member("access_token");
        let refused = ask(&integration, get("/api/v1/secret/env", Some(&jwt))).await;
        assert!(refused.status >= 400, "{}", refused.text);
        for token in [&token, &jwt] {
            let reply = ask(&api, get("/v1/users/me", Some(token))).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
        }
        assert_eq!(shadow.differing(), differs, "{}", shadow.report_text());
        let report = shadow.report();
        let rows = report["rules"].as_array().expect("rows");
        for (id, times) in [
            ("answer.workload_token", 2),
            ("answer.outbound", 2),
            ("answer.users_me", 2),
            ("workload.access", u64::from(!off)),
        ] {
            let row = rows.iter().find(|row| row["rule"] == id);
            let agrees = row.map_or(&json!(null), |row| &row["agrees"]);
            assert_eq!(*agrees, times, "{id}: {}", shadow.report_text());
        }
    }
}

#[tokio::test]
async fn an_audience_that_is_not_the_upstreams_is_judged_in_a_tunnel() {
    for (off, differs) in [(true, &["jwt.aud"][..]), (false, &[])] {
        let clock = coze_auth_mock::ClockHandle::real();
        let builder = coze_auth_mock::CozeAuthMock::builder()
            .tls()
            .rule("jwt.aud", !off);
        let upstream = builder.start().await.expect("a mock");
        let port = upstream
            .base_url()
            .rsplit(':')
            .next()
            .expect("a port")
            .to_owned();
        let ca = File::new("ca.pem", upstream.ca_pem().expect("a CA"));
        let host = format!("api.coze.localhost:{port}");
        let shadow = coze_auth_mock::Shadow::builder(&format!("https://{host}"))
            .upstream_ca(&ca.0)
            .mock_apps()
            .start()
            .await
            .expect("a shadow");
        let now = clock.unix().as_secs();
        let own = authority(shadow.base_url()).to_owned();
        let body = json!({ "grant_type": JWT_GRANT });
        for (aud, status) in [(host.clone(), 200), (own, if off { 200 } else { 401 })] {
            let assertion = assertion(now, |_, claims| claims["aud"] = json!(aud));
            let request = post(TOKEN, Some(&assertion), &body);
            let reply = through(shadow.base_url(), shadow.ca_pem(), &host, request).await;
            assert_eq!(reply.status, status, "{}", reply.text);
        }
        assert_eq!(shadow.differing(), differs, "{}", shadow.report_text());
    }
}
