//! A person at a terminal: the code as a picture, the time left, and no name that steers the screen.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};

use coze_auth_mock::{AppKind, DeviceAction, Fault, On};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::Home;

/// Starts a command with a terminal as all of its streams, and gives the other end.
fn at_terminal(command: &mut Command) -> (Child, File) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    // It is not for what other tests start meanwhile.
    #[cfg(target_os = "linux")]
    let flags = flags | OpenptFlags::CLOEXEC;
    let master = openpt(flags).expect("a terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let name = ptsname(&master, Vec::new()).expect("a name");
    let name = name.to_str().expect("UTF-8");
    let open = || -> OwnedFd {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.open(name).expect("it opens").into()
    };
    command.stdin(open()).stdout(open()).stderr(open());
    let child = command.spawn().expect("it runs");
    // So that the end of the child is the end of what is read: nobody else has the terminal.
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    (child, File::from(master))
}

/// Reads until this is there, or to the end.
fn read_until(terminal: &mut File, said: &mut String, wanted: &str) {
    let mut piece = [0; 4096];
    let mut bytes = std::mem::take(said).into_bytes();
    loop {
        *said = String::from_utf8_lossy(&bytes).into_owned();
        if !wanted.is_empty() && said.contains(wanted) {
            return;
        }
        // A terminal whose other end is closed is an error on Linux.
        match terminal.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

/// The person approves the code that is shown.
fn approve(home: &Home, said: &str) {
    let code = said.split("enter  ").nth(1).expect("the code");
    let code = code.split('\r').next().expect("a line");
    home.mock
        .decide_device(code, DeviceAction::Approve)
        .expect("it waits");
}

#[test]
fn a_person_sees_the_code_the_picture_and_the_time_left() {
    let home = Home::with("[ttl]\ndevice_interval = 1\n");
    let id = home.app(AppKind::Device);
    let mut command = home.command(&["login", "--client-id", &id]);
    let (mut child, mut terminal) = at_terminal(command.env("TERM", "xterm"));
    let mut said = String::new();
    read_until(&mut terminal, &mut said, " left");
    assert!(said.contains("\x1b[97;40m"), "the picture: {said}");
    assert!(said.contains("Waiting for you: "), "{said}");
    approve(&home, &said);
    read_until(&mut terminal, &mut said, "");
    assert!(child.wait().expect("it ends").success(), "{said}");
    let (_, end) = said.rsplit_once("\r\x1b[K").expect("the line is cleared");
    assert!(end.starts_with("Logged in as alice"), "{end:?}");
}

#[test]
fn a_dumb_terminal_has_neither_picture_nor_spinner() {
    let home = Home::with("[ttl]\ndevice_interval = 1\n");
    let id = home.app(AppKind::Device);
    let mut command = home.command(&["login", "--client-id", &id]);
    let (mut child, mut terminal) = at_terminal(command.env("TERM", "dumb"));
    let mut said = String::new();
    read_until(&mut terminal, &mut said, "is good for");
    approve(&home, &said);
    read_until(&mut terminal, &mut said, "");
    assert!(child.wait().expect("it ends").success(), "{said}");
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn a_token_is_not_read_from_a_terminal() {
    let home = Home::new();
    let mut command = home.command(&["login", "--with-token"]);
    let (mut child, mut terminal) = at_terminal(&mut command);
    let mut said = String::new();
    read_until(&mut terminal, &mut said, "");
    assert_eq!(child.wait().expect("it ends").code(), Some(2), "{said}");
    assert!(said.contains("< FILE"), "{said}");
}

/// A name that a person chose for themselves: the terminal does not obey it, and JSON has it.
#[test]
fn a_name_steers_no_terminal() {
    let home = Home::new();
    let answer = "{\"code\":0,\"data\":{\"user_id\":\"7\",\"user_name\":\"\\u001b]0;owned\\u0007\u{202e}\u{9b}\"}}";
    let fault = Fault::status(200).header("content-type", "application/json");
    let _fault = home
        .mock
        .fault(On::endpoint("users_me"), fault.body(answer));
    for arguments in [
        &["whoami"][..],
        &["whoami", "--json"],
        &["api", "GET", "/v1/users/me"],
    ] {
        let mut command = home.command(arguments);
        let (mut child, mut terminal) =
            at_terminal(command.env("COZE_API_TOKEN", "pat_mock_alice"));
        let mut said = String::new();
        read_until(&mut terminal, &mut said, "");
        assert!(child.wait().expect("it ends").success(), "{said}");
        assert!(said.contains("owned"), "{said:?}");
        assert!(
            !said.contains(['\x1b', '\x07', '\u{202e}', '\u{9b}']),
            "{said:?}"
        );
    }
}

/// Nor does a project's variable or an integration's credential, which a program gets to the byte.
#[test]
fn a_value_steers_no_terminal() {
    let home = Home::new();
    let login = home.in_project(&["login", "--workload"]).output();
    assert!(login.expect("it runs").status.success());
    let data = r#"{"code":0,"data":{"credential":"a\u001b]0;owned\u0007b","secrets":[{"key":"K","value":"a\u001b]0;owned\u0007b"}]}}"#;
    let fault = Fault::status(200).header("content-type", "application/json");
    let fault = fault.body(data);
    let _fault = home.mock.fault(On::endpoint("project_env"), fault.clone());
    let _other = home.mock.fault(On::endpoint("integration"), fault);
    for arguments in [["project-env", "K"], ["integration", "i"]] {
        let (mut child, mut terminal) = at_terminal(&mut home.in_project(&arguments));
        let mut said = String::new();
        read_until(&mut terminal, &mut said, "");
        assert!(child.wait().expect("it ends").success(), "{said}");
        assert!(said.contains("owned"), "{said:?}");
        assert!(!said.contains(['\x1b', '\x07']), "{said:?}");
    }
}

/// A body arrives in pieces that end wherever they end, also within a character.
#[test]
fn a_long_body_on_a_terminal_is_whole() {
    let home = Home::new();
    let text = format!("x{}", "扣子".repeat(20_000));
    let fault = Fault::status(200).header("content-type", "text/plain");
    let _fault = home
        .mock
        .fault(On::endpoint("users_me"), fault.body(text.clone()));
    let mut command = home.command(&["api", "GET", "/v1/users/me"]);
    let (mut child, mut terminal) = at_terminal(command.env("COZE_API_TOKEN", "pat_mock_alice"));
    let mut said = String::new();
    read_until(&mut terminal, &mut said, "");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(said.trim_end(), text);
}
