//! A process of the fleet: eight tasks, which ask for both tokens at each tick until they have them.

use std::env;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coze_auth_conformance::SharedClock;
use coze_auth_core::http::{HeaderName, HeaderValue, Request};
use coze_auth_core::jwt::{JwtApp, JwtGrant, RsaKey};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::{AccessToken, Endpoints, TokenGrant};
use coze_auth_mock::fingerprint;
use coze_auth_redis::{RedisLock, RedisOptions, RedisStore};
use coze_auth_store::{
    AsyncGrantStore, AsyncLockedGrant, GrantKey, GrantStore, LockedGrant, Notices, Saved,
    StoreError,
};
use coze_auth_tokens::{Error, Event, EventKind};
use ureq::middleware::MiddlewareNext;

use crate::clocks::{AsyncClock, BlockingClock};
use crate::lives::LIFE;

/// What a worker is started with.
pub(crate) const NAME: &str = "COZE_AUTH_FLEET_WORKER";
pub(crate) const ADAPTER: &str = "COZE_AUTH_FLEET_ADAPTER";
pub(crate) const BASE: &str = "COZE_AUTH_FLEET_BASE";
pub(crate) const LOGIN_APP: &str = "COZE_AUTH_FLEET_LOGIN_APP";
pub(crate) const JWT_APP: &str = "COZE_AUTH_FLEET_JWT_APP";
pub(crate) const KEY_ID: &str = "COZE_AUTH_FLEET_KEY_ID";
pub(crate) const KEY: &str = "COZE_AUTH_FLEET_KEY";
pub(crate) const REDIS: &str = "COZE_AUTH_FLEET_REDIS";
pub(crate) const LEASE_MS: &str = "COZE_AUTH_FLEET_LEASE_MS";
pub(crate) const FAULT: &str = "COZE_AUTH_FLEET_FAULT";

/// Who has asked. One that the mock shows in its journal.
pub(crate) const FROM: HeaderName = HeaderName::from_static("x-coze-client-user-agent");
/// Tasks of a process.
pub(crate) const TASKS: usize = 8;
/// The person whose login it is.
pub(crate) const SUBJECT: &str = "alice";
/// Between two calls of a task that has no token yet.
const PAUSE: Duration = Duration::from_millis(50);
/// Then it gives up.
const MOST_CALLS: u64 = 1_000;

/// A fault of the store, to see the fleet turn red.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Fault {
    /// A lease that all hold at once.
    Lease,
    /// A save that stores nothing, and says that it has.
    Save,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Login,
    Jwt,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Login, Self::Jwt];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Jwt => "jwt",
        }
    }

    pub(crate) fn of(name: &str) -> Self {
        match name {
            "login" => Self::Login,
            "jwt" => Self::Jwt,
            other => panic!("no token is called {other}"),
        }
    }
}

/// Microseconds since the epoch, by the machine's clock, which all processes share.
pub(crate) fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_micros() as u64
}

/// When each kind was tried last: a failure is served until its pause has passed, and was true then.
static TRIED: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

fn note(kind: Kind) -> impl Fn(&Event<'_>) + Send + Sync + 'static {
    move |event| {
        if matches!(event.kind, EventKind::Begun) {
            TRIED[kind as usize].store(micros(), Ordering::Relaxed);
        }
    }
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// Asks for a token, and waits for it.
type Ask = Arc<dyn Fn(Kind) -> Result<AccessToken, Error> + Send + Sync>;

pub(crate) fn login_app() -> PkceApp {
    let endpoints = Endpoints::custom(&var(BASE)).expect("loopback http is allowed");
    PkceApp::new(endpoints, var(LOGIN_APP)).expect("an app")
}

fn jwt_app() -> JwtApp {
    let endpoints = Endpoints::custom(&var(BASE)).expect("loopback http is allowed");
    let key = RsaKey::from_pem(&var(KEY)).expect("a key");
    JwtApp::new(endpoints, var(JWT_APP), var(KEY_ID), key).expect("an app")
}

pub(crate) fn store(url: &str, lease: Duration) -> RedisStore {
    let options = RedisOptions::from_url(url).expect("a URL").lease(lease);
    RedisStore::with(options).expect("options")
}

fn ask(clock: &SharedClock) -> Ask {
    let name = HeaderValue::from_str(&var(NAME)).expect("a name");
    let lease = Duration::from_millis(var(LEASE_MS).parse().expect("a number"));
    let store = Faulty {
        store: store(&var(REDIS), lease),
        fault: env::var(FAULT)
            .ok()
            .map(|name| match clap::ValueEnum::from_str(&name, false) {
                Ok(fault) => fault,
                Err(error) => panic!("{error}"),
            }),
    };
    let grant = JwtGrant::new().ttl(LIFE).expect("a life");
    match var(ADAPTER).as_str() {
        "reqwest" => {
            use coze_auth_reqwest::{Client, TokenSource};
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build();
            let runtime = runtime.expect("a runtime");
            let make = move || {
                let builder = reqwest::Client::builder().no_proxy().tls_certs_only([]);
                builder.default_headers([(FROM, name.clone())].into_iter().collect())
            };
            let client = Client::with_builder(make).expect("a client");
            let client = client.with_time(AsyncClock(clock.clone()));
            let login = TokenSource::stored_async(&client, login_app(), SUBJECT, store.clone());
            let login = login.expect("a subject").observe(note(Kind::Login));
            let jwt = TokenSource::jwt(&client, jwt_app(), grant);
            let jwt = jwt.shared_async(store).expect("an app's");
            let jwt = jwt.observe(note(Kind::Jwt));
            Arc::new(move |kind| match kind {
                Kind::Login => runtime.block_on(login.token()),
                Kind::Jwt => runtime.block_on(jwt.token()),
            })
        }
        "ureq" => {
            use coze_auth_ureq::{Client, TokenSource};
            let from = move |mut request: Request<ureq::SendBody<'_>>, next: MiddlewareNext<'_>| {
                request.headers_mut().insert(FROM, name.clone());
                next.handle(request)
            };
            let agent = ureq::Agent::config_builder().proxy(None).middleware(from);
            let client = Client::with_agent(agent.build().new_agent());
            let client = client.with_time(BlockingClock(clock.clone()));
            let login = TokenSource::stored(&client, login_app(), SUBJECT, store.clone());
            let login = login.expect("a subject").observe(note(Kind::Login));
            let jwt = TokenSource::jwt(&client, jwt_app(), grant);
            let jwt = jwt.shared(store).expect("an app's");
            let jwt = jwt.observe(note(Kind::Jwt));
            Arc::new(move |kind| match kind {
                Kind::Login => login.token(),
                Kind::Jwt => jwt.token(),
            })
        }
        other => panic!("no adapter is called {other}"),
    }
}

/// Each line that comes in is a life and the time at which it begins. It ends with its parent.
pub(crate) fn run() {
    let clock = SharedClock::new();
    let ask = ask(&clock);
    say("ready");
    for line in io::stdin().lines() {
        let line = line.expect("UTF-8");
        let (life, unix) = line.split_once(' ').expect("a life and a time");
        let begins = Duration::from_secs(unix.parse().expect("the time"));
        advance_to(&clock, begins);
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (ask, clock, life) = (ask.clone(), clock.clone(), life.to_owned());
                thread::spawn(move || {
                    for kind in Kind::ALL {
                        get(&ask, &clock, &life, begins, kind);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.join().expect("a task");
        }
        say(&format!("done {life}"));
    }
}

fn advance_to(clock: &SharedClock, unix: Duration) {
    clock.advance(unix.saturating_sub(clock.handle().unix()));
}

/// Asks until there is a token.
fn get(ask: &Ask, clock: &SharedClock, life: &str, begins: Duration, kind: Kind) {
    for call in 1..=MOST_CALLS {
        let began = micros();
        let result = ask(kind);
        let tried = TRIED[kind as usize].load(Ordering::Relaxed);
        let (kind, ended) = (kind.name(), micros());
        let error = match result {
            Ok(token) => {
                let print = fingerprint(token.expose());
                say(&format!("token {life} {kind} {began} {ended} {print}"));
                return;
            }
            Err(error) => error,
        };
        let (login, began) = (error.needs_login(), began.min(tried));
        say(&format!(
            "failed {life} {kind} {began} {ended} {login} {error}"
        ));
        thread::sleep(PAUSE);
        // A source pauses after a failure, by the virtual clock; the life is far from its end then.
        let passed = Duration::from_secs((call * 5).min(300));
        advance_to(clock, begins + passed);
    }
    say(&format!("stuck {life}"));
}

fn say(word: &str) {
    let line = format!("{}\n", word.replace('\n', " "));
    io::stdout().write_all(line.as_bytes()).expect("a reader");
}

/// The store, with a fault or without.
#[derive(Clone)]
struct Faulty {
    store: RedisStore,
    fault: Option<Fault>,
}

/// None: a lease that nobody was asked for.
struct FaultyLock(Faulty, GrantKey, Option<RedisLock>);

impl FaultyLock {
    async fn real(&mut self) -> Result<&mut RedisLock, StoreError> {
        if self.2.is_none() {
            let lock = AsyncGrantStore::lock(&self.0.store, &self.1, Duration::from_secs(20));
            self.2 = Some(lock.await?);
        }
        Ok(self.2.as_mut().expect("just put there"))
    }
}

impl AsyncGrantStore for Faulty {
    type Locked = FaultyLock;

    async fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        AsyncGrantStore::load(&self.store, key).await
    }

    async fn lock(&self, key: &GrantKey, patience: Duration) -> Result<FaultyLock, StoreError> {
        let lock = match self.fault {
            Some(Fault::Lease) => None,
            _ => Some(AsyncGrantStore::lock(&self.store, key, patience).await?),
        };
        Ok(FaultyLock(self.clone(), key.clone(), lock))
    }

    fn lock_reads(&self) -> bool {
        AsyncGrantStore::lock_reads(&self.store)
    }

    fn notices(&self) -> Option<&Notices> {
        AsyncGrantStore::notices(&self.store)
    }
}

impl AsyncLockedGrant for FaultyLock {
    async fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        match &mut self.2 {
            Some(lock) => AsyncLockedGrant::load(lock).await,
            None => AsyncGrantStore::load(&self.0.store, &self.1).await,
        }
    }

    async fn prepare(&mut self) -> Result<(), StoreError> {
        match &mut self.2 {
            Some(lock) => AsyncLockedGrant::prepare(lock).await,
            None => Ok(()),
        }
    }

    fn doubt(&self) -> Option<coze_auth_store::Doubt> {
        AsyncLockedGrant::doubt(self.2.as_ref()?)
    }

    async fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        match self.0.fault {
            Some(Fault::Save) => Ok(Saved::Stored),
            _ => AsyncLockedGrant::save(self.real().await?, grant).await,
        }
    }

    async fn remove(&mut self) -> Result<(), StoreError> {
        AsyncLockedGrant::remove(self.real().await?).await
    }
}

/// What is awaited here needs no runtime: the store has a thread of its own.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(result) => return result,
            std::task::Poll::Pending => thread::park(),
        }
    }
}

impl GrantStore for Faulty {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        wait_for(AsyncGrantStore::load(self, key))
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        Ok(Box::new(wait_for(AsyncGrantStore::lock(
            self, key, patience,
        ))?))
    }

    fn lock_reads(&self) -> bool {
        AsyncGrantStore::lock_reads(self)
    }

    fn notices(&self) -> Option<&Notices> {
        AsyncGrantStore::notices(self)
    }
}

impl LockedGrant for FaultyLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        wait_for(AsyncLockedGrant::load(self))
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        wait_for(AsyncLockedGrant::prepare(self))
    }

    fn doubt(&self) -> Option<coze_auth_store::Doubt> {
        AsyncLockedGrant::doubt(self)
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        wait_for(AsyncLockedGrant::save(self, grant))
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        wait_for(AsyncLockedGrant::remove(self))
    }
}
