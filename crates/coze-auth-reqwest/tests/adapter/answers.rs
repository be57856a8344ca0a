//! Answers of the API: which are looked into, and that they come as they came.

use std::error::Error as _;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use coze_auth_reqwest::Error;
use reqwest::{Method, Request, Response};

use crate::support::{
    LATER, Listener, PATIENCE, TOKEN, application, failed, fixed, logged_in, typed_answer,
};

const JSON: &str = "application/json";
/// How much of a JSON answer is looked at.
const LOOKED_AT: usize = 64 * 1024;

fn get(base: &str) -> Request {
    Request::new(Method::GET, format!("{base}/v1/things").parse().unwrap())
}

fn post(base: &str) -> Request {
    Request::new(Method::POST, format!("{base}/v1/things").parse().unwrap())
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

#[tokio::test]
async fn what_is_no_json_comes_at_once_and_is_read_by_its_owner_alone() {
    for head in [
        "200 OK\r\ncontent-type: text/event-stream",
        "200 OK\r\ncontent-type: text/html",
        "401 Unauthorized\r\ncontent-type: text/event-stream",
        "200 OK",
    ] {
        let (server, next) = unending(head);
        let tokens = fixed(&server.base());
        let answer = tokens.send(&application(), get(&server.base())).await;
        let mut answer = answer.unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "data: first\n\n");
        next.send(()).unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "data: next\n\n");
    }
}

#[tokio::test]
async fn an_event_stream_is_judged_by_its_status() {
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
    let tokens = logged_in(&server.base(), LATER).await;
    let answer = tokens.send(&application(), get(&server.base())).await;
    assert_eq!(answer.unwrap().text().await.unwrap(), "data: yes\n\n");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_page_that_speaks_of_a_bad_token_is_a_page() {
    let page = r#"{"code":4100}"#;
    let server = Listener::scripted([typed_answer("200 OK", "text/html", page)]);
    let tokens = logged_in(&server.base(), LATER).await;
    let answer = tokens.send(&application(), get(&server.base())).await;
    assert_eq!(answer.unwrap().text().await.unwrap(), page);
    assert_eq!(tokens.token().await.unwrap().expose(), "SENTINEL-old");
}

async fn body(answer: Response) -> String {
    String::from_utf8(answer.bytes().await.unwrap().into()).unwrap()
}

#[tokio::test]
async fn json_is_looked_into_up_to_64_kib_and_comes_byte_for_byte() {
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
            let tokens = logged_in(&server.base(), LATER).await;
            let answer = tokens.send(&application(), post(&server.base())).await;
            assert!(body(answer.unwrap()).await == refusal, "{length} bytes");
            let token = tokens.token().await.unwrap();
            let renewed = token.expose() == "SENTINEL-token";
            assert_eq!(renewed, seen, "{length} bytes");
        }
    }
}

#[tokio::test]
async fn a_refusal_in_chunks_under_200_is_renewed() {
    let refusal = chunked("200 OK", r#"{"code":4100}"#, 5);
    let done = typed_answer("200 OK", JSON, r#"{"code":0}"#);
    let server = Listener::scripted([refusal, granted(), done]);
    let tokens = logged_in(&server.base(), LATER).await;
    let answer = tokens.send(&application(), get(&server.base())).await;
    assert_eq!(body(answer.unwrap()).await, r#"{"code":0}"#);
    assert!(server.requests()[2].contains("Bearer SENTINEL-token"));
}

#[tokio::test]
async fn an_answer_that_is_too_long_to_look_into_is_judged_by_its_status() {
    let long = long_refusal(LOOKED_AT + 1).replace("4100", "4101");
    let refusal = typed_answer("401 Unauthorized", JSON, &long);
    let done = typed_answer("200 OK", JSON, "{}");
    let server = Listener::scripted([refusal, granted(), done]);
    let tokens = logged_in(&server.base(), LATER).await;
    let answer = tokens.send(&application(), get(&server.base())).await;
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test]
async fn all_else_of_an_answer_survives() {
    for length in [50, 2 * LOOKED_AT] {
        let json = typed_answer("207 Multi-Status", JSON, &long_refusal(length));
        let json = json.replacen("HTTP/1.1", "HTTP/1.0", 1);
        let server = Listener::saying(json);
        let request = get(&server.base());
        let plain = application().execute(get(&server.base())).await.unwrap();
        let tokens = fixed(&server.base());
        let answer = tokens.send(&application(), request).await.unwrap();
        assert_eq!(answer.status(), 207);
        assert_eq!(answer.version(), plain.version());
        assert_eq!(answer.headers(), plain.headers());
        assert_eq!(answer.headers()["x-tt-logid"], "log-1");
        assert_eq!(answer.url(), get(&server.base()).url());
        assert_eq!(answer.remote_addr(), Some(server.address));
        assert_eq!(answer.content_length(), Some(length as u64));
    }
}

#[tokio::test]
async fn json_that_breaks_off_is_the_requests_error() {
    let whole = typed_answer("401 Unauthorized", JSON, r#"{"code":4100}"#);
    let server = Listener::saying(&whole.as_bytes()[..whole.len() - 3]);
    let tokens = logged_in(&server.base(), LATER).await;
    let error = failed(tokens.send(&application(), get(&server.base())).await);
    assert!(matches!(error, Error::Request(_)), "{error:?}");
    let source = error.source().unwrap().downcast_ref::<reqwest::Error>();
    assert!(source.unwrap().is_body() || source.unwrap().is_decode());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn json_that_breaks_off_later_is_the_readers_error() {
    let whole = typed_answer("200 OK", JSON, &long_refusal(2 * LOOKED_AT));
    let server = Listener::saying(&whole.as_bytes()[..whole.len() - 3]);
    let tokens = fixed(&server.base());
    let answer = tokens.send(&application(), get(&server.base())).await;
    let error = answer.unwrap().bytes().await.unwrap_err();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
}
