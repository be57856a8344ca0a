//! A store over an engine: what a renewal asks it when its lock reads as well, and what it makes of a refresh token that
//! may be spent.

mod steps;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coze_auth_store::{Doubt, GrantKey, GrantStore, LockedGrant, Saved, StoreError};
use coze_auth_tokens::core::error::ErrorCode;
use coze_auth_tokens::core::{TokenGrant, UnixTime};
use coze_auth_tokens::{Ask, Error, Next};

use steps::{LIFE, START, World, answer, grant, granted, invalid_grant, ready};

/// A store whose lock reads, and that notes what it is asked.
#[derive(Clone, Default)]
struct Engine(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    grant: Option<TokenGrant>,
    revision: u64,
    is_locked: bool,
    doubt: Option<Doubt>,
    /// What `prepare` finds.
    late_doubt: Option<Doubt>,
    asked: Vec<&'static str>,
}

impl Engine {
    fn note(&self, call: &'static str) {
        self.0.lock().unwrap().asked.push(call);
    }

    /// What it was asked since this was looked at last.
    fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    /// Another process stores this.
    fn put(&self, grant: TokenGrant) {
        let mut kept = self.0.lock().unwrap();
        kept.grant = Some(grant);
        kept.revision += 1;
    }

    fn set_doubt(&self, doubt: Doubt) {
        self.0.lock().unwrap().doubt = Some(doubt);
    }

    /// Another process holds the lock, or does not.
    fn set_locked(&self, is_locked: bool) {
        self.0.lock().unwrap().is_locked = is_locked;
    }
}

impl GrantStore for Engine {
    fn load(&self, _: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.note("load");
        Ok(self.0.lock().unwrap().grant.clone())
    }

    fn lock(&self, _: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        self.note(match patience.is_zero() {
            true => "lock",
            false => "lock, patiently",
        });
        let kept = self.0.lock().unwrap();
        match kept.is_locked {
            true => Err(StoreError::Locked { waited: patience }),
            false => Ok(Box::new(Held {
                engine: self.clone(),
                read: Some(kept.grant.clone()),
                revision: kept.revision,
                doubt: kept.doubt,
            })),
        }
    }

    fn lock_reads(&self) -> bool {
        true
    }
}

struct Held {
    engine: Engine,
    read: Option<Option<TokenGrant>>,
    revision: u64,
    doubt: Option<Doubt>,
}

impl LockedGrant for Held {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        if let Some(read) = self.read.take() {
            return Ok(read);
        }
        self.engine.note("load, held");
        let kept = self.engine.0.lock().unwrap();
        self.revision = kept.revision;
        Ok(kept.grant.clone())
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        let late = self.engine.0.lock().unwrap().late_doubt;
        self.doubt = self.doubt.or(late);
        Ok(())
    }

    fn doubt(&self) -> Option<Doubt> {
        self.doubt
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        self.engine.note("save");
        self.read = None;
        if self.engine.0.lock().unwrap().revision != self.revision {
            return Ok(Saved::Superseded);
        }
        self.engine.put(grant.clone());
        (self.revision, self.doubt) = (self.revision + 1, None);
        self.engine.0.lock().unwrap().doubt = None;
        Ok(Saved::Stored)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.engine.note("remove");
        self.engine.0.lock().unwrap().grant = None;
        Ok(())
    }
}

/// A login whose token has ended.
fn ended() -> (Engine, World) {
    let engine = Engine::default();
    let world = World::over(engine.clone());
    world.install(0);
    world.pass(LIFE);
    engine.asked();
    (engine, world)
}

#[test]
fn a_renewal_asks_an_engine_whose_lock_reads_twice() {
    let (engine, world) = ended();
    assert!(matches!(world.send(|_| granted(1)), Next::Done));
    assert_eq!(engine.asked(), ["lock", "save"]);
    assert_eq!(world.token().expose(), "access-1");
}

#[test]
fn what_another_process_has_renewed_is_taken_with_the_lock() {
    let (engine, world) = ended();
    engine.put(grant(1));
    assert!(matches!(world.begin(), Next::Done));
    assert_eq!(engine.asked(), ["lock"]);
    assert_eq!(world.token().expose(), "access-1");
}

/// A process that has no token yet, and another one that holds the lock for long, such as while Coze does not answer.
#[test]
fn a_token_that_is_stored_is_served_beside_who_renews_it() {
    let engine = Engine::default();
    engine.put(grant(0));
    engine.set_locked(true);
    let world = World::over(engine.clone());
    assert!(matches!(world.begin(), Next::Done));
    assert_eq!(engine.asked(), ["lock", "load"]);
    assert_eq!(world.token().expose(), "access-0");
    // One that has ended is waited for.
    world.pass(LIFE);
    assert!(matches!(world.begin(), Next::Done));
    assert_eq!(engine.asked(), ["lock", "load", "lock, patiently"]);
    assert!(matches!(
        world.failure(),
        Error::Store(StoreError::Locked { .. })
    ));
    engine.set_locked(false);
}

#[test]
fn a_save_that_is_superseded_reads_and_takes_what_is_there() {
    let (engine, world) = ended();
    let next = world.begin();
    engine.put(grant(7));
    assert!(matches!(world.go_on(next, |_| granted(1)), Next::Done));
    assert_eq!(engine.asked(), ["lock", "save", "load, held"]);
    assert_eq!(world.token().expose(), "access-7");
}

#[test]
fn a_refusal_of_a_refresh_token_that_may_be_spent_says_so() {
    let since = UnixTime::from_secs(START + 1);
    for (doubt, words) in [
        (
            Doubt::Unfinished { since },
            "another process began to renew the grant at 1750000001 and never stored a result, so its refresh token may be spent",
        ),
        (
            Doubt::WentBack,
            "the store has an older grant than this process has seen in it: it was restored from a copy, or another server \
             has taken its place, so its refresh token may be spent",
        ),
    ] {
        let (engine, world) = ended();
        engine.set_doubt(doubt);
        let told = Arc::new(Mutex::new(Vec::new()));
        let lines = told.clone();
        world
            .source
            .observe(move |event| lines.lock().unwrap().push(event.kind.to_string()));
        assert!(matches!(world.send(|_| invalid_grant()), Next::Done));
        let error = world.failure();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.code(), Some(&ErrorCode::InvalidGrant));
        assert!(error.needs_login(), "{error}");
        let told = std::mem::take(&mut *told.lock().unwrap());
        let line = format!("the refresh token may be spent: {doubt}");
        assert!(told.contains(&line), "{told:?}");
        // It is not tried again.
        world.pass(61);
        assert!(matches!(world.begin(), Next::Done));
        assert!(matches!(world.failure(), Error::LoginNeeded(_)));
    }
}

/// What a spent refresh token is refused with is a guess (protocol §14), so any refusal ends one that may be spent.
#[test]
fn a_refresh_token_that_may_be_spent_is_sent_once() {
    let (engine, world) = ended();
    engine.set_doubt(Doubt::WentBack);
    let refused = || answer(400, r#"{"error_code":"invalid_request"}"#);
    assert!(matches!(world.send(|_| refused()), Next::Done));
    assert!(matches!(world.failure(), Error::MaybeSpent { .. }));
    world.pass(61);
    assert!(matches!(world.begin(), Next::Done));
    assert!(matches!(world.failure(), Error::LoginNeeded(_)));
    // Trouble that passes is not a refusal, and it is not tried a second time at once.
    for (doubt, waits) in [(None, true), (Some(Doubt::WentBack), false)] {
        let (engine, world) = ended();
        doubt.into_iter().for_each(|doubt| engine.set_doubt(doubt));
        let next = world.send(|_| {
            let mut answer = answer(429, r#"{"error_code":"4008"}"#)?;
            let asked = "1".parse().unwrap();
            answer.headers_mut().insert("retry-after", asked);
            Ok(answer)
        });
        assert_eq!(matches!(next, Next::Wait(..)), waits, "{doubt:?}");
        drop(next);
        assert!(!matches!(world.failure(), Error::MaybeSpent { .. }));
    }
}

/// The lock was taken anew by `prepare`, after a holder that died.
#[test]
fn a_doubt_that_is_found_just_before_the_request_counts() {
    let (engine, world) = ended();
    engine.0.lock().unwrap().late_doubt = Some(Doubt::WentBack);
    assert!(matches!(world.send(|_| invalid_grant()), Next::Done));
    let error = world.failure();
    assert!(matches!(error, Error::MaybeSpent { .. }), "{error}");
}

#[test]
fn a_renewal_that_succeeds_ends_the_doubt() {
    let (engine, world) = ended();
    engine.set_doubt(Doubt::WentBack);
    assert!(matches!(world.send(|_| granted(1)), Next::Done));
    world.pass(LIFE);
    assert!(matches!(world.send(|_| invalid_grant()), Next::Done));
    assert!(matches!(world.failure(), Error::RefreshRefused(_)));
}

/// What this process could not store before is stored first, and it is not what the store had in doubt.
#[test]
fn a_grant_that_waited_to_be_stored_is_not_in_doubt() {
    let (engine, world) = ended();
    engine.set_doubt(Doubt::WentBack);
    // Somebody else holds the lock when it is to be stored.
    engine.set_locked(true);
    world.take(grant(3)).unwrap_err();
    engine.set_locked(false);
    world.pass(3 * LIFE);
    let Ask::First(refresh) = world.ask() else {
        panic!("its token has ended");
    };
    let next = ready(refresh.begin());
    let next = world.go_on(next, |body| {
        assert!(body.contains("refresh-3"), "{body}");
        invalid_grant()
    });
    assert!(matches!(next, Next::Done));
    assert!(matches!(world.failure(), Error::RefreshRefused(_)));
}
