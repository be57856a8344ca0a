//! A server that is away, slow, full, ended, taken over or restored: what the store does, and what it says.

mod server;
mod support;

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_redis::RedisOptions;
use coze_auth_store::core::error::ErrorKind;
use coze_auth_store::{
    AsyncGrantStore, AsyncLockedGrant, Doubt, GrantKey, GrantStore, Saved, StoreError,
};

use server::{Server, free_port};
use support::{access, grant, key, login, options, runtime, store, until, with};

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(20);

/// An error is of this kind, says this, and holds no secret.
#[track_caller]
fn says(error: &StoreError, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(error.to_string().contains(words), "{text}");
    for secret in ["access-", "refresh-", "pass-word"] {
        assert!(!text.contains(secret), "{text}");
    }
}

const PASSES: ErrorKind = ErrorKind::Wait(Duration::from_secs(1));

/// A server refuses writes: what is stored is had, nobody spends a refresh token, and a save says why. Then it passes.
#[track_caller]
fn refuses_writes(server: &Server, key: &GrantKey, words: &str, end: impl FnOnce()) {
    // A process that has seen nothing yet.
    let store = store(server);
    assert_eq!(access(&store, key).unwrap(), "access-1");
    let mut held = GrantStore::lock(&store, key, NOW).unwrap();
    assert_eq!(
        held.load().unwrap().unwrap().access_token.expose(),
        "access-1"
    );
    says(&held.prepare().unwrap_err(), PASSES, words);
    says(&held.save(&grant(9)).unwrap_err(), PASSES, words);
    drop(held);
    end();
    until(|| {
        let mut held = GrantStore::lock(&store, key, NOW).unwrap();
        held.prepare().is_ok() && held.save(&grant(2)).is_ok()
    });
    assert_eq!(access(&store, key).unwrap(), "access-2");
}

#[test]
fn a_full_server_refuses_the_lease_and_takes_the_save() {
    let Some(server) = Server::start("a_full_server_refuses_the_lease_and_takes_the_save", &[])
    else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    login(&store, &key, 0);
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    held.load().unwrap();
    held.prepare().unwrap();
    // Its memory is full from now on: a pair that was paid for is stored all the same, and wakes who waits.
    server.tell(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(server.tell(&["SET", "x", "1"]).starts_with("-OOM"));
    assert_eq!(held.save(&grant(1)).unwrap(), Saved::Stored);
    let free = || {
        server.tell(&["CONFIG", "SET", "maxmemory", "0"]);
    };
    refuses_writes(&server, &key, "Redis is full (OOM", free);
    // A logout needs no memory.
    server.tell(&["CONFIG", "SET", "maxmemory", "1"]);
    GrantStore::lock(&store, &key, NOW)
        .unwrap()
        .remove()
        .unwrap();
    assert_eq!(access(&store, &key), None);
}

#[test]
fn a_lease_is_extended_and_given_back_while_memory_is_full() {
    let Some(server) = Server::start(
        "a_lease_is_extended_and_given_back_while_memory_is_full",
        &[],
    ) else {
        return;
    };
    let short = Duration::from_millis(600);
    let (store, key) = (with(options(&server).lease(short)), key("alice"));
    login(&store, &key, 0);
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    held.load().unwrap();
    server.tell(&["CONFIG", "SET", "maxmemory", "1"]);
    thread::sleep(2 * short);
    // Not asked for anew: memory would refuse that.
    held.prepare().unwrap();
    drop(held);
    until(|| server.tell(&["HEXISTS", &store.key(&key), "h"]) == "0");
}

#[test]
fn a_server_that_cannot_save_refuses_the_lease() {
    let Some(server) = Server::start(
        "a_server_that_cannot_save_refuses_the_lease",
        &["save 3600 1", "dbfilename taken"],
    ) else {
        return;
    };
    let key = key("alice");
    login(&store(&server), &key, 1);
    // A folder stands where the snapshot would be renamed to.
    let taken = server.folder().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("file"), "").unwrap();
    server.tell(&["BGSAVE"]);
    until(|| server.tell(&["SET", "x", "1"]).starts_with("-MISCONF"));
    refuses_writes(
        &server,
        &key,
        "could not save to its disk (MISCONF)",
        || {
            fs::remove_dir_all(&taken).unwrap();
            server.tell(&["BGSAVE"]);
        },
    );
}

#[test]
fn a_server_without_its_replicas_refuses_the_lease() {
    let Some(server) = Server::start("a_server_without_its_replicas_refuses_the_lease", &[]) else {
        return;
    };
    let key = key("alice");
    login(&store(&server), &key, 1);
    server.tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    refuses_writes(
        &server,
        &key,
        "fewer replicas than min-replicas-to-write",
        || {
            server.tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        },
    );
}

#[test]
fn a_save_that_is_refused_after_all_loses_nothing_that_is_stored() {
    let Some(server) = Server::start(
        "a_save_that_is_refused_after_all_loses_nothing_that_is_stored",
        &[],
    ) else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    login(&store, &key, 1);
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    held.load().unwrap();
    held.prepare().unwrap();
    server.tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    says(&held.save(&grant(2)).unwrap_err(), PASSES, "NOREPLICAS");
    assert_eq!(access(&store, &key).unwrap(), "access-1");
    server.tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    assert_eq!(held.save(&grant(2)).unwrap(), Saved::Stored);
    assert_eq!(access(&store, &key).unwrap(), "access-2");
}

/// `rename-command`, and some managed services.
#[test]
fn a_command_that_is_switched_off_is_told_as_that() {
    let test = "a_command_that_is_switched_off_is_told_as_that";
    for command in ["EVALSHA", "TIME", "HSET"] {
        let line = format!("rename-command {command} \"\"");
        let Some(server) = Server::start(test, &[&line]) else {
            return;
        };
        let (store, key) = (store(&server), key("alice"));
        let error = match GrantStore::lock(&store, &key, NOW) {
            Ok(mut held) => held.save(&grant(1)).unwrap_err(),
            Err(error) => error,
        };
        let words = "rename-command or a managed service has switched it off";
        says(&error, ErrorKind::Settings, words);
        let found = store.check_blocking().unwrap();
        let told = format!("{command} is not a command of this server");
        assert!(found.iter().any(|one| one.found() == told), "{found:?}");
    }
}

#[test]
fn a_server_that_became_a_replica_is_left_for_the_primary() {
    let Some(server) = Server::start(
        "a_server_that_became_a_replica_is_left_for_the_primary",
        &[],
    ) else {
        return;
    };
    let limits = |options: RedisOptions| options.connect_within(Duration::from_millis(700));
    let (store, key) = (with(limits(options(&server))), key("alice"));
    login(&store, &key, 1);
    // Of nobody who is there.
    server.tell(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    let began = Instant::now();
    let error = GrantStore::lock(&store, &key, NOW).err().unwrap();
    says(&error, PASSES, "is a replica");
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    // It was asked for another connection, since this one never leads to a primary.
    assert!(server.calls("hello") > 2, "{}", server.calls("hello"));
    server.tell(&["REPLICAOF", "NO", "ONE"]);
    login(&store, &key, 2);
    assert_eq!(access(&store, &key).unwrap(), "access-2");
}

#[test]
fn without_a_server_each_call_fails_in_its_time() {
    let url = format!("redis://coze:pass-word@127.0.0.1:{}", free_port());
    let limit = Duration::from_millis(300);
    let options = RedisOptions::from_url(&url).unwrap().connect_within(limit);
    let (store, key) = (with(options), key("alice"));
    for _ in 0..3 {
        let began = Instant::now();
        let error = GrantStore::load(&store, &key).unwrap_err();
        says(&error, PASSES, "no connection to Redis at 127.0.0.1:");
        assert!(format!("{error:?}").contains("refused"), "{error:?}");
        let took = began.elapsed();
        assert!(took >= limit / 2 && took < 4 * limit, "{took:?}");
    }
    // Many at once wait together.
    let began = Instant::now();
    runtime().block_on(async {
        let all: Vec<_> = (0..20)
            .map(|_| {
                let (store, key) = (store.clone(), key.clone());
                tokio::spawn(
                    async move { AsyncGrantStore::lock(&store, &key, LONG).await.is_err() },
                )
            })
            .collect();
        for one in all {
            assert!(one.await.unwrap());
        }
    });
    assert!(began.elapsed() < 4 * limit, "{:?}", began.elapsed());
}

/// One of them asks for all, and what it hears is for all.
#[test]
fn those_who_wait_for_one_lease_fail_in_their_time_together() {
    let name = "those_who_wait_for_one_lease_fail_in_their_time_together";
    let Some(mut server) = Server::start(name, &[]) else {
        return;
    };
    let limit = Duration::from_millis(500);
    let (store, other) = (
        with(options(&server).connect_within(limit)),
        support::store(&server),
    );
    let key = key("alice");
    let held = GrantStore::lock(&other, &key, NOW).unwrap();
    thread::scope(|scope| {
        let all: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| (GrantStore::lock(&store, &key, LONG), Instant::now())))
            .collect();
        server.wait_for_calls("subscribe", 1);
        thread::sleep(Duration::from_millis(300));
        let killed = Instant::now();
        server.kill();
        for one in all {
            let (result, ended) = one.join().unwrap();
            says(&result.err().unwrap(), PASSES, "no connection to Redis");
            let took = ended - killed;
            assert!(took < 6 * limit, "{took:?}");
        }
    });
    drop(held);
}

#[test]
fn a_server_that_starts_anew_is_found_again_at_once() {
    let Some(mut server) = Server::start("a_server_that_starts_anew_is_found_again_at_once", &[])
    else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    login(&store, &key, 1);
    server.restart();
    // It knows none of the scripts, and the connection is broken.
    login(&store, &key, 2);
    server.kill();
    let late = thread::spawn({
        let (store, key) = (store.clone(), key.clone());
        move || access(&store, &key)
    });
    thread::sleep(Duration::from_millis(400));
    server.restart();
    assert_eq!(late.join().unwrap().unwrap(), "access-2");
    // A lease outlives it as well.
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    held.load().unwrap();
    server.restart();
    held.prepare().unwrap();
    assert_eq!(held.save(&grant(3)).unwrap(), Saved::Stored);
}

#[test]
fn what_was_under_way_when_the_server_ended_is_repeated() {
    let Some(mut server) =
        Server::start("what_was_under_way_when_the_server_ended_is_repeated", &[])
    else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    login(&store, &key, 1);
    server.stop();
    thread::scope(|scope| {
        let asks = scope.spawn(|| access(&store, &key));
        // It is sent, and stays without an answer.
        thread::sleep(Duration::from_millis(200));
        server.restart();
        assert_eq!(asks.join().unwrap().unwrap(), "access-1");
    });
}

/// Passes on what a server answers, until so many bytes are left; then one connection is closed, and those after it are whole.
fn cutting(to: u16) -> (u16, Arc<AtomicI64>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let left = Arc::new(AtomicI64::new(i64::MAX));
    let budget = left.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).unwrap();
            let (mut asks, mut takes) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || {
                let _ = io::copy(&mut asks, &mut takes);
                let _ = takes.shutdown(Shutdown::Both);
            });
            let budget = budget.clone();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = server.read(&mut buffer) {
                    let length = i64::try_from(read).unwrap();
                    let before = budget.fetch_sub(length, Ordering::SeqCst);
                    let is_cut = (0..length).contains(&before);
                    let passed = if is_cut {
                        usize::try_from(before).unwrap()
                    } else {
                        read
                    };
                    if client.write_all(&buffer[..passed]).is_err() || is_cut {
                        break;
                    }
                }
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    (port, left)
}

/// Passes on what is sent. While the gate is shut it keeps what arrives by connections that are there, and passes that on when the gate is
/// opened, though the client has gone meanwhile.
fn holding(to: u16) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let shut = Arc::new(AtomicBool::new(false));
    let gate = shut.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).unwrap();
            let (mut asks, mut takes) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let gate = gate.clone();
            let is_of_before = !gate.load(Ordering::SeqCst);
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = asks.read(&mut buffer) {
                    while is_of_before && gate.load(Ordering::SeqCst) {
                        thread::sleep(Duration::from_millis(5));
                    }
                    if takes.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
                // What it has not read yet it does all the same.
                thread::sleep(Duration::from_millis(100));
                let _ = takes.shutdown(Shutdown::Both);
            });
            thread::spawn(move || {
                let _ = io::copy(&mut server, &mut client);
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    (port, shut)
}

#[test]
fn a_request_for_the_lease_that_arrives_when_it_was_given_up_is_taken_back() {
    let name = "a_request_for_the_lease_that_arrives_when_it_was_given_up_is_taken_back";
    let Some(server) = Server::start(name, &[]) else {
        return;
    };
    let (port, shut) = holding(server.port());
    let url = format!("redis://127.0.0.1:{port}/");
    let limits = RedisOptions::from_url(&url).unwrap();
    let limits = limits.answer_within(Duration::from_millis(200));
    let (store, other, key) = (with(limits), store(&server), key("alice"));
    login(&store, &key, 1);
    shut.store(true, Ordering::SeqCst);
    let error = GrantStore::lock(&store, &key, NOW).err().unwrap();
    says(&error, PASSES, "Redis has not answered in 200 ms");
    // It was told that nobody wants it, by another connection, before it knows of the request.
    thread::sleep(Duration::from_millis(800));
    assert!(server.tell(&["HGET", &other.key(&key), "h"]).is_empty());
    let began = Instant::now();
    shut.store(false, Ordering::SeqCst);
    until(|| !server.tell(&["HGET", &other.key(&key), "h"]).is_empty());
    let held = GrantStore::lock(&other, &key, LONG).unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(7), "its whole lease: {took:?}");
    assert_eq!(held.doubt(), None, "nothing was spent");
}

/// As by a server that is killed while it answers. A save that was done is known again.
#[test]
fn an_answer_that_is_cut_off_is_asked_for_again() {
    let Some(server) = Server::start("an_answer_that_is_cut_off_is_asked_for_again", &[]) else {
        return;
    };
    let (port, left) = cutting(server.port());
    let url = format!("redis://127.0.0.1:{port}/");
    let store = with(RedisOptions::from_url(&url).unwrap());
    for (number, bytes) in [0, 1, 3, 8, 20, 60, 100].into_iter().enumerate() {
        let key = key(&format!("user-{number}"));
        login(&store, &key, 1);
        left.store(bytes, Ordering::SeqCst);
        assert_eq!(access(&store, &key).unwrap(), "access-1", "{bytes}");
        left.store(bytes, Ordering::SeqCst);
        let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
        held.load().unwrap();
        left.store(bytes, Ordering::SeqCst);
        assert_eq!(held.save(&grant(2)).unwrap(), Saved::Stored, "{bytes}");
        left.store(i64::MAX, Ordering::SeqCst);
        assert_eq!(access(&store, &key).unwrap(), "access-2", "{bytes}");
    }
}

#[test]
fn who_waits_when_the_server_starts_anew_is_still_woken() {
    let Some(mut server) =
        Server::start("who_waits_when_the_server_starts_anew_is_still_woken", &[])
    else {
        return;
    };
    let (one, other, key) = (store(&server), store(&server), key("alice"));
    login(&one, &key, 1);
    let mut held = GrantStore::lock(&one, &key, NOW).unwrap();
    held.load().unwrap();
    let waits = thread::spawn({
        let (other, key) = (other.clone(), key.clone());
        move || {
            let mut held = GrantStore::lock(&other, &key, LONG).unwrap();
            (
                Instant::now(),
                held.load()
                    .unwrap()
                    .unwrap()
                    .access_token
                    .expose()
                    .to_owned(),
            )
        }
    });
    server.wait_for_calls("subscribe", 1);
    server.restart();
    // Subscribed anew, and without being asked for by anybody.
    server.wait_for_calls("subscribe", 1);
    thread::sleep(Duration::from_millis(50));
    let saved = Instant::now();
    held.save(&grant(2)).unwrap();
    let (got, token) = waits.join().unwrap();
    assert_eq!(token, "access-2");
    let woken = got.saturating_duration_since(saved);
    assert!(woken < Duration::from_millis(400), "{woken:?}");
}

#[test]
fn a_slow_server_fails_a_call_in_its_time_and_may_do_it_later() {
    let Some(server) = Server::start(
        "a_slow_server_fails_a_call_in_its_time_and_may_do_it_later",
        &[],
    ) else {
        return;
    };
    let limit = Duration::from_millis(300);
    let options = || options(&server).connect_within(limit).answer_within(limit);
    let (store, key) = (with(options()), key("alice"));
    login(&store, &key, 1);
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    held.load().unwrap();
    server.stop();
    let began = Instant::now();
    let error = held.save(&grant(2)).unwrap_err();
    let took = began.elapsed();
    says(&error, PASSES, "Redis");
    assert!(took < Duration::from_secs(3), "{took:?}");
    server.go_on();
    // It was done when the server went on, once or twice.
    until(|| access(&store, &key).as_deref() == Some("access-2"));
    // The source keeps the grant, and tries again by another holder: it finds its own.
    drop(held);
    let mut held = GrantStore::lock(&store, &key, LONG).unwrap();
    let stored = held.load().unwrap().unwrap();
    assert_eq!(stored.refresh_token.unwrap().expose(), "refresh-2");
    assert_eq!(held.doubt(), None);
}

#[test]
fn who_has_no_answer_does_not_wait_for_another_who_connects() {
    let Some(server) = Server::start(
        "who_has_no_answer_does_not_wait_for_another_who_connects",
        &[],
    ) else {
        return;
    };
    let store = with(options(&server).answer_within(Duration::from_millis(600)));
    let key = key("alice");
    login(&store, &key, 1);
    server.stop();
    thread::scope(|scope| {
        let ask = || {
            let began = Instant::now();
            (GrantStore::load(&store, &key).is_err(), began.elapsed())
        };
        let first = scope.spawn(ask);
        thread::sleep(Duration::from_millis(300));
        let second = scope.spawn(ask);
        assert!(first.join().unwrap().0);
        // It makes a new connection, which takes three seconds to fail.
        let third = scope.spawn(ask);
        let (fails, took) = second.join().unwrap();
        assert!(fails && took < Duration::from_millis(1500), "{took:?}");
        server.go_on();
        assert!(!third.join().unwrap().0);
    });
}

#[test]
fn a_save_is_repeated_after_an_unclear_answer() {
    let Some(server) = Server::start("a_save_is_repeated_after_an_unclear_answer", &[]) else {
        return;
    };
    let limit = Duration::from_millis(300);
    let (store, key) = (with(options(&server).answer_within(limit)), key("alice"));
    login(&store, &key, 1);
    let mut held = GrantStore::lock(&store, &key, NOW).unwrap();
    held.load().unwrap();
    server.stop();
    thread::scope(|scope| {
        let saves = scope.spawn(|| held.save(&grant(2)));
        thread::sleep(2 * limit);
        server.go_on();
        // The first was done meanwhile, and the second is told so.
        assert_eq!(saves.join().unwrap().unwrap(), Saved::Stored);
    });
    assert_eq!(access(&store, &key).unwrap(), "access-2");
    assert!(server.calls("evalsha") >= 4, "it was asked twice");
}

#[test]
fn a_user_with_the_least_rights_suffices_and_one_without_messages_polls() {
    let Some(server) = Server::start(
        "a_user_with_the_least_rights_suffices_and_one_without_messages_polls",
        &[],
    ) else {
        return;
    };
    let least = "on >pass-word ~coze:* &coze:* +@read +@write +eval +evalsha +publish +subscribe +unsubscribe +time +ping +hello";
    let user = |rights: &str| {
        let rights: Vec<&str> = rights.split(' ').collect();
        let command = [&["ACL", "SETUSER", "coze", "reset"], &rights[..]].concat();
        assert_eq!(server.tell(&command), "OK");
    };
    let store = || with(options(&server).login("coze", "pass-word").unwrap());
    let wakes = |key: &GrantKey| {
        let (one, other) = (store(), store());
        login(&one, key, 1);
        let mut held = GrantStore::lock(&one, key, NOW).unwrap();
        held.load().unwrap();
        let waits = thread::spawn({
            let key = key.clone();
            move || {
                drop(GrantStore::lock(&other, &key, LONG).unwrap());
                Instant::now()
            }
        });
        thread::sleep(Duration::from_millis(300));
        let saved = Instant::now();
        assert_eq!(held.save(&grant(2)).unwrap(), Saved::Stored);
        waits.join().unwrap().saturating_duration_since(saved)
    };
    user(least);
    assert!(wakes(&key("alice")) < Duration::from_millis(400));
    // Neither right nor channel: saved all the same, and found by asking.
    user(
        &least
            .replace(" &coze:*", "")
            .replace(" +publish +subscribe", ""),
    );
    assert!(wakes(&key("bob")) < Duration::from_secs(3));
    // Without the right to the scripts, and without any.
    let settings = ErrorKind::Settings;
    user(&least.replace(" +eval +evalsha", ""));
    let error = GrantStore::lock(&store(), &key("alice"), NOW)
        .err()
        .unwrap();
    says(&error, settings, "lacks a right");
    user(&least.replace(" +time", ""));
    let error = GrantStore::lock(&store(), &key("alice"), NOW)
        .err()
        .unwrap();
    says(
        &error,
        settings,
        "lacks a right to a command that a script of this store uses",
    );
    user(&least.replace("~coze:*", "~else:*"));
    let error = GrantStore::load(&store(), &key("alice")).unwrap_err();
    says(&error, settings, "lacks a right");
    // Rights that are taken away in mid-work.
    user(least);
    let working = store();
    login(&working, &key("alice"), 3);
    let mut held = GrantStore::lock(&working, &key("alice"), NOW).unwrap();
    held.load().unwrap();
    user(&least.replace(" +@write", ""));
    says(
        &held.save(&grant(4)).unwrap_err(),
        settings,
        "lacks a right",
    );
    user(least);
    assert_eq!(held.save(&grant(4)).unwrap(), Saved::Stored);
    server.tell(&["ACL", "SETUSER", "coze", ">other", "<pass-word"]);
    let began = Instant::now();
    let error = GrantStore::load(&store(), &key("alice")).unwrap_err();
    says(&error, settings, "refuses the login (WRONGPASS)");
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

/// What a process does that has seen what the store has lost.
#[track_caller]
fn brings_back(store: &coze_auth_redis::RedisStore, key: &GrantKey, token: &str) {
    assert_eq!(access(store, key).as_deref(), Some(token), "a look");
    let mut held = GrantStore::lock(store, key, LONG).unwrap();
    assert_eq!(held.doubt(), Some(Doubt::WentBack));
    assert_eq!(held.load().unwrap().unwrap().access_token.expose(), token);
}

#[test]
fn a_store_that_went_back_is_brought_forward_by_who_has_seen_more() {
    let Some(mut server) = Server::start(
        "a_store_that_went_back_is_brought_forward_by_who_has_seen_more",
        &[],
    ) else {
        return;
    };
    let (one, key) = (store(&server), key("alice"));
    login(&one, &key, 1);
    // A backup, and what comes after it.
    let name = one.key(&key);
    let backup = ["v", "r"].map(|field| server.tell(&["HGET", &name, field]));
    let restore = |server: &Server| {
        server.tell(&["DEL", &name]);
        server.ask(&["HSET", &name, "v", &backup[0], "r", &backup[1]]);
    };
    login(&one, &key, 2);
    restore(&server);
    // Another process has seen nothing else.
    assert_eq!(access(&store(&server), &key).unwrap(), "access-1");
    brings_back(&one, &key, "access-2");
    // Before anybody else renews it.
    assert_eq!(access(&store(&server), &key).unwrap(), "access-2");
    let mut held = GrantStore::lock(&one, &key, LONG).unwrap();
    assert_eq!(held.doubt(), None);
    held.load().unwrap();
    assert_eq!(held.save(&grant(3)).unwrap(), Saved::Stored);
    drop(held);
    // Started empty.
    server.lose_data();
    server.restart();
    brings_back(&one, &key, "access-3");
    let mut held = GrantStore::lock(&one, &key, LONG).unwrap();
    held.load().unwrap();
    assert_eq!(held.save(&grant(4)).unwrap(), Saved::Stored);
    drop(held);
    // Somebody has logged out, and the backup is of before that.
    GrantStore::lock(&one, &key, LONG)
        .unwrap()
        .remove()
        .unwrap();
    restore(&server);
    assert_eq!(access(&one, &key), None);
    let mut held = GrantStore::lock(&one, &key, LONG).unwrap();
    assert!(held.load().unwrap().is_none());
    assert_eq!(access(&store(&server), &key), None);
}

#[test]
fn a_logout_elsewhere_is_not_taken_for_a_loss() {
    let Some(server) = Server::start("a_logout_elsewhere_is_not_taken_for_a_loss", &[]) else {
        return;
    };
    let (one, other, key) = (store(&server), store(&server), key("alice"));
    login(&one, &key, 1);
    assert_eq!(access(&other, &key).unwrap(), "access-1");
    GrantStore::lock(&other, &key, NOW)
        .unwrap()
        .remove()
        .unwrap();
    let mut held = GrantStore::lock(&one, &key, LONG).unwrap();
    assert_eq!(held.doubt(), None);
    assert!(held.load().unwrap().is_none());
    drop(held);
    assert_eq!(access(&one, &key), None);
}

#[test]
fn a_fence_does_not_begin_anew() {
    let Some(mut server) = Server::start("a_fence_does_not_begin_anew", &[]) else {
        return;
    };
    let (one, key) = (store(&server), key("alice"));
    let fence =
        |server: &Server| -> u64 { server.tell(&["HGET", &one.key(&key), "f"]).parse().unwrap() };
    login(&one, &key, 1);
    // Far ahead of the server's clock, as after its clock was set back.
    server.tell(&["HSET", &one.key(&key), "f", "1900000000000"]);
    login(&one, &key, 2);
    let before = fence(&server);
    assert_eq!(before, 1_900_000_000_001);
    server.lose_data();
    server.restart();
    let held = GrantStore::lock(&one, &key, LONG).unwrap();
    assert!(fence(&server) > before);
    drop(held);
    // Nor where nobody has seen it.
    server.lose_data();
    server.restart();
    let held = GrantStore::lock(&store(&server), &key, LONG).unwrap();
    let now: u64 = server.ask(&["TIME"])[0].parse().unwrap();
    assert!(fence(&server) >= (now - 60) * 1000);
    drop(held);
}

#[test]
fn a_caller_that_goes_away_leaves_nothing_half_done() {
    let Some(server) = Server::start("a_caller_that_goes_away_leaves_nothing_half_done", &[])
    else {
        return;
    };
    let (one, other, key) = (store(&server), store(&server), key("alice"));
    login(&one, &key, 1);
    let runtime = runtime();
    let mut held = runtime
        .block_on(AsyncGrantStore::lock(&one, &key, NOW))
        .unwrap();
    // One that waits for the lease, and goes.
    runtime.block_on(async {
        let waits = AsyncGrantStore::lock(&other, &key, LONG);
        let gone = tokio::time::timeout(Duration::from_millis(200), waits).await;
        assert!(gone.is_err());
    });
    thread::sleep(Duration::from_millis(100));
    server.tell(&["CONFIG", "RESETSTAT"]);
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(server.calls("evalsha"), 0, "nobody asks for it any more");
    // One that saves, and is gone before the answer, with its runtime.
    runtime.block_on(AsyncLockedGrant::load(&mut held)).unwrap();
    server.stop();
    runtime.block_on(async {
        let new = grant(2);
        let saves = AsyncLockedGrant::save(&mut held, &new);
        assert!(
            tokio::time::timeout(Duration::from_millis(100), saves)
                .await
                .is_err()
        );
    });
    drop(held);
    runtime.shutdown_background();
    server.go_on();
    until(|| access(&other, &key).as_deref() == Some("access-2"));
    // Neither the one nor the other has kept it.
    let mut next = GrantStore::lock(&other, &key, Duration::from_secs(3)).unwrap();
    assert_eq!(next.doubt(), None);
    assert_eq!(
        next.load().unwrap().unwrap().access_token.expose(),
        "access-2"
    );
}

#[test]
fn the_last_handle_waits_until_its_lease_is_given_back() {
    let Some(server) = Server::start("the_last_handle_waits_until_its_lease_is_given_back", &[])
    else {
        return;
    };
    for _ in 0..20 {
        let (one, key) = (store(&server), key("alice"));
        login(&one, &key, 1);
        drop(GrantStore::lock(&one, &key, NOW).unwrap());
        let name = one.key(&key);
        drop(one);
        assert_eq!(server.tell(&["HEXISTS", &name, "h"]), "0");
    }
}

#[test]
fn a_server_that_is_busy_with_a_script_is_waited_for() {
    let Some(server) = Server::start(
        "a_server_that_is_busy_with_a_script_is_waited_for",
        &["busy-reply-threshold 100"],
    ) else {
        return;
    };
    let (store, key) = (store(&server), key("alice"));
    login(&store, &key, 1);
    thread::scope(|scope| {
        scope.spawn(|| server.ask(&["EVAL", "while true do end", "0"]));
        until(|| server.tell(&["PING"]).starts_with("-BUSY"));
        let waits = scope.spawn(|| access(&store, &key));
        thread::sleep(Duration::from_millis(300));
        assert!(!waits.is_finished());
        server.tell(&["SCRIPT", "KILL"]);
        assert_eq!(waits.join().unwrap().unwrap(), "access-1");
    });
}
