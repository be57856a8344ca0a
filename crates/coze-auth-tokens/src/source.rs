//! A source of tokens, without the HTTP client: what kind it is, and what its users share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::cache::RefreshPolicy;
use coze_auth_core::error::{ConfigError, GrantType};
use coze_auth_core::jwt::JwtGrant;
use coze_auth_core::workload::WorkloadApp;
use coze_auth_core::{AccessToken, Entropy, IssuedToken, Now, RefreshApp, TokenGrant, UnixTime};
use coze_auth_store::{GrantKey, Listener, Saved, StoreError};

use crate::Error;
use crate::grants::{Held, Store};
use crate::keys::{JwtKey, JwtKeys, Keys};
use crate::observer::{self, Event, EventKind, Observer, Observers};
use crate::refresh::Refresh;
use crate::shared::{Ask, Rounds, Shared};
use crate::signing::Signing;
use crate::slot::Slot;
use crate::sync::{Mutex, locked};
use crate::turns::Turns;
use crate::wait::Waiting;

const TIMEOUT: Duration = Duration::from_secs(30);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// Beside what the timeouts sum up to, for whatever else a renewal does.
const SLACK: Duration = Duration::from_secs(10);
/// How often is tried to store a grant under one lock. A store that says each time that someone else was faster has
/// lost its lock for good, or does not compare as it should.
pub(crate) const SAVES: u32 = 10;

/// How long one request may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// From looking the name up to the last byte of the answer.
    pub whole: Duration,
    /// For connecting: a third of it, and at most ten seconds, so that what times out later was connected.
    pub connect: Duration,
}

impl Timeouts {
    /// With this for the whole. More than a day counts as a day: what lies beyond what a clock can tell panics in some
    /// HTTP clients.
    pub fn of(whole: Duration) -> Self {
        let whole = whole.min(LONGEST_TIMEOUT);
        let connect = (whole / 3).min(LONGEST_CONNECT);
        Self { whole, connect }
    }
}

impl Default for Timeouts {
    /// Thirty seconds.
    fn default() -> Self {
        Self::of(TIMEOUT)
    }
}

/// Reads both clocks. A source reads them itself, since a store may take its time between two looks.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// Where tokens come from, and the state that all who ask share.
#[repr(C)] // for the order of `Shared`
pub struct Source {
    pub(crate) shared: Shared,
    pub(crate) kind: Kind,
    /// How long one request may take.
    pub(crate) timeout: Duration,
    clock: Clock,
    observers: Observers,
}

pub(crate) enum Kind {
    Fixed,
    Jwt(Jwt),
    Workload(Box<Workload>),
    /// An app and its store, of which [`Source::login_of`] makes the sources of its users. It gives no token itself.
    Logins {
        app: Arc<RefreshApp>,
        store: Store,
    },
    Stored {
        app: Arc<RefreshApp>,
        key: Box<GrantKey>,
        store: Store,
    },
}

/// A JWT app, and what its tokens are for: all sessions of a source share both, but for their names.
pub(crate) struct Jwt {
    of_all: Arc<JwtOfAll>,
    session: Option<Arc<str>>,
}

struct JwtOfAll {
    keys: Keys,
    grant: JwtGrant,
    shared_in: SharedIn,
}

pub(crate) struct Workload {
    pub(crate) app: WorkloadApp,
    shared_in: SharedIn,
}

/// The store in which other processes find the tokens, if they share them.
type SharedIn = Mutex<Option<Store>>;

impl Jwt {
    /// The keys of the app.
    pub(crate) fn keys(&self) -> &Keys {
        &self.of_all.keys
    }

    fn grant(&self) -> JwtGrant {
        let grant = self.of_all.grant.clone();
        match &self.session {
            Some(name) => {
                let named = grant.session_name(&**name);
                named.expect("checked when it was made")
            }
            None => grant,
        }
    }

    /// Asks for a token, signed with this key, where a request may take `timeout`. One attempt.
    pub(crate) fn signing(&self, key: JwtKey, entropy: Entropy, timeout: Duration) -> Signing {
        Signing {
            key,
            limit: self.keys().limit(timeout),
            grant: self.grant(),
            entropy,
        }
    }
}

/// How a source stands among those that are [`Kept`](crate::kept::Kept).
pub(crate) enum Standing {
    /// Nobody has asked for a token yet.
    New,
    /// Its token is fresh until then.
    Fresh(UnixTime),
    /// It has none, and a renewal runs or its grant waits to be stored.
    Renews,
    /// It has none.
    Ended,
}

impl Source {
    /// A token of the console: always the same.
    pub fn fixed(token: AccessToken, timeout: Duration, clock: Clock) -> Self {
        let policy = policy(timeout);
        Self {
            kind: Kind::Fixed,
            shared: Shared::fixed(policy, token, Self::turns(timeout, &clock)),
            timeout,
            clock,
            observers: Observers::default(),
        }
    }

    /// A JWT app's tokens, for one kind of grant.
    pub fn jwt<A>(
        keys: impl Into<JwtKeys<A>>,
        grant: JwtGrant,
        timeout: Duration,
        clock: Clock,
    ) -> Self {
        let of_all = JwtOfAll {
            keys: keys.into().into_inner(),
            grant,
            shared_in: SharedIn::default(),
        };
        let kind = Kind::Jwt(Jwt {
            of_all: Arc::new(of_all),
            session: None,
        });
        let turns = Self::turns(timeout, &clock);
        Self::new(kind, Slot::hot(), turns, timeout, clock)
    }

    /// A workload's tokens.
    pub fn workload(app: WorkloadApp, timeout: Duration, clock: Clock) -> Self {
        let turns = Self::turns(timeout, &clock);
        let kind = Kind::Workload(Box::new(Workload {
            app,
            shared_in: SharedIn::default(),
        }));
        Self::new(kind, Slot::hot(), turns, timeout, clock)
    }

    /// The tokens of a login, which rests in the store.
    ///
    /// # Errors
    ///
    /// As for [`GrantKey::new`].
    pub fn stored(
        app: RefreshApp,
        subject: impl Into<String>,
        store: Store,
        timeout: Duration,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let key = Box::new(GrantKey::new(&app, subject)?);
        let app = Arc::new(app);
        let kind = Kind::Stored { app, key, store };
        let turns = Self::turns(timeout, &clock);
        Ok(Self::new(kind, Slot::hot(), turns, timeout, clock))
    }

    /// What the sources of all who log in with an app are made of: [`Sessions::login`](crate::Sessions::login). It gives no
    /// token itself.
    pub fn logins(app: RefreshApp, store: Store, timeout: Duration, clock: Clock) -> Self {
        let app = Arc::new(app);
        let turns = Self::turns(timeout, &clock);
        let kind = Kind::Logins { app, store };
        Self::new(kind, Slot::lean(), turns, timeout, clock)
    }

    /// For the renewals of one app.
    pub(crate) fn turns(timeout: Duration, clock: &Clock) -> Arc<Turns> {
        Turns::new(policy(timeout).lease(), clock.clone())
    }

    fn new(kind: Kind, slot: Slot, turns: Arc<Turns>, timeout: Duration, clock: Clock) -> Self {
        let policy = policy(timeout);
        Self {
            kind,
            shared: Shared::new(policy, slot, turns),
            timeout,
            clock,
            observers: Observers::default(),
        }
    }

    /// Shares its tokens, and those of all its sessions, with every process that has this store.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToShare`] if its tokens are neither of a JWT app nor of a workload.
    pub fn share(&self, store: Store) -> Result<(), Error> {
        let shared_in = self.shared_in().ok_or(Error::NothingToShare)?;
        *locked(shared_in) = Some(store.clone());
        for observer in self.observers.all() {
            self.listen(&store, observer);
        }
        Ok(())
    }

    fn shared_in(&self) -> Option<&SharedIn> {
        match &self.kind {
            Kind::Jwt(jwt) => Some(&jwt.of_all.shared_in),
            Kind::Workload(workload) => Some(&workload.shared_in),
            Kind::Fixed | Kind::Logins { .. } | Kind::Stored { .. } => None,
        }
    }

    /// Where its token is found by other processes, if they share it. The key is made anew each time: a hundred thousand sessions
    /// need not keep one.
    pub(crate) fn shared_place(&self) -> Option<(GrantKey, Store)> {
        let store = locked(self.shared_in()?).clone()?;
        let key = match &self.kind {
            Kind::Jwt(jwt) => GrantKey::jwt(jwt.keys().first().issuer(), &jwt.grant()),
            Kind::Workload(workload) => GrantKey::workload(&workload.app),
            Kind::Fixed | Kind::Logins { .. } | Kind::Stored { .. } => return None,
        };
        Some((key, store))
    }

    /// Tells this observer what happens to its tokens and to those of the sessions that are made of it:
    /// [`observe`](crate::TokenSource::observe).
    pub fn observe(&self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) {
        let observer: Observer = Arc::new(observer);
        self.observers.add(observer.clone());
        if let Some(store) = self.store() {
            self.listen(&store, observer);
        }
    }

    /// Has this observer told what the store has to tell.
    fn listen(&self, store: &Store, observer: Observer) {
        let (Some(notices), Some((client_id, grant_type, _))) = (store.0.notices(), self.of())
        else {
            return;
        };
        let (client_id, clock) = (client_id.to_owned(), self.clock.clone());
        let listener: Arc<Listener> = Arc::new(move |notice| {
            let event = Event {
                at: clock().unix,
                client_id: &client_id,
                grant_type,
                subject: None,
                renewal: None,
                kind: EventKind::Notice(notice),
            };
            observer::tell(&observer, &event);
        });
        self.observers.keep(listener.clone());
        notices.listen(&listener);
    }

    /// Has the observers told what its store has noted meanwhile. Under no lock, of the store's neither.
    pub(crate) fn tell_notices(&self) {
        let store = self.store();
        if let Some(notices) = store.as_ref().and_then(|store| store.0.notices()) {
            notices.tell();
        }
    }

    /// Where its tokens rest, or those of its users, or where other processes find them.
    fn store(&self) -> Option<Store> {
        match &self.kind {
            Kind::Logins { store, .. } | Kind::Stored { store, .. } => Some(store.clone()),
            Kind::Fixed | Kind::Jwt(_) | Kind::Workload(_) => locked(self.shared_in()?).clone(),
        }
    }

    /// Tells the observers of another, whenever they were added.
    pub(crate) fn observed_by(mut self, observers: &Observers) -> Self {
        self.observers = observers.clone();
        self
    }

    /// Tells what has happened. Under no lock: an observer takes its time.
    pub(crate) fn tell(&self, at: UnixTime, renewal: Option<u64>, kind: EventKind<'_>) {
        let Some((client_id, grant_type, subject)) = self.of() else {
            return;
        };
        self.observers.tell(|| Event {
            at,
            client_id,
            grant_type,
            subject,
            renewal,
            kind,
        });
    }

    /// Of which app its tokens are, by what grant, and whose. None if nothing happens to them.
    fn of(&self) -> Option<(&str, GrantType, Option<&str>)> {
        let of = match &self.kind {
            Kind::Fixed => return None,
            Kind::Logins { app, .. } => (app.client_id(), GrantType::RefreshToken, None),
            Kind::Jwt(jwt) => (
                jwt.keys().client_id(),
                GrantType::Assertion,
                jwt.session.as_deref(),
            ),
            Kind::Workload(workload) => {
                (workload.app.client_id(), GrantType::ClientCredentials, None)
            }
            Kind::Stored { key, .. } => (
                key.client_id(),
                GrantType::RefreshToken,
                Some(key.subject()),
            ),
        };
        Some(of)
    }

    /// The token, if it is fresh: a look at a slot that no renewal holds. What is not fresh is asked for.
    pub fn fresh(&self, now: UnixTime) -> Option<AccessToken> {
        self.shared.fresh(now)
    }

    /// The token and its end, if it is fresh and valid for at least so long: a look, as [`fresh`](Self::fresh) is.
    pub fn lasting(&self, at_least: Duration, now: UnixTime) -> Option<IssuedToken> {
        self.shared.lasting(at_least, now)
    }

    /// One call for a token: ask it until it has one, or the reason why there is none.
    pub fn caller(self: &Arc<Self>) -> Caller {
        self.shared.note_use(self.now().unix);
        Caller {
            source: self.clone(),
            rounds: Rounds::default(),
        }
    }

    /// The API refused this token. False: it is one of the console, and there is none beside it.
    pub fn invalidate(&self, rejected: &AccessToken) -> bool {
        if matches!(self.kind, Kind::Fixed) {
            return false;
        }
        let now = self.now();
        if self.shared.invalidate(rejected, now) {
            self.tell(now.unix, None, EventKind::TokenRefused);
        }
        true
    }

    /// A renewal that runs, to wait for.
    pub fn running(self: &Arc<Self>) -> Option<(Waiting, Duration)> {
        self.shared.running(self, self.now())
    }

    pub(crate) fn now(&self) -> Now {
        (self.clock)()
    }

    /// When its tokens are renewed, and how long a renewal may take.
    pub(crate) fn policy(&self) -> RefreshPolicy {
        policy(self.timeout)
    }

    /// How long one request may take; as long is waited for a renewal when a source is closed.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long is waited for who else changes the grant: as long as a renewal may hold it.
    pub(crate) fn patience(&self) -> Duration {
        longest_hold(self.timeout)
    }

    /// How long changing the grant in the store may take: as long as a renewal.
    pub(crate) fn longest_change(&self) -> Duration {
        self.policy().lease()
    }

    /// Takes the grant of a login: stored first, then served. It replaces whatever there is.
    ///
    /// # Errors
    ///
    /// [`Error::NotALogin`] if this is not a source of a login. [`Error::NotStored`] if it cannot be stored: its code is
    /// spent, so it is served from memory, and stored by one of the next calls for a token, or by
    /// [`flush`](Self::flush). So it is if the caller goes away.
    pub async fn take(self: Arc<Self>, grant: TokenGrant) -> Result<(), Error> {
        let (key, store) = self.login()?;
        let mut login = Login {
            before: self.shared.unsaved_login(),
            grant: Some(grant.clone()),
            source: self.clone(),
        };
        // From now on `close` waits for it.
        self.shared.note_login(&grant);
        let stored = async {
            let mut held = store.0.lock(key, self.patience()).await?;
            save_login(&mut *held, &grant).await?;
            // Before the lock goes: so nobody else's renewal of this grant can have come here first.
            let before = login.before.as_ref();
            self.shared.restore(grant, before, self.now());
            Ok(())
        };
        let stored = match stored.await {
            Ok(()) => {
                login.grant = None;
                Ok(())
            }
            Err(error) => login.keep(error).map_or(Ok(()), Err),
        };
        self.tell_notices();
        stored
    }

    /// The grant of a login could not be stored. `before` is the login that waited to be stored when it arrived.
    pub(crate) fn not_installed(
        &self,
        grant: TokenGrant,
        before: Option<&AccessToken>,
        error: StoreError,
    ) -> Error {
        let error = Error::NotStored(error);
        self.shared
            .restore_unstored(grant, before, error.clone(), self.now());
        error
    }

    /// Removes the grant from the store and from here: a logout. The tokens themselves live on at Coze, which
    /// has no call to revoke them (protocol §2.1), and other processes go on with the access token that they have,
    /// until it ends.
    ///
    /// # Errors
    ///
    /// [`Error::NotALogin`] if this is not a source of a login; [`Error::Store`] if it is still there.
    pub async fn forget(self: Arc<Self>) -> Result<(), Error> {
        let (key, store) = self.login()?;
        let before = self.shared.unsaved_login();
        let mut held = store.0.lock(key, self.patience()).await?;
        held.remove().await?;
        self.shared.clear(before.as_ref());
        drop(held);
        self.tell_notices();
        Ok(())
    }

    /// # Errors
    ///
    /// [`Error::NotALogin`] if this is not a source of a login.
    fn login(&self) -> Result<(&GrantKey, &Store), Error> {
        match &self.kind {
            Kind::Stored { key, store, .. } => Ok((key, store)),
            Kind::Fixed | Kind::Jwt(_) | Kind::Workload(_) | Kind::Logins { .. } => {
                Err(Error::NotALogin)
            }
        }
    }

    /// Nobody gets a token any more. A renewal that runs goes on; wait for it with
    /// [`running`](Self::running), then call [`flush`](Self::flush).
    pub fn close(&self) {
        self.shared.close();
    }

    /// Sets how many renewals of its app run at once, its sessions' among them: at least one, and 64 if it is not set.
    /// The other sources wait for their turn.
    pub fn set_renewals_at_once(&self, at_once: usize) {
        self.shared.turns().set_at_once(at_once);
    }

    /// Whether nobody gets a token any more.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Stores a grant that was renewed and could not be stored then. Waits for at most `patience` while somebody
    /// else changes the grant.
    ///
    /// # Errors
    ///
    /// [`Error::NotStored`] if it cannot be stored now either: the login is lost when the process ends.
    pub async fn flush(self: Arc<Self>, patience: Duration) -> Result<(), Error> {
        match (self.place(), self.shared.unsaved()) {
            (Some((key, store)), Some(_)) => {
                let held = store.0.lock(key, patience).await;
                let mut held = held.map_err(Error::NotStored)?;
                // Now, and not before: it may be stored by now, or be logged out.
                let Some(unsaved) = self.shared.unsaved() else {
                    return Ok(());
                };
                let kept = self.keep(&mut *held, unsaved, false).await;
                drop(held);
                self.tell_notices();
                match kept {
                    Ok((_, stored)) => {
                        if let Some(took) = stored {
                            self.tell(self.now().unix, None, EventKind::Stored { took });
                        }
                        Ok(())
                    }
                    // Somebody has logged out: there is nothing to store any more.
                    Err(Error::LoginNeeded(_)) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether a grant waits to be stored.
    pub(crate) fn has_unsaved(&self) -> bool {
        self.shared.unsaved().is_some()
    }

    pub(crate) fn is_of_jwt_app(&self) -> bool {
        matches!(self.kind, Kind::Jwt(_))
    }

    /// Whether there is something to [settle](crate::Driver::settle): a renewal of a login that is waited for, or a grant
    /// that waits to be stored.
    pub(crate) fn is_unsettled(self: &Arc<Self>) -> bool {
        self.is_stored() && (self.running().is_some() || self.has_unsaved())
    }

    /// Whether it is a login's, which rests in a store, so that a renewal must not be lost.
    pub fn is_stored(&self) -> bool {
        self.place().is_some()
    }

    /// Where its grant rests, if it is a login's.
    pub(crate) fn place(&self) -> Option<(&GrantKey, &Store)> {
        match &self.kind {
            Kind::Stored { key, store, .. } => Some((key, store)),
            Kind::Fixed | Kind::Jwt(_) | Kind::Workload(_) | Kind::Logins { .. } => None,
        }
    }

    /// The workload that its tokens are of.
    ///
    /// # Errors
    ///
    /// [`Error::NotAWorkload`].
    pub(crate) fn workload_app(&self) -> Result<&WorkloadApp, Error> {
        match &self.kind {
            Kind::Workload(workload) => Ok(&workload.app),
            _ => Err(Error::NotAWorkload),
        }
    }

    /// The source of a session of this JWT app: one of many, so it weighs little. With its name, for who keeps it.
    ///
    /// # Errors
    ///
    /// [`Error::NotAJwtApp`], and [`Error::Core`] if the name is empty or has invisible characters.
    pub(crate) fn session(&self, name: &str) -> Result<(Arc<str>, Self), Error> {
        let Kind::Jwt(jwt) = &self.kind else {
            return Err(Error::NotAJwtApp);
        };
        JwtGrant::new().session_name(name)?;
        let name = Arc::<str>::from(name);
        let kind = Kind::Jwt(Jwt {
            of_all: jwt.of_all.clone(),
            session: Some(name.clone()),
        });
        Ok((name, self.one_of_many(kind)))
    }

    /// The source of this subject's login, one of many. With the subject, for who keeps it.
    ///
    /// # Errors
    ///
    /// [`Error::NotALogin`], and [`Error::Core`] as for [`GrantKey::new`].
    pub(crate) fn login_of(&self, subject: &str) -> Result<(Arc<str>, Self), Error> {
        let Kind::Logins { app, store } = &self.kind else {
            return Err(Error::NotALogin);
        };
        let kind = Kind::Stored {
            app: app.clone(),
            key: Box::new(GrantKey::new(app, subject)?),
            store: store.clone(),
        };
        Ok((subject.into(), self.one_of_many(kind)))
    }

    /// It weighs little, and shares the turns and the observers of this one.
    fn one_of_many(&self, kind: Kind) -> Self {
        let (turns, clock) = (self.shared.turns().clone(), self.clock.clone());
        let one = Self::new(kind, Slot::lean(), turns, self.timeout, clock);
        one.observed_by(&self.observers)
    }

    pub(crate) fn standing(&self, now: Now) -> Standing {
        match self.shared.fresh_until() {
            Some(until) if now.unix < until => Standing::Fresh(until),
            _ if self.is_at_work() => Standing::Renews,
            _ if self.used().is_none() => Standing::New,
            _ => Standing::Ended,
        }
    }

    pub(crate) fn tell_evicted(&self, now: Now) {
        let fresh_until = self.shared.fresh_until();
        let was_fresh = fresh_until.is_some_and(|until| now.unix < until);
        self.tell(now.unix, None, EventKind::Evicted { was_fresh });
    }

    /// When a token was last asked for, to the second.
    pub(crate) fn used(&self) -> Option<UnixTime> {
        self.shared.used()
    }

    /// Whether a renewal runs or a grant waits to be stored.
    pub(crate) fn is_at_work(&self) -> bool {
        self.shared.is_at_work(self.now())
    }
}

/// Stores the grant of a login. It is newer than whatever is there; `save` compares with the last `load`.
pub(crate) async fn save_login(held: &mut dyn Held, grant: &TokenGrant) -> Result<(), StoreError> {
    for _ in 0..SAVES {
        if held.save(grant).await? == Saved::Stored {
            return Ok(());
        }
        // For its revision: what cannot be read is replaced all the same.
        let _ = held.load().await;
    }
    Err(StoreError::Superseded)
}

/// A login whose grant is being stored. If that is broken off, by a store that panics or a runtime that is shut down, it is
/// kept.
struct Login {
    source: Arc<Source>,
    before: Option<AccessToken>,
    grant: Option<TokenGrant>,
}

impl Login {
    fn keep(&mut self, error: StoreError) -> Option<Error> {
        let grant = self.grant.take()?;
        let before = self.before.as_ref();
        Some(self.source.not_installed(grant, before, error))
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let cause = std::io::Error::other("storing it was broken off");
        self.keep(StoreError::Other(Arc::new(cause)));
    }
}

/// One call for a token: what it waited for, so that it is told the result and does not ask for ever.
#[derive(Debug)]
pub struct Caller {
    source: Arc<Source>,
    rounds: Rounds,
}

impl Caller {
    /// Whether it waits for the renewal of a token that is stale but valid, instead of letting it run behind. If that
    /// fails, it has the token all the same.
    #[must_use]
    pub fn wait_when_stale(mut self, waits: bool) -> Self {
        self.rounds.waits_when_stale = waits;
        self
    }

    /// For a token that is valid for at least so long: one with less left is renewed first. If that fails, the call
    /// does. It asks for one renewal at most, and takes what that brings, however short. More than a new token
    /// is fresh for counts as that ([`Validity::lasts`](coze_auth_core::cache::Validity::lasts)).
    #[must_use]
    pub fn valid_for_at_least(mut self, at_least: Duration) -> Self {
        self.rounds.at_least = at_least;
        self
    }

    /// What to do for a token. Never waits for IO.
    pub fn ask(&mut self) -> Ask {
        let (source, now) = (&self.source, self.source.now());
        let ask = source
            .shared
            .ask(source, now, &mut self.rounds, |ticket, turn, known| {
                Refresh::new(source.clone(), ticket, turn, known, now)
            });
        if let Ask::First(refresh) | Ask::Behind(_, refresh) = &ask {
            refresh.tell(now, EventKind::Begun);
        }
        ask
    }
}

/// How long a renewal may hold a grant: two requests and one more after a refusal, and what is done between them.
fn longest_hold(timeout: Duration) -> Duration {
    timeout.saturating_mul(3).saturating_add(SLACK)
}

/// A renewal waits for another's end, then takes as long itself. It is long enough for a workload's, too, which waits for
/// nobody's and sends four requests at most: two, and after trouble that passes two more.
fn policy(timeout: Duration) -> RefreshPolicy {
    RefreshPolicy::new(longest_hold(timeout).saturating_mul(2))
}

impl AsRef<Self> for Source {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Fixed => f.write_str("Fixed"),
            Kind::Jwt(jwt) => f
                .debug_tuple("Jwt")
                .field(&jwt.of_all.keys)
                .field(&jwt.of_all.grant)
                .field(&jwt.session)
                .finish(),
            Kind::Workload(workload) => f.debug_tuple("Workload").field(&workload.app).finish(),
            Kind::Logins { .. } => f.write_str("Logins"),
            Kind::Stored { key, .. } => f.debug_tuple("Stored").field(key).finish(),
        }
    }
}
