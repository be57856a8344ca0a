//! What is read.

use std::thread;
use std::time::{Duration, Instant};

use coze_auth_core::Endpoints;

use super::StoreUnderTest;
use super::given::{SECRET, grant, grant_of, key, key_of, number_of, on_threads};
use crate::GrantKey;

pub(super) fn nothing_is_there_at_first(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    assert!(one.load(&key("alice")).is_none(), "load");
    let mut held = one.lock(&key("alice"));
    assert!(held.load().is_none(), "load of a holder");
    drop(held);
    assert!(other.load(&key("alice")).is_none(), "a lock leaves a grant");
}

/// Tokens as Coze might send them: long, with what JSON, SQL and shells have to escape.
fn samples() -> Vec<String> {
    let header: String = ('!'..='~').filter(|c| !r#""\"#.contains(*c)).collect();
    let text = format!(r#" {header} \" \\ "#);
    let long = "0123456789abcdef".repeat(1024);
    vec![
        format!(
            r#"{{"access_token":"{SECRET}\"\\{header}","refresh_token":"{SECRET}{text}","issued_at":1750000000,"expires_at":1750000900}}"#
        ),
        // Longer than what is before and after it, and more than most columns take.
        format!(
            r#"{{"access_token":"{SECRET}{long}","refresh_token":"{SECRET}r{long}","issued_at":1750000001,"expires_at":1750000901}}"#
        ),
        // A JWT app has no refresh token, and that of the grant before must not stay. Its token has not ended: one that has may go.
        format!(r#"{{"access_token":"{SECRET}","issued_at":1750000002,"expires_at":4102444800}}"#),
        // Numbers that a float cannot hold.
        format!(
            r#"{{"access_token":"{SECRET}","refresh_token":"{SECRET}","issued_at":0,"expires_at":9007199254740993}}"#
        ),
    ]
}

pub(super) fn a_grant_is_given_back_whole(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    for (number, sample) in samples().iter().enumerate() {
        let saved = grant_of(sample);
        let mut held = one.lock(&key);
        held.login(&saved);
        let found = [held.load(), other.load(&key), store.open().load(&key)];
        for found in found {
            let found = found.unwrap_or_else(|| panic!("sample {number} is not there"));
            // By hand, since a difference must not print tokens.
            let is_same = found.to_secret_json().expose() == saved.to_secret_json().expose();
            assert!(is_same, "sample {number} is another grant than was saved");
        }
    }
}

pub(super) fn a_save_is_seen_by_all_at_once(store: &StoreUnderTest) {
    let handles = [store.open(), store.open()];
    let key = key("alice");
    for handle in &handles {
        assert_eq!(handle.number(&key), None);
    }
    for number in 0..20_u32 {
        handles[number as usize % 2].login(&key, number);
        for (handle, whose) in handles.iter().zip(["the first", "the second"]) {
            assert_eq!(handle.number(&key), Some(number), "by {whose} handle");
        }
        assert_eq!(store.open().number(&key), Some(number), "by a new handle");
    }
}

pub(super) fn a_load_waits_for_nobody(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let key = key("alice");
    one.login(&key, 1);
    let mut held = one.lock(&key);
    held.load();
    held.prepare();
    for (handle, whose) in [(&one, "the same"), (&other, "another")] {
        let begun = Instant::now();
        assert_eq!(handle.number(&key), Some(1));
        store
            .times
            .are_kept(&format!("load by {whose} handle"), begun, Duration::ZERO);
    }
}

pub(super) fn a_grant_outlives_the_handles(store: &StoreUnderTest) {
    let key = key("alice");
    for number in 1..=2 {
        store.open().login(&key, number);
        assert_eq!(store.open().number(&key), Some(number));
    }
}

/// Keys that are nearly the same.
fn near_keys() -> Vec<GrantKey> {
    let (cn, com) = (Endpoints::cn(), Endpoints::com());
    let long = "x".repeat(300);
    let (long_a, long_b) = (format!("{long}a"), format!("{long}b"));
    let parts = [
        (&cn, "app", "alice"),
        (&com, "app", "alice"),
        (&cn, "app2", "alice"),
        (&cn, "app", "bob"),
        // The same letters, cut elsewhere.
        (&cn, "appa", "lice"),
        (&cn, "app:a", "b"),
        (&cn, "app", "a:b"),
        (&cn, "app/a", "b"),
        (&cn, "app", "a/b"),
        // What a collation, a pattern, a shell and SQL take for the same or for something else.
        (&cn, "app", "Alice"),
        (&cn, "app", "ALICE"),
        (&cn, "app", "a%"),
        (&cn, "app", "al_ce"),
        (&cn, "app", "al*"),
        (&cn, "app", "al?ce"),
        (&cn, "app", "{alice}"),
        (&cn, "app", "../alice"),
        (&cn, "app", "alice'; --"),
        // One person's name in two forms of Unicode, and another's.
        (&cn, "app", "caf\u{e9}"),
        (&cn, "app", "cafe\u{301}"),
        (&cn, "app", "cafe"),
        (&cn, "app", "扣子"),
        (&cn, "app", "扣"),
        // Cut off by a column or the name of a file.
        (&cn, "app", &long_a),
        (&cn, "app", &long_b),
    ];
    parts
        .map(|(base, app, subject)| key_of(base, app, subject))
        .into()
}

pub(super) fn keys_that_differ_do_not_meet(store: &StoreUnderTest) {
    let (one, other) = (store.open(), store.open());
    let keys = near_keys();
    let first = one.lock(&keys[0]);
    for (number, key) in (0..).zip(&keys).skip(1) {
        let begun = Instant::now();
        let mut held = one.lock(key);
        store.times.are_kept(
            "lock while that of another key is held",
            begun,
            Duration::ZERO,
        );
        held.login(&grant(number));
    }
    drop(first);
    one.login(&keys[0], 0);
    let left = |removed: &[usize]| {
        for (number, key) in keys.iter().enumerate() {
            let expected = (!removed.contains(&number)).then_some(number as u32);
            assert_eq!(other.number(key), expected, "{key:?}");
        }
    };
    left(&[]);
    let mut removed = Vec::new();
    for number in (0..keys.len()).step_by(3) {
        one.remove(&keys[number]);
        removed.push(number);
    }
    left(&removed);
}

pub(super) fn many_users_at_once(store: &StoreUnderTest) {
    const THREADS: u32 = 8;
    const EACH: u32 = 10;
    let handles = [store.open(), store.open()];
    let key_at = |number: u32| key(&format!("user {number}"));
    on_threads(THREADS, |thread| {
        let handle = &handles[thread as usize % 2];
        for number in thread * EACH..(thread + 1) * EACH {
            let key = key_at(number);
            let mut held = handle.lock(&key);
            assert_eq!(held.number(), None, "user {number}");
            held.prepare();
            held.login(&grant(number));
            thread::yield_now();
            assert_eq!(held.load().as_ref().map(number_of), Some(number));
        }
    });
    let handle = store.open();
    for number in 0..THREADS * EACH {
        assert_eq!(
            handle.number(&key_at(number)),
            Some(number),
            "user {number}"
        );
    }
}
