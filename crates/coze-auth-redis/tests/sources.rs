//! Token sources over the store: what a renewal costs, and what an application has while Redis is in trouble.

mod server;
mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_redis::RedisStore;
use coze_auth_store::core::error::TransportFailure;
use coze_auth_store::core::{Now, Request, Response, SteadyTime, UnixTime};
use coze_auth_store::{Doubt, GrantStore, StoreError};
use coze_auth_tokens::core::TokenGrant;
use coze_auth_tokens::{Error, Event, EventKind, SendError, blocking, tokio as awaited};

use server::{Server, free_port};
use support::{access, app, key, options, runtime, stored, unix_now, until, with};

const LIFE: u64 = 900;

/// What stands in for Coze's token endpoint, with a clock that all share: it rotates refresh tokens, and each works once.
#[derive(Clone)]
struct Coze(Arc<Inner>);

struct Inner {
    began: u64,
    passed: AtomicU64,
    /// The number of the refresh token that works.
    good: AtomicU64,
    requests: AtomicU64,
    refused: AtomicU64,
    /// Renewals take so many real milliseconds.
    takes: AtomicU64,
    /// The next answer never arrives.
    hangs: AtomicBool,
    /// What becomes of the next requests, which do not arrive.
    fails: Mutex<Option<TransportFailure>>,
    told: Mutex<Vec<String>>,
}

impl Coze {
    fn new() -> Self {
        Self(Arc::new(Inner {
            began: unix_now(),
            passed: AtomicU64::new(0),
            good: AtomicU64::new(1),
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            takes: AtomicU64::new(0),
            hangs: AtomicBool::new(false),
            fails: Mutex::default(),
            told: Mutex::default(),
        }))
    }

    fn pass(&self, secs: u64) {
        self.0.passed.fetch_add(secs, Ordering::SeqCst);
    }

    fn now(&self) -> Now {
        let passed = self.0.passed.load(Ordering::SeqCst);
        Now {
            unix: UnixTime::from_secs(self.0.began + passed),
            steady: SteadyTime::from_duration(Duration::from_secs(passed)),
        }
    }

    fn json(&self, number: u64, end: &str) -> String {
        let at = self.now().unix.as_secs();
        format!(
            r#"{{"access_token":"access-{number}","refresh_token":"refresh-{number}","issued_at":{at},"{end}":{}}}"#,
            at + LIFE
        )
    }

    fn login(&self) -> TokenGrant {
        TokenGrant::from_secret_json(&self.json(1, "expires_at")).unwrap()
    }

    fn answer(&self, request: &Request) -> Response {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        let body = std::str::from_utf8(request.body().as_bytes()).unwrap();
        let good = self.0.good.load(Ordering::SeqCst);
        let (status, text) = match body.contains(&format!("\"refresh-{good}\"")) {
            true => {
                self.0.good.store(good + 1, Ordering::SeqCst);
                (200, self.json(good + 1, "expires_in"))
            }
            false => {
                self.0.refused.fetch_add(1, Ordering::SeqCst);
                (400, r#"{"error_code":"invalid_grant"}"#.to_owned())
            }
        };
        let mut response = Response::new(text.into_bytes().into());
        *response.status_mut() = status.try_into().unwrap();
        response
    }

    fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::SeqCst)
    }

    /// A process of its own. Nobody observes it, so the store does not look at its server.
    fn source(&self, store: &RedisStore) -> blocking::TokenSource<Self> {
        blocking::TokenSource::stored(self, app(), "alice", store.clone()).unwrap()
    }

    /// Notes what is said of a refresh token that may be spent.
    fn doubts(&self) -> impl Fn(&Event<'_>) + Send + Sync + 'static + use<> {
        let told = self.clone();
        move |event| {
            if let EventKind::MaybeSpent(doubt) = &event.kind {
                let text = format!("may be spent: {doubt}");
                told.0.told.lock().unwrap().push(text);
            }
        }
    }

    fn awaited(&self, store: &RedisStore) -> awaited::TokenSource<Self> {
        awaited::TokenSource::stored_async(self, app(), "alice", store.clone()).unwrap()
    }
}

impl blocking::Transport for Coze {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        thread::sleep(Duration::from_millis(self.0.takes.load(Ordering::SeqCst)));
        if let Some(failure) = *self.0.fails.lock().unwrap() {
            return Err(failure.into());
        }
        Ok(self.answer(&request))
    }

    fn time(&self) -> &dyn blocking::Time {
        self
    }
}

impl blocking::Time for Coze {
    fn now(&self) -> Now {
        Self::now(self)
    }

    fn sleep(&self, pause: Duration) {
        self.pass(pause.as_secs());
    }
}

impl awaited::Transport for Coze {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        tokio::time::sleep(Duration::from_millis(self.0.takes.load(Ordering::SeqCst))).await;
        let answer = self.answer(&request);
        if self.0.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(answer)
    }
}

/// Waits until a source has this token. Its renewal may run in the background.
#[track_caller]
fn has(source: &blocking::TokenSource<Coze>, token: &str) {
    until(|| source.token().is_ok_and(|it| it.expose() == token));
}

#[test]
fn a_renewal_asks_the_server_twice_and_a_fresh_token_never() {
    let Some(server) = Server::start(
        "a_renewal_asks_the_server_twice_and_a_fresh_token_never",
        &[],
    ) else {
        return;
    };
    let (coze, store) = (Coze::new(), support::store(&server));
    let source = coze.source(&store);
    source.install(coze.login()).unwrap();
    coze.pass(LIFE);
    assert_eq!(source.token().unwrap().expose(), "access-2");
    for number in 3..6 {
        coze.pass(LIFE);
        server.tell(&["CONFIG", "RESETSTAT"]);
        assert_eq!(source.token().unwrap().expose(), format!("access-{number}"));
        for _ in 0..100 {
            source.token().unwrap();
        }
        thread::sleep(Duration::from_millis(50));
        assert_eq!((server.calls("evalsha"), server.calls("hmget")), (2, 2));
        assert_eq!(server.calls("eval") + server.calls("subscribe"), 0);
    }
    // Awaited, it is the same. Its clock is the machine's, so a token is refused by hand.
    runtime().block_on(async {
        let (coze, store) = (Coze::new(), support::store(&server));
        let source = coze.awaited(&store);
        source.install(coze.login()).await.unwrap();
        server.tell(&["CONFIG", "RESETSTAT"]);
        let before = source.token().await.unwrap();
        source.invalidate(&before);
        assert_eq!(source.token().await.unwrap().expose(), "access-2");
        assert_eq!((server.calls("evalsha"), server.calls("hmget")), (2, 2));
    });
}

#[test]
fn many_processes_renew_once() {
    let Some(server) = Server::start("many_processes_renew_once", &[]) else {
        return;
    };
    let coze = Coze::new();
    coze.0.takes.store(30, Ordering::SeqCst);
    let sources: Vec<_> = (0..10)
        .map(|_| coze.source(&support::store(&server)))
        .collect();
    sources[0].install(coze.login()).unwrap();
    for life in 1..4 {
        coze.pass(LIFE);
        thread::scope(|scope| {
            for source in &sources {
                scope.spawn(move || {
                    let token = source.token().unwrap();
                    assert_eq!(token.expose(), format!("access-{}", life + 1));
                });
            }
        });
        assert_eq!(coze.requests(), life);
    }
    assert_eq!(coze.0.refused.load(Ordering::SeqCst), 0);
}

#[test]
fn with_redis_away_a_valid_token_is_served_and_nothing_is_renewed() {
    let Some(mut server) = Server::start(
        "with_redis_away_a_valid_token_is_served_and_nothing_is_renewed",
        &[],
    ) else {
        return;
    };
    let limit = Duration::from_millis(300);
    let coze = Coze::new();
    let store = || with(options(&server).connect_within(limit).answer_within(limit));
    let (source, other) = (coze.source(&store()), coze.source(&store()));
    source.install(coze.login()).unwrap();
    server.kill();
    for _ in 0..100 {
        let began = Instant::now();
        assert_eq!(source.token().unwrap().expose(), "access-1");
        assert!(began.elapsed() < Duration::from_millis(100));
    }
    // Stale, it is still served, and a renewal is tried in the background.
    coze.pass(LIFE - 5);
    let began = Instant::now();
    assert_eq!(source.token().unwrap().expose(), "access-1");
    assert!(
        began.elapsed() < Duration::from_millis(200),
        "{:?}",
        began.elapsed()
    );
    // A caller without one is told, in its time.
    for without in [&other, &source] {
        coze.pass(5);
        let began = Instant::now();
        let error = without.token().unwrap_err();
        assert!(
            matches!(error, Error::Store(StoreError::Engine { .. })),
            "{error:?}"
        );
        assert!(
            error.to_string().starts_with("no connection to Redis at"),
            "{error}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );
    }
    assert_eq!(coze.requests(), 0);
    server.restart();
    for source in [&source, &other] {
        coze.pass(60);
        has(source, "access-2");
    }
    assert_eq!(coze.requests(), 1);
}

#[test]
fn a_grant_that_redis_does_not_take_is_served_and_stored_later_without_another_request() {
    let Some(server) = Server::start(
        "a_grant_that_redis_does_not_take_is_served_and_stored_later_without_another_request",
        &[],
    ) else {
        return;
    };
    let (coze, store) = (Coze::new(), support::store(&server));
    let source = coze.source(&store);
    source.install(coze.login()).unwrap();
    coze.pass(LIFE);
    // Between the lease and the save.
    coze.0.takes.store(400, Ordering::SeqCst);
    thread::scope(|scope| {
        let renews = scope.spawn(|| source.token());
        until(|| server.tell(&["HEXISTS", &store.key(&key("alice")), "h"]) == "1");
        server.tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        assert_eq!(renews.join().unwrap().unwrap().expose(), "access-2");
    });
    assert_eq!(access(&store, &key("alice")).unwrap(), "access-1");
    assert_eq!(source.token().unwrap().expose(), "access-2");
    server.tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    // Its lease goes as well, now that the server takes that, and the pause of the source passes.
    let began = Instant::now();
    coze.pass(60);
    until(|| {
        source.token().unwrap();
        access(&store, &key("alice")).unwrap() == "access-2"
    });
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(coze.requests(), 1);
}

#[test]
fn where_memory_is_full_what_is_stored_is_served_and_nothing_is_spent() {
    let Some(server) = Server::start(
        "where_memory_is_full_what_is_stored_is_served_and_nothing_is_spent",
        &[],
    ) else {
        return;
    };
    let (coze, store) = (Coze::new(), support::store(&server));
    coze.source(&store).install(coze.login()).unwrap();
    server.tell(&["CONFIG", "SET", "maxmemory", "1"]);
    // A process that starts anew.
    let source = coze.source(&support::store(&server));
    assert_eq!(source.token().unwrap().expose(), "access-1");
    coze.pass(LIFE);
    let error = source.token().unwrap_err();
    assert!(
        error.to_string().starts_with("Redis is full (OOM"),
        "{error}"
    );
    assert_eq!(coze.requests(), 0);
    server.tell(&["CONFIG", "SET", "maxmemory", "0"]);
    coze.pass(60);
    has(&source, "access-2");
}

#[test]
fn a_holder_that_dies_after_the_endpoint_acted_is_told_to_the_next() {
    let Some(server) = Server::start(
        "a_holder_that_dies_after_the_endpoint_acted_is_told_to_the_next",
        &[],
    ) else {
        return;
    };
    let short = Duration::from_millis(500);
    let coze = Coze::new();
    let store = with(options(&server).lease(short));
    coze.source(&store).install(coze.login()).unwrap();
    coze.pass(LIFE);
    // It spends the refresh token and never comes back: as if it had been killed.
    let name = store.key(&key("alice"));
    let dead = with(options(&server).lease(short));
    let held = GrantStore::lock(&dead, &key("alice"), Duration::ZERO).unwrap();
    coze.0.good.store(2, Ordering::SeqCst);
    let since = server.tell(&["HGET", &name, "s"]);
    // It dies: what it left is put back after it has gone.
    let left = ["h", "u", "l", "s", "f"].map(|field| server.tell(&["HGET", &name, field]));
    drop(held);
    until(|| server.tell(&["HEXISTS", &name, "h"]) == "0");
    let [h, u, l, s, f] = &left;
    server.ask(&["HSET", &name, "h", h, "u", u, "l", l, "s", s, "f", f]);
    let next = coze.source(&store).observe(coze.doubts());
    let error = next.token().unwrap_err();
    let began = since.parse::<u64>().unwrap() / 1000;
    let words =
        format!("another process began to renew the grant at {began} and never stored a result");
    assert!(error.to_string().contains(&words), "{error}");
    assert!(error.needs_login());
    // Told when the renewal has ended, which is after its caller knows.
    until(|| !coze.0.told.lock().unwrap().is_empty());
    let told = std::mem::take(&mut *coze.0.told.lock().unwrap());
    assert_eq!(told, [format!("may be spent: {words}")]);
    // Once.
    coze.pass(61);
    assert!(matches!(next.token().unwrap_err(), Error::LoginNeeded(_)));
    assert_eq!(coze.requests(), 1);
}

#[test]
fn a_runtime_that_is_shut_down_in_mid_renewal_loses_nothing() {
    let Some(server) = Server::start(
        "a_runtime_that_is_shut_down_in_mid_renewal_loses_nothing",
        &[],
    ) else {
        return;
    };
    let (coze, store) = (Coze::new(), support::store(&server));
    coze.source(&store).install(coze.login()).unwrap();
    let first = stored(&server, &store, &key("alice"));
    // The access token of the store is good by the real clock, so it is refused by hand.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let source = coze.awaited(&store);
    runtime.block_on(async {
        let token = source.token().await.unwrap();
        source.invalidate(&token);
        // Its save is under way when the runtime goes.
        server.stop();
        let asks = source.token();
        assert!(
            tokio::time::timeout(Duration::from_millis(100), asks)
                .await
                .is_err()
        );
    });
    runtime.shutdown_background();
    server.go_on();
    // Nothing was sent, or what it brought is stored.
    let other = coze.source(&support::store(&server));
    until(|| server.tell(&["HEXISTS", &store.key(&key("alice")), "h"]) == "0");
    match coze.requests() {
        0 => assert_eq!(stored(&server, &store, &key("alice")), first),
        _ => until(|| stored(&server, &store, &key("alice")) != first),
    }
    coze.pass(LIFE);
    has(
        &other,
        &format!("access-{}", coze.0.good.load(Ordering::SeqCst) + 1),
    );
    assert_eq!(coze.0.refused.load(Ordering::SeqCst), 0);
}

/// Coze has acted, and its answer never arrives.
#[test]
fn a_runtime_that_is_shut_down_in_mid_request_leaves_the_mark() {
    let Some(server) = Server::start(
        "a_runtime_that_is_shut_down_in_mid_request_leaves_the_mark",
        &[],
    ) else {
        return;
    };
    let (coze, store) = (Coze::new(), support::store(&server));
    coze.source(&store).install(coze.login()).unwrap();
    let source = coze.awaited(&store);
    let runtime = runtime();
    runtime.block_on(async {
        let token = source.token().await.unwrap();
        source.invalidate(&token);
        coze.0.hangs.store(true, Ordering::SeqCst);
        let asks = source.token();
        let gone = tokio::time::timeout(Duration::from_millis(300), asks).await;
        assert!(gone.is_err());
    });
    assert_eq!(coze.requests(), 1);
    drop(runtime);
    drop((source, store));
    // Its lease is not waited for.
    let began = Instant::now();
    let other = support::store(&server);
    let held = GrantStore::lock(&other, &key("alice"), Duration::from_secs(20)).unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(
        matches!(held.doubt(), Some(Doubt::Unfinished { .. })),
        "{:?}",
        held.doubt()
    );
}

/// What the endpoint says, or does not say, and whether the next holder is told that the refresh token may be spent.
#[test]
fn a_request_leaves_the_mark_where_it_may_have_arrived() {
    let Some(server) = Server::start("a_request_leaves_the_mark_where_it_may_have_arrived", &[])
    else {
        return;
    };
    for (failure, is_marked) in [
        (Some(TransportFailure::NotSent), false),
        (Some(TransportFailure::NoAnswer), true),
        (Some(TransportFailure::Timeout), true),
        // Refused.
        (None, false),
    ] {
        let (coze, store) = (Coze::new(), support::store(&server));
        let source = coze.source(&store);
        source.install(coze.login()).unwrap();
        coze.pass(LIFE);
        match failure {
            Some(_) => *coze.0.fails.lock().unwrap() = failure,
            None => coze.0.good.store(7, Ordering::SeqCst),
        }
        source.token().unwrap_err();
        let other = support::store(&server);
        let held = GrantStore::lock(&other, &key("alice"), Duration::from_secs(20)).unwrap();
        let doubt = held.doubt();
        assert_eq!(doubt.is_some(), is_marked, "{failure:?}: {doubt:?}");
        // The process that has sent it knows as well, and asks once more.
        drop(held);
        if is_marked {
            *coze.0.fails.lock().unwrap() = None;
            coze.pass(60);
            let before = coze.requests();
            assert_eq!(source.token().unwrap().expose(), "access-2");
            assert_eq!(coze.requests(), before + 1);
        }
    }
}

#[test]
fn a_store_that_nobody_listens_for_does_not_keep_a_process_from_ending() {
    let store = RedisStore::new(&format!("redis://127.0.0.1:{}", free_port())).unwrap();
    let began = Instant::now();
    drop(store);
    assert!(began.elapsed() < Duration::from_millis(200));
}

/// The notices that a source was told, once there are so many.
fn notices(told: &mpsc::Receiver<String>, count: usize) -> Vec<String> {
    let mut notices: Vec<_> = (0..count)
        .map(|_| {
            told.recv_timeout(Duration::from_secs(60))
                .expect("a notice")
        })
        .collect();
    let more = told.recv_timeout(Duration::from_millis(300));
    assert!(more.is_err(), "{more:?} beside {notices:?}");
    notices.sort();
    notices
}

#[test]
fn what_endangers_a_login_is_told_to_the_observer_at_start() {
    let test = "what_endangers_a_login_is_told_to_the_observer_at_start";
    let forbidden = ["rename-command CONFIG \"\"", "rename-command INFO \"\""];
    let endangered = [
        "maxmemory 200000000",
        "maxmemory-policy allkeys-lru",
        "appendonly no",
    ];
    let dangers: [(&[&str], &[&str]); 3] = [
        (&[], &[]),
        (
            &endangered,
            &[
                "Redis, append-only: appendonly says `no`: ",
                "Redis, eviction: maxmemory-policy is allkeys-lru",
            ],
        ),
        // A managed service: what cannot be looked at is told, and the source works.
        (
            &forbidden,
            &[
                "Redis, not-looked: CONFIG GET is refused",
                "Redis, not-looked: INFO is refused",
            ],
        ),
    ];
    for (settings, expected) in dangers {
        let Some(server) = Server::start(test, settings) else {
            return;
        };
        let observer = || {
            let (tell, told) = mpsc::channel();
            let tell = move |event: &Event<'_>| {
                if let EventKind::Notice(notice) = event.kind {
                    tell.send(notice.to_owned()).expect("the test waits");
                }
            };
            (tell, told)
        };
        let check = |told: &mpsc::Receiver<String>, form: &str| {
            let had = notices(told, expected.len());
            for (had, expected) in had.iter().zip(expected) {
                assert!(had.starts_with(expected), "{form}: {had}");
            }
        };

        let (coze, store) = (Coze::new(), support::store(&server));
        let (tell, told) = observer();
        let source = coze.source(&store).observe(tell);
        source.install(coze.login()).unwrap();
        assert_eq!(source.token().unwrap().expose(), "access-1");
        check(&told, "blocking");
        // Each of them once, whatever comes then; and to who comes later.
        coze.pass(LIFE);
        assert_eq!(source.token().unwrap().expose(), "access-2");
        let (tell, late) = observer();
        let source = source.observe(tell);
        check(&late, "late");
        coze.pass(LIFE);
        assert_eq!(source.token().unwrap().expose(), "access-3");
        assert!(told.try_recv().is_err(), "told twice");

        let (coze, store) = (Coze::new(), support::store(&server));
        let (tell, told) = observer();
        runtime().block_on(async {
            let source = coze.awaited(&store).observe(tell);
            source.install(coze.login()).await.unwrap();
            assert_eq!(source.token().await.unwrap().expose(), "access-1");
            check(&told, "awaited");
        });
    }
}
