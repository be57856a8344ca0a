//! A source of a login, a clock, and a server's answers, all by hand.
#![allow(dead_code)] // no test file uses all of it

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use coze_auth_store::{GrantKey, GrantStore, LockedGrant, MemoryStore, Saved, StoreError};
use coze_auth_tokens::blocking::{self, TokenSource};
use coze_auth_tokens::core::device::DeviceApp;
use coze_auth_tokens::core::error::SigningError;
use coze_auth_tokens::core::jwt::{JwtApp, JwtGrant, Signer};
use coze_auth_tokens::core::{
    AccessToken, Endpoints, Flow as _, Now, Request, Response, SteadyTime, Step, TokenGrant,
    TransportFailure, UnixTime,
};
use coze_auth_tokens::{Ask, Clock, Error, Next, Refresh, SendError, Source, Store};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
pub(crate) const START: u64 = 1_750_000_000;
pub(crate) const LIFE: u64 = 900;

/// What comes of a future over a store that blocks.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("nothing here is awaited"),
    }
}

/// What a server answers.
pub(crate) type Answer = Result<Response, TransportFailure>;

pub(crate) fn grant(number: u64) -> TokenGrant {
    TokenGrant::from_secret_json(&format!(
        r#"{{"access_token":"access-{number}","refresh_token":"refresh-{number}","issued_at":{},"expires_at":{}}}"#,
        START + number * LIFE,
        START + (number + 1) * LIFE,
    ))
    .unwrap()
}

/// An answer with this grant.
pub(crate) fn granted(number: u64) -> Answer {
    let end = START + (number + 1) * LIFE;
    answer(
        200,
        &format!(
            r#"{{"access_token":"access-{number}","refresh_token":"refresh-{number}","expires_in":{end}}}"#
        ),
    )
}

pub(crate) fn invalid_grant() -> Answer {
    answer(400, r#"{"error_code":"invalid_grant"}"#)
}

pub(crate) fn answer(status: u16, body: &str) -> Answer {
    let mut response = Response::new(body.as_bytes().to_vec().into());
    *response.status_mut() = status.try_into().unwrap();
    Ok(response)
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) source: Arc<Source>,
    pub(crate) key: GrantKey,
    pub(crate) clock: Passed,
}

/// A clock that passes when it is told to, by a test or by a store that takes its time.
#[derive(Clone, Default)]
pub(crate) struct Passed(Arc<AtomicU64>);

impl Passed {
    pub(crate) fn pass(&self, secs: u64) {
        self.0.fetch_add(secs, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Now {
        let passed = self.0.load(Ordering::SeqCst);
        Now {
            unix: UnixTime::from_secs(START + passed),
            steady: SteadyTime::from_duration(Duration::from_secs(passed)),
        }
    }

    pub(crate) fn reader(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

impl World {
    pub(crate) fn over(store: impl GrantStore + 'static) -> Self {
        Self::at(Passed::default(), store)
    }

    /// With a clock that the store may move.
    pub(crate) fn at(clock: Passed, store: impl GrantStore + 'static) -> Self {
        Self::of(clock, TIMEOUT, store)
    }

    /// With another timeout of a request.
    pub(crate) fn within(timeout: Duration, store: impl GrantStore + 'static) -> Self {
        Self::of(Passed::default(), timeout, store)
    }

    fn of(clock: Passed, timeout: Duration, store: impl GrantStore + 'static) -> Self {
        let app = DeviceApp::new(Endpoints::cn(), "app").unwrap();
        let key = GrantKey::new(&app.clone().into(), "alice").unwrap();
        let source = Source::stored(
            app.into(),
            "alice",
            Store::blocking(Arc::new(store)),
            timeout,
            clock.reader(),
        );
        Self {
            key,
            source: Arc::new(source.unwrap()),
            clock,
        }
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(crate) fn pass(&self, secs: u64) {
        self.clock.pass(secs);
    }

    pub(crate) fn install(&self, number: u64) {
        self.take(grant(number)).unwrap();
    }

    /// A login.
    pub(crate) fn take(&self, grant: TokenGrant) -> Result<(), Error> {
        ready(self.source.clone().take(grant))
    }

    /// A logout.
    pub(crate) fn forget(&self) {
        ready(self.source.clone().forget()).unwrap();
    }

    pub(crate) fn flush(&self, patience: Duration) -> Result<(), Error> {
        ready(self.source.clone().flush(patience))
    }

    /// One call for a token that has not waited yet.
    pub(crate) fn ask(&self) -> Ask {
        self.source.caller().ask()
    }

    /// The renewal that whoever asks first has to carry out.
    pub(crate) fn first(&self) -> Refresh {
        match self.ask() {
            Ask::First(refresh) => refresh,
            other => panic!("{other:?}"),
        }
    }

    /// The renewal, or the try to store, that is carried out beside a token that is handed out.
    pub(crate) fn behind(&self) -> Refresh {
        match self.ask() {
            Ask::Behind(_, refresh) => refresh,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn begin(&self) -> Next {
        ready(self.first().begin())
    }

    /// Begins a renewal and sends its request; the server is given the request's body.
    pub(crate) fn send(&self, server: impl FnOnce(&str) -> Answer) -> Next {
        let next = self.begin();
        self.go_on(next, server)
    }

    /// Sends what a renewal wants sent.
    pub(crate) fn go_on(&self, next: Next, server: impl FnOnce(&str) -> Answer) -> Next {
        let Next::Send(refresh, mut renewal) = next else {
            panic!("{next:?}");
        };
        let Step::Send(request) = renewal.step(self.now()) else {
            panic!("a request comes first");
        };
        let body = std::str::from_utf8(request.body().as_bytes()).unwrap();
        renewal.receive(server(body), self.now());
        let Step::Done(result) = renewal.step(self.now()) else {
            panic!("a renewal is one request");
        };
        ready(refresh.received(result.map_err(Error::from)))
    }

    /// Why there is no token.
    pub(crate) fn failure(&self) -> Error {
        match self.ask() {
            Ask::Failed(error) => error,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn token(&self) -> AccessToken {
        match self.ask() {
            Ask::Token(token) => token.access_token,
            other => panic!("{other:?}"),
        }
    }
}

/// A key that signs at once.
struct Key;

impl Signer for Key {
    fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        Ok(vec![7; 256])
    }
}

pub(crate) fn jwt_app() -> JwtApp {
    JwtApp::new(Endpoints::cn(), "1000000001", "key", Key).unwrap()
}

/// A JWT app's source, whose sessions have sources of their own.
pub(crate) fn jwt_source(clock: &Passed) -> Arc<Source> {
    let source = Source::jwt(jwt_app(), JwtGrant::new(), TIMEOUT, clock.reader());
    Arc::new(source)
}

/// A transport that sends nothing.
#[derive(Clone, Default)]
pub(crate) struct Unplugged {
    pub(crate) timeout: Duration,
    pub(crate) clock: Passed,
}

impl Unplugged {
    /// A source of a login over it.
    pub(crate) fn source(&self, store: impl GrantStore + 'static) -> TokenSource<Self> {
        let app = DeviceApp::new(Endpoints::cn(), "app").unwrap();
        TokenSource::stored(self, app, "alice", store).unwrap()
    }
}

impl blocking::Transport for Unplugged {
    fn send(&self, _: Request) -> Result<Response, SendError> {
        Err(TransportFailure::NotSent.into())
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn time(&self) -> &dyn blocking::Time {
        &self.clock
    }
}

impl blocking::Time for Passed {
    fn now(&self) -> Now {
        self.now()
    }

    fn sleep(&self, pause: Duration) {
        self.pass(pause.as_secs());
    }
}

type Meanwhile = Box<dyn FnOnce() + Send>;

/// A store that does not save as often as it is told: the disk is full, or, with `supersedes`, always someone else
/// has just written.
#[derive(Clone, Default)]
pub(crate) struct Failing {
    pub(crate) store: MemoryStore,
    pub(crate) failures: Arc<AtomicUsize>,
    pub(crate) supersedes: bool,
    /// Whether the holder of its lock cannot read now.
    pub(crate) is_unreadable: Arc<AtomicBool>,
    pub(crate) locked: Arc<std::sync::Mutex<Vec<Duration>>>,
    pub(crate) meanwhile: Arc<std::sync::Mutex<Option<Meanwhile>>>,
}

impl Failing {
    /// What somebody else does while the next grant is saved.
    pub(crate) fn while_saving(&self, act: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Box::new(act));
    }
}

impl GrantStore for Failing {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.store.load(key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        self.locked.lock().unwrap().push(patience);
        Ok(Box::new(FailingLock {
            held: self
                .store
                .lock(key, patience.min(Duration::from_millis(50)))?,
            store: self.clone(),
        }))
    }
}

struct FailingLock {
    held: Box<dyn LockedGrant>,
    store: Failing,
}

impl LockedGrant for FailingLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        if self.store.is_unreadable.load(Ordering::SeqCst) {
            return Err(StoreError::Other(Arc::new(std::io::Error::other("away"))));
        }
        self.held.load()
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        let meanwhile = self.store.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        let left = self.store.failures.load(Ordering::SeqCst);
        if left == 0 {
            return self.held.save(grant);
        }
        self.store.failures.store(left - 1, Ordering::SeqCst);
        match self.store.supersedes {
            true => Ok(Saved::Superseded),
            false => Err(StoreError::Other(Arc::new(std::io::Error::other("full")))),
        }
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.held.remove()
    }
}
