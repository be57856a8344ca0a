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

/// The program has the process id of the command, so whoever signals that, signals the program.
#[cfg(unix)]
#[test]
fn signals_are_the_programs_and_its_status_is_the_commands() {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::ExitStatusExt as _;

    use rustix::process::{Pid, Signal, kill_process};

    let home = Home::new();
    home.sign_in();
    for (signal, trapped) in [
        (Signal::INT, "INT"),
        (Signal::TERM, "TERM"),
        (Signal::HUP, "HUP"),
        (Signal::USR1, "USR1"),
    ] {
        for is_trapped in [true, false] {
            let trap = match is_trapped {
                true => format!("trap 'exit 42' {trapped};"),
                false => String::new(),
            };
            let wait = format!("{trap} echo $$; while :; do sleep 0.05; done");
            let mut child =
                crate::support::piped(&mut home.command(&["exec", "--", "sh", "-c", &wait]));
            let mut line = String::new();
            let mut out = BufReader::new(child.stdout.take().expect("piped"));
            out.read_line(&mut line).expect("UTF-8");
            assert_eq!(line.trim(), child.id().to_string());
            let id = i32::try_from(child.id()).expect("an id");
            kill_process(Pid::from_raw(id).expect("an id"), signal).expect("sent");
            let ended = child.wait().expect("it ends");
            match is_trapped {
                true => assert_eq!(ended.code(), Some(42), "{trapped}"),
                false => assert_eq!(ended.signal(), Some(signal.as_raw()), "{trapped}"),
            }
        }
    }
    for status in [0, 1, 3, 7, 125, 127, 255] {
        let run = home.run(&["exec", "--", "sh", "-c", &format!("exit {status}")]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(status), ""));
    }
}

/// As `nohup` and a shell's background have it: what is ignored stays ignored, for the program as well.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_is_ignored_stays_so() {
    let home = Home::new();
    home.sign_in();
    for signal in ["HUP", "INT", "TERM"] {
        let program = format!("kill -{signal} $$; echo alive");
        let mut command = home.command_ignoring(signal, &["exec", "--", "sh", "-c", &program]);
        let run = crate::support::Run::of(command.output().expect("it runs"));
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (Some(0), "alive\n"),
            "{signal}"
        );
    }
}

/// The program has the environment as it is, and the three variables: no other value of ours.
#[cfg(unix)]
#[test]
fn the_program_has_three_variables_more() {
    let home = Home::new();
    home.sign_in();
    let variables = |run: crate::support::Run| -> Vec<String> {
        let mut lines: Vec<String> = run.stdout.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let mut env = std::process::Command::new("env");
    let own = home.command(&[]);
    env.env_clear().envs(
        own.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let before = variables(crate::support::Run::of(env.output().expect("it runs")));
    let after = variables(home.run(&["exec", "--", "env"]));
    let added: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(
        added,
        ["COZE_API_TOKEN=pat_mock_alice", "COZE_AUTH_PROFILE=default"]
    );
    assert!(before.iter().all(|line| after.contains(line)), "{after:?}");
}
