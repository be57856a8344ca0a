//! The mock's control API and its data plane: requests in their order, each `METHOD TARGET`, headers, an empty line, a body, with a line `%%`
//! between two, against a mock in memory.
//!
//! No request makes the mock fail or hang; the same requests to the same seed have the same answers; what was sent as a credential is nowhere
//! but in its own place; a mock answers afterwards.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use coze_auth_mock::{ClockHandle, CozeAuthMock};
use http::{Request, Response};

use crate::support::{SENTINEL, keeps, parts};

/// More would be a long run and not another one.
const MOST: usize = 12;

fn mock() -> CozeAuthMock {
    let clock = ClockHandle::frozen_at(Duration::from_secs(1_790_000_000));
    let built = CozeAuthMock::builder().seed(1).clock(clock).build();
    built.expect("a mock")
}

fn request(part: &[u8]) -> Option<Request<Bytes>> {
    let end = part.windows(2).position(|window| window == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&part[..end], &part[end + 2..]),
        None => (part, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = std::str::from_utf8(lines.next()?).ok()?;
    let (method, target) = line.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    request.body(Bytes::copy_from_slice(body)).ok()
}

/// The answer, unless it is one that waits for something: its client goes away then.
fn ask(mock: &CozeAuthMock, request: Request<Bytes>) -> Option<Response<Bytes>> {
    let mut answer = pin!(mock.call(request));
    let mut context = Context::from_waker(Waker::noop());
    (0..64).find_map(|_| match answer.as_mut().poll(&mut context) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    })
}

fn play(requests: &[Request<Bytes>]) -> (Vec<String>, CozeAuthMock) {
    let mock = mock();
    let mut told = Vec::new();
    for request in requests {
        let is_control = request.uri().path().contains("/_mock/v1");
        let asked = format!("{} {}", request.method(), request.uri());
        let answer = ask(&mock, request.clone());
        let Some(answer) = answer else {
            told.push("waits".to_owned());
            continue;
        };
        let status = answer.status().as_u16();
        // 501: a port where there is no socket. 503: more wait at once than may.
        assert!(
            !is_control || status < 500 || [501, 503].contains(&status),
            "{asked}: {status}"
        );
        let body = String::from_utf8_lossy(answer.body()).into_owned();
        let log_id = answer.headers().get("x-tt-logid");
        if let Some(id) = log_id.and_then(|id| id.to_str().ok()) {
            let _ = mock.explain(id);
        }
        told.push(format!("{asked}: {status} {body}"));
    }
    (told, mock)
}

/// One sequence of requests.
pub(crate) fn run(data: &[u8]) {
    let requests: Vec<_> = parts(data)
        .into_iter()
        .take(MOST)
        .filter_map(request)
        .collect();
    let (told, mock) = play(&requests);
    let info = Request::get("/_mock/v1/info")
        .body(Bytes::new())
        .expect("a request");
    let info = ask(&mock, info).expect("it answers at once");
    assert_eq!(info.status(), 200);
    // What a credential's header has goes nowhere, unless it stands elsewhere, too.
    let text = String::from_utf8_lossy(data).to_lowercase();
    let all = text.matches(&SENTINEL.to_lowercase()).count();
    let hidden = format!("authorization: bearer {}", SENTINEL.to_lowercase());
    if all > 0 && text.matches(&hidden).count() == all {
        keeps(
            "the journal",
            &format!("{:?}", mock.requests()),
            &[SENTINEL],
        );
        keeps("the leaks", &format!("{:?}", mock.leaks()), &[SENTINEL]);
        for line in &told {
            keeps("an answer", line, &[SENTINEL]);
        }
    }
    // Now and then, since a second mock costs as much as the first. A port of the system's choice and a clock that runs differ; and what
    // tells of real time, in the control plane.
    let is_due = data.len().is_multiple_of(4);
    if is_due
        && !["port", "clock", "worlds"]
            .iter()
            .any(|name| text.contains(name))
    {
        let again = play(&requests).0;
        for (line, other) in told.iter().zip(&again) {
            let is_timed = line.contains("/_mock/");
            assert!(
                is_timed || line == other,
                "a seed is not enough: {line} and {other}"
            );
        }
    }
}
