//! The records of `mock-server/records`: each is played to the mock's rules, and a rule that names one as its source is shown by it.
//! What these tests need beside the folder is made by a second mock when they run.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use coze_auth_mock::{CheckedRecord, check_record};

use crate::judge::rule_table;
use crate::pair::*;
use crate::records::agrees;
use crate::support::File;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("records")
}

fn checked(file: &Path) -> Result<CheckedRecord, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    check_record(&text)
}

/// Plays each record of a folder to the mock's rules, and returns what is wrong.
fn played(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in files {
        let name = file
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if name == "README.md" {
            continue;
        }
        match checked(&file) {
            Err(why) => wrong.push(format!("{name}: {why}")),
            Ok(checked) if !checked.differing().is_empty() => {
                let ids = checked.differing().join(", ");
                let report = checked.report_text();
                wrong.push(format!("{name}: the mock differs in {ids}\n{report}"));
            }
            Ok(_) => {}
        }
    }
    wrong
}

/// Compares the rules that name a record with what it shows, and returns what is wrong.
fn sourced(table: &toml::Table, folder: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for rule in table["rule"].as_array().expect("rules") {
        let Some(name) = rule.get("record") else {
            continue;
        };
        let (id, name) = (&rule["id"], name.as_str().expect("a name"));
        let id = id.as_str().expect("an id");
        if rule["evidence"].as_str() == Some("guess") {
            wrong.push(format!("{id}: with a record it is no longer a guess"));
        }
        match checked(&folder.join(name)) {
            Err(why) => wrong.push(format!("{id}: {name}: {why}")),
            Ok(checked) => {
                if agrees(&checked, id) == 0 || checked.differing().contains(&id) {
                    let report = checked.report_text();
                    wrong.push(format!(
                        "{id}: {name} does not show that both agree\n{report}"
                    ));
                }
            }
        }
    }
    wrong
}

#[test]
fn the_mock_answers_as_each_record_shows() {
    assert_eq!(played(&folder()), [""; 0]);
}

#[test]
fn a_rule_that_names_a_record_is_shown_by_it() {
    assert_eq!(sourced(&rule_table(), &folder()), [""; 0]);
}

/// A folder of a test, which ends with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let n = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("coze-auth-records-{}-{n}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("a file");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A record of requests that show this rule, made by a second mock that has the rule, or does not.
async fn made(id: &str, has_it: bool) -> String {
    let apps = File::new("apps.toml", APPS);
    let pair = Pair::of(
        |upstream| upstream.rule(id, has_it),
        |shadow| shadow.config(&apps.0).records(),
    )
    .await;
    violate(id, &pair).await;
    pair.shadow.record().expect("a record").expect("a text")
}

#[tokio::test]
async fn a_record_of_a_service_that_differs_is_named_with_the_rule() {
    let folder = Folder::new();
    folder.write("README.md", "not a record");
    for id in [
        "code.single_use",
        "refresh.rotate",
        "jwt.exp",
        "workload.form",
    ] {
        folder.write("a-made.json", &made(id, true).await);
        assert_eq!(played(&folder.0), [""; 0]);
        folder.write("b-made.json", &made(id, false).await);
        let wrong = played(&folder.0);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        let named = format!("b-made.json: the mock differs in {id}\n");
        assert!(wrong[0].starts_with(&named), "{}", wrong[0]);
        folder.write("b-made.json", &made(id, true).await);
    }
}

#[tokio::test]
async fn a_file_that_is_not_a_record_as_it_was_written_is_named() {
    let folder = Folder::new();
    let record = made("code.single_use", true).await;
    let another = record.replace("coze-auth-record/1", "coze-auth-record/9");
    folder.write("another.json", &another);
    folder.write("cut.json", &record[..record.len() / 2]);
    folder.write(
        "edited.json",
        &record.replace("\"status\": 400", "\"status\": 401"),
    );
    folder.write("notes.txt", "notes");
    let wrong = played(&folder.0);
    let expected = [
        "another.json: a record of another version",
        "cut.json: the record is truncated",
        "edited.json: the record was changed after it was written",
        "notes.txt: not JSON",
    ];
    assert_eq!(wrong.len(), expected.len(), "{wrong:?}");
    for (wrong, expected) in wrong.iter().zip(expected) {
        assert!(wrong.starts_with(expected), "{expected}: {wrong}");
    }
}

#[tokio::test]
async fn a_rule_whose_record_does_not_show_it_is_named() {
    let folder = Folder::new();
    folder.write("shows.json", &made("code.single_use", true).await);
    folder.write("differs.json", &made("code.single_use", false).await);
    for (id, evidence, record, wrong) in [
        ("code.single_use", "report", "shows.json", None),
        ("code.single_use", "documented", "shows.json", None),
        (
            "code.single_use",
            "guess",
            "shows.json",
            Some("it is no longer a guess"),
        ),
        (
            "code.single_use",
            "report",
            "differs.json",
            Some("differs.json does not show that both agree"),
        ),
        (
            "refresh.rotate",
            "report",
            "shows.json",
            Some("shows.json does not show that both agree"),
        ),
        ("refresh.rotate", "report", "gone.json", Some("gone.json: ")),
    ] {
        let row = format!("[[rule]]\nid = {id:?}\nevidence = {evidence:?}\nrecord = {record:?}\n");
        let found = sourced(&row.parse().expect("TOML"), &folder.0);
        assert_eq!(found.len(), usize::from(wrong.is_some()), "{row}{found:?}");
        for found in found {
            assert!(found.starts_with(id), "{found}");
            assert!(found.contains(wrong.expect("one")), "{row}{found}");
        }
    }
}
