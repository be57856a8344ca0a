//! The command, as a person and a script start it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use coze_auth_mock::AppKind::{Jwt, Web};
use coze_auth_mock::Consent;

use crate::browser::redirect_of;
use crate::service::{REDIRECT, Service, free_redirect};

/// The command with the service's apps, and nothing of this machine's.
pub(crate) fn command(service: &Service, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coze-auth-conformance"));
    command.arg("evidence").stdin(Stdio::null());
    for file in service.files() {
        command.arg("--app").arg(file);
    }
    // What this machine has set is not the run's.
    for name in [
        "COZE_API_TOKEN",
        "SSH_CONNECTION",
        "SSH_TTY",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "BROWSER",
    ] {
        command.env_remove(name);
    }
    for (name, value) in service.variables() {
        command.env(name, value);
    }
    command.args(arguments);
    command
}

fn evidence(service: &Service, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(service, arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// What a browser does with an address: it follows up to the loopback, and asks for the page there.
fn browse(url: &str) {
    let mut url = url.to_owned();
    for _ in 0..4 {
        match redirect_of(&url) {
            Some(to) if to.starts_with('/') => {
                let authority = url.split('/').nth(2).expect("an authority");
                url = format!("http://{authority}{to}");
            }
            Some(to) => url = to,
            None => return,
        }
    }
}

#[test]
fn a_login_comes_back_to_the_loopback_without_a_terminal() {
    let service = Service::new(&[Web], |mock| mock.consent(Consent::Approve));
    service.mock.clock().run_real();
    let uri = free_redirect();
    let mut running = command(
        &service,
        &["--yes-to-every-request", "--redirect-uri", &uri],
    );
    let mut running = running
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let lines = BufReader::new(running.stderr.take().expect("piped")).lines();
    let mut logins = 0;
    for line in lines {
        let line = line.expect("UTF-8");
        if line.trim().starts_with("http://") && line.contains("/authorize?") {
            logins += 1;
            browse(line.trim());
        }
    }
    let output = running.wait_with_output().expect("it ends");
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!((output.status.code(), logins), (Some(0), 2), "{told}");
    assert!(
        told.contains("a code that is spent is refused with 400 invalid_grant"),
        "{told}"
    );
    assert!(
        told.contains("a refusal on the page: the login was approved"),
        "{told}"
    );
}

#[test]
fn where_nobody_can_be_asked_nothing_is_sent() {
    let service = Service::new(&[Jwt], |mock| mock);
    let (code, told, why) = evidence(&service, &[]);
    assert_eq!((code, &*told), (Some(4), ""));
    assert!(
        why.contains("nothing was sent") && why.contains("--yes-to-every-request"),
        "{why}"
    );
    // The word that people type without reading is not the one.
    let (code, ..) = evidence(&service, &["--yes"]);
    assert_eq!(code, Some(4));
    assert!(service.mock.requests().is_empty());
}

#[test]
fn who_has_agreed_beforehand_gets_the_files() {
    let service = Service::new(&[Jwt], |mock| mock);
    let folder = service.files()[0].with_file_name("out");
    std::fs::create_dir_all(&folder).expect("a folder");
    let [record, json] = ["record.json", "evidence.json"].map(|name| folder.join(name));
    let [record_at, json_at] = [&record, &json].map(|path| path.to_str().expect("UTF-8"));
    let arguments = [
        "--yes-to-every-request",
        "--record",
        record_at,
        "--json",
        json_at,
    ];
    // The mock's clock stands still, and the command's does not.
    service.mock.clock().run_real();
    let (code, told, why) = evidence(&service, &arguments);
    assert_eq!(code, Some(0), "{told}{why}");
    assert!(
        told.contains("aud of another host is refused with 401 invalid_client"),
        "{told}"
    );
    assert!(
        why.contains("Question 7:") && why.contains("spends:"),
        "{why}"
    );
    let read = |path| std::fs::read_to_string(path).expect("a file");
    let json: serde_json::Value = serde_json::from_str(&read(&json)).expect("JSON");
    assert_eq!(json["format"], "coze-auth-evidence/1");
    assert_eq!(json["questions"].as_array().map(Vec::len), Some(22));
    let report = coze_auth_mock::check_record(&read(&record))
        .expect("a record")
        .report_text();
    assert!(report.contains("jwt.aud"), "{report}");
    for text in [&told, &why, &json.to_string()] {
        assert!(
            service.mock.leaks_in(text).is_empty() && !text.contains("sentinel"),
            "{text}"
        );
    }
}

#[test]
fn a_login_without_a_terminal_is_by_the_loopback_or_not_asked() {
    let service = Service::new(&[Web], |mock| mock.consent(Consent::Approve));
    let elsewhere = [
        "--yes-to-every-request",
        "--redirect-uri",
        "https://app.example/callback",
    ];
    let (code, told, why) = evidence(&service, &elsewhere);
    assert_eq!(code, Some(0), "{told}{why}");
    assert!(
        told.contains("standard input is not a terminal into which its address could be pasted"),
        "{told}"
    );
    assert_ne!(REDIRECT, elsewhere[2]);
}

#[test]
fn what_cannot_be_a_run_is_told_before_anything_is_sent() {
    let service = Service::new(&[], |mock| mock);
    let (code, _, why) = evidence(&service, &["--yes-to-every-request"]);
    assert_eq!(code, Some(4));
    assert_eq!(
        why.trim(),
        "name the service: an app with --app, or its address with --base"
    );
    let (code, _, why) = evidence(
        &service,
        &["--yes-to-every-request", "--base", "http://api.coze.cn"],
    );
    assert_eq!(code, Some(4));
    assert!(why.contains("plain http to another machine"), "{why}");
}

#[test]
fn a_file_that_is_there_is_never_overwritten() {
    let service = Service::new(&[Jwt], |mock| mock);
    let file = &service.files()[0];
    let app = std::fs::read(file).expect("the app's file");
    let app_at = file.to_str().expect("UTF-8");
    let new = file.with_file_name("new.json");
    let new_at = new.to_str().expect("UTF-8");
    let folder = file.parent().expect("a folder");
    let other_spelling = folder.join(".").join("new.json");
    let other_at = other_spelling.to_str().expect("UTF-8");
    let nowhere = folder.join("no-folder").join("record.json");
    let nowhere_at = nowhere.to_str().expect("UTF-8");
    for (record, json, why) in [
        (app_at, new_at, "the file exists and is not overwritten"),
        (new_at, app_at, "the file exists and is not overwritten"),
        (new_at, other_at, "--record and --json name the same file"),
        (new_at, nowhere_at, "cannot be written"),
    ] {
        let arguments = ["--yes-to-every-request", "--record", record, "--json", json];
        let (code, _, told) = evidence(&service, &arguments);
        assert_eq!(code, Some(4), "{told}");
        assert!(
            told.contains(why) && told.contains("nothing was sent"),
            "{why}: {told}"
        );
        assert!(!new.exists());
    }
    assert_eq!(std::fs::read(file).expect("the app's file"), app);
    assert!(service.mock.requests().is_empty());
}

#[test]
fn the_token_of_the_shell_is_sent_if_the_option_says_so_alone() {
    for option in [None, Some("--api-token")] {
        let service = Service::new(&[Jwt], |mock| mock);
        service.mock.clock().run_real();
        let mut arguments = vec!["--yes-to-every-request"];
        arguments.extend(option);
        let mut command = command(&service, &arguments);
        command.env("COZE_API_TOKEN", "pat_of_the_shell_that_nobody_named");
        let output = command.output().expect("it runs");
        let [told, why] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
        let is_sent = why.contains("seen:   COZE_API_TOKEN");
        let is_named = why
            .find("The token of COZE_API_TOKEN is sent, too")
            .is_some_and(|at| at < why.find("Question ").expect("a step"));
        assert_eq!(
            (is_sent, is_named),
            (option.is_some(), option.is_some()),
            "{told}{why}"
        );
    }
}

#[test]
fn a_service_that_is_not_reached_is_named_with_the_cause() {
    let service = Service::new(&[Jwt], |mock| mock);
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let (code, told, why) = evidence(&service, &["--yes-to-every-request", "--base", &base]);
    assert_eq!(code, Some(3), "{told}{why}");
    assert!(
        why.contains(&format!("{base} was not reached: ")),
        "{told}{why}"
    );
    assert!(!told.contains("shadow"), "{told}");
}

#[test]
fn a_byte_order_mark_is_named() {
    let service = Service::new(&[Jwt], |mock| mock);
    let file = &service.files()[0];
    let app = std::fs::read_to_string(file).expect("the app's file");
    let marked = file.with_file_name("marked.json");
    std::fs::write(&marked, format!("\u{feff}{app}")).expect("written");
    let marked = marked.to_str().expect("UTF-8");
    let none = Service::new(&[], |mock| mock);
    let (code, _, why) = evidence(&none, &["--yes-to-every-request", "--app", marked]);
    assert_eq!(code, Some(4));
    assert!(why.contains("byte order mark"), "{why}");
}
