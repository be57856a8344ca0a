//! The libraries' API as people read it: errors, and examples. `just api` has its items, and the types of other crates.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

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

/// `main` and `unwrap` print `Debug`, and a derived one hides the words.
#[test]
fn no_error_derives_what_people_read() {
    let mut errors = 0;
    for folder in [
        "crates/coze-auth",
        "crates/coze-auth-core",
        "crates/coze-auth-redis",
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

/// Types of a root that a caller does not make: a call gives them, or whoever writes an adapter or a suite needs them, which is told elsewhere.
const WITHOUT_EXAMPLE: &[(&str, &[&str])] = &[
    (
        "crates/coze-auth-core",
        &["ClockSkew", "Request", "Response"],
    ),
    ("crates/coze-auth-redis", &["RedisLock"]),
    ("crates/coze-auth-store", &["Cause"]),
    (
        "crates/coze-auth-tokens",
        &["JwtKey", "NetworkError", "Origins", "Timeouts", "Waiting"],
    ),
    (
        "mock-server",
        &[
            "AuthorizeError",
            "ConfigError",
            "ConfigErrors",
            "Explanation",
            "FaultHandle",
            "IssuedTokens",
            "JournalEntry",
            "JournalJwt",
            "Leak",
            "Outcome",
            "ScriptHandle",
            "UnmetExpectation",
            "VerifyError",
            "WorldError",
        ],
    ),
    // The front page has `Subject`; docs/test-your-transport.md, whose blocks are run, has the others.
    (
        "conformance",
        &[
            "Case",
            "Fixture",
            "Harness",
            "Plan",
            "Reference",
            "Requirements",
            "Service",
            "Shim",
            "Spec",
            "Stop",
            "TestContext",
            "UrlMode",
        ],
    ),
];

/// Main types that do not stand at the root of their library, and traits that callers implement.
const WITH_EXAMPLE: &[(&str, &[&str])] = &[
    (
        "crates/coze-auth-core",
        &[
            "Callback",
            "DeviceApp",
            "Environment",
            "JwtApp",
            "JwtGrant",
            "JwtIssuer",
            "OAuthConfig",
            "PendingAuthorization",
            "PkceApp",
            "Proxies",
            "RedirectUri",
            "Scope",
            "Signer",
            "TokenCache",
            "WebApp",
        ],
    ),
    ("crates/coze-auth-redis", &[]),
    ("crates/coze-auth-store", &["GrantStore"]),
    ("crates/coze-auth-tokens", &["AsyncSigner", "Time"]),
    ("crates/coze-auth-reqwest", &[]),
    ("crates/coze-auth-ureq", &[]),
    ("mock-server", &[]),
    ("conformance", &[]),
];

/// The names that the root of a library takes from its own modules, without those that are hidden.
fn root_names(lib: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let taken = regex(r"(?ms)^(#\[doc\(hidden\)\]\n)?pub use ([a-z]\w*)::([^;]*);");
    for found in taken.captures_iter(lib) {
        let from = &found[2];
        let own = from == "self" || lib.contains(&format!("mod {from};"));
        if own && found.get(1).is_none() {
            let types = regex(r"\b[A-Z]\w*[a-z]\w*\b");
            let found = types.find_iter(&found[3]);
            names.extend(found.map(|name| name.as_str().to_owned()));
        }
    }
    names
}

/// The doc comments of what has this name in these sources: a struct, an alias or a trait, or a secret, which a macro makes of its name.
fn docs_of(name: &str, sources: &[(PathBuf, String)]) -> Vec<String> {
    let declared = regex(&format!(
        r#"^ *(?:pub (?:struct|type|trait|enum) {name}\b|{name}, ")"#
    ));
    let naming = sources.iter().filter(|(_, text)| text.contains(name));
    let docs = naming.filter_map(|(_, text)| {
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|line| declared.is_match(line))?;
        let above = lines[..at].iter().rev().map(|line| line.trim());
        let mut doc: Vec<&str> = above
            .skip_while(|line| !line.is_empty() && !line.starts_with("///") && *line != "}")
            .take_while(|line| line.starts_with("///"))
            .collect();
        doc.reverse();
        Some(doc.join("\n"))
    });
    docs.collect()
}

/// Returns true if a doc comment has an example that is compiled and run.
fn has_example_that_runs(doc: &str) -> bool {
    let mut open = false;
    doc.lines().any(|line| {
        let Some(fence) = line.trim_start_matches("///").trim().strip_prefix("```") else {
            return false;
        };
        open = !open;
        open && fence.is_empty()
    })
}

/// Whoever looks a type up sees it at work, and what they see is true today.
#[test]
fn a_main_type_has_an_example_that_runs() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for (folder, named) in WITH_EXAMPLE {
        let sources = sources(folder);
        let lib = sources
            .iter()
            .find(|(path, _)| path.ends_with("src/lib.rs"));
        let mut names = root_names(&lib.expect("the library").1);
        let spared = WITHOUT_EXAMPLE.iter().find(|(of, _)| of == folder);
        for name in spared.map_or(&[][..], |(_, names)| names) {
            assert!(names.remove(*name), "{folder} has no {name} at its root");
        }
        // Of an enum the variants tell; a trait is named above if callers implement it.
        names.retain(|name| {
            let other = regex(&format!(r"(?m)^pub (?:enum|trait) {name}\b"));
            !sources
                .iter()
                .any(|(_, text)| text.contains(name.as_str()) && other.is_match(text))
        });
        names.extend(named.iter().map(|name| (*name).to_owned()));
        for name in names {
            let docs = docs_of(&name, &sources);
            assert!(!docs.is_empty(), "{folder}: {name} is not declared");
            match docs.iter().any(|doc| has_example_that_runs(doc)) {
                true => seen += 1,
                false => wrong.push(format!("{folder}: {name} has no example that runs")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 50, "{seen} types");
}

#[test]
fn an_example_that_is_only_compiled_does_not_count() {
    assert!(has_example_that_runs(
        "/// A.\n///\n/// ```\n/// a();\n/// ```"
    ));
    assert!(!has_example_that_runs("/// ```no_run\n/// a();\n/// ```"));
    assert!(!has_example_that_runs("/// A."));
}
