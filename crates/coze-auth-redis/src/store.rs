//! The store.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coze_auth_core::{TokenGrant, UnixTime};
use coze_auth_store::{
    AsyncGrantStore, AsyncLockedGrant, Doubt, GrantKey, GrantStore, LockedGrant, Notices, Saved,
    StoreError,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::check::Finding;
use crate::engine::{Engine, jittered};
use crate::lease::{Holder, Waiter};
use crate::options::RedisOptions;
use crate::scripts::{Locked, Place, Said, Save, Stored, Taken};
use crate::seal::{self, SealError};
use crate::seen::Seen;
use crate::settings::SettingsError;
use crate::trouble::Trouble;
use crate::worker::{Pending, Worker, wait_for};

/// How often a waiter asks who is not woken, because the message was lost.
const POLL: Duration = Duration::from_secs(1);
/// How often one asks that cannot be woken, for want of the right to subscribe.
const POLL_ALONE: Duration = Duration::from_millis(200);
/// How long to pause before a lease is given back once more that the server did not take.
const RELEASE_AGAIN: Duration = Duration::from_millis(500);
/// How long the last handle waits for leases to be given back.
const FAREWELL: Duration = Duration::from_millis(250);
/// The least time that a grant without a refresh token is kept.
const LEAST_LIFE: Duration = Duration::from_secs(60);
/// The most, ten years: no server can tell a time that is beyond all bounds.
const MOST_LIFE: Duration = Duration::from_secs(3653 * 24 * 60 * 60);

/// Grants in Redis or Valkey, one key a grant, for any number of machines. Clones are the same store.
///
/// It is a store for sources that block ([`GrantStore`]) and for those that are awaited ([`AsyncGrantStore`], which takes no thread of
/// theirs while it waits). What it does runs on a thread of its own, with one connection, so a caller that goes away or a runtime that is
/// shut down leaves nothing half done. Dropping the last clone waits for a quarter of a second at most, for leases that are being given back.
/// That thread is not there in a process that forks after it used the store, without `exec`: such a process makes a store of its own.
///
/// # Who renews
///
/// One holder at a time has the *lease* of a grant: some seconds, which it extends while it lives. Others wait, are woken by a message
/// when it is done, and ask by themselves now and then in case it was lost. When a holder dies, the next takes the lease when
/// it ends, and knows that the refresh token may be spent ([`LockedGrant::doubt`]). Each save compares with the revision that
/// was read, so one that is late cannot bring a spent refresh token back.
///
/// A renewal asks the server twice: for the lease with the grant, and to save and release; and once each third of a lease that it
/// lasts.
///
/// # What it tells
///
/// When somebody observes a token source over it, it has the server looked at once, after its first answer and by a connection of its own, and each
/// finding of [`check`](Self::check) is told as an `EventKind::Notice`: `Redis, append-only: appendonly says …`. No token waits for that.
///
/// # What it does in trouble
///
/// | | |
/// |---|---|
/// | Redis is away or slow | a source that has a valid token goes on with it; another has an error within the time of the options |
/// | it takes no writes: full, a save has failed, replicas are missing, a right is missing | what is stored is read and served; nothing is renewed, since the result could not be stored. The error says which it is |
/// | the same, between the two steps of a renewal | where memory is full, the save happens all the same; else the source keeps the grant and tries again |
/// | the server starts anew, or another takes over | the connection is made anew, after pauses that no two processes share |
/// | it went back: restored, emptied, taken over by a replica that lacks the last saves | the process that has seen a later grant writes that back before it renews, and knows that its refresh token may be spent |
/// | its clock leaps | a lease ends early or late, but no later than its length by the waiter's own clock; the revisions keep the grant whole |
///
/// What no store can do: the token endpoint knows nothing of leases. Two holders, after a leap of the clock or a failover, can both spend one
/// refresh token, and a holder that dies between the endpoint's answer and the save takes the new one with it. Then a person has to log in again.
/// Where the server goes back while a holder whose lease is over is about to save a login, another process may write back the earlier grant
/// that it has seen.
///
/// ```
/// use coze_auth_redis::RedisStore;
///
/// let store = RedisStore::new("redis://127.0.0.1/")?; // connects when it is first used
/// assert_eq!(format!("{store:?}"), r#"RedisStore(RedisOptions("redis://127.0.0.1:6379/0", prefix "coze:"))"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
    /// Of the application's handles, the last to go.
    _last: Arc<Last>,
}

/// Waits for what is being given back.
struct Last(Arc<Pending>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.wait(FAREWELL);
    }
}

struct Shared {
    engine: Arc<Engine>,
    seen: Mutex<Seen>,
    worker: Mutex<Option<Worker>>,
    pending: Arc<Pending>,
    began: Instant,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RedisStore {
    /// Grants in the server at this URL, as [`RedisOptions::from_url`] reads it. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// As for [`RedisOptions::from_url`], and if it has a user without a password.
    pub fn new(url: &str) -> Result<Self, SettingsError> {
        Self::with(RedisOptions::from_url(url)?)
    }

    /// Grants where these options say. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if they cannot work.
    pub fn with(options: RedisOptions) -> Result<Self, SettingsError> {
        options.validated()?;
        let pending = Arc::new(Pending::default());
        Ok(Self {
            shared: Arc::new(Shared {
                engine: Arc::new(Engine::new(options)),
                seen: Mutex::default(),
                worker: Mutex::default(),
                pending: pending.clone(),
                began: Instant::now(),
            }),
            _last: Arc::new(Last(pending)),
        })
    }

    /// Looks at the server and tells what endangers logins there, as [`RedisOptions::check`] does, on the store's own thread and by a
    /// connection of its own.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the server was not reached.
    pub async fn check(&self) -> Result<Vec<Finding>, StoreError> {
        let engine = self.shared.engine.clone();
        let work = async move {
            let limit = engine.options.connect_within;
            let away = |error| Trouble::Away(Some(Box::new(error)), limit).into();
            engine.options.check().await.map_err(away)
        };
        self.shared.done(work).await
    }

    /// [`check`](Self::check) for code that blocks.
    ///
    /// # Errors
    ///
    /// As for [`check`](Self::check).
    pub fn check_blocking(&self) -> Result<Vec<Finding>, StoreError> {
        wait_for(self.check())
    }

    /// The key of a grant in Redis. It need not be there.
    pub fn key(&self, key: &GrantKey) -> String {
        self.shared.place(key).key
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore")
            .field(&self.shared.engine.options)
            .finish()
    }
}

/// The thread has gone, or could not be had.
fn no_thread(cause: std::io::Error) -> StoreError {
    StoreError::Other(Arc::new(cause))
}

impl Shared {
    fn place(&self, key: &GrantKey) -> Place {
        Place::new(&self.engine.options.prefix, key.id())
    }

    /// What has passed by the steady clock.
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn handle(&self) -> Result<Handle, StoreError> {
        let mut worker = locked(&self.worker);
        if worker.is_none() {
            *worker = Some(Worker::start().map_err(no_thread)?);
        }
        let handle = worker.as_ref().map(|worker| worker.handle().clone());
        Ok(handle.expect("started"))
    }

    /// Has something done on the store's own thread. It goes on if nobody waits for it any more.
    async fn done<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let begun = self.pending.begin();
        self.handle()?.spawn(async move {
            // A lease that nobody takes is given back as it is dropped.
            drop(tell.send(work.await));
            drop(begun);
        });
        told.await
            .unwrap_or_else(|_| Err(no_thread(std::io::Error::other("its thread has ended"))))
    }

    /// What has to be stored, by its revision.
    fn sealed(
        &self,
        place: &Place,
        grant: &TokenGrant,
        revision: u64,
    ) -> Result<String, StoreError> {
        let plain = grant.to_secret_json();
        match &self.engine.options.keys {
            Some(keys) => keys
                .seal(plain.expose(), &place.id, revision)
                .map_err(|error| of_seal(place, &error)),
            None => Ok(plain.expose().to_owned()),
        }
    }

    fn grant(&self, place: &Place, stored: &Stored) -> Result<Option<TokenGrant>, StoreError> {
        let Some(value) = &stored.value else {
            return Ok(None);
        };
        let keys = self.engine.options.keys.as_deref();
        let plain = seal::open(keys, value, &place.id, stored.revision)
            .map_err(|error| of_seal(place, &error))?;
        let grant = TokenGrant::from_secret_json(&plain);
        grant.map(Some).map_err(|_| StoreError::Damaged {
            what: format!("the value of {} in Redis", place.key),
        })
    }

    /// How long a grant is kept.
    fn life(&self, grant: &TokenGrant) -> Duration {
        if grant.refresh_token.is_some() {
            return self.engine.options.keep_for;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = UnixTime::from_secs(now.unwrap_or_default().as_secs());
        grant.remaining(now).min(MOST_LIFE) + LEAST_LIFE
    }

    /// Remembers what is stored, if something is lost with it.
    fn note(&self, place: &Place, stored: &Stored, fence: u64) {
        if stored.revision == 0 {
            return;
        }
        let is_worth = match self.grant(place, stored) {
            Ok(Some(grant)) => grant.refresh_token.is_some(),
            // A logout, of which an older copy of the store knows nothing.
            Ok(None) | Err(_) => true,
        };
        let mut seen = locked(&self.seen);
        match is_worth {
            true => {
                let ends = self.now() + self.engine.options.keep_for;
                seen.note(&place.id, stored, fence, ends);
            }
            false => seen.remove(&place.id),
        }
    }

    /// What this process has seen that is later than this.
    fn later(&self, place: &Place, stored: &Stored) -> Option<Stored> {
        let seen = locked(&self.seen);
        let known = seen.get(&place.id, self.now())?;
        (known.revision > stored.revision).then(|| Stored {
            revision: known.revision,
            value: known.value.as_ref().map(|value| value.to_string()),
        })
    }

    /// What stands there.
    async fn read(&self, place: &Place) -> Result<Stored, StoreError> {
        let answer = self.engine.command(&place.read()).await?;
        let stored = Stored::of(answer).ok_or(Trouble::Answer)?;
        self.note(place, &stored, 0);
        Ok(stored)
    }

    /// What stands there, or stood there later, before the store went back.
    async fn load(self: Arc<Self>, place: Place) -> Result<Option<TokenGrant>, StoreError> {
        let stored = self.read(&place).await?;
        let stored = self.later(&place, &stored).unwrap_or(stored);
        self.grant(&place, &stored)
    }

    /// Waits for the lease.
    async fn lock(
        self: Arc<Self>,
        place: Place,
        patience: Duration,
    ) -> Result<RedisLock, StoreError> {
        let began = self.now();
        let attempt = Attempt {
            lease: Arc::new(Lease::new(self.clone(), place)?),
            is_over: false,
        };
        let lease = &attempt.lease;
        let mut waiter = Waiter::default();
        let mut waiting: Option<crate::engine::Waiting> = None;
        loop {
            if let Some(waiting) = &mut waiting {
                waiting.mark();
            }
            let asked = self.now();
            lease.state().given_back = false;
            let busy = match lease.ask(waiter.overdue()).await? {
                Locked::Busy(busy) => busy,
                Locked::Taken(taken) => {
                    lease.taken(taken, asked).await?;
                    return Ok(attempt.succeeded());
                }
                Locked::Refused(taken, said) => {
                    lease.refused(taken, Trouble::Server(said).into());
                    return Ok(attempt.succeeded());
                }
            };
            lease.state().given_back = true;
            let now = self.now();
            let rest = waiter.busy(busy, now);
            let patience_left = patience.saturating_sub(now.saturating_sub(began));
            if patience_left.is_zero() {
                return Err(StoreError::Locked { waited: patience });
            }
            if waiter.overdue().is_some() {
                continue;
            }
            let waiting = waiting.get_or_insert_with(|| self.engine.join(&lease.place.channel));
            let poll = match waiting.subscribe().await {
                // Its message may have come before.
                Ok(true) => continue,
                Ok(false) => POLL,
                Err(_) => POLL_ALONE,
            };
            // When a lease ends, all who wait would ask at once.
            let end = rest + jittered(Duration::from_millis(100));
            let pause = end.min(jittered(poll)).min(patience_left);
            waiting.wait(pause).await;
        }
    }
}

fn of_seal(place: &Place, error: &SealError) -> StoreError {
    match error {
        // A login replaces it, and so does a grant that waits to be stored.
        SealError::Damaged { .. } => StoreError::Damaged {
            what: format!("the value of {} in Redis ({error})", place.key),
        },
        _ => StoreError::Engine {
            kind: error.kind(),
            what: error.to_string().into(),
            cause: None,
        },
    }
}

/// One try for a lease. Broken off, it gives back what it may have been given.
struct Attempt {
    lease: Arc<Lease>,
    is_over: bool,
}

impl Attempt {
    fn succeeded(mut self) -> RedisLock {
        self.is_over = true;
        RedisLock(self.lease.clone())
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // Else there is a lock, which does it.
        if !self.is_over {
            self.lease.give_back();
        }
    }
}

/// The right to change one grant in Redis, by a lease that is extended while this lives: [`LockedGrant`] and
/// [`AsyncLockedGrant`], of which the store's `lock` gives it.
pub struct RedisLock(Arc<Lease>);

/// A lease, which its holder has, had, or was refused.
struct Lease {
    shared: Arc<Shared>,
    place: Place,
    /// Who holds it: random, and known to nobody else.
    holder: String,
    /// One step after another.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    holder: Holder,
    /// What the lease was given with, until it is looked at.
    read: Option<Stored>,
    /// Why it cannot be had, though nobody has it.
    refused: Option<StoreError>,
    doubt: Option<Doubt>,
    saves: u32,
    /// The last save has no answer that counts: what it was to replace may be spent.
    save_failed: bool,
    keeper: Option<AbortHandle>,
    /// Nothing is to be given back.
    given_back: bool,
}

impl State {
    /// It is over, and needs nobody to extend it.
    fn ended(&mut self) {
        self.holder.ended();
        if let Some(keeper) = self.keeper.take() {
            keeper.abort();
        }
    }
}

impl Lease {
    fn new(shared: Arc<Shared>, place: Place) -> Result<Self, StoreError> {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random)
            .map_err(|_| no_thread(std::io::Error::other("the system gave no random bytes")))?;
        let length = shared.engine.options.lease;
        Ok(Self {
            holder: random.iter().map(|byte| format!("{byte:02x}")).collect(),
            state: Mutex::new(State {
                holder: Holder::without(length, 0, 0),
                read: None,
                refused: None,
                doubt: None,
                saves: 0,
                save_failed: false,
                keeper: None,
                given_back: true,
            }),
            turn: tokio::sync::Mutex::default(),
            shared,
            place,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    fn length(&self) -> Duration {
        self.shared.engine.options.lease
    }

    /// The highest revision of this grant that this process has seen.
    fn known_revision(&self) -> u64 {
        let seen = locked(&self.shared.seen);
        let known = seen.get(&self.place.id, self.shared.now());
        known.map_or(0, |known| known.revision)
    }

    async fn ask(&self, take_over: Option<u64>) -> Result<Locked, StoreError> {
        let known = locked(&self.shared.seen).fence(&self.place.id);
        let step = self
            .place
            .lock(&self.holder, self.length(), known, take_over);
        let answer = self.shared.engine.run(&step).await?;
        Ok(Locked::of(answer).ok_or(Trouble::Answer)?)
    }

    async fn said(&self, step: crate::scripts::Step) -> Result<Said, Trouble> {
        let answer = self.shared.engine.run(&step).await?;
        Said::of(answer).ok_or(Trouble::Answer)
    }

    /// It is ours, asked for at this time.
    async fn taken(self: &Arc<Self>, taken: Taken, asked: Duration) -> Result<(), StoreError> {
        let Taken {
            fence,
            mut stored,
            doubt,
        } = taken;
        let mut doubt = doubt.map(|since| Doubt::Unfinished { since });
        {
            let mut state = self.state();
            state.holder = Holder::new(self.length(), fence, stored.revision, asked);
            state.given_back = false;
        }
        self.keep();
        if let Some(later) = self.shared.later(&self.place, &stored) {
            doubt = Some(Doubt::WentBack);
            let life = self.shared.engine.options.keep_for;
            let value = later.value.as_deref();
            let step = self
                .place
                .restore(&self.holder, later.revision, value, life);
            match self.said(step).await?.word.as_str() {
                "restored" => stored = later,
                _ => stored = self.shared.read(&self.place).await?,
            }
        }
        self.shared.note(&self.place, &stored, fence);
        let mut state = self.state();
        state.holder.revision = stored.revision;
        (state.read, state.doubt) = (Some(stored), doubt);
        Ok(())
    }

    /// Nobody has it, and the server refuses to give it. What is stored was read.
    fn refused(&self, taken: Taken, error: StoreError) {
        let stored = self
            .shared
            .later(&self.place, &taken.stored)
            .unwrap_or(taken.stored);
        let mut state = self.state();
        state.holder = Holder::without(self.length(), taken.fence, stored.revision);
        (state.read, state.refused) = (Some(stored), Some(error));
        state.given_back = true;
    }

    /// Extends it from now on, until it ends.
    fn keep(self: &Arc<Self>) {
        let lease = Arc::downgrade(self);
        let Some(pause) = lease.upgrade().map(|lease| lease.state().holder.pause()) else {
            return;
        };
        let keeper = tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(lease) = lease.upgrade() else {
                    return;
                };
                let asked = lease.shared.now();
                let step = lease.place.extend(&lease.holder, lease.length());
                match lease.said(step).await {
                    Ok(said) if said.word == "extended" => lease.state().holder.extended(asked),
                    Ok(_) => {
                        lease.state().holder.ended();
                        return;
                    }
                    // By its own clock it may be over when the server is there again.
                    Err(_) => {}
                }
            }
        });
        let before = self.state().keeper.replace(keeper.abort_handle());
        if let Some(before) = before {
            before.abort();
        }
    }

    /// Gives it back, if it is ours, when what is under way has ended.
    fn give_back(self: &Arc<Self>) {
        {
            let mut state = self.state();
            state.ended();
            if std::mem::replace(&mut state.given_back, true) {
                return;
            }
        }
        let Ok(handle) = self.shared.handle() else {
            return;
        };
        let (lease, begun) = (self.clone(), self.shared.pending.begin());
        handle.spawn(async move {
            let _turn = lease.turn.lock().await;
            // In the end the lease ends by itself, and looks as if its holder had died.
            let until = lease.shared.now() + lease.length();
            let release = lease
                .place
                .release(&lease.holder, lease.state().save_failed);
            while lease.said(release.clone()).await.is_err() && lease.shared.now() < until {
                tokio::time::sleep(jittered(RELEASE_AGAIN)).await;
            }
            drop(begun);
        });
    }

    async fn load(self: Arc<Self>) -> Result<Option<TokenGrant>, StoreError> {
        let _turn = self.turn.lock().await;
        let read = self.state().read.take();
        let stored = match read {
            Some(stored) => stored,
            None => self.shared.read(&self.place).await?,
        };
        self.state().holder.revision = stored.revision;
        self.shared.grant(&self.place, &stored)
    }

    /// Makes sure that nobody else has it, before a refresh token is spent.
    async fn prepare(self: Arc<Self>) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let asked = self.shared.now();
        let revision = {
            let state = self.state();
            if state.holder.holds(asked) {
                return Ok(());
            }
            state.holder.revision
        };
        self.state().given_back = false;
        match self.ask(None).await? {
            Locked::Refused(_, said) => Err(Trouble::Server(said).into()),
            Locked::Busy(_) => Err(StoreError::Locked {
                waited: Duration::ZERO,
            }),
            Locked::Taken(taken) if taken.stored.revision == revision => {
                // What was looked at stays so.
                let read = self.state().read.take();
                self.taken(taken, asked).await?;
                let mut state = self.state();
                (state.read, state.refused) = (read, None);
                Ok(())
            }
            // Somebody else has renewed it since.
            Locked::Taken(_) => Err(StoreError::Locked {
                waited: Duration::ZERO,
            }),
        }
    }

    async fn save(self: Arc<Self>, grant: TokenGrant) -> Result<Saved, StoreError> {
        let _turn = self.turn.lock().await;
        let known = self.known_revision();
        let (replaces, revision, number) = {
            let mut state = self.state();
            if let Some(error) = &state.refused {
                return Err(error.clone());
            }
            state.saves += 1;
            state.save_failed = true;
            let revision = state.holder.next_revision(known);
            (state.holder.revision, revision, state.saves)
        };
        let save = Save {
            replaces,
            revision,
            value: self.shared.sealed(&self.place, &grant, revision)?,
            life: self.shared.life(&grant),
            name: format!("{}.{number}", self.holder),
        };
        let said = match self.write(&save).await {
            // A login is at stake: once more, which the server knows if it has done it.
            Err(Trouble::Slow(_) | Trouble::Away(..) | Trouble::Broken(_)) => {
                self.write(&save).await?
            }
            said => said?,
        };
        let mut state = self.state();
        (state.read, state.save_failed) = (None, false);
        if said.word != "saved" {
            return Ok(Saved::Superseded);
        }
        state.ended();
        (state.holder.revision, state.doubt) = (revision, None);
        state.given_back = true;
        let fence = state.holder.fence;
        drop(state);
        let stored = Stored {
            revision,
            value: Some(save.value),
        };
        self.shared.note(&self.place, &stored, fence);
        Ok(Saved::Stored)
    }

    /// Saves. An error that comes from the middle of a script is none if it was saved.
    async fn write(&self, save: &Save) -> Result<Said, Trouble> {
        let said = self.said(self.place.save(&self.holder, save)).await;
        let Err(Trouble::Server(_)) = &said else {
            return said;
        };
        let answer = self.shared.engine.command(&self.place.read()).await;
        match answer.ok().and_then(Stored::of) {
            Some(stored) if stored.revision == save.revision => Ok(Said {
                word: "saved".to_owned(),
                number: 0,
            }),
            _ => said,
        }
    }

    async fn remove(self: Arc<Self>) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let mut known = self.known_revision().max(self.state().holder.revision);
        let life = self.shared.engine.options.keep_for;
        let said = loop {
            let said = self.said(self.place.remove(known, life)).await?;
            if said.word == "removed" {
                break said;
            }
            // Another has stored one since, or this is done a second time: whatever is there is to go.
            known = said.number;
        };
        let mut state = self.state();
        state.ended();
        state.holder.revision = said.number;
        (state.read, state.doubt) = (None, None);
        state.given_back = true;
        let fence = state.holder.fence;
        drop(state);
        let stored = Stored {
            revision: said.number,
            value: None,
        };
        self.shared.note(&self.place, &stored, fence);
        Ok(())
    }
}

impl Drop for RedisLock {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl fmt::Debug for RedisLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLock")
            .field("key", &self.0.place.key)
            .finish_non_exhaustive()
    }
}

impl AsyncGrantStore for RedisStore {
    type Locked = RedisLock;

    async fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        let work = self.shared.clone().load(self.shared.place(key));
        self.shared.done(work).await
    }

    async fn lock(&self, key: &GrantKey, patience: Duration) -> Result<RedisLock, StoreError> {
        let work = self.shared.clone().lock(self.shared.place(key), patience);
        // Nobody waits for a lease for one who has gone.
        let (stay, gone) = oneshot::channel::<()>();
        let work = async move {
            tokio::select! {
                result = work => result,
                _ = gone => Err(no_thread(std::io::Error::other("nobody waits for the lease any more"))),
            }
        };
        let result = self.shared.done(work).await;
        drop(stay);
        result
    }

    fn lock_reads(&self) -> bool {
        true
    }

    fn notices(&self) -> Option<&Notices> {
        Some(&self.shared.engine.watch.notices)
    }
}

impl AsyncLockedGrant for RedisLock {
    async fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        self.0.shared.done(self.0.clone().load()).await
    }

    async fn prepare(&mut self) -> Result<(), StoreError> {
        self.0.shared.done(self.0.clone().prepare()).await
    }

    fn doubt(&self) -> Option<Doubt> {
        self.0.state().doubt
    }

    async fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        let work = self.0.clone().save(grant.clone());
        self.0.shared.done(work).await
    }

    async fn remove(&mut self) -> Result<(), StoreError> {
        self.0.shared.done(self.0.clone().remove()).await
    }
}

impl GrantStore for RedisStore {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        wait_for(AsyncGrantStore::load(self, key))
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        let held = wait_for(AsyncGrantStore::lock(self, key, patience))?;
        Ok(Box::new(held))
    }

    fn lock_reads(&self) -> bool {
        true
    }

    fn notices(&self) -> Option<&Notices> {
        Some(&self.shared.engine.watch.notices)
    }
}

impl LockedGrant for RedisLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        wait_for(AsyncLockedGrant::load(self))
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        wait_for(AsyncLockedGrant::prepare(self))
    }

    fn doubt(&self) -> Option<Doubt> {
        AsyncLockedGrant::doubt(self)
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        wait_for(AsyncLockedGrant::save(self, grant))
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        wait_for(AsyncLockedGrant::remove(self))
    }
}
