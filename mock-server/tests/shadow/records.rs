//! A record: it shows without a network what the exchanges have shown, and is not written if something of somebody's is left in it.

use coze_auth_mock::check_record;
use serde_json::Value;

use crate::judge::{OUT_OF_REACH, THROUGH_A_TUNNEL, all_flows, rules};
use crate::pair::*;
use crate::support::*;

#[tokio::test]
async fn a_record_of_every_flow_shows_no_difference() {
    let pair = Pair::of(|upstream| upstream, |shadow| shadow.mock_apps().records()).await;
    all_flows(&pair).await;
    let record = pair.shadow.record().expect("a record").expect("a text");
    let (report, differs) = check_record(&record).expect("a record");
    assert_eq!(differs, [""; 0], "{report}\n{record}");
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
        let (report, differs) = check_record(&record).expect("a record");
        let expected: &[&str] = if id == "jwt.signature" { &[] } else { &[&id] };
        assert_eq!(differs, expected, "{report}\n{record}");
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

#[test]
fn what_is_not_a_record_is_told() {
    for (text, why) in [
        ("{", "not JSON at line 1"),
        ("{}", "not a record"),
        (
            r#"{"format":"coze-auth-record/1","upstream":"https://api.coze.cn","exchanges":[{}]}"#,
            "exchange 0 cannot be read",
        ),
        (
            r#"{"format":"coze-auth-record/1","upstream":"https://api.coze.cn","apps":[{}]}"#,
            "unknown kind",
        ),
        (
            r#"{"format":"coze-auth-record/1","upstream":"api.coze.cn"}"#,
            "cannot be the upstream",
        ),
    ] {
        let error = check_record(text).expect_err(why);
        assert!(error.contains(why), "{error}");
    }
}
