//! What an observer is told, when, and what comes of one that misbehaves.

mod steps;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coze_auth_store::{GrantKey, GrantStore, LockedGrant, MemoryStore, StoreError};
use coze_auth_tokens::blocking::{Logins, TokenSource};
use coze_auth_tokens::core::device::DeviceApp;
use coze_auth_tokens::core::error::{GrantType, SigningError};
use coze_auth_tokens::core::http::HeaderValue;
use coze_auth_tokens::core::jwt::{JwtApp, JwtGrant, Signer};
use coze_auth_tokens::core::{Endpoints, TokenGrant};
use coze_auth_tokens::{Error, Event, EventKind, Next, Sessions, Source};

use steps::{
    Failing, LIFE, Passed, START, Unplugged, World, answer, grant, granted, invalid_grant, ready,
};

/// What was told, without what differs from run to run: the number of a renewal is the how-many-eth of these it is.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<(Vec<String>, Vec<u64>)>>);

impl Told {
    fn note(&self, event: &Event<'_>) {
        let (lines, numbers) = &mut *self.0.lock().unwrap();
        let number = event.renewal.map(|number| {
            let known = numbers.iter().position(|known| *known == number);
            known.unwrap_or_else(|| {
                numbers.push(number);
                numbers.len() - 1
            }) + 1
        });
        let number = number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let at = event.at.as_secs() - START;
        // An error's words are their own test's.
        let kind = event.kind.to_string();
        let (kind, _) = kind.split_once(": ").unwrap_or((&kind, ""));
        lines.push(format!("{at} {number} {kind}"));
    }

    /// What came since this was asked last, once it is so much: a renewal's end is told after its token is there.
    fn wait_for(&self, count: usize) -> Vec<String> {
        let begun = Instant::now();
        while self.0.lock().unwrap().0.len() < count && begun.elapsed() < steps::TIMEOUT {
            std::thread::yield_now();
        }
        self.lines()
    }

    /// What came since this was asked last.
    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().0)
    }
}

fn observed(source: &Source) -> Told {
    let told = Told::default();
    let notes = told.clone();
    source.observe(move |event| notes.note(event));
    told
}

fn busy() -> steps::Answer {
    answer(429, r#"{"error_code":"4008"}"#)
}

fn is_done(next: Next) {
    assert!(matches!(next, Next::Done), "{next:?}");
}

#[test]
fn a_renewal_is_told_with_its_end_its_storing_and_its_requests() {
    let store = Failing::default();
    let world = World::over(store.clone());
    let told = observed(&world.source);
    world.install(0);
    world.pass(LIFE);
    assert!(told.lines().is_empty(), "a login is no renewal");
    let clock = world.clock.clone();
    store.while_saving(move || clock.pass(3));
    let next = world.begin();
    assert_eq!(told.lines(), ["900 1 begun"]);
    world.pass(2);
    is_done(world.go_on(next, |_| granted(1)));
    assert_eq!(
        told.lines(),
        [
            "905 1 stored in 3.000 s",
            "905 1 done in 5.000 s after 1 request, the token ends at 1750001800"
        ]
    );
    // A hiccup that is healed.
    world.pass(LIFE);
    let Next::Wait(refresh, _) = world.send(|_| busy()) else {
        panic!("trouble passes");
    };
    world.pass(1);
    is_done(world.go_on(ready(refresh.again()), |_| granted(2)));
    assert_eq!(
        told.lines(),
        [
            "1805 2 begun",
            "1806 2 stored in 0.000 s",
            "1806 2 done in 1.000 s after 2 requests, the token ends at 1750002700"
        ]
    );
    world.token();
    assert!(told.lines().is_empty(), "the fresh path tells nothing");
}

#[test]
fn what_another_process_has_renewed_is_taken() {
    let store = MemoryStore::new();
    let world = World::over(store.clone());
    let told = observed(&world.source);
    world.install(0);
    world.pass(LIFE);
    let other = World::over(store.clone());
    other.install(1);
    is_done(world.begin());
    assert_eq!(
        told.lines(),
        [
            "900 1 begun",
            "900 1 taken from the store in 0.000 s after 0 requests, the token ends at 1750001800"
        ]
    );
}

/// A store whose locks lock nothing: an engine that compares.
#[derive(Clone, Default)]
struct Open(MemoryStore);

impl GrantStore for Open {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.0.load(key)
    }

    fn lock(&self, key: &GrantKey, _: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        Ok(Box::new(OpenLock(self.clone(), key.clone())))
    }
}

struct OpenLock(Open, GrantKey);

impl LockedGrant for OpenLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        self.0.load(&self.1)
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<coze_auth_store::Saved, StoreError> {
        self.0.0.lock(&self.1, Duration::ZERO)?.save(grant)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.0.0.lock(&self.1, Duration::ZERO)?.remove()
    }
}

#[test]
fn what_a_login_has_put_in_its_place_meanwhile_is_taken() {
    let store = Open::default();
    let world = World::over(store.clone());
    let told = observed(&world.source);
    world.install(0);
    world.pass(LIFE);
    let next = world.begin();
    World::over(store).install(5);
    is_done(world.go_on(next, |_| granted(1)));
    assert_eq!(
        told.lines(),
        [
            "900 1 begun",
            "900 1 taken from the store in 0.000 s after 1 request, the token ends at 1750005400"
        ]
    );
}

#[test]
fn a_failure_tells_when_the_next_try_comes_and_how_long_the_token_lasts() {
    let world = World::over(MemoryStore::new());
    world.install(0);
    let told = observed(&world.source);
    world.pass(LIFE - 30);
    let Next::Wait(refresh, _) = world.go_on(ready(world.behind().begin()), |_| busy()) else {
        panic!("trouble passes");
    };
    is_done(world.go_on(ready(refresh.again()), |_| busy()));
    let end = START + LIFE;
    assert_eq!(
        told.lines(),
        [
            "870 1 begun".to_owned(),
            format!(
                "870 1 refused in 0.000 s after 2 requests, next try in 1.000 s, the token ends at {end}"
            ),
        ]
    );
    // It does not come before.
    world.token();
    assert!(told.lines().is_empty());
    let mut pause = 1;
    for (number, next) in [(2, 2), (3, 4), (4, 8)] {
        world.pass(pause);
        let at = world.now().unix.as_secs() - START;
        let unreadable = || answer(503, "<html>");
        is_done(world.go_on(ready(world.behind().begin()), |_| unreadable()));
        assert_eq!(
            told.lines(),
            [
                format!("{at} {number} begun"),
                format!(
                    "{at} {number} failed in 0.000 s after 1 request, next try in {next}.000 s, the token ends at {end}"
                ),
            ]
        );
        pause = next;
    }
    world.pass(LIFE);
    is_done(world.send(|_| invalid_grant()));
    let lines = told.lines();
    assert!(
        lines[1]
            .ends_with("refused in 0.000 s after 1 request, next try in 16.000 s, without a token"),
        "{lines:?}"
    );
}

#[test]
fn what_ended_a_renewal_is_told_as_it_is() {
    let world = World::over(MemoryStore::new());
    world.install(0);
    world.pass(LIFE);
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let note = kinds.clone();
    world.source.observe(move |event| {
        assert_eq!((event.client_id, event.subject), ("app", Some("alice")));
        assert_eq!(event.grant_type, GrantType::RefreshToken);
        note.lock().unwrap().push(match &event.kind {
            EventKind::Begun => "begun".to_owned(),
            EventKind::Refused { error, .. } => format!("refused {:?}", error.code().unwrap()),
            EventKind::Failed { error, .. } => format!("failed {error}"),
            other => format!("{other:?}"),
        });
    });
    drop(world.begin());
    world.pass(61);
    is_done(world.send(|_| invalid_grant()));
    world.pass(61);
    is_done(world.begin());
    let kinds = kinds.lock().unwrap();
    let interrupted = format!("failed {}", Error::Interrupted);
    let login = format!("failed {}", Error::LoginNeeded(world.key.clone()));
    assert_eq!(
        *kinds,
        [
            "begun",
            &*interrupted,
            "begun",
            "refused InvalidGrant",
            "begun",
            &*login
        ]
    );
}

#[test]
fn what_cannot_be_stored_is_told_and_so_is_its_storing_later() {
    let store = Failing::default();
    let world = World::over(store.clone());
    world.install(0);
    world.pass(LIFE);
    let told = observed(&world.source);
    store.failures.store(1, Ordering::SeqCst);
    is_done(world.send(|_| granted(1)));
    // Everyone is given its token.
    let unstored = "900 1 failed in 0.000 s after 1 request, next try in 1.000 s, the token ends at 1750001800";
    assert_eq!(told.lines(), ["900 1 begun", unstored]);
    world.pass(1);
    is_done(ready(world.behind().begin()));
    assert_eq!(
        told.lines(),
        [
            "901 2 begun",
            "901 2 stored in 0.000 s",
            "901 2 taken from the store in 0.000 s after 0 requests, the token ends at 1750001800"
        ]
    );
    // Or by `close`.
    world.pass(LIFE);
    store.failures.store(1, Ordering::SeqCst);
    is_done(world.send(|_| granted(2)));
    told.lines();
    world.flush(Duration::ZERO).unwrap();
    assert_eq!(told.lines(), ["1801 - stored in 0.000 s"]);
    world.flush(Duration::ZERO).unwrap();
    assert!(told.lines().is_empty(), "there was nothing to store");
}

/// A world whose source is of a JWT app, or of one of its sessions.
fn over(source: Arc<Source>, clock: &Passed) -> World {
    let mut world = World::at(clock.clone(), MemoryStore::new());
    world.source = source;
    world
}

fn dated(secs: u64, answer: steps::Answer) -> steps::Answer {
    let date = match secs {
        0 => "Sun, 15 Jun 2025 15:06:40 GMT",
        3600 => "Sun, 15 Jun 2025 16:06:40 GMT",
        other => panic!("{other}"),
    };
    let mut answer = answer?;
    let date = HeaderValue::from_static(date);
    answer.headers_mut().insert("date", date);
    Ok(answer)
}

#[test]
fn clocks_that_are_apart_are_told_with_a_grant_and_with_a_refusal() {
    let clock = Passed::default();
    let world = over(steps::jwt_source(&clock), &clock);
    let told = observed(&world.source);
    is_done(world.send(|_| dated(3600, granted(4))));
    let lines = told.lines();
    assert_eq!(
        lines[1],
        "0 1 this machine's clock is 3600 s behind the server's"
    );
    assert!(lines[2].starts_with("0 1 done"), "{lines:?}");
    world.pass(5 * LIFE);
    is_done(world.send(|_| dated(0, invalid_grant())));
    let lines = told.lines();
    assert_eq!(
        lines[1],
        "4500 2 this machine's clock is 4500 s ahead of the server's"
    );
    assert!(lines[2].starts_with("4500 2 refused"), "{lines:?}");
    clock.pass(61);
    is_done(world.send(|_| invalid_grant()));
    assert_eq!(told.lines().len(), 2, "nothing is known of the clocks");
}

#[test]
fn a_token_that_the_api_refuses_is_told_once() {
    let world = World::over(MemoryStore::new());
    world.install(0);
    let told = observed(&world.source);
    let token = world.token();
    world.source.invalidate(&grant(3).access_token);
    assert!(told.lines().is_empty(), "it is another's");
    world.source.invalidate(&token);
    world.source.invalidate(&token);
    assert_eq!(told.lines(), ["0 - the API refused the token"]);
}

#[test]
fn sessions_tell_the_observers_of_their_app_whenever_those_came() {
    let clock = Passed::default();
    let app = steps::jwt_source(&clock);
    let sessions = Sessions::with_capacity(1);
    let alice = over(sessions.session(&app, "alice").unwrap(), &clock);
    let told = Arc::new(Mutex::new(Vec::new()));
    for prefix in ["one", "two"] {
        let told = told.clone();
        app.observe(move |event| {
            assert_eq!(event.grant_type, GrantType::Assertion);
            let Event {
                client_id,
                subject,
                kind,
                ..
            } = event;
            let line = format!("{prefix} {client_id} {} {kind}", subject.unwrap_or("-"));
            told.lock().unwrap().push(line);
        });
    }
    let lines = || std::mem::take(&mut *told.lock().unwrap());
    is_done(alice.send(|_| granted(0)));
    assert_eq!(
        lines(),
        [
            "one 1000000001 alice begun",
            "two 1000000001 alice begun",
            "one 1000000001 alice done in 0.000 s after 1 request, the token ends at 1750000900",
            "two 1000000001 alice done in 0.000 s after 1 request, the token ends at 1750000900"
        ]
    );
    sessions.session(&app, "bob").unwrap();
    assert_eq!(
        lines()[0],
        "one 1000000001 alice evicted with a fresh token"
    );
    clock.pass(1);
    sessions.session(&app, "carol").unwrap();
    assert_eq!(lines()[0], "one 1000000001 bob evicted");
    let world = over(app, &clock);
    drop(world.begin());
    assert_eq!(lines()[0], "one 1000000001 - begun");
}

/// In every event: the store is free, so is the state that callers share, and what came is handed out.
#[test]
fn an_observer_is_told_under_no_lock_and_after_everybody_else() {
    let store = Failing::default();
    let world = World::over(store.clone());
    world.install(0);
    let (seen, inner) = (Arc::new(AtomicUsize::new(0)), store.store.clone());
    let (counts, source, key) = (seen.clone(), world.source.clone(), world.key.clone());
    world.source.observe(move |event| {
        drop(inner.lock(&key, Duration::ZERO).expect("the store is free"));
        // Takes the lock of the shared state.
        assert!(!source.is_closed());
        source.invalidate(&grant(99).access_token);
        source.observe(|_| ());
        let fresh = source.fresh(event.at).is_some();
        let renewed = matches!(
            event.kind,
            EventKind::Done { .. } | EventKind::Stored { .. }
        );
        assert_eq!(fresh, renewed, "{event}");
        // Whoever panics before is caught.
        counts.fetch_add(1, Ordering::SeqCst);
    });
    world.source.invalidate(&world.token());
    is_done(world.send(|_| granted(1)));
    world.pass(2 * LIFE);
    store.failures.store(1, Ordering::SeqCst);
    is_done(world.send(|_| invalid_grant()));
    world.pass(61);
    drop(world.begin());
    assert_eq!(seen.load(Ordering::SeqCst), 8);
}

/// Panics while a grant is read.
struct Panics;

impl GrantStore for Panics {
    fn load(&self, _: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        panic!("the store")
    }

    fn lock(&self, _: &GrantKey, _: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        panic!("the store")
    }
}

#[test]
fn an_observer_that_panics_harms_no_renewal_and_is_told_the_rest() {
    let panicking = |source: &Source| {
        let count = Arc::new(AtomicUsize::new(0));
        let counts = count.clone();
        source.observe(move |_| {
            counts.fetch_add(1, Ordering::SeqCst);
            panic!("the observer");
        });
        count
    };
    let world = World::over(MemoryStore::new());
    let count = panicking(&world.source);
    let told = observed(&world.source);
    world.install(0);
    world.pass(LIFE);
    is_done(world.send(|_| granted(1)));
    assert_eq!(world.token().expose(), "access-1");
    assert_eq!((count.load(Ordering::SeqCst), told.lines().len()), (3, 3));
    // While a store panics, too: the end is told in the midst of it.
    let world = World::over(Panics);
    let count = panicking(&world.source);
    let told = observed(&world.source);
    let refresh = world.first();
    catch_unwind(AssertUnwindSafe(|| ready(refresh.begin()))).expect_err("the store panicked");
    assert_eq!(count.load(Ordering::SeqCst), 2);
    assert_eq!(told.lines().len(), 2);
    assert!(matches!(world.failure(), Error::Interrupted));
}

/// The number of a renewal tells it from the one that takes over when its lease is over.
#[test]
fn a_renewal_that_is_late_ends_under_its_own_number() {
    let world = World::over(MemoryStore::new());
    world.install(0);
    world.pass(LIFE);
    let told = observed(&world.source);
    let Next::Send(slow, _) = world.begin() else {
        panic!("the token has ended");
    };
    world.pass(201);
    let other = world.first();
    drop(slow);
    is_done(world.go_on(ready(other.begin()), |_| granted(1)));
    let lines = told.lines();
    let begins: Vec<_> = lines
        .iter()
        .map(|line| line.split(" in ").next().unwrap())
        .collect();
    assert_eq!(
        begins,
        [
            "900 1 begun",
            "1101 2 begun",
            "1101 1 failed",
            "1101 2 stored",
            "1101 2 done"
        ]
    );
    // No pause: the other one runs.
    assert!(!lines[2].contains("next try"), "{lines:?}");
}

#[test]
fn no_event_holds_a_secret() {
    let clock = Passed::default();
    let store = Failing::default();
    let world = World::at(clock.clone(), store.clone());
    let text = Arc::new(Mutex::new(String::new()));
    let notes = text.clone();
    world.source.observe(move |event| {
        *notes.lock().unwrap() += &format!("{event}\n{event:?}\n");
    });
    world.install(0);
    world.pass(LIFE);
    is_done(world.send(|_| dated(3600, granted(1))));
    let token = world.token();
    world.source.invalidate(&token);
    is_done(world.send(|_| {
        let said = r#"{"error_code":"invalid_grant","error_message":"refresh-1 is spent"}"#;
        answer(400, said)
    }));
    world.pass(61);
    world.install(0);
    world.pass(LIFE);
    store.failures.store(1, Ordering::SeqCst);
    is_done(world.send(|_| granted(2)));
    let text = text.lock().unwrap();
    assert!(text.matches('\n').count() >= 18, "{text}");
    for secret in ["access-", "refresh-"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

/// What applications call: on the source, for its clones.
#[test]
fn a_source_over_a_transport_is_observed() {
    let unplugged = Unplugged::default();
    let store = MemoryStore::new();
    World::over(store.clone()).install(0);
    let told = Told::default();
    let notes = told.clone();
    let tokens = unplugged
        .source(store)
        .observe(move |event| notes.note(event));
    tokens.clone().token().unwrap();
    let lines = told.wait_for(2);
    let [begun, taken] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(begun, "0 1 begun");
    assert!(taken.starts_with("0 1 taken from the store"), "{taken}");
    unplugged.clock.pass(LIFE);
    tokens.token().unwrap_err();
    let lines = told.wait_for(2);
    assert_eq!(lines[0], "900 2 begun");
    assert_eq!(
        lines[1],
        "901 2 failed in 1.000 s after 2 requests, next try in 1.000 s, without a token"
    );
    assert_eq!(lines.len(), 2);
}

#[test]
fn all_users_of_an_app_tell_the_observers_of_its_logins() {
    let unplugged = Unplugged::default();
    let app = DeviceApp::new(Endpoints::cn(), "app").unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = told.clone();
    let logins = Logins::new(&unplugged, app, MemoryStore::new()).kept(1);
    let logins = logins.observe(move |event| {
        assert_eq!(event.grant_type, GrantType::RefreshToken);
        let (subject, kind) = (event.subject.unwrap_or("-"), &event.kind);
        notes.lock().unwrap().push(format!("{subject} {kind}"));
    });
    logins.install("alice", grant(0)).unwrap();
    let token = logins.of("alice").unwrap().token().unwrap();
    logins.of("alice").unwrap().invalidate(&token);
    logins.install("alice", grant(0)).unwrap();
    logins.install("bob", grant(1)).unwrap();
    assert_eq!(
        *told.lock().unwrap(),
        [
            "alice the API refused the token",
            "alice evicted with a fresh token"
        ]
    );
}

/// A key in a KMS that cannot be reached.
struct NoKey;

impl Signer for NoKey {
    fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        Err(SigningError::new("locked"))
    }
}

/// Who counts requests, as Coze does, counts what was sent.
#[test]
fn a_key_that_does_not_sign_costs_no_request() {
    let unplugged = Unplugged {
        timeout: steps::TIMEOUT,
        ..Unplugged::default()
    };
    let app = JwtApp::new(Endpoints::cn(), "1000000001", "key", NoKey).unwrap();
    let told = Told::default();
    let notes = told.clone();
    let tokens = TokenSource::jwt(&unplugged, app, JwtGrant::new());
    let tokens = tokens.observe(move |event| notes.note(event));
    tokens.token().unwrap_err();
    let lines = told.wait_for(2);
    assert!(lines[1].contains(" after 0 requests, "), "{lines:?}");
}
