//! What the workspace depends on, held to deny.toml: `just deny` asks cargo-deny the same, and for advisories, nightly.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A crate in Cargo.lock.
type Locked = (String, String);

fn read(file: &str) -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = std::fs::read_to_string(path).expect(file);
    text.parse().expect(file)
}

fn text<'a>(table: &'a toml::Value, name: &str) -> &'a str {
    table[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name}: {table}"))
}

/// The crates of every platform, feature and test, by name and version, with where each comes from. Our own have no source.
fn locked() -> BTreeMap<Locked, Option<String>> {
    let lock = read("Cargo.lock");
    let packages = lock["package"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let named = |name: &str| text(package, name).to_owned();
            let source = package.get("source").map(|_| named("source"));
            ((named("name"), named("version")), source)
        })
        .collect()
}

/// The three numbers of a version, without what is behind them.
fn numbers(version: &str) -> [u64; 3] {
    let plain = version.split(['-', '+']).next().expect("a version");
    let mut parts = plain.split('.').map(|part| part.parse().expect(version));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// Whether `name`, `name@1.2.3` or `name:<1.2.3` of deny.toml means a crate.
fn means(spec: &str, (name, version): &Locked) -> bool {
    if let Some((named, first_good)) = spec.split_once(":<") {
        return named == name && numbers(version) < numbers(first_good);
    }
    let (named, only) = spec.split_once('@').unwrap_or((spec, version));
    assert!(
        !only.starts_with('<') && !named.contains(':'),
        "{spec}: cargo-deny reads it otherwise"
    );
    named == name && only == version
}

/// The crates that are banned, each with the reason.
fn banned(deny: &toml::Table, locked: &BTreeSet<Locked>) -> Vec<String> {
    let bans = deny["bans"]["deny"].as_array().expect("bans");
    let mut found = Vec::new();
    for ban in bans {
        for one in locked.iter().filter(|one| means(text(ban, "crate"), one)) {
            found.push(format!("{} {}: {}", one.0, one.1, text(ban, "reason")));
        }
    }
    found
}

/// Crates of which there are two versions without a reason in `bans.skip`, and reasons for what is not there.
fn doubled(deny: &toml::Table, locked: &BTreeSet<Locked>) -> Vec<String> {
    let skips = deny["bans"]["skip"].as_array().expect("second versions");
    let skips: Vec<&str> = skips.iter().map(|skip| text(skip, "crate")).collect();
    let mut found = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in locked {
        if !skips.iter().any(|skip| means(skip, one)) {
            versions.entry(&one.0).or_default().push(&one.1);
        }
    }
    for (name, versions) in versions {
        if versions.len() > 1 {
            found.push(format!("{name} is there as {}", versions.join(" and ")));
        }
    }
    for skip in skips {
        let name = skip.split('@').next().expect("a name");
        let is_needed = locked.iter().any(|one| means(skip, one))
            && locked.iter().filter(|one| one.0 == name).count() > 1;
        if !is_needed {
            found.push(format!("{skip} need not be skipped any more"));
        }
    }
    found
}

/// Whether a licence expression of SPDX can be met by those that are allowed. `AND` binds tighter than `OR`; `/` is its old way to say `OR`.
fn is_met(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, allowed);
    assert_eq!(words.next(), None, "{expression}");
    met
}

type Words<'a, 'b> = &'b mut std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: Words<'_, '_>, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed);
    }
    met
}

fn all(words: Words<'_, '_>, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: Words<'_, '_>, allowed: &dyn Fn(&str) -> bool) -> bool {
    let word = words.next().expect("a licence");
    if word == "(" {
        let met = any(words, allowed);
        assert_eq!(words.next(), Some(")"));
        return met;
    }
    // An exception allows more than its licence does.
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    allowed(word)
}

#[test]
fn nothing_is_banned_and_no_version_is_older_than_an_advisory() {
    let locked = locked().into_keys().collect();
    assert_eq!(banned(&read("deny.toml"), &locked), Vec::<String>::new());
}

#[test]
fn a_second_version_has_a_reason() {
    let locked = locked().into_keys().collect();
    assert_eq!(doubled(&read("deny.toml"), &locked), Vec::<String>::new());
}

/// A second version that a reason of deny.toml gives to tests must not have come to those who take a crate.
#[test]
fn what_is_there_twice_for_tests_is_in_no_package() {
    let deny = read("deny.toml");
    let output = cargo(&[
        "tree",
        "--workspace",
        "--exclude=coze-auth-examples",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
    ]);
    let tree = String::from_utf8(output).expect("UTF-8");
    let packages: BTreeSet<Locked> = tree
        .lines()
        .filter_map(|line| {
            let (name, version) = line.split_once(" v")?;
            let version = version.split(' ').next()?;
            Some((name.to_owned(), version.to_owned()))
        })
        .collect();
    assert!(packages.len() > 100, "only {} packages", packages.len());
    assert_eq!(shipped(&deny, &packages), Vec::<String>::new());
}

/// Those of the second versions that are tests' alone, as their reason says, and yet among these packages.
fn shipped(deny: &toml::Table, packages: &BTreeSet<Locked>) -> Vec<String> {
    let skips = deny["bans"]["skip"].as_array().expect("second versions");
    let of_tests = skips
        .iter()
        .filter(|skip| text(skip, "reason").starts_with("tests"));
    let specs: Vec<&str> = of_tests.map(|skip| text(skip, "crate")).collect();
    assert!(specs.len() > 10, "{specs:?}");
    let found = specs
        .iter()
        .filter(|spec| packages.iter().any(|package| means(spec, package)));
    found.map(|spec| (*spec).to_owned()).collect()
}

/// What our own compiler version promises, no dependency may break. `just msrv` builds with it.
#[test]
fn no_dependency_needs_a_newer_compiler_than_ours() {
    let ours = read("Cargo.toml")["workspace"]["package"]["rust-version"].clone();
    let ours = numbers(ours.as_str().expect("a version"));
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let mut said = 0;
    for package in packages {
        let Some(needed) = package["rust_version"].as_str() else {
            continue;
        };
        said += 1;
        let (name, version) = (&package["name"], &package["version"]);
        assert!(
            numbers(needed) <= ours,
            "{name} {version} needs Rust {needed}"
        );
    }
    assert!(said > 200, "only {said} packages say it");
}

#[test]
fn all_comes_from_the_registry() {
    for ((name, version), source) in locked() {
        let ours = name.starts_with("coze-auth");
        let from = source.as_deref();
        assert_eq!(
            (
                from.is_none(),
                from.is_none_or(|from| from.starts_with("registry+"))
            ),
            (ours, true),
            "{name} {version} comes from {source:?}"
        );
    }
}

#[test]
fn every_licence_may_be_taken() {
    let deny = read("deny.toml");
    let names = |list: &toml::Value| -> BTreeSet<String> {
        let list = list.as_array().expect("licences");
        list.iter()
            .map(|name| name.as_str().expect("a name").to_owned())
            .collect()
    };
    let allowed = names(&deny["licenses"]["allow"]);
    let exceptions = deny["licenses"]["exceptions"]
        .as_array()
        .expect("exceptions");
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 200, "only {} packages", packages.len());
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let excepted: BTreeSet<String> = exceptions
            .iter()
            .filter(|exception| text(exception, "crate") == name)
            .flat_map(|exception| names(&exception["allow"]))
            .collect();
        let expression = package["license"].as_str().unwrap_or_default();
        assert!(
            !expression.is_empty()
                && is_met(expression, &|licence| {
                    allowed.contains(licence) || excepted.contains(licence)
                }),
            "{name} has the licence {expression:?}"
        );
    }
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// What other platforms need is not on this machine; cargo-deny looks at that.
fn metadata() -> Value {
    let host = host();
    let arguments = ["metadata", "--format-version=1", "--filter-platform", &host];
    serde_json::from_slice(&cargo(&arguments)).expect("JSON")
}

fn host() -> String {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc runs");
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("a host").to_owned()
}

#[test]
fn planted_faults_are_found() {
    let deny = read("deny.toml");
    let mut set: BTreeSet<Locked> = locked().into_keys().collect();
    let mut plant = |name: &str, version: &str| set.insert((name.to_owned(), version.to_owned()));
    plant("native-tls", "0.2.14");
    plant("rustls", "0.23.17");
    plant("slab", "0.3.9");
    let names = |found: Vec<String>| -> Vec<String> {
        found
            .iter()
            .map(|line| line.split(':').next().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(
        names(banned(&deny, &set)),
        ["native-tls 0.2.14", "rustls 0.23.17", "slab 0.3.9"]
    );
    let doubles = doubled(&deny, &set);
    assert_eq!(doubles.len(), 2, "{doubles:?}");
    assert!(doubles[0].starts_with("rustls is there as 0.23.17 and "));

    let package = |name: &str, version: &str| (name.to_owned(), version.to_owned());
    let packages = BTreeSet::from([package("base64", "0.22.1"), package("sha2", "0.11.1")]);
    assert_eq!(shipped(&deny, &packages), ["base64@0.22.1"]);

    let only_mit = |licence: &str| licence == "MIT";
    assert!(is_met("Apache-2.0 OR MIT AND (MIT/ISC)", &only_mit));
    assert!(!is_met("MIT AND (Apache-2.0 OR ISC)", &only_mit));
    assert!(!is_met("GPL-3.0 WITH Classpath-exception-2.0", &only_mit));
    assert!(is_met("ISC WITH some-exception OR MIT", &only_mit));
}
