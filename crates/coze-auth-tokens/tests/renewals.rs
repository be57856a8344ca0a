//! Renewals step by step: what is remembered of one that failed, was dropped, or could not be stored.

mod steps;

use std::sync::atomic::Ordering;
use std::time::Duration;

use coze_auth_store::{GrantStore as _, MemoryStore, StoreError};
use coze_auth_tokens::{Ask, Error, Next};

use steps::{Failing, LIFE, World, answer, grant, granted, invalid_grant, ready};

/// A process that finds an ended grant in the store has none in memory that the refusal could be noted on.
#[test]
fn a_refresh_token_that_only_the_store_has_is_dropped_when_it_is_refused() {
    let store = MemoryStore::new();
    World::over(store.clone()).install(0);
    let restarted = World::over(store.clone());
    restarted.pass(LIFE);
    let Next::Done = restarted.send(|_| invalid_grant()) else {
        panic!("it was refused");
    };
    let error = restarted.failure();
    assert!(matches!(error, Error::RefreshRefused(_)), "{error}");
    for _ in 0..3 {
        restarted.pass(61);
        assert!(matches!(restarted.begin(), Next::Done), "sent again");
        let error = restarted.failure();
        assert!(matches!(error, Error::LoginNeeded { .. }), "{error}");
    }
    // The same grant, handed in by a person who knows better, is tried anew.
    restarted.install(0);
    restarted.pass(LIFE);
    let next = restarted.begin();
    assert!(matches!(
        restarted.go_on(next, |_| invalid_grant()),
        Next::Done
    ));
    // And after a logout, whoever brings it.
    restarted.forget();
    World::over(store).install(0);
    restarted.pass(LIFE);
    assert!(matches!(restarted.begin(), Next::Send(..)));
}

/// Memory has the grant from before another process renewed it: the newer refresh token was refused, not this.
#[test]
fn the_refresh_token_that_was_sent_is_the_one_that_is_dropped() {
    let store = MemoryStore::new();
    let one = World::over(store.clone());
    one.install(0);
    one.pass(LIFE);
    let key = one.key.clone();
    let mut held = store.lock(&key, steps::TIMEOUT).unwrap();
    held.save(&grant(1)).unwrap();
    drop(held);
    one.pass(LIFE);
    assert!(matches!(one.send(|_| invalid_grant()), Next::Done));
    one.pass(61);
    assert!(matches!(one.begin(), Next::Done), "sent again");
    assert!(matches!(one.failure(), Error::LoginNeeded { .. }));
    assert!(matches!(one.ask(), Ask::Failed(_)));
}

/// A token of the store may have ended long ago where this clock is behind. Of a new one the refusal has another reason than its age, so that
/// one is left alone for half a minute.
#[test]
fn a_stored_token_that_the_api_refuses_is_renewed_at_once() {
    let store = MemoryStore::new();
    let world = World::over(store.clone());
    world.install(0);
    let refused = |number: u64| {
        assert_eq!(world.token().expose(), format!("access-{number}"));
        world.source.invalidate(&world.token());
    };
    // Another process renews it.
    let mut held = store.lock(&world.key, steps::TIMEOUT).unwrap();
    held.save(&grant(1)).unwrap();
    drop(held);
    refused(0);
    assert!(matches!(world.begin(), Next::Done));
    refused(1);
    assert!(matches!(world.send(|_| granted(2)), Next::Done));
    refused(2);
    assert_eq!(world.token().expose(), "access-2", "it is new");
    world.pass(30);
    refused(2);
    assert!(matches!(world.send(|_| granted(3)), Next::Done));
    assert_eq!(world.token().expose(), "access-3");
}

/// The lease of a slow renewal ends, another begins, and then the slow one cannot store what it got: the other,
/// which waited for the lock, stores that, and does not send what is spent.
#[test]
fn what_could_not_be_stored_a_moment_ago_is_stored_by_who_comes_next() {
    let store = Failing::default();
    let world = World::over(store.clone());
    world.install(0);
    world.pass(LIFE);
    let slow = world.begin();
    world.pass(201);
    let waits = world.first();
    store.failures.store(1, Ordering::SeqCst);
    assert!(matches!(world.go_on(slow, |_| granted(1)), Next::Done));
    assert!(
        matches!(ready(waits.begin()), Next::Done),
        "sent with a refresh token that is spent"
    );
    assert_eq!(world.token().expose(), "access-1");
    let stored = store.load(&world.key).unwrap().unwrap();
    assert_eq!(stored.refresh_token.unwrap().expose(), "refresh-1");
}

/// A person is asked for where a person can help.
#[test]
fn a_refusal_that_passes_asks_nobody_to_log_in() {
    let world = World::over(MemoryStore::new());
    world.install(0);
    world.pass(LIFE);
    let Next::Wait(refresh, pause) = world.send(|_| answer(429, r#"{"error_code":"4008"}"#)) else {
        panic!("trouble passes");
    };
    assert_eq!(pause, Duration::from_secs(1));
    let next = ready(refresh.again());
    assert!(matches!(
        world.go_on(next, |_| answer(429, r#"{"error_code":"4008"}"#)),
        Next::Done
    ));
    let text = world.failure().to_string();
    assert!(text.ends_with("; wait, it is tried again"), "{text}");
}

/// The first time twice, so that a hiccup is healed before anybody hears of it; then once in each pause, until a
/// renewal succeeds.
#[test]
fn what_lasts_is_asked_once_in_each_pause() {
    let world = World::over(MemoryStore::new());
    world.install(0);
    world.pass(LIFE);
    let busy = || answer(429, r#"{"error_code":"4008"}"#);
    for _ in 0..2 {
        let Next::Wait(refresh, _) = world.send(|_| busy()) else {
            panic!("trouble passes");
        };
        assert!(matches!(
            world.go_on(ready(refresh.again()), |_| busy()),
            Next::Done
        ));
        for _ in 0..2 {
            world.pass(60);
            assert!(matches!(world.send(|_| busy()), Next::Done), "asked twice");
        }
        world.pass(60);
        assert!(matches!(world.send(|_| granted(1)), Next::Done));
        world.token();
        world.pass(2 * LIFE);
    }
}

/// A store that has lost its lock for good, or compares wrongly. The grant is not lost with it.
#[test]
fn a_store_that_refuses_every_write_is_not_asked_for_ever() {
    let store = Failing {
        supersedes: true,
        ..Failing::default()
    };
    let world = World::over(store.clone());
    world.install(0);
    world.pass(LIFE);
    store.failures.store(usize::MAX, Ordering::SeqCst);
    assert!(matches!(world.send(|_| granted(1)), Next::Done));
    assert_eq!(world.token().expose(), "access-1");
    let error = world.take(grant(2)).expect_err("refused");
    assert!(
        matches!(error, Error::NotStored(StoreError::Superseded)),
        "{error}"
    );
    assert_eq!(usize::MAX - store.failures.load(Ordering::SeqCst), 20);
    // With a few of them it is patient.
    store.failures.store(9, Ordering::SeqCst);
    world.pass(1);
    let stored = ready(world.behind().begin());
    assert!(matches!(stored, Next::Done), "sent, not stored");
    assert_eq!(world.token().expose(), "access-2");
    let stored = store.load(&world.key).unwrap().unwrap();
    assert_eq!(stored.access_token.expose(), "access-2");
}

/// The answer is here, and the runtime is shut down before it is stored: its token is served, and the next who asks
/// stores it and sends nothing.
#[test]
fn a_grant_that_came_and_was_noted_is_stored_by_the_next() {
    let store = MemoryStore::new();
    let world = World::over(store.clone());
    world.install(0);
    world.pass(LIFE);
    let Next::Send(refresh, _) = world.begin() else {
        panic!("the token has ended");
    };
    refresh.note(&Ok(grant(1)));
    drop(refresh);
    assert!(world.token().matches(&grant(1).access_token));
    world.pass(1);
    assert!(
        matches!(ready(world.behind().begin()), Next::Done),
        "sent again"
    );
    assert!(world.token().matches(&grant(1).access_token));
    let stored = store.load(&world.key).unwrap().unwrap();
    assert!(stored.access_token.matches(&grant(1).access_token));
}

/// What is wrong with the app is not wrong with the login: once the settings are mended, it goes on without a person.
#[test]
fn a_refusal_of_the_app_leaves_the_login_as_it_was() {
    let world = World::over(MemoryStore::new());
    world.install(0);
    world.pass(LIFE);
    let refused = || answer(401, r#"{"error_code":"invalid_client"}"#);
    assert!(matches!(world.send(|_| refused()), Next::Done));
    let text = world.failure().to_string();
    assert!(text.contains("check client id and secret"), "{text}");
    world.pass(61);
    let next = world.send(|body| {
        assert!(body.contains("refresh-0"), "{body}");
        granted(1)
    });
    assert!(matches!(next, Next::Done));
    assert_eq!(world.token().expose(), "access-1");
}

/// Another has written something, and it cannot be read: it may be a new login.
#[test]
fn what_cannot_be_compared_is_not_written_over() {
    let store = Failing {
        supersedes: true,
        ..Failing::default()
    };
    let world = World::over(store.clone());
    world.install(0);
    world.pass(LIFE);
    store.failures.store(1, Ordering::SeqCst);
    let unreadable = store.is_unreadable.clone();
    store.while_saving(move || unreadable.store(true, Ordering::SeqCst));
    assert!(matches!(world.send(|_| granted(1)), Next::Done));
    assert_eq!(world.token().expose(), "access-1", "it is served");
    let stored = || store.load(&world.key).unwrap().unwrap();
    assert_eq!(stored().access_token.expose(), "access-0");
    // It can be read again, and is what this grant was made from.
    store.is_unreadable.store(false, Ordering::SeqCst);
    world.pass(1);
    assert!(matches!(ready(world.behind().begin()), Next::Done));
    assert_eq!(stored().access_token.expose(), "access-1");
}

#[test]
fn a_log_shows_what_a_renewal_does_next_and_no_token() {
    let world = World::over(MemoryStore::new());
    world.install(0);
    world.pass(LIFE);
    let refresh = world.first();
    let shown = format!("{refresh:?}");
    assert!(shown.starts_with("Refresh { source: "), "{shown}");
    let next = ready(refresh.begin());
    assert_eq!(format!("{next:?}"), "Send");
    let next = world.go_on(next, |_| answer(429, r#"{"error_code":"4008"}"#));
    assert_eq!(format!("{next:?}"), "Wait(1s)");
    let shown = format!("{shown} {next:?} {:?}", Next::Done);
    assert!(shown.ends_with(" Done"), "{shown}");
    for secret in ["access-", "refresh-0"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
