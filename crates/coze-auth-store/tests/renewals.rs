//! Renewals step by step: what is remembered of one that failed, was dropped, or could not be stored.

mod steps;

use coze_auth_store::{Ask, Error, GrantStore as _, MemoryStore, Next};

use steps::{LIFE, World, grant, invalid_grant};

/// A process that finds an ended grant in the store has none in memory that the refusal could be noted on.
#[test]
fn a_refresh_token_that_only_the_store_has_is_dropped_when_it_is_refused() {
    let store = MemoryStore::new();
    World::over(store.clone()).install(0);
    let mut restarted = World::over(store);
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
    assert!(matches!(restarted.begin(), Next::Send(..)));
}

/// Memory has the grant from before another process renewed it: the newer refresh token was refused, not this.
#[test]
fn the_refresh_token_that_was_sent_is_the_one_that_is_dropped() {
    let store = MemoryStore::new();
    let mut one = World::over(store.clone());
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
