//! A project on Coze's coding platform: nobody logs in, the identity is the environment's, and its access token alone is kept.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use coze_auth_mock::{AppKind, At, Fault, On};
use serde_json::Value;

use crate::support::{Home, RawApi, Run, WORKLOAD, json_answer, piped};

fn run(mut command: Command) -> Run {
    Run::of(command.output().expect("it runs"))
}

fn project(home: &Home, arguments: &[&str]) -> Run {
    run(home.in_project(arguments))
}

/// A home with a profile of the mock's workload.
fn noted() -> Home {
    let home = Home::new();
    let run = project(&home, &["login", "--workload"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    home
}

/// How many of a workload's two requests the mock had.
fn grants(home: &Home) -> usize {
    let requests = home.mock.requests();
    let of_tokens = requests
        .iter()
        .filter(|request| request.endpoint == "workload_token");
    of_tokens.count()
}

/// Removes the token that is kept.
fn forget(home: &Home) {
    let place = project(home, &["status", "--json"]).json()["place"].clone();
    fs::remove_file(place.as_str().expect("a path")).expect("it is there");
}

/// All files below a folder, with what is in them.
pub(crate) fn files(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => {
                let text = fs::read(&path).expect("a file");
                let text = String::from_utf8_lossy(&text).into_owned();
                all.push((path.display().to_string(), text));
            }
        }
    }
    all
}

#[test]
fn a_workload_serves_every_command_and_nobody_logs_in() {
    let home = Home::new();
    let id = home.app(AppKind::Workload);
    let run = project(&home, &["login", "--workload"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    let told = format!(
        "Nobody logs in to the workload {id}: its id and secret are those of the environment. Profile default is kept in "
    );
    assert!(run.stderr.starts_with(&told), "{run:?}");
    let login = project(&home, &["login", "--workload", "--json"]).json();
    let base = home.mock.base_url();
    assert_eq!(login["app"], "workload");
    assert_eq!(login["client_id"], id);
    assert_eq!(login["api_base"], base);
    assert_eq!(login["store"], "file");
    assert!(
        login["expires_at"].is_u64() && login["user"].is_null(),
        "{login}"
    );
    let requests = home.mock.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.endpoint == "workload_token"),
        "nobody is asked for"
    );
    assert_eq!(requests.len(), 4, "two for each");

    let token = project(&home, &["token"]);
    assert_eq!((token.code, token.stderr.as_str()), (Some(0), ""));
    let json = project(&home, &["token", "--json"]).json();
    assert_eq!(json["access_token"], token.stdout.trim());
    assert_eq!(json["api_base"], base);
    assert_eq!(json["profile"], "default");
    assert_eq!(json["expires_at"], login["expires_at"]);
    let run = project(&home, &["whoami"]);
    let shown = format!("alice (user 7300000000000000001) at {base}\n");
    assert_eq!(run.stdout, shown, "the mock says so; {run:?}");
    let run = project(&home, &["api", "GET", "/v1/users/me"]);
    assert!(run.stdout.contains("\"alice\""), "{run:?}");
    let run = project(&home, &["api", "GET", &format!("{base}/api/v1/secret/env")]);
    assert!(run.stdout.contains("PGDATABASE_URL"), "{run:?}");
    assert_eq!(grants(&home), 4, "the token is kept");
    // The API refuses it: another is had.
    assert!(home.mock.revoke(token.stdout.trim()));
    assert_eq!(project(&home, &["project-env"]).code, Some(0));
    assert_ne!(project(&home, &["token"]).stdout, token.stdout);
    assert_eq!(grants(&home), 6);
}

#[test]
fn two_processes_at_once_ask_for_one_token() {
    let home = noted();
    forget(&home);
    let on = On::grant("client_credentials");
    let gate = home.mock.gate("renewal", on, At::Request);
    let first = piped(&mut home.in_project(&["token"]));
    assert!(gate.arrived_blocking(1, Duration::from_secs(30)));
    let second = piped(&mut home.in_project(&["token"]));
    gate.open();
    let ended = |child: Child| Run::of(child.wait_with_output().expect("it ends"));
    let (first, second) = (ended(first), ended(second));
    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{second:?}");
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(grants(&home), 4, "those of the login, and two");
}

#[cfg(unix)]
#[test]
fn a_program_has_the_token_of_its_workload_and_may_ask_again() {
    let home = noted();
    let own = env!("CARGO_BIN_EXE_coze-auth");
    let program = r#"echo "$COZE_API_BASE $COZE_AUTH_PROFILE"; [ "$COZE_API_TOKEN" = "$("$0" token)" ] && "$0" integration integration-feishu-base"#;
    let run = project(&home, &["exec", "--", "sh", "-c", program, own]);
    let app = home.mock.app(AppKind::Workload).expect("an app");
    let (_, credential) = app.integrations().next().expect("an integration");
    let base = home.mock.base_url();
    assert_eq!(
        run.stdout,
        format!("{base} default\n{credential}\n"),
        "{run:?}"
    );
    assert_eq!(run.code, Some(0), "{run:?}");
}

/// The secret is read from the environment each time, and the id token is wiped. `status` and `logout` ask nobody.
#[test]
fn the_access_token_alone_is_stored_and_logout_removes_it() {
    let home = noted();
    let id = home.app(AppKind::Workload);
    let token = project(&home, &["token"]).stdout;
    project(&home, &["whoami"]);
    project(&home, &["project-env", "PGDATABASE_URL"]);
    project(&home, &["integration", "integration-feishu-base"]);
    let requests = home.mock.requests().len();
    let base = home.mock.base_url();
    let status = project(&home, &["status", "--json"]).json();
    assert_eq!(status["signed_in"], true);
    assert_eq!(status["app"], "workload");
    assert_eq!(status["client_id"], id);
    assert_eq!(status["store"], "file");
    assert_eq!(status["renewable"], true);
    assert!(status["expires_at"].is_u64(), "{status}");
    let place = status["place"].as_str().expect("a path");
    let run = project(&home, &["status"]);
    let told = format!(
        "Profile default at {base}\n  with the workload {id}\n  kept in {place}\n  good for "
    );
    assert!(run.stdout.starts_with(&told), "{run:?}");
    assert!(run.stdout.ends_with("then it is renewed\n"), "{run:?}");

    let secrets = [
        home.mock.variable(WORKLOAD[1]).expect("a secret"),
        "mock-db-secret".to_owned(),
        "mock_feishu_tenant_token".to_owned(),
    ];
    for (name, text) in files(&home.path) {
        assert_eq!(text.contains(token.trim()), name == place, "{name}");
        let has_other = secrets.iter().any(|secret| text.contains(secret));
        assert!(!has_other, "{name}: {text}");
    }
    fs::remove_file(place).expect("it is there");
    let run = project(&home, &["status"]);
    assert_eq!(run.code, Some(0), "nobody has to log in: {run:?}");
    assert!(
        run.stdout
            .ends_with("no token is kept, and the next command gets one\n"),
        "{run:?}"
    );
    assert_eq!(home.mock.requests().len(), requests);
    assert_ne!(project(&home, &["token"]).stdout, token);
    assert!(Path::new(place).exists());
    // With the environment gone, too.
    let run = home.run(&["logout"]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (Some(0), "Logged out of profile default.\n")
    );
    assert!(!Path::new(place).exists());
    assert_eq!(project(&home, &["status"]).code, Some(3));
    assert_eq!(home.mock.requests().len(), requests + 2);
}

/// A project that was copied has another id: it is not used without a word, and its secret goes nowhere.
#[test]
fn another_identity_than_the_profiles_is_refused_by_the_name_of_its_variable() {
    let home = noted();
    let requests = home.mock.requests().len();
    let id = home.app(AppKind::Workload);
    let other = home.mock.base_url().replace("127.0.0.1", "localhost");
    let other_endpoint = format!("{other}/.well-known/token");
    // Of the same API, as far as its address tells.
    let other_path = format!("{}/another/token", home.mock.base_url());
    for (variable, value) in [
        (WORKLOAD[0], "another0123456789"),
        (WORKLOAD[2], &other_endpoint),
        (WORKLOAD[2], &other_path),
        (WORKLOAD[3], &other_endpoint),
        (WORKLOAD[3], &other_path),
        (WORKLOAD[4], &other),
        (WORKLOAD[5], "ppe_another"),
    ] {
        for arguments in [
            &["token"][..],
            &["whoami"],
            &["status"],
            &["api", "GET", "/v1/users/me"],
            &["integration", "integration-feishu-base"],
            &["project-env"],
        ] {
            let mut command = home.in_project(arguments);
            command.env(variable, value);
            let run = run(command);
            assert_eq!(
                (run.code, run.stdout.as_str()),
                (Some(7), ""),
                "{arguments:?}: {run:?}"
            );
            let told = format!("{variable} is not that of the profile, whose workload is {id} at");
            assert!(run.stderr.contains(&told), "{arguments:?}: {run:?}");
            assert!(!run.stderr.contains(value), "{run:?}");
        }
        let mut exec = home.in_project(&["exec", "--", "true"]);
        exec.env(variable, value);
        assert_eq!(run(exec).code, Some(125));
    }
    assert_eq!(home.mock.requests().len(), requests, "nothing is sent");
    // Where a person says so, it is taken.
    let mut login = home.in_project(&["login", "--workload"]);
    login.env(WORKLOAD[3], &other_endpoint);
    assert_eq!(run(login).code, Some(0));
    assert_eq!(project(&home, &["token"]).code, Some(7));
}

#[test]
fn what_is_missing_in_the_environment_is_named() {
    let home = noted();
    let requests = home.mock.requests().len();
    for (missing, arguments) in [
        (WORKLOAD[0], &["token"][..]),
        (WORKLOAD[1], &["status"]),
        (WORKLOAD[2], &["whoami"]),
        (WORKLOAD[3], &["login", "--workload"]),
    ] {
        for is_empty in [true, false] {
            let mut command = home.in_project(arguments);
            match is_empty {
                true => command.env(missing, ""),
                false => command.env_remove(missing),
            };
            let run = run(command);
            assert_eq!((run.code, run.stdout.as_str()), (Some(7), ""), "{run:?}");
            assert!(
                run.stderr.contains(&format!("{missing}: not set")),
                "{run:?}"
            );
        }
    }
    let none = home.run(&["token"]);
    assert_eq!(none.code, Some(7));
    for name in &WORKLOAD[..4] {
        assert!(none.stderr.contains(name), "{none:?}");
    }
    assert_eq!(home.mock.requests().len(), requests, "nothing is sent");
    // For integrations and variables alone.
    let mut command = home.in_project(&["project-env"]);
    command.env_remove(WORKLOAD[4]);
    let refused = run(command);
    assert_eq!(refused.code, Some(7), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("COZE_OUTBOUND_AUTH_ENDPOINT): not set"),
        "{refused:?}"
    );
    let mut command = home.in_project(&["token"]);
    command.env_remove(WORKLOAD[4]).env_remove(WORKLOAD[5]);
    assert_eq!(run(command).code, Some(0));
}

/// What is said otherwise would not count: it is the environment's.
#[test]
fn a_login_of_a_workload_takes_nothing_that_does_not_count() {
    let home = Home::new();
    for more in [
        &["--client-id", "1"][..],
        &["--region", "cn"],
        &["--redirect-uri", "http://127.0.0.1:1/callback"],
        &["--config", "coze_oauth_config.json"],
        &["--key-id", "1"],
        &["--key-file", "key.pem"],
        &["--jwt"],
        &["--with-token"],
    ] {
        let run = project(&home, &[&["login", "--workload"], more].concat());
        assert_eq!(run.code, Some(2), "{run:?}");
    }
    let mut login = home.in_project(&["login", "--workload"]);
    login.env(WORKLOAD[1], "wrong");
    let run = run(login);
    assert_eq!(run.code, Some(7), "{run:?}");
    assert!(
        run.stderr.contains("step 1 of 2, client credentials"),
        "{run:?}"
    );
    assert_eq!(project(&home, &["status"]).code, Some(3), "it is not noted");
}

#[test]
fn a_login_in_the_place_of_another_removes_its_tokens() {
    let home = Home::new();
    let is_kept = |token: &str| {
        let all = files(&home.path);
        all.iter().any(|(_, text)| text.contains(token))
    };
    home.sign_in();
    assert!(is_kept("pat_mock_alice"));
    assert_eq!(project(&home, &["login", "--workload"]).code, Some(0));
    assert!(!is_kept("pat_mock_alice"));
    let token = project(&home, &["token"]).stdout;
    assert!(is_kept(token.trim()));
    home.sign_in();
    assert!(!is_kept(token.trim()));
    assert_eq!(home.run(&["token"]).stdout, "pat_mock_alice\n");
}

/// The lane is the profile's, too: another one needs a login, and none is kept for it.
#[test]
fn a_profile_notes_the_lane() {
    let home = Home::new();
    let in_lane = |arguments: &[&str], lane: &str| {
        let mut command = home.in_project(arguments);
        command.env(WORKLOAD[5], lane);
        run(command)
    };
    assert_eq!(in_lane(&["login", "--workload"], "ppe_new").code, Some(0));
    let token = in_lane(&["token"], "ppe_new");
    assert_eq!(token.code, Some(0), "{token:?}");
    for lane in ["", "NONE", "boe_x"] {
        let run = in_lane(&["token"], lane);
        assert_eq!((run.code, run.stdout.as_str()), (Some(7), ""), "{run:?}");
        assert!(
            run.stderr
                .contains("COZE_SERVER_ENV is not that of the profile"),
            "{run:?}"
        );
    }
    assert_eq!(in_lane(&["login", "--workload"], "").code, Some(0));
    assert_ne!(in_lane(&["token"], "NONE").stdout, token.stdout);
}

/// The identity of the environment is not used by itself: `login` says so where it might be meant.
#[test]
fn where_nobody_is_signed_in_the_workload_is_pointed_at() {
    let home = Home::new();
    let run = project(&home, &["token"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stderr.contains("coze-auth login --workload"), "{run:?}");
    assert!(!home.run(&["token"]).stderr.contains("workload"));
    assert_eq!(home.mock.requests().len(), 0);
}

/// Whether Coze says whose a workload's token is, nobody knows; that a person has to log in is never so.
#[test]
fn a_refusal_sends_nobody_to_a_login() {
    let home = noted();
    let refused = || {
        let body = r#"{"code":4100,"msg":"authentication is invalid"}"#;
        Fault::status(401)
            .header("content-type", "application/json")
            .body(body)
    };
    let unknown = "Coze may not say whose a workload's is";
    let fault = home.mock.fault(On::endpoint("users_me"), refused());
    let before = grants(&home);
    let run = project(&home, &["whoami", "--json"]);
    assert_eq!(run.error()["kind"], "other", "{run:?}");
    assert_eq!(run.error()["code"], "4100", "{run:?}");
    assert!(run.stderr.contains(unknown), "{run:?}");
    assert_eq!(run.code, Some(1));
    assert_eq!(grants(&home), before + 2, "once more with another token");
    drop(fault);
    let fault = home.mock.fault(On::endpoint("integration"), refused());
    let run = project(&home, &["integration", "integration-feishu-base"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:?}");
    drop(fault);
    // A token that is refused once is replaced, and nobody is told.
    let _once = home
        .mock
        .fault(On::endpoint("integration"), refused().times(1));
    let run = project(&home, &["integration", "integration-feishu-base"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    // It is told of whoami's own refusals, not of a token that is not given.
    forget(&home);
    let fault = home
        .mock
        .fault(On::endpoint("workload_token"), Fault::status(503));
    let run = project(&home, &["whoami"]);
    assert_eq!(run.code, Some(6), "{run:?}");
    assert!(!run.stderr.contains(unknown), "{run:?}");
    drop(fault);
}

#[test]
fn a_credential_is_printed_as_it_is_and_nothing_else() {
    let home = noted();
    let app = home.mock.app(AppKind::Workload).expect("an app");
    let mut forms = [0, 0];
    for (name, credential) in app.integrations() {
        let run = project(&home, &["integration", name]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        assert_eq!(run.stdout, format!("{credential}\n"));
        let json = project(&home, &["integration", name, "--json"]).json();
        assert_eq!(json["credential"], credential);
        assert_eq!(json["integration"], name);
        assert_eq!(json["profile"], "default");
        forms[usize::from(credential.starts_with('{'))] += 1;
    }
    assert!(!forms.contains(&0), "a bare one, and one in JSON");
    let run = project(&home, &["integration", "integration-unknown"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(7), ""), "{run:?}");
    assert!(
        run.stderr.contains("not enabled for this project"),
        "{run:?}"
    );
    let requests = home.mock.requests().len();
    for name in ["", " x", "a\u{202e}b", &"x".repeat(257)] {
        let run = project(&home, &["integration", name]);
        assert_eq!(run.code, Some(7), "{run:?}");
        assert!(run.stderr.contains("integration name"), "{run:?}");
    }
    let asked = home.mock.requests();
    let asked = asked[requests..]
        .iter()
        .filter(|request| request.endpoint == "integration");
    assert_eq!(asked.count(), 0);
}

#[test]
fn of_the_projects_variables_one_is_printed_and_the_others_are_named() {
    let home = noted();
    let app = home.mock.app(AppKind::Workload).expect("an app");
    let all: Vec<(&str, &str)> = app.project_env().collect();
    let listed = project(&home, &["project-env"]);
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed.stdout.lines().collect::<Vec<_>>(), names);
    let json = project(&home, &["project-env", "--json"]);
    assert_eq!(json.json()["names"], serde_json::json!(names));
    for (name, value) in &all {
        assert!(!listed.stdout.contains(value) && !json.stdout.contains(value));
        let run = project(&home, &["project-env", name]);
        assert_eq!(
            (run.stdout, run.stderr),
            (format!("{value}\n"), String::new())
        );
        let json = project(&home, &["project-env", name, "--json"]).json();
        assert_eq!(json["name"], *name);
        assert_eq!(json["value"], *value);
    }
    let run = project(&home, &["project-env", "postgresql://me:secret@db"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:?}");
    assert!(run.stderr.contains("no variable of this name"), "{run:?}");
    assert!(!run.stderr.contains("me:secret"), "{run:?}");
}

/// Line ends, and what a terminal would obey, are part of a value.
#[test]
fn a_value_is_handed_to_a_program_to_the_byte() {
    let home = noted();
    let value = "-----\r\n\u{1b}]0;x\u{7}\u{202e}\tend\n";
    let data = serde_json::json!({"code": 0, "data": {"secrets": [{"key": "K", "value": value}], "credential": value}});
    let fault = Fault::status(200)
        .header("content-type", "application/json")
        .body(data.to_string());
    let _fault = home.mock.fault(On::endpoint("project_env"), fault.clone());
    let _other = home.mock.fault(On::endpoint("integration"), fault);
    for arguments in [["project-env", "K"], ["integration", "i"]] {
        let run = project(&home, &arguments);
        assert_eq!(run.stdout, format!("{value}\n"), "{run:?}");
        let json = project(&home, &[&arguments[..], &["--json"]].concat());
        assert!(!json.stdout.contains(['\u{1b}', '\u{202e}']), "{json:?}");
        let member = if arguments[0] == "integration" {
            "credential"
        } else {
            "value"
        };
        assert_eq!(json.json()[member], value);
    }
}

#[test]
fn what_is_not_a_workload_has_neither() {
    let home = Home::new();
    home.sign_in();
    for arguments in [
        &["integration", "integration-feishu-base"][..],
        &["project-env"],
    ] {
        let run = project(&home, arguments);
        assert_eq!(run.code, Some(7), "{run:?}");
        assert!(
            run.stderr.contains("profile default is not a workload's"),
            "{run:?}"
        );
        let mut command = home.in_project(arguments);
        command
            .env("COZE_API_TOKEN", "pat_mock_alice")
            .env("COZE_API_BASE", home.mock.base_url());
        let run = self::run(command);
        assert_eq!(run.code, Some(7), "{run:?}");
        assert!(
            run.stderr
                .contains("the token in COZE_API_TOKEN is not a workload's"),
            "{run:?}"
        );
    }
    assert_eq!(home.mock.requests().len(), 1, "that of the login");
}

#[test]
fn the_lane_of_the_environment_goes_with_all_requests() {
    let home = noted();
    let ok = |body: &str| json_answer("200 OK", body);
    let api = RawApi::new(&[
        &ok(r#"{"access_token":"id.to.ken"}"#),
        &ok(r#"{"access_token":"access","expires_in":900}"#),
        &ok(r#"{"code":0,"data":{"credential":"c"}}"#),
    ]);
    let profile = home.path.join(".config/coze-auth/profiles/default.json");
    let text = fs::read_to_string(&profile).expect("a profile");
    let mut changed: Value = serde_json::from_str(&text).expect("JSON");
    changed["api_base"] = api.base.clone().into();
    changed["lane"] = "ppe_new".into();
    let token = format!("{}/.well-known/token", api.base);
    changed["identity_endpoint"] = token.clone().into();
    changed["access_endpoint"] = token.clone().into();
    changed["outbound_endpoint"] = api.base.clone().into();
    fs::write(&profile, changed.to_string()).expect("written");
    let mut command = home.in_project(&["integration", "i"]);
    command
        .env(WORKLOAD[2], &token)
        .env(WORKLOAD[3], &token)
        .env(WORKLOAD[4], &api.base)
        .env(WORKLOAD[5], "ppe_new");
    assert_eq!(run(command).stdout, "c\n");
    for request in api.requests() {
        let request = request.to_ascii_lowercase();
        assert!(request.contains("x-tt-env: ppe_new\r\n"), "{request}");
        assert!(request.contains("x-use-ppe: 1\r\n"), "{request}");
    }
}
