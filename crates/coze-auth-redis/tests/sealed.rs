//! Sealed values in a real server.

mod server;
mod support;

use std::fs;
use std::time::Duration;

use coze_auth_redis::core::error::ErrorKind;
use coze_auth_redis::{RedisStore, SealKey, SealKeys};
use coze_auth_store::{GrantKey, GrantStore, StoreError};

use server::Server;
use support::{access, key, login, options, stored};

const LONG: Duration = Duration::from_secs(30);

fn one(name: &str, first: u8) -> SealKey {
    let bytes = std::array::from_fn(|at| first.wrapping_add(at as u8));
    SealKey::new(name, &bytes).expect("a key")
}

fn sealing(server: &Server, keys: SealKeys) -> RedisStore {
    RedisStore::with(options(server).sealed(keys)).expect("options")
}

fn failed(store: &RedisStore, key: &GrantKey) -> (ErrorKind, String) {
    let error = GrantStore::load(store, key).expect_err("it does not open");
    // A login replaces what is damaged, and nothing that another key would open.
    let is_damaged = matches!(error, StoreError::Damaged { .. });
    assert_eq!(
        is_damaged,
        error.kind() == ErrorKind::LoginNeeded,
        "{error:?}"
    );
    let told = format!("{error:?}");
    assert!(
        !told.contains("access-") && !told.contains("refresh-"),
        "{told}"
    );
    (error.kind(), told)
}

#[test]
fn nothing_of_a_login_is_readable_in_redis_or_its_files() {
    let Some(mut server) = Server::start("nothing_of_a_login_is_readable", &[]) else {
        return;
    };
    let (store, alice) = (sealing(&server, SealKeys::new(one("a", 1))), key("alice"));
    login(&store, &alice, 1);
    assert_eq!(access(&store, &alice).as_deref(), Some("access-1"));
    assert!(stored(&server, &store, &alice).starts_with("sealed1:a:"));
    // Another process, and the same after a restart.
    let again = sealing(&server, SealKeys::new(one("a", 1)));
    login(&again, &alice, 2);
    server.restart();
    assert_eq!(access(&again, &alice).as_deref(), Some("access-2"));
    server.kill();
    let mut seen = 0;
    for entry in fs::read_dir(server.folder().join("appendonlydir")).expect("the file's folder") {
        let bytes = fs::read(entry.expect("an entry").path()).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        seen += text.matches("sealed1:a:").count();
        for secret in ["access-1", "access-2", "refresh-1", "refresh-2"] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
    assert!(seen >= 2, "this is not the file that has the values");
}

#[test]
fn a_value_that_was_moved_or_put_back_does_not_open() {
    let Some(server) = Server::start("a_value_that_was_moved", &[]) else {
        return;
    };
    let new = || sealing(&server, SealKeys::new(one("a", 1)));
    let (alice, bob) = (key("alice"), key("bob"));
    login(&new(), &alice, 1);
    let first = stored(&server, &new(), &alice);
    login(&new(), &alice, 2);
    login(&new(), &bob, 3);
    let at = |who: &GrantKey| new().key(who);
    let put = |who: &GrantKey, value: &str| server.tell(&["HSET", &at(who), "v", value]);
    let own = stored(&server, &new(), &bob);
    let damaged = "does not open with its key a";
    // Alice's login as Bob's; Alice's older one under her newer revision. A store that has seen neither is asked.
    put(&bob, &stored(&server, &new(), &alice));
    assert!(failed(&new(), &bob).1.contains(damaged));
    put(&alice, &first);
    let (kind, told) = failed(&new(), &alice);
    assert!(told.contains(damaged), "{told}");
    assert_eq!(kind, ErrorKind::LoginNeeded);
    put(&bob, &own);
    assert_eq!(access(&new(), &bob).as_deref(), Some("access-3"));
    put(&bob, &own[..own.len() - 4]);
    assert!(failed(&new(), &bob).1.contains(damaged));
    // A login replaces what is damaged.
    login(&new(), &bob, 4);
    assert_eq!(access(&new(), &bob).as_deref(), Some("access-4"));
}

#[test]
fn a_key_that_is_missing_or_wrong_is_named() {
    let Some(server) = Server::start("a_key_that_is_missing", &[]) else {
        return;
    };
    let (alice, with) = (key("alice"), |keys| sealing(&server, keys));
    login(&with(SealKeys::new(one("a", 1))), &alice, 1);
    for (store, why) in [
        (support::store(&server), "was given no keys"),
        (with(SealKeys::new(one("b", 1))), "does not have (it has b)"),
        (
            with(SealKeys::new(one("a", 2))),
            "is not the key that this program has under this name",
        ),
    ] {
        let (kind, told) = failed(&store, &alice);
        assert_eq!(kind, ErrorKind::Settings, "{told}");
        assert!(told.contains(why), "{told}");
    }
}

/// A store, and what the values begin with that it saves.
type Step = (fn(&Server) -> RedisStore, &'static str);

#[test]
fn keys_are_introduced_and_rotated_without_a_new_login() {
    let Some(server) = Server::start("keys_are_introduced_and_rotated", &[]) else {
        return;
    };
    let alice = key("alice");
    let (old, new) = (|| one("2025", 1), || one("2026", 2));
    let steps: [Step; 5] = [
        (support::store, "{"),
        (
            |server| sealing(server, SealKeys::new(one("2025", 1))),
            "sealed1:2025:",
        ),
        (
            |server| {
                sealing(
                    server,
                    SealKeys::new(one("2025", 1))
                        .and(one("2026", 2))
                        .expect("two"),
                )
            },
            "sealed1:2025:",
        ),
        (
            |server| {
                sealing(
                    server,
                    SealKeys::new(one("2026", 2))
                        .and(one("2025", 1))
                        .expect("two"),
                )
            },
            "sealed1:2026:",
        ),
        (
            |server| sealing(server, SealKeys::new(one("2026", 2)).sealed_only()),
            "sealed1:2026:",
        ),
    ];
    login(&support::store(&server), &alice, 0);
    for (number, (store, begins)) in steps.iter().enumerate() {
        let store = store(&server);
        let number = number as u64;
        // What the step before has left is read, and rewritten by a renewal.
        assert_eq!(access(&store, &alice), Some(format!("access-{number}")));
        let mut held = GrantStore::lock(&store, &alice, LONG).expect("the lease");
        let grant = held.load().expect("it opens").expect("a grant");
        assert_eq!(grant.access_token.expose(), format!("access-{number}"));
        held.save(&support::grant(number + 1)).expect("saved");
        assert!(
            stored(&server, &store, &alice).starts_with(begins),
            "step {number}"
        );
    }
    // A plain one that somebody plants is refused by the last step, and taken by those before.
    let strict = steps[4].0(&server);
    let bob = key("bob");
    login(&support::store(&server), &bob, 7);
    let (kind, told) = failed(&strict, &bob);
    assert_eq!(kind, ErrorKind::Settings);
    assert!(
        told.contains("is not sealed, and sealed_only refuses it"),
        "{told}"
    );
    let both = SealKeys::new(new()).and(old()).expect("two");
    assert_eq!(
        access(&sealing(&server, both), &bob).as_deref(),
        Some("access-7")
    );
}
