//! Answers of the API: which are looked into, and that they come as they came.

use std::error::Error as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use coze_auth_ureq::Error;
use ureq::http::{Request, Response};
use ureq::{Body, ResponseExt as _};

use crate::support::{
    LATER, Listener, PATIENCE, TOKEN, application, failed, fixed, logged_in, typed_answer,
};

const JSON: &str = "application/json";
/// How much of a JSON answer is looked at.
const LOOKED_AT: usize = 64 * 1024;

fn get(base: &str) -> Request<()> {
    Request::get(format!("{base}/v1/things")).body(()).unwrap()
}

/// With a length, of which ureq would have none for `()`.
fn post(base: &str) -> Request<&'static str> {
    Request::post(format!("{base}/v1/things")).body("").unwrap()
}

fn granted() -> String {
    typed_answer("200 OK", JSON, TOKEN)
}

/// The code of a bad token, in this many bytes.
fn long_refusal(length: usize) -> String {
    let empty = r#"{"code":4100,"msg":""}"#.len();
    format!(r#"{{"code":4100,"msg":"{}"}}"#, "x".repeat(length - empty))
}

/// An answer in chunks of this size.
fn chunked(status: &str, body: &str, size: usize) -> String {
    let mut answer =
        format!("HTTP/1.1 {status}\r\ncontent-type: {JSON}\r\ntransfer-encoding: chunked\r\n\r\n");
    for chunk in body.as_bytes().chunks(size) {
        let text = std::str::from_utf8(chunk).unwrap();
        answer += &format!("{:x}\r\n{text}\r\n", chunk.len());
    }
    answer + "0\r\n\r\n"
}

/// A server that says `first`, and `next` when it is told to, and keeps the connection open.
fn unending(head: &str) -> (Listener, Sender<()>) {
    let head = head.to_owned();
    let (next, told): (_, Receiver<()>) = channel();
    let open = Mutex::new(Vec::new());
    let server = Listener::start(move |stream, _| {
        write!(stream, "HTTP/1.1 {head}\r\n\r\ndata: first\n\n").unwrap();
        if told.recv_timeout(PATIENCE).is_ok() {
            stream.write_all(b"data: next\n\n").unwrap();
        }
        open.lock().unwrap().push(stream.try_clone().unwrap());
    });
    (server, next)
}

#[test]
fn what_is_no_json_comes_at_once_and_is_read_by_its_owner_alone() {
    for head in [
        "200 OK\r\ncontent-type: text/event-stream",
        "200 OK\r\ncontent-type: text/html",
        "401 Unauthorized\r\ncontent-type: text/event-stream",
        "200 OK",
    ] {
        let (server, next) = unending(head);
        let tokens = fixed(&server.base());
        let answer = tokens.send(&application(), get(&server.base()));
        let mut lines = BufReader::new(answer.unwrap().into_body().into_reader()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "data: first");
        next.send(()).unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "");
        assert_eq!(lines.next().unwrap().unwrap(), "data: next");
    }
}

#[test]
fn an_event_stream_is_judged_by_its_status() {
    let open = Mutex::new(Vec::new());
    let server = Listener::start(move |stream, number| {
        let answer = match number {
            0 => "HTTP/1.1 401 Unauthorized\r\ncontent-type: text/event-stream\r\n\r\ndata: no\n\n"
                .to_owned(),
            1 => granted(),
            _ => typed_answer("200 OK", "text/event-stream", "data: yes\n\n"),
        };
        stream.write_all(answer.as_bytes()).unwrap();
        if number == 0 {
            // It never ends.
            open.lock().unwrap().push(stream.try_clone().unwrap());
        }
    });
    let tokens = logged_in(&server.base(), LATER);
    let answer = tokens.send(&application(), get(&server.base()));
    assert_eq!(body(answer.unwrap()), "data: yes\n\n");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_page_that_speaks_of_a_bad_token_is_a_page() {
    let page = r#"{"code":4100}"#;
    let server = Listener::scripted([typed_answer("200 OK", "text/html", page)]);
    let tokens = logged_in(&server.base(), LATER);
    let answer = tokens.send(&application(), get(&server.base()));
    assert_eq!(body(answer.unwrap()), page);
    assert_eq!(tokens.token().unwrap().expose(), "SENTINEL-old");
}

fn body(answer: Response<Body>) -> String {
    answer.into_body().read_to_string().unwrap()
}

#[test]
fn json_is_looked_into_up_to_64_kib_and_comes_byte_for_byte() {
    for (length, seen) in [
        (100, true),
        (LOOKED_AT - 1, true),
        (LOOKED_AT, true),
        (LOOKED_AT + 1, false),
        (10 * LOOKED_AT, false),
    ] {
        let refusal = long_refusal(length);
        for answer in [
            typed_answer("200 OK", JSON, &refusal),
            chunked("200 OK", &refusal, 1000),
            chunked("200 OK", &refusal, LOOKED_AT),
        ] {
            let server = Listener::scripted([answer.clone(), granted()]);
            let tokens = logged_in(&server.base(), LATER);
            let answer = tokens.send(&application(), post(&server.base()));
            assert!(body(answer.unwrap()) == refusal, "{length} bytes");
            let token = tokens.token().unwrap();
            let renewed = token.expose() == "SENTINEL-token";
            assert_eq!(renewed, seen, "{length} bytes");
        }
    }
}

#[test]
fn a_refusal_in_chunks_under_200_is_renewed() {
    let refusal = chunked("200 OK", r#"{"code":4100}"#, 5);
    let done = typed_answer("200 OK", JSON, r#"{"code":0}"#);
    let server = Listener::scripted([refusal, granted(), done]);
    let tokens = logged_in(&server.base(), LATER);
    let answer = tokens.send(&application(), get(&server.base()));
    assert_eq!(body(answer.unwrap()), r#"{"code":0}"#);
    assert!(server.requests()[2].contains("Bearer SENTINEL-token"));
}

#[test]
fn an_answer_that_is_too_long_to_look_into_is_judged_by_its_status() {
    let long = long_refusal(LOOKED_AT + 1).replace("4100", "4101");
    let refusal = typed_answer("401 Unauthorized", JSON, &long);
    let done = typed_answer("200 OK", JSON, "{}");
    let server = Listener::scripted([refusal, granted(), done]);
    let tokens = logged_in(&server.base(), LATER);
    let answer = tokens.send(&application(), get(&server.base()));
    assert_eq!(answer.unwrap().status(), 200);
}

#[test]
fn all_else_of_an_answer_survives() {
    for length in [50, 2 * LOOKED_AT] {
        let json = typed_answer("207 Multi-Status", JSON, &long_refusal(length));
        let json = json.replacen("HTTP/1.1", "HTTP/1.0", 1);
        let server = Listener::saying(json);
        let request = get(&server.base());
        let plain = application().run(get(&server.base())).unwrap();
        let tokens = fixed(&server.base());
        let answer = tokens.send(&application(), request).unwrap();
        assert_eq!(answer.status(), 207);
        assert_eq!(answer.version(), plain.version());
        assert_eq!(answer.headers(), plain.headers());
        assert_eq!(answer.headers()["x-tt-logid"], "log-1");
        assert_eq!(answer.get_uri(), get(&server.base()).uri());
        assert_eq!(answer.body().mime_type(), plain.body().mime_type());
        // ureq has no way to give a body a length when a part of it is still to come.
        let known = (length <= LOOKED_AT).then_some(length as u64);
        assert_eq!(answer.body().content_length(), known);
    }
}

#[test]
fn json_that_breaks_off_is_the_requests_error() {
    let whole = typed_answer("401 Unauthorized", JSON, r#"{"code":4100}"#);
    let server = Listener::saying(&whole.as_bytes()[..whole.len() - 3]);
    let tokens = logged_in(&server.base(), LATER);
    let error = failed(tokens.send(&application(), get(&server.base())));
    assert!(matches!(error, Error::Request(_)), "{error:?}");
    let source = error.source().unwrap().downcast_ref::<ureq::Error>();
    assert!(matches!(source, Some(ureq::Error::Io(_))), "{source:?}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn json_that_breaks_off_later_is_the_readers_error() {
    let whole = typed_answer("200 OK", JSON, &long_refusal(2 * LOOKED_AT));
    let server = Listener::saying(&whole.as_bytes()[..whole.len() - 3]);
    let tokens = fixed(&server.base());
    let answer = tokens.send(&application(), get(&server.base()));
    let error = answer.unwrap().into_body().read_to_vec().unwrap_err();
    assert!(matches!(error, ureq::Error::Io(_)), "{error:?}");
}

#[test]
fn a_builder_is_taken_and_its_error_is_the_requests() {
    let server = Listener::scripted([typed_answer("200 OK", JSON, "{}")]);
    let tokens = fixed(&server.base());
    let builder = Request::get(format!("{}/v1/things?page=2", server.base())).header("x-mine", "1");
    let answer = tokens.send(&application(), builder).unwrap();
    assert_eq!(answer.status(), 200);
    let request = &server.requests()[0];
    assert!(request.starts_with("GET /v1/things?page=2 "), "{request}");
    assert!(request.contains("\r\nx-mine: 1\r\n"), "{request}");
    assert!(request.contains("\r\nauthorization: Bearer "), "{request}");

    let builder = Request::get(server.base()).header("x-mine", "SENTINEL\n");
    let error = failed(tokens.send(&application(), builder));
    assert!(matches!(error, Error::Request(_)), "{error:?}");
    let source = error.source().unwrap().downcast_ref::<ureq::Error>();
    assert!(matches!(source, Some(ureq::Error::Http(_))), "{error:?}");
    assert_eq!(server.requests().len(), 1, "nothing was sent");
}

/// What a request says of its own holds for it, and for the one that is sent in its place.
#[test]
fn settings_of_one_request_are_kept() {
    let refusal = typed_answer("401 Unauthorized", JSON, r#"{"code":4100}"#);
    let server = Listener::scripted([refusal, granted(), typed_answer("200 OK", JSON, "{}")]);
    let tokens = logged_in(&server.base(), LATER);
    let agent = application();
    let request = agent.configure_request(get(&server.base()));
    let request = request.user_agent("of-this-request").build();
    assert_eq!(tokens.send(&agent, request).unwrap().status(), 200);
    for number in [0, 2] {
        let request = &server.requests()[number];
        assert!(
            request.contains("\r\nuser-agent: of-this-request\r\n"),
            "{request}"
        );
    }
}
