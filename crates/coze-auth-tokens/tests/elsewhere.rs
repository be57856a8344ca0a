//! What others do to the stored grant while a renewal runs, and what is left of a grant that could not be stored.

mod steps;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coze_auth_store::{GrantKey, GrantStore, LockedGrant, MemoryStore, Saved, StoreError};
use coze_auth_tokens::core::TokenGrant;
use coze_auth_tokens::{Ask, Error, Next};

use steps::{Failing, LIFE, TIMEOUT, World, answer, grant, granted, invalid_grant, ready};

/// A store whose lock holds nobody back, and that compares when it saves, as one with a lease would.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<(u64, Option<TokenGrant>)>>);

impl Open {
    /// Another process stores this, or logs out.
    fn put(&self, grant: Option<TokenGrant>) {
        let mut kept = self.0.lock().unwrap();
        *kept = (kept.0 + 1, grant);
    }

    fn refresh_token(&self) -> Option<String> {
        let kept = self.0.lock().unwrap();
        let token = kept.1.as_ref()?.refresh_token.as_ref()?;
        Some(token.expose().to_owned())
    }
}

impl GrantStore for Open {
    fn load(&self, _: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        Ok(self.0.lock().unwrap().1.clone())
    }

    fn lock(&self, _: &GrantKey, _: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        Ok(Box::new(OpenLock(self.clone(), 0)))
    }
}

struct OpenLock(Open, u64);

impl LockedGrant for OpenLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        let kept = self.0.0.lock().unwrap();
        self.1 = kept.0;
        Ok(kept.1.clone())
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        let seen = self.0.0.lock().unwrap().0;
        if seen != self.1 {
            return Ok(Saved::Superseded);
        }
        self.0.put(Some(grant.clone()));
        Ok(Saved::Stored)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.0.put(None);
        Ok(())
    }
}

/// A row of an engine that holds no grant any more.
struct Damaged(Open);

struct DamagedLock(OpenLock);

impl GrantStore for Damaged {
    fn load(&self, _: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        Err(StoreError::Other(Arc::new(std::io::Error::other(
            "no grant",
        ))))
    }

    fn lock(&self, _: &GrantKey, _: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        Ok(Box::new(DamagedLock(OpenLock(self.0.clone(), 0))))
    }
}

impl LockedGrant for DamagedLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        // Its revision is remembered all the same.
        self.0.load()?;
        Err(StoreError::Other(Arc::new(std::io::Error::other(
            "no grant",
        ))))
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        self.0.save(grant)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.0.remove()
    }
}

#[test]
fn a_login_replaces_a_row_that_cannot_be_read() {
    let row = Open::default();
    row.put(Some(grant(7)));
    let world = World::over(Damaged(row.clone()));
    world.install(1);
    let stored = row.load(&world.key).unwrap().unwrap();
    assert!(stored.access_token.matches(&grant(1).access_token));
    assert_eq!(world.token().expose(), "access-1");
}

fn ended(store: impl GrantStore + 'static) -> World {
    let world = World::over(store);
    world.install(0);
    world.pass(LIFE);
    world
}

#[test]
fn a_login_replaces_whatever_others_have_stored() {
    let store = Open::default();
    store.put(Some(grant(7)));
    let world = World::over(store.clone());
    world.install(0);
    assert_eq!(store.refresh_token().unwrap(), "refresh-0");
    assert_eq!(world.token().expose(), "access-0");
}

#[test]
fn a_login_elsewhere_while_a_renewal_runs_is_kept() {
    let store = Open::default();
    let world = ended(store.clone());
    let next = world.begin();
    store.put(Some(grant(7)));
    assert!(matches!(world.go_on(next, |_| granted(1)), Next::Done));
    assert_eq!(store.refresh_token().unwrap(), "refresh-7");
    assert_eq!(world.token().expose(), "access-7");
}

#[test]
fn a_logout_elsewhere_while_a_renewal_runs_is_kept() {
    let store = Open::default();
    let world = ended(store.clone());
    let next = world.begin();
    store.put(None);
    assert!(matches!(world.go_on(next, |_| granted(1)), Next::Done));
    assert!(matches!(world.failure(), Error::LoginNeeded { .. }));
    assert!(store.refresh_token().is_none(), "brought back");
}

/// Whoever stores another token each time cannot keep a renewal asking.
#[test]
fn the_store_is_read_again_once() {
    let store = Open::default();
    let world = ended(store.clone());
    let next = world.begin();
    store.put(Some(grant(1)));
    world.pass(5 * LIFE);
    let next = world.go_on(next, |_| invalid_grant());
    store.put(Some(grant(2)));
    let next = world.go_on(next, |body| {
        assert!(body.contains("refresh-1"), "{body}");
        invalid_grant()
    });
    assert!(matches!(next, Next::Done), "asked for ever");
}

/// What somebody has stored is taken without waiting for who holds the lock.
#[test]
fn a_stored_grant_is_taken_up_without_the_lock() {
    let store = MemoryStore::new();
    let world = ended(store.clone());
    let mut held = store.lock(&world.key, TIMEOUT).unwrap();
    held.save(&grant(1)).unwrap();
    assert!(matches!(world.begin(), Next::Done));
    assert_eq!(world.token().expose(), "access-1");
}

/// A source whose renewed grant could not be stored.
fn unsaved() -> (World, Failing) {
    let store = Failing::default();
    let world = ended(store.clone());
    store.failures.store(1, Ordering::SeqCst);
    assert!(matches!(world.send(|_| granted(1)), Next::Done));
    assert_eq!(world.token().expose(), "access-1");
    (world, store)
}

/// It was of another login: nothing of it is left that could stand in the new one's way.
#[test]
fn a_login_or_logout_forgets_what_could_not_be_stored() {
    let replace = |store: &Failing, world: &World, number| {
        let mut held = store.lock(&world.key, TIMEOUT).unwrap();
        held.save(&grant(number)).unwrap();
    };
    type Case<'a> = (&'a str, &'a dyn Fn(&mut World, &Failing));
    let cases: [Case<'_>; 3] = [
        ("login", &|world, _| world.install(2)),
        ("logout, and a login elsewhere", &|world, store| {
            world.forget();
            replace(store, world, 2);
        }),
        ("login elsewhere", &|world, store| {
            replace(store, world, 2);
            world.pass(1);
            assert!(matches!(ready(world.behind().begin()), Next::Done));
            assert_eq!(world.token().expose(), "access-2");
        }),
    ];
    for (name, case) in cases {
        let (mut world, store) = unsaved();
        case(&mut world, &store);
        world.pass(5 * LIFE);
        let next = world.begin();
        assert!(matches!(next, Next::Send(..)), "{name}: {next:?}");
        drop(world.go_on(next, |body| {
            assert!(body.contains("refresh-2"), "{name}: {body}");
            granted(9)
        }));
        assert_eq!(world.token().expose(), "access-9", "{name}");
    }
}

/// A pause that is longer than a few seconds is everyone's to know, and nobody's to wait through.
#[test]
fn a_short_pause_is_waited_for_and_a_long_one_told() {
    for (secs, waits) in [(5, true), (6, false)] {
        let world = ended(MemoryStore::new());
        let next = world.send(|_| {
            let mut answer = answer(429, r#"{"error_code":"4008"}"#)?;
            let asked = secs.to_string().parse().unwrap();
            answer.headers_mut().insert("retry-after", asked);
            Ok(answer)
        });
        assert_eq!(matches!(next, Next::Wait(..)), waits, "{secs} s");
    }
}

/// Dropped at any step: the lock is free, everyone is told, and the pause is counted from then.
#[test]
fn a_renewal_that_is_dropped_has_failed_a_moment_ago() {
    let store = MemoryStore::new();
    let failed = |world: &World, step: &str| {
        let error = world.failure();
        assert!(matches!(error, Error::Interrupted), "{step}: {error}");
        let free = store.lock(&world.key, Duration::ZERO);
        assert!(free.is_ok(), "{step}: the lock is held");
    };
    let world = ended(store.clone());
    drop(world.first());
    failed(&world, "before it began");
    world.pass(60);
    let next = world.begin();
    world.pass(10);
    drop(next);
    failed(&world, "while it sends");
    // Another process: who has failed does not wait.
    let world = ended(store.clone());
    let next = world.begin();
    world.pass(10);
    let next = world.go_on(next, |_| answer(429, r#"{"error_code":"4008"}"#));
    assert!(matches!(next, Next::Wait(..)));
    drop(next);
    failed(&world, "while it waits");
}

/// Who else changes the grant, three requests and a pause: five timeouts and ten seconds.
#[test]
fn no_renewal_begins_beside_one_that_may_still_be_at_work() {
    let world = ended(MemoryStore::new());
    let _runs = world.begin();
    world.pass(199);
    assert!(matches!(world.ask(), Ask::Wait(_, rest) if rest == Duration::from_secs(1)));
    world.pass(1);
    assert!(matches!(world.ask(), Ask::First(_)));
}

/// A store in which somebody acts between the read and the answer.
struct Slow(MemoryStore, Mutex<Option<Meanwhile>>);

type Meanwhile = Box<dyn FnOnce() + Send>;

impl GrantStore for Slow {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        let read = self.0.load(key);
        if let Some(act) = self.1.lock().unwrap().take() {
            act();
        }
        read
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        self.0.lock(key, patience)
    }
}

/// What was read before a logout is not served after it, though its token lasts a little longer.
#[test]
fn a_logout_while_the_store_is_read_brings_nothing_back() {
    let store = MemoryStore::new();
    let before = World::over(store.clone());
    before.install(0);
    let slow = Arc::new(Slow(store, Mutex::default()));
    let restarted = World::over(slow.clone());
    restarted.pass(LIFE - 30);
    let first = restarted.first();
    let logs_out = restarted.clone();
    *slow.1.lock().unwrap() = Some(Box::new(move || logs_out.forget()));
    assert!(matches!(ready(first.begin()), Next::Done));
    let Ask::First(again) = restarted.ask() else {
        panic!("what was read before the logout is served");
    };
    assert!(matches!(ready(again.begin()), Next::Done));
    assert!(matches!(restarted.failure(), Error::LoginNeeded(_)));
}
