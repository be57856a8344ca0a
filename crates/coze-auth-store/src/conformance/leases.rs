//! Holders whose lock has ended under them.

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use super::StoreUnderTest;
use super::given::{Handle, Held, SHORT, grant, key};
use crate::{GrantKey, Saved};

/// The late holder's save is not stored: superseded, or failed with the connection that had the lock.
#[track_caller]
fn is_refused(late: &mut Held) {
    let saved = late.try_save(&grant(3));
    assert!(
        !matches!(saved, Ok(Saved::Stored)),
        "`save` stores for a holder whose lock has ended, where another has changed the grant since its `load`"
    );
}

/// A holder whose lock has ended, before which it had loaded, and a handle of the next one. The grant has the number 1 if
/// there is one.
fn late_holder(store: &StoreUnderTest, has_grant: bool) -> (GrantKey, Held, Handle) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    if has_grant {
        one.login(&key, 1);
    }
    let mut late = one.lock(&key);
    assert_eq!(late.number(), has_grant.then_some(1));
    store.end_lease(&key);
    (key, late, other)
}

pub(super) fn an_ended_lease_goes_to_the_next(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    let _dead = one.lock(&key);
    let (taken, is_taken) = channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let held = other.lock(&key);
            let _ = taken.send(());
            drop(held);
        });
        assert!(is_taken.recv_timeout(SHORT).is_err(), "two holders");
        let ended = Instant::now();
        store.end_lease(&key);
        let result = is_taken.recv_timeout(store.times.patience);
        assert!(result.is_ok(), "nobody gets it");
        store
            .times
            .are_kept("the end of a lease", ended, Duration::ZERO);
    });
}

pub(super) fn a_late_save_overwrites_nothing(store: &StoreUnderTest) {
    let (key, mut late, other) = late_holder(store, true);
    let mut next = other.lock(&key);
    assert_eq!(next.number(), Some(1));
    assert_eq!(next.save(&grant(2)), Saved::Stored, "of the holder");
    drop(next);
    is_refused(&mut late);
    assert_eq!(other.number(&key), Some(2));
}

pub(super) fn a_late_save_undoes_no_logout(store: &StoreUnderTest) {
    let (key, mut late, other) = late_holder(store, true);
    other.remove(&key);
    is_refused(&mut late);
    assert_eq!(other.number(&key), None);
}

pub(super) fn a_late_save_overwrites_no_new_login(store: &StoreUnderTest) {
    let (key, mut late, other) = late_holder(store, true);
    other.remove(&key);
    // As often as the grant was saved before: a count that begins anew is the same then.
    other.login(&key, 2);
    is_refused(&mut late);
    assert_eq!(other.number(&key), Some(2));
}

pub(super) fn a_late_first_save_overwrites_nothing(store: &StoreUnderTest) {
    let (key, mut late, other) = late_holder(store, false);
    other.login(&key, 2);
    is_refused(&mut late);
    assert_eq!(other.number(&key), Some(2));
    // Nor does one that has not looked, if its lock has.
    let mut late = other.lock(&key);
    store.end_lease(&key);
    other.login(&key, 4);
    if other.lock_reads() {
        is_refused(&mut late);
        assert_eq!(other.number(&key), Some(4));
    }
}

pub(super) fn of_two_holders_one_saves(store: &StoreUnderTest) {
    let (key, mut late, other) = late_holder(store, true);
    let mut next = other.lock(&key);
    assert_eq!(next.number(), Some(1));
    // By its revision the late one may, by the end of its lease it may not; but then the other may not, or may.
    let saves = [late.try_save(&grant(2)), next.try_save(&grant(3))];
    let stored = saves.map(|saved| matches!(saved, Ok(Saved::Stored)));
    let expected = match stored {
        [true, false] => 2,
        [false, true] => 3,
        [true, true] => panic!("the late one and the holder have saved"),
        [false, false] => panic!("neither has saved"),
    };
    assert_eq!(other.number(&key), Some(expected));
}

pub(super) fn a_doubt_ends_with_a_save(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    one.login(&key, 1);
    let mut late = one.lock(&key);
    late.load();
    late.prepare();
    store.end_lease(&key);
    let mut next = other.lock(&key);
    assert_eq!(next.number(), Some(1));
    let doubt = next.doubt();
    next.prepare();
    assert_eq!(next.doubt(), doubt, "until it saves");
    assert_eq!(next.save(&grant(2)), Saved::Stored, "of the holder");
    drop(next);
    assert_eq!(other.lock(&key).doubt(), None, "after a save");
}

pub(super) fn a_late_drop_releases_nobody_else(store: &StoreUnderTest) {
    let (key, late, other) = late_holder(store, true);
    let mut next = other.lock(&key);
    assert_eq!(next.number(), Some(1));
    drop(late);
    store
        .open()
        .finds_it_locked(&key, "after the drop of a late holder");
    assert_eq!(next.save(&grant(2)), Saved::Stored, "of the holder");
}

pub(super) fn a_late_holder_is_told_before_it_spends(store: &StoreUnderTest) {
    let (key, mut late, other) = late_holder(store, true);
    other.login(&key, 2);
    assert!(
        late.try_prepare().is_err(),
        "`prepare` says yes to a save that will be superseded"
    );
    assert_eq!(other.number(&key), Some(2));
}
