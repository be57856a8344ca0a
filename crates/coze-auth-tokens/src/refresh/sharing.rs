//! The renewal of a token without a refresh token, which other processes may share.
//!
//! ```text
//!   read the store ──▶ a fresh token: take it ──▶ Done
//!         │
//!         ▼
//!   lock the key, read again ──▶ another has stored a fresh one: take it ──▶ Done
//!         │
//!         ▼
//!   Send ──▶ store the new token, publish it, release
//! ```
//!
//! Nothing is lost by a second signature. So whatever the store does, the renewal goes on without it.

use coze_auth_core::{TokenGrant, UnixTime};
use coze_auth_store::{GrantKey, Saved, StoreError};

use super::{Before, Refresh};
use crate::Error;
use crate::grants::Store;

impl Refresh {
    /// Takes the token that another process was given, or the right to ask for the next one for all.
    pub(super) async fn before_alone_or_shared(&mut self) -> Result<Before, Error> {
        if let Some((key, store)) = self.source.shared_place() {
            match self.look(&key, &store).await {
                Ok(Some(grant)) => return Ok(Before::Have(grant)),
                Ok(None) => {}
                Err(error) => self.not_shared = Some(error),
            }
        }
        self.renewal().map(Before::Send)
    }

    async fn look(
        &mut self,
        key: &GrantKey,
        store: &Store,
    ) -> Result<Option<TokenGrant>, StoreError> {
        let at_once = store.lock_at_once(key).await;
        let held = match at_once {
            Ok(Some(held)) => held,
            not_held => {
                // What cannot be read may be damaged, and is replaced by who has the lock.
                let stored = store.0.load(key).await.unwrap_or_default();
                if let Some(grant) = self.newer(stored) {
                    return Ok(Some(grant));
                }
                not_held?;
                // As long as another may ask Coze. Who has waited for that asks as well.
                store.0.lock(key, self.source.timeout()).await?
            }
        };
        let held = self.held.insert(held);
        match held.load().await {
            Ok(stored) => Ok(self.newer(stored)),
            Err(error) if error.is_damaged() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether this stored token was issued before one that the API has refused, as where that was not shared: what refused the newer
    /// one does not take it either, as far as we know.
    pub(super) fn is_older_than_refused(&self, stored: &TokenGrant) -> bool {
        let Some(known) = self.known.as_ref().filter(|known| known.rejected) else {
            return false;
        };
        !self.source.is_stored() && stored.expires_at < known.expires_at
    }

    /// Stores a new token for the others, if this process has the right to.
    pub(super) async fn share(&mut self, grant: &TokenGrant) {
        let Some(held) = &mut self.held else {
            return;
        };
        let began = self.source.now().steady;
        match held.save(&by_servers_clock(grant)).await {
            Ok(Saved::Stored) => {
                self.stored.push(began.until(self.source.now().steady));
                // What could not be read is replaced.
                self.not_shared = None;
            }
            // Another process was given one meanwhile, and the others have that. Both are good.
            Ok(Saved::Superseded) => {}
            // After a lock that was lost the reason is why it was.
            Err(error) => drop(self.not_shared.get_or_insert(error)),
        }
    }
}

/// As a process whose clock is right would have it: the others reckon from it how long the token lives.
fn by_servers_clock(grant: &TokenGrant) -> TokenGrant {
    let mut grant = grant.clone();
    if let Some(skew) = grant.clock_skew {
        let ours = grant.issued_at.as_secs();
        let theirs = ours.saturating_add_signed(skew.as_secs().saturating_neg());
        grant.issued_at = UnixTime::from_secs(theirs);
    }
    grant
}
