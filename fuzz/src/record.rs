//! A record of the shadow, and the judge that reads it: `coze-auth-mock shadow check`. The input is a record without its digest.
//!
//! A text is judged or told what is wrong with it, without its values; twice the same; in another layout the same; and never judged if it was
//! changed after it was written.

use coze_auth_mock::check_record;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{SENTINEL, is_plain, keeps};

/// What a text is judged to be, as a person and a program are told.
fn judged(text: &str) -> Result<(String, Value), String> {
    let checked = check_record(text)?;
    let report = checked.report_text();
    for rule in checked.differing() {
        assert!(
            report.contains(rule),
            "{rule} is not in the report: {report}"
        );
    }
    Ok((report, checked.report()))
}

/// With the digest that the shadow would write.
fn sealed(mut record: Value) -> Value {
    if let Some(members) = record.as_object_mut() {
        members.remove("sha256");
    }
    record.sort_all_objects();
    let sum = Sha256::digest(record.to_string());
    if let Some(members) = record.as_object_mut() {
        let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        members.insert("sha256".to_owned(), sum.into());
    }
    record
}

/// One record.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    let record = parsed.map(sealed);
    let text = record
        .as_ref()
        .map_or_else(|| text.to_owned(), Value::to_string);
    let told = judged(&text);
    match &told {
        Ok((report, _)) => {
            assert!(!report.is_empty());
            is_plain("a report", report);
        }
        Err(why) => {
            is_plain("an error", why);
            keeps("an error", why, &[SENTINEL]);
            assert!(why.len() < 1_024);
        }
    }
    assert_eq!(judged(&text), told);
    let Some(mut record) = record.filter(|_| told.is_ok()) else {
        return;
    };
    assert_eq!(judged(&format!("{record:#}")), told);
    record["more"] = true.into();
    assert!(
        judged(&record.to_string()).is_err(),
        "it was changed, and is judged"
    );
}
