//! `serve` and `health`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::*;

#[cfg(unix)]
#[test]
fn it_says_where_it_is_answers_and_stops_when_told() {
    for signal in ["TERM", "INT"] {
        let (mut server, info) = serve(&["--log", "json", "--consent", "approve", "--seed", "1"]);
        let base_url = info["base_url"].as_str().expect("a base URL").to_owned();
        assert!(base_url.starts_with("http://127.0.0.1:"), "{base_url}");
        assert_eq!(info["apps"].as_array().map(Vec::len), Some(5));
        assert_eq!(info["tokens"].as_array().map(Vec::len), Some(2));
        assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(run(&["health", &base_url]).status.code(), Some(0));

        let id = server.0.id().to_string();
        let kill = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {id}")])
            .status();
        assert!(kill.expect("a shell").success());
        assert_eq!(
            server.0.wait().expect("its end").code(),
            Some(0),
            "{signal}"
        );
        let dead = run(&["health", &base_url]);
        assert_eq!(dead.status.code(), Some(1));
        let said = String::from_utf8_lossy(&dead.stderr).into_owned();
        assert!(said.contains("is it running there?"), "{said}");
    }
}

#[cfg(unix)]
#[test]
fn the_log_has_one_line_per_request_on_standard_error() {
    let (mut server, info) = serve(&["--log", "json"]);
    let base_url = info["base_url"].as_str().expect("a base URL");
    let address = base_url.strip_prefix("http://").expect("an http URL");
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    let request = "GET /v1/users/me?x=hidden HTTP/1.1\r\nHost: localhost\r\n\r\n\
        GET /oauth/device-activation?user_code=hidden HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    std::io::Write::write_all(&mut stream, request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let id = server.0.id().to_string();
    let kill = Command::new("sh")
        .args(["-c", &format!("kill {id}")])
        .status();
    assert!(kill.expect("a shell").success());
    let mut log = String::new();
    let mut errors = server.0.stderr.take().expect("its standard error");
    errors.read_to_string(&mut log).expect("text");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert_eq!(lines[0]["method"], "GET");
    assert_eq!(lines[0]["path"], "/v1/users/me");
    assert_eq!(lines[0]["status"], 401);
    assert_eq!(lines[0]["rule"], "token.known");
    let logid = lines[0]["logid"].as_str().expect("a log id");
    assert!(answer.contains(logid));
    assert_eq!(lines[1]["path"], "/oauth/device-activation");
    assert_eq!(lines[1]["status"], 404);
    assert!(!log.contains("hidden"));
}

#[test]
fn rust_log_chooses_what_is_logged() {
    for (wanted, lines) in [
        ("off", 0),
        ("warn", 0),
        ("coze_auth_mock=warn,info", 0),
        ("hyper=off,coze_auth_mock=info", 1),
        ("hyper=loud", 1),
    ] {
        let mut mock = command(&["--listen", "127.0.0.1:0", "--print", "json"]);
        let (mut server, info) = start(mock.env("RUST_LOG", wanted));
        ask(&base_url(&info), "/v1/users/me", &["Host: localhost"]);
        let log = Lines::of(server.0.stderr.take().expect("its standard error"));
        drop(server);
        assert_eq!(log.rest().len(), lines, "{wanted}");
    }
}

#[test]
fn invalid_settings_are_reported_on_standard_error() {
    for (arguments, said) in [
        (
            &["--listen", "0.0.0.0:0"][..],
            "can be reached from other machines",
        ),
        (&["--rule", "code.singleuse=off"], "unknown rule"),
        (&["--rule", "path.known=off"], "cannot be turned off"),
        (&["--rule", "code.single_use"], "expected ID=on or ID=off"),
        (
            &["--answer", "code.known=302"],
            "cannot be answered with status 302",
        ),
        (
            &["serve", "--listen", "[::]:0"],
            "can be reached from other machines",
        ),
    ] {
        let mut server = Server(command(arguments).spawn().expect("the command starts"));
        // Were it to serve after all, a line would come; so nothing here can wait for ever.
        let mut line = String::new();
        let out = server.0.stdout.take().expect("its standard output");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("the end of its output");
        assert_eq!(line, "", "{arguments:?}");
        let mut errors = String::new();
        let mut stream = server.0.stderr.take().expect("its standard error");
        stream.read_to_string(&mut errors).expect("text");
        assert!(errors.contains(said), "{arguments:?}: {errors}");
        assert_ne!(server.0.wait().expect("its end").code(), Some(0));
    }
}

/// A parent that is killed cannot tell anybody, and its end of the pipe closes all the same.
#[cfg(unix)]
#[test]
fn a_mock_ends_with_its_parent_when_that_is_killed() {
    let folder = Folder::new("parent");
    for (option, ends) in [("--until-stdin-closes", true), ("--seed=1", false)] {
        // The parent holds the other end of the pipe, as a test runner does, and the mock is not told of its death.
        let script = "rm -f \"$1\"; mkfifo \"$1\"; \"$0\" --listen 127.0.0.1:0 --print json $2 <\"$1\" & echo $!; exec 3>\"$1\"; exec sleep 600";
        let mut parent = Command::new("sh");
        let mock = env!("CARGO_BIN_EXE_coze-auth-mock");
        parent.args(["-c", script, mock, &folder.path("pipe"), option]);
        let parent = parent.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut parent = Server(parent.spawn().expect("a parent"));
        let lines = Lines::of(parent.0.stdout.take().expect("its output"));
        let mock = lines.after("");
        let info = lines.after("{");
        assert!(info.contains("base_url"), "{info}");
        parent.0.kill().expect("SIGKILL");
        parent.0.wait().expect("its end");
        // Its output is the mock's, too, so it ends when both are gone.
        assert_eq!(lines.end_within(if ends { 20_000 } else { 500 }), ends);
        if !ends {
            let kill = format!("kill {mock}");
            let killed = Command::new("sh").args(["-c", &kill]).status();
            assert!(killed.expect("a shell").success());
        }
    }
}

#[test]
fn a_mock_ends_when_its_standard_input_does() {
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--print",
        "json",
        "--until-stdin-closes",
    ];
    let mut mock = command(&arguments);
    let mut mock = Server(mock.stdin(Stdio::piped()).spawn().expect("it starts"));
    let lines = Lines::of(mock.0.stdout.take().expect("its output"));
    let base = lines.after("\"base_url\":\"");
    let (base, _) = base.split_once('"').expect("a URL");
    let mut stdin = mock.0.stdin.take().expect("its input");
    std::io::Write::write_all(&mut stdin, b"what it is told means nothing\n").expect("a line");
    assert_eq!(run(&["health", base]).status.code(), Some(0));
    drop(stdin);
    assert!(lines.end_within(20_000), "it lives on");
    assert_eq!(mock.0.wait().expect("its end").code(), Some(0));
}

#[test]
fn the_text_at_the_start_names_the_dashboard() {
    let mut mock = command(&["--listen", "127.0.0.1:0"]);
    let mut mock = Server(mock.spawn().expect("the command starts"));
    let lines = Lines::of(mock.0.stdout.take().expect("its output"));
    let base = lines.after("is listening on ");
    assert_eq!(lines.after("Its dashboard is "), format!("{base}/_mock/"));
    let page = ask(
        &base,
        "/_mock/?paused=1",
        &[&format!("Host: {}", &base[7..])],
    );
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
}
