//! Schedules that are written by hand, each against one thing that the store does: the worst that we could think of, in an order that a
//! walk meets once in a thousand seeds.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coze_auth_core::Endpoints;
use coze_auth_core::device::DeviceApp;
use coze_auth_store::{AsyncGrantStore as _, AsyncLockedGrant as _, GrantKey, Saved, StoreError};
use tokio::time::{Instant, sleep, timeout};

use crate::dice::seed_thread;
use crate::mirror::Script;
use crate::options::RedisOptions;
use crate::server::{Fate, Network, Server, Trouble};
use crate::store::{RedisLock, RedisStore};
use crate::walk::{grant, number_of};

const PATIENCE: Duration = Duration::from_secs(30);

/// A server without trouble of its own, and processes that each do what a schedule says.
struct Stage {
    server: Arc<Mutex<Server>>,
    key: GrantKey,
}

impl Stage {
    fn new() -> Self {
        let mut server = Server::new(19, Trouble::default());
        server.learn();
        let app = DeviceApp::new(Endpoints::cn(), "app").unwrap();
        Self {
            server: Arc::new(Mutex::new(server)),
            key: GrantKey::new(&app.into(), "alice").unwrap(),
        }
    }

    fn process(&self, process: u32) -> RedisStore {
        let server = self.server.clone();
        let store = RedisStore::with(RedisOptions::over(Network { server, process })).unwrap();
        // It does not end.
        std::mem::forget(store.clone());
        store
    }

    /// Does something with the server.
    fn with<T>(&self, act: impl FnOnce(&mut Server) -> T) -> T {
        act(&mut self.server.lock().unwrap())
    }

    fn plan(&self, process: u32, script: Script, fate: Fate) {
        self.with(|server| server.planned.push((process, script, fate)));
    }

    fn refuses_writes_for(&self, secs: u64) {
        let until = Instant::now() + Duration::from_secs(secs);
        self.with(|server| server.refuses = Some(until));
    }

    fn stored(&self) -> Option<u64> {
        self.with(|server| server.stored())
    }

    async fn lock(&self, store: &RedisStore) -> RedisLock {
        store.lock(&self.key, PATIENCE).await.unwrap()
    }

    async fn log_in(&self, store: &RedisStore, number: u64) {
        let mut held = self.lock(store).await;
        assert_eq!(held.save(&grant(number)).await.unwrap(), Saved::Stored);
    }

    /// It reads the grant, spends its refresh token, and cannot save what that brings.
    async fn cannot_save(&self, store: &RedisStore, number: u64, secs: u64) -> StoreError {
        let mut held = self.lock(store).await;
        held.load().await.unwrap();
        held.prepare().await.unwrap();
        self.refuses_writes_for(secs);
        held.save(&grant(number)).await.unwrap_err()
    }

    /// How long until this one may spend what is stored, whether that is in doubt, and what it is.
    async fn next(&self, store: &RedisStore) -> (Duration, bool, Option<u64>) {
        let began = Instant::now();
        let mut held = self.lock(store).await;
        let mut stored = held.load().await.unwrap();
        while held.prepare().await.is_err() {
            drop(held);
            sleep(Duration::from_millis(500)).await;
            held = self.lock(store).await;
            stored = held.load().await.unwrap();
        }
        let took = began.elapsed();
        let stored = stored.map(|grant| number_of(&grant));
        (took, held.doubt().is_some(), stored)
    }
}

/// Runs a schedule in virtual time. What the server has seen go wrong fails it, with all that it did.
fn schedule(run: impl AsyncFnOnce(&Stage)) {
    seed_thread(19);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let stage = Stage::new();
        run(&stage).await;
        let server = stage.server.lock().unwrap();
        let (wrong, log) = (&server.watched.wrong, &server.watched.log);
        assert!(wrong.is_empty(), "{wrong:?}\n{}", log.join("\n"));
    });
}

async fn secs(secs: u64) {
    sleep(Duration::from_secs(secs)).await;
}

const fn at_most(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_late_request_for_the_lease_is_taken_back() {
    for late in [3_000, 6_000, 9_000] {
        schedule(async |stage| {
            let (one, other) = (stage.process(0), stage.process(1));
            stage.log_in(&one, 1).await;
            stage.plan(0, Script::Lock, Fate::Late(late));
            let given_up = one.lock(&stage.key, Duration::ZERO).await;
            assert!(given_up.is_err());
            // Two seconds have passed, and the request arrives when nobody waits for it.
            while stage.with(|server| server.holder().is_none()) {
                sleep(Duration::from_millis(20)).await;
            }
            let (took, in_doubt, _) = stage.next(&other).await;
            assert!(took < at_most(6), "late by {late} ms: {took:?}");
            assert!(!in_doubt, "late by {late} ms: nothing was spent");
        });
    }
}

#[test]
fn a_request_that_is_late_after_its_holder_has_saved_spends_nothing() {
    schedule(async |stage| {
        let (one, other) = (stage.process(0), stage.process(1));
        stage.log_in(&one, 1).await;
        stage.plan(0, Script::Lock, Fate::Repeated(4_000));
        stage.log_in(&one, 2).await;
        secs(5).await;
        // Nobody knows of it. It ends by itself, and looks as if its holder had died.
        let (took, in_doubt, stored) = stage.next(&other).await;
        assert!(took < at_most(11) && in_doubt, "{took:?}");
        assert_eq!(stored, Some(2));
    });
}

#[test]
fn what_could_not_be_saved_is_saved_before_another_has_the_lease() {
    for refuses in [8, 20] {
        schedule(async |stage| {
            let (one, other) = (stage.process(0), stage.process(1));
            stage.log_in(&one, 1).await;
            stage.cannot_save(&one, 2, refuses).await;
            // It waits all the time, and would spend what is spent. A lease cannot be extended while nothing is written: the
            // other may be the first then, and knows.
            let (_, in_doubt, stored) = stage.next(&other).await;
            let is_first = refuses > 10 && (in_doubt, stored) == (true, Some(1));
            assert!(
                is_first || (in_doubt, stored) == (false, Some(2)),
                "{refuses} s: {in_doubt}, {stored:?}"
            );
        });
    }
}

#[test]
fn what_could_not_be_saved_for_minutes_is_saved_all_the_same() {
    schedule(async |stage| {
        let (one, other) = (stage.process(0), stage.process(1));
        stage.log_in(&one, 1).await;
        stage.cannot_save(&one, 2, 300).await;
        secs(299).await;
        assert_eq!(stage.stored(), Some(1));
        secs(7).await;
        assert_eq!(stage.stored(), Some(2));
        let (_, in_doubt, stored) = stage.next(&other).await;
        assert_eq!((in_doubt, stored), (false, Some(2)));
    });
}

/// The lease is not kept from the others for ever.
#[test]
fn who_cannot_save_for_a_minute_lets_the_next_know() {
    schedule(async |stage| {
        let (one, other) = (stage.process(0), stage.process(1));
        stage.log_in(&one, 1).await;
        let mut held = stage.lock(&one).await;
        held.load().await.unwrap();
        // Only its saves are refused: they are lost on the way.
        for _ in 0..5_000 {
            stage.plan(0, Script::Save, Fate::BrokenBefore);
        }
        assert!(held.save(&grant(2)).await.is_err());
        drop(held);
        secs(55).await;
        let early = other.lock(&stage.key, Duration::from_secs(1)).await;
        assert!(matches!(early, Err(StoreError::Locked { .. })), "{early:?}");
        let (_, in_doubt, stored) = stage.next(&other).await;
        assert_eq!((in_doubt, stored), (true, Some(1)));
        stage.with(|server| server.planned.clear());
        secs(8).await;
        assert_eq!(stage.stored(), Some(2));
    });
}

#[test]
fn what_could_not_be_saved_is_not_saved_over_a_later_login() {
    schedule(async |stage| {
        let (one, other) = (stage.process(0), stage.process(1));
        stage.log_in(&one, 1).await;
        stage.cannot_save(&one, 2, 20).await;
        // The clock makes an end of the lease that is kept.
        secs(19).await;
        stage.with(|server| {
            server.leap(3_600_000);
            server.refuses = None;
        });
        stage.plan(0, Script::Save, Fate::Late(3_000));
        stage.log_in(&other, 3).await;
        secs(30).await;
        assert_eq!(stage.stored(), Some(3));
    });
}

#[test]
fn what_could_not_be_saved_undoes_no_logout() {
    schedule(async |stage| {
        let one = stage.process(0);
        stage.log_in(&one, 1).await;
        stage.cannot_save(&one, 2, 10).await;
        // Its own process logs out, by a lock that reads and does not hold.
        let mut held = stage.lock(&one).await;
        assert!(held.save(&grant(9)).await.is_err());
        stage.with(|server| server.refuses = None);
        held.remove().await.unwrap();
        drop(held);
        secs(60).await;
        assert_eq!(stage.stored(), None);
    });
}

/// As where the server lost what it has.
#[test]
fn what_could_not_be_saved_is_saved_in_a_server_that_starts_empty() {
    schedule(async |stage| {
        let (one, other) = (stage.process(0), stage.process(1));
        stage.log_in(&one, 1).await;
        stage.cannot_save(&one, 2, 20).await;
        stage.with(|server| {
            server.restart(1_000);
            server.refuses = None;
        });
        secs(10).await;
        assert_eq!(stage.next(&other).await.2, Some(2));
    });
}

#[test]
fn a_save_that_is_late_after_the_next_renewal_brings_nothing_back() {
    schedule(async |stage| {
        let (one, other) = (stage.process(0), stage.process(1));
        stage.log_in(&one, 1).await;
        let mut held = stage.lock(&one).await;
        held.load().await.unwrap();
        // The first is late, the second has no answer and is done.
        stage.plan(0, Script::Save, Fate::Late(9_000));
        stage.plan(0, Script::Save, Fate::Unanswered);
        assert!(held.save(&grant(2)).await.is_err());
        drop(held);
        stage.log_in(&other, 3).await;
        secs(60).await;
        assert_eq!(stage.stored(), Some(3));
    });
}

#[test]
fn a_mark_of_a_spent_token_is_left_though_its_release_is_lost() {
    for fate in [
        Fate::Lost,
        Fate::Unanswered,
        Fate::BrokenAfter,
        Fate::Late(5_000),
    ] {
        schedule(async |stage| {
            let (one, other) = (stage.process(0), stage.process(1));
            stage.log_in(&one, 1).await;
            let mut held = stage.lock(&one).await;
            held.may_be_spent();
            stage.plan(0, Script::Release, fate);
            drop(held);
            let (took, in_doubt, _) = stage.next(&other).await;
            assert!(in_doubt && took < at_most(11), "{fate:?}: {took:?}");
        });
    }
}

#[test]
fn a_late_holder_s_login_outlives_whatever_others_have_seen() {
    // Back to a copy in which the lease is still the late holder's, or nobody's, or is another's by now.
    for (is_own, is_held) in [(true, false), (false, false), (false, true)] {
        schedule(async |stage| {
            let [one, other, third] = [0, 1, 2].map(|name| stage.process(name));
            stage.log_in(&other, 1).await;
            let mut late = stage.lock(&one).await;
            late.load().await.unwrap();
            // It hears nothing while the others go on without it.
            let until = Instant::now() + Duration::from_secs(15);
            stage.with(|server| server.cut.insert(0, until));
            secs(11).await;
            stage.log_in(&other, 2).await;
            assert_eq!(stage.next(&third).await.2, Some(2));
            secs(1).await;
            // Before the second login.
            stage.with(|server| {
                let back = server.back_to(1, is_own);
                server.restart(back);
            });
            secs(4).await;
            let holds = match is_held {
                // It has seen nothing later.
                true => Some(stage.lock(&stage.process(3)).await),
                false => None,
            };
            let saved = late.save(&grant(3)).await.unwrap();
            drop((holds, late));
            secs(15).await;
            assert_eq!(saved, Saved::Stored);
            assert_eq!(stage.next(&third).await.2, Some(3), "{is_own}, {is_held}");
        });
    }
}

#[test]
fn those_who_wait_go_on_when_the_one_who_asks_for_them_goes_away() {
    schedule(async |stage| {
        let (one, other) = (stage.process(0), stage.process(1));
        stage.log_in(&one, 1).await;
        let held = stage.lock(&one).await;
        let wait = |patience| {
            let (other, key) = (other.clone(), stage.key.clone());
            tokio::spawn(async move { other.lock(&key, patience).await.map(drop) })
        };
        // The first asks for all. It goes, and so does the second, by its patience.
        let first = wait(PATIENCE);
        sleep(Duration::from_millis(500)).await;
        let second = wait(Duration::from_secs(3));
        let rest: Vec<_> = (0..10).map(|_| wait(PATIENCE)).collect();
        secs(1).await;
        first.abort();
        assert!(second.await.unwrap().is_err());
        drop(held);
        for one in rest {
            let got = timeout(Duration::from_secs(10), one).await;
            got.expect("somebody asks").unwrap().unwrap();
        }
    });
}

#[test]
fn those_who_wait_have_no_answer_together() {
    schedule(async |stage| {
        let (one, other) = (stage.process(0), stage.process(1));
        stage.log_in(&one, 1).await;
        let held = stage.lock(&one).await;
        let all: Vec<_> = (0..10)
            .map(|_| {
                let (other, key) = (other.clone(), stage.key.clone());
                tokio::spawn(async move { other.lock(&key, PATIENCE).await.map(drop) })
            })
            .collect();
        secs(2).await;
        let until = Instant::now() + Duration::from_secs(60);
        stage.with(|server| server.cut.insert(1, until));
        let began = Instant::now();
        for one in all {
            let error = one.await.unwrap().unwrap_err();
            assert!(!matches!(error, StoreError::Locked { .. }), "{error}");
        }
        assert!(began.elapsed() < at_most(9), "{:?}", began.elapsed());
        drop(held);
    });
}
