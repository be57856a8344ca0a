//! The API of each library as a file that a review sees, `conformance/tests/api/NAME.txt`, and the types of other crates in it. `just api`
//! compares, and `UPDATE_DOCS=1 just api` writes: rustdoc gives its JSON, and the crate `public-api` reads it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use public_api::{Builder, PublicApi};
use regex::Regex;
use serde_json::Value;

/// A library, and the types of other crates that its API is made of. Each is a promise about that crate's next major version.
const MAY_SHOW: &[(&str, &[&str])] = &[
    ("coze-auth", &[]),
    (
        "coze-auth-conformance",
        &[
            "serde_core::de::Deserialize",
            "serde_core::de::Deserializer",
            "serde_core::ser::Serialize",
            "serde_core::ser::Serializer",
            "serde_json::map::Map",
            "serde_json::value::Value",
        ],
    ),
    (
        "coze-auth-core",
        &[
            "http::header::map::HeaderMap",
            "http::header::value::HeaderValue",
            "http::method::Method",
            "http::request::Request",
            "http::response::Response",
            "http::status::StatusCode",
            "http::uri::Uri",
        ],
    ),
    (
        "coze-auth-mock",
        &[
            "axum::routing::Router",
            "bytes::bytes::Bytes",
            "http::request::Request",
            "http::response::Response",
            "serde_core::ser::Serialize",
            "serde_core::ser::Serializer",
            "serde_json::value::Value",
        ],
    ),
    ("coze-auth-redis", &[]),
    (
        "coze-auth-reqwest",
        &[
            "http::header::map::HeaderMap",
            "reqwest::async_impl::client::Client",
            "reqwest::async_impl::client::ClientBuilder",
            "reqwest::async_impl::request::Request",
            "reqwest::async_impl::request::RequestBuilder",
            "reqwest::async_impl::response::Response",
        ],
    ),
    ("coze-auth-store", &[]),
    (
        "coze-auth-tokens",
        &[
            "bytes::bytes::Bytes",
            "http::header::map::HeaderMap",
            "http::method::Method",
            "http::request::Request",
            "http::response::Response",
            "http::status::StatusCode",
            "http::uri::Uri",
            "http_body::Body",
            "http_body::frame::Frame",
            "http_body::size_hint::SizeHint",
        ],
    ),
    (
        "coze-auth-ureq",
        &[
            "http::header::map::HeaderMap",
            "http::request::Builder",
            "http::request::Request",
            "http::response::Response",
            "ureq::agent::Agent",
            "ureq::body::Body",
            "ureq::send_body::AsSendBody",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).arg("--locked").current_dir(root());
    command
}

/// Where the workspace is built, and its libraries that are published.
fn libraries() -> (PathBuf, BTreeSet<String>) {
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"]).output();
    let metadata: Value =
        serde_json::from_slice(&output.expect("cargo runs").stdout).expect("JSON");
    let is_library = |package: &&Value| {
        let mut targets = package["targets"].as_array().expect("targets").iter();
        let library = targets.any(|target| target["kind"][0] == "lib");
        library && package["publish"].is_null()
    };
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let names = packages.filter(is_library).map(|package| &package["name"]);
    let names = names.map(|name| name.as_str().expect("a name").to_owned());
    let target = metadata["target_directory"].as_str().expect("a folder");
    (PathBuf::from(target), names.collect())
}

/// Has rustdoc write its JSON, with all features.
fn document(libraries: &BTreeSet<String>) {
    let mut command = cargo(&["doc", "--quiet", "--no-deps", "--lib", "--all-features"]);
    for name in libraries {
        command.args(["--package", name]);
    }
    // Only a nightly rustdoc writes JSON without being told that it may. For rustdoc alone: told to all, cargo would build each dependency
    // anew whose build script asks for it.
    command.env("RUSTDOC", root().join("conformance/tests/api/rustdoc.sh"));
    command.env(
        "RUSTDOCFLAGS",
        "-Z unstable-options --output-format json --cap-lints allow",
    );
    assert!(
        command.status().expect("cargo runs").success(),
        "no documentation"
    );
}

/// The items of a library, one a line. Of what the compiler derives from their fields (`Send`, `Sync` …) only what they lack.
fn items(json: &Path) -> Vec<String> {
    let api: PublicApi = Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .build()
        .unwrap_or_else(|error| {
            panic!("{error}\nThe crate public-api reads one format of rustdoc's JSON: take the version that reads this toolchain's")
        });
    let derived = Regex::new(
        "^impl.* core::(marker::(Freeze|Send|Sync|Unpin|UnsafeUnpin)|panic::unwind_safe::[A-Za-z]+) for ",
    );
    let derived = derived.expect("a pattern");
    let items = api.items().map(ToString::to_string);
    items.filter(|item| !derived.is_match(item)).collect()
}

/// The types of crates that are neither ours nor std's.
fn foreign(items: &[String]) -> BTreeSet<String> {
    let path = Regex::new("(?:^|[^A-Za-z0-9_:])([a-z][a-z0-9_]*)((?:::[A-Za-z0-9_]+)+)");
    let path = path.expect("a pattern");
    let paths = items.iter().flat_map(|item| path.captures_iter(item));
    let foreign = paths.filter(|found| {
        let of_std = ["alloc", "core", "std"].contains(&&found[1]);
        !of_std && !found[1].starts_with("coze_auth")
    });
    foreign
        .map(|found| format!("{}{}", &found[1], &found[2]))
        .collect()
}

/// The lines that only one of two texts has.
fn differences<'a>(before: &'a str, now: &'a str) -> impl Iterator<Item = String> + 'a {
    let lines = |text: &'a str| text.lines().collect::<BTreeSet<_>>();
    let (before, now) = (lines(before), lines(now));
    let gone: Vec<_> = before
        .difference(&now)
        .map(|item| format!("-{item}"))
        .collect();
    let new: Vec<_> = now
        .difference(&before)
        .map(|item| format!("+{item}"))
        .collect();
    gone.into_iter().chain(new)
}

fn main() -> ExitCode {
    let update = std::env::var("UPDATE_DOCS").is_ok_and(|set| set == "1");
    let (target, libraries) = libraries();
    let listed: BTreeSet<String> = MAY_SHOW.iter().map(|&(name, _)| name.to_owned()).collect();
    assert_eq!(libraries, listed, "MAY_SHOW names each library");
    document(&libraries);
    let (mut count, mut types, mut wrong) = (0, 0, Vec::new());
    for (name, may_show) in MAY_SHOW {
        let json = format!("doc/{}.json", name.replace('-', "_"));
        let items = items(&target.join(json));
        let shown = foreign(&items);
        let may_show: BTreeSet<String> = may_show.iter().map(|&name| name.to_owned()).collect();
        let new = shown.difference(&may_show);
        wrong.extend(new.map(|path| format!("{name} shows {path}, which MAY_SHOW has not")));
        let gone = may_show.difference(&shown);
        wrong.extend(gone.map(|path| format!("{name} does not show {path}, which MAY_SHOW has")));
        (count, types) = (count + items.len(), types + shown.len());
        let text = items.join("\n") + "\n";
        let file = root().join(format!("conformance/tests/api/{name}.txt"));
        if update {
            std::fs::write(&file, &text).expect("a file that can be written");
            continue;
        }
        let reviewed = std::fs::read_to_string(&file).unwrap_or_default();
        wrong.extend(differences(&reviewed, &text).map(|line| format!("{name}: {line}")));
    }
    for line in &wrong {
        println!("{line}");
    }
    let told = format!(
        "{} libraries, {count} items, {types} types of other crates",
        MAY_SHOW.len()
    );
    if wrong.is_empty() {
        println!("{told}: all as it was reviewed");
        return ExitCode::SUCCESS;
    }
    println!(
        "{told}: {} lines NOT as reviewed. `UPDATE_DOCS=1 just api` writes conformance/tests/api; MAY_SHOW is in conformance/examples/api.rs",
        wrong.len()
    );
    ExitCode::FAILURE
}
