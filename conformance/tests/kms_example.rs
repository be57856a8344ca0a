//! The example `kms_signer`, as a person runs it.

use std::process::Command;

#[path = "common/example.rs"]
mod example;

#[test]
fn a_key_in_a_kms_is_replaced_and_nobody_is_refused() {
    let ran = Command::new(example::built("kms_signer")).output();
    let ran = ran.expect("it runs");
    let errors = String::from_utf8_lossy(&ran.stderr);
    let said = String::from_utf8(ran.stdout).expect("UTF-8");
    assert!(ran.status.success(), "{errors}{said}");
    let (told, journal) = said.split_once("the server saw:\n").expect("both");
    assert_eq!(
        told,
        "with the key old: alice\nreplaced too early: alice\nwith the key old\nreplaced in the console: alice\nwith the key new\n"
    );
    assert_eq!(
        journal,
        "  token 200\n  users_me 200\n  token 401\n  token 200\n  users_me 200\n  token 401\n  token 200\n  users_me 200\n"
    );
}
