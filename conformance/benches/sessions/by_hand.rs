//! Sessions without an HTTP client: their renewals are carried out here, on the thread that asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coze_auth_core::jwt::{JwtApp, JwtGrant};
use coze_auth_core::{
    AccessToken, Endpoints, Flow as _, Now, Response, SteadyTime, Step, UnixTime,
};
use coze_auth_tokens::{Ask, Error, Next, Refresh, Sessions, Source};

use crate::coze::{Key, answer};

const START: u64 = 1_750_000_000;

/// A JWT app, its sessions, and a time that passes when it is told to.
pub(crate) struct ByHand {
    passed: Arc<AtomicU64>,
    root: Source,
    sessions: Sessions,
    pub(crate) requests: AtomicU64,
}

impl ByHand {
    pub(crate) fn new() -> Self {
        let passed = Arc::<AtomicU64>::default();
        let app = JwtApp::new(Endpoints::cn(), "1", "key", Key).expect("an app");
        let reads = passed.clone();
        let clock = Arc::new(move || now(&reads));
        Self {
            root: Source::jwt(app, JwtGrant::new(), Duration::from_secs(30), clock),
            passed,
            sessions: Sessions::new(),
            requests: AtomicU64::new(0),
        }
    }

    pub(crate) fn pass(&self, secs: u64) {
        self.passed.fetch_add(secs, Ordering::SeqCst);
    }

    pub(crate) fn token(&self, name: &str) -> AccessToken {
        let session = self.sessions.session(&self.root, name).expect("a session");
        loop {
            if let Some(token) = session.fresh(now(&self.passed).unix) {
                return token;
            }
            match session.caller().ask() {
                Ask::Token(token) => return token.access_token,
                Ask::First(refresh) | Ask::Behind(_, refresh) => self.renew(refresh),
                Ask::Wait(waiting, _) => waiting.signal().wait(),
                Ask::Failed(error) => panic!("{error}"),
            }
        }
    }

    fn renew(&self, refresh: Refresh) {
        let Next::Send(refresh, mut renewal) = refresh.begin() else {
            panic!("a request comes first");
        };
        let now = now(&self.passed);
        assert!(matches!(renewal.step(now), Step::Send(_)), "a request");
        self.requests.fetch_add(1, Ordering::SeqCst);
        let body = answer(now.unix.as_secs()).into_bytes();
        renewal.receive(Ok(Response::new(body.into())), now);
        let Step::Done(result) = renewal.step(now) else {
            panic!("a renewal is one request");
        };
        let next = refresh.received(result.map_err(Error::from));
        assert!(matches!(next, Next::Done), "it succeeds");
    }
}

fn now(passed: &AtomicU64) -> Now {
    let passed = passed.load(Ordering::SeqCst);
    Now {
        unix: UnixTime::from_secs(START + passed),
        steady: SteadyTime::from_duration(Duration::from_secs(passed)),
    }
}
