//! A store that is given up when it takes its time: for tokens that can be had without it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::{SteadyTime, TokenGrant};
use coze_auth_store::{Doubt, GrantKey, Notices, Saved, StoreError};

use crate::driver::Driver;
use crate::grants::{Grants, Held, Later, Store};
use crate::sync::{Mutex, locked};

/// The longest that one answer of a store is waited for.
const LONGEST: Duration = Duration::from_secs(5);
/// A store that takes so long to fail is away, too.
const SLOW: Duration = Duration::from_millis(250);
/// For how long a store that is away is left alone. Else each of many tokens that end at once would wait for it.
const LEFT_ALONE: Duration = Duration::from_secs(30);

/// How long one answer of a store may take: a sixth of a request, and five seconds at most.
pub(crate) fn limit(timeout: Duration) -> Duration {
    (timeout / 6).min(LONGEST)
}

/// Any store, each of whose calls is given up after the limit. What was given up goes on, and the lock that it gets then is
/// released at once.
pub(crate) struct TimeLimited<D> {
    asks: Asks<D>,
    grants: Arc<dyn Grants>,
}

impl<D: Driver> TimeLimited<D> {
    pub(crate) fn store(driver: &D, store: Store) -> Store {
        let asks = Asks {
            driver: driver.clone(),
            limit: limit(driver.timeout()),
            given_up: Arc::default(),
        };
        let grants = store.0;
        Store(Arc::new(Self { asks, grants }))
    }
}

/// How a store is asked.
#[derive(Clone)]
struct Asks<D> {
    driver: D,
    limit: Duration,
    /// When it was given up last and why, if it has not answered since.
    given_up: Arc<Mutex<Option<(SteadyTime, StoreError)>>>,
}

impl<D: Driver> Asks<D> {
    async fn ask<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let began = self.driver.now().steady;
        let given_up = locked(&self.given_up).clone();
        if let Some((at, why)) = given_up
            && at.until(began) < LEFT_ALONE
        {
            return Err(why);
        }
        let waited = self.limit.saturating_add(patience);
        let answer = self.driver.at_most(waited, work).await;
        let now = self.driver.now().steady;
        let answer = answer.unwrap_or_else(|why| match why.kind() {
            io::ErrorKind::TimedOut => Err(StoreError::Unanswered { waited }),
            // It panicked, or there is no thread.
            _ => Err(StoreError::Other(Arc::new(why))),
        });
        let why = answer.as_ref().err().filter(|why| match why {
            StoreError::Unanswered { .. } => true,
            StoreError::Locked { .. } => false,
            _ => !why.is_damaged() && began.until(now) >= SLOW,
        });
        *locked(&self.given_up) = why.map(|why| (now, why.clone()));
        answer
    }
}

impl<D: Driver> Grants for TimeLimited<D> {
    fn load<'a>(&'a self, key: &'a GrantKey) -> Later<'a, Option<TokenGrant>> {
        let (grants, key) = (self.grants.clone(), key.clone());
        let work = async move { grants.load(&key).await };
        Box::pin(self.asks.ask(Duration::ZERO, work))
    }

    fn lock<'a>(&'a self, key: &'a GrantKey, patience: Duration) -> Later<'a, Box<dyn Held>> {
        let (grants, key) = (self.grants.clone(), key.clone());
        let work = async move { grants.lock(&key, patience).await };
        Box::pin(async move {
            let held = Some(self.asks.ask(patience, work).await?);
            let asks = self.asks.clone();
            let held: Box<dyn Held> = Box::new(TimeLimitedHeld { asks, held });
            Ok(held)
        })
    }

    fn lock_reads(&self) -> bool {
        self.grants.lock_reads()
    }

    fn notices(&self) -> Option<&Notices> {
        self.grants.notices()
    }
}

/// What was not waited for is not here any more.
struct TimeLimitedHeld<D> {
    asks: Asks<D>,
    held: Option<Box<dyn Held>>,
}

impl<D: Driver> TimeLimitedHeld<D> {
    fn with<T: Send + 'static>(
        &mut self,
        act: impl for<'b> FnOnce(&'b mut dyn Held) -> Later<'b, T> + Send + 'static,
    ) -> Later<'_, T> {
        Box::pin(async move {
            let lost = || StoreError::Other(Arc::new(io::Error::other("its lock was lost")));
            let mut held = self.held.take().ok_or_else(lost)?;
            let work = async move {
                let result = act(&mut *held).await;
                Ok((held, result))
            };
            let (held, result) = self.asks.ask(Duration::ZERO, work).await?;
            self.held = Some(held);
            result
        })
    }
}

impl<D: Driver> Held for TimeLimitedHeld<D> {
    fn load(&mut self) -> Later<'_, Option<TokenGrant>> {
        self.with(|held| held.load())
    }

    fn doubt(&self) -> Option<Doubt> {
        self.held.as_ref().and_then(|held| held.doubt())
    }

    fn may_be_spent(&mut self) {
        if let Some(held) = &mut self.held {
            held.may_be_spent();
        }
    }

    fn prepare(&mut self) -> Later<'_, ()> {
        self.with(|held| held.prepare())
    }

    fn save<'a>(&'a mut self, grant: &'a TokenGrant) -> Later<'a, Saved> {
        let grant = grant.clone();
        self.with(move |held| Box::pin(async move { held.save(&grant).await }))
    }

    fn remove(&mut self) -> Later<'_, ()> {
        self.with(|held| held.remove())
    }
}
