//! The examples `custom_transport` and `custom_transport_blocking`, as a person runs them.

use std::process::Command;

#[path = "common/example.rs"]
mod example;

/// What both print: over a transport of one's own a refused token is renewed, the request sent once more, and the answer
/// handed on whole.
fn says_what_it_does(name: &str) {
    let ran = Command::new(example::built(name)).output();
    let ran = ran.expect("it runs");
    let (said, errors) = (
        String::from_utf8(ran.stdout).expect("UTF-8"),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{errors}{said}");
    let (before, after) = said
        .split_once("asked with a revoked one: 200 OK\n")
        .unwrap_or_else(|| panic!("{said}"));
    assert_eq!(
        before,
        "these are tokens of alice\nasked with a good token: 200 OK\n"
    );
    let (body, journal) = after.split_once('\n').expect("a body");
    assert!(body.starts_with(r#"{"code":0,"#), "{body}");
    assert!(body.contains(r#""user_name":"alice""#), "{body}");
    assert_eq!(
        journal,
        "the server saw:\n  token 200\n  users_me 200\n  users_me 200\n  users_me 401\n  token 200\n  users_me 200\n"
    );
}

#[test]
fn over_hyper() {
    says_what_it_does("custom_transport");
}

#[test]
fn over_attohttpc() {
    says_what_it_does("custom_transport_blocking");
}
