//! The state that all who ask for one token share: the cache machine behind a lock that is never held over
//! IO, the slot that is read without it, and the queue of those who wait.

use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::cache::{Lookup, RefreshPolicy, RefreshTicket, TokenCache};
use coze_auth_core::{AccessToken, Now, RefreshToken, TokenGrant, UnixTime};

use crate::slot::Slot;
use crate::sync::{Mutex, MutexGuard, locked};
use crate::wait::{Waiters, Waiting};
use crate::{Error, Refresh};

/// What to do for a token.
#[derive(Debug)]
#[must_use = "a renewal that is dropped is a renewal that failed"]
#[allow(clippy::exhaustive_enums)] // the contract with the adapters
pub enum Ask {
    /// Here it is.
    Token(AccessToken),
    /// Here it is; and carry out the renewal, beside.
    Behind(AccessToken, Refresh),
    /// Carry out the renewal, then ask again.
    First(Refresh),
    /// Someone renews it: ask again when that is over, or after this long.
    Wait(Waiting, Duration),
    /// There is none to be had now.
    Failed(Error),
}

pub(crate) struct Shared {
    slot: Slot,
    state: Mutex<State>,
}

struct State {
    cache: TokenCache<Error>,
    waiters: Waiters,
    /// Rotated, but not stored yet, and what it was made from. It changes under the store's lock only.
    unsaved: Option<(RefreshToken, TokenGrant)>,
    /// What the server called spent or expired last. It came from the store, so it need not be the cache's.
    refused: Option<RefreshToken>,
    closed: bool,
}

impl Shared {
    pub(crate) fn new(policy: RefreshPolicy) -> Arc<Self> {
        Arc::new(Self {
            slot: Slot::empty(),
            state: Mutex::new(State {
                cache: TokenCache::new(policy),
                waiters: Waiters::default(),
                unsaved: None,
                refused: None,
                closed: false,
            }),
        })
    }

    /// With a token that never ends.
    pub(crate) fn fixed(policy: RefreshPolicy, token: AccessToken) -> Arc<Self> {
        let shared = Self::new(policy);
        shared
            .slot
            .publish(Some((token, UnixTime::from_secs(u64::MAX))));
        shared
    }

    /// The token, if it is fresh. It waits for nobody.
    pub(crate) fn fresh(&self, now: UnixTime) -> Option<AccessToken> {
        self.slot.fresh(now)
    }

    /// What to do for a token. `refresh` makes a renewal of a ticket and of the access token that it replaces.
    pub(crate) fn ask(
        self: &Arc<Self>,
        now: Now,
        refresh: impl FnOnce(RefreshTicket, Option<AccessToken>) -> Refresh,
    ) -> Ask {
        let mut state = locked(&self.state);
        let state = &mut *state;
        if state.closed {
            return Ask::Failed(Error::Closed);
        }
        match state.cache.lookup(now) {
            Lookup::Fresh(token) => Ask::Token(token),
            Lookup::Stale(token, ticket) => Ask::Behind(token, refresh(ticket, state.known())),
            Lookup::Missing(ticket) => Ask::First(refresh(ticket, state.known())),
            Lookup::Busy(rest) => Ask::Wait(state.waiters.join(self.clone()), rest),
            Lookup::Failed(error) => Ask::Failed(error),
        }
    }

    /// A place among those who wait, if a renewal runs.
    pub(crate) fn running(self: &Arc<Self>, now: Now) -> Option<(Waiting, Duration)> {
        let mut state = locked(&self.state);
        let rest = state.cache.busy(now)?;
        Some((state.waiters.join(self.clone()), rest))
    }

    pub(crate) fn complete(
        &self,
        ticket: RefreshTicket,
        outcome: Result<TokenGrant, Error>,
        now: Now,
    ) {
        self.change(|state| state.cache.complete(ticket, outcome, now));
    }

    pub(crate) fn restore(&self, grant: TokenGrant, now: Now) {
        self.change(|state| {
            state.unsaved = None;
            state.refused = None;
            state.cache.restore(grant, now);
        });
    }

    pub(crate) fn clear(&self) {
        self.change(|state| {
            state.unsaved = None;
            state.refused = None;
            state.cache.clear();
        });
    }

    pub(crate) fn invalidate(&self, rejected: &AccessToken, now: Now) {
        // It ends nobody's waiting: whoever waits has no token already. A herd of refusals would wake another herd.
        drop(self.apply(|state| state.cache.invalidate(rejected, now)));
    }

    pub(crate) fn close(&self) {
        self.change(|state| state.closed = true);
    }

    pub(crate) fn is_closed(&self) -> bool {
        locked(&self.state).closed
    }

    pub(crate) fn set_unsaved(&self, unsaved: Option<(RefreshToken, TokenGrant)>) {
        locked(&self.state).unsaved = unsaved;
    }

    pub(crate) fn unsaved(&self) -> Option<(RefreshToken, TokenGrant)> {
        locked(&self.state).unsaved.clone()
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

    /// Changes the state, publishes what came of it, and wakes whoever waits.
    fn change(&self, act: impl FnOnce(&mut State)) {
        let woken = self.apply(act).waiters.end_round();
        for waker in woken.into_values() {
            waker.wake();
        }
    }

    /// Changes the state and publishes what came of it.
    fn apply(&self, act: impl FnOnce(&mut State)) -> MutexGuard<'_, State> {
        let mut state = locked(&self.state);
        act(&mut state);
        let published = state.cache.published().filter(|_| !state.closed);
        // Under the lock, or an older token could be published over a newer one.
        self.slot
            .publish(published.map(|(token, until)| (token.clone(), until)));
        state
    }
}

impl State {
    /// The access token that a renewal is to replace.
    fn known(&self) -> Option<AccessToken> {
        self.cache.grant().map(|grant| grant.access_token.clone())
    }
}
