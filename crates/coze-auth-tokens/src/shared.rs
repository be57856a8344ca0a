//! The state that all who ask for one token share: the cache machine behind a lock that is never held over
//! IO, the slot that is read without it, and the queue of those who wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use coze_auth_core::cache::{Lookup, RefreshPolicy, RefreshTicket, TokenCache, Validity};
use coze_auth_core::{
    AccessToken, IssuedToken, Now, RefreshToken, SteadyTime, TokenGrant, UnixTime,
};

use crate::slot::Slot;
use crate::source::Source;
use crate::sync::{Mutex, MutexGuard, locked};
use crate::turns::{Turn, Turns};
use crate::wait::{Waiters, Waiting};
use crate::{Error, Refresh};

/// What to do for a token.
#[derive(Debug)]
#[must_use = "a renewal that is dropped is a renewal that failed"]
#[allow(clippy::exhaustive_enums)] // the contract with the adapters
pub enum Ask {
    /// Here it is.
    Token(IssuedToken),
    /// Here it is; and carry out the renewal, beside.
    Behind(IssuedToken, Refresh),
    /// Carry out the renewal, then ask again.
    First(Refresh),
    /// Someone renews it, or as many of the app's renewals run as may: ask again when woken, or after this long.
    Wait(Waiting, Duration),
    /// There is none to be had now.
    Failed(Error),
}

/// The access token that a renewal replaces.
pub(crate) struct Known {
    pub(crate) token: AccessToken,
    pub(crate) expires_at: UnixTime,
    /// The API has refused it.
    pub(crate) rejected: bool,
}

/// What one call for a token has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    /// How many renewals had failed when it began.
    failures: Option<u64>,
    /// When it began.
    since: Option<SteadyTime>,
    /// It waits for the renewal of a token that is good for now.
    pub(crate) waits_when_stale: bool,
    /// How long the token is to be valid at least.
    pub(crate) at_least: Duration,
    /// How many renewals had brought a grant when it was given one to carry out: what that brings is what Coze gives, and is
    /// taken.
    renews_after: Option<u64>,
    /// It waits for the source's turn, and since when it does.
    queued: Option<(Queued, SteadyTime)>,
}

/// A caller that waits for its source's turn to renew. With the last of them the source leaves the queue.
#[derive(Debug)]
struct Queued(Arc<Source>);

impl Drop for Queued {
    fn drop(&mut self) {
        let shared = &self.0.shared;
        let mut state = locked(&shared.state);
        let queue = state.queue.take_if(|queue| {
            queue.callers -= 1;
            queue.callers == 0
        });
        drop(state);
        if let Some(place) = queue.as_ref().and_then(|queue| queue.place) {
            shared.turns.leave(place);
        }
        drop(queue);
    }
}

/// What there is after a renewal.
pub(crate) struct Outlook {
    /// For how long nothing is tried.
    pub(crate) pause: Option<Duration>,
    /// When the token ends that callers are given.
    pub(crate) expires_at: Option<UnixTime>,
}

/// In this order, since what each call reads then lies together, at the head of a source, beside its count.
#[repr(C)]
pub(crate) struct Shared {
    slot: Slot,
    /// It changes under the lock of the state only.
    closed: AtomicBool,
    turns: Arc<Turns>,
    state: Mutex<State>,
}

/// A grant that is not stored yet. It is the only copy.
#[derive(Clone)]
pub(crate) struct Unsaved {
    /// The refresh token that it was renewed from, and that the store still has; none of a login, which replaces
    /// whatever there is.
    pub(crate) from: Option<RefreshToken>,
    pub(crate) grant: TokenGrant,
}

struct State {
    cache: TokenCache<Error>,
    waiters: Waiters,
    /// It changes under the store's lock only, or by a login that cannot have that.
    unsaved: Option<Box<Unsaved>>,
    /// How many renewals have failed: a caller that waited for one tells it from those before.
    failures: u64,
    /// How many renewals have brought a grant.
    successes: u64,
    /// What the server called spent or expired last. It is from the store, so it need not be the cache's.
    refused: Option<RefreshToken>,
    lease: Duration,
    /// While any of its callers waits for its turn, which few sources do.
    queue: Option<Box<InQueue>>,
}

/// How a source waits for its turn.
#[derive(Default)]
struct InQueue {
    callers: usize,
    /// Its place, while it has not been called.
    place: Option<u64>,
    /// It was called, and the first caller to come has the turn.
    turn: Option<Turn>,
}

impl Shared {
    pub(crate) fn new(policy: RefreshPolicy, slot: Slot, turns: Arc<Turns>) -> Self {
        Self {
            slot,
            closed: AtomicBool::new(false),
            turns,
            state: Mutex::new(State {
                cache: TokenCache::new(policy),
                waiters: Waiters::default(),
                unsaved: None,
                failures: 0,
                successes: 0,
                refused: None,
                lease: policy.lease(),
                queue: None,
            }),
        }
    }

    /// With a token that never ends.
    pub(crate) fn fixed(policy: RefreshPolicy, token: AccessToken, turns: Arc<Turns>) -> Self {
        let shared = Self::new(policy, Slot::hot(), turns);
        shared.slot.publish(Some((token, Validity::unknown())));
        shared
    }

    /// The token, if it is fresh. It waits for nobody.
    pub(crate) fn fresh(&self, now: UnixTime) -> Option<AccessToken> {
        self.slot.fresh(now)
    }

    /// The token and its end, if it is fresh and lasts at least so long. It waits for nobody.
    pub(crate) fn lasting(&self, at_least: Duration, now: UnixTime) -> Option<IssuedToken> {
        self.slot.lasting(at_least, now)
    }

    pub(crate) fn turns(&self) -> &Arc<Turns> {
        &self.turns
    }

    /// What to do for a token of `source`, whose state this is. `refresh` makes a renewal of a ticket and of what it
    /// replaces.
    pub(crate) fn ask(
        &self,
        source: &Arc<Source>,
        now: Now,
        caller: &mut Rounds,
        refresh: impl FnOnce(RefreshTicket, Option<Turn>, Option<Known>) -> Refresh,
    ) -> Ask {
        let queued = caller.queued.take();
        if queued.is_some() {
            self.turns.take_back(now);
        }
        let since = queued.as_ref().map(|(_, since)| *since);
        let ask = self.ask_once(source, now, caller, since, refresh);
        // Not before: the source keeps its place, or the turn that it was called for.
        drop(queued);
        ask
    }

    fn ask_once(
        &self,
        source: &Arc<Source>,
        now: Now,
        caller: &mut Rounds,
        queued: Option<SteadyTime>,
        refresh: impl FnOnce(RefreshTicket, Option<Turn>, Option<Known>) -> Refresh,
    ) -> Ask {
        let mut state = locked(&self.state);
        let state = &mut *state;
        if self.is_closed() {
            return Ask::Failed(Error::Closed);
        }
        state.serve_unsaved(now);
        if let Some(error) = state.ended(caller, now) {
            return Ask::Failed(error);
        }
        caller.failures.get_or_insert(state.failures);
        let since = *caller.since.get_or_insert(now.steady);
        // A renewal that is lost is not waited for twice: there is a token.
        let waits = caller.waits_when_stale && since.until(now.steady) < state.lease;
        let is_new = |before: u64| before < state.successes;
        let at_least = match caller.renews_after.is_some_and(is_new) {
            true => Duration::ZERO,
            false => caller.at_least,
        };
        let mut turn = None;
        if state.cache.is_due(at_least, now) {
            let served = state.cache.token(at_least, now);
            turn = self.turn(source, state, now, served.is_none() || waits);
            match (&turn, served) {
                (Some(_), _) => {}
                (None, Some(token)) if !waits => return Ask::Token(token),
                (None, served) => {
                    return self.queue(source, state, now, caller, queued, served.is_some());
                }
            }
        }
        match state.cache.lookup_lasting(at_least, now) {
            Lookup::Fresh(token) => match state.cache.busy(now).filter(|_| waits) {
                Some(rest) => Ask::Wait(state.waiters.join(source.clone()), rest),
                None => Ask::Token(token),
            },
            Lookup::Stale(token, ticket) if !waits => {
                Ask::Behind(token, refresh(ticket, turn, state.known()))
            }
            Lookup::Stale(_, ticket) | Lookup::Missing(ticket) => {
                caller.renews_after = Some(state.successes);
                Ask::First(refresh(ticket, turn, state.known()))
            }
            Lookup::Busy(rest) => Ask::Wait(state.waiters.join(source.clone()), rest),
            Lookup::Failed(error) => Ask::Failed(error),
        }
    }

    /// The turn that it was called for, or a free one. If there is none, the source that `queues` has a place.
    fn turn(
        &self,
        source: &Arc<Source>,
        state: &mut State,
        now: Now,
        queues: bool,
    ) -> Option<Turn> {
        if let Some(queue) = &mut state.queue
            && let Some(turn) = queue.turn.take()
            && turn.begin(now)
        {
            return Some(turn);
        }
        let place = state.queue.as_ref().and_then(|queue| queue.place);
        if !queues || place.is_some() {
            return self.turns.take(now);
        }
        let joined = self.turns.take_or_join(source, now);
        joined
            .map_err(|place| state.queue.get_or_insert_default().place = Some(place))
            .ok()
    }

    /// Lets a caller wait until the source is called. What it waits for then counts from there.
    fn queue(
        &self,
        source: &Arc<Source>,
        state: &mut State,
        now: Now,
        caller: &mut Rounds,
        queued: Option<SteadyTime>,
        has_token: bool,
    ) -> Ask {
        let since = queued.unwrap_or(now.steady);
        let waited = since.until(now.steady);
        let queue = self.turns.standstill(now);
        // A queue that goes on is waited in. One in which nothing comes to a result has the same end as a renewal.
        let patience = state.lease.saturating_mul(2);
        let rest = patience.saturating_sub(waited.min(queue.since));
        if !has_token {
            caller.since = None;
            if rest.is_zero() {
                return Ask::Failed(Error::NoTurn { waited });
            }
        }
        state.queue.get_or_insert_default().callers += 1;
        caller.queued = Some((Queued(source.clone()), since));
        let at_most = match has_token {
            // Its own patience is a lease.
            true => queue.at_most,
            false => queue.at_most.min(rest),
        };
        Ask::Wait(state.waiters.join(source.clone()), at_most)
    }

    /// It is this source's turn, if it still has the place and somebody waits. `turn` makes it.
    pub(crate) fn call(&self, place: u64, turn: impl FnOnce() -> Turn) -> bool {
        let mut state = locked(&self.state);
        let Some(queue) = &mut state.queue else {
            return false;
        };
        if queue.place.take_if(|own| *own == place).is_none() {
            return false;
        }
        queue.turn = Some(turn());
        let woken = state.waiters.end_round();
        drop(state);
        wake(woken);
        true
    }

    /// A place among those who wait for `source`, whose state this is, if a renewal runs.
    pub(crate) fn running(&self, source: &Arc<Source>, now: Now) -> Option<(Waiting, Duration)> {
        let mut state = locked(&self.state);
        let rest = state.cache.busy(now)?;
        Some((state.waiters.join(source.clone()), rest))
    }

    pub(crate) fn complete(
        &self,
        ticket: RefreshTicket,
        outcome: Result<TokenGrant, Error>,
        now: Now,
    ) -> Outlook {
        self.change(|state| {
            let unserved = state.unserved();
            state.failures += u64::from(outcome.is_err());
            state.successes += u64::from(outcome.is_ok() || unserved.is_some());
            match (outcome, unserved) {
                // What it brought is good, whatever became of it then: a store that failed or panicked, a runtime that
                // was shut down, another renewal that cannot have the lock.
                (Err(error), Some(grant)) => {
                    state.cache.complete_unstored(ticket, grant, error, now)
                }
                (outcome, _) => state.cache.complete(ticket, outcome, now),
            }
            state.outlook(now)
        })
    }

    /// The login that waits to be stored. Each change of the grant notes it first, so that another one that arrived meanwhile is seen.
    pub(crate) fn unsaved_login(&self) -> Option<AccessToken> {
        locked(&self.state).unsaved_login().cloned()
    }

    /// A login's grant is about to be stored, in place of whatever there is.
    pub(crate) fn note_login(&self, grant: &TokenGrant) {
        let login = Unsaved {
            from: None,
            grant: grant.clone(),
        };
        locked(&self.state).unsaved = Some(Box::new(login));
    }

    /// A login's grant could not be stored.
    pub(crate) fn restore_unstored(
        &self,
        grant: TokenGrant,
        before: Option<&AccessToken>,
        error: Error,
        now: Now,
    ) {
        self.change(|state| {
            if state.has_later_login(before, Some(&grant.access_token)) {
                return;
            }
            state.unsaved = Some(Box::new(Unsaved {
                from: None,
                grant: grant.clone(),
            }));
            state.refused = None;
            state.cache.restore_unstored(grant, error, now);
        });
    }

    /// Serves what a renewal has found in the store, while it goes on.
    pub(crate) fn adopt(&self, ticket: &RefreshTicket, stored: &TokenGrant, now: Now) {
        self.change(|state| state.cache.adopt(ticket, stored, now));
    }

    pub(crate) fn restore(&self, grant: TokenGrant, before: Option<&AccessToken>, now: Now) {
        self.change(|state| {
            if state.has_later_login(before, Some(&grant.access_token)) {
                return;
            }
            state.unsaved = None;
            state.refused = None;
            state.cache.restore(grant, now);
        });
    }

    pub(crate) fn clear(&self, before: Option<&AccessToken>) {
        self.change(|state| {
            if state.has_later_login(before, None) {
                return;
            }
            state.unsaved = None;
            state.refused = None;
            state.cache.clear();
        });
    }

    /// True: the token was handed out until now.
    pub(crate) fn invalidate(&self, rejected: &AccessToken, now: Now) -> bool {
        // It ends nobody's waiting: whoever waits has no token already. A herd of refusals would wake another herd.
        let (changed, state) = self.apply(|state| {
            let was_rejected = state.cache.is_rejected();
            state.cache.invalidate(rejected, now);
            state.cache.is_rejected() && !was_rejected
        });
        drop(state);
        changed
    }

    pub(crate) fn close(&self) {
        self.change(|_| self.closed.store(true, Ordering::Release));
    }

    /// Whether the last renewal failed.
    pub(crate) fn is_failing(&self) -> bool {
        locked(&self.state).cache.failure().is_some()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Notes that a token is asked for, as [`fresh`](Self::fresh) does.
    pub(crate) fn note_use(&self, now: UnixTime) {
        self.slot.note_use(now);
    }

    /// When a token was last asked for, to the second.
    pub(crate) fn used(&self) -> Option<UnixTime> {
        self.slot.used()
    }

    /// Until when its token is fresh; none if there is none.
    pub(crate) fn fresh_until(&self) -> Option<UnixTime> {
        self.slot.fresh_until()
    }

    /// Whether a renewal runs, on time or not, or a grant waits to be stored.
    pub(crate) fn is_at_work(&self, now: Now) -> bool {
        let state = locked(&self.state);
        state.unsaved.is_some() || state.cache.busy(now).is_some() || state.cache.overran(now)
    }

    /// Keeps what is about to be stored, and gives back what has to be: this, or a login that could not be stored and
    /// that a renewal of the grant before it cannot replace.
    pub(crate) fn set_unsaved(&self, unsaved: Unsaved) -> Unsaved {
        let mut state = locked(&self.state);
        if state
            .unsaved
            .as_ref()
            .is_none_or(|waits| waits.from.is_some())
        {
            state.unsaved = Some(Box::new(unsaved));
        }
        *state.unsaved.clone().expect("set")
    }

    /// It is stored, or it need not be stored any more.
    pub(crate) fn set_saved(&self, grant: &TokenGrant) {
        drop(self.apply(|state| {
            let is_it =
                |waits: &mut Box<Unsaved>| waits.grant.access_token.matches(&grant.access_token);
            state.unsaved.take_if(is_it);
            state.cache.stored(grant);
        }));
    }

    pub(crate) fn unsaved(&self) -> Option<Unsaved> {
        locked(&self.state).unsaved.clone().map(|unsaved| *unsaved)
    }

    /// Takes over what another source of the same login could not store.
    pub(crate) fn inherit_unsaved(&self, from: &Self) {
        let unsaved = locked(&from.state).unsaved.take();
        if unsaved.is_some() {
            locked(&self.state).unsaved = unsaved;
        }
    }

    pub(crate) fn set_refused(&self, token: &RefreshToken) {
        locked(&self.state).refused = Some(token.clone());
    }

    pub(crate) fn has_refused(&self, token: &RefreshToken) -> bool {
        let state = locked(&self.state);
        state
            .refused
            .as_ref()
            .is_some_and(|refused| refused.matches(token))
    }

    pub(crate) fn with_waiters<T>(&self, act: impl FnOnce(&mut Waiters) -> T) -> T {
        act(&mut locked(&self.state).waiters)
    }

    /// Changes the state, publishes the result, and wakes those who wait.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let (result, mut state) = self.apply(act);
        let woken = state.waiters.end_round();
        drop(state);
        wake(woken);
        result
    }

    /// Changes the state and publishes the result.
    fn apply<T>(&self, act: impl FnOnce(&mut State) -> T) -> (T, MutexGuard<'_, State>) {
        let mut state = locked(&self.state);
        let result = act(&mut state);
        let published = state.cache.published().filter(|_| !self.is_closed());
        // Under the lock, or an older token could be published over a newer one.
        self.slot
            .publish(published.map(|(token, validity)| (token.clone(), validity)));
        (result, state)
    }
}

fn wake(woken: BTreeMap<u64, Waker>) {
    for waker in woken.into_values() {
        waker.wake();
    }
}

impl State {
    /// What a renewal is to replace.
    fn known(&self) -> Option<Known> {
        self.cache.grant().map(|grant| Known {
            token: grant.access_token.clone(),
            expires_at: grant.expires_at,
            rejected: self.cache.is_rejected(),
        })
    }

    fn outlook(&self, now: Now) -> Outlook {
        let served = self.cache.serves(Duration::ZERO, now);
        let grant = self.cache.grant().filter(|_| served);
        Outlook {
            pause: self.cache.pause(now),
            expires_at: grant.map(|grant| grant.expires_at),
        }
    }

    fn unsaved_login(&self) -> Option<&AccessToken> {
        let unsaved = self.unsaved.as_ref()?;
        unsaved
            .from
            .is_none()
            .then_some(&unsaved.grant.access_token)
    }

    /// Whether a login waits to be stored that is neither this one nor the one that waited before: it arrived later, while the
    /// store took its time for this one or for a logout, and is the only copy. It will replace what the store has.
    fn has_later_login(&self, before: Option<&AccessToken>, own: Option<&AccessToken>) -> bool {
        self.unsaved_login()
            .is_some_and(|waits| [before, own].iter().flatten().all(|it| !it.matches(waits)))
    }

    /// A grant that arrived, and waits to be stored, and that nobody is given yet.
    fn unserved(&self) -> Option<TokenGrant> {
        let grant = &self.unsaved.as_ref()?.grant;
        let is_served = |current: &TokenGrant| current.access_token.matches(&grant.access_token);
        (!self.cache.grant().is_some_and(is_served)).then(|| grant.clone())
    }

    /// Serves what has come, if storing it has outlived the renewal's lease: a store that hangs.
    fn serve_unsaved(&mut self, now: Now) {
        if self.cache.overran(now)
            && let Some(grant) = self.unserved()
        {
            let waited = self.lease;
            let error = Error::TimedOut { waited };
            self.cache.restore_unstored(grant, error, now);
        }
    }

    /// Why a caller who has waited for a renewal is told that it gets no token, instead of being given the next
    /// renewal: without this, one who asks a store that hangs, or comes to look when the pause is over, would ask on
    /// for ever.
    fn ended(&mut self, caller: &Rounds, now: Now) -> Option<Error> {
        if self.cache.serves(caller.at_least, now) {
            return None;
        }
        let waited = caller.since.map(|since| since.until(now.steady));
        // One renewal that is lost is taken over; after a second one it is not the renewal that is wrong.
        let patience = self.lease.saturating_mul(2);
        if let Some(waited) = waited.filter(|waited| *waited >= patience)
            && self.cache.overran(now)
        {
            self.cache.give_up(Error::TimedOut { waited }, now);
            self.failures += 1;
            return self.cache.failure().cloned();
        }
        let waited = caller.failures.is_some_and(|seen| seen < self.failures);
        let renews = self.cache.busy(now).is_some();
        self.cache.failure().filter(|_| waited && !renews).cloned()
    }
}
