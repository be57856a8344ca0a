//! A record: it shows without a network what the exchanges have shown, and is not written if something of somebody's is left in it.

use std::collections::BTreeSet;

use coze_auth_mock::{CheckedRecord, check_record};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::judge::{OUT_OF_REACH, THROUGH_A_TUNNEL, all_flows, rules};
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
