//! An awaited store: its futures driven to their ends, or broken off.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_core::TokenGrant;

use super::given::well;
use crate::{
    AsyncGrantStore, AsyncLockedGrant, Doubt, GrantKey, GrantStore, LockedGrant, Saved, StoreError,
};

/// What a runtime is given to drive: see [`StoreUnderTest::awaited`](super::StoreUnderTest::awaited).
pub type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

pub(super) type BlockOn = Arc<dyn Fn(Work<'_>) + Send + Sync>;

/// Drives a future to its end.
fn driven<T: Send>(block_on: &BlockOn, future: impl Future<Output = T> + Send) -> T {
    let mut output = None;
    block_on(Box::pin(async { output = Some(future.await) }));
    output.expect("`block_on` drives a future to its end")
}

/// Polls a future so often, then drops it. None if it had not ended.
async fn broken_off<T>(future: impl Future<Output = T>, after: u32) -> Option<T> {
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(|context| {
        if polls == after {
            return Poll::Ready(None);
        }
        polls += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls == after => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// An awaited store, blocking.
pub(super) struct Awaited<S> {
    block_on: BlockOn,
    store: S,
}

impl<S: AsyncGrantStore> Awaited<S> {
    pub(super) fn open<F: Future<Output = S> + Send>(
        block_on: BlockOn,
        open: impl Fn() -> F + Send + Sync,
    ) -> Self {
        let mut store = None;
        block_on(Box::pin(async { store = Some(open().await) }));
        let store = store.expect("`block_on` drives a future to its end");
        Self { block_on, store }
    }
}

impl<S: AsyncGrantStore> GrantStore for Awaited<S> {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        driven(&self.block_on, self.store.load(key))
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        let held = driven(&self.block_on, self.store.lock(key, patience))?;
        Ok(Box::new(AwaitedHeld {
            block_on: self.block_on.clone(),
            held: Some(held),
        }))
    }

    fn lock_reads(&self) -> bool {
        self.store.lock_reads()
    }
}

struct AwaitedHeld<H: AsyncLockedGrant> {
    block_on: BlockOn,
    held: Option<H>,
}

impl<H: AsyncLockedGrant> AwaitedHeld<H> {
    fn held(&mut self) -> &mut H {
        self.held.as_mut().expect("it is there until the drop")
    }
}

impl<H: AsyncLockedGrant> LockedGrant for AwaitedHeld<H> {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        let block_on = self.block_on.clone();
        driven(&block_on, self.held().load())
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        let block_on = self.block_on.clone();
        driven(&block_on, self.held().prepare())
    }

    fn doubt(&self) -> Option<Doubt> {
        self.held.as_ref().and_then(AsyncLockedGrant::doubt)
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        let block_on = self.block_on.clone();
        driven(&block_on, self.held().save(grant))
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        let block_on = self.block_on.clone();
        driven(&block_on, self.held().remove())
    }
}

impl<H: AsyncLockedGrant> Drop for AwaitedHeld<H> {
    /// Within the runtime, where a caller drops it.
    fn drop(&mut self) {
        let held = self.held.take();
        driven(&self.block_on, async { drop(held) });
    }
}

/// A call of a holder.
pub(super) enum Call<'a> {
    Load,
    Prepare,
    Save(&'a TokenGrant),
    Remove,
}

/// A store whose futures can be dropped before they end.
pub(super) trait BreakOff: Send + Sync {
    /// Polls a `lock` so often, and drops it or its holder. True if it had ended.
    fn lock(&self, key: &GrantKey, patience: Duration, after: u32) -> bool;
    /// The same, but it is dropped after this time.
    fn lock_for(&self, key: &GrantKey, patience: Duration, time: Duration) -> bool;
    /// Polls a `load` so often, and drops it. True if it had ended.
    fn load(&self, key: &GrantKey, after: u32) -> bool;
    /// Takes the lock and loads, polls the call so often, drops it, then the holder. True if it had ended.
    fn held(&self, key: &GrantKey, patience: Duration, call: Call<'_>, after: u32) -> bool;
    /// Takes the lock, and drops it on this thread, outside of a runtime.
    fn drop_outside(&self, key: &GrantKey, patience: Duration);
}

impl<S: AsyncGrantStore> BreakOff for Awaited<S> {
    fn lock(&self, key: &GrantKey, patience: Duration, after: u32) -> bool {
        driven(&self.block_on, async {
            let broken_off = broken_off(self.store.lock(key, patience), after).await;
            broken_off.is_some()
        })
    }

    fn lock_for(&self, key: &GrantKey, patience: Duration, time: Duration) -> bool {
        let mut ended = Box::pin(self.store.lock(key, patience));
        let deadline = Instant::now() + time;
        let mut has_ended = false;
        // Each time anew, so that no clock of a runtime is needed.
        while Instant::now() < deadline && !has_ended {
            has_ended = driven(&self.block_on, async {
                poll_fn(|context| Poll::Ready(ended.as_mut().poll(context).is_ready())).await
            });
            if !has_ended {
                thread::sleep(Duration::from_millis(10));
            }
        }
        driven(&self.block_on, async { drop(ended) });
        has_ended
    }

    fn load(&self, key: &GrantKey, after: u32) -> bool {
        driven(&self.block_on, async {
            broken_off(self.store.load(key), after).await.is_some()
        })
    }

    fn held(&self, key: &GrantKey, patience: Duration, call: Call<'_>, after: u32) -> bool {
        driven(&self.block_on, async {
            let held = self.store.lock(key, patience).await;
            let mut held = well("lock", held);
            well("load of a holder", held.load().await);
            match call {
                Call::Load => broken_off(held.load(), after).await.is_some(),
                Call::Prepare => broken_off(held.prepare(), after).await.is_some(),
                Call::Save(grant) => broken_off(held.save(grant), after).await.is_some(),
                Call::Remove => broken_off(held.remove(), after).await.is_some(),
            }
        })
    }

    fn drop_outside(&self, key: &GrantKey, patience: Duration) {
        let held = driven(&self.block_on, self.store.lock(key, patience));
        drop(well("lock", held));
    }
}
