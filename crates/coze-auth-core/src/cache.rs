//! The token cache: one grant, who renews it, and what went wrong last. It decides and never waits.
//!
//! ```text
//!                 early             ended, or refused by the API
//!   Fresh ───────────────▶ Stale ──────────────────────────────▶ Missing
//!     ▲                      │ ticket                               │ ticket
//!     │       grant          ▼                                      ▼
//!     └───────────────── a refresh runs: the old token while it lasts, then Busy
//!                            │ failure
//!                            ▼
//!                        a pause: the old token while it lasts, then Failed
//! ```
//!
//! A driver asks [`TokenCache::lookup`]. Who is given a [`RefreshTicket`] gets a new grant, by whatever flow,
//! and hands it to [`TokenCache::complete`]; nobody else is given one until then, or until the ticket's
//! lease is over, so that a refresh that was lost cannot wedge the cache. The cache has no lock: behind a
//! mutex, it is held for a look and never while something is sent.
//!
//! Tokens end by the calendar, so a machine that was suspended wakes to an ended token. Leases and pauses are
//! on the steady clock, so a wall clock that is set does not stall or hurry them.

mod policy;

use std::fmt;
use std::time::Duration;

pub use self::policy::{RefreshPolicy, Validity};
use crate::access_token::AccessToken;
use crate::error::{Error, ErrorCode, Retry};
use crate::secret::RefreshToken;
use crate::time::{Now, SteadyTime};
use crate::token::{IssuedToken, TokenGrant};

/// The first pause after a failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that the cache itself asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause that a server can ask for: a gateway that says "in three thousand years" is not believed.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);
/// How long a token that had expired on arrival is used all the same, if its answer does not tell the server's time:
/// this clock is wrong, or the token is a matter of seconds. Without it, every lookup on such a machine would be a
/// request.
const DOUBTFUL: Duration = Duration::from_secs(5);
/// The longest life of an access token (protocol §3.4): a server's time that would make it longer is not believed.
const LONGEST_LIFE: Duration = Duration::from_secs(86_400);
/// How soon a token that replaced a refused one may be refused and replaced in its turn: what is wrong then is
/// not the token, and a rotation for each refused request would help nobody.
const REPLACED_AGAIN: Duration = Duration::from_secs(30);

/// What the cache has to know of an error.
pub trait RefreshError: Clone {
    /// Whether the same can succeed later, and when.
    fn retry(&self) -> Retry;

    /// Whether the server said that the refresh token is spent or expired (`invalid_grant`). What else it may
    /// say of such a token is not known (protocol §14), so nothing else counts.
    fn is_invalid_grant(&self) -> bool;
}

impl RefreshError for Error {
    fn retry(&self) -> Retry {
        Self::retry(self)
    }

    fn is_invalid_grant(&self) -> bool {
        matches!(self, Self::Refused(refused) if *refused.code() == ErrorCode::InvalidGrant)
    }
}

/// What to do for a token now.
#[derive(Debug)]
#[must_use = "a ticket that is dropped stalls the cache until its lease is over"]
#[allow(clippy::exhaustive_enums)] // these five are the contract with every driver
pub enum Lookup<E = Error> {
    /// Use it. It is fresh, or someone renews or stores it already, or that failed a moment ago.
    Fresh(IssuedToken),
    /// Use it; and renew it, or store what could not be stored, beside.
    Stale(IssuedToken, RefreshTicket),
    /// There is none that lasts as long as it was asked for: renew it first.
    Missing(RefreshTicket),
    /// There is none such, and someone renews it: look again when that is done, or at the latest after this long.
    Busy(Duration),
    /// There is none such, and the last renewal failed a moment ago, for this reason.
    Failed(E),
}

/// The right, and the duty, to renew the grant.
#[must_use = "a ticket that is dropped stalls the cache until its lease is over"]
pub struct RefreshTicket {
    id: u64,
    installed: u64,
    at_least: Duration,
    /// What to renew it with. None: there is none (JWT, or no login yet), or it was refused.
    pub refresh_token: Option<RefreshToken>,
}

impl RefreshTicket {
    /// How long the new token is to be valid at least: a grant from storage that [does not last](Validity::lasts) so
    /// long has to be renewed, fresh as it may be.
    pub fn at_least(&self) -> Duration {
        self.at_least
    }
}

/// One grant that many share. See the [module](self) for the whole.
///
/// ```
/// use coze_auth_core::cache::{Lookup, RefreshPolicy, TokenCache};
/// # use coze_auth_core::{Error, Now, SteadyTime, TokenGrant, UnixTime};
/// # use std::time::Duration;
/// # let now = Now { unix: UnixTime::from_secs(1_790_000_000), steady: SteadyTime::from_duration(Duration::ZERO) };
/// # let grant = TokenGrant::from_secret_json(r#"{"access_token":"a","issued_at":1790000000,"expires_at":1790000900}"#)?;
///
/// let mut cache = TokenCache::<Error>::new(RefreshPolicy::new(Duration::from_secs(30)));
/// let Lookup::Missing(ticket) = cache.lookup(now) else { panic!("nothing is in it yet") };
/// assert!(matches!(cache.lookup(now), Lookup::Busy(_))); // the one who has the ticket renews
/// cache.complete(ticket, Ok(grant), now);
/// let Lookup::Fresh(token) = cache.lookup(now) else { panic!("it has 15 minutes") };
/// assert_eq!(token.access_token.expose(), "a");
/// # Ok::<(), coze_auth_core::error::ConfigError>(())
/// ```
pub struct TokenCache<E = Error> {
    policy: RefreshPolicy,
    current: Option<Current>,
    running: Option<Lease>,
    /// Boxed, since most have none and there may be a hundred thousand caches.
    failure: Option<Box<Failure<E>>>,
    failures: u32,
    tickets: u64,
    /// How many grants there have been. A ticket remembers it, to be told from one of an older grant.
    installed: u64,
    /// Tickets up to this one renew what [`TokenCache::restore`] or [`TokenCache::clear`] has put away.
    void: u64,
}

struct Current {
    grant: TokenGrant,
    at: SteadyTime,
    /// The API refused the access token.
    rejected: bool,
    /// It replaced a rejected one.
    replaces_rejected: bool,
    /// It had expired on arrival, by our calendar: it is used all the same for this long.
    doubtful: Option<Duration>,
    /// The server refused the refresh token.
    refused: bool,
    /// It could not be stored: the holder of the next ticket tries again.
    unstored: bool,
}

struct Lease {
    ticket: u64,
    until: SteadyTime,
}

struct Failure<E> {
    error: E,
    until: SteadyTime,
}

impl<E: RefreshError> TokenCache<E> {
    /// A cache without a grant.
    pub fn new(policy: RefreshPolicy) -> Self {
        Self {
            policy,
            current: None,
            running: None,
            failure: None,
            failures: 0,
            tickets: 0,
            installed: 0,
            void: 0,
        }
    }

    /// Takes a grant from a login or from storage, in place of whatever there is. A renewal of the old grant
    /// that is under way counts for nothing then.
    pub fn restore(&mut self, grant: TokenGrant, now: Now) {
        self.install(grant, now, false);
        self.void = self.tickets;
    }

    /// Like [`restore`](Self::restore), of a grant that could not be stored, for this reason: see
    /// [`complete_unstored`](Self::complete_unstored).
    pub fn restore_unstored(&mut self, grant: TokenGrant, error: E, now: Now) {
        self.restore(grant, now);
        self.fail_to_store(error, now);
    }

    /// Takes a grant that this ticket's renewal has found in storage: until a new one comes, its token is served while it
    /// lasts, whatever becomes of the renewal. It does not end the renewal. Ignored if it has ended, or if the
    /// current one is it, or serves longer; and after a login or a logout, before which it may have been read.
    pub fn adopt(&mut self, ticket: &RefreshTicket, stored: &TokenGrant, now: Now) {
        if ticket.id <= self.void {
            return;
        }
        let is_better = self.current.as_ref().is_none_or(|current| {
            !current.grant.access_token.matches(&stored.access_token)
                && (!current.serves(now) || current.grant.expires_at < stored.expires_at)
        });
        if is_better && now.unix < stored.expires_at {
            self.current = Some(Current {
                at: now.steady,
                rejected: false,
                replaces_rejected: false,
                doubtful: None,
                refused: false,
                unstored: false,
                grant: stored.clone(),
            });
        }
    }

    /// Drops the grant: nobody is logged in any more. A renewal that is under way counts for nothing then.
    pub fn clear(&mut self) {
        self.current = None;
        self.failure = None;
        self.failures = 0;
        self.void = self.tickets;
    }

    /// Marks `rejected` as unusable, after the API answered 401. Ignored unless it is the current token, since a late
    /// answer to an old token says nothing about the new one. A running renewal goes on and counts. Also ignored if the
    /// token replaced a rejected one less than half a minute ago: the token is not the problem then.
    pub fn invalidate(&mut self, rejected: &AccessToken, now: Now) {
        let Some(current) = &mut self.current else {
            return;
        };
        let too_soon = current.replaces_rejected && current.at.until(now.steady) < REPLACED_AGAIN;
        if current.grant.access_token.matches(rejected) && !too_soon {
            current.rejected = true;
        }
    }

    /// Hands in the result of a ticket; `now` is read after whatever the renewal waited for, since a failure's pause is
    /// counted from it.
    ///
    /// A failure is ignored if another ticket has been given out since, or if its grant is no longer the current
    /// one. A success is not: the server has rotated the refresh token, and this is the only copy. It is dropped
    /// only if another grant has come in the meantime; of two renewals without refresh tokens (JWT) the later
    /// expiry wins.
    pub fn complete(&mut self, ticket: RefreshTicket, outcome: Result<TokenGrant, E>, now: Now) {
        let latest = self
            .running
            .take_if(|lease| lease.ticket == ticket.id)
            .is_some();
        if ticket.id <= self.void {
            return;
        }
        let same_grant = ticket.installed == self.installed;
        match outcome {
            Ok(grant) if same_grant || self.outlived_by(&grant) => self.install(grant, now, true),
            Err(error) if latest && same_grant => self.fail(error, now),
            Ok(_) | Err(_) => {}
        }
    }

    /// Hands in a grant that a ticket brought and that could not be stored, for this reason. Its token is served; after
    /// a pause the next ticket is given out, whose holder stores it before anything else: its refresh token is
    /// the only copy.
    pub fn complete_unstored(
        &mut self,
        ticket: RefreshTicket,
        grant: TokenGrant,
        error: E,
        now: Now,
    ) {
        let (installed, failures) = (self.installed, self.failures);
        self.complete(ticket, Ok(grant), now);
        if self.installed != installed {
            self.failures = failures;
            self.fail_to_store(error, now);
        }
    }

    /// The grant is stored now, which could not be stored before. Ignored if it is not the current one.
    pub fn stored(&mut self, grant: &TokenGrant) {
        if let Some(current) = &mut self.current
            && current.unstored
            && current.grant.access_token.matches(&grant.access_token)
        {
            current.unstored = false;
            self.failure = None;
            self.failures = 0;
        }
    }

    /// What to do for a token now.
    pub fn lookup(&mut self, now: Now) -> Lookup<E> {
        self.lookup_lasting(Duration::ZERO, now)
    }

    /// What to do now for a token that [lasts](Validity::lasts) at least so long. One that has less left counts as none: who
    /// asks for it waits for the renewal, and is told if that fails. Everyone else is given the token meanwhile.
    pub fn lookup_lasting(&mut self, at_least: Duration, now: Now) -> Lookup<E> {
        let is_due = self.is_due(at_least, now);
        match self.token(at_least, now) {
            Some(token) => match is_due {
                true => Lookup::Stale(token, self.ticket(at_least, now)),
                false => Lookup::Fresh(token),
            },
            None => match (self.busy(now), self.pausing(now)) {
                (Some(rest), _) => Lookup::Busy(rest),
                (None, Some(error)) => Lookup::Failed(error.clone()),
                (None, None) => Lookup::Missing(self.ticket(at_least, now)),
            },
        }
    }

    /// The token that [`lookup`](Self::lookup) will give to everyone while it is [fresh](Validity::is_fresh), and
    /// [`lookup_lasting`](Self::lookup_lasting) if it [lasts](Validity::lasts), whatever happens to clocks and leases: for a
    /// slot that is read without the cache. None if there is none such.
    pub fn published(&self) -> Option<(&AccessToken, Validity)> {
        let current = self.current.as_ref();
        let current = current.filter(|current| !current.rejected && !current.unstored)?;
        Some((
            &current.grant.access_token,
            self.policy.validity(&current.grant),
        ))
    }

    /// The grant, whatever its state.
    pub fn grant(&self) -> Option<&TokenGrant> {
        self.current.as_ref().map(|current| &current.grant)
    }

    /// Whether [`lookup_lasting`](Self::lookup_lasting) would give a ticket out now: for a driver that bounds how many
    /// renewals run at once, and looks only when it may start one.
    pub fn is_due(&self, at_least: Duration, now: Now) -> bool {
        let is_stale = self.usable(at_least, now).is_none_or(|current| {
            current.unstored
                || !current.in_doubt(now) && now.unix >= self.policy.stale_from(&current.grant)
        });
        is_stale && self.busy(now).is_none() && self.pausing(now).is_none()
    }

    /// The token to hand out now that [lasts](Validity::lasts) at least so long, whether it is due or not; none if there
    /// is none such.
    pub fn token(&self, at_least: Duration, now: Now) -> Option<IssuedToken> {
        let current = self.usable(at_least, now)?;
        Some(current.grant.issued_token())
    }

    /// Whether there is a token to hand out now that [lasts](Validity::lasts) at least so long.
    pub fn serves(&self, at_least: Duration, now: Now) -> bool {
        self.usable(at_least, now).is_some()
    }

    /// Whether the API has refused the current access token.
    pub fn is_rejected(&self) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| current.rejected)
    }

    /// Why the last renewal failed, if none has succeeded since; also when its pause is over.
    pub fn failure(&self) -> Option<&E> {
        self.failure.as_ref().map(|failure| &failure.error)
    }

    /// Whether the server has said that this refresh token is spent or expired.
    pub fn has_refused(&self, token: &RefreshToken) -> bool {
        self.current.as_ref().is_some_and(|current| {
            let own = current.grant.refresh_token.as_ref();
            current.refused && own.is_some_and(|own| own.matches(token))
        })
    }

    /// Whether a renewal runs, and for how long it is waited for at most.
    pub fn busy(&self, now: Now) -> Option<Duration> {
        let lease = self.running.as_ref()?;
        Some(now.steady.until(lease.until)).filter(|rest| !rest.is_zero())
    }

    /// Whether a renewal has outlived its lease and not been replaced by another.
    pub fn overran(&self, now: Now) -> bool {
        self.running.is_some() && self.busy(now).is_none()
    }

    /// Counts a renewal that has [outlived its lease](Self::overran) as failed. Its success counts all the same, when it
    /// comes.
    pub fn give_up(&mut self, error: E, now: Now) {
        if self.overran(now) {
            self.running = None;
            self.fail(error, now);
        }
    }

    /// For how long nothing is tried again, after a renewal that failed. None if the next one may begin.
    pub fn pause(&self, now: Now) -> Option<Duration> {
        let failure = self.failure.as_ref()?;
        Some(now.steady.until(failure.until)).filter(|rest| !rest.is_zero())
    }

    fn usable(&self, at_least: Duration, now: Now) -> Option<&Current> {
        let current = self.current.as_ref()?;
        let validity = self.policy.validity(&current.grant);
        (current.serves(now) && validity.lasts(at_least, now.unix)).then_some(current)
    }

    fn pausing(&self, now: Now) -> Option<&E> {
        self.failure().filter(|_| self.pause(now).is_some())
    }

    fn ticket(&mut self, at_least: Duration, now: Now) -> RefreshTicket {
        self.tickets += 1;
        self.running = Some(Lease {
            ticket: self.tickets,
            until: now.steady.plus(self.policy.lease()),
        });
        let current = self.current.as_ref().filter(|current| !current.refused);
        RefreshTicket {
            id: self.tickets,
            installed: self.installed,
            at_least,
            refresh_token: current.and_then(|current| current.grant.refresh_token.clone()),
        }
    }

    /// Whether the current grant and this one need no refresh token, and this one lives longer.
    fn outlived_by(&self, grant: &TokenGrant) -> bool {
        grant.refresh_token.is_none()
            && self.grant().is_some_and(|current| {
                current.refresh_token.is_none() && current.expires_at < grant.expires_at
            })
    }

    fn install(&mut self, grant: TokenGrant, now: Now, renewed: bool) {
        let replaces_rejected = renewed
            && self
                .current
                .as_ref()
                .is_some_and(|current| current.rejected);
        self.current = Some(Current {
            at: now.steady,
            rejected: false,
            replaces_rejected,
            doubtful: (renewed && now.unix >= grant.expires_at)
                .then(|| self.policy.life_by_server(&grant, now.unix)),
            refused: false,
            unstored: false,
            grant,
        });
        self.failure = None;
        self.failures = 0;
        self.installed += 1;
    }

    fn fail_to_store(&mut self, error: E, now: Now) {
        if let Some(current) = &mut self.current {
            current.unstored = true;
        }
        self.fail(error, now);
    }

    fn fail(&mut self, error: E, now: Now) {
        if let Some(current) = &mut self.current {
            current.refused |= error.is_invalid_grant();
        }
        let asked = match error.retry() {
            Retry::After(pause) | Retry::MaybeSpent(pause) => pause.min(LONGEST_ASKED),
            Retry::Never => Duration::ZERO,
        };
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST_PAUSE)
            .max(asked);
        self.failures = self.failures.saturating_add(1);
        self.failure = Some(Box::new(Failure {
            error,
            until: now.steady.plus(pause),
        }));
    }
}

impl Current {
    fn serves(&self, now: Now) -> bool {
        !self.rejected && !self.ended(now)
    }

    fn ended(&self, now: Now) -> bool {
        !self.in_doubt(now) && now.unix >= self.grant.expires_at
    }

    fn in_doubt(&self, now: Now) -> bool {
        self.doubtful
            .is_some_and(|life| self.at.until(now.steady) < life)
    }
}

impl fmt::Debug for RefreshTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshTicket")
            .field("id", &self.id)
            .field("refresh_token", &self.refresh_token)
            .finish_non_exhaustive()
    }
}

impl<E> fmt::Debug for TokenCache<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("policy", &self.policy)
            .field(
                "grant",
                &self.current.as_ref().map(|current| &current.grant),
            )
            .field("running", &self.running.is_some())
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}
