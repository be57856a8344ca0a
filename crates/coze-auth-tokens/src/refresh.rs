//! One renewal, step by step: whose turn it is, what is stored, what is sent, what is stored then.
//!
//! ```text
//!   begin ──▶ lock the grant, read the store ──▶ another has renewed it: take that ──▶ Done
//!                       │
//!                       ▼
//!                  Send(renewal) ◀──── refused, and the store has another refresh token
//!                       │        ◀──── refused or not signed, and the app has another key: once
//!                       │        ◀──── trouble that passes: Wait, then again, once
//!                       ▼
//!       store the new grant, then publish it, then let go ──▶ Done
//! ```

mod sharing;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coze_auth_core::cache::RefreshTicket;
use coze_auth_core::error::{ErrorCode, GrantType};
use coze_auth_core::{self as core, ClockSkew, Now, RefreshToken, Retry, SteadyTime, TokenGrant};
use coze_auth_store::{Doubt, GrantKey, Saved, StoreError};

use crate::grants::Held;
use crate::keys::JwtKey;
use crate::observer::EventKind;
use crate::renewal::Renewal;
use crate::shared::{Known, Unsaved};
use crate::source::{Kind, SAVES, Source, save_login};
use crate::turns::Turn;
use crate::{Error, entropy};

/// How often a renewal asks, when trouble passes.
const TRIES: u32 = 2;
/// The longest pause between two tries: everyone waits through it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A renewal under way. It holds the only right to renew the grant in this process, and when it has begun, in
/// the store. Dropped before it is done it counts as failed, and a rotated refresh token may be lost with it.
#[must_use = "a renewal that is dropped is a renewal that failed"]
pub struct Refresh {
    source: Arc<Source>,
    ticket: Option<RefreshTicket>,
    /// The access token that everyone has, ended or refused.
    known: Option<Known>,
    held: Option<Box<dyn Held>>,
    sent: Option<RefreshToken>,
    /// Why what is sent may be spent.
    doubt: Option<Doubt>,
    /// A request is under way, or has ended without an answer, or nothing is stored for it: it may have spent what is stored.
    may_be_spent: bool,
    /// The key of a JWT app that signs.
    key: Option<JwtKey>,
    /// The one that failed before it.
    failed_key: Option<JwtKey>,
    tries: u32,
    requests: u32,
    read_again: bool,
    /// Until it has ended, however it does.
    turn: Option<Turn>,
    number: u64,
    began: SteadyTime,
    /// The result is the store's, and not Coze's answer.
    taken: bool,
    clock_skew: Option<ClockSkew>,
    /// How long storing took, each time.
    stored: Vec<Duration>,
    /// Why a token that other processes share is this one's own.
    not_shared: Option<StoreError>,
}

/// What a renewal wants next.
#[must_use = "a renewal goes on only if its driver does what it asks"]
#[allow(clippy::exhaustive_enums)] // the contract with the adapters
pub enum Next {
    /// Drive this flow, and hand in the result: [`Refresh::received`].
    Send(Refresh, Renewal),
    /// Let this pass, then [`Refresh::again`].
    Wait(Refresh, Duration),
    /// It is over, and everyone knows.
    Done,
}

/// What the store says before anything is sent.
enum Before {
    Send(Renewal),
    Have(TokenGrant),
}

impl Refresh {
    pub(crate) fn new(
        source: Arc<Source>,
        ticket: RefreshTicket,
        turn: Option<Turn>,
        known: Option<Known>,
        now: Now,
    ) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        Self {
            source,
            ticket: Some(ticket),
            known,
            held: None,
            sent: None,
            doubt: None,
            may_be_spent: false,
            key: None,
            failed_key: None,
            tries: 0,
            requests: 0,
            read_again: false,
            turn,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            began: now.steady,
            taken: false,
            clock_skew: None,
            stored: Vec::new(),
            not_shared: None,
        }
    }

    /// Begins. Waits while another process renews the same grant.
    pub async fn begin(mut self) -> Next {
        let before = self.before().await;
        self.go_on(before)
    }

    /// It cannot be carried out.
    pub(crate) fn fail(self, error: Error) {
        drop(self.end(Err(error)));
    }

    /// Notes the result before it is taken by [`received`](Self::received), where a runtime may be shut down in
    /// between: the next caller stores it then, and no rotated refresh token is lost.
    pub fn note(&self, result: &Result<TokenGrant, Error>) {
        if let (Ok(grant), Some(sent)) = (result, &self.sent) {
            self.source.shared.set_unsaved(Unsaved {
                from: Some(sent.clone()),
                grant: grant.clone(),
            });
        }
    }

    /// Takes the result of the request, and waits until it is stored.
    pub async fn received(mut self, result: Result<TokenGrant, Error>) -> Next {
        let error = match result {
            Ok(grant) => {
                self.requests += self.source.requests_per_grant();
                self.note_key();
                return self.keep(grant).await;
            }
            Err(error) => error,
        };
        self.may_be_spent = matches!(error.retry(), Retry::MaybeSpent(_));
        self.requests += requests_until(&error);
        if self.has_other_key(&error) {
            return self.again().await;
        }
        self.tries += 1;
        if let Error::Core {
            error: core::Error::Refused(refused),
            ..
        } = &error
        {
            self.clock_skew = refused.clock_skew();
            // One that may be spent is not tried again, whatever it is refused with.
            let is_final = *refused.code() == ErrorCode::InvalidGrant
                || (self.doubt.is_some() && refused.retry() == Retry::Never);
            if let (true, Some(sent)) = (is_final, &self.sent) {
                self.source.shared.set_refused(sent);
            }
            if let Some(before) = self.after_refusal().await.transpose() {
                return self.go_on(before);
            }
        }
        match error.retry() {
            Retry::After(pause) if self.may_try_again() && pause <= LONGEST_PAUSE => {
                Next::Wait(self, pause)
            }
            _ => {
                let error = self.named(error);
                self.end(Err(error))
            }
        }
    }

    /// A hiccup is healed before anybody hears of it. What lasts is asked once in each pause.
    fn may_try_again(&self) -> bool {
        self.tries < TRIES && self.doubt.is_none() && !self.source.shared.is_failing()
    }

    /// Takes the app's other key, once, if it may be the key: while one is replaced, Coze knows the one or the other.
    fn has_other_key(&mut self, error: &Error) -> bool {
        let may_be_the_key = match error {
            Error::Core {
                error: core::Error::Refused(refused),
                ..
            } => refused.may_be_the_key(),
            error => is_unsigned(error),
        };
        let (Kind::Jwt(jwt), Some(key), None) = (&self.source.kind, &self.key, &self.failed_key)
        else {
            return false;
        };
        let other = may_be_the_key.then(|| jwt.keys().other(key)).flatten();
        match other {
            Some(other) => {
                self.failed_key = self.key.replace(other);
                true
            }
            None => false,
        }
    }

    /// Notes which key works.
    fn note_key(&self) {
        if let (Kind::Jwt(jwt), Some(key)) = (&self.source.kind, &self.key) {
            let now = self.source.now().steady;
            jwt.keys().worked(key, self.failed_key.as_ref(), now);
        }
    }

    /// Asks again, after the pause.
    pub async fn again(mut self) -> Next {
        let before = self.renewal().map(Before::Send);
        self.go_on(before)
    }

    fn go_on(mut self, before: Result<Before, Error>) -> Next {
        match before {
            Ok(Before::Send(renewal)) => {
                self.may_be_spent = self.sent.is_some();
                Next::Send(self, renewal)
            }
            Ok(Before::Have(grant)) => {
                self.taken = true;
                self.end(Ok(grant))
            }
            Err(error) => self.end(Err(error)),
        }
    }

    async fn before(&mut self) -> Result<Before, Error> {
        let source = self.source.clone();
        let Some((key, store)) = source.place() else {
            return self.before_alone_or_shared().await;
        };
        let mut held = None;
        if source.shared.unsaved().is_none() {
            held = store.lock_at_once(key).await?;
            // Beside somebody who renews it, what is stored may still be good.
            if held.is_none() {
                let stored = store.0.load(key).await?;
                if let Some(grant) = self.newer(stored) {
                    return Ok(Before::Have(grant));
                }
            }
        }
        let held = match held {
            Some(held) => held,
            None => store.0.lock(key, source.patience()).await?,
        };
        let held = self.held.insert(held);
        // Now, and not before: who held the lock may have left something.
        if let Some(unsaved) = source.shared.unsaved() {
            let (_, stored) = source.keep(&mut **held, unsaved, false).await?;
            self.stored.extend(stored);
        }
        // What it has just stored is not in doubt.
        self.doubt = held.doubt();
        let before = match held.load().await {
            Ok(stored) => {
                let token = refresh_token_of(stored.as_ref());
                self.take_up(stored, token)
            }
            Err(error) => Err(Error::Store(error)),
        };
        // A disk that is full is found out while the refresh token is still good, and before a person logs in.
        let is_to_be_stored = match &before {
            Ok(Before::Send(_)) => true,
            Ok(Before::Have(_)) => false,
            Err(error) => error.needs_login(),
        };
        if let Some(held) = self.held.as_mut().filter(|_| is_to_be_stored) {
            held.prepare().await?;
            // It may have had to take the lock anew, after another holder.
            self.doubt = held.doubt();
        }
        before
    }

    /// The stored grant, if it need not be renewed; else its renewal.
    fn take_up(
        &mut self,
        stored: Option<TokenGrant>,
        token: Option<RefreshToken>,
    ) -> Result<Before, Error> {
        self.sent = token;
        match self.newer(stored) {
            Some(grant) => Ok(Before::Have(grant)),
            None => self.renewal().map(Before::Send),
        }
    }

    /// A stored grant that need not be renewed. One that has to be, but has not ended, is served from now on, whatever
    /// becomes of the renewal.
    fn newer(&self, stored: Option<TokenGrant>) -> Option<TokenGrant> {
        let stored = stored?;
        let now = self.source.now();
        let refused = self.known.as_ref().filter(|known| known.rejected);
        let is_refused = refused.is_some_and(|known| known.token.matches(&stored.access_token));
        if is_refused || self.is_older_than_refused(&stored) {
            return None;
        }
        let validity = self.source.policy().validity(&stored);
        let ticket = self.ticket.as_ref()?;
        let is_fresh = validity.is_fresh(now.unix) && validity.lasts(ticket.at_least(), now.unix);
        // In the place of a refused token it is not a new one, which would be left alone if it is refused as well: where this clock is
        // behind, it may have ended long ago.
        if !is_fresh || refused.is_some() {
            self.source.shared.adopt(ticket, &stored, now);
        }
        is_fresh.then_some(stored)
    }

    /// What a spent refresh token is refused with is not known (protocol §14): whatever the refusal, someone
    /// else may have spent it, and stored the next.
    async fn after_refusal(&mut self) -> Result<Option<Before>, Error> {
        let (Some(held), Some(sent), false) = (&mut self.held, &self.sent, self.read_again) else {
            return Ok(None);
        };
        self.read_again = true;
        let stored = held.load().await?;
        match refresh_token_of(stored.as_ref()) {
            Some(token) if !token.matches(sent) => {
                self.doubt = None;
                self.take_up(stored, Some(token)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The request, anew: every assertion is good for one attempt.
    fn renewal(&mut self) -> Result<Renewal, Error> {
        match &self.source.kind {
            Kind::Jwt(jwt) => {
                let key = self.key.get_or_insert_with(|| jwt.keys().first()).clone();
                let signing = jwt.signing(key, entropy()?, self.source.timeout());
                Ok(Renewal::jwt(signing))
            }
            Kind::Stored { app, key, .. } => match &self.sent {
                Some(token) if !self.source.shared.has_refused(token) => {
                    Ok(Renewal::refresh(app.refresh(token)))
                }
                _ => Err(Error::LoginNeeded(GrantKey::clone(key))),
            },
            Kind::Workload(workload) => Ok(Renewal::workload(workload.app.grant())),
            Kind::Fixed | Kind::Logins { .. } => Err(Error::NotALogin),
        }
    }

    /// Stores a new grant, if grants are stored, then publishes it. One that cannot be stored is served all the same: it
    /// is good, and the next calls for a token try to store it before anything else.
    async fn keep(mut self, grant: TokenGrant) -> Next {
        self.clock_skew = grant.clock_skew;
        if !self.source.is_stored() {
            self.share(&grant).await;
            return self.end(Ok(grant));
        }
        let Some(held) = &mut self.held else {
            return self.end(Ok(grant));
        };
        let from = self.sent.clone();
        let is_read = self
            .source
            .place()
            .is_some_and(|(_, store)| store.0.lock_reads());
        let unsaved = Unsaved { from, grant };
        let kept = self.source.keep(&mut **held, unsaved, is_read).await;
        let kept = kept.map(|(grant, stored)| {
            self.taken = stored.is_none();
            self.stored.extend(stored);
            grant
        });
        self.may_be_spent = kept.is_err();
        self.end(kept)
    }

    /// An error as it is told to those who asked for a token.
    fn named(&self, error: Error) -> Error {
        match (error, &self.source.kind) {
            (
                Error::Core {
                    error: core::Error::Refused(refused),
                    ..
                },
                Kind::Stored { .. },
            ) => match self.doubt {
                Some(doubt) if refused.retry() == Retry::Never => {
                    Error::MaybeSpent { refused, doubt }
                }
                _ => Error::RefreshRefused(refused),
            },
            (error, _) => error,
        }
    }

    fn end(mut self, outcome: Result<TokenGrant, Error>) -> Next {
        self.complete(outcome);
        Next::Done
    }

    /// Publishes the result, then releases the grant and its turn, then tells.
    fn complete(&mut self, outcome: Result<TokenGrant, Error>) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let expires_at = outcome.as_ref().map(|grant| grant.expires_at);
        let expires_at = expires_at.map_err(Error::clone);
        // Now, and not when it began: a store may have blocked for longer than a failure's pause.
        let now = self.source.now();
        let is_result = |error: &Error| error.retry() == Retry::Never;
        if let Some(turn) = &self.turn
            && outcome.as_ref().err().is_none_or(is_result)
        {
            turn.has_result(now);
        }
        let outlook = self.source.shared.complete(ticket, outcome, now);
        if let Some(held) = self.held.as_mut().filter(|_| self.may_be_spent) {
            held.may_be_spent();
        }
        (self.held, self.turn) = (None, None);
        if let Some(skew) = self.clock_skew {
            self.tell(now, EventKind::ClockSkew(skew));
        }
        if let Some(error) = &self.not_shared {
            self.tell(now, EventKind::NotShared { error });
        }
        for &took in &self.stored {
            self.tell(now, EventKind::Stored { took });
        }
        if let Some(doubt) = self.doubt {
            self.tell(now, EventKind::MaybeSpent(doubt));
        }
        self.source.tell_notices();
        let (took, requests) = (self.began.until(now.steady), self.requests);
        self.tell(
            now,
            match &expires_at {
                &Ok(expires_at) if self.taken => EventKind::Taken {
                    expires_at,
                    took,
                    requests,
                },
                &Ok(expires_at) => EventKind::Done {
                    expires_at,
                    took,
                    requests,
                },
                Err(error) if error.is_refusal() => EventKind::Refused {
                    error,
                    took,
                    requests,
                    next_try: outlook.pause,
                    expires_at: outlook.expires_at,
                },
                Err(error) => EventKind::Failed {
                    error,
                    took,
                    requests,
                    next_try: outlook.pause,
                    expires_at: outlook.expires_at,
                },
            },
        );
    }

    pub(crate) fn tell(&self, now: Now, kind: EventKind<'_>) {
        self.source.tell(now.unix, Some(self.number), kind);
    }
}

/// Whether there was no signature, so that nothing was sent.
fn is_unsigned(error: &Error) -> bool {
    let Error::Core { error, .. } = error else {
        return false;
    };
    matches!(error, core::Error::Signing(_))
}

/// Number of requests that were sent, the one that failed included.
fn requests_until(error: &Error) -> u32 {
    match error {
        error if is_unsigned(error) => 0,
        Error::Core { error, .. } if error.grant_type() == Some(GrantType::TokenExchange) => 2,
        _ => 1,
    }
}

fn refresh_token_of(grant: Option<&TokenGrant>) -> Option<RefreshToken> {
    grant.and_then(|grant| grant.refresh_token.clone())
}

impl Source {
    fn requests_per_grant(&self) -> u32 {
        match self.kind {
            Kind::Workload(_) => 2,
            _ => 1,
        }
    }

    /// Stores a grant, and tells how long that took. If someone else's stands by now where there was what it was renewed
    /// from, that is the grant. If it cannot be stored, it is kept here, and stored before all else. `is_read`: what it was
    /// renewed from is what this holder has read, and a save compares with it.
    pub(crate) async fn keep(
        &self,
        held: &mut dyn Held,
        unsaved: Unsaved,
        mut is_read: bool,
    ) -> Result<(TokenGrant, Option<Duration>), Error> {
        let began = self.now().steady;
        let took = || Some(began.until(self.now().steady));
        let Unsaved { from, grant } = self.shared.set_unsaved(unsaved);
        let Some(from) = &from else {
            save_login(held, &grant).await.map_err(Error::NotStored)?;
            self.shared.set_saved(&grant);
            return Ok((grant, took()));
        };
        let mut tries = 1..SAVES;
        let kept = loop {
            let is_from = |token: &RefreshToken| token.matches(from);
            // The second time it has changed since.
            if !std::mem::take(&mut is_read) {
                match held.load().await {
                    // Logged out in the meantime.
                    Ok(None) => break None,
                    Ok(Some(stored)) if !stored.refresh_token.as_ref().is_some_and(is_from) => {
                        break Some((stored, None));
                    }
                    // It was read a moment ago, so what it held is what this grant was made from.
                    Ok(Some(_)) => {}
                    Err(error) if error.is_damaged() => {}
                    Err(error) => return Err(Error::NotStored(error)),
                }
            }
            if held.save(&grant).await.map_err(Error::NotStored)? == Saved::Stored {
                break Some((grant.clone(), took()));
            }
            tries
                .next()
                .ok_or(Error::NotStored(StoreError::Superseded))?;
        };
        self.shared.set_saved(&grant);
        match (kept, &self.kind) {
            (Some(kept), _) => Ok(kept),
            (None, Kind::Stored { key, .. }) => Err(Error::LoginNeeded(GrantKey::clone(key))),
            (None, _) => Err(Error::NotALogin),
        }
    }
}

impl Drop for Refresh {
    fn drop(&mut self) {
        self.complete(Err(Error::Interrupted));
    }
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh")
            .field("source", &self.source)
            .field("tries", &self.tries)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(..) => f.write_str("Send"),
            Self::Wait(_, pause) => f.debug_tuple("Wait").field(pause).finish(),
            Self::Done => f.write_str("Done"),
        }
    }
}
