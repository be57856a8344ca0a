//! The store.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coze_auth_core::{TokenGrant, UnixTime};
use coze_auth_store::{
    AsyncGrantStore, AsyncLockedGrant, Doubt, GrantKey, GrantStore, LockedGrant, Notices, Saved,
    StoreError,
};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::check::Finding;
use crate::engine::{Engine, Waiting, jittered};
use crate::lease::{Holder, LONGEST_LEASE, Waiter};
use crate::options::RedisOptions;
use crate::scripts::{self, Locked, Place, Said, Save, Stored, Taken};
use crate::seal::{self, SealError};
use crate::seen::Seen;
use crate::settings::SettingsError;
use crate::trouble::Trouble;
use crate::worker::{Begun, Pending, Worker, wait_for};

/// How often a waiter asks who is not woken, because the message was lost.
const POLL: Duration = Duration::from_secs(1);
/// How often one asks that cannot be woken, for want of the right to subscribe.
const POLL_ALONE: Duration = Duration::from_millis(200);
/// How long to pause at first before a lease is given back once more, and before a grant is saved once more; each pause doubles, up to
/// the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// How long a lease is kept at most by one who cannot save: as long as others may wait for it, or a person who logs in again.
const KEPT_AT_MOST: Duration = LONGEST_LEASE;
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
/// shut down leaves nothing half done. Dropping the last clone waits for a quarter of a second at most, for leases that are being given back,
/// and for a last try to save what could not be saved.
/// That thread is not there in a process that forks after it used the store, without `exec`: such a process makes a store of its own.
///
/// # Who renews
///
/// One holder at a time has the *lease* of a grant: some seconds, which it extends while it lives. Others wait, are woken by a message
/// when it is done, and ask by themselves now and then in case it was lost: of all that wait for a grant in one process, one at a
/// time. When a holder dies, the next takes the lease when it ends, and knows that the refresh token may be spent
/// ([`LockedGrant::doubt`]); so it does after one that said so ([`LockedGrant::may_be_spent`]). Each save compares with the
/// revision that was read, so one that is late cannot bring a spent refresh token back.
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
/// | the same, between the two steps of a renewal | where memory is full, the save happens all the same; else the source serves the grant, and the store saves it later, without being called: it tries every two seconds, as long as the application has a clone of it, and keeps the lease for a minute at most. A grant without a refresh token is not saved later |
/// | a request for the lease arrives when its caller has given up | it is given back within two seconds, for as long as a lease lasts |
/// | the server starts anew, or another takes over | the connection is made anew, after pauses that no two processes share |
/// | it went back: restored, emptied, taken over by a replica that lacks the last saves | the process that has seen a later grant writes that back before it renews, and knows that its refresh token may be spent |
/// | its clock leaps | a lease ends early or late, but no later than its length by the waiter's own clock; the revisions keep the grant whole |
///
/// What no store can do: the token endpoint knows nothing of leases. Two holders, after a leap of the clock or a failover, can both spend one
/// refresh token, and a holder that dies between the endpoint's answer and the save takes the new one with it. Then a person has to log in again.
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

/// Waits for what is being given back, and for the last try to save what could not be saved.
struct Last {
    pending: Arc<Pending>,
    closing: watch::Sender<bool>,
}

impl Drop for Last {
    fn drop(&mut self) {
        self.closing.send_replace(true);
        self.pending.wait(FAREWELL);
    }
}

struct Shared {
    engine: Arc<Engine>,
    seen: Mutex<Seen>,
    /// Those who could not save, by the grant's id.
    unsaved: Mutex<HashMap<String, Arc<Lease>>>,
    worker: Mutex<Option<Worker>>,
    pending: Arc<Pending>,
    /// True when the application has no handle any more.
    closing: watch::Receiver<bool>,
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
        let (close, closing) = watch::channel(false);
        Ok(Self {
            shared: Arc::new(Shared {
                engine: Arc::new(Engine::new(options)),
                seen: Mutex::default(),
                unsaved: Mutex::default(),
                worker: Mutex::default(),
                pending: pending.clone(),
                closing,
                began: Instant::now(),
            }),
            _last: Arc::new(Last {
                pending,
                closing: close,
            }),
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
        let mut waiting = None;
        let won = self.wait(&attempt.lease, began, patience, &mut waiting);
        match won.await {
            Ok(()) => Ok(attempt.succeeded()),
            Err(error) => {
                if let (Some(waiting), false) = (&mut waiting, is_locked(&error)) {
                    waiting.failed(&error);
                }
                Err(error)
            }
        }
    }

    /// Asks until the lease is ours, or refused.
    async fn wait(
        self: &Arc<Self>,
        lease: &Arc<Lease>,
        began: Duration,
        patience: Duration,
        waiting: &mut Option<Waiting>,
    ) -> Result<(), StoreError> {
        let mut waiter = Waiter::default();
        loop {
            if let Some(waiting) = waiting {
                waiting.mark();
            }
            let asked = self.now();
            let busy = match lease.ask(waiter.overdue()).await? {
                Locked::Busy(busy) => busy,
                Locked::Taken(taken) => {
                    return lease.taken(taken, asked).await;
                }
                Locked::Refused(taken, said) => {
                    lease.refused(taken, Trouble::Server(said).into());
                    return Ok(());
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
            match waiting.turn(patience_left).await? {
                Some(false) => {}
                // Much may have happened since it asked.
                Some(true) => continue,
                None => return Err(StoreError::Locked { waited: patience }),
            }
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

fn is_locked(error: &StoreError) -> bool {
    matches!(error, StoreError::Locked { .. })
}

/// Pauses between tries, each twice as long as the one before, up to the last.
#[derive(Default)]
struct Pauses(u32);

impl Pauses {
    fn next(&mut self) -> Duration {
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.0.min(8));
        self.0 += 1;
        jittered(pause.min(LAST_PAUSE))
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
    /// What was read may be spent, and nothing is stored for it.
    may_be_spent: bool,
    /// What could not be saved.
    unsaved: Option<Save>,
    /// A request for the lease has no answer: it may be granted when nobody waits for it any more.
    may_come_late: bool,
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
                may_be_spent: false,
                unsaved: None,
                may_come_late: false,
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
        let unsaved = locked(&self.shared.unsaved).get(&self.place.id).cloned();
        if let Some(earlier) = unsaved
            && let Err(trouble) = earlier.save_unsaved().await
        {
            let Trouble::Server(said) = trouble else {
                return Err(trouble.into());
            };
            let taken = Taken {
                fence: 0,
                stored: self.shared.read(&self.place).await?,
                doubt: None,
            };
            return Ok(Locked::Refused(taken, said));
        }
        let known = locked(&self.shared.seen).fence(&self.place.id);
        let step = self
            .place
            .lock(&self.holder, self.length(), known, take_over);
        let before = {
            let mut state = self.state();
            state.given_back = false;
            std::mem::replace(&mut state.may_come_late, true)
        };
        let answer = self.shared.engine.run(&step).await?;
        self.state().may_come_late = before;
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
            let taken = Holder::new(self.length(), fence, stored.revision, asked);
            state.holder = taken.after(&state.holder, asked);
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

    /// Gives it back, if it is ours, when what is under way has ended. What could not be saved is saved before.
    fn give_back(self: &Arc<Self>) {
        if std::mem::replace(&mut self.state().given_back, true) {
            self.state().ended();
            return;
        }
        let Ok(handle) = self.shared.handle() else {
            return;
        };
        let (lease, begun) = (self.clone(), self.shared.pending.begin());
        handle.spawn(async move {
            drop(lease.turn.lock().await);
            if lease.state().unsaved.is_none() {
                lease.release(begun).await;
                return;
            }
            let shared = lease.shared.clone();
            locked(&shared.unsaved).insert(lease.place.id.clone(), lease.clone());
            if !lease.save_later(KEPT_AT_MOST).await {
                // Whoever comes next knows that it may be spent.
                lease.release(shared.pending.begin()).await;
                lease.save_later(Duration::MAX).await;
            }
            locked(&shared.unsaved).retain(|_, other| !Arc::ptr_eq(other, &lease));
            lease.release(begun).await;
        });
    }

    /// Tells the server that it is not needed any more. In the end it ends by itself, and looks as if its holder had died.
    async fn release(&self, begun: Begun) {
        self.state().ended();
        let mut begun = Some(begun);
        let until = self.shared.now() + self.length();
        let mut pauses = Pauses::default();
        loop {
            let (step, may_come_late) = {
                let state = self.state();
                let step = self.place.release(&self.holder, state.may_be_spent);
                (step, state.may_come_late)
            };
            if let Ok(said) = self.said(step).await {
                // A request that is under way still would take it for nobody.
                if said.word == "released" || !may_come_late {
                    return;
                }
                drop(begun.take());
            }
            if self.shared.now() >= until {
                return;
            }
            tokio::time::sleep(pauses.next()).await;
        }
    }

    /// Tries again and again to save what could not be saved, for at most so long, and keeps the lease meanwhile. True: it is over, since
    /// it is saved, or need not be, or nobody has the store any more.
    async fn save_later(self: &Arc<Self>, at_most: Duration) -> bool {
        let began = self.shared.now();
        let mut pauses = Pauses::default();
        let mut closing = self.shared.closing.clone();
        loop {
            let closes = closing.wait_for(|closes| *closes);
            let is_last = timeout(pauses.next(), closes).await.is_ok();
            let is_replaced = !locked(&self.shared.unsaved)
                .get(&self.place.id)
                .is_some_and(|it| Arc::ptr_eq(it, self));
            if is_replaced || self.save_unsaved().await.is_ok() || is_last {
                return true;
            }
            if self.shared.now().saturating_sub(began) >= at_most {
                return false;
            }
        }
    }

    /// Saves what could not be saved, if it still waits.
    async fn save_unsaved(&self) -> Result<(), Trouble> {
        let _turn = self.turn.lock().await;
        let Some(save) = self.state().unsaved.clone() else {
            return Ok(());
        };
        let said = self.write(&save).await?;
        self.answered(save, &said);
        Ok(())
    }

    /// What the lease was given with, the first time. It needs no server, nor the store's own thread.
    fn read_at_once(&self) -> Option<Result<Option<TokenGrant>, StoreError>> {
        let _turn = self.turn.try_lock().ok()?;
        let stored = self.state().read.take()?;
        Some(self.opened(&stored))
    }

    /// A grant that was read is what the next save replaces.
    fn opened(&self, stored: &Stored) -> Result<Option<TokenGrant>, StoreError> {
        self.state().holder.revision = stored.revision;
        self.shared.grant(&self.place, stored)
    }

    async fn load(self: Arc<Self>) -> Result<Option<TokenGrant>, StoreError> {
        let _turn = self.turn.lock().await;
        let read = self.state().read.take();
        let stored = match read {
            Some(stored) => stored,
            None => self.shared.read(&self.place).await?,
        };
        self.opened(&stored)
    }

    /// Whether nobody else can have it now. It needs no server, nor the store's own thread.
    fn is_prepared(&self) -> bool {
        let holds = |_| self.state().holder.holds(self.shared.now());
        self.turn.try_lock().is_ok_and(holds)
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
        if let Some(error) = &self.state().refused {
            return Err(error.clone());
        }
        let is_late = self.state().holder.is_late(self.shared.now());
        let is_answered = !is_late || self.raise_fence().await.is_ok();
        let known = self.known_revision();
        let (replaces, revision, number) = {
            let mut state = self.state();
            state.saves += 1;
            state.may_be_spent = true;
            let revision = state.holder.next_revision(known);
            (state.holder.revision, revision, state.saves)
        };
        let save = Save {
            replaces,
            revision,
            value: self.shared.sealed(&self.place, &grant, revision)?.into(),
            life: self.shared.life(&grant),
            name: format!("{}.{number}", self.holder),
        };
        let said = match self.write(&save).await {
            // A login is at stake: once more, which the server knows if it has done it.
            Err(Trouble::Slow(_) | Trouble::Away(..) | Trouble::Broken(_)) if is_answered => {
                self.write(&save).await
            }
            said => said,
        };
        match said {
            Ok(said) => Ok(self.answered(save, &said)),
            Err(trouble) => {
                // Another token that is shared can be had at any time.
                self.state().unsaved = grant.refresh_token.is_some().then_some(save);
                Err(trouble.into())
            }
        }
    }

    /// A holder whose lease was over asks for the server's time before it saves, for a revision above all that anybody can have seen: where
    /// the server has gone back since, another would take what is saved for older than what it has seen, and write over it.
    async fn raise_fence(&self) -> Result<(), Trouble> {
        let answer = self.shared.engine.command(&redis::cmd("TIME")).await?;
        let now = scripts::time(answer).ok_or(Trouble::Answer)?;
        let mut state = self.state();
        state.holder.fence = state.holder.fence.max(now);
        Ok(())
    }

    /// A save has an answer.
    fn answered(&self, save: Save, said: &Said) -> Saved {
        let mut state = self.state();
        (state.read, state.unsaved, state.may_be_spent) = (None, None, false);
        if said.word != "saved" {
            return Saved::Superseded;
        }
        state.ended();
        (state.holder.revision, state.doubt) = (save.revision, None);
        state.given_back = !state.may_come_late;
        let fence = state.holder.fence;
        drop(state);
        let stored = Stored {
            revision: save.revision,
            value: Some(save.value.to_string()),
        };
        self.shared.note(&self.place, &stored, fence);
        Saved::Stored
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
        (state.read, state.doubt, state.unsaved) = (None, None, None);
        state.given_back = !state.may_come_late;
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
        match self.0.read_at_once() {
            Some(read) => read,
            None => self.0.shared.done(self.0.clone().load()).await,
        }
    }

    async fn prepare(&mut self) -> Result<(), StoreError> {
        match self.0.is_prepared() {
            true => Ok(()),
            false => self.0.shared.done(self.0.clone().prepare()).await,
        }
    }

    fn doubt(&self) -> Option<Doubt> {
        self.0.state().doubt
    }

    fn may_be_spent(&mut self) {
        self.0.state().may_be_spent = true;
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

    fn may_be_spent(&mut self) {
        AsyncLockedGrant::may_be_spent(self);
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        wait_for(AsyncLockedGrant::save(self, grant))
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        wait_for(AsyncLockedGrant::remove(self))
    }
}
