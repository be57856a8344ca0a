//! Whose turn it is.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use super::StoreUnderTest;
use super::given::{Handle, grant, key, number_of, on_threads};
use crate::{Saved, StoreError};

/// How long a thread needs to begin to wait. If it has not, the rule asks less.
const BEGINS: Duration = Duration::from_millis(100);

/// Only one thread is between lock and drop.
fn one_holder(handles: &[Handle]) {
    let key = key("alice");
    let mut held = handles[0].lock(&key);
    for step in ["after lock", "after load and prepare"] {
        for handle in handles {
            handle.finds_it_locked(&key, step);
        }
        held.load();
        held.prepare();
    }
    drop(held);
    let inside = AtomicU32::new(0);
    on_threads(4, |thread| {
        for _ in 0..10 {
            let held = handles[thread as usize % handles.len()].lock(&key);
            let others = inside.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(1));
            inside.fetch_sub(1, Ordering::SeqCst);
            assert_eq!(others, 0, "the lock has several holders");
            drop(held);
        }
    });
}

pub(super) fn one_handle_has_one_holder(store: &StoreUnderTest) {
    one_holder(&[store.open()]);
}

pub(super) fn two_handles_have_one_holder(store: &StoreUnderTest) {
    one_holder(&[store.open(), store.open()]);
}

pub(super) fn patience_ends_in_time(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    let _held = one.lock(&key);
    for handle in [&one, &other] {
        for patience in [Duration::ZERO, Duration::from_millis(300)] {
            let begun = Instant::now();
            let result = handle.try_lock(&key, patience);
            let took = begun.elapsed();
            store
                .times
                .are_kept("lock without an end of the patience", begun, patience);
            let waited = match result {
                Err(StoreError::Locked { waited }) => waited,
                Err(error) => panic!("expected StoreError::Locked, actual {error:?}"),
                Ok(_) => panic!("the lock has two holders"),
            };
            assert!(
                took >= patience,
                "it gave up after {took:?} of {patience:?}"
            );
            assert!(
                waited <= took,
                "it says {waited:?}, and waited for {took:?}"
            );
        }
    }
}

pub(super) fn patience_may_have_no_end(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    let held = one.try_lock(&key, Duration::MAX);
    let held = held.unwrap_or_else(|error| panic!("a lock that is free: {error:?}"));
    let (taken, is_taken) = channel();
    // It may wait for ever, and is left behind then.
    thread::spawn(move || {
        let result = other.try_lock(&key, Duration::MAX).map(drop);
        let _gone = taken.send(result);
    });
    thread::sleep(BEGINS);
    drop(held);
    match is_taken.recv_timeout(store.times.patience) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("a lock that was dropped: {error:?}"),
        Err(_) => panic!("a lock that was dropped is not given"),
    }
}

pub(super) fn a_free_lock_needs_no_patience(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    for (handle, whose) in [(&one, "a first"), (&other, "another"), (&one, "the first")] {
        let held = handle.try_lock(&key, Duration::ZERO);
        held.unwrap_or_else(|error| panic!("by {whose} handle: {error:?}"));
        // A drop must not wait, so it may be on its way.
        drop(handle.lock(&key));
        thread::sleep(BEGINS);
    }
}

pub(super) fn a_dropped_lock_goes_to_the_one_that_waits(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    for (waits, whose) in [(&one, "the same"), (&other, "another")] {
        let held = one.lock(&key);
        let (taken, is_taken) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let held = waits.lock(&key);
                let _ = taken.send(Instant::now());
                drop(held);
            });
            thread::sleep(BEGINS);
            assert!(is_taken.try_recv().is_err(), "the lock has two holders");
            let dropped = Instant::now();
            drop(held);
            let taken = is_taken
                .recv_timeout(store.times.patience)
                .expect("the waiting thread has it");
            let took = taken.saturating_duration_since(dropped);
            assert!(
                took <= store.times.soon,
                "by {whose} handle: it took {took:?}"
            );
        });
    }
}

pub(super) fn a_caller_that_gave_up_holds_nothing(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    let held = one.lock(&key);
    for handle in [&one, &other, &one] {
        handle.finds_it_locked(&key, "while it is held");
    }
    drop(held);
    // A lock that is handed to the one that asked first is somebody's now.
    thread::sleep(BEGINS);
    drop(other.lock_soon(&key, "after callers had given up"));
    drop(one.lock_soon(&key, "once more"));
}

pub(super) fn a_panic_gives_the_lock_back(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    one.login(&key, 1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut held = one.lock(&key);
        held.load();
        held.prepare();
        // Without the hook, which would print.
        resume_unwind(Box::new("meant"));
    }));
    let why = panicked.expect_err("it panics");
    if why.downcast_ref() != Some(&"meant") {
        resume_unwind(why);
    }
    for handle in [&other, &one] {
        assert_eq!(handle.lock_soon(&key, "after a panic").number(), Some(1));
    }
}

pub(super) fn a_lock_outlives_its_handle(store: &StoreUnderTest) {
    let other = store.open();
    let key = key("alice");
    let mut held = {
        let handle = store.open();
        handle.login(&key, 1);
        handle.lock(&key)
    };
    other.finds_it_locked(&key, "after the handle of the holder was dropped");
    thread::scope(|scope| {
        let elsewhere = scope.spawn(move || {
            assert_eq!(held.number(), Some(1), "on another thread");
            held.prepare();
            assert_eq!(held.save(&grant(2)), Saved::Stored, "on another thread");
        });
        if let Err(panicked) = elsewhere.join() {
            resume_unwind(panicked);
        }
    });
    let held = other.lock_soon(&key, "after it was dropped on another thread");
    drop(held);
    assert_eq!(other.number(&key), Some(2));
}

pub(super) fn a_drop_does_not_wait(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    for has_saved in [false, true] {
        let mut held = one.lock(&key);
        held.load();
        held.prepare();
        if has_saved {
            held.save(&grant(1));
        }
        thread::scope(|scope| {
            // A drop that has somebody to wake.
            let waiting = scope.spawn(|| drop(other.lock(&key)));
            thread::sleep(BEGINS);
            let begun = Instant::now();
            drop(held);
            store.times.are_kept("drop", begun, Duration::ZERO);
            if let Err(panicked) = waiting.join() {
                resume_unwind(panicked);
            }
        });
    }
}

pub(super) fn no_update_is_lost(store: &StoreUnderTest) {
    const THREADS: u32 = 8;
    const EACH: u32 = 8;
    const TRIES: u32 = 100;
    let handles = [store.open(), store.open()];
    let key = key("alice");
    handles[0].login(&key, 0);
    on_threads(THREADS, |thread| {
        let handle = &handles[thread as usize % 2];
        for _ in 0..EACH {
            // As a renewal does it. A lease may end under a holder on a busy machine, who begins anew then.
            let mut tries = 0..TRIES;
            loop {
                assert!(
                    tries.next().is_some(),
                    "each save of a holder is superseded"
                );
                let mut held = handle.lock(&key);
                let loaded = held.load().expect("a grant");
                held.prepare();
                // A request, in which others ask for the lock.
                thread::sleep(Duration::from_millis(1));
                if held.save(&grant(number_of(&loaded) + 1)) == Saved::Stored {
                    break;
                }
            }
        }
    });
    assert_eq!(
        handles[1].number(&key),
        Some(THREADS * EACH),
        "renewals that are there"
    );
}
