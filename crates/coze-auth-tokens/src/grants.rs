//! A store of grants as a renewal sees it, whichever form it has: one that blocks, or one that is awaited.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::TokenGrant;
#[cfg(feature = "tokio")]
use coze_auth_store::AsyncGrantStore;
use coze_auth_store::{Doubt, GrantKey, GrantStore, LockedGrant, Notices, Saved, StoreError};

/// What a store will have done.
pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`GrantStore`], awaited.
pub(crate) trait Grants: Send + Sync {
    fn load<'a>(&'a self, key: &'a GrantKey) -> Later<'a, Option<TokenGrant>>;
    fn lock<'a>(&'a self, key: &'a GrantKey, patience: Duration) -> Later<'a, Box<dyn Held>>;
    fn lock_reads(&self) -> bool;
    fn notices(&self) -> Option<&Notices>;
}

/// [`LockedGrant`], awaited.
pub(crate) trait Held: Send {
    fn load(&mut self) -> Later<'_, Option<TokenGrant>>;
    fn doubt(&self) -> Option<Doubt>;
    fn may_be_spent(&mut self);
    fn prepare(&mut self) -> Later<'_, ()>;
    fn save<'a>(&'a mut self, grant: &'a TokenGrant) -> Later<'a, Saved>;
    fn remove(&mut self) -> Later<'_, ()>;
}

/// Where a source keeps its grant.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<dyn Grants>);

impl Store {
    /// The lock, of a store whose lock reads. None if another has it, or if the store is to be looked at first.
    pub(crate) async fn lock_at_once(
        &self,
        key: &GrantKey,
    ) -> Result<Option<Box<dyn Held>>, StoreError> {
        if !self.0.lock_reads() {
            return Ok(None);
        }
        match self.0.lock(key, Duration::ZERO).await {
            Ok(held) => Ok(Some(held)),
            Err(StoreError::Locked { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One that blocks its caller: nothing is awaited, so a future over it is ready at once.
    pub fn blocking(store: Arc<dyn GrantStore>) -> Self {
        Self(Arc::new(Blocking(store)))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

struct Blocking(Arc<dyn GrantStore>);

impl Grants for Blocking {
    fn load<'a>(&'a self, key: &'a GrantKey) -> Later<'a, Option<TokenGrant>> {
        Box::pin(async move { self.0.load(key) })
    }

    fn lock<'a>(&'a self, key: &'a GrantKey, patience: Duration) -> Later<'a, Box<dyn Held>> {
        Box::pin(async move {
            let held: Box<dyn Held> = Box::new(BlockingHeld(self.0.lock(key, patience)?));
            Ok(held)
        })
    }

    fn lock_reads(&self) -> bool {
        self.0.lock_reads()
    }

    fn notices(&self) -> Option<&Notices> {
        self.0.notices()
    }
}

struct BlockingHeld(Box<dyn LockedGrant>);

impl Held for BlockingHeld {
    fn load(&mut self) -> Later<'_, Option<TokenGrant>> {
        Box::pin(async move { self.0.load() })
    }

    fn doubt(&self) -> Option<Doubt> {
        self.0.doubt()
    }

    fn may_be_spent(&mut self) {
        self.0.may_be_spent();
    }

    fn prepare(&mut self) -> Later<'_, ()> {
        Box::pin(async move { self.0.prepare() })
    }

    fn save<'a>(&'a mut self, grant: &'a TokenGrant) -> Later<'a, Saved> {
        Box::pin(async move { self.0.save(grant) })
    }

    fn remove(&mut self) -> Later<'_, ()> {
        Box::pin(async move { self.0.remove() })
    }
}

#[cfg(feature = "tokio")]
mod on_threads {
    use std::panic::resume_unwind;

    use super::*;

    /// One that blocks, on tokio's blocking threads.
    pub(super) struct OnThreads(pub(super) Arc<dyn GrantStore>);

    /// Has something done there. It goes on if the caller that waits for it goes away.
    async fn blocking<T: Send + 'static>(
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match ::tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            // As if it had panicked here: what the renewal holds is dropped, which tells those who wait.
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(error) => Err(StoreError::Other(Arc::new(error))),
        }
    }

    impl Grants for OnThreads {
        fn load<'a>(&'a self, key: &'a GrantKey) -> Later<'a, Option<TokenGrant>> {
            let (store, key) = (self.0.clone(), key.clone());
            Box::pin(blocking(move || store.load(&key)))
        }

        fn lock<'a>(&'a self, key: &'a GrantKey, patience: Duration) -> Later<'a, Box<dyn Held>> {
            let (store, key) = (self.0.clone(), key.clone());
            Box::pin(blocking(move || {
                let held: Box<dyn Held> =
                    Box::new(HeldOnThreads(Some(store.lock(&key, patience)?)));
                Ok(held)
            }))
        }

        fn lock_reads(&self) -> bool {
            self.0.lock_reads()
        }

        fn notices(&self) -> Option<&Notices> {
            self.0.notices()
        }
    }

    /// What a thread has is not here: none after a call that panicked or was not waited for.
    struct HeldOnThreads(Option<Box<dyn LockedGrant>>);

    impl HeldOnThreads {
        fn with<'a, T: Send + 'static>(
            &'a mut self,
            act: impl FnOnce(&mut dyn LockedGrant) -> Result<T, StoreError> + Send + 'static,
        ) -> Later<'a, T> {
            Box::pin(async move {
                let lost =
                    || StoreError::Other(Arc::new(std::io::Error::other("its lock was lost")));
                let mut held = self.0.take().ok_or_else(lost)?;
                let (held, result) = blocking(move || {
                    let result = act(&mut *held);
                    Ok((held, result))
                })
                .await?;
                self.0 = Some(held);
                result
            })
        }
    }

    impl Drop for HeldOnThreads {
        /// On a thread that may block, while there is one.
        fn drop(&mut self) {
            if let (Some(held), Ok(runtime)) =
                (self.0.take(), ::tokio::runtime::Handle::try_current())
            {
                runtime.spawn_blocking(move || drop(held));
            }
        }
    }

    impl Held for HeldOnThreads {
        fn load(&mut self) -> Later<'_, Option<TokenGrant>> {
            self.with(|held| held.load())
        }

        fn doubt(&self) -> Option<Doubt> {
            self.0.as_ref().and_then(|held| held.doubt())
        }

        fn may_be_spent(&mut self) {
            if let Some(held) = &mut self.0 {
                held.may_be_spent();
            }
        }

        fn prepare(&mut self) -> Later<'_, ()> {
            self.with(|held| held.prepare())
        }

        fn save<'a>(&'a mut self, grant: &'a TokenGrant) -> Later<'a, Saved> {
            let grant = grant.clone();
            self.with(move |held| held.save(&grant))
        }

        fn remove(&mut self) -> Later<'_, ()> {
            self.with(|held| held.remove())
        }
    }
}

#[cfg(feature = "tokio")]
mod awaited {
    use coze_auth_store::AsyncLockedGrant;

    use super::*;

    pub(super) struct Awaited<S>(pub(super) S);

    impl<S: AsyncGrantStore> Grants for Awaited<S> {
        fn load<'a>(&'a self, key: &'a GrantKey) -> Later<'a, Option<TokenGrant>> {
            Box::pin(self.0.load(key))
        }

        fn lock<'a>(&'a self, key: &'a GrantKey, patience: Duration) -> Later<'a, Box<dyn Held>> {
            Box::pin(async move {
                let held: Box<dyn Held> = Box::new(AwaitedHeld(self.0.lock(key, patience).await?));
                Ok(held)
            })
        }

        fn lock_reads(&self) -> bool {
            self.0.lock_reads()
        }

        fn notices(&self) -> Option<&Notices> {
            self.0.notices()
        }
    }

    struct AwaitedHeld<H>(H);

    impl<H: AsyncLockedGrant> Held for AwaitedHeld<H> {
        fn load(&mut self) -> Later<'_, Option<TokenGrant>> {
            Box::pin(self.0.load())
        }

        fn doubt(&self) -> Option<Doubt> {
            self.0.doubt()
        }

        fn may_be_spent(&mut self) {
            self.0.may_be_spent();
        }

        fn prepare(&mut self) -> Later<'_, ()> {
            Box::pin(self.0.prepare())
        }

        fn save<'a>(&'a mut self, grant: &'a TokenGrant) -> Later<'a, Saved> {
            Box::pin(self.0.save(grant))
        }

        fn remove(&mut self) -> Later<'_, ()> {
            Box::pin(self.0.remove())
        }
    }
}

#[cfg(feature = "tokio")]
impl Store {
    /// One that blocks, on tokio's blocking threads.
    pub fn on_threads(store: Arc<dyn GrantStore>) -> Self {
        Self(Arc::new(on_threads::OnThreads(store)))
    }

    /// One that is awaited.
    pub fn awaited(store: impl AsyncGrantStore + 'static) -> Self {
        Self(Arc::new(awaited::Awaited(store)))
    }
}
