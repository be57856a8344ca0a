//! `api`: what is sent, where it goes, and what is made of the answer.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::{Home, RawApi, Run, json_answer};

/// Runs `api` with these arguments and a token of the variable at this API.
fn at(home: &Home, base: &str, arguments: &[&str], input: &str) -> Run {
    let mut command = home.command(&[&["api"], arguments].concat());
    command
        .env("COZE_API_BASE", base)
        .env("COZE_API_TOKEN", "pat_of_the_variable");
    crate::support::fed(&mut command, input)
}

/// The value of a header, if it was sent once.
fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let mut values = request.lines().filter_map(|line| {
        let (own, value) = line.split_once(": ")?;
        own.eq_ignore_ascii_case(name).then_some(value)
    });
    let value = values.next();
    assert_eq!(values.next(), None, "{name} was sent twice: {request}");
    value
}

#[test]
fn a_body_is_sent_as_json_to_the_byte() {
    let home = Home::new();
    let ok = json_answer("200 OK", r#"{"code":0,"data":{"id":"7"}}"#);
    let body = "{\"name\": \"扣子\",\r\n \"n\":1.0}\n";
    let file = home.path.join("body.json");
    fs::write(&file, body).expect("written");
    let file = file.to_str().expect("UTF-8");
    for (method, input) in [("POST", "-"), ("post", file), ("PUT", "-")] {
        let api = RawApi::new(&[&ok]);
        let base = api.base.clone();
        let run = at(&home, &base, &[method, "/v1/x?a=b", "--input", input], body);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert_eq!(run.stdout, r#"{"code":0,"data":{"id":"7"}}"#, "as it is");
        assert_eq!(run.stderr, "");
        let request = &api.requests()[0];
        let line = format!("{} /v1/x?a=b HTTP/1.1\r\n", method.to_ascii_uppercase());
        assert!(request.starts_with(&line), "{request}");
        assert!(request.ends_with(&format!("\r\n\r\n{body}")), "{request}");
        assert_eq!(header(request, "content-type"), Some("application/json"));
        assert_eq!(
            header(request, "content-length"),
            Some(body.len().to_string().as_str())
        );
        assert_eq!(
            header(request, "authorization"),
            Some("Bearer pat_of_the_variable")
        );
    }
    // Without a body it is none of JSON's.
    let api = RawApi::new(&[&ok]);
    let run = at(&home, &api.base.clone(), &["GET", "/v1/x"], "not read");
    assert_eq!(run.code, Some(0), "{run:?}");
    let request = &api.requests()[0];
    assert_eq!(header(request, "content-type"), None);
    assert!(request.ends_with("\r\n\r\n"), "{request}");
}

#[test]
fn an_input_that_cannot_be_read_is_told_before_anything_is_sent() {
    let home = Home::new();
    for arguments in [
        &["POST", "/v1/x", "--input", "/no/such/file"][..],
        &["POST", "/v1/x", "--input", "/"],
        &["POST", "/v1/x", "--input"],
    ] {
        let run = at(&home, home.mock.base_url(), arguments, "");
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(!run.stderr.contains("pat_"), "{run:?}");
    }
    assert_eq!(home.mock.requests().len(), 0);
}

/// The token's header is the command's own, and so is every other: there is no way to say one, or to say it in a path.
#[test]
fn no_header_is_the_users() {
    let home = Home::new();
    let base = home.mock.base_url();
    for arguments in [
        &["GET", "/v1/users/me", "-H", "Authorization: Bearer x"][..],
        &["GET", "/v1/users/me", "--header", "Host: x"],
        &["GET", "/v1/users/me\r\nX-Evil: 1"],
        &["GET", "/v1/users/me HTTP/1.1\r\nX-Evil: 1\r\n\r\n"],
        &["GET", "/v1/a b"],
        &["TRACE", "/v1/users/me"],
        &["CONNECT", "/v1/users/me"],
        &["GET\r\nX-Evil: 1", "/v1/users/me"],
    ] {
        let run = at(&home, base, arguments, "");
        assert_eq!(run.code, Some(2), "{arguments:?}: {run:?}");
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
    assert_eq!(home.mock.requests().len(), 0);
}

/// By the code of its envelope or by its status; the body is there to read all the same.
#[test]
fn a_refusal_is_status_1_and_tells_the_log_id() {
    let home = Home::new();
    for (status, body, says) in [
        ("200 OK", r#"{"code":4000,"msg":"no"}"#, "with code 4000"),
        (
            "400 Bad Request",
            r#"{"code":4000}"#,
            "with status 400 Bad Request and code 4000",
        ),
        ("500 Internal Server Error", "{}", "with status 500"),
        ("404 Not Found", "[1]", "with status 404"),
    ] {
        let answer = json_answer(status, body).replace(
            "connection: close",
            "x-tt-logid: 2026LOG\r\nconnection: close",
        );
        let api = RawApi::new(&[&answer]);
        let run = at(&home, &api.base.clone(), &["DELETE", "/v1/x"], "");
        assert_eq!(run.code, Some(1), "{run:?}");
        assert_eq!(run.stdout, body);
        assert!(
            run.stderr.contains(says) && run.stderr.contains("[log id 2026LOG]"),
            "{run:?}"
        );
        api.requests();
    }
    let api = RawApi::new(&[&json_answer("204 No Content", "")]);
    let run = at(&home, &api.base.clone(), &["DELETE", "/v1/x"], "");
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
}

/// The token goes to the origin of its login: no redirect, and no way of writing an address, leads elsewhere.
#[test]
fn the_token_is_led_to_no_other_origin() {
    let home = Home::new();
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let other = elsewhere.local_addr().expect("an address");
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    // Closed at once, so that nobody waits for an answer. It ends with the tests.
    thread::spawn(move || {
        for _ in elsewhere.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{other}/v1/x\r\ncontent-length: 0\r\n\r\n"
    );
    let api = RawApi::new(&[&redirect]);
    let run = at(&home, &api.base.clone(), &["GET", "/v1/x"], "");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("not followed"), "{run:?}");
    api.requests();

    let own = home.mock.base_url();
    let (_, own_host) = own.split_once("://").expect("a URL");
    for path in [
        format!("http://{other}/v1/x"),
        format!("//{other}/v1/x"),
        format!("\\\\{other}/v1/x"),
        format!("/\\{other}/v1/x"),
        format!("@{other}/v1/x"),
        format!(".{other}/v1/x"),
        format!(":{}/v1/x", other.port()),
        format!("http://{own_host}@{other}/v1/x"),
        format!("http://{other}#@{own_host}/"),
        format!("http://{other}\\@{own_host}/"),
        format!("HTTP://{other}/"),
        format!("ftp://{own_host}/"),
        format!("https://{own_host}/"),
        "v1/users/me".to_owned(),
        String::new(),
        "*".to_owned(),
    ] {
        let run = at(&home, own, &["GET", &path], "");
        assert!(matches!(run.code, Some(1 | 2)), "{path}: {run:?}");
        assert!(!run.stderr.contains("pat_"), "{path}: {run:?}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0, "nobody has called");
    // Whatever went out went to the API.
    let to_api = home.mock.requests();
    assert!(to_api.iter().all(|request| request.path.starts_with('/')));
}
