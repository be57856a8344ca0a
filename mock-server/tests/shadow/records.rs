//! A record: it shows without a network what the exchanges have shown, and is not written if something of somebody's is left in it.

use std::collections::BTreeSet;

use coze_auth_mock::{CheckedRecord, check_record};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::judge::{OF_KEYS, OUT_OF_REACH, THROUGH_A_TUNNEL, all_flows, rules};
use crate::pair::*;
use crate::support::*;

#[tokio::test]
async fn a_record_of_every_flow_shows_no_difference() {
    let pair = Pair::of(|upstream| upstream, |shadow| shadow.mock_apps().records()).await;
    all_flows(&pair).await;
    let record = pair.shadow.record().expect("a record").expect("a text");
    let checked = check_record(&record).expect("a record");
    let report = checked.report_text();
    assert_eq!(checked.differing(), [""; 0], "{report}\n{record}");
    let exchanges = pair.shadow.report()["exchanges"]
        .as_u64()
        .expect("a number");
    assert!(
        report.contains(&format!(" {exchanges} exchanges judged")),
        "{report}"
    );
    for id in [
        "answer.token",
        "answer.device",
        "refresh.rotate",
        "token.expiry",
        "device.pending",
    ] {
        assert!(report.contains(id), "{id}: {report}");
    }
    let read: Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!(read["format"], "coze-auth-record/1");
}

/// A login whose callback comes to the program behind the shadow's back: it sees that the person is asked, and not which code
/// is issued.
async fn unseen_code(pair: &Pair, client_id: &str, verifier: &str) -> String {
    let mut parameters = vec![("client_id", client_id)];
    if !verifier.is_empty() {
        parameters.extend([
            ("code_challenge", verifier),
            ("code_challenge_method", "plain"),
        ]);
    }
    let asked = pair.authorize(&parameters).await;
    let page = asked.header("location").to_owned();
    let (_, key) = page.split_once("authorize_key=").expect("a consent page");
    let decision = http::Request::post("/oauth/consent")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("authorize_key={key}&action=approve").into());
    let back = send(pair.upstream.base_url(), decision.expect("a request")).await;
    let back = url::Url::parse(back.header("location")).expect("a redirect");
    let code = back.query_pairs().find(|(name, _)| name == "code");
    code.expect("a code").1.into_owned()
}

/// What nobody has issued, as code, refresh token, device code, access token and id token: before and after the right ones.
async fn made_up(pair: &Pair, n: u32) {
    let verifier = "0123456789012345678901234567890123456789012";
    let of = |what: &str| format!("{what}{n}MadeUpMadeUpMadeUpMadeUp");
    for reply in [
        pair.exchange(&of("code_")).await,
        pair.exchange_pkce(&of("code_pkce"), verifier).await,
        pair.refresh(&of("refresh")).await,
        pair.token(None, &refresh(PKCE, &of("pkce"))).await,
        pair.poll(DEVICE, &of("device")).await,
        pair.me(&of("czu_")).await,
        pair.me(&of("pat_")).await,
        pair.send(get("/api/v1/secret/env", Some(&of("czs_"))))
            .await,
        pair.form(&token_exchange(WORKLOAD, &of("cztei_"))).await,
    ] {
        assert!(reply.status >= 400, "{}", reply.text);
    }
}

/// The counts and differences of each rule, and the totals.
fn shown(report: &Value) -> Vec<String> {
    let rows = report["rules"].as_array().expect("rows").iter();
    let rows = rows.map(|row| {
        format!(
            "{}: agrees {}, differs {}, not judged {}: {}",
            row["rule"], row["agrees"], row["differs"], row["not_judged"], row["differences"]
        )
    });
    let totals = [
        "exchanges",
        "not_of_the_mock",
        "without_answer",
        "refused_by_the_shadow",
    ];
    let totals = totals.map(|name| format!("{name}: {}", report[name]));
    rows.chain(totals).collect()
}

/// In what the report of the shadow and that of its record are two; empty if they say the same.
pub(crate) fn apart(what: &str, pair: &Pair) -> String {
    let record = pair.shadow.record().expect("a record");
    let record = record.unwrap_or_else(|why| panic!("{what}: {why}"));
    let checked = check_record(&record).expect("a record");
    let told = checked.report_text();
    // Options that `shadow check` does not have.
    assert!(!told.contains("--"), "{what}: {told}");
    let (live, replayed) = (shown(&pair.shadow.report()), shown(&checked.report()));
    let lost = live.iter().filter(|row| !replayed.contains(row));
    let new = replayed.iter().filter(|row| !live.contains(row));
    let rows = lost.map(|row| format!("  only the shadow: {row}\n"));
    let rows: String = rows
        .chain(new.map(|row| format!("  only its record: {row}\n")))
        .collect();
    match &*rows {
        "" => rows,
        _ => format!("{what}\n{rows}"),
    }
}

/// A code that nobody has issued is refused by every service: while a login waits for its code, too, that shows no difference.
#[tokio::test]
async fn what_is_made_up_shows_no_difference_in_the_shadow_and_in_its_record() {
    let asks = APPS.replace("consent = \"approve\"\n", "");
    let file = File::new("apps.toml", &asks);
    let verifier = "0123456789012345678901234567890123456789012";
    for named in [false, true] {
        let pair = Pair::of(
            |upstream| upstream.toml(&asks).expect("a configuration"),
            |shadow| match named {
                true => shadow.config(&file.0).records(),
                false => shadow.records(),
            },
        )
        .await;
        let web = unseen_code(&pair, WEB, "").await;
        let pkce = unseen_code(&pair, PKCE, verifier).await;
        made_up(&pair, 1).await;
        assert_eq!(pair.exchange(&web).await.status, 200);
        assert_eq!(pair.exchange_pkce(&pkce, verifier).await.status, 200);
        assert_eq!(pair.exchange(&web).await.status, 400);
        made_up(&pair, 2).await;
        pair.assert_differs(&[]);
        assert_eq!(pair.row("code.known").2, 4, "{}", pair.shadow.report_text());
        assert_eq!(apart(&format!("named: {named}"), &pair), "");
        let text = pair.shadow.report_text();
        assert!(!text.contains(" 0 not judged"), "{text}");
    }
}

/// Each rule alone is in `where_nothing_is_changed_nothing_differs` and in `a_record_shows_each_rule_that_was_switched`.
#[tokio::test]
async fn a_record_of_every_flow_shows_what_the_shadow_has_said() {
    for named in [false, true] {
        let shadow = |shadow: coze_auth_mock::ShadowBuilder| match named {
            true => shadow.mock_apps().records(),
            false => shadow.records(),
        };
        let pair = Pair::of(|upstream| upstream, shadow).await;
        all_flows(&pair).await;
        made_up(&pair, 1).await;
        pair.send(get("/v1/bots", None)).await;
        assert_eq!(apart(&format!("named: {named}"), &pair), "");
    }
}

/// Each difference but that of a signature, whose key no record has, is in the record as well.
#[tokio::test]
async fn a_record_shows_each_rule_that_was_switched() {
    for (id, switch, default) in rules() {
        let is_out = OUT_OF_REACH.iter().any(|(out, _)| *out == id);
        if !switch || is_out || id == THROUGH_A_TUNNEL {
            continue;
        }
        let file = File::new("apps.toml", APPS);
        let pair = Pair::of(
            |upstream| upstream.rule(&id, !default),
            |shadow| shadow.config(&file.0).records(),
        )
        .await;
        violate(&id, &pair).await;
        let record = pair.shadow.record().expect("a record");
        let record = record.unwrap_or_else(|why| panic!("{id}: {why}"));
        let checked = check_record(&record).expect("a record");
        let expected: &[&str] = if id == "jwt.signature" { &[] } else { &[&id] };
        let report = checked.report_text();
        assert_eq!(checked.differing(), expected, "{report}\n{record}");
        if !OF_KEYS.contains(&&*id) {
            assert_eq!(apart(&id, &pair), "");
        }
    }
}

#[tokio::test]
async fn a_record_with_something_left_in_it_is_not_written() {
    let pair = Pair::of(|upstream| upstream, |shadow| shadow.mock_apps().records()).await;
    // A state that is also the name of a member, which stays.
    pair.code(&[("state", "code_challenge_method")]).await;
    let verifier = "0123456789012345678901234567890123456789012";
    pair.pkce_code(verifier).await;
    let refused = pair
        .shadow
        .record()
        .expect("a record")
        .expect_err("a state is left");
    assert!(refused.contains("a value of 21 characters"), "{refused}");
    assert!(!refused.contains("code_challenge_method"), "{refused}");
    let none = Pair::of(|upstream| upstream, |shadow| shadow).await;
    assert!(none.shadow.record().is_none());
}

/// A JSON object keeps one of two members of one name, and the rule about them is for all.
#[tokio::test]
async fn a_member_that_was_sent_twice_is_in_the_record() {
    let pair = Pair::of(|upstream| upstream, |shadow| shadow.mock_apps().records()).await;
    violate("param.once", &pair).await;
    let record = pair.shadow.record().expect("a record").expect("a text");
    let checked = check_record(&record).expect("a record");
    assert_eq!(checked.differing(), [""; 0], "{}", checked.report_text());
    assert_eq!(agrees(&checked, "param.once"), 1, "{record}");
}

/// Whoever reads a record finds each of its members in the description of the format.
#[tokio::test]
async fn the_format_is_described() {
    let readme = include_str!("../../records/README.md");
    let pair = Pair::of(|upstream| upstream, |shadow| shadow.mock_apps().records()).await;
    all_flows(&pair).await;
    violate("body.json", &pair).await;
    violate("param.once", &pair).await;
    violate("body.limit", &pair).await;
    pair.send(get("/api/permission/oauth2/token", None)).await;
    let record = pair.shadow.record().expect("a record").expect("a text");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    let mut names = BTreeSet::new();
    let mut of = |value: &Value| {
        let members = value.as_object().into_iter().flatten();
        names.extend(members.map(|(name, _)| name.clone()));
    };
    of(&record);
    of(&record["apps"][0]);
    for one in record["exchanges"].as_array().expect("exchanges") {
        of(one);
        for side in [&one["request"], &one["answer"]] {
            of(side);
            of(&side["body"]);
            for header in side["headers"].as_array().expect("pairs") {
                of(&json!({ header[0].as_str().expect("a name"): null }));
                of(&header[1]);
            }
        }
    }
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let cell = format!("`{name}`");
        let in_json = format!("\"{name}\":");
        let is_there = readme.contains(&cell) || readme.contains(&in_json);
        assert!(
            is_there,
            "mock-server/records/README.md does not tell {name}"
        );
    }
}

/// How often both agree about a rule.
pub(crate) fn agrees(checked: &CheckedRecord, id: &str) -> u64 {
    let report = checked.report();
    let mut rows = report["rules"].as_array().expect("rows").iter();
    let row = rows.find(|row| row["rule"] == id);
    row.map_or(0, |row| row["agrees"].as_u64().expect("a number"))
}

/// A record with a member that was changed afterwards, and with the digest of what it is now.
fn forged(record: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(record).expect("JSON");
    change(&mut value);
    let members = value.as_object_mut().expect("an object");
    members.remove("sha256");
    let sum = Sha256::digest(value.to_string());
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    value["sha256"] = json!(sum);
    value.to_string()
}

#[tokio::test]
async fn what_is_not_a_record_as_it_was_written_is_told() {
    let pair = Pair::of(|upstream| upstream, |shadow| shadow.mock_apps().records()).await;
    pair.tokens().await;
    let record = pair.shadow.record().expect("a record").expect("a text");
    let lines = record.lines().count();
    let half = record.len() / 2;
    let edited = record.replace("\"status\": 200", "\"status\": 201");
    assert_ne!(edited, record);
    let spaced = record.replace("  ", " ").replace('\n', "\r\n");
    assert!(check_record(&spaced).is_ok(), "white space is nothing");
    let same = forged(&record, |_| {});
    assert!(
        check_record(&same).is_ok(),
        "the order of members is nothing"
    );
    for (text, why) in [
        ("{".to_owned(), "the record is truncated: it ends in line 1"),
        (record[..half].to_owned(), "the record is truncated"),
        (
            record[..record.len() - 3].to_owned(),
            &*format!("it ends in line {}", lines - 1),
        ),
        ("# a page".to_owned(), "not JSON at line 1"),
        ("{}".to_owned(), "this is not a record"),
        (r#"{"format":"har/1"}"#.to_owned(), "this is not a record"),
        (
            record.replace("coze-auth-record/1", "coze-auth-record/2"),
            "a record of another version",
        ),
        (edited, "changed after it was written"),
        (
            r#"{"format":"coze-auth-record/1"}"#.to_owned(),
            "changed after it was written",
        ),
        (
            forged(&record, |record| record["exchanges"][1] = json!({})),
            "exchange 1 cannot be read",
        ),
        (
            forged(&record, |record| record["apps"][0]["kind"] = json!("a")),
            "unknown kind",
        ),
        (
            forged(&record, |record| record["upstream"] = json!("api.coze.cn")),
            "cannot be the upstream",
        ),
    ] {
        let error = check_record(&text).expect_err(why);
        assert!(error.contains(why), "{why}: {error}");
    }
}
