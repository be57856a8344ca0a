//! The suite over our own stores, and over stores with one fault each, which it must find.

mod engine;
mod planted;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{FileStore, MemoryStore, store_conformance_tests};

mod memory {
    use super::*;

    store_conformance_tests!({
        let store = MemoryStore::new();
        StoreUnderTest::blocking(move || store.clone())
    });
}

mod file {
    use super::*;

    store_conformance_tests!(files());
}

mod leased {
    use super::*;

    store_conformance_tests!(engine::engine(None, false, Duration::ZERO));
}

mod awaited {
    use super::*;

    store_conformance_tests!(engine::engine(None, true, Duration::ZERO));
}

/// A folder of its own, gone with the closures that name it.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

fn files() -> StoreUnderTest {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("coze-auth-suite-{}-{number}", std::process::id());
    let folder = Arc::new(Folder(std::env::temp_dir().join(name)));
    let (damaged, read) = (folder.clone(), folder.clone());
    StoreUnderTest::blocking(move || FileStore::new(&folder.0).expect("a folder"))
        .damages_by(move |key| {
            let path = FileStore::new(&damaged.0).expect("a folder").path(key);
            let whole = std::fs::read(&path).expect("the file");
            std::fs::write(&path, &whole[..whole.len() - 3]).expect("cut off");
        })
        .contents_by(move || {
            let files = std::fs::read_dir(&read.0).expect("the folder");
            let files = files.map(|file| std::fs::read(file.expect("a file").path()));
            files
                .flat_map(|bytes| bytes.expect("it can be read"))
                .collect()
        })
}

/// The macro and the table have the same rules.
#[test]
fn every_rule_is_a_test() {
    let tests = store_conformance_tests!(@each names ());
    let rules: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(tests.as_slice(), rules);
    let once: BTreeSet<_> = rules.iter().collect();
    assert_eq!(once.len(), rules.len());
}

/// A rule holds to words that a reader of the traits finds.
#[test]
fn every_sentence_stands_in_the_documentation_of_the_traits() {
    let source = include_str!("../store.rs");
    let lines = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("///"));
    let mut docs = lines.collect::<Vec<_>>().concat();
    // Where a link leads is not read.
    while let Some(at) = docs.find("`](") {
        let end = docs[at..].find(')').expect("a link ends") + at;
        docs.replace_range(at + 1..=end, "");
    }
    let docs = docs.replace("[`", "`").replace("`]", "`");
    for rule in RULES {
        assert!(docs.contains(rule.says), "{}: {}", rule.name, rule.says);
    }
}
