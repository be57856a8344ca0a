//! Bodies that are looked into and handed on, and what an answer says of a token.

use std::io::{self, Read};

use coze_auth_tokens::blocking::Answer as _;
use coze_auth_tokens::core::http::Response;
use coze_auth_tokens::{Obstacle, PeekableBody, SendError};

const JSON: &str = "application/json";
/// How much of an answer may be looked at.
const LOOKED_AT: usize = 64 * 1024;

fn response<B>(status: u16, content_type: &str, body: B) -> Response<B> {
    let response = Response::builder().status(status);
    let response = response.header("content-type", content_type);
    response.body(body).expect("a response")
}

/// The code of a bad token, in this many bytes.
fn refusal(length: usize) -> Vec<u8> {
    let mut refusal = br#"{"code":4100}"#.to_vec();
    refusal.resize(length, b' ');
    refusal
}

/// Gives a few bytes at a time, then fails.
struct Broken(&'static [u8]);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.is_empty() {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => self.0.read(&mut buffer[..2]),
        }
    }
}

/// Whoever reads it has read something that is not looked at.
struct Untouched;

impl Read for Untouched {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("it was read")
    }
}

#[test]
fn a_body_that_is_there_is_looked_into_whatever_it_is_made_of() {
    for (code, refuses) in [("4100", true), ("700012006", true), ("4101", false)] {
        let text = format!(r#"{{"code":{code}}}"#);
        let bytes = text.clone().into_bytes();
        let shared = bytes::Bytes::from(bytes.clone());
        for status in [200, 401] {
            let of_text = response(status, JSON, text.clone()).refuses_token();
            assert_eq!(of_text.unwrap(), refuses, "{status} {code}");
            let of_bytes = response(status, JSON, bytes.clone()).refuses_token();
            assert_eq!(of_bytes.unwrap(), refuses, "{status} {code}");
            let of_shared = response(status, JSON, shared.clone()).refuses_token();
            assert_eq!(of_shared.unwrap(), refuses, "{status} {code}");
        }
    }
}

#[test]
fn what_is_not_json_is_judged_by_its_status_and_not_read() {
    for (status, refuses) in [(200, false), (401, true)] {
        let body = PeekableBody::new(Untouched);
        let mut answer = response(status, "text/event-stream", body);
        assert_eq!(answer.refuses_token().unwrap(), refuses, "{status}");
    }
    assert!(
        !response(200, "text/html", refusal(13))
            .refuses_token()
            .unwrap()
    );
}

#[test]
fn as_much_is_looked_at_as_an_error_of_cozes_may_take_and_all_is_handed_on() {
    for (length, seen) in [(13, true), (LOOKED_AT, true), (LOOKED_AT + 1, false)] {
        let whole = refusal(length);
        let body = PeekableBody::new(&*whole);
        let mut answer = response(200, JSON, body);
        assert_eq!(answer.refuses_token().unwrap(), seen, "{length}");
        assert_eq!(
            answer.refuses_token().unwrap(),
            seen,
            "{length}, asked again"
        );
        let mut read = Vec::new();
        answer.into_body().read_to_end(&mut read).unwrap();
        assert!(read == whole, "{length}");
        assert_eq!(response(200, JSON, whole).refuses_token().unwrap(), seen);
    }
}

#[test]
fn what_was_looked_at_is_read_once_however_the_two_take_turns() {
    let mut answer = Response::new(PeekableBody::new(&b"0123456789"[..]));
    assert_eq!(answer.peek(4).unwrap(), b"0123");
    let mut two = [0; 2];
    answer.body_mut().read_exact(&mut two).unwrap();
    assert_eq!(&two, b"01");
    assert_eq!(answer.peek(1).unwrap(), b"2");
    assert_eq!(answer.peek(5).unwrap(), b"23456");
    assert_eq!(answer.peek(100).unwrap(), b"23456789");
    assert_eq!(answer.peek(0).unwrap(), b"");
    let mut rest = String::new();
    answer.body_mut().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "23456789");
    assert_eq!(answer.peek(100).unwrap(), b"");
}

#[test]
fn a_body_that_breaks_off_is_an_error_and_keeps_what_there_was() {
    let body = PeekableBody::new(Broken(b"{\"code\""));
    let mut answer = response(401, JSON, body);
    let error = answer.refuses_token().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let mut there = [0; 7];
    answer.body_mut().read_exact(&mut there).unwrap();
    assert_eq!(&there, b"{\"code\"");
    let text = format!("{:?}", answer.body());
    assert_eq!(text, "PeekableBody { .. }");
}

/// What a transport of one's own makes of its client's error: nothing counts as not sent that may have been.
#[test]
fn the_fate_of_a_request_is_told_by_what_lies_below_the_error() {
    use coze_auth_tokens::core::TransportFailure::{NoAnswer, NotSent, Timeout};
    use io::ErrorKind as Io;

    for (kind, fate, obstacle) in [
        (Io::ConnectionRefused, NotSent, Obstacle::Refused),
        (Io::HostUnreachable, NoAnswer, Obstacle::Unreachable),
        (Io::TimedOut, Timeout, Obstacle::Timeout),
        (Io::ConnectionReset, NoAnswer, Obstacle::Reset),
        (Io::UnexpectedEof, NoAnswer, Obstacle::Closed),
    ] {
        // As clients wrap it.
        let error = io::Error::other(io::Error::from(kind));
        let SendError::Failed { failure, cause } = SendError::of(error) else {
            panic!("it ends every flow");
        };
        assert_eq!(failure, fate, "{kind}");
        assert_eq!(cause.unwrap().obstacle(), obstacle, "{kind}");
    }
    let SendError::Failed { failure, cause } = SendError::of("words alone") else {
        panic!("it ends every flow");
    };
    let cause = cause.unwrap();
    assert_eq!((failure, cause.obstacle()), (NoAnswer, Obstacle::Unknown));
    assert_eq!(cause.cause().to_string(), "words alone");
}

/// Over a body that is awaited.
#[cfg(feature = "tokio")]
mod awaited {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::future::poll_fn;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use bytes::Bytes;
    use coze_auth_tokens::PeekableBody;
    use coze_auth_tokens::core::http::{HeaderMap, HeaderValue};
    use coze_auth_tokens::tokio::Answer as _;
    use http_body::{Body, Frame, SizeHint};

    use super::{JSON, LOOKED_AT, refusal, response};

    /// Frames, with a pause before each.
    struct Frames {
        frames: VecDeque<Frame<Bytes>>,
        paused: bool,
    }

    impl Frames {
        fn new(frames: impl IntoIterator<Item = Frame<Bytes>>) -> PeekableBody<Self> {
            PeekableBody::new(Self {
                frames: frames.into_iter().collect(),
                paused: false,
            })
        }
    }

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.paused = !self.paused;
            if self.paused {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(self.frames.pop_front().map(Ok))
        }

        fn is_end_stream(&self) -> bool {
            self.frames.is_empty()
        }

        fn size_hint(&self) -> SizeHint {
            let data = self.frames.iter().filter_map(Frame::data_ref);
            SizeHint::with_exact(data.map(|data| data.len() as u64).sum())
        }
    }

    fn done<T>(future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return result;
            }
        }
    }

    /// Its data, and its trailers.
    fn all(mut body: PeekableBody<Frames>) -> (Vec<u8>, Option<HeaderMap>) {
        let (mut data, mut trailers) = (Vec::new(), None);
        while let Some(frame) = done(poll_fn(|context| Pin::new(&mut body).poll_frame(context)))
            .transpose()
            .unwrap()
        {
            assert!(trailers.is_none(), "something follows the trailers");
            match frame.into_data() {
                Ok(bytes) => data.extend_from_slice(&bytes),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        assert!(body.is_end_stream());
        (data, trailers)
    }

    fn trailers() -> HeaderMap {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", HeaderValue::from_static("1"));
        trailers
    }

    #[test]
    fn it_is_looked_into_and_all_of_it_is_handed_on() {
        for (length, seen) in [(13, true), (LOOKED_AT, true), (LOOKED_AT + 1, false)] {
            let whole = refusal(length);
            let data = whole
                .chunks(1000)
                .map(|chunk| Frame::data(Bytes::copy_from_slice(chunk)));
            let body = Frames::new(data.chain([Frame::trailers(trailers())]));
            let mut answer = response(200, JSON, body);
            assert_eq!(done(answer.refuses_token()).unwrap(), seen, "{length}");
            let body = answer.into_body();
            assert_eq!(body.size_hint().exact(), Some(length as u64));
            assert!(!body.is_end_stream());
            let (data, after) = all(body);
            assert!(data == whole, "{length}");
            assert_eq!(after, Some(trailers()), "{length}");
        }
    }

    #[test]
    fn what_is_not_json_is_not_read() {
        let body = Frames::new([Frame::data(Bytes::from_static(br#"{"code":4100}"#))]);
        let mut answer = response(200, "text/event-stream", body);
        let mut asked = pin!(answer.refuses_token());
        let at_once = asked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(at_once, Poll::Ready(Ok(false))));
    }

    #[test]
    fn a_body_that_is_there_is_looked_into() {
        let mut answer = response(200, JSON, refusal(13));
        assert!(done(answer.refuses_token()).unwrap());
        assert_eq!(done(answer.peek(4)).unwrap(), b"{\"co");
    }
}
