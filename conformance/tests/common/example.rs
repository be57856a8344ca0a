//! Examples, run as a person runs them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// Built by cargo, which knows whether it has to be. With the whole workspace, so that it is built with the
/// features that it has in a test of the workspace, and so is there already.
pub(crate) fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let profile = test.ancestors().nth(2).expect("deps lies in it");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--locked", "--offline", "--workspace"])
        .args(["--example", name, "--message-format", "json"])
        .arg("--target-dir")
        .arg(profile.parent().expect("the target folder"))
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo.output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let messages = String::from_utf8(output.stdout).expect("UTF-8");
    let built = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).expect("JSON");
        let path = message["executable"].as_str().map(PathBuf::from);
        path.filter(|_| message["target"]["name"] == name)
    });
    built.expect("an executable")
}
