//! The dashboard's door, and what it does not show.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;

use crate::support::{Mock, NOW, Reply, authorize_url, target};

const HERE: (&str, &str) = ("Host", "127.0.0.1:9777");

fn ask(m: &Mock, method: &str, path: &str, headers: &[(&str, &str)], body: &'static str) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Bytes::from_static(body.as_bytes());
    m.send(request.body(body).expect("a request"))
}

fn later(m: &Mock, headers: &[(&str, &str)]) -> Reply {
    ask(m, "POST", "/_mock/act", headers, "do=clock&by=60")
}

#[test]
fn a_form_counts_from_our_own_pages_alone() {
    let m = Mock::new();
    let refused: [&[(&str, &str)]; 6] = [
        &[HERE, ("Sec-Fetch-Site", "cross-site")],
        &[HERE, ("Sec-Fetch-Site", "same-site")],
        &[HERE, ("Sec-Fetch-Site", "none")],
        &[HERE, ("Origin", "http://127.0.0.1:3000")],
        &[HERE, ("Origin", "null")],
        &[("Host", "evil.example"), ("Sec-Fetch-Site", "same-origin")],
    ];
    for headers in refused {
        let reply = later(&m, headers);
        assert_eq!(reply.status, 403, "{headers:?}");
    }
    assert_eq!(m.clock.unix().as_secs(), NOW);
    let taken: [&[(&str, &str)]; 3] = [
        &[HERE, ("Sec-Fetch-Site", "same-origin")],
        &[HERE, ("Origin", "http://127.0.0.1:9777")],
        &[HERE],
    ];
    for (n, headers) in (1..).zip(taken) {
        let reply = later(&m, headers);
        assert_eq!((reply.status, reply.header("location")), (303, "./#clock"));
        assert_eq!(m.clock.unix().as_secs(), NOW + n * 60);
    }
}

#[test]
fn behind_a_public_url_its_own_origin_counts() {
    let m = Mock::with(|builder| builder.public_url("https://dev.example/coze"));
    let from = |origin| later(&m, &[("Host", "127.0.0.1:9777"), ("Origin", origin)]).status;
    assert_eq!(from("https://dev.example"), 303);
    assert_eq!(from("https://dev.example:81"), 403);
}

#[test]
fn a_browser_brings_the_admin_token_as_a_password() {
    let m = Mock::with(|builder| builder.admin_token("let-me-in"));
    for path in [
        "/_mock/",
        "/_mock/journal-start",
        "/_mock/journal",
        "/_mock/request",
        "/t/w/_mock/",
    ] {
        let without = ask(&m, "GET", path, &[HERE], "");
        assert_eq!(without.status, 401, "{path}");
        assert!(
            without
                .header("www-authenticate")
                .starts_with("Basic realm=")
        );
        assert!(!without.text.contains("let-me-in"));
    }
    let status = |path: &str, pair: &str| {
        let basic = format!("Basic {}", STANDARD.encode(pair));
        ask(&m, "GET", path, &[HERE, ("Authorization", &basic)], "").status
    };
    for path in ["/_mock/", "/_mock/v1/clock"] {
        assert_eq!(status(path, "anyone:let-me-in"), 200);
        assert_eq!(status(path, ":let-me-in"), 200);
        assert_eq!(status(path, "let-me-in:"), 401);
        assert_eq!(status(path, "let-me-in"), 401);
    }
    let without = later(&m, &[HERE, ("Sec-Fetch-Site", "same-origin")]);
    assert_eq!(without.status, 401);
}

#[test]
fn no_secret_is_shown() {
    let m = Mock::new();
    let (access, refresh) = m.web_tokens();
    m.me(&access);
    m.refresh_web(&refresh);
    let page = ask(&m, "GET", "/_mock/?paused=1", &[HERE], "");
    assert_eq!(page.status, 200);
    assert!(page.text.contains("GET"), "{}", page.text);
    let logid = m.mock.requests().pop().expect("a request").outcome.logid;
    let path = format!("/_mock/request?logid={logid}");
    let request = ask(&m, "GET", &path, &[HERE], "");
    assert_eq!(request.status, 200);
    for secret in [
        &access,
        &refresh,
        "mock-web-secret",
        "pat_mock_alice",
        "PRIVATE KEY",
    ] {
        assert!(!page.text.contains(secret) && !request.text.contains(secret));
    }
    assert_eq!(
        ask(&m, "GET", "/_mock/request?logid=x", &[HERE], "").status,
        404
    );
}

#[test]
fn what_a_client_sends_is_escaped() {
    let m = Mock::new();
    let hostile = authorize_url(&[("client_id", "<script>alert(1)</script>")]);
    m.get(target(&hostile), None);
    m.get("/%3Cscript%3E", None);
    let page = ask(&m, "GET", "/_mock/?paused=1", &[HERE], "");
    assert!(!page.text.contains("<script"), "{}", page.text);
    assert!(page.text.contains("&#60;script&#62;"), "{}", page.text);
}

#[test]
fn a_form_that_is_not_understood_changes_nothing() {
    let m = Mock::new();
    for (body, status) in [
        ("", 400),
        ("do=clock&by=soon", 400),
        ("do=device&action=approve&user_code=AAA", 404),
        ("do=device&action=maybe", 400),
        ("do=fault&kind=none&endpoint=token", 400),
        ("do=fault&kind=redirect&endpoint=token", 400),
        ("do=fault&kind=member&endpoint=token&member=&to=null", 400),
        ("do=fault&kind=callback_twice&endpoint=token", 400),
        ("do=fault_off&action=remove&id=f9", 404),
        ("do=gate&action=release&id=g", 404),
    ] {
        assert_eq!(
            ask(&m, "POST", "/_mock/act", &[HERE], body).status,
            status,
            "{body}"
        );
    }
    assert_eq!(m.clock.unix().as_secs(), NOW);
}

#[test]
fn a_member_is_changed_by_the_form() {
    let m = Mock::new();
    let page = ask(&m, "GET", "/_mock/?paused=1", &[HERE], "");
    for kind in ["member", "consent_policy", "callback_307", "callback_twice"] {
        let option = format!("<option value=\"{kind}\">{kind}</option>");
        assert!(page.text.contains(&option), "{kind}");
    }
    let form = "do=fault&kind=member&endpoint=users_me&member=data.user_name&to=absent";
    assert_eq!(ask(&m, "POST", "/_mock/act", &[HERE], form).status, 303);
    assert_eq!(m.me("pat_mock_alice").json["data"].get("user_name"), None);
    assert_eq!(
        m.me("pat_mock_alice").json["data"]["user_name"],
        "alice",
        "once"
    );
    let form = "do=fault&kind=member&endpoint=users_me&member=code&value=%7B%7D";
    assert_eq!(ask(&m, "POST", "/_mock/act", &[HERE], form).status, 303);
    assert_eq!(m.me("pat_mock_alice").json["code"], serde_json::json!({}));
    // Other kinds leave the members of the form alone.
    let form = "do=fault&kind=empty_200&endpoint=users_me&member=expires_in&to=absent";
    assert_eq!(ask(&m, "POST", "/_mock/act", &[HERE], form).status, 303);
    assert_eq!(m.me("pat_mock_alice").text, "");
}

#[test]
fn the_pages_speak_the_browsers_language() {
    let m = Mock::new();
    for (accepted, lang, title) in [
        ("zh-CN,en;q=0.5", "zh-CN", "连接设备"),
        ("en,zh;q=0.5", "en", "Connect a device"),
        ("fr", "en", "Connect a device"),
    ] {
        let path = "/oauth/device-activation";
        let page = ask(&m, "GET", path, &[HERE, ("Accept-Language", accepted)], "");
        assert_eq!(page.header("content-language"), lang);
        assert_eq!(page.header("vary"), "Accept-Language");
        assert!(page.text.contains(&format!("<html lang=\"{lang}\">")));
        assert!(page.text.contains(title));
    }
    let refused = authorize_url(&[("redirect_uri", "http://evil.example/")]);
    let page = ask(
        &m,
        "GET",
        target(&refused),
        &[("Accept-Language", "zh")],
        "",
    );
    assert!(page.text.contains("OAuth 错误"));
}

#[test]
fn a_world_links_the_others() {
    let m = Mock::new();
    m.get("/t/alpha/v1/users/me", None);
    let first = ask(&m, "GET", "/_mock/", &[HERE], "");
    assert!(first.text.contains(r#"href="../t/alpha/_mock/""#));
    let alpha = ask(&m, "GET", "/t/alpha/_mock/", &[HERE], "");
    assert!(alpha.text.contains(r#"href="../../../_mock/""#));
    let there = ask(&m, "GET", "/t/alpha/_mock", &[HERE], "");
    assert_eq!((there.status, there.header("location")), (308, "_mock/"));
}

/// `load` waits for what a page has in it, so nothing in it may be endless.
#[test]
fn the_frame_of_the_dashboard_begins_with_a_page_that_ends() {
    let m = Mock::new();
    let html = |path: &str| {
        let reply = ask(&m, "GET", path, &[HERE], "");
        assert_eq!(reply.status, 200, "{path}");
        reply.text.clone()
    };
    assert!(html("/_mock/").contains("<iframe src=\"journal-start\""));
    // `ask` returns when the body has ended.
    let start = html("/_mock/journal-start");
    assert!(start.contains("http-equiv=\"refresh\" content=\"1; url=journal\""));
    assert!(
        start.ends_with("</html>\n") || start.ends_with("</html>"),
        "{start}"
    );
}

#[test]
fn the_form_of_faults_has_what_each_kind_takes() {
    let add = |m: &Mock, form: &'static str| {
        let reply = ask(m, "POST", "/_mock/act", &[HERE], form);
        let text = reply.text.clone();
        (reply.status, text)
    };
    let m = Mock::new();
    // A field that the page hides is not looked at.
    let redirect = "do=fault&endpoint=users_me&kind=redirect&location=https%3A%2F%2Fsso.example%2F&status=307&header=x-a%3A+b&ms=soon&body=x";
    assert_eq!(add(&m, redirect).0, 303);
    let reply = m.get("/v1/users/me", Some("pat_mock_alice"));
    assert_eq!(reply.status, 307);
    assert_eq!(reply.header("location"), "https://sso.example/");
    assert_eq!(reply.header("x-a"), "b");
    assert_eq!(
        m.get("/v1/users/me", Some("pat_mock_alice")).status,
        200,
        "once"
    );
    let status = "do=fault&endpoint=users_me&kind=status&status=503&body=busy&location=";
    assert_eq!(add(&m, status).0, 303);
    let reply = m.get("/v1/users/me", Some("pat_mock_alice"));
    assert_eq!((reply.status, &*reply.text), (503, "busy"));
    for (form, why) in [
        (
            "do=fault&endpoint=token&kind=redirect",
            "redirect needs a location",
        ),
        (
            "do=fault&endpoint=token&kind=redirect&location=%0A",
            "location",
        ),
        (
            "do=fault&endpoint=token&kind=status&status=many",
            "status is a number",
        ),
        (
            "do=fault&endpoint=token&kind=status&header=none",
            "header is name: value",
        ),
        (
            "do=fault&endpoint=token&kind=delay&ms=0",
            "ms is 1 to 60000",
        ),
        (
            "do=fault&endpoint=token&kind=earthquake",
            "unknown kind earthquake",
        ),
    ] {
        let (status, text) = add(&m, form);
        assert_eq!(status, 400, "{form}");
        assert!(text.contains(why), "{form}: {text}");
    }
    let page = ask(&m, "GET", "/_mock/", &[HERE], "");
    let page = page.text;
    for member in ["status", "ms", "at_byte", "body", "header", "location"] {
        assert!(page.contains(&format!("name=\"{member}\"")), "{member}");
    }
    assert!(
        page.contains("<option value=\"redirect\">"),
        "as any other kind"
    );
}

#[test]
fn the_root_says_what_this_is() {
    let m = Mock::new();
    let at = |path: &str, headers: &[(&str, &str)]| ask(&m, "GET", path, headers, "");
    let text = |reply: &Reply| reply.text.clone();
    let browser = at("/", &[HERE, ("Accept", "text/html,*/*;q=0.8")]);
    assert_eq!(browser.status, 200);
    assert_eq!(browser.header("content-type"), "text/html; charset=utf-8");
    assert!(text(&browser).contains("href=\"http://127.0.0.1:9777/_mock/\""));
    let chinese = [HERE, ("Accept", "text/html"), ("Accept-Language", "zh-CN")];
    assert!(text(&at("/", &chinese)).contains("扣子模拟服务"));
    let curl = at("/", &[HERE, ("Accept", "*/*")]);
    assert_eq!(curl.header("content-type"), "text/plain; charset=utf-8");
    assert!(text(&curl).contains("dashboard      http://127.0.0.1:9777/_mock/\n"));
    for path in ["/t/w", "/t/w/"] {
        let world = text(&at(path, &[HERE]));
        assert!(
            world.contains("http://127.0.0.1:9777/t/w/_mock/\n"),
            "{path}: {world}"
        );
    }
    assert!(m.mock.requests().is_empty(), "a person is not a client");
    // What a client sends to a wrong base is in the journal as before.
    let token = [HERE, ("Authorization", "Bearer pat_mock_alice")];
    let posted = ask(&m, "POST", "/", &[HERE], "{}");
    for reply in [at("/", &token), at("/?code=x", &[HERE]), posted] {
        assert_eq!(reply.rule(), Some("path.known"));
    }
    assert_eq!(m.mock.requests().len(), 3);
}
