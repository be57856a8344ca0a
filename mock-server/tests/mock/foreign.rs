//! Pages of other sites: what the headers of a browser give away, and what is refused before a world is looked for.

use std::io::Write as _;

use bytes::Bytes;
use coze_auth_mock::Builder;
use http::Request;

use crate::cors::{PAGE, ask};
use crate::logs;
use crate::raw::{connect, read};
use crate::sockets::address;
use crate::support::*;

const HERE: (&str, &str) = ("Host", "127.0.0.1:9777");
const EVIL: &str = "http://evil.example";
/// As Chromium names itself.
const BROWSER: (&str, &str) = (
    "User-Agent",
    "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0",
);
const AS_PAGE: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const AS_IMAGE: (&str, &str) = ("Accept", "image/avif,image/webp,*/*;q=0.8");

/// `Sec-Fetch-Site`, `-Mode` and `-Dest`.
fn fetched<'a>(site: &'a str, mode: &'a str, dest: &'a str) -> [(&'a str, &'a str); 4] {
    [
        HERE,
        ("Sec-Fetch-Site", site),
        ("Sec-Fetch-Mode", mode),
        ("Sec-Fetch-Dest", dest),
    ]
}

fn worlds(m: &Mock) -> Vec<String> {
    let listed = m.get("/_mock/v1/worlds", None).json;
    let all = listed["worlds"].as_array().expect("worlds").clone();
    let names = all.iter().map(|world| world["name"].as_str());
    names.map(|name| name.expect("a name").to_owned()).collect()
}

fn guard(reply: &Reply) -> Option<&str> {
    reply.headers.get("x-mock-guard")?.to_str().ok()
}

#[track_caller]
fn assert_refused(reply: &Reply, why: &str) {
    assert_eq!(
        (guard(reply), reply.status),
        (Some(why), 403),
        "{}",
        reply.text
    );
    assert_eq!(reply.header("x-tt-logid"), "", "no world has seen it");
}

#[test]
fn two_hosts_or_origins_are_refused_on_every_plane() {
    let server = builder().0.start_blocking().expect("a mock");
    for path in [
        "/v1/users/me",
        "/t/alpha/v1/users/me",
        "/oauth/consent",
        "/oauth/avatar.png",
        "/_mock/",
        "/_mock/v1/info",
        "/_mock/v1/worlds",
        "/_mock/v1/info?world=alpha",
    ] {
        for twice in [
            "Host: localhost\r\nHost: localhost\r\n",
            "Host: localhost\r\nhost: evil.example\r\n",
            "Host: localhost\r\nOrigin: http://localhost:1\r\nOrigin: http://localhost:1\r\n",
            "Host: localhost\r\nOrigin: null\r\nORIGIN: http://localhost:1\r\n",
        ] {
            let mut stream = connect(address(&server));
            let request = format!("GET {path} HTTP/1.1\r\n{twice}\r\n");
            stream.write_all(request.as_bytes()).expect("it is taken");
            let received = read(&mut stream, true);
            assert_eq!(received.status(), 400, "{path} {twice}");
            assert_eq!(received.header("x-mock-guard"), ["twice"], "{path}");
        }
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_name_of_another_site_is_refused() {
    let m = Mock::new();
    let me = |m: &Mock, host: &str| {
        let headers = [("Host", host), ("Authorization", "Bearer pat_mock_alice")];
        ask(m, "GET", "/v1/users/me", &headers)
    };
    for host in [
        "localhost",
        "LOCALHOST:9777",
        "127.0.0.1:1",
        "127.9.9.9",
        "[::1]:9777",
        "alpha.localhost:9777",
        // The mock stands for Coze.
        "api.coze.cn",
        "www.coze.com:443",
    ] {
        assert_eq!(me(&m, host).status, 200, "{host}");
    }
    let before = m.mock.requests().len();
    for host in [
        "evil.example:9777",
        "mock",
        "10.0.0.1:9777",
        "0.0.0.0:9777",
        "localhost.evil.example",
        "coze.cn.evil.example",
        "localhost:9777@evil.example",
        "",
    ] {
        assert_refused(&me(&m, host), "host");
        let world = [("Host", host)];
        assert_refused(&ask(&m, "GET", "/t/evil/v1/users/me", &world), "host");
        assert_refused(&ask(&m, "GET", "/oauth/avatar.png", &world), "host");
    }
    // In the target, as HTTP/2 has it, beside a good Host.
    let target = Request::get("http://evil.example/v1/users/me").header("Host", "localhost");
    assert_refused(
        &m.send(target.body(Bytes::new()).expect("a request")),
        "host",
    );
    assert_eq!(m.mock.requests().len(), before);
    assert!(worlds(&m).is_empty());

    let named = |name: &str, set: &dyn Fn(Builder) -> Builder| {
        let m = Mock::with(set);
        assert_eq!(me(&m, name).status, 200, "{name}");
        assert_refused(&me(&m, "evil.example"), "host");
    };
    named("mock:9777", &|builder| {
        builder.public_url("http://mock:9777")
    });
    named("WWW.mock.test:443", &|builder| {
        builder.public_url("https://api.mock.test")
    });
    named("mock.test", &|builder| {
        builder.allowed_hosts(["Mock.Test:80"])
    });
    let toml = "allowed_hosts = [\"mock.test\"]";
    named("mock.test:1", &|builder| {
        builder.toml(toml).expect("a name")
    });
    let proxied = Mock::with(Builder::trust_forwarded);
    let forwarded = |host: &str, reported: &str| {
        let headers = [("Host", host), ("X-Forwarded-Host", reported)];
        ask(&proxied, "GET", "/v1/users/me", &headers).status
    };
    assert_eq!(forwarded("dev.example", "dev.example"), 401);
    assert_eq!(forwarded("evil.example", "localhost"), 403);
    assert_eq!(forwarded("127.0.0.1:9777", "dev.example"), 401);

    for wrong in ["", "a b", "http://mock", "mock/x", "*"] {
        let error = builder().0.allowed_hosts([wrong]).build().err();
        let error = error.expect("a refusal").to_string();
        assert!(error.contains("cannot be an allowed host"), "{error}");
    }
}

#[test]
fn the_names_of_the_certificate_are_names_of_the_mock() {
    let server = builder().0.tls().tls_name("mock.test").start_blocking();
    let server = server.expect("a mock");
    let pem = server.ca_pem().expect("a CA");
    for (host, status) in [
        ("mock.test", 401),
        ("localhost", 401),
        ("evil.example", 403),
    ] {
        let mut stream = crate::tls::secured(connect(address(&server)), pem);
        let request = format!("GET /v1/users/me HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it is taken");
        assert_eq!(read(&mut stream, true).status(), status, "{host}");
    }
}

/// As `http://mock:9777` in a composition of containers, without a public URL.
#[test]
fn what_other_machines_reach_has_names_without_a_dot_and_addresses() {
    let server = builder().0.listen(([0, 0, 0, 0], 0).into());
    let server = server.allow_other_machines().start_blocking();
    let server = server.expect("a mock");
    let status = |host: &str| {
        let mut stream = connect(address(&server));
        let request = format!("GET /v1/users/me HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it is taken");
        read(&mut stream, true).status()
    };
    for host in [
        "mock:9777",
        "coze_mock",
        "172.18.0.3:9777",
        "[fd00::2]:9777",
        "localhost",
    ] {
        assert_eq!(status(host), 401, "{host}");
    }
    for host in [
        "evil.example",
        "mock.internal",
        "0.0.0.0:9777",
        "[::]",
        "a b",
        "",
    ] {
        assert_eq!(status(host), 403, "{host}");
    }
    let named = builder().0.listen_on("localhost:0").start_blocking();
    let named = named.expect("a mock");
    let mut stream = connect(address(&named));
    let request = b"GET /v1/users/me HTTP/1.1\r\nHost: mock\r\n\r\n";
    stream.write_all(request).expect("it is taken");
    assert_eq!(
        read(&mut stream, true).status(),
        403,
        "on loopback it is not"
    );
}

#[test]
fn an_image_a_script_a_frame_and_a_beacon_get_nothing() {
    let m = Mock::new();
    for path in [
        "/v1/users/me",
        TOKEN,
        "/t/evil/v1/users/me",
        "/t/evil/api/permission/oauth2/authorize",
        "/t/evil/oauth/consent",
        "/t/evil/_mock/",
        "/t/evil/_mock/v1/info",
        "/_mock/v1/info?world=evil",
        "/favicon.ico",
    ] {
        for site in ["cross-site", "same-site"] {
            for (mode, dest) in [
                ("no-cors", "image"),
                ("no-cors", "script"),
                ("no-cors", "empty"),
                ("navigate", "iframe"),
                ("navigate", "embed"),
                ("cors", "empty"),
            ] {
                let reply = ask(&m, "GET", path, &fetched(site, mode, dest));
                assert_refused(&reply, "embedded");
            }
        }
    }
    let mut beacon = fetched("same-site", "no-cors", "empty").to_vec();
    beacon.push(("Origin", PAGE));
    assert_refused(&ask(&m, "POST", TOKEN, &beacon), "embedded");
    assert!(m.mock.requests().is_empty());
    assert!(worlds(&m).is_empty());
    // node's fetch says this much.
    let headers = [
        ("Sec-Fetch-Mode", "cors"),
        ("Authorization", "Bearer pat_mock_alice"),
    ];
    assert_eq!(ask(&m, "GET", "/v1/users/me", &headers).status, 200);
}

#[test]
fn a_picture_is_shown_in_every_page_and_makes_no_world() {
    let m = Mock::new();
    let url = m.me("pat_mock_alice").json["data"]["avatar_url"].clone();
    assert_eq!(url, "http://localhost/oauth/avatar.png");
    let headers = [
        ("Host", "127.0.0.1:9777"),
        ("Authorization", "Bearer pat_mock_alice"),
    ];
    let in_world = ask(&m, "GET", "/t/alpha/v1/users/me", &headers);
    let url = in_world.json["data"]["avatar_url"].clone();
    assert_eq!(url, "http://127.0.0.1:9777/t/alpha/oauth/avatar.png");
    for path in [
        "/oauth/avatar.png",
        "/t/alpha/oauth/avatar.png",
        "/t/new/oauth/avatar.png",
    ] {
        let embedded = fetched("cross-site", "no-cors", "image");
        let silent = [HERE, BROWSER, AS_IMAGE];
        for headers in [&[HERE][..], &embedded, &silent] {
            let request = headers
                .iter()
                .fold(Request::get(path), |request, (name, value)| {
                    request.header(*name, *value)
                });
            let answer = m
                .mock
                .call_blocking(request.body(Bytes::new()).expect("a request"));
            assert_eq!(answer.status(), 200, "{path} {headers:?}");
            assert_eq!(answer.headers()["content-type"], "image/png");
            assert_eq!(
                answer.headers()["cross-origin-resource-policy"],
                "cross-origin"
            );
            assert!(answer.body().starts_with(b"\x89PNG\r\n\x1a\n"));
        }
        assert_eq!(ask(&m, "POST", path, &[HERE]).status, 405);
    }
    assert_eq!(worlds(&m), ["alpha"]);
    let near = "/t/a/b/oauth/avatar.png";
    assert_refused(
        &ask(&m, "GET", near, &fetched("cross-site", "no-cors", "image")),
        "embedded",
    );

    let own = "[[user]]\nname = \"alice\"\navatar_url = \"https://app.example/alice.png\"";
    let m = Mock::with(|builder| builder.toml(own).expect("a user"));
    let url = m.me("pat_mock_alice").json["data"]["avatar_url"].clone();
    assert_eq!(url, "https://app.example/alice.png");
}

#[test]
fn a_browser_opens_only_what_is_for_people() {
    let m = Mock::new();
    let opened = |site: &'static str| fetched(site, "navigate", "document");
    let authorize = authorize_url(&[]);
    for site in ["cross-site", "same-site", "none"] {
        let redirect = ask(&m, "GET", target(&authorize), &opened(site));
        assert_eq!(redirect.status, 302, "{site}");
        for (path, status) in [
            ("/oauth/consent", 400),
            ("/oauth/device-activation", 200),
            ("/_mock/", 200),
        ] {
            assert_eq!(
                ask(&m, "GET", path, &opened(site)).status,
                status,
                "{site} {path}"
            );
        }
        for path in ["/v1/users/me", TOKEN, "/nothing"] {
            assert_refused(&ask(&m, "GET", path, &opened(site)), "opened");
        }
        // A form, which a script of a foreign page can send by itself.
        let mut form = opened(site).to_vec();
        assert_refused(&ask(&m, "POST", TOKEN, &form), "form");
        assert_refused(&ask(&m, "POST", target(&authorize), &form), "form");
        form.push(("Origin", EVIL));
        assert_refused(&ask(&m, "POST", TOKEN, &form), "origin");
    }
    assert_eq!(
        ask(&m, "GET", "/_mock/v1/info", &opened("none")).status,
        200
    );
    assert_refused(
        &ask(&m, "GET", "/_mock/v1/info", &opened("cross-site")),
        "opened",
    );
    assert_refused(
        &ask(&m, "POST", "/_mock/v1/reset", &opened("cross-site")),
        "form",
    );
    let mut page = opened("cross-site").to_vec();
    page.push(AS_PAGE);
    let refused = ask(&m, "GET", "/v1/users/me", &page);
    assert!(refused.header("content-type").starts_with("text/html"));
    assert!(
        refused
            .text
            .contains("The dashboard at /_mock/ shows the requests."),
        "{}",
        refused.text
    );
    page.push(("Accept-Language", "zh-CN"));
    assert!(
        ask(&m, "GET", "/v1/users/me", &page)
            .text
            .contains("浏览器打开了供程序调用的地址")
    );
}

#[test]
fn a_decision_is_taken_from_our_own_form_alone() {
    let m = Mock::new();
    let (_, user_code) = m.device();
    let decide = |headers: &[(&str, &str)]| {
        let mut request = Request::post("/oauth/device-activation");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Bytes::from(format!("user_code={user_code}&action=approve"));
        m.send(request.body(body).expect("a request"))
    };
    let own = ("Origin", "http://127.0.0.1:9777");
    for (headers, why) in [
        (&fetched("cross-site", "navigate", "document")[..], "form"),
        (&fetched("same-site", "navigate", "document"), "form"),
        (&fetched("none", "navigate", "document"), "form"),
        (&[HERE, ("Sec-Fetch-Site", "cross-site"), own], "form"),
        (&[HERE, ("Origin", PAGE)], "form"),
        (&[HERE, ("Origin", "null")], "origin"),
        (&[HERE, ("Origin", EVIL)], "origin"),
        (
            &[HERE, ("Sec-Fetch-Site", "same-site"), ("Origin", PAGE)],
            "form",
        ),
    ] {
        assert_refused(&decide(headers), why);
    }
    // A page of plain http to a name such as `mock` sends its origin and nothing else.
    let taken = decide(&[HERE, own]);
    assert_eq!(taken.status, 200, "{}", taken.text);
    for page in [
        target(&authorize_url(&[("client_id", "x")])),
        "/oauth/device-activation",
        "/oauth/consent",
    ] {
        let page = ask(&m, "GET", page, &[HERE]);
        assert_eq!(
            page.header("referrer-policy"),
            "same-origin",
            "or the origin would be null"
        );
        assert!(
            !page
                .header("content-security-policy")
                .contains("form-action")
        );
    }
}

#[test]
fn a_page_of_another_site_leads_to_no_new_world() {
    let m = Mock::new();
    let authorize = target(&authorize_url(&[])).to_owned();
    let open = |site: Option<&'static str>, world: &str, more: &[(&str, &str)]| {
        let mut headers = match site {
            Some(site) => fetched(site, "navigate", "document").to_vec(),
            None => vec![HERE, BROWSER],
        };
        headers.push(AS_PAGE);
        headers.extend(more);
        ask(&m, "GET", &format!("/t/{world}{authorize}"), &headers)
    };
    let from = |referer| [("Referer", referer)];
    for site in [Some("cross-site"), Some("same-site"), None] {
        assert_refused(&open(site, "evil", &[]), "new-world");
        assert_refused(
            &open(site, "evil", &from("http://evil.example/")),
            "new-world",
        );
        assert_refused(
            &open(site, "evil", &from("http://localhost@evil.example/")),
            "new-world",
        );
    }
    let dashboard = fetched("cross-site", "navigate", "document");
    assert_refused(&ask(&m, "GET", "/t/evil/_mock/", &dashboard), "new-world");
    assert_refused(
        &ask(&m, "GET", "/t/evil/oauth/consent", &dashboard),
        "new-world",
    );
    assert!(worlds(&m).is_empty());

    assert_eq!(
        open(Some("cross-site"), "app", &from("http://localhost:3000/x")).status,
        302
    );
    assert_eq!(
        open(None, "old", &from("http://localhost:3000/")).status,
        302
    );
    assert_eq!(open(Some("none"), "typed", &[]).status, 302);
    assert_eq!(open(Some("same-origin"), "link", &[]).status, 302);
    assert_eq!(worlds(&m), ["app", "link", "old", "typed"]);
    assert_eq!(
        open(Some("cross-site"), "typed", &[]).status,
        302,
        "one that is there"
    );
}

/// Plain http to a name that is not this machine's: no `Sec-Fetch-*`, so only what a browser cannot leave out tells.
#[test]
fn behind_a_public_url_a_silent_browser_is_known() {
    let m = Mock::with(|builder| builder.public_url("http://mock:9777"));
    let host = ("Host", "mock:9777");
    for path in [
        "/v1/users/me",
        "/t/evil/v1/users/me",
        "/t/evil/_mock/v1/info",
        TOKEN,
    ] {
        // With the password of the dashboard, which a browser sends by itself.
        let password = ("Authorization", "Basic bWU6bGV0LW1lLWlu");
        let image = ask(&m, "GET", path, &[host, BROWSER, AS_IMAGE, password]);
        assert_refused(&image, "embedded");
        let image = ask(&m, "GET", path, &[host, BROWSER, AS_IMAGE]);
        assert_refused(&image, "embedded");
        let script = ask(&m, "GET", path, &[host, BROWSER, ("Accept", "*/*")]);
        assert_refused(&script, "embedded");
        let fetch = ask(&m, "GET", path, &[host, BROWSER, ("Origin", EVIL)]);
        assert_refused(&fetch, "origin");
        let form = ask(
            &m,
            "POST",
            path,
            &[host, BROWSER, AS_PAGE, ("Origin", EVIL)],
        );
        assert_refused(&form, "origin");
    }
    assert!(m.mock.requests().is_empty());
    assert!(worlds(&m).is_empty());
    let page = [host, BROWSER, AS_PAGE];
    assert_eq!(
        ask(&m, "GET", target(&authorize_url(&[])), &page).status,
        302
    );
    assert_eq!(
        ask(&m, "GET", "/oauth/device-activation", &page).status,
        200
    );
    assert_refused(&ask(&m, "GET", "/v1/users/me", &page), "opened");
    // A page of an allowed origin, and programs, one of which has a browser's name.
    let own = ("Origin", "http://mock:9777");
    let bearer = ("Authorization", "Bearer pat_mock_alice");
    for headers in [
        &[host, BROWSER, own, bearer][..],
        &[host, bearer],
        &[host, BROWSER, bearer],
    ] {
        assert_eq!(
            ask(&m, "GET", "/v1/users/me", headers).status,
            200,
            "{headers:?}"
        );
    }
    assert_eq!(
        ask(&m, "GET", "/v1/users/me", &[host]).status,
        401,
        "a program"
    );
}

#[test]
fn a_refusal_says_why_and_what_to_do() {
    let m = Mock::new();
    let before = logs::of_this_thread().len();
    let evil = "https://evil.example";
    let token = ask(&m, "POST", TOKEN, &[HERE, ("Origin", evil)]);
    let message = token.member("error_message");
    assert!(
        message.contains("--allowed-origins") && message.contains(evil),
        "{message}"
    );
    let api = ask(&m, "GET", "/v1/users/me", &[("Host", "mock.test")]);
    let message = api.member("msg");
    assert!(
        message.contains("--allowed-hosts") && message.contains("mock.test"),
        "{message}"
    );
    let control = ask(&m, "GET", "/_mock/v1/info", &[HERE, ("Origin", evil)]);
    assert!(
        control
            .member("error")
            .contains("only to pages of this machine"),
        "{}",
        control.text
    );
    let log = logs::of_this_thread()[before..].to_owned();
    for said in [
        "WARN",
        "refused=\"origin\"",
        evil,
        "refused=\"host\"",
        "--allowed-hosts",
        "mock.test",
        "status=403",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    // What a refusal repeats is masked as in the journal.
    let secret = "http://pat_mock_alice_and_more_that_is_secret";
    let masked = ask(&m, "GET", "/v1/users/me", &[HERE, ("Origin", secret)]);
    assert!(!masked.text.contains("alice_and_more"), "{}", masked.text);
    assert!(!logs::of_this_thread().contains("alice_and_more"));
    ask(&m, "GET", "/t/w/v1/hunter2", &[("Host", "mock.test")]);
    let log = logs::of_this_thread();
    assert!(
        log.contains("world=\"w\" method=\"GET\" path=\"/v1/***\""),
        "{log}"
    );
    assert!(!log.contains("hunter2"), "{log}");
}
