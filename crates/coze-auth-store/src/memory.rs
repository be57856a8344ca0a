//! Grants in this process.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use coze_auth_core::TokenGrant;

use crate::store::{GrantStore, LockedGrant, Saved};
use crate::sync::{Condvar, Mutex, locked};
use crate::{GrantKey, StoreError};

/// Grants that are gone when the process ends: for tests, and where a new login costs nothing. Clones are the
/// same store. A grant that has ended and has no refresh token, as of a session that nobody asks for any more, is dropped by and by.
///
/// ```
/// use std::time::Duration;
///
/// use coze_auth_store::core::{Endpoints, TokenGrant, device::DeviceApp};
/// use coze_auth_store::{GrantKey, GrantStore, MemoryStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let grant = TokenGrant::from_secret_json(r#"{"access_token":"a","issued_at":1790000000,"expires_at":1790000900}"#)?;
/// let store = MemoryStore::new(); // a token source does the rest of this by itself
/// let key = GrantKey::new(&DeviceApp::new(Endpoints::cn(), "1234.app.coze")?.into(), "alice")?;
/// store.lock(&key, Duration::from_secs(5))?.save(&grant)?;
/// assert_eq!(store.load(&key)?.unwrap().access_token.expose(), "a");
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Shelf>);

#[derive(Default)]
struct Shelf {
    kept: Mutex<Kept>,
    unlocked: Condvar,
}

#[derive(Default)]
struct Kept {
    grants: HashMap<GrantKey, TokenGrant>,
    locked: HashSet<GrantKey>,
    /// With so many grants it is looked for those that are of no use any more.
    full_at: usize,
}

/// So many grants are kept without a look at them.
const FEW: usize = 1_024;

impl Kept {
    /// By the clock of who stores this one: the store has none. Each look makes room for as many as stay, so it costs a grant little.
    fn insert(&mut self, key: GrantKey, grant: TokenGrant) {
        if self.grants.len() >= self.full_at.max(FEW) {
            let now = grant.issued_at;
            self.grants
                .retain(|_, kept| kept.refresh_token.is_some() || now < kept.expires_at);
            self.full_at = 2 * self.grants.len();
        }
        self.grants.insert(key, grant);
    }
}

impl MemoryStore {
    /// A store without grants.
    pub fn new() -> Self {
        Self::default()
    }
}

impl GrantStore for MemoryStore {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        Ok(locked(&self.0.kept).grants.get(key).cloned())
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        let kept = locked(&self.0.kept);
        let (mut kept, _) = self
            .0
            .unlocked
            .wait_timeout_while(kept, patience, |kept| kept.locked.contains(key))
            .unwrap_or_else(PoisonError::into_inner);
        match kept.locked.insert(key.clone()) {
            true => Ok(Box::new(Held {
                shelf: self.0.clone(),
                key: key.clone(),
            })),
            false => Err(StoreError::Locked { waited: patience }),
        }
    }
}

struct Held {
    shelf: Arc<Shelf>,
    key: GrantKey,
}

impl LockedGrant for Held {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        Ok(locked(&self.shelf.kept).grants.get(&self.key).cloned())
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        // Nobody can have come in between: the lock has no lease.
        locked(&self.shelf.kept).insert(self.key.clone(), grant.clone());
        Ok(Saved::Stored)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        locked(&self.shelf.kept).grants.remove(&self.key);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        locked(&self.shelf.kept).locked.remove(&self.key);
        self.shelf.unlocked.notify_all();
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(coze_auth_model)))]
mod tests {
    use coze_auth_core::Endpoints;

    use super::*;

    /// A server has a grant for each session, and each user comes once.
    #[test]
    fn what_has_ended_and_cannot_be_renewed_is_dropped_by_and_by() {
        let store = MemoryStore::new();
        let save = |number: u64, refresh: &str| {
            let grant = format!(
                r#"{{"access_token":"a",{refresh}"issued_at":{number},"expires_at":{}}}"#,
                number + 900
            );
            let grant = TokenGrant::from_secret_json(&grant).unwrap();
            let key = GrantKey::of(&Endpoints::cn(), "1", number.to_string()).unwrap();
            let held = store.lock(&key, Duration::ZERO);
            held.unwrap().save(&grant).unwrap();
            key
        };
        // In its first second, so that it ends first.
        let login = save(0, r#""refresh_token":"r","#);
        for number in 1..10_000 {
            let key = save(number, "");
            assert!(store.load(&key).unwrap().is_some());
            let kept = locked(&store.0.kept).grants.len();
            assert!(kept <= 2 * FEW, "{kept} after {number}");
        }
        assert!(store.load(&login).unwrap().is_some(), "a login stays");
    }
}
