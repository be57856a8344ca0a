//! An engine with trouble: damaged, full, ended by force.

use std::thread;
use std::time::{Duration, Instant};

use super::StoreUnderTest;
use super::given::{Handle, SHORT, grant, key};
use crate::{GrantKey, Saved};

pub(super) fn a_damaged_row_is_an_error_until_a_login(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    one.login(&key, 1);
    store.damage(&key);
    for handle in [&one, &other] {
        assert!(
            handle.try_load(&key).is_err(),
            "`load` gives no error for a row that is not a grant"
        );
        let mut held = handle.lock(&key);
        assert!(
            held.try_load().is_err(),
            "`load` of a holder gives no error for a row that is not a grant"
        );
    }
    other.login(&key, 2);
    assert_eq!(one.number(&key), Some(2), "a login replaces it");
    store.damage(&key);
    one.remove(&key);
    assert_eq!(other.number(&key), None, "a logout removes it");
}

pub(super) fn a_full_store_is_told_before_it_costs(store: &StoreUnderTest) {
    let handle = store.open();
    let key = key("alice");
    handle.login(&key, 1);
    store.fill(true);
    let mut stored = None;
    if let Ok(mut held) = handle.try_lock(&key, store.times.patience)
        && held.try_load().is_ok()
        && held.try_prepare().is_ok()
    {
        stored = Some(held.try_save(&grant(2)));
    }
    store.fill(false);
    let expected = match stored {
        None => 1,
        Some(Ok(Saved::Stored)) => 2,
        Some(other) => panic!("`prepare` says yes in a full store, and `save` then: {other:?}"),
    };
    assert_eq!(handle.number(&key), Some(expected));
    goes_on(&handle, &key, expected);
}

pub(super) fn what_was_prepared_is_saved(store: &StoreUnderTest) {
    let handle = store.open();
    let key = key("alice");
    handle.login(&key, 1);
    let mut held = handle.lock(&key);
    assert_eq!(held.number(), Some(1));
    held.prepare();
    store.fill(true);
    let saved = held.try_save(&grant(2));
    store.fill(false);
    let saved = saved.unwrap_or_else(|error| {
        panic!("the store became full after `prepare`, and `save` fails: {error:?}")
    });
    assert_eq!(saved, Saved::Stored);
    drop(held);
    goes_on(&handle, &key, 2);
}

/// All is well again.
fn goes_on(handle: &Handle, key: &GrantKey, number: u32) {
    let mut held = handle.lock(key);
    assert_eq!(held.number(), Some(number));
    held.prepare();
    assert_eq!(held.save(&grant(9)), Saved::Stored);
    assert_eq!(handle.number(key), Some(9));
}

pub(super) fn a_save_survives_a_restart(store: &StoreUnderTest) {
    let handle = store.open();
    let key = key("alice");
    for number in 1..=3 {
        handle.login(&key, number);
        store.restart();
        assert_eq!(store.open().number(&key), Some(number), "by a new handle");
        // A connection that has died is made anew, sooner or later.
        let begun = Instant::now();
        while handle.try_load(&key).is_err() && begun.elapsed() < store.times.patience {
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(handle.number(&key), Some(number), "by the old handle");
    }
}

pub(super) fn a_removal_survives_a_restart(store: &StoreUnderTest) {
    let handle = store.open();
    let key = key("alice");
    handle.login(&key, 1);
    handle.remove(&key);
    store.restart();
    assert_eq!(store.open().number(&key), None);
}

pub(super) fn an_error_shows_no_token(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    one.login(&key, 1);
    // Each call looks at the error that it gives.
    let held = one.lock(&key);
    let error = other
        .try_lock(&key, SHORT)
        .map(drop)
        .expect_err("it is held");
    assert!(!error.to_string().is_empty(), "an error without a text");
    drop(held);
    if store.damage.is_some() {
        store.damage(&key);
        let _looked_at = other.try_load(&key);
        other.login(&key, 2);
    }
    if store.fill.is_some() {
        store.fill(true);
        if let Ok(mut held) = other.try_lock(&key, store.times.patience) {
            let _looked_at = held.try_load();
            let _looked_at = held.try_save(&grant(3));
            let _looked_at = held.try_prepare();
            let _looked_at = held.try_remove();
        }
        store.fill(false);
    }
}
