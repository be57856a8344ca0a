//! What rules are made of: handles, holders, keys and grants, with the errors looked at on the way.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_core::{Endpoints, TokenGrant};

use crate::{Doubt, GrantKey, GrantStore, LockedGrant, Saved, StoreError};

/// What every token of a rule contains.
pub(super) const SECRET: &str = "TOKEN-OF-THE-SUITE";
/// For a lock that is held.
pub(super) const SHORT: Duration = Duration::from_millis(100);

/// How long a store may take.
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// For one call that has nothing to wait for.
    pub(super) soon: Duration,
    /// For a lock that is free, or will be.
    pub(super) patience: Duration,
}

impl Times {
    /// An engine is some milliseconds away, and the machine may be busy.
    pub(super) const USUAL: Self = Self {
        soon: Duration::from_secs(2),
        patience: Duration::from_secs(30),
    };

    /// That what began then has taken no longer than it had to.
    #[track_caller]
    pub(super) fn are_kept(self, what: &str, begun: Instant, at_least: Duration) {
        let took = begun.elapsed();
        assert!(
            took <= at_least.saturating_add(self.soon),
            "{what}: it took {took:?}, where {at_least:?} had to be waited for"
        );
    }
}

pub(super) fn key(subject: &str) -> GrantKey {
    key_of(&Endpoints::cn(), "app", subject)
}

pub(super) fn key_of(endpoints: &Endpoints, client_id: &str, subject: &str) -> GrantKey {
    GrantKey::of(endpoints, client_id, subject).expect("a key")
}

/// A grant that is known by its number.
pub(super) fn grant(number: u32) -> TokenGrant {
    grant_of(&format!(
        r#"{{"access_token":"{SECRET}-{number}","refresh_token":"{SECRET}-r{number}","issued_at":1750000000,"expires_at":1750000900}}"#
    ))
}

pub(super) fn grant_of(json: &str) -> TokenGrant {
    TokenGrant::from_secret_json(json).expect("a grant")
}

pub(super) fn number_of(grant: &TokenGrant) -> u32 {
    let number = grant.access_token.expose().rsplit('-').next();
    number
        .and_then(|number| number.parse().ok())
        .expect("one of the suite's grants")
}

/// What a call gave. An error of it shows no token.
#[track_caller]
fn told<T>(result: Result<T, StoreError>) -> Result<T, StoreError> {
    if let Err(error) = &result {
        for text in [format!("{error}"), format!("{error:?}")] {
            // Not the text itself: who runs the suite over a log must not find it there either.
            assert!(!text.contains(SECRET), "an error shows a token");
        }
    }
    result
}

#[track_caller]
pub(super) fn well<T>(what: &str, result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| panic!("{what} failed: {error:?}"))
}

/// One way to the store, as one process has.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) store: Arc<dyn GrantStore>,
    pub(super) times: Times,
}

impl Handle {
    #[track_caller]
    pub(super) fn try_load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        told(self.store.load(key))
    }

    #[track_caller]
    pub(super) fn load(&self, key: &GrantKey) -> Option<TokenGrant> {
        well("load", self.try_load(key))
    }

    /// The number of the grant that is there.
    #[track_caller]
    pub(super) fn number(&self, key: &GrantKey) -> Option<u32> {
        self.load(key).as_ref().map(number_of)
    }

    pub(super) fn lock_reads(&self) -> bool {
        self.store.lock_reads()
    }

    #[track_caller]
    pub(super) fn try_lock(&self, key: &GrantKey, patience: Duration) -> Result<Held, StoreError> {
        told(self.store.lock(key, patience)).map(Held)
    }

    /// The lock, which is free or will be.
    #[track_caller]
    pub(super) fn lock(&self, key: &GrantKey) -> Held {
        well("lock", self.try_lock(key, self.times.patience))
    }

    /// The lock, which has been free for a while or has just become free.
    #[track_caller]
    pub(super) fn lock_soon(&self, key: &GrantKey, when: &str) -> Held {
        let begun = Instant::now();
        let held = well(
            &format!("lock {when}"),
            self.try_lock(key, self.times.patience),
        );
        let times = self.times;
        times.are_kept(&format!("lock {when}"), begun, Duration::ZERO);
        held
    }

    /// Somebody else has the lock.
    #[track_caller]
    pub(super) fn finds_it_locked(&self, key: &GrantKey, when: &str) {
        match self.try_lock(key, SHORT) {
            Err(StoreError::Locked { .. }) => {}
            Err(error) => panic!("{when}: expected StoreError::Locked, actual {error:?}"),
            Ok(_) => panic!("{when}: the lock has two holders"),
        }
    }

    /// A whole login.
    #[track_caller]
    pub(super) fn login(&self, key: &GrantKey, number: u32) {
        self.lock(key).login(&grant(number));
    }

    /// A whole removal.
    #[track_caller]
    pub(super) fn remove(&self, key: &GrantKey) {
        self.lock(key).remove();
    }
}

/// The right to change one grant.
pub(super) struct Held(Box<dyn LockedGrant>);

impl Held {
    #[track_caller]
    pub(super) fn try_load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        told(self.0.load())
    }

    #[track_caller]
    pub(super) fn load(&mut self) -> Option<TokenGrant> {
        well("load of a holder", self.try_load())
    }

    #[track_caller]
    pub(super) fn number(&mut self) -> Option<u32> {
        self.load().as_ref().map(number_of)
    }

    #[track_caller]
    pub(super) fn try_prepare(&mut self) -> Result<(), StoreError> {
        told(self.0.prepare())
    }

    #[track_caller]
    pub(super) fn prepare(&mut self) {
        well("prepare", self.try_prepare());
    }

    pub(super) fn doubt(&self) -> Option<Doubt> {
        self.0.doubt()
    }

    #[track_caller]
    pub(super) fn try_save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        told(self.0.save(grant))
    }

    #[track_caller]
    pub(super) fn save(&mut self, grant: &TokenGrant) -> Saved {
        well("save", self.try_save(grant))
    }

    /// As a login stores its grant: in place of whatever is there.
    #[track_caller]
    pub(super) fn login(&mut self, grant: &TokenGrant) {
        if self.save(grant) == Saved::Superseded {
            let _for_its_revision = self.try_load();
            let saved = self.save(grant);
            assert_eq!(
                saved,
                Saved::Stored,
                "save after a load, by the only holder"
            );
        }
    }

    #[track_caller]
    pub(super) fn try_remove(&mut self) -> Result<(), StoreError> {
        told(self.0.remove())
    }

    #[track_caller]
    pub(super) fn remove(&mut self) {
        well("remove", self.try_remove());
    }
}

/// Runs the same on so many threads, each with its number, and ends with the first panic of one.
#[track_caller]
pub(super) fn on_threads(count: u32, work: impl Fn(u32) + Sync) {
    thread::scope(|scope| {
        let work = &work;
        let all: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        for one in all {
            if let Err(panicked) = one.join() {
                std::panic::resume_unwind(panicked);
            }
        }
    });
}
