//! Every target over the corpus of the repository and over the seeds, on whatever compiler the tests are built with.

use std::path::{Path, PathBuf};
use std::time::Instant;

use coze_auth_fuzz::{TARGETS, hash, seeds, target};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The names below a folder, sorted, and without those that begin with a stop.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|_| panic!("no {}", folder.display()));
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.into_string().expect("a name"))
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// A failure names the file that it is of, which `just fuzz TARGET` begins with.
fn replay(name: &str) {
    let target = target(name).expect("a target");
    let begun = Instant::now();
    let folder = corpus().join(name);
    let files = names(&folder);
    assert!(!files.is_empty(), "{name} has no corpus");
    for file in &files {
        let input = std::fs::read(folder.join(file)).expect("a file");
        assert_eq!(
            *file,
            hash(&input),
            "corpus/{name}/{file} is not named by its hash"
        );
        println!("corpus/{name}/{file}");
        (target.run)(&input);
    }
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    for seed in &seeds {
        println!("seed: {}", String::from_utf8_lossy(seed));
        (target.run)(seed);
    }
    println!(
        "{name}: {} files and {} seeds in {:?}",
        files.len(),
        seeds.len(),
        begun.elapsed()
    );
}

/// One test for each target, so that they run beside each other and are named.
macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            let all: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(all, [$(stringify!($name)),*]);
            assert_eq!(names(&corpus()).len(), all.len(), "a corpus without a target");
        }
    };
}

replays! {
    envelope
    callback
    oauth_config
    mock_config
    pem
    environment
    grants
    control
    shim
    bridge
    record
}

/// The repository is cloned by everybody.
#[test]
fn the_corpus_is_small() {
    let mut size = 0;
    for name in names(&corpus()) {
        for file in names(&corpus().join(&name)) {
            let path = corpus().join(&name).join(file);
            size += std::fs::metadata(path).expect("a file").len();
        }
    }
    assert!(
        size <= 1_000_000,
        "the corpus has {size} bytes; `just fuzz-smoke` minimizes it"
    );
}
