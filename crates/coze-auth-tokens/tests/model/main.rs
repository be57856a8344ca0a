//! The shared state of both token sources under the model checker, which tries many interleavings of its
//! threads and tasks and reports deadlocks: `just model`.
#![cfg(coze_auth_model)]

mod world;

use std::sync::Arc;

use coze_auth_store::GrantStore as _;
use coze_auth_tokens::{Ask, Next};
use shuttle::sync::Mutex;

use crate::world::{Bounded, FullOnce, LeasedStore, Users, World, grant, memory, ready, world};

/// How many interleavings of each case. `COZE_AUTH_MODEL` sets another number.
fn check(case: impl Fn() + Send + Sync + 'static) {
    let iterations = std::env::var("COZE_AUTH_MODEL").map_or(1_500, |text| text.parse().unwrap());
    let case = Arc::new(case);
    let random = case.clone();
    shuttle::check_random(move || random(), iterations);
    // Few switches at unlikely places, where random ones rarely are.
    shuttle::check_pct(move || case(), iterations, 3);
}

fn spawn_callers(world: &World, count: usize) -> Vec<shuttle::thread::JoinHandle<String>> {
    (0..count)
        .map(|_| {
            let world = world.clone();
            shuttle::thread::spawn(move || world.token().unwrap().expose().to_owned())
        })
        .collect()
}

#[test]
fn threads_make_one_request_and_all_are_woken() {
    check(|| {
        let world = world(memory());
        for caller in spawn_callers(&world, 3) {
            assert_eq!(caller.join().unwrap(), world.coze.newest());
        }
        assert_eq!(world.coze.requests(), 1);
    });
}

#[test]
fn tasks_make_one_request_and_all_are_woken() {
    check(|| {
        let world = world(memory());
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let world = world.clone();
                shuttle::future::spawn(async move { world.token_async().await.unwrap() })
            })
            .collect();
        for caller in callers {
            let token = shuttle::future::block_on(caller).unwrap();
            assert_eq!(token.expose(), world.coze.newest());
        }
        assert_eq!(world.coze.requests(), 1);
    });
}

#[test]
fn a_task_that_is_cancelled_loses_nothing() {
    check(|| {
        let world = world(memory());
        let caller = {
            let world = world.clone();
            shuttle::future::spawn(async move { world.token_async().await.map(drop) })
        };
        let other = world.clone();
        let other = shuttle::future::spawn(async move { other.token_async().await.unwrap() });
        caller.abort();
        let token = shuttle::future::block_on(other).unwrap();
        assert_eq!(token.expose(), world.coze.newest());
        assert_eq!(world.coze.requests(), 1);
    });
}

#[test]
fn a_renewal_that_is_dropped_wakes_those_who_wait() {
    check(|| {
        let world = world(memory());
        let Ask::First(refresh) = world.source.caller().ask() else {
            panic!("the token has ended");
        };
        let waits = world.clone();
        let waits = shuttle::thread::spawn(move || waits.token());
        drop(refresh);
        // Either it came before the drop and is told, or after the pause's begin and is told the same.
        assert!(waits.join().unwrap().is_err());
        world.clock.advance(1);
        assert_eq!(world.token().unwrap().expose(), world.coze.newest());
    });
}

#[test]
fn nobody_is_given_a_token_that_was_refused_before() {
    check(|| {
        let world = world(memory());
        let first = world.token().unwrap();
        let refuses = world.clone();
        let refused = Arc::new(Mutex::new(false));
        let refusers = refused.clone();
        let token = first.clone();
        let refuser = shuttle::thread::spawn(move || {
            refuses.source.invalidate(&token);
            *refusers.lock().unwrap() = true;
        });
        let was_refused = *refused.lock().unwrap();
        let second = world.token().unwrap();
        assert!(
            !was_refused || !second.matches(&first),
            "handed out after it was refused"
        );
        refuser.join().unwrap();
        // Before the answer to the newest comes, an old one's may: it changes nothing.
        let third = world.token().unwrap();
        world.source.invalidate(&first);
        assert!(world.token().unwrap().matches(&third));
        assert_eq!(third.expose(), world.coze.newest());
    });
}

/// The renewal that brought it may still be busy telling everyone.
#[test]
fn a_token_that_was_refused_is_out_of_the_slot() {
    check(|| {
        let world = world(memory());
        let Ask::First(refresh) = world.source.caller().ask() else {
            panic!("the token has ended");
        };
        let renews = world.clone();
        let renews = shuttle::thread::spawn(move || renews.renew(refresh));
        let refused = world.token().unwrap();
        world.source.invalidate(&refused);
        let still = || world.source.fresh(world.clock.now().unix);
        assert!(still().is_none(), "refused, and in the slot");
        renews.join().unwrap();
        assert!(still().is_none(), "refused, and back in the slot");
    });
}

#[test]
fn what_is_handed_out_is_stored() {
    check(|| {
        let store = LeasedStore::default();
        let world = world(store.clone());
        let key = coze_auth_store::GrantKey::new(
            &coze_auth_core::device::DeviceApp::new(coze_auth_core::Endpoints::cn(), "app")
                .unwrap()
                .into(),
            "alice",
        )
        .unwrap();
        for caller in spawn_callers(&world, 2) {
            let token = caller.join().unwrap();
            let stored = store.load(&key).unwrap().unwrap();
            assert_eq!(stored.access_token.expose(), token);
        }
    });
}

/// A renewal whose lease runs out while the server answers: another begins beside it, and is refused. The
/// first one's success comes late, and is the only copy of the new refresh token.
#[test]
fn a_late_success_is_served() {
    check(|| {
        let world = world(LeasedStore::default());
        let Ask::First(slow) = world.source.caller().ask() else {
            panic!("the token has ended");
        };
        world.clock.advance(3_600);
        let Ask::First(beside) = world.source.caller().ask() else {
            panic!("its lease is over");
        };
        let (one, other) = (world.clone(), world.clone());
        let slow = shuttle::thread::spawn(move || one.renew(slow));
        let beside = shuttle::thread::spawn(move || other.renew(beside));
        slow.join().unwrap();
        beside.join().unwrap();
        // At once: not after the pause of the one that was refused, and without another request.
        let requests = world.coze.requests();
        let Ask::Token(token) = world.source.caller().ask() else {
            panic!("the rotated grant was dropped");
        };
        assert_eq!(token.access_token.expose(), world.coze.newest());
        assert_eq!(world.coze.requests(), requests);
    });
}

#[test]
fn a_source_that_is_closed_wakes_those_who_wait_and_keeps_what_runs() {
    check(|| {
        let world = world(memory());
        let Ask::First(refresh) = world.source.caller().ask() else {
            panic!("the token has ended");
        };
        let waits = world.clone();
        let waits = shuttle::thread::spawn(move || waits.token());
        let renews = world.clone();
        let renews = shuttle::thread::spawn(move || renews.renew(refresh));
        world.source.close();
        while let Some((waiting, _)) = world.source.running() {
            waiting.signal().wait();
        }
        assert_eq!(world.coze.requests(), 1, "it was let end");
        // Before the close it got the token, after it the word that there is none.
        if let Ok(token) = waits.join().unwrap() {
            assert_eq!(token.expose(), world.coze.newest());
        }
        renews.join().unwrap();
        assert!(world.source.fresh(world.clock.now().unix).is_none());
    });
}

/// The disk is full for one write, a renewal's or the login's.
#[test]
fn a_login_that_could_not_be_stored_is_not_lost() {
    check(|| {
        let store = FullOnce::over(LeasedStore::default());
        let world = world(store.clone());
        store.fill();
        let renews = world.clone();
        let renews = shuttle::thread::spawn(move || renews.token().map(drop));
        let login = grant(7, world.clock.now().unix);
        // Kept, if it is not stored: whether it is told so depends on who was first.
        drop(world.take(login));
        drop(renews.join().unwrap());
        ready(world.source.clone().flush(std::time::Duration::MAX)).unwrap();
        assert_eq!(store.access_token(), "czu_7");
        assert_eq!(world.token().unwrap().expose(), "czu_7");
    });
}

/// A new process finds a token that lasts a little longer: everyone has it while the server takes its time.
#[test]
fn a_stored_token_is_served_while_its_renewal_runs() {
    check(|| {
        let store = memory();
        let first = world(store.clone());
        first.take(grant(0, first.clock.now().unix)).unwrap();
        first.clock.advance(850);
        let restarted = first.another(store);
        let Ask::First(refresh) = restarted.source.caller().ask() else {
            panic!("nothing is known yet");
        };
        let Next::Send(hangs, _) = ready(refresh.begin()) else {
            panic!("it is to be renewed");
        };
        for caller in spawn_callers(&restarted, 2) {
            assert_eq!(caller.join().unwrap(), "czu_0");
        }
        drop(hangs);
    });
}

/// Two processes, as far as they can be told apart here: two sources over one store.
#[test]
fn two_sources_of_one_store_make_one_request() {
    check(|| {
        let store = memory();
        let one = world(store.clone());
        let other = one.another(store);
        let mut callers = spawn_callers(&one, 2);
        callers.extend(spawn_callers(&other, 2));
        for caller in callers {
            assert_eq!(caller.join().unwrap(), one.coze.newest());
        }
        assert_eq!(one.coze.requests(), 1);
        assert_eq!(one.coze.refused(), 0);
    });
}

/// One user is kept, and the disk is full for the write of the first renewal: the source of the user has the only copy.
#[test]
fn what_is_evicted_during_its_renewal_is_not_lost() {
    check(|| {
        let store = FullOnce::over(LeasedStore::default());
        let world = world(store.clone());
        let users = Users::over(&world, store.clone());
        drop(users.of("alice"));
        store.fill();
        let (one, other) = (users.clone(), users.clone());
        let renews = shuttle::thread::spawn(move || drop(one.token("alice")));
        let evicts = shuttle::thread::spawn(move || drop(other.of("bob")));
        renews.join().unwrap();
        evicts.join().unwrap();
        drop(users.of("carol"));
        // Whoever comes when the disk has room has the token that was renewed.
        world.clock.advance(60);
        assert_eq!(users.token("alice").unwrap().expose(), world.coze.newest());
        assert_eq!(world.coze.refused(), 0, "the only copy was evicted");
    });
}

/// Another process has lost its lock: nothing holds the logout back.
#[test]
fn a_logout_during_a_renewal_brings_nothing_back() {
    check(|| {
        let store = LeasedStore::default();
        let world = world(store.clone());
        let renews = world.clone();
        let renews = shuttle::thread::spawn(move || drop(renews.token()));
        ready(world.source.clone().forget()).unwrap();
        let logged_out = || world.source.fresh(world.clock.now().unix).is_none();
        assert!(logged_out(), "still in the slot");
        renews.join().unwrap();
        assert!(logged_out(), "back in the slot");
        assert!(store.is_empty(), "back in the store");
        assert!(world.token().is_err(), "back in memory");
    });
}

/// What a renewal has read of the store before a logout is not served after it.
#[test]
fn a_logout_while_the_store_is_read_brings_nothing_back() {
    check(|| {
        let store = LeasedStore::default();
        let first = world(store.clone());
        first.take(grant(0, first.clock.now().unix)).unwrap();
        first.clock.advance(850);
        let restarted = first.another(store);
        let reads = restarted.clone();
        let reads = shuttle::thread::spawn(move || drop(reads.token()));
        ready(restarted.source.clone().forget()).unwrap();
        reads.join().unwrap();
        assert!(restarted.token().is_err(), "served after the logout");
    });
}

/// Of each app one renewal runs at a time. One of the callers goes away, wherever it stands.
#[test]
fn two_apps_at_the_bound_renew_all() {
    check(|| {
        let apps = [Bounded::default(), Bounded::default()];
        let mut callers = Vec::new();
        for app in &apps {
            for name in ["a", "b"] {
                let app = app.clone();
                callers.push(shuttle::thread::spawn(move || app.token(name)));
            }
            let app = app.clone();
            callers.push(shuttle::thread::spawn(move || app.goes_away("c")));
        }
        for caller in callers {
            caller.join().unwrap();
        }
        for app in &apps {
            assert_eq!(app.most_at_once(), 1);
            app.token("c");
        }
    });
}
