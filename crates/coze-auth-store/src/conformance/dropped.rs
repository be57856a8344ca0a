//! Futures that are dropped before they end, and what is dropped where no runtime is.

use std::time::{Duration, Instant};

use super::StoreUnderTest;
use super::awaited::Call;
use super::given::{SHORT, grant, key};
use crate::Saved;

/// Maximum number of polls after which a future is dropped. One that asks an engine ends within some.
const POLLS: u32 = 40;

pub(super) fn a_lock_that_waits_takes_no_thread(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open_awaited());
    let key = key("alice");
    let _held = one.lock(&key);
    let begun = Instant::now();
    other.lock_for(&key, store.times.patience, SHORT);
    store
        .times
        .are_kept("polling a lock that waits", begun, SHORT);
}

pub(super) fn a_lock_that_is_not_awaited_goes_to_the_next(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open_awaited());
    let key = key("alice");
    for _ in 0..3 {
        let held = one.lock(&key);
        let has_ended = other.lock_for(&key, store.times.patience, SHORT);
        assert!(!has_ended, "the lock has two holders");
        drop(held);
        drop(one.lock_soon(&key, "after a future that waited was dropped"));
    }
}

pub(super) fn a_lock_that_is_broken_off_is_free(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open_awaited());
    let key = key("alice");
    one.login(&key, 1);
    for polls in 0..POLLS {
        let has_ended = other.lock(&key, store.times.patience, polls);
        let mut held = one.lock_soon(&key, &format!("after one was dropped at poll {polls}"));
        assert_eq!(held.number(), Some(1));
        drop(held);
        if has_ended {
            break;
        }
    }
}

pub(super) fn a_save_that_is_broken_off_is_whole_or_nothing(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open_awaited());
    let key = key("alice");
    for polls in 0..POLLS {
        one.login(&key, 1);
        let has_ended = other.held(&key, store.times.patience, Call::Save(&grant(2)), polls);
        // The lock is awaited, so what was on its way has arrived.
        let mut held = one.lock_soon(&key, &format!("after a save was dropped at poll {polls}"));
        let found = held.number();
        let expected = [Some(2), Some(if has_ended { 2 } else { 1 })];
        assert!(
            expected.contains(&found),
            "dropped at poll {polls}: {found:?}"
        );
        held.prepare();
        assert_eq!(
            held.save(&grant(3)),
            Saved::Stored,
            "dropped at poll {polls}"
        );
        drop(held);
        assert_eq!(one.number(&key), Some(3));
        if has_ended {
            break;
        }
    }
}

pub(super) fn a_removal_that_is_broken_off_is_whole_or_nothing(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open_awaited());
    let key = key("alice");
    for polls in 0..POLLS {
        one.login(&key, 1);
        let has_ended = other.held(&key, store.times.patience, Call::Remove, polls);
        let mut held = one.lock_soon(
            &key,
            &format!("after a removal was dropped at poll {polls}"),
        );
        let found = held.number();
        let expected = [None, if has_ended { None } else { Some(1) }];
        assert!(
            expected.contains(&found),
            "dropped at poll {polls}: {found:?}"
        );
        held.login(&grant(3));
        drop(held);
        assert_eq!(one.number(&key), Some(3));
        if has_ended {
            break;
        }
    }
}

pub(super) fn what_only_reads_may_be_broken_off(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open_awaited());
    let key = key("alice");
    one.login(&key, 1);
    for polls in 0..POLLS {
        let have_ended = [
            other.load(&key, polls),
            other.held(&key, store.times.patience, Call::Load, polls),
            other.held(&key, store.times.patience, Call::Prepare, polls),
        ];
        assert_eq!(one.number(&key), Some(1), "dropped at poll {polls}");
        let mut held = one.lock_soon(&key, &format!("after a call was dropped at poll {polls}"));
        assert_eq!(held.number(), Some(1));
        held.prepare();
        if have_ended == [true; 3] {
            break;
        }
    }
    let mut held = one.lock(&key);
    held.load();
    assert_eq!(held.save(&grant(2)), Saved::Stored);
}

pub(super) fn a_drop_outside_of_the_runtime_does_not_panic(store: &StoreUnderTest) {
    let other = store.open_awaited();
    let key = key("alice");
    let begun = Instant::now();
    other.drop_outside(&key, store.times.patience);
    store.times.are_kept("lock and drop", begun, Duration::ZERO);
}
