//! A person at a terminal: what is asked, and what the answers do.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use coze_auth_mock::AppKind::{Device, Web};
use coze_auth_mock::DeviceAction;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::command::command;
use crate::service::{Service, free_redirect};

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
    let name = name.to_str().expect("UTF-8").to_owned();
    let open = || -> OwnedFd {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.open(&name).expect("it opens").into()
    };
    command.stdin(open()).stdout(open()).stderr(open());
    let child = command.spawn().expect("it runs");
    // So that the end of the child is the end of what is read: nobody else has the terminal.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    (child, File::from(master))
}

/// Reads until this is there, or to the end; what was read since the last time.
fn read_until(terminal: &mut File, wanted: &str) -> String {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let said = String::from_utf8_lossy(&bytes).into_owned();
        if !wanted.is_empty() && said.contains(wanted) {
            return said;
        }
        // A terminal whose other end is closed is an error on Linux.
        match terminal.read(&mut piece) {
            Ok(0) | Err(_) => return said,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

#[test]
fn each_step_is_asked_and_the_answer_counts() {
    const ASKED: &str = "q = end the run: ";
    let service = Service::new(&[Device], |mock| {
        mock.toml("[ttl]\ndevice_interval = 1")
            .expect("a configuration")
    });
    service.mock.clock().run_real();
    let mut command = command(&service, &[]);
    let (mut child, mut terminal) = at_terminal(&mut command);
    let answer = |terminal: &mut File, text: &str| {
        terminal.write_all(text.as_bytes()).expect("typed");
    };
    // Nothing is sent before the first answer, and another word is asked about again.
    let said = read_until(&mut terminal, ASKED);
    assert!(
        said.contains("refresh token") || said.contains("Question 13:"),
        "{said}"
    );
    assert!(
        said.contains("sends:") && said.contains("spends:"),
        "{said}"
    );
    assert!(service.mock.requests().is_empty());
    answer(&mut terminal, "perhaps\n");
    read_until(&mut terminal, ASKED);
    assert!(service.mock.requests().is_empty());
    answer(&mut terminal, "y\n");
    let said = read_until(&mut terminal, "Enter when it is done");
    let code = said
        .split("type ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let code = code.expect("a user code").to_owned();
    service
        .mock
        .decide_device(&code, DeviceAction::Approve)
        .expect("it waits");
    answer(&mut terminal, "\n");
    // What is typed before the question does not answer it.
    read_until(&mut terminal, "left: the pause between polls");
    answer(&mut terminal, "y\ny\n");
    let said = read_until(&mut terminal, ASKED);
    assert!(said.contains("  seen: "), "{said}");
    assert_eq!(service.mock.requests().len(), 2);
    answer(&mut terminal, "n\n");
    read_until(&mut terminal, ASKED);
    answer(&mut terminal, "q\n");
    let told = read_until(&mut terminal, "");
    assert_eq!(child.wait().expect("it ends").code(), Some(3), "{told}");
    assert_eq!(service.mock.requests().len(), 2);
    for line in [
        "2 requests of at most",
        "The run ended early: who was asked has ended it",
        "left out by who was asked",
        "the run was ended by who was asked",
        "of the device flow: always with token_type Bearer",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
}

#[test]
fn what_is_no_answer_is_asked_again_and_q_ends_the_run_where_something_is_to_be_done() {
    let service = Service::new(&[Device], |mock| mock);
    let (mut child, mut terminal) = at_terminal(&mut command(&service, &[]));
    let answer = |terminal: &mut File, text: &str| {
        terminal.write_all(text.as_bytes()).expect("typed");
    };
    let said = read_until(&mut terminal, "q = end the run: ");
    let asks = format!("Asks {} as device.", service.mock.base_url());
    assert!(said.contains(&asks), "{asks}: {said}");
    answer(&mut terminal, "y\n");
    let done = "Enter when it is done, n if you do not want to, q = end the run: ";
    read_until(&mut terminal, done);
    answer(&mut terminal, "what?\n");
    read_until(&mut terminal, done);
    answer(&mut terminal, "q\n");
    let told = read_until(&mut terminal, "");
    assert_eq!(child.wait().expect("it ends").code(), Some(3), "{told}");
    assert!(!told.contains("Send it?"), "{told}");
    assert_eq!(service.mock.requests().len(), 1);
}

#[test]
fn a_host_that_is_not_coze_s_is_asked_about_first() {
    let service = Service::new(&[], |mock| mock);
    let arguments = ["--base", "https://api.coze.cn.example"];
    let (mut child, mut terminal) = at_terminal(&mut command(&service, &arguments));
    let said = read_until(&mut terminal, "Go on? y = yes, n = no: ");
    let no_host = "api.coze.cn.example is not a host of Coze's";
    assert!(said.contains(no_host), "{said}");
    terminal.write_all(b"n\n").expect("typed");
    let told = read_until(&mut terminal, "");
    assert_eq!(child.wait().expect("it ends").code(), Some(4), "{told}");
    assert!(told.contains("nothing was sent"), "{told}");
}

fn interrupt(child: &Child) {
    let id = i32::try_from(child.id()).expect("an id");
    let id = Pid::from_raw(id).expect("an id");
    kill_process(id, Signal::INT).expect("it runs");
}

/// Ctrl-C, wherever the run is: what was found is told and written, and nothing more is sent.
#[test]
fn an_interrupt_ends_the_run_and_loses_nothing() {
    for (asked, answers, requests) in [
        ("q = end the run: ", "", 0),
        ("Enter when it is done", "y\n", 1),
        ("left: the pause between polls", "y\n\n", 1),
    ] {
        let service = Service::new(&[Device], |mock| {
            mock.toml("[ttl]\ndevice_interval = 60")
                .expect("a configuration")
        });
        let record = service.files()[0].with_file_name("record.json");
        let mut command = command(&service, &[]);
        // Where nothing was recorded, that is an error.
        if requests > 0 {
            command.arg("--record").arg(&record);
        }
        let (mut child, mut terminal) = at_terminal(&mut command);
        for line in answers.split_inclusive('\n') {
            read_until(&mut terminal, "q = end the run: ");
            terminal.write_all(line.as_bytes()).expect("typed");
        }
        read_until(&mut terminal, asked);
        interrupt(&child);
        let told = read_until(&mut terminal, "");
        let code = child.wait().expect("it ends").code();
        assert_eq!(code, Some(3), "{asked}: {told}");
        assert!(
            told.contains("The run ended early: who was asked has ended it"),
            "{asked}: {told}"
        );
        assert_eq!(service.mock.requests().len(), requests, "{asked}: {told}");
        assert_eq!(record.exists(), requests > 0, "{asked}: {told}");
    }
}

/// A login that never comes back is what people interrupt.
#[test]
fn an_interrupt_ends_the_wait_for_a_callback() {
    let service = Service::new(&[Web], |mock| mock);
    let uri = free_redirect();
    let mut command = command(
        &service,
        &["--yes-to-every-request", "--redirect-uri", &uri],
    );
    let (mut child, mut terminal) = at_terminal(&mut command);
    let told = read_until(&mut terminal, "/authorize?");
    interrupt(&child);
    let told = told + &read_until(&mut terminal, "");
    assert_eq!(child.wait().expect("it ends").code(), Some(3), "{told}");
    assert!(
        told.contains("The run ended early: who was asked has ended it"),
        "{told}"
    );
}
