//! Grants that cannot be stored: they are the only copy, so they are kept, served, and stored before all else.

mod steps;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::time::Duration;

use coze_auth_store::{GrantStore as _, MemoryStore, StoreError};
use coze_auth_tokens::{Ask, Error, Next};

use steps::{Failing, LIFE, TIMEOUT, World, grant, granted, ready};

fn stored(store: &Failing, world: &World) -> String {
    let grant = store.load(&world.key).unwrap().unwrap();
    grant.access_token.expose().to_owned()
}

/// A login whose token has ended, in a store that fails this often from now on.
fn ended(failures: usize) -> (World, Failing) {
    let store = Failing::default();
    let world = World::over(store.clone());
    world.install(0);
    world.pass(LIFE);
    store.failures.store(failures, Ordering::SeqCst);
    (world, store)
}

/// Coze has rotated the refresh token: what came is good, and the disk is full.
#[test]
fn a_renewed_token_is_served_while_its_grant_waits_to_be_stored() {
    let (world, store) = ended(3);
    assert!(matches!(world.send(|_| granted(1)), Next::Done));
    for pause in [1, 2] {
        assert_eq!(world.token().expose(), "access-1");
        assert!(
            world.source.fresh(world.now().unix).is_none(),
            "not looked at again"
        );
        world.pass(pause - 1);
        assert_eq!(world.token().expose(), "access-1", "too soon");
        world.pass(1);
        assert!(matches!(ready(world.behind().begin()), Next::Done), "sent");
        assert_eq!(stored(&store, &world), "access-0");
    }
    world.pass(4);
    assert!(matches!(ready(world.behind().begin()), Next::Done), "sent");
    assert_eq!(stored(&store, &world), "access-1");
    assert_eq!(world.token().expose(), "access-1");
    assert!(world.source.fresh(world.now().unix).is_some());
}

/// Its own refresh token is the only copy, too: it is not spent for a next one that could not be stored either.
#[test]
fn a_refresh_token_is_not_spent_before_it_is_stored() {
    let (world, store) = ended(2);
    assert!(matches!(world.send(|_| granted(1)), Next::Done));
    world.pass(LIFE);
    assert!(matches!(world.begin(), Next::Done), "sent");
    let error = world.failure();
    assert!(matches!(error, Error::NotStored(_)), "{error}");
    assert!(
        error.to_string().contains("waits in this process"),
        "{error}"
    );
    world.pass(2);
    let next = world.send(|body| {
        assert!(body.contains("refresh-1"), "{body}");
        assert_eq!(
            stored(&store, &world),
            "access-1",
            "sent before it was stored"
        );
        granted(2)
    });
    assert!(matches!(next, Next::Done));
    assert_eq!(stored(&store, &world), "access-2");
}

#[test]
fn a_refused_token_is_renewed_when_its_grant_is_stored() {
    let (world, store) = ended(1);
    assert!(matches!(world.send(|_| granted(1)), Next::Done));
    assert!(world.source.invalidate(&world.token()));
    world.pass(1);
    let next = world.send(|body| {
        assert!(body.contains("refresh-1"), "{body}");
        granted(2)
    });
    assert!(matches!(next, Next::Done));
    assert_eq!(stored(&store, &world), "access-2");
}

/// The code of a login is spent: what it brought is kept as a renewal's result is.
#[test]
fn a_login_that_cannot_be_stored_is_served_and_stored_later() {
    let store = Failing::default();
    let world = World::over(store.clone());
    store.failures.store(2, Ordering::SeqCst);
    let error = world.take(grant(0)).unwrap_err();
    assert!(
        matches!(error, Error::NotStored(StoreError::Other(_))),
        "{error}"
    );
    assert!(!error.needs_login(), "there is a login: {error}");
    assert_eq!(world.token().expose(), "access-0");
    world.pass(1);
    assert!(matches!(ready(world.behind().begin()), Next::Done));
    assert!(store.load(&world.key).unwrap().is_none());
    world.pass(2);
    assert!(matches!(ready(world.behind().begin()), Next::Done));
    assert_eq!(stored(&store, &world), "access-0");
    // And another process has it.
    assert!(matches!(World::over(store).begin(), Next::Done));
}

/// It replaces a login that was there before, as it would have at once.
#[test]
fn a_login_that_could_not_be_stored_replaces_what_was_there() {
    let (world, store) = ended(1);
    world.take(grant(5)).unwrap_err();
    world.flush(TIMEOUT).unwrap();
    assert_eq!(stored(&store, &world), "access-5");
    assert_eq!(world.token().expose(), "access-5");
}

/// Whoever holds the lock may have been stopped.
#[test]
fn a_login_that_cannot_have_the_lock_is_kept() {
    let store = Failing::default();
    let world = World::over(store.clone());
    let held = store.store.lock(&world.key, TIMEOUT).unwrap();
    let error = world.take(grant(0)).unwrap_err();
    assert!(
        matches!(error, Error::NotStored(StoreError::Locked { .. })),
        "{error}"
    );
    assert_eq!(world.token().expose(), "access-0");
    let error = world.flush(Duration::ZERO).unwrap_err();
    assert!(matches!(error, Error::NotStored(_)), "{error}");
    drop(held);
    world.flush(Duration::ZERO).unwrap();
    assert_eq!(stored(&store, &world), "access-0");
}

/// A logout means it.
#[test]
fn a_logout_drops_what_could_not_be_stored() {
    let store = Failing::default();
    let world = World::over(store.clone());
    store.failures.store(1, Ordering::SeqCst);
    world.take(grant(0)).unwrap_err();
    world.forget();
    world.flush(TIMEOUT).unwrap();
    assert!(store.load(&world.key).unwrap().is_none(), "brought back");
    assert!(matches!(world.begin(), Next::Done));
    assert!(matches!(world.failure(), Error::LoginNeeded(_)));
}

/// A renewal that runs brings the login that was there before back by no way.
#[test]
fn a_login_that_could_not_be_stored_outlives_a_renewal_of_the_one_before() {
    let store = Failing::default();
    let world = World::over(store.clone());
    world.install(0);
    world.pass(LIFE);
    let runs = world.begin();
    let error = world.take(grant(5)).unwrap_err();
    assert!(
        matches!(error, Error::NotStored(StoreError::Locked { .. })),
        "{error}"
    );
    assert!(matches!(world.go_on(runs, |_| granted(1)), Next::Done));
    assert_eq!(world.token().expose(), "access-5");
    world.flush(TIMEOUT).unwrap();
    assert_eq!(stored(&store, &world), "access-5", "its login is lost");
    world.pass(61);
    assert!(
        matches!(world.ask(), Ask::Token(_)),
        "stored, and to be stored"
    );
}

/// The same, if it comes while the renewal is being stored.
#[test]
fn a_login_that_comes_while_a_renewal_is_stored_is_kept() {
    let store = Failing::default();
    let world = World::over(store.clone());
    world.install(0);
    world.pass(LIFE);
    let runs = world.begin();
    let other = world.clone();
    store.while_saving(move || {
        let error = other.take(grant(5)).unwrap_err();
        assert!(
            matches!(error, Error::NotStored(StoreError::Locked { .. })),
            "{error}"
        );
    });
    assert!(matches!(world.go_on(runs, |_| granted(1)), Next::Done));
    assert_eq!(world.token().expose(), "access-5");
    world.flush(TIMEOUT).unwrap();
    assert_eq!(stored(&store, &world), "access-5", "its login is lost");
}

/// A store that panics is a store that fails: what came is good.
#[test]
fn a_renewed_token_is_served_though_the_store_panics() {
    let (world, store) = ended(0);
    store.while_saving(|| panic!("the store panics"));
    let next = world.begin();
    let renewed = panic::catch_unwind(AssertUnwindSafe(|| world.go_on(next, |_| granted(1))));
    renewed.unwrap_err();
    assert_eq!(world.token().expose(), "access-1");
    world.pass(1);
    assert!(matches!(ready(world.behind().begin()), Next::Done), "sent");
    assert_eq!(stored(&store, &world), "access-1");
}

/// A write that hangs is waited for as long as a renewal may take, and not for ever.
#[test]
fn a_renewed_token_is_served_though_storing_it_hangs() {
    let (world, store) = ended(0);
    let Next::Send(hangs, _) = world.begin() else {
        panic!("sent");
    };
    hangs.note(&Ok(grant(1)));
    let mut caller = world.source.caller();
    assert!(matches!(caller.ask(), Ask::Wait(..)));
    world.pass(200);
    match caller.ask() {
        Ask::Token(token) => assert_eq!(token.access_token.expose(), "access-1"),
        other => panic!("{other:?}"),
    }
    // It ends at last, and nothing is to be stored any more.
    assert!(matches!(ready(hangs.received(Ok(grant(1)))), Next::Done));
    assert_eq!(stored(&store, &world), "access-1");
    world.pass(1);
    assert_eq!(world.token().expose(), "access-1");
    assert!(world.source.fresh(world.now().unix).is_some());
}

#[test]
fn a_memory_that_stores_everything_leaves_nothing_to_flush() {
    let world = World::over(MemoryStore::new());
    world.install(0);
    world.flush(Duration::ZERO).unwrap();
}
