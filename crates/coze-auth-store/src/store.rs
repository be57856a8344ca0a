//! Where grants rest.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::{TokenGrant, UnixTime};

use crate::{GrantKey, Notices, StoreError};

/// A place where grants rest, shared by all who renew them.
///
/// Coze rotates refresh tokens: a renewal spends one and gives another, so two who renew the same grant at once
/// end it. A store therefore gives out the right to change a grant, one holder at a time, and a token source
/// keeps it from before it reads the refresh token until the new one is stored.
///
/// The methods may block: the async adapter calls them on its runtime's blocking threads.
///
/// # What a store holds to
///
/// Any number of handles may be open on a store, in one process and in many. What is stored for one key has nothing to do
/// with what is stored for another, and neither have their locks. No error shows a token, neither in its text nor in its
/// `Debug`. What a test can ask of these traits is a rule of `store_conformance_tests!` (feature `conformance` of this
/// crate), which makes a `#[test]` of each over a store of yours.
///
/// # A store on an engine of your own
///
/// On Redis or Valkey take `coze-auth-redis`.
///
/// Another engine needs a row for a [`GrantKey`] with the grant's
/// [`to_secret_json`](TokenGrant::to_secret_json) and a revision, and a lock that ends by itself when its
/// holder dies. [`LockedGrant`] is the place for the revision: `load` remembers it, `save` writes only where it
/// still stands, and says [`Saved::Superseded`] where it does not. A revision never comes again, also not after a
/// removal: one that is counted from 1 lets a late holder overwrite a new login.
///
/// | | Postgres, all of it on the connection that has the lock |
/// |---|---|
/// | the table | `coze_grants (id text PRIMARY KEY, secret text NOT NULL, revision uuid NOT NULL DEFAULT gen_random_uuid())` |
/// | `lock` | a connection of its own, since a session may take its lock twice: `SET lock_timeout = ` milliseconds of the patience (at least 1, since 0 is without end; at most 2147483647), then `SELECT pg_advisory_lock(('x' \|\| left($1, 16))::bit(64)::bigint)` of the [`id`](GrantKey::id). SQLSTATE `55P03` is [`StoreError::Locked`]. The lock ends with the connection |
/// | `load` | `SELECT secret, revision FROM coze_grants WHERE id = $1` |
/// | `prepare` | `BEGIN`, what `save` does, `ROLLBACK`: it tells rights, room and a lost connection |
/// | `save` | `UPDATE coze_grants SET secret = $2, revision = gen_random_uuid() WHERE id = $1 AND revision = $3 RETURNING revision`; where there was none, `INSERT INTO coze_grants (id, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING revision`. No row: superseded |
/// | `remove` | `DELETE FROM coze_grants WHERE id = $1` |
///
/// A connection pooler must give a session and not a transaction, or the lock is somebody else's. Leave
/// `synchronous_commit` on: when `save` returns, the old refresh token is spent. With a replica that may be promoted, wait for
/// it, too (`synchronous_standby_names`).
///
/// A lock that ends by a lease, or with a connection, can end under its holder. The comparison in `save` is what keeps the
/// store whole then: the slower one is told that it was superseded and takes what is stored. Let a lease last
/// three timeouts of a request and ten seconds, since a renewal makes up to three requests and pauses once; or let it be
/// short, and extend it while its holder lives, as `coze-auth-redis` does. No store can hold back a request that is under way: of two
/// that spend one refresh token the second is refused.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::time::Duration;
///
/// use coze_auth_store::core::TokenGrant;
/// use coze_auth_store::{GrantKey, GrantStore, LockedGrant, MemoryStore, StoreError};
///
/// /// Counts how often it is asked.
/// struct Counted<S>(S, AtomicU32);
///
/// impl<S: GrantStore> GrantStore for Counted<S> {
///     fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
///         self.1.fetch_add(1, Ordering::Relaxed);
///         self.0.load(key)
///     }
///
///     fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
///         self.0.lock(key, patience)
///     }
/// }
///
/// # use coze_auth_store::core::{Endpoints, device::DeviceApp};
/// # let key = GrantKey::new(&DeviceApp::new(Endpoints::cn(), "1234.app.coze").unwrap().into(), "alice").unwrap();
/// let store = Counted(MemoryStore::new(), AtomicU32::new(0));
/// assert!(store.load(&key)?.is_none());
/// assert_eq!(store.1.load(Ordering::Relaxed), 1);
/// # Ok::<(), StoreError>(())
/// ```
pub trait GrantStore: Send + Sync {
    /// Reads the grant, without waiting for who holds the right to change it. It is what was saved last, whole, through
    /// whichever handle, also one that is gone.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot be read. It is not an error that there is none.
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError>;

    /// Waits for the right to change the grant, for at most `patience` of the machine's time, which may be
    /// [`Duration::MAX`]. A right that nobody has needs no patience. One holder has it at a time, through one handle or several. It is the holder's until
    /// it is dropped, on whichever thread, also when the handle is gone; a save or a removal may give it back sooner.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when the patience is at an end.
    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError>;

    /// Returns true if [`lock`](Self::lock) reads the grant in the same step and [`save`](LockedGrant::save) compares with what
    /// it read: then the holder's first [`load`](LockedGrant::load) costs nothing. A token source then asks for the lock without a
    /// `load` before it, and saves without another: two round trips to an engine for a renewal.
    fn lock_reads(&self) -> bool {
        false
    }

    /// What it has to tell to those who run the application, such as what endangers a login: a token source over it tells its
    /// observers (`EventKind::Notice`). None if it never has. A store that wraps another passes that on.
    fn notices(&self) -> Option<&Notices> {
        None
    }
}

/// The right to change one grant. Dropping it gives it to the next at once, and changes nothing else; so does a panic.
///
/// It is usually dropped where it was used, on a thread that may block; but when a runtime is shut down in mid-renewal,
/// on one that may not. So a drop must neither wait nor panic: hand a connection over to be closed elsewhere.
pub trait LockedGrant: Send {
    /// Reads the grant as it is now. A row that is not a grant is [`StoreError::Corrupt`] or another error, and its
    /// revision is remembered all the same: a login replaces it.
    ///
    /// # Errors
    ///
    /// As for [`GrantStore::load`].
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError>;

    /// Finds out whether the next [`save`](Self::save) will succeed, as far as that can be known, by the same way of
    /// writing: with the rights that it needs, and with room for a grant. It is called just before the refresh
    /// token is spent, and a failure then costs nothing. A holder whose lock has ended, and whose grant another has changed, is
    /// told here. What [`load`](Self::load) gives stays the same.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if a grant could not be stored now.
    fn prepare(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Why the refresh token of the grant may be spent, though it is stored. None if nothing speaks for that, or if the
    /// store cannot know. It is known when the holder has the lock, and stays the same until it saves. Only
    /// [`prepare`](Self::prepare) may find one, where it has to take the lock anew.
    fn doubt(&self) -> Option<Doubt> {
        None
    }

    /// Notes that the refresh token of the stored grant may have been spent by this holder, whose request has no answer that is known. A token
    /// source says so before it drops the lock without a save, such as when its runtime is shut down in mid-request. A store that can tell
    /// the next holder by [`doubt`](Self::doubt) does. It neither waits nor panics.
    fn may_be_spent(&mut self) {}

    /// Stores the grant in place of what the last [`load`](Self::load) of this holder gave; without a `load`
    /// before it (a login), in place of nothing. Where something else is stored by now, that stays, and this is
    /// [`Saved::Superseded`]: a holder whose lock has ended overwrites no later save, undoes no removal, and overwrites no login
    /// that followed one. Of two that hold a lock at once, since the first one's lease has ended, one saves. A store whose lock
    /// cannot end under its holder need not compare. When this returns, the grant survives a loss of power.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it is not stored; what was there before is there still.
    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError>;

    /// Removes the grant, with every copy that the store has of it. It is not an error that there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it is still there.
    fn remove(&mut self) -> Result<(), StoreError>;
}

/// Why the refresh token of a stored grant may be spent: [`LockedGrant::doubt`]. Refresh tokens of Coze work once, so it is
/// tried once, and a refusal is told with this.
///
/// Its `Display` is a clause for an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Doubt {
    /// Another holder began to change the grant, and neither stored anything nor gave it back: it may have died after Coze
    /// had acted, and before it could store the new refresh token.
    Unfinished {
        /// When it began, by the clock of the store.
        since: UnixTime,
    },
    /// The store has an older grant than this process has seen in it: it was restored from a copy, or another server has
    /// taken its place.
    WentBack,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished { since } => write!(
                f,
                "another process began to renew the grant at {} and never stored a result",
                since.as_secs()
            ),
            Self::WentBack => f.write_str(
                "the store has an older grant than this process has seen in it: it was restored from a copy, or another \
                 server has taken its place",
            ),
        }
    }
}

/// The result of storing a grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums)] // a store says one of two things
pub enum Saved {
    /// It is stored.
    Stored,
    /// It is not: someone else has stored another one since the last `load`, because a lease ran out or a person
    /// has logged in again.
    Superseded,
}

impl<S: GrantStore + ?Sized> GrantStore for Arc<S> {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        (**self).load(key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        (**self).lock(key, patience)
    }

    fn lock_reads(&self) -> bool {
        (**self).lock_reads()
    }

    fn notices(&self) -> Option<&Notices> {
        (**self).notices()
    }
}

/// [`GrantStore`] for a store that is awaited, such as over an engine's async client: while it waits for a lock it
/// takes no thread. The async token sources take it (`TokenSource::stored_async`). What the methods mean, what they must
/// hold to and how they fail is the same.
///
/// A future that is dropped leaves the grant as it was or as it was to be, and gives a lock that it waited for to the
/// next.
pub trait AsyncGrantStore: Send + Sync {
    /// The right to change one grant.
    type Locked: AsyncLockedGrant + 'static;

    /// As [`GrantStore::load`].
    ///
    /// # Errors
    ///
    /// As for [`GrantStore::load`].
    fn load(
        &self,
        key: &GrantKey,
    ) -> impl Future<Output = Result<Option<TokenGrant>, StoreError>> + Send;

    /// As [`GrantStore::lock`].
    ///
    /// # Errors
    ///
    /// As for [`GrantStore::lock`].
    fn lock(
        &self,
        key: &GrantKey,
        patience: Duration,
    ) -> impl Future<Output = Result<Self::Locked, StoreError>> + Send;

    /// As [`GrantStore::lock_reads`].
    fn lock_reads(&self) -> bool {
        false
    }

    /// As [`GrantStore::notices`].
    fn notices(&self) -> Option<&Notices> {
        None
    }
}

/// [`LockedGrant`] of a store that is awaited. Dropping it gives the grant to the next; a drop must neither wait nor
/// panic, also where no runtime is.
pub trait AsyncLockedGrant: Send {
    /// As [`LockedGrant::load`].
    ///
    /// # Errors
    ///
    /// As for [`LockedGrant::load`].
    fn load(&mut self) -> impl Future<Output = Result<Option<TokenGrant>, StoreError>> + Send;

    /// As [`LockedGrant::prepare`].
    ///
    /// # Errors
    ///
    /// As for [`LockedGrant::prepare`].
    fn prepare(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Ok(()) }
    }

    /// As [`LockedGrant::doubt`].
    fn doubt(&self) -> Option<Doubt> {
        None
    }

    /// As [`LockedGrant::may_be_spent`].
    fn may_be_spent(&mut self) {}

    /// As [`LockedGrant::save`].
    ///
    /// # Errors
    ///
    /// As for [`LockedGrant::save`].
    fn save(
        &mut self,
        grant: &TokenGrant,
    ) -> impl Future<Output = Result<Saved, StoreError>> + Send;

    /// As [`LockedGrant::remove`].
    ///
    /// # Errors
    ///
    /// As for [`LockedGrant::remove`].
    fn remove(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl<S: AsyncGrantStore + ?Sized> AsyncGrantStore for Arc<S> {
    type Locked = S::Locked;

    fn load(
        &self,
        key: &GrantKey,
    ) -> impl Future<Output = Result<Option<TokenGrant>, StoreError>> + Send {
        (**self).load(key)
    }

    fn lock(
        &self,
        key: &GrantKey,
        patience: Duration,
    ) -> impl Future<Output = Result<Self::Locked, StoreError>> + Send {
        (**self).lock(key, patience)
    }

    fn lock_reads(&self) -> bool {
        (**self).lock_reads()
    }

    fn notices(&self) -> Option<&Notices> {
        (**self).notices()
    }
}
