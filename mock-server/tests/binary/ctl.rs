//! `ctl`, against a server.

use std::io::{BufRead as _, BufReader, Write as _};

use serde_json::Value;

use crate::support::*;

const AUTHORIZE: &str = "/api/permission/oauth2/authorize?response_type=code&client_id=11111111111111111111111111111111.app.coze&redirect_uri=http%3A%2F%2Flocalhost%3A8080%2Fcallback&state=s";

#[test]
fn the_clock_is_shown_and_moved_in_the_world_that_is_named() {
    let (_server, info) = serve(&[]);
    let url = base_url(&info);
    let ctl = |arguments: &[&str]| {
        let all = [&["ctl", "--url", &url, "--world", "w"], arguments].concat();
        out(&all)
    };
    ctl(&["clock", "freeze"]);
    assert_eq!(
        ctl(&["clock", "set", "2026-01-01T00:00:00Z"]),
        "2026-01-01T00:00:00Z (frozen)\n"
    );
    assert_eq!(
        ctl(&["clock", "advance", "1h30m"]),
        "2026-01-01T01:30:00Z (frozen)\n"
    );
    assert_eq!(ctl(&["clock"]), "2026-01-01T01:30:00Z (frozen)\n");
    let json: Value = serde_json::from_str(&ctl(&["clock", "--json"])).expect("JSON");
    assert_eq!(json["now_ms"], 1_767_231_000_000_u64);
    assert!(
        out(&["ctl", "--url", &url, "clock"]).ends_with("(real)\n"),
        "the first world's own"
    );
    assert!(ctl(&["clock", "real"]).ends_with("(real)\n"));
    let (status, said) = failure(&[
        "ctl",
        "--url",
        &format!("{url}/t/w"),
        "--world",
        "w",
        "clock",
    ]);
    assert_eq!(status, 1);
    assert!(said.contains("names a world already"), "{said}");
}

#[test]
fn a_user_decides_from_a_shell() {
    let (_server, info) = serve(&["--seed", "1"]);
    let url = base_url(&info);
    let ctl = |arguments: &[&str]| out(&[&["ctl", "--url", &url], arguments].concat());
    let authorize = format!("{url}{AUTHORIZE}");
    let approved = ctl(&["authorize", &authorize]);
    assert!(
        approved.starts_with("http://localhost:8080/callback?code=code_mock_"),
        "{approved}"
    );
    let denied = ctl(&["authorize", &authorize, "deny"]);
    assert!(denied.contains("error=access_denied"), "{denied}");
    let elsewhere = authorize.replace("localhost%3A8080", "evil.example");
    let (status, said) = failure(&["ctl", "--url", &url, "authorize", &elsewhere]);
    assert_eq!(status, 1);
    assert!(said.contains("rule      authorize.redirect_uri"), "{said}");
    assert!(said.contains("fix       "), "{said}");

    assert_eq!(ctl(&["device"]), "no devices wait\n");
    let (status, said) = failure(&["ctl", "--url", &url, "device", "approve", "AAA-AAA-AAA"]);
    assert_eq!(status, 1);
    assert!(
        said.contains("No device is waiting with this code"),
        "{said}"
    );
    assert_ne!(
        run(&["ctl", "--url", &url, "device", "approve"])
            .status
            .code(),
        Some(0)
    );

    assert_eq!(ctl(&["revoke", "pat_mock_alice"]), "revoked\n");
    let me = ask(
        &url,
        "/v1/users/me",
        &["Host: localhost", "Authorization: Bearer pat_mock_alice"],
    );
    assert!(me.starts_with("HTTP/1.1 401"), "{me}");
    let (_, said) = failure(&["ctl", "--url", &url, "revoke", "pat_none"]);
    assert!(said.contains("unknown token"), "{said}");

    let requests = ctl(&["requests"]);
    let last = requests.lines().last().expect("a line");
    assert!(last.contains("401  GET /v1/users/me"), "{last}");
    assert!(last.ends_with("token.revoked"), "{last}");
    let logid = last.split_whitespace().rev().nth(1).expect("a log id");
    assert!(ctl(&["explain", logid]).contains("actual    a revoked one"));
    let json: Value = serde_json::from_str(&ctl(&["--json", "explain", logid])).expect("JSON");
    assert_eq!(json["rule"], "token.revoked");
    ctl(&["reset"]);
    assert_eq!(ctl(&["requests"]), "no requests\n");
}

#[test]
fn a_device_is_listed_and_approved() {
    let (_server, info) = serve(&[]);
    let url = base_url(&info);
    let address = url.strip_prefix("http://").expect("an http URL");
    let body = r#"{"client_id":"33333333333333333333333333333333.app.coze"}"#;
    let head = format!(
        "POST /api/permission/oauth2/device/code HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    std::io::Write::write_all(&mut stream, head.as_bytes()).expect("sent");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).expect("an answer");
    let listed = out(&["ctl", "--url", &url, "device"]);
    assert!(
        listed.contains("for 33333333333333333333333333333333.app.coze, expires in 29"),
        "{listed}"
    );
    let code = listed.split(' ').next().expect("a user code");
    assert!(answer.contains(code), "{answer}");
    let approved = out(&["ctl", "--url", &url, "device", "approve", code]);
    assert_eq!(approved, format!("{code}: approve\n"));
    assert_eq!(out(&["ctl", "--url", &url, "device"]), "no devices wait\n");
    let (_, said) = failure(&["ctl", "--url", &url, "device", "deny", code]);
    assert!(said.contains("used already"), "{said}");
}

#[test]
fn an_unreachable_mock_is_named_by_its_url() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(listener);
    for arguments in [
        &["ctl", "clock"][..],
        &["ctl", "requests"],
        &["env", "--for", "go"],
    ] {
        let (status, said) = failure(&[arguments, &["--url", &url]].concat());
        assert_eq!(status, 1, "{said}");
        let start = format!("coze-auth-mock: {url} does not answer as a mock: ");
        assert!(said.starts_with(&start), "{said}");
        assert!(said.contains("is it running there?"), "{said}");
    }
    for url in ["ftp://127.0.0.1:1", "127.0.0.1:9777", "localhost:9777"] {
        for arguments in [&["ctl", "--url", url, "clock"][..], &["health", url]] {
            let (status, said) = failure(arguments);
            let words = "it begins with http:// or https://, such as http://127.0.0.1:9777";
            assert!(status == 2 && said.contains(words), "{said}");
        }
    }
}

/// Longer than the three seconds that any other control has.
#[test]
fn a_control_that_waits_is_waited_for() {
    let (_server, info) = serve(&[]);
    let url = base_url(&info);
    let ctl = |path: &str| out(&["ctl", "--url", &url, "call", "GET", path]);
    let nothing = ctl("/requests/next?timeout_ms=3200");
    assert!(nothing.starts_with(r#"{"request":null"#), "{nothing}");
    let gate = r#"{"on":{"endpoint":"token"},"at":"request"}"#;
    out(&["ctl", "--url", &url, "call", "POST", "/gates/g1", gate]);
    let nobody = ctl("/gates/g1?arrived=1&timeout_ms=3200");
    assert!(nobody.contains(r#""reached":false"#), "{nobody}");
}

/// `coze-auth bridge`, say, whose port was taken for the mock's.
#[test]
fn an_oauth_server_is_not_taken_for_a_mock() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut head = BufReader::new(stream.try_clone().expect("a socket")).lines();
        while head
            .next()
            .is_some_and(|line| !line.expect("a line").is_empty())
        {}
        let body = r#"{"error":"invalid_request","error_description":"nothing is here"}"#;
        let answer = format!(
            "HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).expect("it is taken");
    });
    let (status, said) = failure(&["ctl", "--url", &url, "requests"]);
    server.join().expect("it has answered");
    let why = format!("{url} does not answer as a mock: the answer is not that of a mock");
    assert!(status == 1 && said.contains(&why), "{said}");
}

#[test]
fn a_mock_that_is_silent_is_told_in_words() {
    // Connections are taken by the system, and nobody answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let (status, said) = failure(&["ctl", "--url", &url, "clock"]);
    assert_eq!(status, 1, "{said}");
    let why = "does not answer as a mock: no whole answer within 3 s; is it running there?";
    assert!(said.contains(why), "{said}");
}

#[test]
fn faults_worlds_and_expectations_from_a_shell() {
    let (_server, info) = serve(&["--seed", "1"]);
    let url = base_url(&info);
    let at = |url: &str, arguments: &[&str]| out(&[&["ctl", "--url", url], arguments].concat());
    let ctl = |arguments: &[&str]| at(&url, arguments);
    let me = |path: &str| {
        let path = format!("{path}/v1/users/me");
        ask(
            &url,
            &path,
            &["Host: localhost", "Authorization: Bearer pat_mock_alice"],
        )
    };

    assert_eq!(ctl(&["fault"]), "no faults\n");
    let add = [
        "fault",
        "add",
        "status",
        "--endpoint",
        "users_me",
        "--status",
        "503",
        "--times",
        "1",
    ];
    assert_eq!(ctl(&add), "f1\n");
    assert!(me("").starts_with("HTTP/1.1 503"));
    assert_eq!(ctl(&["fault"]), "f1  status on users_me, acted 1 of 1\n");
    let listed = ctl(&["requests", "--fault", "status"]);
    assert!(listed.contains("503  GET /v1/users/me"), "{listed}");
    assert_eq!(
        ctl(&["requests", "--grant", "refresh_token"]),
        "no requests\n"
    );
    assert_eq!(ctl(&["fault", "remove", "f1"]), "removed\n");
    assert_eq!(ctl(&["fault", "clear"]), "removed all faults\n");
    let (_, said) = failure(&["ctl", "--url", &url, "fault", "add", "quake"]);
    assert!(said.contains("expected a fault"), "{said}");

    let once = r#"{"endpoint":"users_me","count":{"eq":1}}"#;
    assert_eq!(ctl(&["verify", once]), "as expected\n");
    // A list, and the body of the HTTP call.
    assert_eq!(ctl(&["verify", &format!("[{once}]")]), "as expected\n");
    let body = format!(r#"{{"expect":[{once},{{"endpoint":"token","count":{{"eq":0}}}}]}}"#);
    assert_eq!(ctl(&["verify", &body]), "as expected\n");
    let (status, said) = failure(&["ctl", "--url", &url, "verify", &body.replace('0', "3")]);
    assert_eq!(status, 1);
    assert!(
        said.contains("1: expected exactly 3 of endpoint token"),
        "{said}"
    );
    let twice = once.replace('1', "2");
    let (status, said) = failure(&["ctl", "--url", &url, "verify", &twice]);
    assert_eq!(status, 1);
    assert!(
        said.contains("0: expected exactly 2 of endpoint users_me; 1 matched"),
        "{said}"
    );

    let folder = Folder::new("ctl");
    let config = folder.write(
        "w.toml",
        "[[token]]\nkind = \"pat\"\nvalue = \"pat_of_w\"\n",
    );
    assert_eq!(ctl(&["world"]), "no worlds except the first\n");
    let made = ctl(&[
        "world",
        "make",
        "w",
        "--config",
        &config,
        "--clock",
        "2026-01-01T00:00:00Z",
    ]);
    assert_eq!(made, format!("{url}/t/w\n"));
    assert_eq!(
        at(&made[..made.len() - 1], &["clock"]),
        "2026-01-01T00:00:00Z (frozen)\n"
    );
    assert!(
        me("/t/w").starts_with("HTTP/1.1 401"),
        "a token that it has not"
    );
    assert_eq!(ctl(&["world"]), made);
    assert_eq!(ctl(&["world", "remove", "w"]), "removed\n");

    assert_eq!(ctl(&["tokens"]), "no codes or tokens\n");
    let authorize = format!("{url}{AUTHORIZE}");
    ctl(&["authorize", &authorize]);
    let tokens = ctl(&["tokens"]);
    assert!(
        tokens.contains("  code          live     11111111"),
        "{tokens}"
    );
    assert_eq!(ctl(&["leaks"]), "no leaks\n");
    ask(
        &url,
        "/elsewhere?token=pat_mock_alice",
        &["Host: localhost"],
    );
    let leaks = ctl(&["leaks"]);
    assert!(leaks.starts_with("pat in query token "), "{leaks}");
    assert_eq!(ctl(&["call", "get", "faults"]), "{\"faults\":[]}\n");
    assert_eq!(
        ctl(&["key", "list", "100000000001"]),
        "mock-jwt-key-1  the development key\n"
    );
    let pem = concat!(env!("CARGO_MANIFEST_DIR"), "/dev-key.pub.pem");
    assert_eq!(ctl(&["key", "add", "100000000001", "k2", pem]), "added\n");
    assert_eq!(
        ctl(&["key", "remove", "100000000001", "mock-jwt-key-1"]),
        "removed\n"
    );
    assert_eq!(ctl(&["key", "list", "100000000001"]), "k2\n");
    assert_eq!(ctl(&["api"]), "no API calls of your own\n");
    assert_eq!(
        ctl(&["api", "add", "get", "/v1/bots/{id}", r#"{"code":0}"#]),
        "a1\n"
    );
    let stream = [
        "api",
        "add",
        "POST",
        "/v3/chat",
        "--event",
        "delta=Hello",
        "--event",
        "=[DONE]",
    ];
    assert_eq!(ctl(&[&stream[..], &["--pause-ms", "1"]].concat()), "a2\n");
    assert_eq!(
        ctl(&["api"]),
        "a1  GET /v1/bots/{id}: 200 json\na2  POST /v3/chat: 200 events\n"
    );
    assert_eq!(ctl(&["api", "remove", "a1"]), "removed\n");
    let (_, said) = failure(&["ctl", "--url", &url, "api", "add", "GET", "/_mock/x", "x"]);
    assert!(said.contains("where the mock answers itself"), "{said}");
    assert_eq!(ctl(&["api", "clear"]), "removed all API calls\n");
}

#[test]
fn requests_are_shown_as_they_come() {
    let (_server, info) = serve(&["--seed", "1"]);
    let url = base_url(&info);
    let mut following = command(&["ctl", "--url", &url, "requests", "--follow"]);
    let mut following = Server(following.spawn().expect("a process"));
    let lines = Lines::of(following.0.stdout.take().expect("its output"));
    for path in ["/first", "/second"] {
        ask(&url, path, &["Host: localhost"]);
        lines.after(path);
    }
}

#[test]
fn a_world_gets_a_port_from_a_shell() {
    let (_server, info) = serve(&[]);
    let url = base_url(&info);
    let ctl = |arguments: &[&str]| out(&[&["ctl", "--url", &url], arguments].concat());
    let made = ctl(&["world", "make", "alpha", "--port", "0"]);
    let alpha = made.trim_end();
    assert!(!alpha.contains("/t/"), "{alpha}");
    assert_eq!(ctl(&["world"]), format!("{url}/t/alpha  {alpha}\n"));
    assert_eq!(out(&["health", alpha]), out(&["health", &url]));
    let here = out(&["ctl", "--url", alpha, "call", "GET", "/info"]);
    let here: Value = serde_json::from_str(&here).expect("JSON");
    assert_eq!(here["base_url"], alpha);
    assert_eq!(ctl(&["world", "open", "alpha"]), made);
    assert_eq!(ctl(&["world", "close", "alpha"]), "closed\n");
    assert_eq!(ctl(&["world"]), format!("{url}/t/alpha\n"));
    let beta = ctl(&["world", "open", "beta"]);
    assert!(beta.starts_with("http://127.0.0.1:"), "{beta}");
    let (status, said) = failure(&["ctl", "--url", &url, "world", "close", "alpha"]);
    assert_eq!(status, 1);
    assert!(said.contains("does not have a port"), "{said}");
}
