//! Time: what the flow asks for is what is slept.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coze_auth_tokens::{Ask, Refresh, Source, Waiting};
use coze_auth_ureq::core::error::{ErrorCode, SigningError};
use coze_auth_ureq::core::jwt::{JwtApp, JwtGrant, Signer};
use coze_auth_ureq::core::{Endpoints, Error as CoreError, Now, SteadyTime, TokenGrant, UnixTime};
use coze_auth_ureq::store::MemoryStore;
use coze_auth_ureq::{Client, Error, SystemClock, Time, TokenSource};
use wiremock::matchers::{body_partial_json, path};
use wiremock::{Mock, MockServer};

use crate::support::{Listener, TOKEN, block_on, device_app, failed, http_answer, json};

/// A clock that passes only when slept on.
#[derive(Default)]
struct Virtual {
    passed: Mutex<Duration>,
    slept: Mutex<Vec<u64>>,
}

impl Time for Virtual {
    fn now(&self) -> Now {
        let passed = *self.passed.lock().unwrap();
        Now {
            unix: UnixTime::from_secs(1_800_000_000).plus(passed),
            steady: SteadyTime::from_duration(passed),
        }
    }

    fn sleep(&self, pause: Duration) {
        *self.passed.lock().unwrap() += pause;
        self.slept.lock().unwrap().push(pause.as_secs());
    }
}

const STARTED: &str = r#"{"device_code":"SENTINEL-device","user_code":"VIK-AZC","verification_uri":"https://www.coze.cn/device","interval":2,"expires_in":600}"#;

#[test]
fn device_polling_sleeps_what_the_machine_says() {
    let server = block_on(MockServer::start());
    let start = Mock::given(path("/api/permission/oauth2/device/code"));
    block_on(start.respond_with(json(200, STARTED)).mount(&server));
    let answers = [
        (400, r#"{"error_code":"authorization_pending"}"#),
        (400, r#"{"error_code":"slow_down"}"#),
        (503, "{}"),
        (200, TOKEN),
    ];
    for (status, body) in answers {
        let poll = Mock::given(path("/api/permission/oauth2/token"))
            .and(body_partial_json(
                serde_json::json!({"device_code": "SENTINEL-device"}),
            ))
            .respond_with(json(status, body))
            .up_to_n_times(1)
            .expect(1);
        block_on(poll.mount(&server));
    }
    let time = Arc::new(Virtual::default());
    let client = Client::new().unwrap().with_time(time.clone());
    let app = device_app(&server.uri());
    let started = client.run(app.start()).unwrap();
    let grant = client.run(app.poll(&started)).unwrap();
    // The interval, the interval, 5 s more, twice that for the trouble.
    assert_eq!(*time.slept.lock().unwrap(), [2, 2, 7, 14]);
    assert_eq!(grant.issued_at.as_secs(), 1_800_000_000 + 25);
}

/// The clock passes by being slept on, and has no `wait` of its own: who waits for a renewal must not let its lease
/// pass, while the server is still at work.
#[test]
fn a_clock_of_ones_own_does_not_pass_by_being_waited_on() {
    let server = Listener::start(|stream, _| {
        std::thread::sleep(Duration::from_millis(100));
        stream
            .write_all(http_answer("200 OK", TOKEN).as_bytes())
            .unwrap();
    });
    let time = Arc::new(Virtual::default());
    let client = Client::new().unwrap().with_time(time.clone());
    let app = device_app(&server.base());
    let tokens = TokenSource::stored(&client, app, "alice", MemoryStore::new()).unwrap();
    let ended = r#"{"access_token":"old","refresh_token":"used","issued_at":1,"expires_at":2}"#;
    let ended = TokenGrant::from_secret_json(ended).unwrap();
    tokens.install(ended).unwrap();
    let other = tokens.clone();
    let other = std::thread::spawn(move || other.token().unwrap());
    let one = tokens.token().unwrap();
    assert!(one.matches(&other.join().unwrap()));
    assert_eq!(server.requests().len(), 1);
    assert_eq!(*time.passed.lock().unwrap(), Duration::ZERO);
}

#[test]
fn the_cause_is_the_last_requests_own() {
    for (last, has_cause) in [
        (
            http_answer("400 Bad Request", r#"{"error_code":"access_denied"}"#),
            false,
        ),
        (String::new(), true),
    ] {
        let server = Listener::start(move |stream, number| {
            let answer = match number {
                0 => http_answer("200 OK", &STARTED.replace("600", "8")),
                1 => String::new(),
                _ => last.clone(),
            };
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let client = Client::new().unwrap().with_time(Virtual::default());
        let app = device_app(&server.base());
        let started = client.run(app.start()).unwrap();
        let error = failed(client.run(app.poll(&started)));
        let Error::Core { error, cause } = error else {
            panic!("{error:?}");
        };
        let ended = match has_cause {
            true => matches!(error, CoreError::Transport { .. }),
            false => {
                matches!(&error, CoreError::Refused(no) if *no.code() == ErrorCode::AccessDenied)
            }
        };
        assert!(ended, "{error:?}");
        assert_eq!(cause.is_some(), has_cause, "{cause:?}");
    }
}

#[test]
fn the_system_clock_goes_on_and_sleeps() {
    let clock = SystemClock;
    let before = clock.now();
    clock.sleep(Duration::from_millis(20));
    let after = clock.now();
    assert!(before.steady.until(after.steady) >= Duration::from_millis(20));
    // 2026-01-01: it is the calendar, not the time since the start.
    assert!(after.unix >= UnixTime::from_secs(1_767_225_600));
}

#[test]
fn all_clients_of_a_process_share_the_steady_clock() {
    let server = Listener::saying(http_answer("200 OK", STARTED));
    let app = device_app(&server.base());
    let early = Client::new().unwrap();
    SystemClock.sleep(Duration::from_millis(100));
    let by_early = early.run(app.start()).unwrap().received_at;
    let by_late = Client::new().unwrap().run(app.start()).unwrap();
    let between = by_early.until(by_late.received_at);
    assert!(between > Duration::ZERO, "the later answer came first");
}

/// A renewal that runs and one who waits for it.
fn running() -> (Refresh, Waiting) {
    struct NoKey;
    impl Signer for NoKey {
        fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
            Err(SigningError::new("never asked"))
        }
    }
    let app = JwtApp::new(Endpoints::cn(), "1", "key", NoKey).unwrap();
    let clock = Arc::new(|| SystemClock.now());
    let timeout = Duration::from_secs(30);
    let source = Arc::new(Source::jwt(app, JwtGrant::new(), timeout, clock));
    let Ask::First(refresh) = source.caller().ask() else {
        panic!("there is no token");
    };
    let Ask::Wait(waiting, _) = source.caller().ask() else {
        panic!("a renewal runs");
    };
    (refresh, waiting)
}

#[test]
fn the_system_clock_waits_until_woken_or_for_so_long() {
    let (refresh, waiting) = running();
    let before = SystemClock.now();
    let pause = Duration::from_millis(20);
    SystemClock.wait(&waiting.signal(), pause);
    assert!(before.steady.until(SystemClock.now().steady) >= pause);
    drop(refresh);

    let (refresh, waiting) = running();
    let signal = waiting.signal();
    let waits = std::thread::spawn(move || SystemClock.wait(&signal, Duration::MAX));
    drop(refresh);
    waits.join().unwrap();
}

/// Compiles only if a client can be shared between threads.
#[test]
fn a_client_can_be_shared() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Client>();
    shared::<coze_auth_ureq::Error>();
}
