//! What is told when it does not work: a status for scripts, a sentence for people.

use std::process::Stdio;

use crate::support::Home;

#[test]
fn nobody_is_signed_in() {
    let home = Home::new();
    for command in [
        &["token"][..],
        &["whoami"],
        &["status"],
        &["api", "GET", "/v1/users/me"],
    ] {
        let run = home.run(command);
        assert_eq!(run.code, Some(3), "{run:?}");
        assert_eq!(
            run.stderr,
            "coze-auth: nobody is signed in with profile default: run coze-auth login\n"
        );
        assert_eq!(run.stdout, "");
    }
    let run = home.run(&["token", "--json", "--profile", "work"]);
    let error = run.error();
    assert_eq!(error["kind"], "login_needed");
    assert_eq!(error["exit_status"], 3);
    assert!(error["message"].as_str().expect("text").contains("work"));
    assert_eq!(home.mock.requests().len(), 0);
}

#[test]
fn arguments_that_are_not_valid_are_status_2_and_json_if_that_was_asked_for() {
    let home = Home::new();
    for arguments in [
        &["tokens"][..],
        &["token", "--min-life", "soon"],
        &["login", "--pkce", "--web"],
        &["login", "--client-secret", "x"],
        &["token", "--profile", "../x"],
        &["exec"],
    ] {
        assert_eq!(home.run(arguments).code, Some(2), "{arguments:?}");
        let run = home.run(&[arguments, &["--json"]].concat());
        assert_eq!(run.error()["kind"], "usage", "{run:?}");
    }
    assert_eq!(home.run(&["--help"]).code, Some(0));
}

#[test]
fn no_coze_is_assumed() {
    let home = Home::new();
    let mut command = home.command(&["login", "--client-id", "1"]);
    let run = crate::support::Run::of(command.env_remove("COZE_API_BASE").output().expect("runs"));
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("--region cn"), "{run:?}");
    let mut command = home.command(&["login", "--client-id", "1"]);
    let run = command.env("COZE_API_BASE", "http://coze.example").output();
    let run = crate::support::Run::of(run.expect("runs"));
    assert_eq!(run.code, Some(7), "{run:?}");
    assert!(run.stderr.contains("COZE_API_BASE"), "{run:?}");
    // A token of the variable is for one Coze, too.
    let mut command = home.command(&["whoami"]);
    command
        .env_remove("COZE_API_BASE")
        .env("COZE_API_TOKEN", "pat_mock_alice");
    let run = crate::support::Run::of(command.output().expect("runs"));
    assert_eq!(run.code, Some(7), "{run:?}");
    assert!(run.stderr.contains("COZE_API_BASE"), "{run:?}");
}

#[test]
fn a_missing_value_is_named_with_its_flag_and_a_wrong_one_by_its_flag() {
    let home = Home::new();
    let run = home.run(&["login"]);
    assert_eq!(run.code, Some(7), "{run:?}");
    assert!(
        run.stderr.contains("COZE_DEVICE_OAUTH_CLIENT_ID")
            && run.stderr.contains("or say --client-id"),
        "{run:?}"
    );
    let run = home.run(&["login", "--client-id", "\"1234.app.coze\""]);
    assert!(
        run.stderr.contains("--client-id") && !run.stderr.contains("COZE_DEVICE"),
        "{run:?}"
    );
}

#[test]
fn nobody_listens_is_try_again() {
    let home = Home::new();
    home.sign_in();
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let mut command = home.command(&["whoami", "--json"]);
    command
        .env("COZE_API_TOKEN", "pat_x")
        .env("COZE_API_BASE", &base);
    let run = crate::support::Run::of(command.output().expect("runs"));
    assert_eq!(run.code, Some(6), "{run:?}");
    assert_eq!(run.error()["kind"], "try_again");
    // The stored login goes to its own API, whatever the variable says.
    let mut command = home.command(&["whoami", "--profile", "default"]);
    command
        .env("COZE_API_TOKEN", "pat_x")
        .env("COZE_API_BASE", &base);
    let run = crate::support::Run::of(command.output().expect("runs"));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains(home.mock.base_url()), "{run:?}");
}

#[test]
fn the_token_goes_to_the_api_alone() {
    let home = Home::new();
    home.sign_in();
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    other.set_nonblocking(true).expect("set");
    let url = format!(
        "http://{}/v1/users/me",
        other.local_addr().expect("an address")
    );
    let run = home.run(&["api", "GET", &url]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("was to be sent to"), "{run:?}");
    assert!(other.accept().is_err(), "nobody has called");
    let own = format!("{}/v1/users/me", home.mock.base_url());
    assert_eq!(home.run(&["api", "GET", &own]).code, Some(0));
    let run = home.run(&["api", "GET", "/v1/nothing"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.contains("404") && !run.stdout.is_empty(),
        "{run:?}"
    );
}

#[test]
fn a_reader_that_has_gone_is_not_an_error_that_is_told() {
    let home = Home::new();
    home.sign_in();
    let mut command = home.command(&["token"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let run = command.stdout(writer).output().expect("it runs");
    assert!(!run.status.success());
    assert_eq!(String::from_utf8_lossy(&run.stderr), "");
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        assert_eq!(run.status.signal(), Some(13), "SIGPIPE, as others");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_takes_nothing_is_told() {
    let home = Home::new();
    home.sign_in();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let mut command = home.command(&["token"]);
    let run = command.stdout(full.expect("Linux has it")).output();
    let run = run.expect("it runs");
    assert_eq!(run.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&run.stderr).contains("cannot be written"));
}

#[test]
fn a_damaged_grant_or_profile_says_what_to_do() {
    let home = Home::new();
    home.sign_in();
    let place = home.run(&["status", "--json"]).json()["place"].clone();
    std::fs::write(place.as_str().expect("a path"), "{}").expect("written");
    let run = home.run(&["token"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stderr.contains("log in again"), "{run:?}");
    home.sign_in();
    assert_eq!(home.run(&["token"]).code, Some(0));
    let profile = home.path.join(".config/coze-auth/profiles/default.json");
    std::fs::write(profile, "{").expect("written");
    let run = home.run(&["token"]);
    assert_eq!(run.code, Some(7), "{run:?}");
    home.sign_in();
    assert_eq!(home.run(&["token"]).code, Some(0));
}

/// Without the feature; with it, `just keyring` tells.
#[cfg(not(feature = "keyring"))]
#[test]
fn a_build_without_keyring_says_so() {
    let home = Home::new();
    let mut command = home.command(&["login", "--with-token", "--store", "keyring", "--json"]);
    let child = crate::support::piped(&mut command);
    let run = crate::support::Run::of(child.wait_with_output().expect("it ends"));
    assert_eq!(run.code, Some(11), "{run:?}");
    assert_eq!(run.error()["kind"], "keyring_missing");
    assert!(!home.path.join(".config/coze-auth").exists());
}

/// The tables of README.md and of the help are one.
#[test]
fn the_exit_statuses_are_the_same_on_both_pages() {
    let home = Home::new();
    let help = home.run(&["--help"]).stdout;
    let readme = include_str!("../../README.md");
    let (_, rows) = readme.split_once("\n## Exit status\n").expect("the table");
    let (rows, _) = rows.split_once("\n## ").expect("the next one");
    let mut rows: Vec<&str> = rows
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
        .filter(|status| status.parse::<u8>().is_ok())
        .collect();
    assert_eq!(rows.len(), 14, "{rows:?}");
    rows.retain(|status| {
        !help.contains(&format!("  {status} ")) && !help.contains(&format!("{status},"))
    });
    rows.retain(|status| {
        !help.contains(&format!("{status} if"))
            && !help.contains(&format!(" {status}: "))
            && !help.contains(&format!("{status} in"))
    });
    assert_eq!(rows, [""; 0], "not in the help");
}

/// Nobody logs in for nothing, and no token is left that no profile names.
#[test]
fn a_profile_that_cannot_be_written_is_told_before_anybody_logs_in() {
    let home = Home::new();
    std::fs::create_dir_all(home.path.join(".config/coze-auth")).expect("made");
    std::fs::write(home.path.join(".config/coze-auth/profiles"), "").expect("written");
    let id = home.app(coze_auth_mock::AppKind::Device);
    for arguments in [
        &["login", "--with-token"][..],
        &["login", "--client-id", &id],
    ] {
        let run = home.run_with(arguments, "pat_mock_alice");
        assert_eq!(run.code, Some(7), "{run:?}");
        assert!(run.stderr.contains("profiles"), "{run:?}");
        assert_eq!(home.mock.requests().len(), 0);
    }
}
