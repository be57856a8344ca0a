//! Each sample runs without set-up, and with its variables alone. `just examples` shows the table.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use coze_auth_mock::CozeAuthMock;

use crate::support::{Folder, names, package, sample, sample_of};

/// A sample, the last line that it prints, and the requests that the server saw.
const SAMPLES: &[(&str, &str, &str)] = &[
    ("auth_pat", "alice", "users_me"),
    ("auth_pat_blocking", "alice", "users_me"),
    ("auth_sat", "200 OK", "users_me"),
    (
        "auth_oauth_web",
        "alice has logged in",
        "authorize token users_me users_me",
    ),
    (
        "auth_oauth_pkce",
        "logged in as alice, kept in coze-grants",
        "authorize token users_me",
    ),
    (
        "auth_oauth_pkce_blocking",
        "logged in as alice, kept in coze-grants",
        "authorize token users_me",
    ),
    (
        "auth_oauth_device",
        "logged in as alice, kept in coze-grants",
        "device_code token users_me",
    ),
    (
        "auth_oauth_device_blocking",
        "logged in as alice, kept in coze-grants",
        "device_code token users_me",
    ),
    (
        "auth_oauth_jwt",
        "user-42 has a token of 69 characters",
        "token users_me token",
    ),
    (
        "auth_oauth_jwt_blocking",
        "user-42 has a token of 69 characters",
        "token users_me token",
    ),
    (
        "auth_workload",
        "a credential of 24 characters",
        "workload_token workload_token project_env integration",
    ),
    (
        "auth_workload_blocking",
        "a credential of 24 characters",
        "workload_token workload_token project_env integration",
    ),
    ("custom_transport", "200 OK", "token users_me users_me"),
    (
        "custom_transport_blocking",
        "200 OK",
        "token users_me users_me",
    ),
    (
        "kms_signer",
        "alice, signed by the key mock-jwt-key-1",
        "token users_me",
    ),
    ("prometheus", "alice has a token", "token"),
];

/// The variables that the first lines of a sample name.
fn variables(name: &str) -> Vec<String> {
    let file = package().join(format!("{name}.rs"));
    let text = std::fs::read_to_string(file).expect("a sample");
    let head = text.lines().take_while(|line| line.starts_with("//!"));
    let part_of_a_name = |c: char| c == '_' || c.is_ascii_uppercase();
    let words = head.flat_map(|line| line.split(move |c| !part_of_a_name(c)));
    // The one of ours that goes before Coze's is an aside.
    let words =
        words.filter(|word| word.starts_with("COZE_") && *word != "COZE_PKCE_OAUTH_REDIRECT_URI");
    let words: BTreeSet<_> = words.map(str::to_owned).collect();
    words.into_iter().collect()
}

/// Runs a sample to its end, with what a person types, and gives all that it printed. A person approves at `mock`, if there is one.
fn run(mut command: Command, mock: Option<&CozeAuthMock>) -> String {
    let (output, end) = io::pipe().expect("a pipe");
    command
        .stdin(Stdio::piped())
        .stdout(end.try_clone().expect("a pipe"))
        .stderr(end);
    let mut sample = command.spawn().expect("it runs");
    drop(command);
    let mut input = sample.stdin.take().expect("piped");
    input.write_all(b"alice\n").expect("a pipe takes it");
    drop(input);
    let (mut said, mut stopped) = (String::new(), false);
    for line in BufReader::new(output).lines() {
        let line = line.expect("UTF-8");
        let _ = writeln!(said, "{line}");
        if let Some(mock) = mock
            && coze_auth_examples::approve(mock, &line).expect("a person can approve")
        {
            sample.kill().expect("it runs");
            stopped = true;
        }
    }
    let status = sample.wait().expect("it ends");
    assert!(status.success() || stopped, "{said}");
    said
}

fn last_line(said: &str) -> &str {
    said.trim_end().lines().last().unwrap_or_default()
}

#[test]
fn each_sample_runs_without_set_up() {
    let listed: BTreeSet<_> = SAMPLES
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    assert_eq!(
        listed,
        names().into_iter().collect(),
        "the samples, and this list"
    );
    let mut table = format!(
        "{:<27} {:<2}  {:<40}  {}\n",
        "sample", "", "printed", "variables"
    );
    for (name, line, _) in SAMPLES {
        let said = run(sample(name), None);
        assert!(
            said.starts_with("(a mock server on this machine"),
            "{name}: {said}"
        );
        assert_eq!(last_line(&said), *line, "{name}: {said}");
        let variables = variables(name);
        let _ = writeln!(table, "{name:<27} ok  {line:<40}  {}", variables.join(" "));
    }
    println!("\n{table}");
}

/// As it runs against the service: what its first lines name is all that it needs.
#[test]
fn each_sample_runs_with_its_variables_alone() {
    for (name, line, requests) in SAMPLES {
        let quick = CozeAuthMock::builder().toml("[ttl]\ndevice_interval = 1");
        let mock = quick.expect("a second").start_blocking().expect("a mock");
        let folder = Folder::new(&format!("alone-{name}"));
        let variables = variables(name);
        assert!(!variables.is_empty(), "{name} names no variable");
        let variables: Vec<_> = variables.iter().map(String::as_str).collect();
        let mut command = sample_of(&mock, name, &variables);
        command.current_dir(&folder.0).env("BROWSER", "true");
        let said = run(command, Some(&mock));
        assert!(!said.contains("a mock server"), "{name}: {said}");
        assert_eq!(last_line(&said), *line, "{name}: {said}");
        let saw = mock.requests();
        let polls = |endpoint: &&str| *endpoint != "device_poll";
        let saw: Vec<_> = saw
            .iter()
            .map(|request| request.endpoint)
            .filter(polls)
            .collect();
        assert_eq!(saw.join(" "), *requests, "{name}: {said}");
    }
}

#[test]
fn the_mock_is_asked_for_where_variables_are_set() {
    let mut command = sample("auth_pat");
    command
        .env("COZE_API_TOKEN", "pat_of_somebody")
        .env("COZE_API_BASE", "http://127.0.0.1:9");
    assert_eq!(
        last_line(&run(
            {
                command.arg("--mock");
                command
            },
            None
        )),
        "alice"
    );
    // One that is empty counts as not set, as everywhere.
    let mut command = sample("auth_pat");
    command.env("COZE_API_TOKEN", "");
    assert_eq!(last_line(&run(command, None)), "alice");
    // Of the variables that are set, one is not this sample's: it goes to Coze, and names the one that is missing.
    let mut command = sample("auth_oauth_device");
    let output = command
        .env("COZE_API_TOKEN", "pat_of_somebody")
        .output()
        .expect("it runs");
    let errors = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(errors.contains("COZE_DEVICE_OAUTH_CLIENT_ID"), "{errors}");
}
