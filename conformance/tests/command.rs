//! The command's arguments, as a person gets them wrong.

use std::path::Path;
use std::process::Command;

#[path = "common/example.rs"]
mod example;

fn code_and_output(program: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(program).args(arguments).output();
    let output = output.expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8(text).expect("UTF-8"),
    )
}

fn refused(arguments: &[&str]) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_coze-auth-conformance"));
    let (code, told) = code_and_output(program, &[&["run"], arguments].concat());
    assert_eq!(code, Some(4), "{told}");
    told
}

#[test]
fn clients_have_names_of_their_own() {
    let told = refused(&["--adapter", "x=false", "--url-mode", "x=true"]);
    assert_eq!(told.trim(), "two clients are named x");
    for client in ["=false", "x=", "x"] {
        let told = refused(&["--adapter", client]);
        assert_eq!(told.trim(), format!("{client}: expected NAME=COMMAND"));
    }
    let told = refused(&["--subject", "ureq"]);
    let none = "unknown client ureq: this program has no built-in clients";
    assert_eq!(told.trim(), none);
}

#[test]
fn no_run_is_no_repetition() {
    let told = refused(&["--adapter", "x=false", "--repeat", "0"]);
    assert!(told.contains("invalid value '0' for '--repeat"), "{told}");
}

#[test]
fn a_check_is_run_with_its_case() {
    let told = refused(&[
        "--adapter",
        "x=false",
        "--case",
        "tokens.pat.accepted#opens",
    ]);
    assert!(
        told.contains("--case tokens.pat.accepted runs it"),
        "{told}"
    );
    let told = refused(&["--adapter", "x=false", "--case", ""]);
    assert_eq!(told.trim(), "no case fits \"\"");
}

#[test]
fn a_mutant_that_is_not_there_is_no_success() {
    let mutants = example::built("mutants");
    let (code, told) = code_and_output(&mutants, &["redirects", "nonsense"]);
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(told.trim(), "no mutant has nonsense in its name");
}
