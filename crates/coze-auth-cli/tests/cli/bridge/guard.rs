//! Who may talk to a bridge: which names it has, which pages, and from where.

use std::time::Duration;

use super::process::{Answer, Bridge};
use crate::support::{Home, Run};

const METADATA: &str = "/.well-known/oauth-authorization-server";
const AUTHORIZE: &str =
    "/authorize?response_type=code&client_id=1&redirect_uri=https%3A%2F%2Fapp.example%2Fcb";

/// A page under a foreign name that leads to this machine has the name alone (DNS rebinding).
#[test]
fn a_foreign_name_leads_nowhere() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let port = bridge.to.port();
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        let answer = bridge.get(METADATA, &[&format!("Host: {host}:{port}")]);
        assert_eq!(answer.status, 200, "{host}: {answer:?}");
    }
    let other = format!("127.0.0.1:{}", port ^ 1);
    let suffixed = format!("localhost:{port}.evil.example");
    let stop = format!("localhost.:{port}");
    let near = format!("evil.localhost:{port}");
    for host in [
        "evil.example",
        "127.0.0.1",
        "",
        &other,
        &suffixed,
        &stop,
        &near,
        "\u{ff}",
    ] {
        for at in [METADATA, AUTHORIZE, "/userinfo", "/nothing"] {
            let answer = bridge.get(at, &[&format!("Host: {host}")]);
            assert_eq!(answer.status, 403, "{host} {at}: {answer:?}");
            assert!(
                answer.body.contains("a name that is not this bridge's"),
                "{answer:?}"
            );
            assert_eq!(answer.header("location"), "");
        }
    }
    let host = format!("Host: {}", bridge.to);
    assert_eq!(bridge.get(METADATA, &[&host, &host]).status, 400);
    assert_eq!(
        bridge.get(METADATA, &[&host, "Host: evil.example"]).status,
        400
    );
    assert_eq!(
        bridge
            .get(&format!("http://evil.example{METADATA}"), &[&host])
            .status,
        403
    );
    let absolute = bridge.get(&format!("http://{}{METADATA}", bridge.to), &[&host]);
    assert_eq!(absolute.status, 200);
    assert_eq!(
        bridge
            .raw(format!("GET {METADATA} HTTP/1.0\r\n\r\n").as_bytes())
            .status,
        400
    );
    // What looks whether it lives has the name of a machine.
    assert_eq!(bridge.get("/health", &["Host: 10.0.0.7:8555"]).body, "ok\n");
}

/// As a browser says it: the lines of the Fetch standard.
#[test]
fn a_page_of_another_site_can_do_no_more_than_open_a_login() {
    let home = Home::new();
    let bridge = Bridge::start(&home);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "r"),
        ("client_id", "c"),
    ];
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost:3000",
        &format!("http://{}", bridge.to),
    ] {
        let line = format!("Origin: {origin}");
        for answer in [
            bridge.token(&[&line], &form),
            bridge.post("/device_authorization", &[&line], &[("client_id", "c")]),
            bridge.get(
                "/userinfo",
                &[&line, "Authorization: Bearer pat_mock_alice"],
            ),
            bridge.ask(
                "OPTIONS",
                "/token",
                &[&line, "Access-Control-Request-Method: POST"],
                "",
            ),
        ] {
            answer.refused(403, "invalid_request");
            assert_eq!(
                answer.header("access-control-allow-origin"),
                "",
                "{answer:?}"
            );
        }
    }
    let sent = |at: &str, site: &str, mode: &str, dest: &str| -> Answer {
        let lines = [
            format!("Sec-Fetch-Site: {site}"),
            format!("Sec-Fetch-Mode: {mode}"),
            format!("Sec-Fetch-Dest: {dest}"),
        ];
        bridge.get(at, &lines.each_ref().map(String::as_str))
    };
    for site in ["cross-site", "same-site", "none", "same-origin"] {
        assert_eq!(
            sent(AUTHORIZE, site, "navigate", "document").status,
            302,
            "{site}"
        );
        for dest in ["iframe", "frame", "object", "embed"] {
            assert_eq!(
                sent(AUTHORIZE, site, "navigate", dest).status,
                403,
                "{site} {dest}"
            );
        }
        assert_eq!(
            sent(AUTHORIZE, site, "no-cors", "image").status,
            403,
            "{site}"
        );
        assert_eq!(sent(AUTHORIZE, site, "cors", "empty").status, 403, "{site}");
    }
    for site in ["cross-site", "same-site"] {
        for (mode, dest) in [
            ("navigate", "document"),
            ("no-cors", "image"),
            ("no-cors", "script"),
            ("cors", "empty"),
        ] {
            for at in [METADATA, "/userinfo", "/health"] {
                assert_eq!(sent(at, site, mode, dest).status, 403, "{at} {site} {mode}");
            }
        }
    }
    assert_eq!(
        sent(METADATA, "none", "navigate", "document").status,
        200,
        "a person looks at it"
    );
    // A form that is sent in a tab.
    let lines = [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Mode: navigate",
        "Sec-Fetch-Dest: document",
    ];
    bridge.token(&lines, &form).refused(403, "invalid_request");
    bridge
        .token(&["Sec-Fetch-Site: none", "Sec-Fetch-Site: none"], &form)
        .refused(400, "invalid_request");
    assert_eq!(home.mock.requests().len(), 0, "nothing of it is Coze's");
    // Node's `fetch` has this one alone.
    bridge
        .token(&["Sec-Fetch-Mode: cors"], &form)
        .refused(401, "invalid_client");
    assert_eq!(home.mock.requests().len(), 1);
}

#[test]
fn a_page_that_is_allowed_calls_and_is_answered() {
    let home = Home::new();
    let bridge = Bridge::with(&home, &["--allow-origin", "https://app.example.com"]);
    let origin = "Origin: https://app.example.com";
    let site = [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Mode: cors",
        "Sec-Fetch-Dest: empty",
    ];
    let asked = [
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization",
    ];
    let preflight = bridge.ask(
        "OPTIONS",
        "/token",
        &[&[origin], &site[..], &asked].concat(),
        "",
    );
    assert_eq!(preflight.status, 204, "{preflight:?}");
    assert_eq!(preflight.header("access-control-allow-methods"), "POST");
    assert_eq!(
        preflight.header("access-control-allow-headers"),
        "authorization, content-type"
    );
    let answer = bridge.token(
        &[&[origin], &site[..]].concat(),
        &[("grant_type", "password")],
    );
    answer.refused(400, "unsupported_grant_type");
    for answer in [&preflight, &answer] {
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "https://app.example.com"
        );
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        assert_eq!(answer.header("vary"), "Origin");
        assert!(
            answer
                .header("access-control-expose-headers")
                .contains("x-tt-logid")
        );
    }
    for other in [
        "https://app.example.com:8443",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "null",
    ] {
        let answer = bridge.token(
            &[&format!("Origin: {other}")],
            &[("grant_type", "password")],
        );
        answer.refused(403, "invalid_request");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    let twice = bridge.token(&[origin, "Origin: https://evil.example"], &[]);
    twice.refused(400, "invalid_request");
}

#[test]
fn behind_a_proxy_it_has_the_public_name() {
    let home = Home::new();
    let options = [
        "--listen",
        "0.0.0.0:0",
        "--public-url",
        "https://Oauth.Example.com/",
        "--allow-host",
        "bridge:8555",
    ];
    let mut command = home.command(&["bridge", "--json"]);
    let bridge = Bridge::of(command.args(options));
    assert_eq!(bridge.issuer, "https://oauth.example.com");
    let near = format!("127.0.0.1:{}", bridge.to.port());
    for host in [
        "oauth.example.com",
        "OAUTH.example.com",
        // Some clients write the port that the scheme has.
        "oauth.example.com:443",
        "bridge:8555",
        &near,
    ] {
        let answer = bridge.get(METADATA, &[&format!("Host: {host}")]);
        assert_eq!(answer.text("issuer"), "https://oauth.example.com", "{host}");
        assert_eq!(
            answer.text("token_endpoint"),
            "https://oauth.example.com/token"
        );
    }
    for host in [
        "oauth.example.com:8443",
        "oauth.example.com:80",
        "bridge",
        "0.0.0.0",
        &format!("0.0.0.0:{}", bridge.to.port()),
    ] {
        assert_eq!(
            bridge.get(METADATA, &[&format!("Host: {host}")]).status,
            403,
            "{host}"
        );
    }
    // Anybody can write these.
    let forwarded = [
        "Host: evil.example",
        "X-Forwarded-Host: oauth.example.com",
        "Forwarded: host=oauth.example.com",
    ];
    assert_eq!(bridge.get(METADATA, &forwarded).status, 403);
}

/// A mistake is told before anything listens.
#[test]
fn other_machines_reach_it_by_name_alone() {
    let home = Home::new();
    let file = home.path.join("machines.json");
    let machines = file.to_str().expect("UTF-8");
    let secret = "sentinel0123456789abcdef";
    let write = |text: &str| std::fs::write(&file, text).expect("written");
    let refused = |options: &[&str], code: i32, says: &str| {
        let mut command = Bridge::command(&home, options);
        let mut child = command
            .stderr(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("it runs");
        let begun = std::time::Instant::now();
        while child.try_wait().expect("a state").is_none() {
            if begun.elapsed() > Duration::from_secs(20) {
                child.kill().expect("it runs");
                panic!("it listens: {options:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let run = Run::of(child.wait_with_output().expect("it ended"));
        assert_eq!(run.code, Some(code), "{options:?}: {run:?}");
        assert!(run.stderr.contains(says), "{options:?}: {run:?}");
        assert!(!run.stderr.contains("sentinel"), "{run:?}");
    };
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        refused(&["--listen", listen], 2, "say --public-url");
    }
    for listen in ["8555", "localhost:8555", "127.0.0.1"] {
        refused(
            &["--listen", listen],
            2,
            "say an IP address and a port, such as 127.0.0.1:8555",
        );
    }
    refused(
        &["--public-url", "http://bridge.example.com"],
        2,
        "--allow-plain-http",
    );
    for url in [
        "oauth.example.com",
        "https://a.example/path",
        "https://a.example/?q",
        "ftp://a.example",
        "https://u:p@a.example",
        "wss://a.example",
    ] {
        refused(&["--public-url", url], 2, "--public-url");
    }
    let named = ["--public-url", "https://a.example", "--allow-host"];
    for host in ["http://a", "a/b", "a b", "a@b", "", "*"] {
        refused(&[&named[..], &[host]].concat(), 2, "--allow-host");
    }
    for origin in [
        "*",
        "null",
        "app.example",
        "http://app.example",
        "https://app.example/path",
    ] {
        refused(&["--allow-origin", origin], 2, "--allow-origin");
    }
    refused(&["--machine-clients", machines], 7, "cannot be read");
    for (text, says) in [
        (format!("{{\"a\": {secret}}}"), "line 1"),
        (format!("[\"{secret}\"]"), "not an object of client ids"),
        (
            format!("{{\"a\": [\"{secret}\"]}}"),
            "not an object of client ids",
        ),
        ("{}".to_owned(), "has no client"),
        (
            "{\"a\": \"sentinel\"}".to_owned(),
            "is not at least 24 visible characters",
        ),
        (
            "{\"a\": \"sentinel sentinel sentinel sentinel\"}".to_owned(),
            "is not at least 24 visible characters",
        ),
        (
            format!("{{\"a\": \"{secret}\", \"a\": \"{secret}\"}}"),
            "is there twice",
        ),
        (format!("{{\"\": \"{secret}\"}}"), "client id"),
        // Libraries write these in two ways in a Basic header, with and without RFC 6749's encoding.
        (format!("{{\"a:b\": \"{secret}\"}}"), "client id"),
        (format!("{{\"a b\": \"{secret}\"}}"), "client id"),
        (format!("{{\"a%41\": \"{secret}\"}}"), "client id"),
        (format!("{{\"\u{e4}\": \"{secret}\"}}"), "client id"),
        (
            format!("{{\"a\": \"{secret}%41\"}}"),
            "is not at least 24 visible characters of ASCII, without %",
        ),
        // Anybody knows these.
        (
            "{\"a\": \"${SENTINEL_OF_THE_VAULT_OF_GRAFANA}\"}".to_owned(),
            "is a placeholder",
        ),
        (
            "{\"a\": \"your-sentinel-client-secret-here\"}".to_owned(),
            "is a placeholder",
        ),
        (
            format!("{{\"a\": \"{}\"}}", "x".repeat(32)),
            "is a placeholder",
        ),
    ] {
        write(&text);
        refused(&["--machine-clients", machines], 7, says);
    }
    write(&format!("{{\"a\": \"{secret}\"}}"));
    let mut without_key = home.command(&[
        "bridge",
        "--listen",
        "127.0.0.1:0",
        "--machine-clients",
        machines,
    ]);
    let run = Run::of(without_key.output().expect("it ends"));
    assert_eq!(run.code, Some(7), "{run:?}");
    assert!(run.stderr.contains("COZE_JWT_OAUTH_CLIENT_ID"), "{run:?}");
    assert!(
        run.stderr
            .contains("or say --config with the file of the app"),
        "{run:?}"
    );
    assert!(!run.stderr.contains("--client-id"), "{run:?}");
    let taken = Bridge::start(&home);
    refused(&["--listen", &taken.to.to_string()], 7, "cannot listen on");
    let mut nowhere = home.command(&["bridge", "--listen", "127.0.0.1:0"]);
    let run = Run::of(
        nowhere
            .env_remove("COZE_API_BASE")
            .output()
            .expect("it ends"),
    );
    assert_eq!(run.code, Some(2), "{run:?}");
}
