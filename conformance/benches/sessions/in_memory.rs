//! Sessions without an HTTP client: over a transport that answers in memory, in a time that passes when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use coze_auth_core::{Now, Request, Response, SteadyTime, UnixTime};
use coze_auth_tokens::SendError;
use coze_auth_tokens::blocking::{Time, TokenSource, Transport};

use crate::coze::{answer, app};

/// Counts what it answers.
#[derive(Clone, Default)]
pub(crate) struct InMemory(Arc<Counted>);

#[derive(Default)]
struct Counted {
    requests: AtomicU64,
    running: AtomicU64,
    most: AtomicU64,
    passed: AtomicU64,
}

impl InMemory {
    pub(crate) fn tokens(&self) -> TokenSource<Self> {
        let app = app("https://api.coze.cn");
        TokenSource::jwt(self, app, coze_auth_core::jwt::JwtGrant::new())
    }

    pub(crate) fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::SeqCst)
    }

    /// How many it has answered at once, at most.
    pub(crate) fn most(&self) -> u64 {
        self.0.most.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self, secs: u64) {
        self.0.passed.fetch_add(secs, Ordering::SeqCst);
    }
}

impl Transport for InMemory {
    fn send(&self, _: Request) -> Result<Response, SendError> {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        let running = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(running, Ordering::SeqCst);
        // Others may come in between.
        thread::yield_now();
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        let body = answer(self.now().unix.as_secs()).into_bytes();
        Ok(Response::new(body.into()))
    }

    fn time(&self) -> &dyn Time {
        self
    }
}

impl Time for InMemory {
    fn now(&self) -> Now {
        let passed = Duration::from_secs(self.0.passed.load(Ordering::SeqCst));
        Now {
            unix: UnixTime::from_secs(1_750_000_000).plus(passed),
            steady: SteadyTime::from_duration(passed),
        }
    }

    fn sleep(&self, pause: Duration) {
        self.pass(pause.as_secs());
    }
}
