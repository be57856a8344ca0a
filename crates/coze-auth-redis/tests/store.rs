//! The store on a real server, blocking and awaited.

mod server;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_redis::RedisStore;
use coze_auth_store::core::TokenGrant;
use coze_auth_store::{
    AsyncGrantStore, AsyncLockedGrant, Doubt, GrantStore, LockedGrant, Saved, StoreError,
};

use server::Server;
use support::{access, fields, grant, grant_without_refresh, key, login, options, store, stored};

/// Waits for nothing that does not come at once.
const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_grant_is_locked_saved_read_and_removed() {
    let Some(server) = Server::start("a_grant_is_locked_saved_read_and_removed", &[]) else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    assert!(GrantStore::load(&store, &key).unwrap().is_none());
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    assert!(held.load().unwrap().is_none());
    held.prepare().unwrap();
    assert_eq!(held.save(&grant(1)).unwrap(), Saved::Stored);
    assert_eq!(access(&store, &key).unwrap(), "access-1");
    // It was given back with the save, and not only with the drop.
    let mut next = GrantStore::lock(&store, &key, NOW).unwrap();
    drop(held);
    assert_eq!(
        next.load()
            .unwrap()
            .unwrap()
            .refresh_token
            .unwrap()
            .expose(),
        "refresh-1"
    );
    assert_eq!(next.doubt(), None);
    next.remove().unwrap();
    assert_eq!(access(&store, &key), None);
    assert!(server.tell(&["HGET", &store.key(&key), "v"]).is_empty());
    drop(next);
    let awaited = support::runtime();
    awaited.block_on(async {
        let mut held = AsyncGrantStore::lock(&store, &key, NOW).await.unwrap();
        assert!(AsyncLockedGrant::load(&mut held).await.unwrap().is_none());
        AsyncLockedGrant::prepare(&mut held).await.unwrap();
        let saved = AsyncLockedGrant::save(&mut held, &grant(2)).await.unwrap();
        assert_eq!(saved, Saved::Stored);
        let loaded = AsyncGrantStore::load(&store, &key).await.unwrap().unwrap();
        assert_eq!(loaded.access_token.expose(), "access-2");
        AsyncLockedGrant::remove(&mut held).await.unwrap();
        assert!(AsyncGrantStore::load(&store, &key).await.unwrap().is_none());
    });
}

#[test]
fn a_renewal_is_two_scripts() {
    let Some(server) = Server::start("a_renewal_is_two_scripts", &[]) else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    assert!(GrantStore::lock_reads(&store) && AsyncGrantStore::lock_reads(&store));
    login(&store, &key, 1);
    // Once more, so that the server knows the scripts.
    for number in 2..4 {
        server.tell(&["CONFIG", "RESETSTAT"]);
        let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
        assert_eq!(
            held.load().unwrap().unwrap().access_token.expose(),
            format!("access-{}", number - 1)
        );
        held.prepare().unwrap();
        assert_eq!(held.save(&grant(number)).unwrap(), Saved::Stored);
        drop(held);
    }
    // The drop sends nothing that would come late.
    thread::sleep(Duration::from_millis(50));
    assert_eq!(server.calls("evalsha"), 2);
    // Each of them reads once, and nothing else does.
    assert_eq!(server.calls("hmget"), 2);
    let all = server.tell(&["INFO", "commandstats"]);
    for line in all.lines().filter(|line| line.starts_with("cmdstat_")) {
        let name = line.split([':', '|']).next().unwrap_or_default();
        // What the scripts call, and what the test asks.
        let inside = [
            "hmget", "hset", "hdel", "pttl", "pexpire", "publish", "time", "info", "config",
        ];
        let known = inside
            .iter()
            .chain(&["evalsha"])
            .any(|known| name == format!("cmdstat_{known}"));
        assert!(known, "{line}");
    }
}

/// It has spent the refresh token, and its process ends in good order.
#[test]
fn a_holder_that_could_not_save_leaves_a_mark_as_it_gives_the_lease_back() {
    let name = "a_holder_that_could_not_save_leaves_a_mark_as_it_gives_the_lease_back";
    let Some(server) = Server::start(name, &[]) else {
        return;
    };
    let (ends, store, key) = (store(&server), store(&server), key("alice"));
    login(&store, &key, 1);
    let replicas = |least| server.tell(&["CONFIG", "SET", "min-replicas-to-write", least]);
    let mut held = GrantStore::lock(&ends, &key, NOW).unwrap();
    held.prepare().unwrap();
    replicas("1");
    let error = held.save(&grant(2)).unwrap_err();
    assert!(error.to_string().contains("NOREPLICAS"), "{error}");
    drop((held, ends));
    replicas("0");
    let mut next = GrantStore::lock(&store, &key, LONG).unwrap();
    assert!(
        matches!(next.doubt(), Some(Doubt::Unfinished { .. })),
        "{:?}",
        next.doubt()
    );
    // What is saved is not in doubt.
    next.load().unwrap();
    assert_eq!(next.save(&grant(2)).unwrap(), Saved::Stored);
    drop(next);
    let last = GrantStore::lock(&store, &key, NOW).unwrap();
    assert_eq!(last.doubt(), None);
}

/// A request was sent, and what became of it is not known.
#[test]
fn a_holder_whose_request_has_no_answer_leaves_a_mark() {
    let Some(server) = Server::start("a_holder_whose_request_has_no_answer_leaves_a_mark", &[])
    else {
        return;
    };
    let (one, other, key) = (store(&server), store(&server), key("alice"));
    login(&one, &key, 1);
    for is_known in [true, false] {
        let mut held = GrantStore::lock(&one, &key, LONG).unwrap();
        held.prepare().unwrap();
        if !is_known {
            held.may_be_spent();
        }
        drop(held);
        let held = GrantStore::lock(&other, &key, LONG).unwrap();
        let doubt = held.doubt();
        assert_eq!(doubt.is_none(), is_known, "{doubt:?}");
    }
}

#[test]
fn a_grant_that_could_not_be_saved_is_saved_without_another_call() {
    let name = "a_grant_that_could_not_be_saved_is_saved_without_another_call";
    let Some(server) = Server::start(name, &[]) else {
        return;
    };
    let (one, other, key) = (store(&server), store(&server), key("alice"));
    let replicas = |least| server.tell(&["CONFIG", "SET", "min-replicas-to-write", least]);
    let cannot_save = |store: &RedisStore, number| {
        let mut held = GrantStore::lock(store, &key, LONG).unwrap();
        held.prepare().unwrap();
        replicas("1");
        let error = held.save(&grant(number)).unwrap_err();
        assert!(error.to_string().contains("NOREPLICAS"), "{error}");
    };
    login(&one, &key, 1);
    cannot_save(&one, 2);
    // The lease is kept: another would spend what is spent.
    let error = GrantStore::lock(&other, &key, Duration::from_secs(1)).err();
    assert!(
        matches!(error, Some(StoreError::Locked { .. })),
        "{error:?}"
    );
    // Its own process is told why, and reads what is stored.
    let mut refused = GrantStore::lock(&one, &key, NOW).unwrap();
    let stored = refused.load().unwrap().unwrap();
    assert_eq!(stored.access_token.expose(), "access-1");
    let error = refused.prepare().unwrap_err();
    assert!(error.to_string().contains("NOREPLICAS"), "{error}");
    drop(refused);
    replicas("0");
    support::until(|| access(&other, &key).as_deref() == Some("access-2"));
    // With the save the lease was given back.
    let held = GrantStore::lock(&other, &key, NOW).unwrap();
    assert_eq!(held.doubt(), None);
    drop(held);
    // The next call of its process does not wait for that.
    cannot_save(&one, 3);
    replicas("0");
    let mut held = GrantStore::lock(&one, &key, Duration::from_millis(200)).unwrap();
    let stored = held.load().unwrap().unwrap();
    assert_eq!(stored.access_token.expose(), "access-3");
    drop(held);
    // Nor does its end.
    cannot_save(&one, 4);
    replicas("0");
    drop(one);
    assert_eq!(access(&other, &key).unwrap(), "access-4");
    // Who logs in or out elsewhere is later.
    let one = store(&server);
    cannot_save(&one, 5);
    replicas("0");
    server.tell(&["HSET", &one.key(&key), "h", "another", "u", "1"]);
    GrantStore::lock(&other, &key, LONG)
        .unwrap()
        .remove()
        .unwrap();
    drop(GrantStore::lock(&one, &key, LONG).unwrap());
    assert_eq!(access(&other, &key), None);
}

/// Another can be had at any time.
#[test]
fn a_token_that_is_shared_is_not_saved_again() {
    let Some(server) = Server::start("a_token_that_is_shared_is_not_saved_again", &[]) else {
        return;
    };
    let (one, other, key) = (store(&server), store(&server), key("alice"));
    let mut held = GrantStore::lock(&one, &key, NOW).unwrap();
    server.tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert!(held.save(&grant_without_refresh(1, 900)).is_err());
    drop(held);
    server.tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    // Whoever comes next may sign one at once.
    drop(GrantStore::lock(&other, &key, Duration::from_secs(3)).unwrap());
    assert_eq!(access(&other, &key), None);
}

#[test]
fn a_late_login_on_a_server_that_went_back_is_not_written_over() {
    let name = "a_late_login_on_a_server_that_went_back_is_not_written_over";
    let Some(server) = Server::start(name, &[]) else {
        return;
    };
    let lease = Duration::from_millis(300);
    let (one, key) = (support::with(options(&server).lease(lease)), key("alice"));
    let (other, third) = (store(&server), store(&server));
    login(&other, &key, 1);
    let name = one.key(&key);
    for is_held in [false, true] {
        let backup = ["v", "r"].map(|field| server.tell(&["HGET", &name, field]));
        let mut late = GrantStore::lock(&one, &key, LONG).unwrap();
        late.load().unwrap();
        server.tell(&["HSET", &name, "h", "another", "u", "1"]);
        // It learns so when it next extends its lease.
        thread::sleep(2 * lease);
        login(&other, &key, 2);
        assert_eq!(access(&third, &key).unwrap(), "access-2");
        // Restored from a copy of before.
        server.tell(&["DEL", &name]);
        server.ask(&["HSET", &name, "v", &backup[0], "r", &backup[1]]);
        if is_held {
            dead_holder(&server, &name, 1_000, 1_000);
        }
        assert_eq!(late.save(&grant(3)).unwrap(), Saved::Stored);
        let mut held = GrantStore::lock(&third, &key, LONG).unwrap();
        let stored = held.load().unwrap().unwrap();
        assert_eq!(stored.access_token.expose(), "access-3", "{is_held}");
        assert_eq!(held.save(&grant(1)).unwrap(), Saved::Stored);
    }
}

/// Two processes of many tasks each.
#[test]
fn one_of_a_process_asks_for_all_of_its_who_wait() {
    let Some(server) = Server::start("one_of_a_process_asks_for_all_of_its_who_wait", &[]) else {
        return;
    };
    const TASKS: usize = 20;
    let (stores, key) = ([store(&server), store(&server)], key("alice"));
    let held = GrantStore::lock(&stores[0], &key, NOW).unwrap();
    thread::scope(|scope| {
        for store in &stores {
            for _ in 0..TASKS {
                scope.spawn(|| drop(GrantStore::lock(store, &key, LONG).unwrap()));
            }
        }
        server.wait_for_calls("subscribe", 2);
        thread::sleep(Duration::from_millis(500));
        server.tell(&["CONFIG", "RESETSTAT"]);
        drop(held);
    });
    // Taken and given back 40 times, and 40 times at most asked for by the other process and by the next of its own.
    let asked = server.calls("evalsha");
    let all = 2 * TASKS as u64;
    assert!((2 * all..=6 * all).contains(&asked), "{asked}");
}

#[test]
fn one_holds_the_lease_and_the_next_is_woken() {
    let Some(server) = Server::start("one_holds_the_lease_and_the_next_is_woken", &[]) else {
        return;
    };
    let (one, other, key) = (store(&server), store(&server), key("alice"));
    login(&one, &key, 1);
    let mut held = GrantStore::lock(&one, &key, NOW).unwrap();
    let error = GrantStore::lock(&other, &key, NOW).err().unwrap();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    let waits = thread::spawn({
        let (other, key) = (other.clone(), key.clone());
        move || {
            let mut held = GrantStore::lock(&other, &key, LONG).unwrap();
            let got = Instant::now();
            let grant = held.load().unwrap().unwrap();
            (got, grant.access_token.expose().to_owned())
        }
    });
    server.wait_for_calls("subscribe", 1);
    thread::sleep(Duration::from_millis(50));
    let saved = Instant::now();
    held.save(&grant(2)).unwrap();
    let (got, token) = waits.join().unwrap();
    assert_eq!(token, "access-2");
    // The poll comes after half a second at the earliest.
    let woken = got.saturating_duration_since(saved);
    assert!(woken < Duration::from_millis(400), "{woken:?}");
}

#[test]
fn who_waits_does_not_ask_all_the_time() {
    let Some(server) = Server::start("who_waits_does_not_ask_all_the_time", &[]) else {
        return;
    };
    let (one, other, key) = (store(&server), store(&server), key("alice"));
    let held = GrantStore::lock(&one, &key, NOW).unwrap();
    server.tell(&["CONFIG", "RESETSTAT"]);
    let waited = Duration::from_millis(2500);
    let began = Instant::now();
    let error = GrantStore::lock(&other, &key, waited).err().unwrap();
    assert!(
        matches!(error, StoreError::Locked { waited: told } if told == waited),
        "{error}"
    );
    assert!(began.elapsed() >= waited);
    // Two at first, one each half to whole second, one at the end, none of an extension.
    let asked = server.calls("evalsha") + server.calls("eval");
    assert!((4..=9).contains(&asked), "{asked}");
    drop(held);
}

#[test]
fn one_of_many_holds_at_a_time() {
    let Some(server) = Server::start("one_of_many_holds_at_a_time", &[]) else {
        return;
    };
    let (inside, key) = (Arc::new(AtomicUsize::new(0)), key("alice"));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (store, key, inside) = (store(&server), key.clone(), inside.clone());
            thread::spawn(move || {
                for _ in 0..5 {
                    let held = GrantStore::lock(&store, &key, LONG).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                    thread::sleep(Duration::from_millis(2));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(held);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_lease_lasts_while_its_holder_lives_and_no_longer() {
    let Some(server) = Server::start("a_lease_lasts_while_its_holder_lives_and_no_longer", &[])
    else {
        return;
    };
    let short = Duration::from_millis(300);
    let one = support::with(options(&server).lease(short));
    let (other, key) = (support::with(options(&server).lease(short)), key("alice"));
    let mut held = GrantStore::lock(&one, &key, NOW).unwrap();
    let error = GrantStore::lock(&other, &key, 4 * short).err().unwrap();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    held.prepare().unwrap();
    // Extended, and given back all the same.
    drop(held);
    drop(GrantStore::lock(&other, &key, LONG).unwrap());
}

/// Another process that has died with the lease, or that died and left it on a clock that was set back since.
fn dead_holder(server: &Server, key: &str, ends_in: i64, length: u64) -> u64 {
    let now: i64 = server.ask(&["TIME"])[0].parse().unwrap();
    let since = now - 5;
    let (until, since) = (now * 1000 + ends_in, since * 1000);
    let set = [
        "h",
        "dead",
        "u",
        &until.to_string(),
        "l",
        &length.to_string(),
        "s",
        &since.to_string(),
        "f",
        "1",
    ];
    server.ask(&[&["HSET", key], &set[..]].concat());
    u64::try_from(since / 1000).unwrap()
}

#[test]
fn the_next_holder_knows_that_the_one_before_died() {
    let Some(server) = Server::start("the_next_holder_knows_that_the_one_before_died", &[]) else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    login(&store, &key, 1);
    let since = dead_holder(&server, &store.key(&key), 700, 700);
    let began = Instant::now();
    let held = GrantStore::lock(&store, &key, LONG).unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    let doubt = |held: &dyn LockedGrant| match held.doubt() {
        Some(Doubt::Unfinished { since }) => Some(since.as_secs()),
        None => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(doubt(&*held), Some(since));
    // Until something is stored, whoever holds it next.
    drop(held);
    let mut held = GrantStore::lock(&store, &key, LONG).unwrap();
    assert_eq!(doubt(&*held), Some(since));
    held.save(&grant(2)).unwrap();
    assert_eq!(doubt(&*held), None);
    let held = GrantStore::lock(&store, &key, LONG).unwrap();
    assert_eq!(doubt(&*held), None);
}

#[test]
fn a_lease_of_a_clock_that_was_set_back_is_over_after_its_length() {
    let Some(server) = Server::start(
        "a_lease_of_a_clock_that_was_set_back_is_over_after_its_length",
        &[],
    ) else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    dead_holder(&server, &store.key(&key), 3_600_000, 1000);
    let began = Instant::now();
    let held = GrantStore::lock(&store, &key, LONG).unwrap();
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_secs(1) && waited < Duration::from_secs(4),
        "{waited:?}"
    );
    assert!(matches!(held.doubt(), Some(Doubt::Unfinished { .. })));
}

#[test]
fn a_late_writer_cannot_bring_a_spent_token_back() {
    let Some(server) = Server::start("a_late_writer_cannot_bring_a_spent_token_back", &[]) else {
        return;
    };
    let (one, other, key) = (store(&server), store(&server), key("alice"));
    login(&one, &key, 1);
    let mut late = GrantStore::lock(&one, &key, NOW).unwrap();
    late.load().unwrap();
    // Its lease ends under it, as by a leap of the server's clock.
    server.tell(&["HSET", &one.key(&key), "u", "1"]);
    let mut held = GrantStore::lock(&other, &key, NOW).unwrap();
    held.load().unwrap();
    assert_eq!(held.save(&grant(2)).unwrap(), Saved::Stored);
    assert_eq!(late.save(&grant(3)).unwrap(), Saved::Superseded);
    assert_eq!(access(&one, &key).unwrap(), "access-2");
    // It reads what is there, and may write then.
    assert_eq!(
        late.load().unwrap().unwrap().access_token.expose(),
        "access-2"
    );
    assert_eq!(late.save(&grant(4)).unwrap(), Saved::Stored);
    // A logout is not undone, either.
    let mut late = GrantStore::lock(&one, &key, NOW).unwrap();
    late.load().unwrap();
    server.tell(&["HSET", &one.key(&key), "u", "1"]);
    GrantStore::lock(&other, &key, NOW)
        .unwrap()
        .remove()
        .unwrap();
    assert_eq!(late.save(&grant(5)).unwrap(), Saved::Superseded);
    assert_eq!(access(&one, &key), None);
}

/// The holder whose lease has ended, and whom nobody has overtaken, has paid for its grant.
#[test]
fn a_lease_that_ended_is_no_reason_to_lose_a_grant() {
    let Some(server) = Server::start("a_lease_that_ended_is_no_reason_to_lose_a_grant", &[]) else {
        return;
    };
    let (one, other, key) = (store(&server), store(&server), key("alice"));
    login(&one, &key, 1);
    let mut late = GrantStore::lock(&one, &key, NOW).unwrap();
    late.load().unwrap();
    server.tell(&["HSET", &one.key(&key), "u", "1"]);
    let mut held = GrantStore::lock(&other, &key, NOW).unwrap();
    held.load().unwrap();
    assert_eq!(late.save(&grant(2)).unwrap(), Saved::Stored);
    // The other has its lease still, and finds out.
    let error = GrantStore::lock(&store(&server), &key, NOW).err().unwrap();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert_eq!(held.save(&grant(3)).unwrap(), Saved::Superseded);
    assert_eq!(access(&one, &key).unwrap(), "access-2");
}

#[test]
fn keys_live_as_long_as_their_grant() {
    let Some(server) = Server::start("keys_live_as_long_as_their_grant", &[]) else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    let ttl = || {
        server
            .tell(&["PTTL", &store.key(&key)])
            .parse::<i64>()
            .unwrap()
    };
    let minute = 60_000;
    // Nobody has logged in: nothing stays.
    let held = GrantStore::lock(&store, &key, NOW).unwrap();
    assert!((9 * minute..=10 * minute).contains(&ttl()), "{}", ttl());
    drop(held);
    support::until(|| ttl() == -2);
    let days = |days: i64| days * 24 * 60 * minute;
    login(&store, &key, 1);
    assert!((days(90) - minute..=days(90)).contains(&ttl()), "{}", ttl());
    // A short time is not prolonged by a lease, and is anew by a save.
    server.tell(&["PEXPIRE", &store.key(&key), &days(1).to_string()]);
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    assert!(ttl() <= days(1));
    held.save(&grant(2)).unwrap();
    assert!((days(90) - minute..=days(90)).contains(&ttl()), "{}", ttl());
    // One without a refresh token is worth nothing when it has ended.
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    held.save(&grant_without_refresh(3, 30 * 60)).unwrap();
    assert!((30 * minute..=32 * minute).contains(&ttl()), "{}", ttl());
    held.remove().unwrap();
    assert!((days(90) - minute..=days(90)).contains(&ttl()), "{}", ttl());
    let fields = fields(&server, &store.key(&key));
    assert_eq!(fields, ["f", "r"], "what is left of a logout");
}

/// Redis may evict any key where its policy lets it.
#[test]
fn a_lease_that_was_evicted_leaves_no_key_without_an_end() {
    let Some(server) = Server::start("a_lease_that_was_evicted_leaves_no_key_without_an_end", &[])
    else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    server.tell(&["DEL", &store.key(&key)]);
    assert_eq!(held.save(&grant(1)).unwrap(), Saved::Stored);
    assert!(
        server
            .tell(&["PTTL", &store.key(&key)])
            .parse::<i64>()
            .unwrap()
            > 0
    );
}

/// What was paid for is stored. A logout would have left a higher revision.
#[test]
fn a_store_that_loses_a_grant_in_mid_renewal_takes_the_new_one() {
    let Some(mut server) = Server::start(
        "a_store_that_loses_a_grant_in_mid_renewal_takes_the_new_one",
        &[],
    ) else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    login(&store, &key, 1);
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    held.load().unwrap();
    server.lose_data();
    server.restart();
    assert_eq!(held.save(&grant(2)).unwrap(), Saved::Stored);
    assert_eq!(access(&store, &key).unwrap(), "access-2");
    // Restored from a copy of before.
    let name = store.key(&key);
    let before = ["v", "r"].map(|field| server.tell(&["HGET", &name, field]));
    login(&store, &key, 3);
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    held.load().unwrap();
    server.tell(&["DEL", &name]);
    server.ask(&["HSET", &name, "v", &before[0], "r", &before[1]]);
    assert_eq!(held.save(&grant(4)).unwrap(), Saved::Stored);
    assert_eq!(access(&store, &key).unwrap(), "access-4");
}

#[test]
fn a_value_that_is_not_a_grant_is_damaged_and_a_login_replaces_it() {
    let Some(server) = Server::start(
        "a_value_that_is_not_a_grant_is_damaged_and_a_login_replaces_it",
        &[],
    ) else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    login(&store, &key, 1);
    server.tell(&["HSET", &store.key(&key), "v", "secret-that-is-no-grant"]);
    let error = GrantStore::load(&store, &key).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(
        error.is_damaged() && text.contains(&store.key(&key)),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    assert!(held.load().unwrap_err().is_damaged());
    assert_eq!(held.save(&grant(2)).unwrap(), Saved::Stored);
    assert_eq!(access(&store, &key).unwrap(), "access-2");
    // A key of somebody else's.
    server.tell(&["DEL", &store.key(&key)]);
    server.tell(&["SET", &store.key(&key), "x"]);
    let error = GrantStore::lock(&store, &key, NOW).err().unwrap();
    assert!(error.to_string().contains("prefix of its own"), "{error}");
}

/// Somebody else wrote it, or a disk has lost a bit.
#[test]
fn a_record_that_is_damaged_anywhere_is_replaced_by_a_login() {
    let Some(server) = Server::start(
        "a_record_that_is_damaged_anywhere_is_replaced_by_a_login",
        &[],
    ) else {
        return;
    };
    let one = store(&server);
    let (least, most) = ((1_u64 << 53).to_string(), u64::MAX.to_string());
    let values = [
        "", "x", "-5", "12.5", "0x10", "1e300", "inf", "nan", "007", &least, &most,
    ];
    for (number, field) in ["r", "f", "u", "l", "s", "d", "w", "v"].iter().enumerate() {
        for (index, value) in values.iter().enumerate() {
            let what = format!("{field} {value}");
            let key = key(&format!("user-{number}-{index}"));
            login(&one, &key, 1);
            // The lease of one who has died, so that each field counts.
            dead_holder(&server, &one.key(&key), -1, 10_000);
            server.ask(&["HSET", &one.key(&key), field, value]);
            let other = store(&server);
            let mut held = GrantStore::lock(&other, &key, LONG).expect(&what);
            if let Err(error) = held.load() {
                assert_eq!((*field, error.is_damaged()), ("v", true), "{what}: {error}");
            }
            assert_eq!(held.save(&grant(2)).expect(&what), Saved::Stored, "{what}");
            assert_eq!(access(&other, &key).unwrap(), "access-2", "{what}");
            let mut held = GrantStore::lock(&other, &key, NOW).expect(&what);
            held.remove().expect(&what);
            assert_eq!(access(&other, &key), None, "{what}");
        }
    }
    // Not even text.
    let key = key("user");
    login(&one, &key, 1);
    let script = "return redis.call('HSET', KEYS[1], 'v', '\\255\\254')";
    server.ask(&["EVAL", script, "1", &one.key(&key)]);
    let error = GrantStore::load(&store(&server), &key).unwrap_err();
    assert!(error.is_damaged(), "{error}");
    login(&one, &key, 2);
    assert_eq!(access(&one, &key).unwrap(), "access-2");
}

#[test]
fn a_token_whose_end_no_server_can_tell_is_kept() {
    let Some(server) = Server::start("a_token_whose_end_no_server_can_tell_is_kept", &[]) else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    for ends_at in [10_u64.pow(16), u64::MAX] {
        let json = format!(r#"{{"access_token":"a","issued_at":1,"expires_at":{ends_at}}}"#);
        let grant = TokenGrant::from_secret_json(&json).unwrap();
        let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
        held.load().unwrap();
        assert_eq!(held.save(&grant).unwrap(), Saved::Stored, "{ends_at}");
        assert_eq!(access(&store, &key).unwrap(), "a");
    }
}

#[test]
fn sealed_values_are_opened_by_key_grant_and_revision() {
    let Some(server) = Server::start("sealed_values_are_opened_by_key_grant_and_revision", &[])
    else {
        return;
    };
    let sealed = || {
        let key = coze_auth_redis::SealKey::new("k1", &std::array::from_fn(|at| at as u8));
        support::with(options(&server).sealed(coze_auth_redis::SealKeys::new(key.unwrap())))
    };
    let (one, other) = (sealed(), sealed());
    let (alice, bob) = (key("alice"), key("bob"));
    login(&one, &alice, 1);
    assert!(stored(&server, &one, &alice).starts_with("sealed1:k1:"));
    assert_eq!(access(&other, &alice).unwrap(), "access-1");
    let mut held = GrantStore::lock(&other, &alice, NOW).unwrap();
    held.load().unwrap();
    held.save(&grant(2)).unwrap();
    assert_eq!(access(&one, &alice).unwrap(), "access-2");
    // Moved to another user.
    let value = stored(&server, &one, &alice);
    server.ask(&[
        "HSET",
        &one.key(&bob),
        "v",
        &value,
        "r",
        &server.tell(&["HGET", &one.key(&alice), "r"]),
    ]);
    let error = GrantStore::load(&one, &bob).unwrap_err();
    assert!(error.to_string().contains("does not open"), "{error}");
}
