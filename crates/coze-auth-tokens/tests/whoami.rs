//! `whoami` over an API that refuses every token.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coze_auth_store::MemoryStore;
use coze_auth_tokens::SendError;
use coze_auth_tokens::blocking::{Time, TokenSource, Transport};
use coze_auth_tokens::core::device::DeviceApp;
use coze_auth_tokens::core::error::ErrorCode;
use coze_auth_tokens::core::{
    Endpoints, Now, Request, Response, SteadyTime, TokenGrant, UnixTime, http,
};

/// Takes more than the half minute in which a token that came for a refused one is not doubted, each time it is asked.
#[derive(Clone, Default)]
struct Refusing(Arc<State>);

#[derive(Default)]
struct State {
    passed: Mutex<Duration>,
    asked: AtomicUsize,
    granted: AtomicUsize,
}

impl Transport for Refusing {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        let (status, body) = if request.uri().path() == "/v1/users/me" {
            let before = self.0.asked.fetch_add(1, Ordering::SeqCst);
            assert!(before < 5, "it asks for ever");
            self.sleep(Duration::from_secs(31));
            (401, r#"{"code":4100}"#.to_owned())
        } else {
            let number = self.0.granted.fetch_add(1, Ordering::SeqCst);
            let grant = r#","refresh_token":"r","expires_in":1760000000}"#;
            (200, format!(r#"{{"access_token":"new{number}"{grant}"#))
        };
        let response = http::Response::builder().status(status);
        let response = response.header("content-type", "application/json");
        Ok(response.body(body.into_bytes().into()).expect("a response"))
    }

    fn time(&self) -> &dyn Time {
        self
    }
}

impl Time for Refusing {
    fn now(&self) -> Now {
        let passed = *self.0.passed.lock().unwrap();
        Now {
            unix: UnixTime::from_secs(1_750_000_000 + passed.as_secs()),
            steady: SteadyTime::from_duration(passed),
        }
    }

    fn sleep(&self, pause: Duration) {
        *self.0.passed.lock().unwrap() += pause;
    }
}

#[test]
fn it_asks_once_more_and_not_for_ever() {
    let transport = Refusing::default();
    let app = DeviceApp::new(Endpoints::cn(), "device-client").unwrap();
    let tokens = TokenSource::stored(&transport, app, "alice", MemoryStore::new()).unwrap();
    let grant = r#"{"access_token":"old","refresh_token":"r","issued_at":1750000000,"expires_at":1760000000}"#;
    tokens
        .install(TokenGrant::from_secret_json(grant).unwrap())
        .unwrap();
    let error = tokens.whoami().expect_err("refused");
    assert_eq!(error.code(), Some(&ErrorCode::Number(4100)));
    assert_eq!(transport.0.asked.load(Ordering::SeqCst), 2);
    assert_eq!(transport.0.granted.load(Ordering::SeqCst), 1);
}
