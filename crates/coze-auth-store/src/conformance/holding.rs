//! What a holder may do.

use super::StoreUnderTest;
use super::given::{SECRET, grant, key};
use crate::Saved;

pub(super) fn a_holder_reads_what_is_there_now(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    assert_eq!(other.lock(&key).number(), None);
    for number in 1..=4 {
        let (writes, reads) = match number % 2 {
            0 => (&one, &other),
            _ => (&other, &one),
        };
        // What a handle has read before is not what is there now.
        reads.load(&key);
        let mut held = writes.lock(&key);
        held.login(&grant(number));
        assert_eq!(held.number(), Some(number), "its own save");
        drop(held);
        assert_eq!(reads.lock(&key).number(), Some(number), "a save by another");
    }
    let mut held = one.lock(&key);
    held.remove();
    assert_eq!(held.number(), None, "its own removal");
    drop(held);
    assert_eq!(other.lock(&key).number(), None, "a removal by another");
}

pub(super) fn prepare_changes_nothing(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    for expected in [None, Some(1)] {
        if let Some(number) = expected {
            one.login(&key, number);
        }
        let mut held = one.lock(&key);
        assert_eq!(held.number(), expected);
        for _ in 0..2 {
            held.prepare();
            assert_eq!(held.number(), expected, "by the holder");
            assert_eq!(one.number(&key), expected, "by the same handle");
            assert_eq!(other.number(&key), expected, "by another handle");
        }
        drop(held);
        assert_eq!(other.number(&key), expected, "after the drop");
    }
    // And it is in nobody's way.
    let mut held = other.lock(&key);
    assert_eq!(held.number(), Some(1));
    held.prepare();
    assert_eq!(held.save(&grant(2)), Saved::Stored, "save after prepare");
    assert_eq!(one.number(&key), Some(2));
}

pub(super) fn a_drop_without_a_save_changes_nothing(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    for expected in [None, Some(1)] {
        if let Some(number) = expected {
            one.login(&key, number);
        }
        for has_loaded in [false, true] {
            let mut held = one.lock(&key);
            if has_loaded {
                held.load();
            }
            drop(held);
            assert_eq!(other.number(&key), expected);
        }
    }
}

pub(super) fn a_login_is_stored(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    let saved = one.lock(&key).save(&grant(1));
    assert_eq!(saved, Saved::Stored, "save in place of nothing");
    assert_eq!(other.number(&key), Some(1));
    let mut held = other.lock(&key);
    match held.save(&grant(2)) {
        Saved::Stored => {}
        Saved::Superseded => {
            assert_eq!(
                one.number(&key),
                Some(1),
                "what was superseded is not stored"
            );
            assert_eq!(held.number(), Some(1));
            let saved = held.save(&grant(2));
            assert_eq!(
                saved,
                Saved::Stored,
                "save after a load, by the only holder"
            );
        }
    }
    assert_eq!(one.number(&key), Some(2));
}

pub(super) fn a_lock_that_reads_needs_no_load(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    if !one.lock_reads() {
        println!("its `lock` does not read");
        return;
    }
    for number in 1..=3 {
        let saved = one.lock(&key).save(&grant(number));
        assert_eq!(saved, Saved::Stored, "save number {number}");
        assert_eq!(other.number(&key), Some(number));
    }
}

pub(super) fn nothing_is_in_doubt_without_a_reason(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    assert_eq!(one.lock(&key).doubt(), None, "where nothing is");
    one.login(&key, 1);
    assert_eq!(other.lock(&key).doubt(), None, "after a login");
    for has_saved in [true, false] {
        let mut held = one.lock(&key);
        held.load();
        held.prepare();
        if has_saved {
            held.save(&grant(2));
        }
        assert_eq!(held.doubt(), None, "of the holder");
        drop(held);
        let mut held = other.lock(&key);
        held.load();
        assert_eq!(held.doubt(), None, "of the next, saved: {has_saved}");
    }
    one.remove(&key);
    assert_eq!(other.lock(&key).doubt(), None, "after a removal");
}

pub(super) fn a_removed_grant_is_gone(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    one.remove(&key);
    for number in 1..=2 {
        one.login(&key, number);
        other.login(&key, number + 10);
        for handle in [&one, &other] {
            // What a handle has read before is not what is there afterwards.
            assert_eq!(handle.number(&key), Some(number + 10));
        }
        let mut held = one.lock(&key);
        held.load();
        held.prepare();
        held.remove();
        held.remove();
        assert_eq!(held.number(), None, "by the holder");
        assert_eq!(other.number(&key), None, "by another handle");
        drop(held);
        assert_eq!(one.number(&key), None, "by the same handle");
        assert_eq!(store.open().number(&key), None, "by a new handle");
        assert_eq!(other.lock(&key).number(), None, "by the next holder");
    }
}

pub(super) fn a_removed_grant_leaves_no_copy(store: &StoreUnderTest) {
    let handle = store.open();
    let key = key("alice");
    for number in 1..=3 {
        handle.login(&key, number);
        if store.damage.is_some() {
            store.damage(&key);
        }
    }
    handle.login(&key, 4);
    let mut held = handle.lock(&key);
    held.load();
    held.prepare();
    assert!(!store.contents().is_empty(), "`contents_by` gives nothing");
    held.remove();
    let is_left = |contents: Vec<u8>| {
        let mut windows = contents.windows(SECRET.len());
        windows.any(|window| window == SECRET.as_bytes())
    };
    assert!(!is_left(store.contents()), "a token is left after `remove`");
    drop(held);
    assert!(!is_left(store.contents()), "a token is left after the drop");
}
