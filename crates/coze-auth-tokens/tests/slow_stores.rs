//! Stores that take their time: what is counted from when, who is told what, and that nobody asks for ever.

mod steps;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coze_auth_store::{GrantKey, GrantStore, LockedGrant, MemoryStore, Saved, StoreError};
use coze_auth_tokens::core::TokenGrant;
use coze_auth_tokens::{Ask, Error, Next};

use steps::{LIFE, Passed, Unplugged, World, answer, granted, ready};

/// Which call of a store takes its time, or fails.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Call {
    #[default]
    None,
    Load,
    Lock,
    LoadHeld,
    Prepare,
    Save,
}

/// A store whose calls move the clock, as those of a slow disk or network do, and one of which may fail then.
#[derive(Clone, Default)]
struct Slow {
    store: MemoryStore,
    clock: Passed,
    takes: u64,
    fails: Call,
    loads: Arc<AtomicUsize>,
}

impl Slow {
    fn failing(fails: Call, takes: u64, store: &MemoryStore) -> Self {
        Self {
            store: store.clone(),
            takes,
            fails,
            ..Self::default()
        }
    }

    fn call(&self, call: Call) -> Result<(), StoreError> {
        self.clock.pass(self.takes);
        match call == self.fails {
            true => Err(StoreError::Other(Arc::new(std::io::Error::other("away")))),
            false => Ok(()),
        }
    }

    /// A process that has asked nothing yet.
    fn world(&self) -> World {
        World::at(self.clock.clone(), self.clone())
    }
}

impl GrantStore for Slow {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.call(Call::Load)?;
        self.store.load(key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        self.call(Call::Lock)?;
        let held = self.store.lock(key, patience)?;
        Ok(Box::new(SlowLock(self.clone(), held)))
    }
}

struct SlowLock(Slow, Box<dyn LockedGrant>);

impl LockedGrant for SlowLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        self.0.call(Call::LoadHeld)?;
        self.1.load()
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        self.0.call(Call::Prepare)
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        self.0.call(Call::Save)?;
        self.1.save(grant)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.1.remove()
    }
}

/// The store of a login whose token ends a life after the start.
fn logged_in() -> MemoryStore {
    let store = MemoryStore::new();
    World::over(store.clone()).install(0);
    store
}

/// Counted from when a renewal began, its pause would be over before it is told, and every caller would ask again.
#[test]
fn a_store_that_fails_slowly_is_asked_once_a_pause() {
    for fails in [Call::Load, Call::Lock, Call::LoadHeld, Call::Prepare] {
        for takes in [1, 5, 65] {
            let slow = Slow::failing(fails, takes, &logged_in());
            slow.clock.pass(LIFE);
            let world = slow.world();
            assert!(matches!(world.begin(), Next::Done));
            for _ in 0..3 {
                let error = world.failure();
                assert!(matches!(error, Error::Store(_)), "{fails:?}: {error}");
            }
            assert_eq!(slow.loads.load(Ordering::SeqCst), 1, "{fails:?} {takes}");
            world.pass(1);
            assert!(matches!(world.begin(), Next::Done));
            world.pass(1);
            assert!(matches!(world.failure(), Error::Store(_)), "two seconds");
            assert_eq!(slow.loads.load(Ordering::SeqCst), 2, "{fails:?} {takes}");
        }
    }
}

/// The same of a grant that cannot be stored: the pause before the next try is counted from the failure.
#[test]
fn a_save_that_fails_slowly_is_tried_again_after_its_pause() {
    let slow = Slow::failing(Call::Save, 30, &logged_in());
    slow.clock.pass(LIFE);
    let world = slow.world();
    assert!(matches!(world.send(|_| granted(1)), Next::Done));
    assert_eq!(world.token().expose(), "access-1");
    world.pass(1);
    drop(world.behind());
}

/// Somebody who comes to look when the pause is over, because the machine was busy, is told what came of what he
/// waited for. Whoever comes then begins anew.
#[test]
fn who_waited_for_a_renewal_is_told_what_came_of_it() {
    let slow = Slow::failing(Call::Load, 5, &logged_in());
    slow.clock.pass(LIFE);
    let world = slow.world();
    let (mut carries, mut waits) = (world.source.caller(), world.source.caller());
    let Ask::First(refresh) = carries.ask() else {
        panic!("the token has ended");
    };
    assert!(matches!(waits.ask(), Ask::Wait(..)));
    assert!(matches!(ready(refresh.begin()), Next::Done));
    world.pass(61);
    for caller in [&mut carries, &mut waits] {
        let told = caller.ask();
        assert!(matches!(told, Ask::Failed(Error::Store(_))), "{told:?}");
    }
    let begun = world.first();
    // One that runs is waited for, whatever failed before.
    assert!(matches!(waits.ask(), Ask::Wait(..)));
    drop(begun);
}

/// Who waits although he has a token, as a program does that ends soon, keeps it when the renewal fails.
#[test]
fn who_has_a_token_is_told_of_no_failure() {
    let slow = Slow::failing(Call::Load, 5, &MemoryStore::new());
    let world = slow.world();
    world.install(0);
    world.pass(LIFE - 30);
    let mut caller = world.source.caller().wait_when_stale(true);
    let mut another = world.source.caller().wait_when_stale(true);
    let Ask::First(refresh) = caller.ask() else {
        panic!("it is to be renewed");
    };
    for waits in [&mut caller, &mut another] {
        assert!(matches!(waits.ask(), Ask::Wait(..)));
    }
    assert_eq!(
        world.token().expose(),
        "access-0",
        "who does not wait has it"
    );
    assert!(matches!(ready(refresh.begin()), Next::Done));
    for waits in [&mut caller, &mut another] {
        let told = waits.ask();
        assert!(
            matches!(&told, Ask::Token(kept) if kept.access_token.expose() == "access-0"),
            "{told:?}"
        );
    }
}

/// Three requests and ten seconds, twice: by then a renewal has ended, or its store hangs.
#[test]
fn a_store_that_hangs_holds_nobody_for_ever() {
    let world = World::over(logged_in());
    world.pass(LIFE);
    let (mut carries, mut waits) = (world.source.caller(), world.source.caller());
    let Ask::First(hangs) = carries.ask() else {
        panic!("the token has ended");
    };
    assert!(matches!(waits.ask(), Ask::Wait(..)));
    world.pass(200);
    // Whoever comes to look first takes over.
    let Ask::First(hangs_too) = waits.ask() else {
        panic!("its lease is over");
    };
    assert!(matches!(carries.ask(), Ask::Wait(..)));
    world.pass(200);
    for caller in [&mut waits, &mut carries] {
        let told = caller.ask();
        let Ask::Failed(error @ Error::TimedOut { waited }) = &told else {
            panic!("{told:?}");
        };
        assert_eq!(*waited, Duration::from_secs(400));
        assert!(
            error.to_string().contains("has not ended in 400 s"),
            "{error}"
        );
    }
    assert!(matches!(world.failure(), Error::TimedOut { .. }), "a pause");
    // What comes late of one counts: it is the only copy of a refresh token.
    let late = world.go_on(ready(hangs.begin()), |_| granted(1));
    assert!(matches!(late, Next::Done));
    assert_eq!(world.token().expose(), "access-1");
    drop(hangs_too);
    assert_eq!(world.token().expose(), "access-1");
}

/// Whoever wishes to wait for the renewal of a good token does so once: it has to be stored, and the store hangs.
#[test]
fn a_good_token_is_not_waited_for_for_ever() {
    let store = steps::Failing::default();
    let world = World::over(store.clone());
    store.failures.store(1, Ordering::SeqCst);
    world.take(steps::grant(0)).unwrap_err();
    world.pass(1);
    let mut caller = world.source.caller().wait_when_stale(true);
    let Ask::First(hangs) = caller.ask() else {
        panic!("it is to be stored");
    };
    assert!(matches!(caller.ask(), Ask::Wait(..)));
    world.pass(200);
    let Ask::Behind(token, _) = caller.ask() else {
        panic!("it waits for a second one");
    };
    assert_eq!(token.access_token.expose(), "access-0");
    drop(hangs);
}

/// A store that does not come back from `lock`: it hangs, or panics once the other end is gone.
struct NeverBack(Mutex<Receiver<()>>);

impl GrantStore for NeverBack {
    fn load(&self, _: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        Ok(None)
    }

    fn lock(&self, _: &GrantKey, _: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        let hangs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hangs.recv().expect("the store panics");
        Err(StoreError::Superseded)
    }
}

/// A login whose storing panics is kept as one whose storing fails, and whoever logs out is told.
#[test]
fn a_store_that_panics_costs_no_login() {
    let (_, panics) = channel();
    let unplugged = Unplugged {
        timeout: steps::TIMEOUT,
        ..Unplugged::default()
    };
    let tokens = unplugged.source(NeverBack(Mutex::new(panics)));
    let error = tokens.install(steps::grant(0)).unwrap_err();
    let Error::NotStored(StoreError::Other(cause)) = &error else {
        panic!("{error}");
    };
    assert_eq!(cause.to_string(), "it panicked");
    let token = tokens.token().unwrap();
    assert_eq!(token.expose(), "access-0", "the login is lost");
    let error = tokens.forget().unwrap_err();
    assert!(
        matches!(error, Error::Store(StoreError::Other(_))),
        "{error}"
    );
}

/// The end is waited for, and not for ever.
#[test]
fn a_store_that_hangs_does_not_hold_up_the_end() {
    let (panics, never_back) = channel();
    let tokens = Unplugged::default().source(NeverBack(Mutex::new(never_back)));
    let (told, is_told) = channel();
    std::thread::spawn(move || {
        // Once with a word, so that there is something to be stored.
        let not_stored = tokens.install(steps::grant(0)).unwrap_err();
        told.send((not_stored, tokens.close())).unwrap();
    });
    panics.send(()).unwrap();
    let (not_stored, end) = is_told
        .recv_timeout(Duration::from_secs(60))
        .expect("it hangs");
    assert!(matches!(not_stored, Error::NotStored(_)), "{not_stored}");
    assert!(matches!(end, Err(Error::Unfinished)), "{end:?}");
    drop(panics);
}

/// A login whose token has 30 s left, in a process that has not seen it yet.
fn restarted(slow: &Slow) -> World {
    slow.clock.pass(LIFE - 30);
    slow.world()
}

/// It is good, so it is served, whatever the server does.
#[test]
fn a_stored_token_is_served_while_it_lasts_although_its_renewal_fails() {
    let slow = Slow::failing(Call::None, 0, &logged_in());
    let world = restarted(&slow);
    let sends = world.begin();
    assert_eq!(
        world.token().expose(),
        "access-0",
        "while the server answers"
    );
    assert!(matches!(
        world.go_on(sends, |_| answer(503, "<html>")),
        Next::Done
    ));
    assert_eq!(world.token().expose(), "access-0");
    world.pass(29);
    let Ask::Behind(token, refresh) = world.ask() else {
        panic!("its renewal is tried again");
    };
    assert_eq!(token.access_token.expose(), "access-0");
    let failed = world.go_on(ready(refresh.begin()), |_| answer(503, "<html>"));
    assert!(matches!(failed, Next::Done));
    world.pass(1);
    let error = world.failure().to_string();
    assert!(error.contains("HTTP 503"), "ended, and told why: {error}");
}

/// Or the store, or the disk.
#[test]
fn a_stored_token_is_served_while_it_lasts_although_it_cannot_be_stored_anew() {
    for fails in [Call::Lock, Call::LoadHeld, Call::Prepare] {
        let slow = Slow::failing(fails, 2, &logged_in());
        let world = restarted(&slow);
        assert!(matches!(world.begin(), Next::Done), "{fails:?}");
        assert_eq!(world.token().expose(), "access-0", "{fails:?}");
    }
}

/// The code of a login is spent when it is to be stored: that it cannot be is told before anyone logs in.
#[test]
fn who_must_log_in_is_told_first_that_it_could_not_be_stored() {
    let slow = Slow::failing(Call::Prepare, 0, &MemoryStore::new());
    let world = slow.world();
    assert!(matches!(world.begin(), Next::Done));
    let error = world.failure();
    assert!(matches!(error, Error::Store(_)), "{error}");
    let slow = Slow::failing(Call::None, 0, &MemoryStore::new());
    let world = slow.world();
    assert!(matches!(world.begin(), Next::Done));
    assert!(matches!(world.failure(), Error::LoginNeeded(_)));
}

/// What the API has refused is not taken up again from the store.
#[test]
fn a_stored_token_that_the_api_has_refused_is_not_served() {
    let slow = Slow::failing(Call::None, 0, &logged_in());
    let world = restarted(&slow);
    let sends = world.begin();
    let token = world.token();
    drop(sends);
    assert!(world.source.invalidate(&token));
    world.pass(1);
    let sends = world.begin();
    assert!(matches!(world.ask(), Ask::Wait(..)), "served again");
    assert!(matches!(world.go_on(sends, |_| granted(1)), Next::Done));
    assert_eq!(world.token().expose(), "access-1");
}
