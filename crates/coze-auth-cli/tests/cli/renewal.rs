//! Renewals: one for all processes, stored before it is printed, and not broken off.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use coze_auth_mock::{At, DeviceAction, On};

use crate::support::{Home, Run, piped};

const GUARD: Duration = Duration::from_secs(30);

/// A home with a device login whose token has ended: it was given by a clock that was behind then, and is right now.
fn with_stale_login() -> Home {
    let home = Home::with("[ttl]\ndevice_interval = 1\n");
    let clock = home.mock.clock();
    let now = clock.unix();
    clock.set(now - Duration::from_secs(1000));
    let (child, _out, shown) = home.waiting_login();
    let code = shown["user_code"].as_str().expect("a code");
    home.mock
        .decide_device(code, DeviceAction::Approve)
        .expect("it waits");
    let run = Run::of(child.wait_with_output().expect("it ends"));
    assert_eq!(run.code, Some(0), "{run:?}");
    clock.set(now);
    home
}

fn renewals(home: &Home) -> usize {
    let requests = home.mock.requests();
    let of = requests
        .iter()
        .filter(|request| request.grant == Some("refresh_token"));
    of.count()
}

#[test]
fn two_processes_at_once_renew_once() {
    let home = with_stale_login();
    let gate = home
        .mock
        .gate("renewal", On::grant("refresh_token"), At::Request);
    let first = piped(&mut home.command(&["token"]));
    assert!(gate.arrived_blocking(1, GUARD));
    let second = piped(&mut home.command(&["token", "--min-life", "10m"]));
    gate.open();
    let first = Run::of(first.wait_with_output().expect("it ends"));
    let second = Run::of(second.wait_with_output().expect("it ends"));
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(first.stdout, second.stdout, "{second:?}");
    assert_eq!(renewals(&home), 1);
    assert_eq!(home.run(&["token"]).stdout, first.stdout);
    assert_eq!(renewals(&home), 1, "it was stored");
}

/// The refresh token is spent when the signal comes, so the answer is waited for and stored.
#[cfg(unix)]
#[test]
fn a_renewal_is_not_broken_off_by_ctrl_c() {
    use std::os::unix::process::ExitStatusExt as _;

    use rustix::process::{Signal, kill_process};
    let home = with_stale_login();
    let gate = home
        .mock
        .gate("renewal", On::grant("refresh_token"), At::Answer);
    let mut child = piped(&mut home.command(&["token"]));
    assert!(gate.arrived_blocking(1, GUARD));
    let pid = pid_of(&child);
    kill_process(pid, Signal::INT).expect("sent");
    // It tells that it goes on, so the signal has come.
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    let mut told = String::new();
    errors.read_line(&mut told).expect("UTF-8");
    assert!(told.contains("the renewal is finished first"), "{told}");
    gate.open();
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(
        ended.status.signal(),
        Some(2),
        "it ends by the signal: {ended:?}"
    );
    assert_eq!(renewals(&home), 1);
    // The new grant is there: no login is lost, and nothing is asked.
    let run = home.run(&["token"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(renewals(&home), 1);
}

/// A login that is waited for is called off at once, and nothing is kept.
#[cfg(unix)]
#[test]
fn a_login_is_called_off_by_ctrl_c() {
    use std::os::unix::process::ExitStatusExt as _;

    use rustix::process::{Signal, kill_process};
    let home = Home::new();
    let (child, _out, _) = home.waiting_login();
    kill_process(pid_of(&child), Signal::INT).expect("sent");
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.signal(), Some(2));
    assert_eq!(home.run(&["status"]).code, Some(3));
}

/// One that was started to ignore Ctrl-C, in the background of a script, goes on.
#[cfg(target_os = "linux")]
#[test]
fn a_login_that_ignores_ctrl_c_from_its_start_goes_on() {
    use rustix::process::{Signal, kill_process};
    let home = Home::with("[ttl]\ndevice_interval = 1\n");
    let id = home.app(coze_auth_mock::AppKind::Device);
    let login = home.command_ignoring("INT", &["login", "--json", "--client-id", &id]);
    let (child, _out, shown) = crate::support::waiting(login);
    kill_process(pid_of(&child), Signal::INT).expect("sent");
    let code = shown["user_code"].as_str().expect("a code");
    let approved = home.mock.decide_device(code, DeviceAction::Approve);
    approved.expect("it waits");
    let run = Run::of(child.wait_with_output().expect("it ends"));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(home.run(&["status"]).code, Some(0));
}

#[cfg(unix)]
fn pid_of(child: &std::process::Child) -> rustix::process::Pid {
    let id = i32::try_from(child.id()).expect("an id");
    rustix::process::Pid::from_raw(id).expect("an id")
}
