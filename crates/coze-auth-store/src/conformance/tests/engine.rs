//! An engine with leases and revisions, in both forms of the trait, whole or with one fault.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread, ThreadId};
use std::time::{Duration, Instant};

use coze_auth_core::TokenGrant;

use crate::conformance::{StoreUnderTest, Work};
use crate::{
    AsyncGrantStore, AsyncLockedGrant, Doubt, GrantKey, GrantStore, LockedGrant, Saved, StoreError,
};

/// What is wrong with an engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    // Keys.
    KeysInSmallLetters,
    KeysWithoutTheBase,
    KeysRunTogether,
    KeysCutOff,
    OneLockForAllKeys,
    AllUsersAreOneRow,
    // Members.
    TheOldRefreshTokenStays,
    LongTokensAreCutOff,
    TimesAreFloats,
    // Locks.
    TheLockIsOfOneHandle,
    AHandleTakesItsLockTwice,
    AThreadTakesItsLockTwice,
    PatienceIsNotHeeded,
    PatienceIsOverAtOnce,
    PatienceOverflows,
    NoPatienceIsNoLock,
    WaitsInLongSteps,
    WhoGaveUpGetsTheLock,
    ADropWithoutASaveKeepsTheLock,
    APanicKeepsTheLock,
    TheLockEndsWithItsHandle,
    TheDropWaits,
    TheLockIsLookedAtThenTaken,
    PrepareGivesTheLockBack,
    ALockInsertsARow,
    // Reads.
    LoadsAreCached,
    CachesMissRemovals,
    HoldersReadWhatTheirHandleRead,
    LoadsWaitForTheHolder,
    GrantsAreOfOneHandle,
    // Writes.
    SavesAreWrittenAtTheDrop,
    SavesDoNotCompare,
    RevisionsBeginAnew,
    ASaveBringsARemovedGrantBack,
    AFirstSaveDoesNotCompare,
    SupersededSavesAreStored,
    LoginsAreSupersededForEver,
    ADropWithoutASaveRemoves,
    PrepareWrites,
    PrepareSaysYes,
    PrepareDoesNotLookAtTheRoom,
    SavesNeedRoom,
    ALateDropReleasesTheNext,
    ALockSaysThatItReads,
    ASaveLeavesADoubt,
    ADropLeavesADoubt,
    EndedLeasesStay,
    ARemovalLeavesACopy,
    ARemovalIsOfOneHandle,
    RemovingNothingFails,
    // Trouble.
    WhatIsDamagedIsNotThere,
    WhatIsDamagedStays,
    ErrorsQuoteTheRow,
    FailedSavesQuoteTheGrant,
    SavesAreNotDurable,
    RemovalsAreNotDurable,
    // Futures.
    ALockThatIsBrokenOffStays,
    AnAwaitedLockBlocks,
    WhoIsDroppedGetsTheLock,
    ASaveIsADeleteAndAnInsert,
    ASaveLeavesTheRowBusy,
    ARemovalEmptiesTheRowFirst,
    ALoadTakesTheRowOut,
    ADropNeedsTheRuntime,
}

use Fault::*;

impl Fault {
    /// Whether the awaited form alone can have it.
    pub(super) fn is_of_futures(self) -> bool {
        self as u32 >= ALockThatIsBrokenOffStays as u32
    }
}

/// A row: the JSON of a grant, and which save it is of.
#[derive(Clone)]
struct Row {
    json: String,
    revision: u64,
}

impl Row {
    /// What takes the place of a grant that is to come.
    fn reserved(revision: u64) -> Self {
        let json = r#"{"access_token":"reserved-0","issued_at":1,"expires_at":2}"#.to_owned();
        Self { json, revision }
    }
}

#[derive(Default)]
struct Tables {
    rows: HashMap<String, Row>,
    /// Who has which lock.
    locks: HashMap<String, Lock>,
    /// Locks for which somebody stands in the queue who is gone.
    gave_up: HashSet<String>,
    /// What no key leads to.
    copies: Vec<String>,
    /// What a restart leaves.
    durable: HashMap<String, Row>,
    /// Rows that a holder has begun to change.
    begun: HashSet<String>,
    /// Rows whose transaction is open.
    busy: HashSet<String>,
    is_full: bool,
}

#[derive(Clone, Copy)]
struct Lock {
    holder: u64,
    handle: u64,
    thread: ThreadId,
}

/// The engine itself.
pub(super) struct Engine {
    fault: Option<Fault>,
    tables: Mutex<Tables>,
    changed: Condvar,
    number: AtomicU64,
    /// As [`GrantStore::lock_reads`]: the blocking form alone, so that both ways are tried.
    lock_reads: bool,
    /// How long a fault lasts that takes time.
    long: Duration,
}

impl Engine {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("no panic within")
    }

    fn next(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    fn row_id(&self, key: &GrantKey) -> String {
        match self.fault {
            Some(KeysInSmallLetters) => format!("{key:?}").to_lowercase(),
            Some(KeysWithoutTheBase) => format!("{:?}", (key.client_id(), key.subject())),
            Some(KeysRunTogether) => {
                format!("{}{}{}", key.api_base(), key.client_id(), key.subject())
            }
            Some(KeysCutOff) => format!("{key:?}").chars().take(255).collect(),
            _ => [key.api_base(), key.client_id(), key.subject()].join("\n"),
        }
    }

    fn lock_id(&self, key: &GrantKey) -> String {
        match self.fault {
            Some(OneLockForAllKeys) => String::new(),
            _ => self.row_id(key),
        }
    }

    /// What an engine makes of the JSON that it is given.
    fn written(&self, before: Option<&Row>, grant: &TokenGrant) -> String {
        let json = grant.to_secret_json().expose().to_owned();
        match self.fault {
            Some(TheOldRefreshTokenStays) if grant.refresh_token.is_none() => {
                let old = before.and_then(|row| TokenGrant::from_secret_json(&row.json).ok());
                let Some(old) = old.and_then(|old| old.refresh_token) else {
                    return json;
                };
                let mut with_old = grant.clone();
                with_old.refresh_token = Some(old);
                with_old.to_secret_json().expose().to_owned()
            }
            Some(LongTokensAreCutOff) => {
                let mut cut = grant.clone();
                let token = cut.refresh_token.take();
                let token =
                    token.map(|token| token.expose().chars().take(4096).collect::<String>());
                cut.refresh_token =
                    token.and_then(|token| coze_auth_core::RefreshToken::new(token).ok());
                cut.to_secret_json().expose().to_owned()
            }
            Some(TimesAreFloats) => {
                let mut rounded = grant.clone();
                let secs = grant.expires_at.as_secs() as f64 as u64;
                rounded.expires_at = coze_auth_core::UnixTime::from_secs(secs);
                rounded.to_secret_json().expose().to_owned()
            }
            _ => json,
        }
    }

    fn read(&self, row: Option<&Row>) -> Result<Option<TokenGrant>, StoreError> {
        let Some(row) = row else { return Ok(None) };
        match TokenGrant::from_secret_json(&row.json) {
            Ok(grant) => Ok(Some(grant)),
            Err(_) if self.has(WhatIsDamagedIsNotThere) => Ok(None),
            Err(_) if self.has(ErrorsQuoteTheRow) => Err(failed(&row.json)),
            Err(_) => Err(failed("a row is not a grant")),
        }
    }
}

fn failed(why: &str) -> StoreError {
    StoreError::Other(Arc::new(std::io::Error::other(why.to_owned())))
}

/// A handle of the engine, as a process has one.
#[derive(Clone)]
pub(super) struct Handle {
    engine: Arc<Engine>,
    own: Arc<Own>,
}

/// What a process has beside the engine.
struct Own {
    number: u64,
    engine: Arc<Engine>,
    cache: Mutex<HashMap<String, Option<TokenGrant>>>,
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.engine.has(TheLockEndsWithItsHandle) {
            let number = self.number;
            self.engine
                .tables()
                .locks
                .retain(|_, lock| lock.handle != number);
            self.engine.changed.notify_all();
        }
    }
}

impl Handle {
    fn new(engine: &Arc<Engine>) -> Self {
        let own = Own {
            number: engine.next(),
            engine: engine.clone(),
            cache: Mutex::default(),
        };
        Self {
            engine: engine.clone(),
            own: Arc::new(own),
        }
    }

    fn read_row(&self, key: &GrantKey) -> Result<(Option<TokenGrant>, Option<u64>), StoreError> {
        let engine = &*self.engine;
        let id = engine.row_id(key);
        let of_handle = format!("{id} of {}", self.own.number);
        let tables = engine.tables();
        let row = match engine.fault {
            Some(GrantsAreOfOneHandle | ARemovalIsOfOneHandle) => {
                tables.rows.get(&of_handle).or_else(|| match engine.fault {
                    Some(ARemovalIsOfOneHandle) => tables.rows.get(&id),
                    _ => None,
                })
            }
            _ => tables.rows.get(&id),
        };
        // A row of the handle that is empty was removed by it.
        let row = row.filter(|row| !row.json.is_empty());
        Ok((engine.read(row)?, row.map(|row| row.revision)))
    }

    fn load_now(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        let engine = &*self.engine;
        if engine.has(LoadsWaitForTheHolder) {
            let until = Instant::now() + engine.long;
            let mut tables = engine.tables();
            while tables.locks.contains_key(&engine.lock_id(key)) && Instant::now() < until {
                tables = engine
                    .changed
                    .wait_timeout(tables, engine.long)
                    .expect("no panic")
                    .0;
            }
        }
        if engine.has(LoadsAreCached) {
            let mut cache = self.own.cache.lock().expect("no panic");
            if let Some(Some(grant)) = cache.get(&engine.row_id(key)) {
                return Ok(Some(grant.clone()));
            }
            let found = self.read_row(key)?.0;
            cache.insert(engine.row_id(key), found.clone());
            return Ok(found);
        }
        let found = self.read_row(key)?.0;
        if engine.has(CachesMissRemovals) {
            let mut cache = self.own.cache.lock().expect("no panic");
            let id = engine.row_id(key);
            if found.is_some() {
                cache.insert(id, found.clone());
            } else if let Some(known) = cache.get(&id) {
                return Ok(known.clone());
            }
        }
        if engine.has(HoldersReadWhatTheirHandleRead) {
            let mut cache = self.own.cache.lock().expect("no panic");
            cache.insert(engine.row_id(key), found.clone());
        }
        Ok(found)
    }

    /// Takes the lock if it is free.
    fn try_lock(&self, key: &GrantKey) -> Option<Holder> {
        let engine = &*self.engine;
        let mut tables = engine.tables();
        let id = match engine.fault {
            Some(TheLockIsOfOneHandle) => format!("{} of {}", engine.lock_id(key), self.own.number),
            _ => engine.lock_id(key),
        };
        if let Some(lock) = tables.locks.get(&id) {
            let again = match engine.fault {
                Some(AHandleTakesItsLockTwice) => lock.handle == self.own.number,
                Some(AThreadTakesItsLockTwice) => lock.thread == thread::current().id(),
                _ => false,
            };
            if !again {
                return None;
            }
        }
        if engine.has(TheLockIsLookedAtThenTaken) {
            drop(tables);
            thread::sleep(Duration::from_millis(1));
            tables = engine.tables();
        }
        let lock = Lock {
            holder: engine.next(),
            handle: self.own.number,
            thread: thread::current().id(),
        };
        tables.locks.insert(id.clone(), lock);
        if engine.has(ALockInsertsARow) {
            let revision = engine.next();
            tables
                .rows
                .entry(engine.row_id(key))
                .or_insert_with(|| Row::reserved(revision));
        }
        let reads = self.lock_reads() && !engine.has(ALockSaysThatItReads);
        let row = tables.rows.get(&engine.row_id(key)).filter(|_| reads);
        let since = coze_auth_core::UnixTime::from_secs(1_750_000_000);
        let is_begun = tables.begun.contains(&engine.row_id(key));
        Some(Holder {
            handle: self.clone_of(&engine.fault),
            lock_id: id,
            number: lock.holder,
            key: key.clone(),
            seen: row.map(|row| row.revision),
            doubt: is_begun.then_some(Doubt::Unfinished { since }),
            has_prepared: false,
            has_written: false,
            later: None,
        })
    }

    /// For a holder: with the handle it began with, unless its lock ends with that.
    fn clone_of(&self, fault: &Option<Fault>) -> Self {
        match fault {
            Some(TheLockEndsWithItsHandle) => Self::new(&self.engine),
            _ => self.clone(),
        }
    }

    fn lock_now(&self, key: &GrantKey, patience: Duration) -> Result<Holder, StoreError> {
        let engine = &*self.engine;
        if engine.has(NoPatienceIsNoLock) && patience.is_zero() {
            return Err(StoreError::Locked { waited: patience });
        }
        let begun = Instant::now();
        let end = match engine.has(PatienceOverflows) {
            true => Some(begun + patience),
            false => begun.checked_add(patience),
        };
        loop {
            if let Some(holder) = self.try_lock(key) {
                return Ok(holder);
            }
            let is_over = match engine.fault {
                Some(PatienceIsOverAtOnce) => true,
                Some(PatienceIsNotHeeded) => {
                    begun.elapsed() >= patience.saturating_add(engine.long)
                }
                _ => end.is_some_and(|end| Instant::now() >= end),
            };
            if is_over {
                let locked = StoreError::Locked {
                    waited: patience.min(begun.elapsed()),
                };
                if engine.has(WhoGaveUpGetsTheLock) {
                    engine.tables().gave_up.insert(engine.lock_id(key));
                }
                return Err(locked);
            }
            match engine.has(WaitsInLongSteps) {
                true => thread::sleep(engine.long.min(patience)),
                false => {
                    let tables = engine.tables();
                    // A change may have been missed, so it looks again soon.
                    let step = Duration::from_millis(20);
                    drop(engine.changed.wait_timeout(tables, step).expect("no panic"));
                }
            }
        }
    }
}

/// A holder of a lock.
pub(super) struct Holder {
    handle: Handle,
    lock_id: String,
    number: u64,
    key: GrantKey,
    /// The revision of the last load, or of its own last save.
    seen: Option<u64>,
    doubt: Option<Doubt>,
    has_prepared: bool,
    has_written: bool,
    later: Option<TokenGrant>,
}

impl Holder {
    fn engine(&self) -> &Engine {
        &self.handle.engine
    }

    fn load_now(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        let (engine, id) = (
            self.handle.engine.clone(),
            self.handle.engine.row_id(&self.key),
        );
        self.seen = engine.tables().rows.get(&id).map(|row| row.revision);
        if let Some(later) = &self.later {
            return Ok(Some(later.clone()));
        }
        let cached = self
            .handle
            .own
            .cache
            .lock()
            .expect("no panic")
            .get(&id)
            .cloned();
        match (engine.fault, cached) {
            (Some(HoldersReadWhatTheirHandleRead), Some(cached)) => Ok(cached),
            _ => Ok(self.handle.read_row(&self.key)?.0),
        }
    }

    fn is_late(&self, tables: &Tables) -> bool {
        let lock = tables.locks.get(&self.lock_id);
        lock.is_none_or(|lock| lock.holder != self.number)
    }

    fn prepare_now(&mut self) -> Result<(), StoreError> {
        let engine = self.handle.engine.clone();
        let id = engine.row_id(&self.key);
        let mut tables = engine.tables();
        if engine.has(PrepareSaysYes) {
            return Ok(());
        }
        if tables.is_full && !engine.has(PrepareDoesNotLookAtTheRoom) {
            return Err(failed("full"));
        }
        let is_changed = tables.rows.get(&id).map(|row| row.revision) != self.seen;
        if self.is_late(&tables) && is_changed {
            return Err(failed("the lock has ended"));
        }
        tables.begun.insert(id.clone());
        self.has_prepared = true;
        if engine.has(PrepareGivesTheLockBack) && !self.is_late(&tables) {
            tables.locks.remove(&self.lock_id);
        }
        if engine.has(PrepareWrites) && !tables.rows.contains_key(&id) {
            let row = Row::reserved(engine.next());
            self.seen = Some(row.revision);
            tables.rows.insert(id, row);
        }
        Ok(())
    }

    fn save_now(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        let engine = self.handle.engine.clone();
        if engine.has(SavesAreWrittenAtTheDrop) {
            self.later = Some(grant.clone());
            return Ok(Saved::Stored);
        }
        let mut tables = engine.tables();
        let id = match engine.fault {
            Some(GrantsAreOfOneHandle) => {
                format!("{} of {}", engine.row_id(&self.key), self.handle.own.number)
            }
            _ => engine.row_id(&self.key),
        };
        let before = tables.rows.get(&id).cloned();
        if tables.is_full {
            // Room was made by `prepare`, unless it is forgotten.
            match engine.fault {
                Some(SavesNeedRoom | PrepareSaysYes | PrepareDoesNotLookAtTheRoom) => {
                    return Err(failed("full"));
                }
                Some(FailedSavesQuoteTheGrant) => {
                    return Err(failed(grant.to_secret_json().expose()));
                }
                _ => {}
            }
        }
        if engine.has(WhatIsDamagedStays)
            && before
                .as_ref()
                .is_some_and(|row| engine.read(Some(row)).is_err())
        {
            return Err(failed("a row is not a grant"));
        }
        let found = before.as_ref().map(|row| row.revision);
        let is_same = match engine.fault {
            Some(SavesDoNotCompare | GrantsAreOfOneHandle) => true,
            Some(ASaveBringsARemovedGrantBack) => found == self.seen || found.is_none(),
            Some(AFirstSaveDoesNotCompare) => found == self.seen || self.seen.is_none(),
            Some(LoginsAreSupersededForEver) => found == self.seen && found.is_none(),
            _ => found == self.seen,
        };
        if !is_same && !engine.has(SupersededSavesAreStored) {
            return Ok(Saved::Superseded);
        }
        let revision = match engine.fault {
            Some(RevisionsBeginAnew) => found.unwrap_or(0) + 1,
            _ => engine.next(),
        };
        let row = Row {
            json: engine.written(before.as_ref(), grant),
            revision,
        };
        if engine.has(ARemovalLeavesACopy) {
            tables.copies.push(row.json.clone());
        }
        let is_first = !tables.durable.contains_key(&id);
        if !engine.has(SavesAreNotDurable) || is_first {
            tables.durable.insert(id.clone(), row.clone());
        }
        if engine.has(AllUsersAreOneRow) {
            // All of them are read, and a moment later written.
            let mut all = tables.rows.clone();
            drop(tables);
            thread::sleep(Duration::from_millis(2));
            tables = engine.tables();
            all.insert(id, row);
            tables.rows = all;
        } else {
            tables.rows.insert(id, row);
        }
        if !engine.has(ASaveLeavesADoubt) {
            tables.begun.remove(&engine.row_id(&self.key));
            self.doubt = None;
        }
        self.seen = Some(revision);
        self.has_written = true;
        match is_same {
            true => Ok(Saved::Stored),
            false => Ok(Saved::Superseded),
        }
    }

    fn remove_now(&mut self) -> Result<(), StoreError> {
        let engine = self.handle.engine.clone();
        let mut tables = engine.tables();
        let id = engine.row_id(&self.key);
        if engine.has(ARemovalIsOfOneHandle) {
            let id = format!("{id} of {}", self.handle.own.number);
            let json = String::new();
            tables.rows.insert(id, Row { json, revision: 0 });
            return Ok(());
        }
        if !engine.has(RemovalsAreNotDurable) {
            tables.durable.remove(&id);
        }
        tables.begun.remove(&id);
        if engine.has(GrantsAreOfOneHandle) {
            tables
                .rows
                .remove(&format!("{id} of {}", self.handle.own.number));
        }
        let removed = tables.rows.remove(&id);
        self.later = None;
        self.seen = None;
        self.has_written = true;
        match removed {
            None if engine.has(RemovingNothingFails) => Err(failed("there is none")),
            _ => Ok(()),
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let engine = self.handle.engine.clone();
        if let Some(later) = self.later.take() {
            let id = engine.row_id(&self.key);
            let row = Row {
                json: engine.written(None, &later),
                revision: engine.next(),
            };
            let mut tables = engine.tables();
            tables.durable.insert(id.clone(), row.clone());
            tables.rows.insert(id, row);
        }
        if engine.has(ADropNeedsTheRuntime) && !is_within_runtime() && !thread::panicking() {
            panic!("a drop needs a reactor");
        }
        let keeps = match engine.fault {
            Some(ADropWithoutASaveKeepsTheLock) => !self.has_written,
            Some(APanicKeepsTheLock) => thread::panicking(),
            _ => false,
        };
        let mut tables = engine.tables();
        if engine.has(ADropWithoutASaveRemoves) && !self.has_written {
            tables.rows.remove(&engine.row_id(&self.key));
        }
        if !keeps && (!self.is_late(&tables) || engine.has(ALateDropReleasesTheNext)) {
            tables.locks.remove(&self.lock_id);
            // One who gives it back has changed nothing, unless it was in doubt before.
            let is_given_back = !self.has_written && self.doubt.is_none();
            if is_given_back && !engine.has(ADropLeavesADoubt) {
                tables.begun.remove(&engine.row_id(&self.key));
            }
            if tables.gave_up.remove(&self.lock_id) {
                let (holder, handle) = (engine.next(), engine.next());
                let thread = thread::current().id();
                let lock = Lock {
                    holder,
                    handle,
                    thread,
                };
                tables.locks.insert(self.lock_id.clone(), lock);
            }
        }
        drop(tables);
        engine.changed.notify_all();
        // It gives room back that was not needed.
        if engine.has(TheDropWaits) && self.has_prepared && !self.has_written {
            thread::sleep(engine.long);
        }
    }
}

impl GrantStore for Handle {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.load_now(key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        Ok(Box::new(self.lock_now(key, patience)?))
    }

    fn lock_reads(&self) -> bool {
        self.engine.lock_reads
    }
}

impl LockedGrant for Holder {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        self.load_now()
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        self.prepare_now()
    }

    fn doubt(&self) -> Option<Doubt> {
        self.doubt
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        self.save_now(grant)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.remove_now()
    }
}

/// The awaited form: each call is on its way for two polls, before the engine acts and after.
pub(super) struct Awaited(Handle);

/// Not ready once.
async fn on_its_way() {
    let mut polled = false;
    std::future::poll_fn(|context| {
        if polled {
            return Poll::Ready(());
        }
        polled = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A place in the queue for a lock.
struct Asked<'a> {
    handle: &'a Handle,
    key: &'a GrantKey,
    has_ended: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let engine = &self.handle.engine;
        if !self.has_ended && engine.has(WhoIsDroppedGetsTheLock) {
            engine.tables().gave_up.insert(engine.lock_id(self.key));
        }
    }
}

impl AsyncGrantStore for Awaited {
    type Locked = Holder;

    async fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        on_its_way().await;
        let engine = &self.0.engine;
        if engine.has(ALoadTakesTheRowOut) {
            let id = engine.row_id(key);
            let row = engine.tables().rows.remove(&id);
            on_its_way().await;
            if let Some(row) = row {
                engine.tables().rows.insert(id, row);
            }
        }
        let found = self.0.load_now(key);
        on_its_way().await;
        found
    }

    async fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Holder, StoreError> {
        on_its_way().await;
        if self.0.engine.has(AnAwaitedLockBlocks) {
            return self.0.lock_now(key, patience);
        }
        let begun = Instant::now();
        let end = begun.checked_add(patience);
        let mut asked = Asked {
            handle: &self.0,
            key,
            has_ended: false,
        };
        loop {
            if let Some(holder) = self.0.try_lock(key) {
                if self.0.engine.has(ALockThatIsBrokenOffStays) {
                    let holder = std::mem::ManuallyDrop::new(holder);
                    on_its_way().await;
                    return Ok(std::mem::ManuallyDrop::into_inner(holder));
                }
                on_its_way().await;
                asked.has_ended = true;
                return Ok(holder);
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                asked.has_ended = true;
                let waited = patience.min(begun.elapsed());
                return Err(StoreError::Locked { waited });
            }
            on_its_way().await;
            thread::sleep(Duration::from_micros(100));
        }
    }
}

impl AsyncLockedGrant for Holder {
    async fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        on_its_way().await;
        let found = self.load_now();
        on_its_way().await;
        found
    }

    async fn prepare(&mut self) -> Result<(), StoreError> {
        on_its_way().await;
        let prepared = self.prepare_now();
        on_its_way().await;
        prepared
    }

    fn doubt(&self) -> Option<Doubt> {
        self.doubt
    }

    async fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        on_its_way().await;
        if self.engine().has(ASaveIsADeleteAndAnInsert) {
            let id = self.engine().row_id(&self.key);
            let found = self.engine().tables().rows.get(&id).map(|row| row.revision);
            if found == self.seen {
                self.engine().tables().rows.remove(&id);
                self.seen = None;
                on_its_way().await;
            }
        }
        if self.engine().has(ASaveLeavesTheRowBusy) {
            let id = self.engine().row_id(&self.key);
            if !self.engine().tables().busy.insert(id.clone()) {
                return Err(failed("another transaction is open"));
            }
            on_its_way().await;
            self.engine().tables().busy.remove(&id);
        }
        let saved = self.save_now(grant);
        on_its_way().await;
        saved
    }

    async fn remove(&mut self) -> Result<(), StoreError> {
        on_its_way().await;
        if self.engine().has(ARemovalEmptiesTheRowFirst) {
            let id = self.engine().row_id(&self.key);
            if let Some(row) = self.engine().tables().rows.get_mut(&id) {
                row.json = "{}".to_owned();
            }
            on_its_way().await;
        }
        let removed = self.remove_now();
        on_its_way().await;
        removed
    }
}

thread_local! {
    static WITHIN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether this thread drives a future, as a runtime's thread knows.
fn is_within_runtime() -> bool {
    WITHIN.get()
}

/// The smallest runtime: it drives one future on this thread.
pub(super) fn block_on(work: Work<'_>) {
    struct Parked(Thread);
    impl Wake for Parked {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    struct Leaves;
    impl Drop for Leaves {
        fn drop(&mut self) {
            WITHIN.set(false);
        }
    }
    WITHIN.set(true);
    let _leaves = Leaves;
    let mut work = pin!(work);
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    while work
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        thread::park();
    }
}

/// An engine to test, with what a test can do to it.
pub(super) fn engine(fault: Option<Fault>, is_awaited: bool, long: Duration) -> StoreUnderTest {
    let engine = Arc::new(Engine {
        fault,
        tables: Mutex::default(),
        changed: Condvar::new(),
        number: AtomicU64::new(1),
        lock_reads: !is_awaited,
        long,
    });
    let opened = engine.clone();
    let store = match is_awaited {
        false => StoreUnderTest::blocking(move || Handle::new(&opened)),
        true => StoreUnderTest::awaited(block_on, move || {
            std::future::ready(Awaited(Handle::new(&opened)))
        }),
    };
    let (ended, damaged, full, read) = (
        engine.clone(),
        engine.clone(),
        engine.clone(),
        engine.clone(),
    );
    store
        .ends_leases_by(move |key| {
            if !ended.has(EndedLeasesStay) {
                let id = ended.lock_id(key);
                let mut tables = ended.tables();
                tables
                    .locks
                    .retain(|lock, _| *lock != id && !lock.starts_with(&format!("{id} of ")));
                drop(tables);
                ended.changed.notify_all();
            }
        })
        .damages_by(move |key| {
            let id = damaged.row_id(key);
            let mut tables = damaged.tables();
            for (row, damaged) in &mut tables.rows {
                if row.starts_with(&id) {
                    let end = damaged.json.len() - 1;
                    damaged.json.truncate(end);
                }
            }
        })
        .fills_by(move |is_full| full.tables().is_full = is_full)
        .contents_by(move || {
            let tables = read.tables();
            let rows = tables.rows.values().map(|row| &row.json);
            rows.chain(&tables.copies)
                .flat_map(|json| json.bytes())
                .collect()
        })
        .restarts_by(move || {
            let mut tables = engine.tables();
            tables.rows = tables.durable.clone();
        })
}
