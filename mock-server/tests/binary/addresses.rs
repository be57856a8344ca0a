//! Where the mock listens, and who may come.

use std::io::{BufRead as _, BufReader};

use crate::support::*;

#[test]
fn a_name_of_this_machine_is_an_address() {
    let (_server, info) = start(&mut command(&[
        "--listen",
        "localhost:0",
        "--print",
        "json",
    ]));
    assert_eq!(run(&["health", &base_url(&info)]).status.code(), Some(0));
    for (listen, said) in [
        ("localhost", "expected HOST:PORT, such as 127.0.0.1:9777"),
        (
            "no-such-host.invalid:80",
            "the host name cannot be resolved",
        ),
        ("0.0.0.0:0", "--i-know-this-mints-tokens"),
    ] {
        let (status, errors) = failure(&["--listen", listen]);
        assert_eq!(status, 1);
        assert!(errors.contains(said), "{errors}");
    }
}

#[test]
fn with_other_machines_the_control_plane_requires_a_token() {
    let arguments = [
        "--listen",
        "0.0.0.0:0",
        "--print",
        "text",
        "--i-know-this-mints-tokens",
    ];
    let mut server = Server(command(&arguments).spawn().expect("the command starts"));
    let out = server.0.stdout.take().expect("its standard output");
    let lines = Lines::of(out);
    let after = |words: &str| lines.after(words);
    let listening = after("is listening on http://0.0.0.0:");
    let url = after("Clients use ");
    assert_eq!(url, format!("http://127.0.0.1:{listening}"));
    let token = after("Authorization: Bearer ");
    assert_eq!(token.len(), 32);
    assert!(after("COZE_JWT_OAUTH_PRIVATE_KEY=").contains("Bearer $COZE_AUTH_MOCK_ADMIN_TOKEN"));

    let (status, said) = failure(&["ctl", "--url", &url, "clock"]);
    assert_eq!(status, 1);
    assert!(
        said.contains("requires its admin token: set --admin-token"),
        "{said}"
    );
    let (status, _) = failure(&["ctl", "--url", &url, "--admin-token", "other", "clock"]);
    assert_eq!(status, 1);
    let with = run(&["ctl", "--url", &url, "--admin-token", &token, "clock"]);
    assert_eq!(with.status.code(), Some(0));
    let by_name = command(&["ctl", "--url", &url, "clock"])
        .env("COZE_AUTH_MOCK_ADMIN_TOKEN", &token)
        .status();
    assert!(by_name.expect("the command runs").success());
    assert_eq!(
        run(&["health", &url]).status.code(),
        Some(0),
        "a container has no token"
    );
    let me = ask(
        &url,
        "/v1/users/me",
        &["Host: mock:9777", "Authorization: Bearer pat_mock_alice"],
    );
    assert!(
        me.starts_with("HTTP/1.1 200"),
        "the data plane is for everybody: {me}"
    );
}

#[test]
fn a_token_that_was_given_is_not_printed_and_counts_on_this_machine_too() {
    let (mut server, info) = serve(&["--admin-token", "let-me-in"]);
    let text = command(&["--listen", "127.0.0.1:0", "--admin-token", "let-me-in"]).spawn();
    let mut text = Server(text.expect("the command starts"));
    let banner = BufReader::new(text.0.stdout.take().expect("its standard output")).lines();
    let said: Vec<_> = banner.map_while(Result::ok).take(25).collect();
    assert!(
        said.iter()
            .any(|line| line.ends_with("Bearer <your admin token>")),
        "{said:?}"
    );
    assert!(!said.concat().contains("let-me-in"), "{said:?}");
    let url = base_url(&info);
    assert!(!info.to_string().contains("let-me-in"));
    assert_eq!(failure(&["ctl", "--url", &url, "clock"]).0, 1);
    out(&["ctl", "--url", &url, "--admin-token", "let-me-in", "clock"]);
    let _ = server.0.kill();
    let mut errors = String::new();
    let mut stream = server.0.stderr.take().expect("its standard error");
    std::io::Read::read_to_string(&mut stream, &mut errors).expect("text");
    assert!(!errors.contains("let-me-in"), "{errors}");
}

#[test]
fn the_public_url_comes_from_the_environment_too() {
    let mut command = command(&["--listen", "127.0.0.1:0", "--print", "json"]);
    let command = command.env("COZE_AUTH_MOCK_PUBLIC_URL", "http://mock:9777");
    let (_server, info) = start(command);
    assert_eq!(info["base_url"], "http://mock:9777");
}
