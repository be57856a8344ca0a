//! Stores that fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coze_auth_store::{
    AsyncGrantStore, AsyncLockedGrant, GrantKey, GrantStore, LockedGrant, MemoryStore, Saved,
    StoreError,
};
use coze_auth_tokens::Signal;
use coze_auth_tokens::core::TokenGrant;

use crate::steps::Passed;

/// A call of a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Call {
    Load,
    Lock,
    LoadHeld,
    Save,
}

/// What becomes of it.
#[derive(Clone)]
pub(crate) enum How {
    Fails,
    /// After it has taken this long.
    FailsLate(Passed, u64),
    /// As of what is there and cannot be read; of a `load` alone.
    Damaged,
    Panics,
    /// Until the signal is set.
    Hangs(Signal),
    /// Somebody else has been faster; of a `save` alone.
    Superseded,
}

/// A store one of whose calls does not do what it should, while it is told so.
#[derive(Clone, Default)]
pub(crate) struct Faulty {
    pub(crate) store: MemoryStore,
    faults: Arc<Mutex<Vec<(Call, How)>>>,
    calls: Arc<Mutex<Vec<Call>>>,
    lock_reads: bool,
}

impl Faulty {
    /// Whose lock is asked for first.
    pub(crate) fn whose_lock_reads(lock_reads: bool) -> Self {
        Self {
            lock_reads,
            ..Self::default()
        }
    }

    pub(crate) fn breaks(&self, call: Call, how: How) {
        self.faults.lock().unwrap().push((call, how));
    }

    pub(crate) fn heals(&self) {
        for (_, how) in self.faults.lock().unwrap().drain(..) {
            if let How::Hangs(signal) = how {
                signal.set();
            }
        }
    }

    /// The calls since this was asked last.
    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    fn call(&self, call: Call) -> Result<bool, StoreError> {
        self.calls.lock().unwrap().push(call);
        let faults = self.faults.lock().unwrap().clone();
        match faults.into_iter().find(|(broken, _)| *broken == call) {
            None => Ok(true),
            Some((_, How::Superseded)) => Ok(false),
            Some((_, How::Fails)) => Err(away()),
            Some((_, How::FailsLate(clock, secs))) => {
                clock.pass(secs);
                Err(away())
            }
            Some((_, How::Damaged)) => Err(StoreError::Corrupt {
                path: "record".into(),
            }),
            // Without the hook, which prints a backtrace for longer than a store may take.
            Some((_, How::Panics)) => std::panic::resume_unwind(Box::new("the store panics")),
            Some((_, How::Hangs(signal))) => {
                signal.wait();
                Ok(true)
            }
        }
    }
}

fn away() -> StoreError {
    StoreError::Other(Arc::new(std::io::Error::other("away")))
}

impl GrantStore for Faulty {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.call(Call::Load)?;
        self.store.load(key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        self.call(Call::Lock)?;
        let held = self.store.lock(key, patience)?;
        Ok(Box::new(FaultyLock(self.clone(), held)))
    }

    fn lock_reads(&self) -> bool {
        self.lock_reads
    }
}

struct FaultyLock(Faulty, Box<dyn LockedGrant>);

impl LockedGrant for FaultyLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        self.0.call(Call::LoadHeld)?;
        self.1.load()
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        panic!("nothing is spent, so nothing is prepared for")
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        match self.0.call(Call::Save)? {
            true => self.1.save(grant),
            false => Ok(Saved::Superseded),
        }
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        panic!("nobody logs out")
    }
}

/// A store that is awaited.
#[derive(Clone, Default)]
pub(crate) struct Awaited(pub(crate) MemoryStore);

impl AsyncGrantStore for Awaited {
    type Locked = AwaitedLock;

    async fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        tokio::task::yield_now().await;
        self.0.load(key)
    }

    async fn lock(&self, key: &GrantKey, patience: Duration) -> Result<AwaitedLock, StoreError> {
        let waits = async {
            loop {
                match self.0.lock(key, Duration::ZERO) {
                    Ok(held) => return AwaitedLock(held),
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let held = tokio::time::timeout(patience, waits).await;
        held.map_err(|_| StoreError::Locked { waited: patience })
    }
}

pub(crate) struct AwaitedLock(Box<dyn LockedGrant>);

impl AsyncLockedGrant for AwaitedLock {
    async fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        tokio::task::yield_now().await;
        self.0.load()
    }

    async fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        tokio::task::yield_now().await;
        self.0.save(grant)
    }

    async fn remove(&mut self) -> Result<(), StoreError> {
        self.0.remove()
    }
}
