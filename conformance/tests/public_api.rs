//! The libraries' API: no types of others but those that it is about, and errors that people can read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A folder of sources, and of whose types its API is made besides std's and our own.
const MAY_SHOW: &[(&str, &[&str])] = &[
    ("crates/coze-auth", &["http"]),
    ("crates/coze-auth-core", &["http"]),
    ("crates/coze-auth-store", &["http"]),
    ("crates/coze-auth-tokens", &["bytes", "http", "http_body"]),
    ("crates/coze-auth-reqwest", &["http", "reqwest"]),
    ("crates/coze-auth-ureq", &["http", "ureq"]),
];

/// The sources below a folder, as path and text, without their tests.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).expect("a text file");
                let code = text.split("\n#[cfg(test)]\n").next().unwrap_or_default();
                found.push((path, code.to_owned()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let mut found = Vec::new();
    walk(&root.join(folder).join("src"), &mut found);
    assert!(!found.is_empty(), "nothing below {folder}");
    found
}

/// The crate is built without Unicode's classes.
fn regex(pattern: &str) -> Regex {
    let ascii = pattern
        .replace(r"\w", "[A-Za-z0-9_]")
        .replace(r"\s", "[ \n]");
    Regex::new(&ascii.replace(r"\b", r"(?-u:\b)")).expect("a pattern")
}

/// The names of what a file takes from crates that are neither ours nor allowed.
fn foreign(text: &str, allowed: &[&str]) -> BTreeSet<String> {
    let ours = [
        "std",
        "crate",
        "self",
        "super",
        "coze_auth_core",
        "coze_auth_store",
        "coze_auth_tokens",
    ];
    let mut names = BTreeSet::new();
    for taken in
        regex(r"(?ms)^\s*(?:pub(?:\([a-z]+\))? )?use ([a-z]\w*)::([^;]*);").captures_iter(text)
    {
        let from = &taken[1];
        // A module of this file begins small, too, but is declared in it.
        let is_module =
            text.contains(&format!("mod {from};")) || text.contains(&format!("mod {from} {{"));
        if ours.contains(&from) || allowed.contains(&from) || is_module {
            continue;
        }
        let types = regex(r"\b[A-Z]\w*\b");
        names.extend(
            types
                .find_iter(&taken[2])
                .map(|name| name.as_str().to_owned()),
        );
    }
    names
}

/// The parts of a file that others see: signatures, fields, variants, and what is derived or implemented for them.
fn shown(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut take = |pattern: &str| {
        let pattern = regex(pattern);
        let found = pattern.captures_iter(text);
        parts.extend(found.map(|found| found[1].to_owned()));
    };
    take(r"(?ms)^ *(pub (?:const |async )*fn [^{;]*)");
    take(r"(?m)^ *(pub \w+: .*)$");
    take(r"(?ms)^ *(pub (?:type |static |const [A-Z])[^;]*);");
    take(r"(?ms)^ *(pub (?:enum|trait) .*?\n *\})$");
    take(r"(?m)^ *(pub struct \w+(?:<[^>]*>)?\((?:.*\bpub\b).*)$");
    take(r"(?ms)^ *(#\[derive\([^\]]*\)\])\n(?: *#\[[^\n]*\n)* *pub (?:struct|enum)");
    let public = regex(r"(?m)^ *pub (?:struct|enum) (\w+)");
    let public: Vec<_> = public
        .captures_iter(text)
        .map(|name| name[1].to_owned())
        .collect();
    if !public.is_empty() {
        let pattern = format!(r"(?m)^ *(impl(?:<.*>)? .* for (?:{})\b)", public.join("|"));
        let implemented = regex(&pattern);
        parts.extend(
            implemented
                .captures_iter(text)
                .map(|found| found[1].to_owned()),
        );
    }
    // What docs and attributes say is not a type.
    let comment = regex(r"(?m)//.*$");
    parts
        .iter()
        .map(|part| comment.replace_all(part, "").into_owned())
        .collect()
}

/// A type of another crate in our API is a promise about that crate's next major version.
#[test]
fn no_type_of_others_stands_in_the_api() {
    let known = ["std", "crate", "self", "super", "io", "fmt", "core", "de"];
    let with_path = regex(r"\b([a-z]\w*)::[a-zA-Z]");
    for (folder, allowed) in MAY_SHOW {
        for (path, text) in sources(folder) {
            let place = path.display();
            let names: Vec<_> = foreign(&text, allowed).into_iter().collect();
            let names = (!names.is_empty()).then(|| regex(&format!(r"\b({})\b", names.join("|"))));
            for part in shown(&text) {
                let taken = names.as_ref().and_then(|names| names.find(&part));
                assert!(
                    taken.is_none(),
                    "{place}: {} in `{part}`",
                    taken.map_or("", |name| name.as_str())
                );
                // With its path, and without `use`.
                for taken in with_path.captures_iter(&part) {
                    let fine = known.contains(&&taken[1]) || allowed.contains(&&taken[1]);
                    assert!(fine, "{place}: {} in `{part}`", &taken[1]);
                }
            }
        }
    }
}

/// `main` and `unwrap` print `Debug`, and a derived one hides the words.
#[test]
fn no_error_derives_what_people_read() {
    let mut errors = 0;
    for folder in [
        "crates/coze-auth",
        "crates/coze-auth-core",
        "crates/coze-auth-store",
        "crates/coze-auth-tokens",
        "crates/coze-auth-reqwest",
        "crates/coze-auth-ureq",
        "mock-server",
        "conformance",
    ] {
        for (path, text) in sources(folder) {
            let implemented =
                regex(r"(?m)^ *impl(?:<.*>)? (?:std::error::|error::)?(?:Std)?Error for (\w+)");
            for error in implemented.captures_iter(&text) {
                errors += 1;
                let by_hand = regex(&format!(r"impl (?:std::)?fmt::Debug for {}\b", &error[1]));
                let place = path.display();
                assert!(
                    by_hand.is_match(&text),
                    "{place}: {} derives Debug",
                    &error[1]
                );
            }
        }
    }
    assert!(errors > 15, "the pattern finds {errors}");
}
