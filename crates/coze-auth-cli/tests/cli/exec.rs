//! `exec`: the program's environment, exit status and signals.

use crate::support::Home;

#[cfg(unix)]
#[test]
fn the_program_has_the_token_and_takes_the_place_of_the_command() {
    let home = Home::new();
    home.sign_in();
    let run = home.run(&[
        "exec",
        "--",
        "printenv",
        "COZE_API_TOKEN",
        "COZE_API_BASE",
        "COZE_AUTH_PROFILE",
    ]);
    let base = home.mock.base_url();
    assert_eq!(run.stdout, format!("pat_mock_alice\n{base}\ndefault\n"));
    assert_eq!(run.stderr, "");
    let run = home.run(&["exec", "--", "sh", "-c", "exit 9"]);
    assert_eq!(run.code, Some(9));
    use std::os::unix::process::ExitStatusExt as _;
    let killed = home
        .command(&["exec", "--", "sh", "-c", "kill -TERM $$"])
        .output();
    assert_eq!(killed.expect("it runs").status.signal(), Some(15));
    // It asks again in the profile that it was started with, and not for the variable that it was given.
    let own = env!("CARGO_BIN_EXE_coze-auth");
    let run = home.run(&["exec", "--", own, "status", "--json"]);
    assert_eq!(run.json()["profile"], "default");
}

#[cfg(unix)]
#[test]
fn its_own_failures_have_statuses_that_programs_seldom_have() {
    let home = Home::new();
    let run = home.run(&["exec", "--json", "--", "true"]);
    assert_eq!(run.code, Some(125), "{run:?}");
    assert_eq!(run.error()["kind"], "login_needed");
    home.sign_in();
    assert_eq!(home.run(&["exec", "--", "no-such-program"]).code, Some(127));
    assert_eq!(home.run(&["exec", "--", "/"]).code, Some(126));
}

/// Flag, variable of the profile, token of the variable, default: the first that is there.
#[test]
fn the_order_of_credentials() {
    let home = Home::new();
    home.sign_in();
    let run = home.run_with(&["login", "--with-token", "--profile", "ci"], "sat_mock_ci");
    assert_eq!(run.code, Some(0), "{run:?}");
    let token = |flag: &[&str], profile: &str, variable: &str| {
        let mut command = home.command(&[&["token"], flag].concat());
        command
            .env("COZE_AUTH_PROFILE", profile)
            .env("COZE_API_TOKEN", variable);
        String::from_utf8(command.output().expect("it runs").stdout).expect("UTF-8")
    };
    assert_eq!(
        token(&["--profile", "ci"], "default", "pat_v"),
        "sat_mock_ci\n"
    );
    assert_eq!(token(&[], "ci", "pat_v"), "sat_mock_ci\n");
    assert_eq!(token(&[], "", "pat_v"), "pat_v\n");
    assert_eq!(token(&[], "", ""), "pat_mock_alice\n");
}
