//! Tests that need a process of their own: another working directory, another user, mounts.
#![allow(dead_code)] // no test file uses all of it

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Set for a child to the test's name.
const CHILD: &str = "COZE_AUTH_STORE_TEST_CHILD";
/// Neither root nor anybody else.
pub(crate) const SOMEBODY: u32 = 12345;

/// Whether this process is the child of the test.
pub(crate) fn is_child(test: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|name| name == test)
}

/// Runs the test again in a process of its own, by way of this program and these arguments.
pub(crate) fn run_by(by: &[&str], test: &str) {
    run_there(by, &std::env::current_exe().unwrap(), test);
}

/// The same, where the test's program has been copied to.
pub(crate) fn run_there(by: &[&str], own: &Path, test: &str) {
    let mut command = Command::new(by[0]);
    command.args(&by[1..]).arg(own);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(CHILD, test);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("1 passed"),
        "the child has run nothing: {text}"
    );
}

/// Whether this is root on Linux. Else the test is skipped, by name; CI skips none.
pub(crate) fn is_root(test: &str) -> bool {
    let root = cfg!(target_os = "linux") && rustix::process::geteuid().is_root();
    if !root {
        let why = format!("{test} needs root on Linux");
        assert!(std::env::var_os("CI").is_none(), "{why}");
        // Past the harness, which keeps to itself what a test prints that passes.
        let line = format!("skipped: {why}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    root
}

/// Runs a command of the system.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {}: {text}",
        arguments.join(" ")
    );
}

/// Runs the command that a text tells to run, between this word and what ends it.
pub(crate) fn run_as_told(text: &str, before: &str) {
    let (_, command) = text.split_once(before).unwrap_or_else(|| panic!("{text}"));
    let command = command.split(';').next().unwrap();
    run("sh", &["-c", command]);
}
