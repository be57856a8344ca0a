//! A Coze that rotates, a store, a clock, and callers, all under the model checker's scheduler.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use coze_auth_core::device::DeviceApp;
use coze_auth_core::error::SigningError;
use coze_auth_core::jwt::{JwtApp, JwtGrant, Signer};
use coze_auth_core::{
    AccessToken, Endpoints, Flow as _, Now, Request, Response, SteadyTime, Step, TokenGrant,
    UnixTime,
};
use coze_auth_store::{GrantKey, GrantStore, LockedGrant, MemoryStore, Saved, StoreError};
use coze_auth_tokens::{Ask, Error, Next, Refresh, Sessions, Source, Store};
use shuttle::sync::Mutex;

/// What comes of a future over a store that blocks.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("nothing here is awaited"),
    }
}

const START: u64 = 1_750_000_000;
const LIFE: u64 = 900;

/// A time that passes when a test says so.
#[derive(Clone, Default)]
pub(crate) struct Clock(Arc<Mutex<u64>>);

impl Clock {
    pub(crate) fn now(&self) -> Now {
        let passed = *self.0.lock().unwrap();
        Now {
            unix: UnixTime::from_secs(START + passed),
            steady: SteadyTime::from_duration(Duration::from_secs(passed)),
        }
    }

    pub(crate) fn advance(&self, secs: u64) {
        *self.0.lock().unwrap() += secs;
    }
}

/// The server: one grant, whose refresh token works once.
#[derive(Default)]
pub(crate) struct Coze {
    grant: Mutex<Issued>,
}

#[derive(Default)]
struct Issued {
    rotations: u64,
    requests: u64,
    refused: u64,
}

impl Coze {
    pub(crate) fn requests(&self) -> u64 {
        self.grant.lock().unwrap().requests
    }

    pub(crate) fn refused(&self) -> u64 {
        self.grant.lock().unwrap().refused
    }

    /// The access token of the newest grant.
    pub(crate) fn newest(&self) -> String {
        access(self.grant.lock().unwrap().rotations)
    }

    fn answer(&self, request: &Request, now: Now) -> Response {
        let body = std::str::from_utf8(request.body().as_bytes()).unwrap();
        let mut issued = self.grant.lock().unwrap();
        issued.requests += 1;
        let current = format!("\"{}\"", refresh(issued.rotations));
        let body = match body.contains(&current) {
            true => {
                issued.rotations += 1;
                token_answer(issued.rotations, now)
            }
            false => {
                issued.refused += 1;
                r#"{"error_code":"invalid_grant"}"#.to_owned()
            }
        };
        drop(issued);
        shuttle::thread::yield_now();
        Response::new(body.into_bytes().into())
    }
}

fn access(number: u64) -> String {
    format!("czu_{number}")
}

fn refresh(number: u64) -> String {
    format!("rt_{number}")
}

fn token_answer(number: u64, now: Now) -> String {
    format!(
        r#"{{"access_token":"{}","refresh_token":"{}","expires_in":{}}}"#,
        access(number),
        refresh(number),
        now.unix.as_secs() + LIFE,
    )
}

/// The grant of a login, which ends a life after `issued_at`.
pub(crate) fn grant(number: u64, issued_at: UnixTime) -> TokenGrant {
    let at = issued_at.as_secs();
    TokenGrant::from_secret_json(&format!(
        r#"{{"access_token":"{}","refresh_token":"{}","issued_at":{at},"expires_at":{}}}"#,
        access(number),
        refresh(number),
        at + LIFE,
    ))
    .unwrap()
}

/// A login that has ended: whoever asks has to renew it.
pub(crate) fn world(store: impl GrantStore + 'static) -> World {
    let world = World::over(store, Clock::default(), Arc::default());
    let now = world.clock.now();
    world.take(grant(0, now.unix)).unwrap();
    world.clock.advance(LIFE);
    world
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) coze: Arc<Coze>,
    pub(crate) source: Arc<Source>,
}

impl World {
    fn over(store: impl GrantStore + 'static, clock: Clock, coze: Arc<Coze>) -> Self {
        let app = DeviceApp::new(Endpoints::cn(), "app").unwrap();
        let reads = clock.clone();
        let source = Source::stored(
            app.into(),
            "alice",
            Store::blocking(Arc::new(store)),
            Duration::from_secs(30),
            Arc::new(move || reads.now()),
        );
        Self {
            clock,
            coze,
            source: Arc::new(source.unwrap()),
        }
    }

    /// Another process over the same store.
    pub(crate) fn another(&self, store: impl GrantStore + 'static) -> Self {
        Self::over(store, self.clock.clone(), self.coze.clone())
    }

    /// A login.
    pub(crate) fn take(&self, grant: TokenGrant) -> Result<(), Error> {
        ready(self.source.clone().take(grant))
    }

    /// Carries a renewal out, as a driver does.
    pub(crate) fn renew(&self, refresh: Refresh) {
        let mut next = ready(refresh.begin());
        loop {
            next = match next {
                Next::Send(refresh, mut renewal) => {
                    let result = loop {
                        match renewal.step(self.clock.now()) {
                            Step::Send(request) => {
                                let reply = self.coze.answer(&request, self.clock.now());
                                renewal.receive(Ok(reply), self.clock.now());
                            }
                            Step::Done(result) => break result,
                            Step::Wait(_) => unreachable!("a renewal is one request"),
                        }
                    };
                    ready(refresh.received(result.map_err(Error::from)))
                }
                Next::Wait(refresh, pause) => {
                    self.clock.advance(pause.as_secs());
                    ready(refresh.again())
                }
                Next::Done => return,
            };
        }
    }

    /// A blocking caller.
    pub(crate) fn token(&self) -> Result<AccessToken, Error> {
        let mut caller = self.source.caller();
        loop {
            if let Some(token) = self.source.fresh(self.clock.now().unix) {
                return Ok(token);
            }
            match caller.ask() {
                Ask::Token(token) => return Ok(token.access_token),
                Ask::Failed(error) => return Err(error),
                Ask::First(refresh) => self.renew(refresh),
                Ask::Behind(token, refresh) => {
                    let world = self.clone();
                    shuttle::thread::spawn(move || world.renew(refresh));
                    return Ok(token.access_token);
                }
                // Nobody here waits for time: a wake-up that is lost is a deadlock, which the checker reports.
                Ask::Wait(waiting, _) => waiting.signal().wait(),
            }
        }
    }

    /// An async caller.
    pub(crate) async fn token_async(&self) -> Result<AccessToken, Error> {
        let mut caller = self.source.caller();
        loop {
            if let Some(token) = self.source.fresh(self.clock.now().unix) {
                return Ok(token);
            }
            match caller.ask() {
                Ask::Token(token) => return Ok(token.access_token),
                Ask::Failed(error) => return Err(error),
                Ask::First(refresh) | Ask::Behind(_, refresh) => {
                    let world = self.clone();
                    shuttle::future::spawn(async move { world.renew(refresh) });
                }
                Ask::Wait(waiting, _) => waiting.await,
            }
        }
    }
}

/// A store whose lock can be lost, as a lease of Redis: `save` compares.
#[derive(Clone, Default)]
pub(crate) struct LeasedStore(Arc<Mutex<(u64, Option<TokenGrant>)>>);

struct Leased {
    store: LeasedStore,
    seen: u64,
}

impl GrantStore for LeasedStore {
    fn load(&self, _: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        Ok(self.0.lock().unwrap().1.clone())
    }

    fn lock(&self, _: &GrantKey, _: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        let seen = self.0.lock().unwrap().0;
        Ok(Box::new(Leased {
            store: self.clone(),
            seen,
        }))
    }
}

impl LockedGrant for Leased {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        let kept = self.store.0.lock().unwrap();
        self.seen = kept.0;
        Ok(kept.1.clone())
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        let mut kept = self.store.0.lock().unwrap();
        if kept.0 != self.seen {
            return Ok(Saved::Superseded);
        }
        *kept = (self.seen + 1, Some(grant.clone()));
        self.seen += 1;
        Ok(Saved::Stored)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        let mut kept = self.store.0.lock().unwrap();
        *kept = (kept.0 + 1, None);
        Ok(())
    }
}

impl LeasedStore {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap().1.is_none()
    }
}

/// A store that fails to save once, when it is told to.
#[derive(Clone)]
pub(crate) struct FullOnce {
    store: LeasedStore,
    full: Arc<Mutex<bool>>,
}

impl FullOnce {
    pub(crate) fn over(store: LeasedStore) -> Self {
        let full = Arc::default();
        Self { store, full }
    }

    pub(crate) fn fill(&self) {
        *self.full.lock().unwrap() = true;
    }

    pub(crate) fn access_token(&self) -> String {
        let kept = self.store.0.lock().unwrap();
        let grant = kept.1.as_ref().expect("a grant");
        grant.access_token.expose().to_owned()
    }
}

impl GrantStore for FullOnce {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.store.load(key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        let held = self.store.lock(key, patience)?;
        Ok(Box::new(FullLock(held, self.full.clone())))
    }
}

struct FullLock(Box<dyn LockedGrant>, Arc<Mutex<bool>>);

impl LockedGrant for FullLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        self.0.load()
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        match std::mem::take(&mut *self.1.lock().unwrap()) {
            true => Err(StoreError::Other(Arc::new(std::io::Error::other("full")))),
            false => self.0.save(grant),
        }
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.0.remove()
    }
}

pub(crate) fn memory() -> MemoryStore {
    MemoryStore::new()
}

/// The users of an app, of whom one is kept.
#[derive(Clone)]
pub(crate) struct Users {
    world: World,
    like: Arc<Source>,
    sessions: Arc<Sessions>,
}

impl Users {
    pub(crate) fn over(world: &World, store: impl GrantStore + 'static) -> Self {
        let app = DeviceApp::new(Endpoints::cn(), "app").unwrap();
        let reads = world.clock.clone();
        let like = Source::logins(
            app.into(),
            Store::blocking(Arc::new(store)),
            Duration::from_secs(30),
            Arc::new(move || reads.now()),
        );
        Self {
            world: world.clone(),
            like: Arc::new(like),
            sessions: Arc::new(Sessions::with_capacity(1)),
        }
    }

    pub(crate) fn of(&self, user: &str) -> Arc<Source> {
        self.sessions.login(&self.like, user).unwrap()
    }

    pub(crate) fn token(&self, user: &str) -> Result<AccessToken, Error> {
        let source = self.of(user);
        let world = self.world.clone();
        World { source, ..world }.token()
    }
}

/// A JWT app with sessions, of whose renewals one runs at a time.
#[derive(Clone)]
pub(crate) struct Bounded {
    root: Arc<Source>,
    sessions: Arc<Sessions>,
    /// How many run, and how many ran at once at the most.
    running: Arc<Mutex<(usize, usize)>>,
}

struct Key;

impl Signer for Key {
    fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        Ok(vec![7; 256])
    }
}

impl Default for Bounded {
    fn default() -> Self {
        let app = JwtApp::new(Endpoints::cn(), "1", "key", Key).unwrap();
        let clock = Clock::default();
        let timeout = Duration::from_secs(30);
        let root = Source::jwt(app, JwtGrant::new(), timeout, Arc::new(move || clock.now()));
        root.set_renewals_at_once(1);
        Self {
            root: Arc::new(root),
            sessions: Arc::default(),
            running: Arc::default(),
        }
    }
}

impl Bounded {
    pub(crate) fn most_at_once(&self) -> usize {
        self.running.lock().unwrap().1
    }

    /// A caller that has a token in the end.
    pub(crate) fn token(&self, name: &str) {
        let mut caller = self.of(name).caller();
        loop {
            match caller.ask() {
                Ask::Token(_) => return,
                Ask::First(refresh) => self.renew(refresh),
                // Nobody here waits for time: a turn that is lost is a deadlock.
                Ask::Wait(waiting, _) => waiting.signal().wait(),
                other => panic!("{other:?}"),
            }
        }
    }

    /// A caller that does not wait.
    pub(crate) fn goes_away(&self, name: &str) {
        let mut caller = self.of(name).caller();
        match caller.ask() {
            Ask::First(refresh) => self.renew(refresh),
            Ask::Wait(waiting, _) => {
                shuttle::thread::yield_now();
                drop(waiting);
            }
            other => panic!("{other:?}"),
        }
    }

    fn of(&self, name: &str) -> Arc<Source> {
        self.sessions.session(&self.root, name).unwrap()
    }

    fn renew(&self, refresh: Refresh) {
        let Next::Send(refresh, mut renewal) = ready(refresh.begin()) else {
            panic!("a JWT grant is a request");
        };
        let now = Clock::default().now();
        assert!(matches!(renewal.step(now), Step::Send(_)));
        {
            let mut running = self.running.lock().unwrap();
            running.0 += 1;
            running.1 = running.1.max(running.0);
        }
        shuttle::thread::yield_now();
        let end = now.unix.as_secs() + LIFE;
        let body = format!(r#"{{"access_token":"token","expires_in":{end}}}"#);
        renewal.receive(Ok(Response::new(body.into_bytes().into())), now);
        let Step::Done(result) = renewal.step(now) else {
            panic!("a renewal is one request");
        };
        self.running.lock().unwrap().0 -= 1;
        let next = ready(refresh.received(result.map_err(Error::from)));
        assert!(matches!(next, Next::Done));
    }
}
