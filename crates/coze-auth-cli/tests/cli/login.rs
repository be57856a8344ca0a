//! Each way in, and what the other commands make of it.

use std::io::{BufRead as _, BufReader, Read as _};

use coze_auth_mock::{AppKind, DeviceAction, Fault, On};
use serde_json::{Value, json};

use crate::support::{Home, piped};

#[test]
fn a_token_of_the_console_serves_every_command() {
    let home = Home::new();
    let run = home.run_with(&["login", "--with-token", "--json"], "pat_mock_alice\n");
    assert_eq!(run.code, Some(0), "{run:?}");
    let login = run.json();
    assert_eq!(login["user"]["user_name"], "alice");
    assert_eq!(
        (&login["app"], &login["store"]),
        (&json!("token"), &json!("file"))
    );
    assert_eq!(login["expires_at"], Value::Null);

    assert_eq!(home.run(&["token"]).stdout, "pat_mock_alice\n");
    let whoami = home.run(&["whoami"]).stdout;
    let at = home.mock.base_url();
    assert_eq!(
        whoami,
        format!("alice (user 7300000000000000001) at {at}\n")
    );
    let status = home.run(&["status", "--json"]).json();
    assert_eq!(status["signed_in"], true);
    assert_eq!(status["renewable"], false);
    assert_eq!(status["profiles"], json!(["default"]));
    let me = home.run(&["api", "get", "/v1/users/me"]);
    assert_eq!(me.json()["data"]["user_name"], "alice");

    let out = home.run(&["logout", "--json"]);
    assert_eq!(out.json(), json!({"profile": "default", "removed": true}));
    assert_eq!(home.run(&["token"]).code, Some(3));
    assert_eq!(home.run(&["logout", "--json"]).json()["removed"], false);
    let grants = home.path.join(".local/state/coze-auth/grants");
    let left = std::fs::read_dir(grants).expect("the folder");
    let left: Vec<_> = left.map(|file| file.expect("a file").path()).collect();
    assert!(
        left.iter()
            .all(|path| path.extension().is_some_and(|end| end == "lock")),
        "{left:?}"
    );
}

#[test]
fn a_token_that_coze_refuses_is_not_stored() {
    let home = Home::new();
    for (input, says) in [
        ("pat_of_nobody\n", "nothing is stored"),
        ("", "standard input"),
        (" pat_mock_alice\n", "standard input"),
        ("pat_mock_alice\n\n", "standard input"),
    ] {
        let run = home.run_with(&["login", "--with-token"], input);
        assert!(matches!(run.code, Some(1 | 3 | 7)), "{input:?}: {run:?}");
        assert!(run.stderr.contains(says), "{input:?}: {run:?}");
        assert!(!run.stderr.contains("pat_"), "{run:?}");
    }
    assert_eq!(home.run(&["status"]).code, Some(3));
}

#[test]
fn a_device_login_waits_for_the_person_and_is_kept() {
    let home = Home::with("[ttl]\ndevice_interval = 1\n");
    let (mut child, mut out, shown) = home.waiting_login();
    assert_eq!(shown["expires_in"], 300);
    let code = shown["user_code"].as_str().expect("a code");
    home.mock
        .decide_device(code, DeviceAction::Approve)
        .expect("it waits");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("UTF-8");
    assert!(child.wait().expect("it ends").success());
    let login: Value = serde_json::from_str(&rest).expect("JSON");
    assert_eq!(login["app"], "device");
    assert_eq!(login["user"]["user_name"], "alice");

    let token = home.run(&["token", "--json"]).json();
    assert_eq!(token["expires_at"], login["expires_at"]);
    let status = home.run(&["status"]).stdout;
    assert!(status.contains("then it is renewed"), "{status}");
    assert!(!status.contains(token["access_token"].as_str().expect("a token")));
}

#[test]
fn a_person_who_says_no_and_a_code_that_expires_are_told_apart() {
    for (action, status, kind) in [
        (DeviceAction::Deny, 4, "denied"),
        (DeviceAction::Expire, 5, "expired"),
    ] {
        let home = Home::with("[ttl]\ndevice_interval = 1\n");
        let (child, _out, shown) = home.waiting_login();
        let code = shown["user_code"].as_str().expect("a code");
        home.mock.decide_device(code, action).expect("it waits");
        let run = crate::support::Run::of(child.wait_with_output().expect("it ends"));
        assert_eq!(run.code, Some(status), "{run:?}");
        assert_eq!(run.error()["kind"], kind);
        assert_eq!(home.run(&["status"]).code, Some(3));
    }
}

/// The person's browser, which is this program here.
#[test]
fn a_login_in_the_browser_takes_its_callback() {
    for (flow, app) in [("--pkce", AppKind::Pkce), ("--web", AppKind::Web)] {
        let home = Home::new();
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let redirect = format!("http://127.0.0.1:{port}/callback");
        let id = home.app(app);
        let arguments = [
            "login",
            flow,
            "--json",
            "--client-id",
            &id,
            "--redirect-uri",
            &redirect,
        ];
        let mut command = home.command(&arguments);
        command.env("COZE_WEB_OAUTH_CLIENT_SECRET", "mock-web-secret");
        let mut child = piped(&mut command);
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("UTF-8");
        let shown: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut errors = String::new();
            let _ = child
                .stderr
                .take()
                .expect("piped")
                .read_to_string(&mut errors);
            panic!("{line:?} {errors}")
        });
        let url = shown["authorize_url"].as_str().expect("an address");
        let callback = home.mock.authorize(url, true).expect("approved");
        let (_, target) = callback.split_once(&format!(":{port}")).expect("a path");
        let mut browser = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        std::io::Write::write_all(
            &mut browser,
            format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").as_bytes(),
        )
        .expect("sent");
        let mut rest = String::new();
        out.read_to_string(&mut rest).expect("UTF-8");
        let run = crate::support::Run::of(child.wait_with_output().expect("it ends"));
        assert_eq!(run.code, Some(0), "{run:?}");
        let login: Value = serde_json::from_str(&rest).expect("JSON");
        assert_eq!(login["app"], flow[2..]);
        assert_eq!(login["user"]["user_name"], "alice");
    }
}

/// A key and a configuration stay where they are, and the profile names them.
#[test]
fn a_jwt_app_needs_no_person_and_its_tokens_are_kept() {
    let home = Home::new();
    let key_name = jwt_login(&home);
    let grants = || granted(&home);
    let before = grants();
    let first = home.run(&["token"]).stdout;
    assert_eq!(home.run(&["token"]).stdout, first);
    assert_eq!(grants(), before, "the token is kept");
    // The API refuses it: another is had.
    assert!(home.mock.revoke(first.trim()));
    assert_eq!(home.run(&["whoami"]).code, Some(0));
    assert_ne!(home.run(&["token"]).stdout, first);
    assert_eq!(grants(), before + 1);
    let profile = home.path.join(".config/coze-auth/profiles/default.json");
    let profile = std::fs::read_to_string(profile).expect("the profile");
    assert!(
        profile.contains(&key_name) && !profile.contains("BEGIN"),
        "{profile}"
    );
}

/// Logs in with the JWT app of the mock, and gives the name of its key's file.
fn jwt_login(home: &Home) -> String {
    let key = home.path.join("key.pem");
    std::fs::write(&key, key_of(home)).expect("written");
    let key = key.to_str().expect("UTF-8").to_owned();
    let id = home.app(AppKind::Jwt);
    let app = ["--client-id", &id, "--key-id", "mock-jwt-key-1"];
    let run = home.run(&[&["login", "--jwt", "--key-file", &key], &app[..]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    key
}

/// How many tokens the mock's apps were granted.
fn granted(home: &Home) -> usize {
    let requests = home.mock.requests();
    let of_tokens = requests
        .iter()
        .filter(|request| request.endpoint == "token");
    of_tokens.count()
}

/// Whatever the status says (protocol §4.4): each request has a new token, and the answer that was refused is not printed.
#[test]
fn a_token_of_a_jwt_app_that_is_refused_is_replaced() {
    for (status, code) in [
        (200, 4100),
        (200, 700_012_006),
        (400, 4100),
        (401, 700_012_006),
    ] {
        for arguments in [&["api", "GET", "/v1/users/me"][..], &["whoami", "--json"]] {
            let home = Home::new();
            jwt_login(&home);
            let first = home.run(&["token"]).stdout;
            let before = granted(&home);
            let fault = Fault::status(status).header("content-type", "application/json");
            let fault = fault.body(format!("{{\"code\":{code},\"msg\":\"invalid\"}}"));
            let _once = home.mock.fault(On::endpoint("users_me"), fault.times(1));
            let run = home.run(arguments);
            assert_eq!(run.code, Some(0), "{status} {code}: {run:?}");
            assert!(run.stdout.contains("alice"), "{run:?}");
            assert!(!run.stdout.contains("invalid"), "{run:?}");
            assert_eq!(granted(&home), before + 1, "{status} {code}");
            assert_ne!(home.run(&["token"]).stdout, first);
            assert_eq!(granted(&home), before + 1, "it is stored");
        }
    }
}

/// Nothing is lost with it, so nobody has to log in.
#[test]
fn a_damaged_token_of_a_jwt_app_is_replaced() {
    let home = Home::new();
    jwt_login(&home);
    let place = home.run(&["status", "--json"]).json()["place"].clone();
    std::fs::write(place.as_str().expect("a path"), "{").expect("written");
    let run = home.run(&["token"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(home.run(&["token"]).stdout, run.stdout, "it is stored");
}

/// A token costs a request and not a login, so there is one; and each command asks for its own, which has to be noticed.
#[test]
fn a_token_of_a_jwt_app_that_cannot_be_stored_is_given_and_told() {
    let home = Home::new();
    jwt_login(&home);
    let place = home.run(&["status", "--json"]).json()["place"].clone();
    let place = place.as_str().expect("a path");
    std::fs::remove_file(place).expect("it is there");
    std::fs::create_dir(place).expect("made");
    let runs = [home.run(&["token"]), home.run(&["token"])];
    for run in &runs {
        assert_eq!(run.code, Some(0), "{run:?}");
        let told = "coze-auth: the next command asks for a token of its own: ";
        assert!(run.stderr.contains(told), "{run:?}");
        assert!(run.stderr.contains("Run: rmdir "), "{run:?}");
    }
    assert_ne!(runs[0].stdout, runs[1].stdout);
    std::fs::remove_dir(place).expect("as it says");
    let run = home.run(&["token"]);
    assert_eq!(run.stderr, "");
    assert_eq!(home.run(&["token"]).stdout, run.stdout, "it is stored");
}

/// The development key of the mock.
fn key_of(home: &Home) -> String {
    let key = home.mock.variable("COZE_JWT_OAUTH_PRIVATE_KEY");
    key.expect("a JWT app")
}

#[test]
fn a_configuration_stays_where_it_is_and_has_to_stay_the_same() {
    let home = Home::new();
    let path = home.path.join("coze_oauth_config.json");
    let of = |id: &str| {
        format!(
            r#"{{"client_type":"jwt","client_id":"{id}","coze_api_base":"{}","public_key_id":"mock-jwt-key-1","private_key":{}}}"#,
            home.mock.base_url(),
            Value::String(key_of(&home))
        )
    };
    std::fs::write(&path, of(&home.app(AppKind::Jwt))).expect("written");
    let name = path.to_str().expect("UTF-8");
    let run = home.run(&["login", "--config", name, "--profile", "work"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(home.run(&["whoami", "--profile", "work"]).code, Some(0));
    std::fs::write(&path, of("999")).expect("written");
    let run = home.run(&["token", "--profile", "work"]);
    assert_eq!(run.code, Some(7), "{run:?}");
    assert!(
        run.stderr.contains("999") && run.stderr.contains("log in again"),
        "{run:?}"
    );
}

/// Two people, or a person and a job, log in with one profile at once. The later login is the profile's, and what the other one
/// had brought is gone from this machine: no token is left that no profile names.
#[test]
fn of_two_logins_of_one_profile_at_once_the_later_one_is_kept() {
    let home = Home::with("[ttl]\ndevice_interval = 1\n");
    let files = |end: &str| {
        let grants = home.path.join(".local/state/coze-auth/grants");
        let all = std::fs::read_dir(grants).expect("the folder");
        let ends = |path: &std::path::PathBuf| path.extension().is_some_and(|own| own == end);
        let all = all.map(|file| file.expect("a file").path());
        all.filter(ends).count()
    };
    // It waits for its person when the other one begins and ends.
    let (child, mut out, shown) = home.waiting_login();
    home.sign_in();
    assert_eq!(home.run(&["token"]).stdout, "pat_mock_alice\n");
    let code = shown["user_code"].as_str().expect("a code");
    home.mock
        .decide_device(code, DeviceAction::Approve)
        .expect("it waits");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("UTF-8");
    let run = crate::support::Run::of(child.wait_with_output().expect("it ends"));
    assert_eq!(run.code, Some(0), "{run:?}");
    let status = home.run(&["status", "--json"]).json();
    assert_eq!(
        (&status["app"], &status["renewable"]),
        (&json!("device"), &json!(true))
    );
    assert_eq!((files("json"), files("tmp")), (1, 0));

    // With the same app, both waiting: each person's login is whole, and one grant is kept.
    let both = [home.waiting_login(), home.waiting_login()];
    for (_, _, shown) in &both {
        let code = shown["user_code"].as_str().expect("a code");
        home.mock
            .decide_device(code, DeviceAction::Approve)
            .expect("it waits");
    }
    for (child, mut out, _) in both {
        out.read_to_string(&mut rest).expect("UTF-8");
        let run = crate::support::Run::of(child.wait_with_output().expect("it ends"));
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    assert_eq!((files("json"), files("tmp")), (1, 0));
    assert_eq!(home.run(&["whoami"]).code, Some(0));
    // With it the right to renew is whole, too.
    let run = home.run(&["token", "--min-life", "1h"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(home.run(&["logout"]).code, Some(0));
    assert_eq!((files("json"), files("tmp")), (0, 0));
}
