//! Makes one `#[test]` of each case for `conformance_tests!`, and embeds the cases.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// The parts of an id, as modules and at the end as tests.
#[derive(Default)]
struct Area {
    tests: Vec<(String, String)>,
    below: BTreeMap<String, Self>,
}

/// A part of an id as Rust names things.
fn name_of(part: &str) -> String {
    let name = part.replace('-', "_");
    match name.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

impl Area {
    fn put(&mut self, parts: &[&str], id: &str) {
        match parts {
            [] => {}
            [name] => self.tests.push((name_of(name), id.to_owned())),
            [name, rest @ ..] => self.below.entry(name_of(name)).or_default().put(rest, id),
        }
    }

    fn write(&self, text: &mut String) {
        for (name, id) in &self.tests {
            let _ = writeln!(
                text,
                "#[test] fn {name}() {{ $crate::test_case::<$subject>({id:?}); }}"
            );
        }
        for (name, area) in &self.below {
            let _ = writeln!(text, "mod {name} {{ #[allow(unused_imports)] use super::*;");
            area.write(text);
            text.push_str("}\n");
        }
    }
}

fn main() {
    let own = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
    // The pages whose Rust is tested; a package is without them.
    println!("cargo::rustc-check-cfg=cfg(in_repository)");
    if Path::new(&own).join("../docs").is_dir() {
        println!("cargo::rustc-cfg=in_repository");
    }
    let folder = Path::new(&own).join("suite/cases");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    let mut all = Area::default();
    let mut embedded = String::from("pub(crate) const FILES: &[(&str, &str)] = &[\n");
    for path in paths {
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(&path).expect("a text");
        let file: serde_json::Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in file["cases"].as_array().expect("cases") {
            let id = case["id"].as_str().expect("an id");
            all.put(&id.split('.').collect::<Vec<_>>(), id);
        }
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        let _ = writeln!(
            embedded,
            "({name:?}, include_str!({:?})),",
            path.display().to_string()
        );
    }
    embedded.push_str("];\n");
    let mut tests = String::new();
    all.write(&mut tests);
    let text = format!(
        "{embedded}
/// Makes a `#[test]` of every case over a [`Subject`](crate::Subject). The names of the tests are the ids of the
/// cases, so that `cargo test device::` runs one area.
#[macro_export]
macro_rules! conformance_tests {{ ($subject:ty) => {{ {tests} }}; }}
"
    );
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("cases.rs"), text).expect("OUT_DIR can be written");
}
