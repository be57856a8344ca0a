//! The rules of the house (docs/design.md): who may know whom, and how thin an adapter is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Each package of the workspace, as its manifest describes it.
fn manifests() -> Vec<Value> {
    let metadata = cargo(&[
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--offline",
        "--locked",
    ]);
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

/// Of each package of the workspace: its direct dependencies, as (name, kind).
fn packages() -> BTreeMap<String, BTreeSet<(String, String)>> {
    let text = |value: &Value| value.as_str().unwrap_or("normal").to_owned();
    let dependencies = |package: &Value| {
        let all = package["dependencies"].as_array().expect("dependencies");
        all.iter()
            .map(|dependency| (text(&dependency["name"]), text(&dependency["kind"])))
            .collect()
    };
    manifests()
        .iter()
        .map(|package| (text(&package["name"]), dependencies(package)))
        .collect()
}

/// A package, and as what it may be known.
type Known = (&'static str, &'static [&'static str]);

/// Of our own packages, which may stand in the manifest of which.
const MAY_KNOW: &[(&str, &[Known])] = &[
    ("coze-auth-core", &[]),
    ("coze-auth-store", &[("coze-auth-core", &["normal"])]),
    (
        "coze-auth-tokens",
        &[
            ("coze-auth-core", &["normal"]),
            ("coze-auth-store", &["normal"]),
        ],
    ),
    (
        "coze-auth-reqwest",
        &[
            ("coze-auth-core", &["normal"]),
            ("coze-auth-store", &["normal"]),
            ("coze-auth-tokens", &["normal"]),
        ],
    ),
    (
        "coze-auth-ureq",
        &[
            ("coze-auth-core", &["normal"]),
            ("coze-auth-store", &["normal"]),
            ("coze-auth-tokens", &["normal"]),
        ],
    ),
    (
        "coze-auth-redis",
        &[
            ("coze-auth-core", &["normal"]),
            ("coze-auth-mock", &["dev"]),
            ("coze-auth-store", &["normal", "dev"]),
            ("coze-auth-tokens", &["dev"]),
        ],
    ),
    (
        "coze-auth-redis-model",
        &[("coze-auth-core", &["dev"]), ("coze-auth-store", &["dev"])],
    ),
    (
        "coze-auth",
        &[
            ("coze-auth-core", &["normal"]),
            ("coze-auth-reqwest", &["normal"]),
            ("coze-auth-store", &["normal"]),
            ("coze-auth-tokens", &["normal"]),
            ("coze-auth-ureq", &["normal"]),
        ],
    ),
    (
        "coze-auth-cli",
        &[("coze-auth", &["normal"]), ("coze-auth-mock", &["dev"])],
    ),
    ("coze-auth-mock", &[]),
    (
        "coze-auth-conformance",
        &[
            ("coze-auth", &["normal", "dev"]),
            ("coze-auth-core", &["normal"]),
            ("coze-auth-examples", &["dev"]),
            ("coze-auth-mock", &["normal", "dev"]),
            ("coze-auth-redis", &["dev"]),
            ("coze-auth-reqwest", &["dev"]),
            ("coze-auth-store", &["dev"]),
            ("coze-auth-tokens", &["dev"]),
            ("coze-auth-ureq", &["dev"]),
        ],
    ),
    (
        "coze-auth-examples",
        &[
            ("coze-auth", &["normal"]),
            ("coze-auth-mock", &["normal"]),
            ("coze-auth-redis", &["dev"]),
            ("coze-auth-tokens", &["normal"]),
        ],
    ),
    (
        "coze-auth-fuzz",
        &[
            ("coze-auth", &["normal"]),
            ("coze-auth-conformance", &["normal"]),
            ("coze-auth-core", &["normal"]),
            ("coze-auth-mock", &["normal"]),
            ("coze-auth-store", &["normal"]),
        ],
    ),
];

#[test]
fn packages_know_only_whom_they_may() {
    let packages = packages();
    let listed: BTreeSet<&str> = MAY_KNOW.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    assert_eq!(found, listed, "a package that the rules do not know");
    for (name, allowed) in MAY_KNOW {
        for (dependency, kind) in packages[*name]
            .iter()
            .filter(|(dependency, _)| dependency.starts_with("coze-auth"))
        {
            let may = allowed
                .iter()
                .any(|(known, kinds)| known == dependency && kinds.contains(&kind.as_str()));
            assert!(may, "{name} must not know {dependency} ({kind})");
        }
    }
}

fn tree(package: &str, more: &[&str]) -> BTreeSet<String> {
    let fixed = [
        "tree",
        "--offline",
        "--locked",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--package",
        package,
    ];
    let text = cargo(&[&fixed[..], more].concat());
    text.lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

fn must_not_have(tree: &BTreeSet<String>, what: &str, banned: &[&str]) {
    for name in banned {
        assert!(!tree.contains(*name), "{what} depends on {name}");
    }
}

#[test]
fn the_core_has_no_io_no_clock_and_no_randomness() {
    const NEVER: &[&str] = &[
        "reqwest",
        "ureq",
        "tokio",
        "hyper",
        "rand",
        "rand_core",
        "getrandom",
        "fastrand",
        "time",
        "chrono",
        "jiff",
        "mio",
        "socket2",
        "async-trait",
        "futures-util",
        "tracing",
        "log",
    ];
    let whole = tree("coze-auth-core", &[]);
    assert!(
        whole.contains("http") && whole.contains("aws-lc-rs"),
        "this is not the core's tree: {whole:?}"
    );
    must_not_have(&whole, "coze-auth-core", NEVER);
    let bare = tree("coze-auth-core", &["--no-default-features"]);
    must_not_have(&bare, "coze-auth-core without features", NEVER);
    must_not_have(
        &bare,
        "coze-auth-core without features",
        &["aws-lc-rs", "aws-lc-sys", "jsonwebtoken", "cc", "ring"],
    );
}

#[test]
fn adapters_bring_one_tls_stack() {
    for adapter in ["coze-auth-reqwest", "coze-auth-ureq", "coze-auth-redis"] {
        must_not_have(
            &tree(adapter, &[]),
            adapter,
            &["ring", "native-tls", "openssl-sys", "openssl"],
        );
    }
    must_not_have(
        &tree("coze-auth", &["--all-features"]),
        "coze-auth",
        &["ring", "native-tls", "openssl-sys", "openssl"],
    );
    // Who logs otherwise, or not at all, does not build it: it is a feature.
    for library in ["coze-auth-tokens", "coze-auth-ureq"] {
        must_not_have(&tree(library, &[]), library, &["tracing", "tracing-core"]);
    }
    let mock = tree("coze-auth-mock", &[]);
    must_not_have(&mock, "coze-auth-mock", &["ring", "rsa", "reqwest", "ureq"]);
    // Who embeds the mock compiles nothing of the shadow, which the binary has.
    const OF_SHADOW: [&str; 3] = ["aho-corasick", "flate2", "rustls-platform-verifier"];
    let embedded = tree("coze-auth-mock", &["--no-default-features"]);
    must_not_have(&embedded, "coze-auth-mock without features", &OF_SHADOW);
    assert!(
        OF_SHADOW.iter().all(|name| mock.contains(*name)),
        "{mock:?}"
    );
}

/// Who blocks compiles no runtime: neither over ureq, nor over a transport of one's own.
#[test]
fn blocking_users_have_no_tokio_and_no_hyper() {
    const NEVER: &[&str] = &["tokio", "hyper", "hyper-util", "reqwest", "http-body"];
    let door = |features| {
        tree(
            "coze-auth",
            &["--no-default-features", "--features", features],
        )
    };
    let blocking = door("ureq,loopback");
    assert!(blocking.contains("coze-auth-ureq"), "{blocking:?}");
    must_not_have(&blocking, "coze-auth over ureq", NEVER);
    must_not_have(
        &blocking,
        "coze-auth over ureq",
        &["tracing", "tracing-core"],
    );
    assert_eq!(
        blocking,
        door("ureq"),
        "the loopback login brings no dependency"
    );
    must_not_have(&tree("coze-auth-ureq", &[]), "coze-auth-ureq", NEVER);
    let blocking = tree("coze-auth-tokens", &[]);
    must_not_have(&blocking, "coze-auth-tokens without features", NEVER);
    // So that the list cannot go stale: with the feature, the first of them are there.
    let awaited = tree("coze-auth-tokens", &["--features", "tokio"]);
    assert!(awaited.contains("tokio") && awaited.contains("http-body"));
    must_not_have(&awaited, "coze-auth-tokens", &["hyper", "reqwest", "ureq"]);
}

/// Tracked files with this ending, below these folders.
fn files(below: &[&str], ending: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
        {
            let name = entry
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if entry.is_dir()
                && !matches!(name, "target" | "node_modules")
                && !name.starts_with('.')
            {
                walk(&entry, ending, found);
            } else if name.ends_with(ending) {
                found.push(entry);
            }
        }
    }
    let mut found = Vec::new();
    for folder in below {
        walk(&root().join(folder), ending, &mut found);
    }
    assert!(!found.is_empty(), "no {ending} below {below:?}");
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a text file")
}

/// The files that a source takes by `#[path]` and the `include` macros.
fn taken_files(text: &str) -> Vec<String> {
    // Put together, so that this file does not find itself.
    let openings = [
        concat!("#[pa", "th = \""),
        concat!("include", "!(\""),
        concat!("include_", "str!(\""),
        concat!("include_", "bytes!(\""),
    ];
    let found = openings.iter().flat_map(|opening| {
        let rest = text.split(opening).skip(1);
        rest.filter_map(|rest| rest.split('"').next())
    });
    found.map(str::to_owned).collect()
}

/// Where the links of a page lead.
fn link_targets(page: &str) -> Vec<String> {
    let rest = page.split("](").skip(1);
    let targets = rest.filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// What the fuzz targets take: the bridge with what it stands on, and what reads a sealed value.
const OPEN_TO_FUZZ: &[&str] = &[
    "crates/coze-auth-cli/src/bridge",
    "crates/coze-auth-cli/src/failure.rs",
    "crates/coze-auth-cli/src/interrupts.rs",
    "crates/coze-auth-cli/src/output.rs",
    "crates/coze-auth-redis/src",
];

/// A file that is taken from another package's folder is a dependency that no manifest shows. A package inside of another's folder, which is
/// not published, belongs to that. The fuzz targets, which are not published either, reach what is in no API: whole modules, by `#[path]`.
#[test]
fn no_package_takes_files_of_another() {
    let folders = ["crates", "mock-server", "conformance", "examples", "fuzz"];
    for path in files(&folders, ".rs") {
        let text = read(&path);
        let is_fuzz = path.starts_with(root().join("fuzz/src"));
        let root = root();
        let manifest = path
            .ancestors()
            .take_while(|folder| *folder != root)
            .filter(|folder| folder.join("Cargo.toml").exists())
            .last()
            .expect("a package");
        for target in taken_files(&text) {
            let taken = path.parent().expect("a folder").join(&target);
            let taken = taken
                .canonicalize()
                .unwrap_or_else(|error| panic!("{}: {target}: {error}", path.display()));
            let documentation = taken.extension().is_some_and(|ending| ending == "md");
            assert!(
                taken.starts_with(manifest.canonicalize().expect("a folder"))
                    || documentation
                    || is_fuzz
                        && OPEN_TO_FUZZ
                            .iter()
                            .any(|open| taken.starts_with(root.join(open))),
                "{} takes {target}",
                path.display()
            );
        }
    }
}

/// Lines that are neither blank nor comment, up to the tests.
fn code_lines(path: &Path) -> usize {
    let text = read(path);
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

#[test]
fn adapters_are_thin() {
    for adapter in ["reqwest", "ureq"] {
        let folder = format!("crates/coze-auth-{adapter}/src");
        let transport = code_lines(&root().join(&folder).join("transport.rs"));
        assert!(
            (20..=200).contains(&transport),
            "{adapter}: transport.rs has {transport} lines of code"
        );
        let whole: usize = files(&[&folder], ".rs")
            .iter()
            .map(|path| code_lines(path))
            .sum();
        assert!(
            whole <= 450,
            "{adapter} has {whole} lines of code: what of it belongs in the core, or in coze-auth-tokens?"
        );
    }
}

/// The packages that are published, with their folders and the files that they contain, as `cargo package` lists them.
fn published() -> Vec<(String, PathBuf, BTreeSet<String>)> {
    let mut found = Vec::new();
    for manifest in manifests() {
        if manifest["publish"] == Value::Array(Vec::new()) {
            continue;
        }
        let name = manifest["name"].as_str().expect("a name").to_owned();
        let path = Path::new(manifest["manifest_path"].as_str().expect("a path"));
        let folder = path.parent().expect("a folder").to_owned();
        let list = cargo(&[
            "package",
            "--list",
            "--offline",
            "--allow-dirty",
            "--package",
            &name,
        ]);
        let list = list.lines().map(|line| line.replace('\\', "/")).collect();
        found.push((name, folder, list));
    }
    found
}

/// The owner alone can publish; who depends on what is not published cannot be published either.
#[test]
fn all_but_the_examples_the_model_and_the_fuzz_targets_are_published() {
    let all: BTreeSet<String> = packages().into_keys().collect();
    let published: BTreeSet<String> = published().into_iter().map(|(name, ..)| name).collect();
    let kept: Vec<&String> = all.difference(&published).collect();
    assert!(
        kept == [
            "coze-auth-examples",
            "coze-auth-fuzz",
            "coze-auth-redis-model"
        ],
        "{kept:?} is not published"
    );
}

/// What crates.io and docs.rs show of a package. The address of the repository and a contact are the owner's to fill in.
#[test]
fn a_package_says_what_it_is() {
    let published: BTreeSet<String> = published().into_iter().map(|(name, ..)| name).collect();
    for manifest in manifests() {
        let name = manifest["name"].as_str().expect("a name");
        if !published.contains(name) {
            continue;
        }
        let text = |member: &str| manifest[member].as_str().unwrap_or_default();
        let list = |member: &str| manifest[member].as_array().map_or(0, Vec::len);
        assert!(
            text("description").contains("Coze (扣子)"),
            "{name}: `description` says what it is, and names Coze (扣子)"
        );
        assert_eq!(
            text("documentation"),
            format!("https://docs.rs/{name}"),
            "{name}: `documentation`"
        );
        assert_eq!(text("license"), "MIT OR Apache-2.0", "{name}: `license`");
        assert_eq!(text("readme"), "README.md", "{name}: `readme`");
        // The limits of crates.io.
        assert!((1..=5).contains(&list("keywords")), "{name}: `keywords`");
        assert!(
            (1..=5).contains(&list("categories")),
            "{name}: `categories`"
        );
        let features = manifest["features"].as_object().expect("features");
        assert!(
            features.is_empty() || manifest["metadata"]["docs"]["rs"]["all-features"] == true,
            "{name}: docs.rs is to show what its features bring: `[package.metadata.docs.rs]`"
        );
    }
}

/// Who has the package alone has all that it names: a README, the licences, what its links lead to, and what its code includes.
#[test]
fn a_package_is_whole() {
    let licences = ["LICENSE-APACHE", "LICENSE-MIT"];
    let (mut links, mut includes) = (0, 0);
    for (name, folder, list) in published() {
        for file in ["README.md", licences[0], licences[1]] {
            assert!(list.contains(file), "{name} has no {file}");
        }
        for licence in licences {
            let own = read(&folder.join(licence));
            // Where a checkout has no symbolic links, their files hold where they would lead.
            if own.trim().ends_with(licence) {
                println!(
                    "skipped: {name}/{licence} is a symbolic link, and this checkout has none"
                );
                continue;
            }
            assert_eq!(own, read(&root().join(licence)), "{name}: {licence}");
        }
        let readme = read(&folder.join("README.md"));
        assert!(
            readme.starts_with(&format!("# {name}\n")),
            "{name}: the README begins with its name"
        );
        assert!(
            readme.contains("C compiler"),
            "{name}: the README says what is needed beside cargo"
        );
        let has = |path: &Path| {
            let path = path.to_string_lossy().replace('\\', "/");
            list.contains(&path)
                || list
                    .iter()
                    .any(|file| file.starts_with(&format!("{path}/")))
        };
        for file in list.iter().filter(|file| file.ends_with(".md")) {
            for target in link_targets(&read(&folder.join(file))) {
                let path = target.split('#').next().unwrap_or_default();
                if path.is_empty() || path.contains("://") {
                    continue;
                }
                links += 1;
                assert!(
                    has(&within(file, path)),
                    "{name}: {file} links to {target}, which is not in the package: name it without a link"
                );
            }
        }
        for file in list.iter().filter(|file| file.ends_with(".rs")) {
            let text = read(&folder.join(file));
            // What is behind this cfg is not compiled from a package.
            let text = text.split("in_repository))]").next().unwrap_or_default();
            for target in taken_files(text) {
                includes += 1;
                assert!(
                    has(&within(file, &target)),
                    "{name}: {file} takes {target}, which is not in the package"
                );
            }
        }
    }
    assert!(
        links > 20 && includes > 10,
        "{links} links, {includes} files"
    );
}

/// A path that a file names, from the package's folder; with `..` at its start if it leads out of it.
fn within(file: &str, target: &str) -> PathBuf {
    let mut path = PathBuf::new();
    let folder = Path::new(file).parent().expect("a folder");
    for part in folder.join(target).components() {
        match part.as_os_str().to_str() {
            Some(".") => {}
            Some("..") if path.file_name().is_some() => drop(path.pop()),
            _ => path.push(part),
        }
    }
    path
}

/// RELEASING.md has every published package once, after those that it depends on.
#[test]
fn packages_are_released_after_what_they_depend_on() {
    let page = read(&root().join("RELEASING.md"));
    let (_, order) = page.split_once("\n## The order\n").expect("the section");
    let order = order.split("\n## ").next().unwrap_or_default();
    let rows = order
        .lines()
        .filter(|line| line.starts_with("| `coze-auth"));
    let order: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    let published: BTreeSet<String> = published().into_iter().map(|(name, ..)| name).collect();
    let listed: BTreeSet<String> = order.iter().copied().map(str::to_owned).collect();
    assert_eq!(listed, published, "the packages of RELEASING.md");
    assert_eq!(order.len(), listed.len(), "one of them twice: {order:?}");
    for (package, dependencies) in packages() {
        let place = |name: &str| order.iter().position(|listed| *listed == name);
        let Some(own) = place(&package) else { continue };
        for (name, _) in dependencies {
            assert!(
                place(&name).is_none_or(|before| before < own),
                "RELEASING.md has {package} before {name}, which it depends on"
            );
        }
    }
}

/// A crate is Rust: what installs and drives programs in other languages stays in the repository, the released SDKs'
/// versions above all.
#[test]
fn no_package_contains_drivers_in_other_languages() {
    let foreign = [
        ".py",
        ".mjs",
        ".go",
        ".java",
        "package.json",
        "package-lock.json",
        "requirements.txt",
    ];
    for (package, _, list) in published() {
        for path in list {
            let is_foreign = foreign.iter().any(|ending| path.ends_with(ending));
            assert!(
                !is_foreign && !path.starts_with("released-sdks/"),
                "the package {package} contains {path}: add \"/{path}\" to `exclude` in its Cargo.toml"
            );
        }
    }
}

/// The anchors of a page, as its readers see it rendered.
fn anchors(page: &str) -> Vec<String> {
    let titles = page.lines().filter(|line| line.starts_with('#'));
    let words = titles.map(|title| {
        title
            .trim_start_matches('#')
            .trim()
            .to_lowercase()
            .replace(' ', "-")
    });
    words
        .map(|words| {
            words
                .chars()
                .filter(|c| c.is_alphanumeric() || "-_".contains(*c))
                .collect()
        })
        .collect()
}

#[test]
fn every_link_of_a_page_leads_to_what_is_there() {
    let mut links = 0;
    for path in files(&["."], ".md") {
        let text = read(&path);
        for target in link_targets(&text) {
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let led = match file {
                "" => path.clone(),
                file => path.parent().expect("a folder").join(file),
            };
            assert!(
                led.exists(),
                "{} links to {target}, which is not there",
                path.display()
            );
            assert!(
                anchor.is_empty() || anchors(&read(&led)).iter().any(|own| own == anchor),
                "{} links to {target}, where there is no such title",
                path.display()
            );
        }
    }
    assert!(links > 80, "{links} links");
}

/// Versions, MSRV and lints are facts of the workspace manifest.
#[test]
fn facts_stand_once() {
    for path in files(
        &["crates", "mock-server", "conformance", "examples", "fuzz"],
        "Cargo.toml",
    ) {
        let text = read(&path);
        for inherited in ["version", "edition", "rust-version", "license", "publish"] {
            let kept = inherited == "publish" && text.contains("\npublish = false\n");
            assert!(
                kept || text.contains(&format!("{inherited}.workspace = true")),
                "{}: {inherited}",
                path.display()
            );
        }
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{}: lints",
            path.display()
        );
        let own: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("version = "))
            .collect();
        assert!(
            own.is_empty(),
            "{}: versions of its own: {own:?}",
            path.display()
        );
    }
}

/// A package of another language has the version of the workspace, and reads it there.
#[test]
fn packages_of_other_languages_have_no_version_of_their_own() {
    for path in files(&["packages"], "pyproject.toml") {
        let text = read(&path);
        assert!(
            text.contains("\ndynamic = [\"version\"]\n") && !text.contains("\nversion = "),
            "{}: its version is that of the root Cargo.toml",
            path.display()
        );
    }
    let pom = read(&root().join("packages/java/coze-auth-mock/pom.xml"));
    assert!(
        pom.contains("<version>${revision}</version>")
            && pom.contains("<revision>checkout</revision>"),
        "the version of the extension of JUnit is put in its place by `just junit`"
    );
    for path in files(&["packages"], "package.json") {
        let manifest: Value = serde_json::from_str(&read(&path)).expect("JSON");
        assert!(
            manifest["version"].is_null() && manifest["optionalDependencies"].is_null(),
            "{}: pack.mjs writes the version, and the packages that have it",
            path.display()
        );
    }
    let version = env!("CARGO_PKG_VERSION");
    for ending in [
        ".py", ".toml", ".go", ".mod", ".java", ".xml", ".json", ".mjs", ".js", ".ts",
    ] {
        for path in files(&["packages"], ending) {
            let text = read(&path);
            assert!(
                !text.contains(&format!("\"{version}\""))
                    && !text.contains(&format!(">{version}<"))
                    && !text.contains(&format!("cozeauthmock v{version}")),
                "{} writes the version {version}",
                path.display()
            );
        }
    }
}

/// The helpers for Go and Java: what they may need, and that their placeholders are told to the owner.
#[test]
fn helpers_of_other_languages_need_nothing_else() {
    let module = read(&root().join("packages/go/cozeauthmock/go.mod"));
    assert!(
        !module.contains("require"),
        "the Go module needs the standard library alone"
    );
    let pom = read(&root().join("packages/java/coze-auth-mock/pom.xml"));
    let dependencies = pom.split("</dependencyManagement>").last();
    for dependency in dependencies
        .unwrap_or_default()
        .split("<dependency>")
        .skip(1)
    {
        let of_junit = dependency.trim_start().starts_with("<groupId>org.junit.");
        let of_tests =
            dependency.contains("<scope>test<") || dependency.contains("<scope>provided<");
        assert!(
            of_junit && of_tests,
            "the extension of JUnit needs JUnit alone, of the version that its user has: {dependency}"
        );
    }
    let path = module
        .strip_prefix("module ")
        .and_then(|rest| rest.lines().next());
    let group = pom.split("<groupId>").nth(1);
    let group = group.and_then(|rest| rest.split('<').next());
    let releasing = read(&root().join("RELEASING.md"));
    for placeholder in [path, group] {
        let placeholder = placeholder.expect("a name");
        assert!(
            !placeholder.contains("example") || releasing.contains(&format!("`{placeholder}`")),
            "RELEASING.md does not tell the owner of {placeholder}"
        );
    }
}

/// A sample project names the SDK that the other checks run, and both poms the same JUnit and plugins.
#[test]
fn sample_projects_have_the_versions_of_the_released_sdks() {
    let version = |path: &str, before: &str, after: &str| {
        let text = read(&root().join(path));
        let rest = text.split_once(before).map(|(_, rest)| rest);
        let version = rest.and_then(|rest| rest.split_once(after));
        let (version, _) = version.unwrap_or_else(|| panic!("{path} has no {before}"));
        version.to_owned()
    };
    let go = |path| version(path, "github.com/coze-dev/coze-go ", "\n");
    assert_eq!(
        go("packages/go/cozeauthmock/example/go.mod"),
        go("conformance/released-sdks/go/go.mod"),
        "coze-go"
    );
    let sample = "packages/java/coze-auth-mock/example/pom.xml";
    let java = version(sample, "<artifactId>coze-api</artifactId>", "</version>");
    let released = "conformance/released-sdks/java/coze/pom.xml";
    assert_eq!(
        java.trim(),
        version(released, "<artifactId>coze-api</artifactId>", "</version>"),
        "coze-java"
    );
    for (before, after) in [
        ("<junit.version>", "<"),
        (
            "<artifactId>maven-compiler-plugin</artifactId>",
            "</version>",
        ),
        (
            "<artifactId>maven-surefire-plugin</artifactId>",
            "</version>",
        ),
    ] {
        assert_eq!(
            version(sample, before, after),
            version("packages/java/coze-auth-mock/pom.xml", before, after),
            "{before}"
        );
    }
}

/// Who copies a block of a page has a file that a recipe runs: it is that file, byte for byte.
#[test]
fn samples_of_the_pages_for_go_and_java_are_files_that_run() {
    let languages = [
        ("go", "packages/go/cozeauthmock", &["go"][..], &[".go"][..]),
        (
            "java",
            "packages/java/coze-auth-mock",
            &["java", "properties"],
            &[".java", ".properties"],
        ),
    ];
    for (language, package, kinds, endings) in languages {
        let page = format!("docs/mock-{language}.md");
        let samples = format!("{package}/example");
        let mut files: BTreeMap<String, (String, bool)> = endings
            .iter()
            .flat_map(|ending| files(&[&samples], ending))
            .map(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                (name.expect("a name").to_owned(), (read(&path), false))
            })
            .collect();
        for page in [page, format!("{package}/README.md")] {
            for block in read(&root().join(&page)).split("\n```").skip(1).step_by(2) {
                let (kind, block) = block.split_once('\n').expect("a first line");
                if !kinds.contains(&kind) {
                    continue;
                }
                let name = block.lines().next().unwrap_or_default();
                let name = name.trim_start_matches(['/', '#', ' ']);
                let (text, shown) = files
                    .get_mut(name)
                    .unwrap_or_else(|| panic!("{page}: {samples} has no file {name}"));
                assert_eq!(
                    &format!("{block}\n"),
                    text,
                    "{page} and {samples} differ in {name}"
                );
                *shown = true;
            }
        }
        let hidden: Vec<&String> = files
            .iter()
            .filter(|(_, (_, shown))| !shown)
            .map(|(name, _)| name)
            .collect();
        assert!(
            files.len() > 5 && hidden.is_empty(),
            "{hidden:?} are on no page"
        );
    }
}

/// The rooms of the mock server, from the ground up: each may use only those before it.
const ROOMS: &[&str] = &[
    "limits",
    "time",
    "protocol",
    "redact",
    "error",
    "intercept",
    "journal",
    "state",
    "net",
    "html",
    "oauth",
    "world",
    "web",
    "openapi",
    "config",
    "control",
    "pages",
    "server",
    "api",
    "shadow",
];
/// The library's face, which shows what is in the rooms, and the binary, which knows the library alone.
const OUTSIDE: &[&str] = &["lib", "main", "cli"];

/// The name after each `crate::` of the code, each of those in braces included.
fn crate_paths(code: &str) -> Vec<&str> {
    let name = |text: &str| text.find(|c: char| c != '_' && !c.is_alphanumeric());
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            found.push(&rest[..name(rest).unwrap_or(rest.len())]);
            continue;
        };
        let (mut depth, mut start) = (0_usize, 0);
        for (at, c) in list.char_indices() {
            if c == '{' {
                depth += 1;
            } else if c == '}' && depth > 0 {
                depth -= 1;
            } else if depth == 0 && matches!(c, ',' | '}') {
                let item = list[start..at].trim();
                found.push(&item[..name(item).unwrap_or(item.len())]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn a_list_of_paths_is_opened() {
    let code = "use crate::{a, b::{c, d},\n e::f};\ncrate::g::h(); use crate::i::{j, k};";
    assert_eq!(crate_paths(code), ["a", "b", "e", "g", "i"]);
}

/// Whoever changes a room has to understand it and what is below it, and nothing else. No room can stand in a circle
/// with another, since each arrow goes down.
#[test]
fn rooms_of_the_mock_know_only_the_rooms_below() {
    let source = root().join("mock-server/src");
    let floor = |room: &str| ROOMS.iter().position(|known| *known == room);
    let mut lines = vec![0; ROOMS.len()];
    let mut arrows = BTreeSet::new();
    for path in files(&["mock-server/src"], ".rs") {
        let inside = path.strip_prefix(&source).expect("below it");
        let first = inside.iter().next().and_then(|first| first.to_str());
        let room = first.unwrap_or_default().trim_end_matches(".rs");
        if OUTSIDE.contains(&room) {
            continue;
        }
        let name = inside.display();
        let own = floor(room).unwrap_or_else(|| panic!("{name} stands in no room"));
        let text = read(&path);
        lines[own] += text.lines().count();
        let said = text.lines().next().unwrap_or_default();
        assert!(
            said.starts_with("//! ") || inside.ends_with("tests.rs"),
            "{name} does not begin with a sentence that says what it is"
        );
        let code: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .flat_map(|line| [line, "\n"])
            .collect();
        // A room is left by its name alone.
        let leaves = code.contains("super::super")
            || inside.iter().count() == 1 && code.contains("\nuse super::");
        assert!(!leaves, "{name} leaves its room through super");
        for used in crate_paths(&code) {
            let other =
                floor(used).unwrap_or_else(|| panic!("{name}: crate::{used} is not a room"));
            assert!(
                other <= own,
                "{name} must not know {used}, which is above {room}"
            );
            if other < own {
                arrows.insert((own, other));
            }
        }
    }
    for (room, lines) in ROOMS.iter().zip(lines) {
        assert!(lines > 0, "the room {room} is empty");
        println!("{room:<10} {lines:>5} lines");
    }
    println!("{} arrows, all down", arrows.len());
}

/// `just mutants-code` finds out whether a survivor is one still; whether its place is there can be told at once.
#[test]
fn explained_survivors_stand_where_they_are_said_to() {
    let list = read(&root().join("conformance/tests/mutants-code/survivors.toml"));
    let list: toml::Table = list.parse().expect("TOML");
    let survivors = list
        .get("survivor")
        .map(|all| all.as_array().expect("a list"));
    for survivor in survivors.into_iter().flatten() {
        let text = |name: &str| survivor[name].as_str().expect(name);
        let (file, at, mutant) = (text("file"), text("at"), text("mutant"));
        assert!(
            read(&root().join(file))
                .lines()
                .any(|line| line.trim() == at),
            "survivors.toml explains `{mutant}` at `{at}`, and {file} has no such line"
        );
        assert!(
            !text("why").is_empty(),
            "no reason for `{mutant}` in {file}"
        );
    }
}

/// Whoever follows a page to a file finds it.
#[test]
fn the_pages_for_contributors_name_files_that_exist() {
    let in_code = |page: &str| -> Vec<String> {
        let spans = page.split('`').skip(1).step_by(2);
        spans.map(str::to_owned).collect()
    };
    let top = ["conformance/", "crates/", "docs/", "mock-server/"];
    let contributing = read(&root().join("CONTRIBUTING.md"));
    let mut named: Vec<String> = in_code(&contributing.replace("```", ""));
    named.retain(|path| top.iter().any(|folder| path.starts_with(folder)));
    let design = read(&root().join("docs/design.md"));
    let (_, way) = design
        .split_once("### How a token request travels\n")
        .expect("the section");
    let (way, _) = way.split_once("\n## ").expect("the next one");
    let files = in_code(way);
    let files = files.iter().filter(|path| path.ends_with(".rs"));
    named.extend(files.map(|path| format!("mock-server/src/{path}")));
    assert!(named.len() > 50, "{named:?}");
    for path in named {
        assert!(
            root().join(&path).exists(),
            "CONTRIBUTING.md or docs/design.md names {path}, which is not there"
        );
    }
}
