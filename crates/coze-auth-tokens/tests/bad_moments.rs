//! Logins, logouts and closes at bad moments, over stores and signers that hang or fail: what came is not lost, and nobody
//! waits for ever.

mod steps;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use coze_auth_store::{GrantKey, GrantStore, LockedGrant, MemoryStore, Saved, StoreError};
use coze_auth_tokens::blocking::{self, Time, Transport};
use coze_auth_tokens::core::device::DeviceApp;
use coze_auth_tokens::core::error::SigningError;
use coze_auth_tokens::core::jwt::{JwtApp, JwtGrant, Signer};
use coze_auth_tokens::core::{Endpoints, Request, Response, TokenGrant};
use coze_auth_tokens::{Error, SendError};
use steps::{LIFE, Passed, answer};

#[derive(Clone)]
struct Coze(Arc<Inner>);
struct Inner {
    clock: Passed,
    server: Passed,
    requests: AtomicU64,
    held: Mutex<bool>,
    changed: Condvar,
    timeout: Duration,
    date: bool,
    spent: Mutex<std::collections::BTreeSet<String>>,
}
fn coze(timeout: Duration) -> Coze {
    let clock = Passed::default();
    Coze(Arc::new(Inner {
        server: clock.clone(),
        clock,
        requests: AtomicU64::new(0),
        held: Mutex::new(false),
        changed: Condvar::new(),
        timeout,
        date: false,
        spent: Mutex::default(),
    }))
}
impl Coze {
    fn grant(&self, user: &str, n: u64) -> TokenGrant {
        let at = self.0.clock.now().unix.as_secs();
        TokenGrant::from_secret_json(&format!(
            r#"{{"access_token":"{user}-{n}","refresh_token":"{user}:{n}","issued_at":{at},"expires_at":{}}}"#, at + LIFE)).unwrap()
    }
    fn reply(&self, request: &Request) -> Result<Response, SendError> {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        let held = self.0.held.lock().unwrap();
        drop(self.0.changed.wait_while(held, |held| *held).unwrap());
        let body = std::str::from_utf8(request.body().as_bytes()).unwrap();
        let end = self.0.server.now().unix.as_secs() + LIFE;
        let n = self.0.requests.load(Ordering::SeqCst);
        let text = match body.split_once("\"refresh_token\":\"") {
            Some((_, token)) => {
                let (user, number) = token.split_once('"').unwrap().0.split_once(':').unwrap();
                if !self
                    .0
                    .spent
                    .lock()
                    .unwrap()
                    .insert(token.split_once('"').unwrap().0.to_owned())
                {
                    return Ok(steps::invalid_grant()?);
                }
                let number = number.parse::<u64>().unwrap() + 1;
                format!(
                    r#"{{"access_token":"{user}-{number}","refresh_token":"{user}:{number}","expires_in":{end}}}"#
                )
            }
            None => format!(r#"{{"access_token":"jwt-{n}","expires_in":{end}}}"#),
        };
        let mut response = answer(200, &text)?;
        if self.0.date {
            let now = self.0.server.now().unix.as_secs();
            let secs = now % 60;
            let mins = (now / 60) % 60;
            let hours = (now / 3600) % 24;
            // START = 2025-06-15 15:06:40, a Sunday
            response.headers_mut().insert(
                "date",
                format!("Sun, 15 Jun 2025 {hours:02}:{mins:02}:{secs:02} GMT")
                    .parse()
                    .unwrap(),
            );
        }
        Ok(response)
    }
}
impl Transport for Coze {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        self.reply(&request)
    }
    fn time(&self) -> &dyn Time {
        &self.0.clock
    }
    fn timeout(&self) -> Duration {
        self.0.timeout
    }
}
#[derive(Clone)]
struct Tk(Coze);
impl coze_auth_tokens::tokio::Transport for Tk {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        self.0.reply(&request)
    }
    fn timeout(&self) -> Duration {
        self.0.0.timeout
    }
    fn time(&self) -> &dyn coze_auth_tokens::tokio::Time {
        &TkClock
    }
}
struct TkClock;
impl coze_auth_tokens::tokio::Time for TkClock {
    fn now(&self) -> coze_auth_tokens::core::Now {
        Passed::default().now()
    }
    fn sleep(&self, _: Duration) -> coze_auth_tokens::tokio::Sleep<'_> {
        Box::pin(async {})
    }
}

fn app() -> DeviceApp {
    DeviceApp::new(Endpoints::cn(), "app").unwrap()
}

#[derive(Clone, Default)]
struct Faulty {
    store: MemoryStore,
    full: Arc<AtomicBool>,
    hang: Arc<(Mutex<bool>, Condvar)>,
    hanging: Arc<AtomicBool>,
}
impl Faulty {
    fn has(&self, user: &str) -> Option<String> {
        let key = GrantKey::new(&app().into(), user).unwrap();
        Some(
            self.store
                .load(&key)
                .unwrap()?
                .access_token
                .expose()
                .to_owned(),
        )
    }
    fn hang(&self, on: bool) {
        *self.hang.0.lock().unwrap() = on;
        self.hang.1.notify_all();
    }
    fn maybe_hang(&self) {
        let held = self.hang.0.lock().unwrap();
        self.hanging.store(*held, Ordering::SeqCst);
        drop(self.hang.1.wait_while(held, |h| *h).unwrap());
    }
}
impl GrantStore for Faulty {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.store.load(key)
    }
    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        // A renewal may hold it a moment longer than its caller waits; who hangs in it holds it.
        let is_hung = *self.hang.0.lock().unwrap();
        let patience = if is_hung { Duration::ZERO } else { patience };
        let held = self.store.lock(key, patience)?;
        Ok(Box::new(Held(held, self.clone())))
    }
}
struct Held(Box<dyn LockedGrant>, Faulty);
impl LockedGrant for Held {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        self.0.load()
    }
    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        self.1.maybe_hang();
        if self.1.full.load(Ordering::SeqCst) {
            return Err(StoreError::Other(Arc::new(std::io::Error::other("full"))));
        }
        self.0.save(grant)
    }
    fn remove(&mut self) -> Result<(), StoreError> {
        self.1.maybe_hang();
        self.0.remove()
    }
}

const T: Duration = Duration::from_secs(5);

/// 1. close of Logins told NotStored; once the store is well, the next close is to store it.
#[test]
fn a_second_close_stores_what_the_first_could_not() {
    let (coze, store) = (coze(T), Faulty::default());
    let logins = blocking::Logins::new(&coze, app(), store.clone());
    logins.install("alice", coze.grant("alice", 0)).unwrap();
    coze.0.clock.pass(LIFE);
    store.full.store(true, Ordering::SeqCst);
    assert_eq!(
        logins.of("alice").unwrap().token().unwrap().expose(),
        "alice-1"
    );
    let error = logins.close().unwrap_err();
    assert!(matches!(error, Error::NotStored(_)), "{error}");
    store.full.store(false, Ordering::SeqCst);
    let again = logins.close();
    drop(logins);
    assert_eq!(
        store.has("alice").as_deref(),
        Some("alice-1"),
        "second close said {again:?}"
    );
}

/// 2. A user's source that was closed while its grant waits.
#[test]
fn a_closed_users_unsaved_grant_is_not_lost_by_of() {
    let (coze, store) = (coze(T), Faulty::default());
    let logins = blocking::Logins::new(&coze, app(), store.clone());
    logins.install("alice", coze.grant("alice", 0)).unwrap();
    coze.0.clock.pass(LIFE);
    store.full.store(true, Ordering::SeqCst);
    assert_eq!(
        logins.of("alice").unwrap().token().unwrap().expose(),
        "alice-1"
    );
    logins.of("alice").unwrap().close().unwrap_err();
    store.full.store(false, Ordering::SeqCst);
    let now = logins.of("alice").unwrap().token().unwrap();
    assert_eq!(
        now.expose(),
        "alice-1",
        "renewed from a spent refresh token"
    );
}

/// 3.
#[test]
fn an_evicted_session_is_closed_with_its_source() {
    let coze = coze(T);
    let app = JwtApp::new(Endpoints::cn(), "1", "k", Bad).unwrap();
    let tokens = blocking::TokenSource::jwt(&coze, app, JwtGrant::new()).sessions_kept(1);
    let a = tokens.session("a").unwrap();
    a.token().unwrap();
    tokens.session("b").unwrap().token().unwrap();
    tokens.close().unwrap();
    coze.0.clock.pass(LIFE);
    let then = a.token();
    assert!(matches!(then, Err(Error::Closed)), "{then:?}");
}
struct Bad;
impl Signer for Bad {
    fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        Ok(vec![0; 256])
    }
}

/// 4.
#[test]
fn a_transport_without_a_timeout_can_be_closed() {
    let (coze, store) = (coze(Duration::MAX), Faulty::default());
    let tokens = blocking::TokenSource::stored(&coze, app(), "alice", store).unwrap();
    tokens.install(coze.grant("alice", 0)).unwrap();
    tokens.token().unwrap();
    tokens.close().unwrap();
}

/// 5. The code of the login is spent.
#[test]
fn a_login_outside_a_runtime_is_told_and_kept() {
    let (coze, store) = (coze(T), Faulty::default());
    let tk = Tk(coze.clone());
    let tokens =
        coze_auth_tokens::tokio::TokenSource::stored(&tk, app(), "alice", store.clone()).unwrap();
    let installed = catch_unwind(AssertUnwindSafe(|| {
        block(tokens.install(coze.grant("alice", 0)))
    }));
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let token = rt.block_on(tokens.token());
    assert!(installed.is_ok(), "it panicked; then {token:?}");
    token.unwrap();
    let closed = catch_unwind(AssertUnwindSafe(|| block(tokens.close())));
    assert!(closed.is_ok(), "close panicked");
}
fn block<F: Future>(f: F) -> F::Output {
    let mut f = std::pin::pin!(f);
    loop {
        if let std::task::Poll::Ready(r) = f
            .as_mut()
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
        {
            return r;
        }
        thread::yield_now();
    }
}

/// 6.
#[test]
fn a_login_that_hung_does_not_drop_the_one_after_it() {
    let (coze, store) = (coze(T), Faulty::default());
    let tokens = blocking::TokenSource::stored(&coze, app(), "alice", store.clone()).unwrap();
    store.hang(true);
    let (first, early) = (tokens.clone(), coze.grant("early", 0));
    let first = thread::spawn(move || first.install(early));
    while !store.hanging.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    let error = tokens.install(coze.grant("later", 0)).unwrap_err();
    assert!(matches!(error, Error::NotStored(_)));
    assert_eq!(tokens.token().unwrap().expose(), "later-0");
    store.hang(false);
    first.join().unwrap().unwrap();
    let served = tokens.token().unwrap().expose().to_owned();
    let closed = tokens.close();
    assert_eq!(
        (served.as_str(), store.has("alice").as_deref()),
        ("later-0", Some("later-0")),
        "{closed:?}"
    );
}

#[test]
fn a_logout_that_hung_does_not_drop_the_login_after_it() {
    let (coze, store) = (coze(T), Faulty::default());
    let tokens = blocking::TokenSource::stored(&coze, app(), "alice", store.clone()).unwrap();
    tokens.install(coze.grant("early", 0)).unwrap();
    store.hang(true);
    let first = tokens.clone();
    let first = thread::spawn(move || first.forget());
    while !store.hanging.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    let error = tokens.install(coze.grant("later", 0)).unwrap_err();
    assert!(matches!(error, Error::NotStored(_)));
    store.hang(false);
    first.join().unwrap().unwrap();
    let served = tokens.token().map(|t| t.expose().to_owned());
    let closed = tokens.close();
    assert_eq!(
        (served.ok().as_deref(), store.has("alice").as_deref()),
        (Some("later-0"), Some("later-0")),
        "{closed:?}"
    );
}

/// 7. A web handler is dropped (the browser went away) in mid-install, and the disk is full.
#[test]
fn a_login_whose_caller_went_away_is_kept_too() {
    let (coze, store) = (coze(T), Faulty::default());
    let tk = Tk(coze.clone());
    let rt = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let served = rt.block_on(async {
        let logins = coze_auth_tokens::tokio::Logins::new(&tk, app(), store.clone());
        store.hang(true);
        store.full.store(true, Ordering::SeqCst);
        let gone = tokio::time::timeout(
            Duration::from_millis(200),
            logins.install("alice", coze.grant("alice", 0)),
        )
        .await;
        assert!(gone.is_err());
        store.hang(false);
        tokio::time::sleep(Duration::from_millis(300)).await;
        store.full.store(false, Ordering::SeqCst);
        logins
            .of("alice")
            .unwrap()
            .token()
            .await
            .map(|t| t.expose().to_owned())
    });
    assert_eq!(served.unwrap(), "alice-0");
}

/// 8. The machine's clock is ahead.
#[test]
fn a_clock_that_is_ahead_makes_no_storm_of_those_who_ask_for_long() {
    for date in [false, true] {
        for ahead in [700, 3_600] {
            let server = Passed::default();
            let clock = Passed::default();
            clock.pass(ahead);
            let coze = Coze(Arc::new(Inner {
                server: server.clone(),
                clock: clock.clone(),
                requests: AtomicU64::new(0),
                held: Mutex::new(false),
                changed: Condvar::new(),
                timeout: T,
                date,
                spent: Mutex::default(),
            }));
            let app = JwtApp::new(Endpoints::cn(), "1", "k", Bad).unwrap();
            let tokens = blocking::TokenSource::jwt(&coze, app, JwtGrant::new());
            let mut errors = 0;
            for _ in 0..60 {
                errors += u32::from(tokens.token_valid_for(Duration::from_secs(600)).is_err());
                server.pass(1);
                clock.pass(1);
            }
            let long = coze.0.requests.swap(0, Ordering::SeqCst);
            for _ in 0..60 {
                errors += u32::from(tokens.token().is_err());
                server.pass(1);
                clock.pass(1);
            }
            println!(
                "date {date} ahead {ahead}: {long} requests for token_valid_for, {} for token; {errors} errors",
                coze.0.requests.load(Ordering::SeqCst)
            );
        }
    }
}

/// 9. A signer that hangs for good, and many sessions.
#[test]
fn a_signer_that_hangs_leaves_threads_to_the_application() {
    struct Hangs;
    impl Signer for Hangs {
        fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
            thread::sleep(Duration::from_secs(40));
            Err(SigningError::new("x"))
        }
    }
    let coze = coze(Duration::from_millis(50));
    let tk = Tk(coze.clone());
    let rt = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let free = rt.block_on(async {
        let app = JwtApp::new(Endpoints::cn(), "1", "k", Hangs).unwrap();
        let tokens = coze_auth_tokens::tokio::TokenSource::jwt(&tk, app, JwtGrant::new());
        let mut all = tokio::task::JoinSet::new();
        for n in 0..600 {
            let s = tokens.session(&n.to_string()).unwrap();
            all.spawn(async move { s.token().await.is_err() });
        }
        while all.join_next().await.is_some() {}
        tokio::time::timeout(Duration::from_secs(2), tokio::task::spawn_blocking(|| ()))
            .await
            .is_ok()
    });
    rt.shutdown_background();
    assert!(
        free,
        "the application's own spawn_blocking does not run any more"
    );
}

/// A body that must not be polled when it has ended, as `unfold` and async blocks must not.
struct Once(Option<&'static str>, bool);

impl http_body::Body for Once {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>> {
        assert!(!self.1, "polled after its end");
        let next = self.0.take();
        self.1 = next.is_none();
        std::task::Poll::Ready(next.map(|text| Ok(http_body::Frame::data(text.into()))))
    }
}

#[test]
fn a_body_that_was_looked_at_is_not_polled_after_its_end() {
    use coze_auth_tokens::core::http;
    use coze_auth_tokens::tokio::Answer as _;
    use http_body::Body as _;
    let body = coze_auth_tokens::PeekableBody::new(Once(Some("{}"), false));
    let mut answer = http::Response::new(body);
    assert_eq!(block(answer.peek(100)).unwrap(), b"{}");
    assert_eq!(block(answer.peek(100)).unwrap(), b"{}");
    let mut body = answer.into_body();
    let mut frames = 0;
    while let Some(frame) = block(std::future::poll_fn(|context| {
        std::pin::Pin::new(&mut body).poll_frame(context)
    })) {
        frames += usize::from(frame.is_ok());
    }
    assert_eq!(frames, 1);
}

/// Both kinds, each where the other belongs.
#[test]
fn a_source_that_blocks_works_inside_a_runtime() {
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    rt.block_on(async {
        let (coze, store) = (coze(T), Faulty::default());
        let logins = blocking::Logins::new(&coze, app(), store.clone());
        logins.install("alice", coze.grant("alice", 0)).unwrap();
        coze.0.clock.pass(LIFE);
        assert_eq!(
            logins.of("alice").unwrap().token().unwrap().expose(),
            "alice-1"
        );
        logins.forget("alice").unwrap();
        logins.close().unwrap();
    });
}

/// An awaited store: what is saved while it is well is stored; else it waits, then panics.
struct Awaited(Faulty);
struct AwaitedHeld(Box<dyn LockedGrant>, Faulty);

impl coze_auth_store::AsyncGrantStore for Awaited {
    type Locked = AwaitedHeld;
    async fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.0.load(key)
    }
    async fn lock(&self, key: &GrantKey, patience: Duration) -> Result<AwaitedHeld, StoreError> {
        Ok(AwaitedHeld(self.0.lock(key, patience)?, self.0.clone()))
    }
}

impl coze_auth_store::AsyncLockedGrant for AwaitedHeld {
    async fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        self.0.load()
    }
    async fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        if self.1.full.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            panic!("the store panics");
        }
        self.0.save(grant)
    }
    async fn remove(&mut self) -> Result<(), StoreError> {
        self.0.remove()
    }
}

#[test]
fn a_login_that_is_broken_off_is_kept_too() {
    for shut_down in [false, true] {
        let (coze, store) = (coze(T), Faulty::default());
        let rt = || {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap()
        };
        let logins = coze_auth_tokens::tokio::Logins::new_async(
            &Tk(coze.clone()),
            app(),
            Awaited(store.clone()),
        );
        store.full.store(true, Ordering::SeqCst);
        let first = rt();
        first.block_on(async {
            let install = logins.install("alice", coze.grant("alice", 0));
            assert!(
                tokio::time::timeout(Duration::from_millis(30), install)
                    .await
                    .is_err()
            );
            if !shut_down {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        first.shutdown_timeout(Duration::from_secs(5));
        store.full.store(false, Ordering::SeqCst);
        let second = rt();
        second.block_on(async {
            let token = logins.of("alice").unwrap().token().await;
            assert_eq!(token.unwrap().expose(), "alice-0", "shut down: {shut_down}");
            logins.close().await.unwrap();
        });
        assert_eq!(store.has("alice").as_deref(), Some("alice-0"));
    }
}

#[test]
fn a_close_waits_for_a_login_that_is_being_stored() {
    let (coze, store) = (coze(T), Faulty::default());
    let logins = blocking::Logins::new(&coze, app(), store.clone());
    store.hang(true);
    let (second, grant) = (logins.clone(), coze.grant("alice", 0));
    let login = thread::spawn(move || second.install("alice", grant));
    while !store.hanging.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    let closing = logins.clone();
    let closing = thread::spawn(move || closing.close());
    thread::sleep(Duration::from_millis(200));
    let waited = !closing.is_finished();
    store.full.store(true, Ordering::SeqCst);
    store.hang(false);
    let installed = login.join().unwrap();
    let first = closing.join().unwrap();
    store.full.store(false, Ordering::SeqCst);
    let again = logins.close();
    assert_eq!(
        store.has("alice").as_deref(),
        Some("alice-0"),
        "waited: {waited}; install {installed:?}, close {first:?}, then {again:?}"
    );
}

/// What waits to be stored is not stored any more when the user has logged out meanwhile.
#[test]
fn a_close_stores_no_login_that_was_logged_out_meanwhile() {
    let (coze, store) = (coze(T), Slow::default());
    let tokens = blocking::TokenSource::stored(&coze, app(), "alice", store.clone()).unwrap();
    store.0.full.store(true, Ordering::SeqCst);
    tokens.install(coze.grant("alice", 0)).unwrap_err();
    store.0.full.store(false, Ordering::SeqCst);
    store.0.hang(true);
    let forgets = tokens.clone();
    let forgets = thread::spawn(move || forgets.forget());
    while !store.0.hanging.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    let closes = tokens.clone();
    let closes = thread::spawn(move || closes.close());
    thread::sleep(Duration::from_millis(200));
    store.0.hang(false);
    forgets.join().unwrap().unwrap();
    closes.join().unwrap().unwrap();
    assert_eq!(store.0.has("alice"), None);
}

/// It waits for its locks.
#[derive(Clone, Default)]
struct Slow(Faulty);

impl GrantStore for Slow {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.0.load(key)
    }
    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        Ok(Box::new(Held(
            self.0.store.lock(key, patience)?,
            self.0.clone(),
        )))
    }
}
