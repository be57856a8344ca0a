//! The tokens of all users of an app: which sources are kept, and that nothing is lost with those that are not.

mod steps;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use coze_auth_store::{GrantKey, GrantStore, LockedGrant, MemoryStore, Saved, StoreError};
use coze_auth_tokens::blocking::{Logins, Time, Transport};
use coze_auth_tokens::core::device::DeviceApp;
use coze_auth_tokens::core::{Endpoints, Request, Response, TokenGrant};
use coze_auth_tokens::{Error, SendError};

use steps::{LIFE, Passed, START, answer};

/// A Coze that rotates the refresh token of each user, and answers when it may.
#[derive(Clone, Default)]
struct Coze(Arc<Inner>);

#[derive(Default)]
struct Inner {
    clock: Passed,
    requests: AtomicU64,
    held: Mutex<bool>,
    changed: Condvar,
}

impl Coze {
    fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::SeqCst)
    }

    fn pass(&self, secs: u64) {
        self.0.clock.pass(secs);
    }

    fn hold(&self, held: bool) {
        *self.0.held.lock().unwrap() = held;
        self.0.changed.notify_all();
    }

    /// Until so many requests have come.
    fn arrived(&self, requests: u64) {
        while self.requests() < requests {
            thread::yield_now();
        }
    }

    fn logins(&self, store: impl GrantStore + 'static) -> Logins<Self> {
        Logins::new(self, app(), store)
    }

    /// The grant of this user's login, as good as new.
    fn grant(&self, user: &str) -> TokenGrant {
        let at = START + self.0.clock.now().steady_secs();
        let json = format!(
            r#"{{"access_token":"{user}-0","refresh_token":"{user}:0","issued_at":{at},"expires_at":{}}}"#,
            at + LIFE
        );
        TokenGrant::from_secret_json(&json).unwrap()
    }
}

trait Seconds {
    fn steady_secs(&self) -> u64;
}

impl Seconds for coze_auth_tokens::core::Now {
    fn steady_secs(&self) -> u64 {
        self.unix.as_secs() - START
    }
}

impl Transport for Coze {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        let held = self.0.held.lock().unwrap();
        drop(self.0.changed.wait_while(held, |held| *held).unwrap());
        let body = std::str::from_utf8(request.body().as_bytes()).unwrap();
        let (_, token) = body.split_once("\"refresh_token\":\"").unwrap();
        let (user, number) = token.split_once('"').unwrap().0.split_once(':').unwrap();
        let number = number.parse::<u64>().unwrap() + 1;
        let end = self.0.clock.now().unix.as_secs() + LIFE;
        let body = format!(
            r#"{{"access_token":"{user}-{number}","refresh_token":"{user}:{number}","expires_in":{end}}}"#
        );
        Ok(answer(200, &body)?)
    }

    fn time(&self) -> &dyn Time {
        &self.0.clock
    }
}

fn app() -> DeviceApp {
    DeviceApp::new(Endpoints::cn(), "app").unwrap()
}

/// A store that counts its reads, and fails to save while it is full.
#[derive(Clone, Default)]
struct Counting {
    store: MemoryStore,
    reads: Arc<AtomicUsize>,
    full: Arc<Mutex<bool>>,
}

impl Counting {
    fn access_token(&self, user: &str) -> Option<String> {
        let key = GrantKey::new(&app().into(), user).unwrap();
        let grant = self.store.load(&key).unwrap()?;
        Some(grant.access_token.expose().to_owned())
    }
}

impl GrantStore for Counting {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.load(key)
    }

    fn lock(
        &self,
        key: &GrantKey,
        patience: std::time::Duration,
    ) -> Result<Box<dyn LockedGrant>, StoreError> {
        let held = self.store.lock(key, patience)?;
        Ok(Box::new(CountingLock(held, self.clone())))
    }
}

struct CountingLock(Box<dyn LockedGrant>, Counting);

impl LockedGrant for CountingLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        self.1.reads.fetch_add(1, Ordering::SeqCst);
        self.0.load()
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        match *self.1.full.lock().unwrap() {
            true => Err(StoreError::Other(Arc::new(std::io::Error::other("full")))),
            false => self.0.save(grant),
        }
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.0.remove()
    }
}

fn token(logins: &Logins<Coze>, user: &str) -> String {
    let token = logins.of(user).unwrap().token().unwrap();
    token.expose().to_owned()
}

#[test]
fn each_user_has_a_source_and_a_fresh_token_is_found_without_the_store() {
    let (coze, store) = (Coze::default(), Counting::default());
    let logins = coze.logins(store.clone());
    for user in ["alice", "bob"] {
        logins.install(user, coze.grant(user)).unwrap();
    }
    let before = store.reads.load(Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(token(&logins, "alice"), "alice-0");
        assert_eq!(token(&logins.clone(), "bob"), "bob-0");
    }
    assert_eq!(store.reads.load(Ordering::SeqCst), before);
    // Another process over the same store.
    let restarted = coze.logins(store.clone());
    assert_eq!(token(&restarted, "alice"), "alice-0");
    assert_eq!(coze.requests(), 0);
    coze.pass(LIFE);
    assert_eq!(token(&logins, "alice"), "alice-1");
    assert_eq!(token(&restarted, "alice"), "alice-1");
    assert_eq!(coze.requests(), 1);
    let carol = logins.of("carol").unwrap();
    assert!(matches!(carol.token(), Err(Error::LoginNeeded(_))));
    for wrong in ["", " alice", "a\nb"] {
        assert!(
            matches!(logins.of(wrong), Err(Error::Core { .. })),
            "{wrong:?}"
        );
    }
}

/// The users of a login are not sessions: a user's name must not open another's login.
#[test]
fn the_source_of_a_login_has_no_sessions() {
    let coze = Coze::default();
    let logins = coze.logins(MemoryStore::new());
    for user in ["alice", "bob"] {
        logins.install(user, coze.grant(user)).unwrap();
    }
    let alice = logins.of("alice").unwrap();
    for name in ["bob", "another"] {
        assert!(matches!(alice.session(name), Err(Error::NotAJwtApp)));
    }
}

#[test]
fn many_who_ask_for_one_user_make_one_renewal() {
    let coze = Coze::default();
    let logins = coze.logins(MemoryStore::new());
    logins.install("alice", coze.grant("alice")).unwrap();
    coze.pass(LIFE);
    coze.hold(true);
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let logins = logins.clone();
            thread::spawn(move || token(&logins, "alice"))
        })
        .collect();
    coze.arrived(1);
    coze.hold(false);
    for caller in callers {
        assert_eq!(caller.join().unwrap(), "alice-1");
    }
    assert_eq!(coze.requests(), 1);
}

#[test]
fn as_many_users_are_kept_as_was_said_and_none_loses_a_grant() {
    let (coze, store) = (Coze::default(), Counting::default());
    let logins = coze.logins(store.clone()).kept(2);
    // One whose grant waits to be stored, and one whose renewal runs.
    *store.full.lock().unwrap() = true;
    let unstored = logins.install("unstored", coze.grant("unstored"));
    assert!(matches!(unstored, Err(Error::NotStored(_))));
    *store.full.lock().unwrap() = false;
    logins.install("renewed", coze.grant("renewed")).unwrap();
    coze.pass(LIFE - 1);
    coze.hold(true);
    assert_eq!(token(&logins, "renewed"), "renewed-0");
    coze.arrived(1);
    for number in 0..20 {
        let user = format!("user{number}");
        logins.install(&user, coze.grant(&user)).unwrap();
    }
    assert!(format!("{logins:?}").contains("kept: 3"), "{logins:?}");
    coze.hold(false);
    coze.pass(1);
    // The one renewal, which was not made twice.
    assert_eq!(token(&logins, "renewed"), "renewed-1");
    assert_eq!(coze.requests(), 1);
    assert_eq!(store.access_token("renewed").unwrap(), "renewed-1");
    // Who was evicted is read from the store.
    assert_eq!(token(&logins, "user0"), "user0-0");
    logins.close().unwrap();
    assert_eq!(store.access_token("unstored").unwrap(), "unstored-0");
}

#[test]
fn a_logout_in_mid_renewal_brings_nothing_back() {
    let (coze, store) = (Coze::default(), Counting::default());
    let logins = coze.logins(store.clone());
    logins.install("alice", coze.grant("alice")).unwrap();
    let alice = logins.of("alice").unwrap();
    coze.pass(LIFE);
    coze.hold(true);
    let renews = alice.clone();
    let renews = thread::spawn(move || renews.token().map(drop));
    coze.arrived(1);
    let other = logins.clone();
    let logout = thread::spawn(move || other.forget("alice"));
    coze.hold(false);
    logout.join().unwrap().unwrap();
    // It came before the logout, or not at all.
    drop(renews.join().unwrap());
    assert!(matches!(alice.token(), Err(Error::LoginNeeded(_))));
    assert_eq!(store.access_token("alice"), None);
    // And in again: who holds a source of hers has the new token.
    logins.install("alice", coze.grant("alice")).unwrap();
    assert_eq!(alice.token().unwrap().expose(), "alice-0");
    assert_eq!(token(&logins, "alice"), "alice-0");
}

#[test]
fn closing_ends_all_and_waits_for_what_runs() {
    let (coze, store) = (Coze::default(), Counting::default());
    let logins = coze.logins(store.clone());
    let users: Vec<_> = (0..20).map(|user| format!("user{user}")).collect();
    for user in &users {
        logins.install(user, coze.grant(user)).unwrap();
    }
    let held = logins.of("user0").unwrap();
    coze.pass(LIFE - 1);
    coze.hold(true);
    for user in &users {
        token(&logins, user);
    }
    coze.arrived(20);
    let opens = coze.clone();
    let opens = thread::spawn(move || {
        thread::sleep(std::time::Duration::from_millis(20));
        opens.hold(false);
    });
    logins.close().unwrap();
    opens.join().unwrap();
    for user in &users {
        assert_eq!(store.access_token(user).unwrap(), format!("{user}-1"));
    }
    assert!(matches!(held.token(), Err(Error::Closed)));
    for user in ["user0", "another"] {
        assert!(matches!(logins.of(user), Err(Error::Closed)));
        assert!(matches!(logins.forget(user), Err(Error::Closed)));
    }
}

/// As when the last clone of a single source is dropped.
#[test]
fn dropping_the_last_waits_for_what_runs() {
    let (coze, store) = (Coze::default(), Counting::default());
    let logins = coze.logins(store.clone());
    logins.install("alice", coze.grant("alice")).unwrap();
    coze.pass(LIFE - 1);
    coze.hold(true);
    token(&logins, "alice");
    coze.arrived(1);
    let opens = coze.clone();
    let opens = thread::spawn(move || {
        thread::sleep(std::time::Duration::from_millis(20));
        opens.hold(false);
    });
    drop(logins);
    assert_eq!(store.access_token("alice").unwrap(), "alice-1");
    opens.join().unwrap();
}

#[test]
fn a_user_whose_source_was_closed_has_another() {
    let coze = Coze::default();
    let logins = coze.logins(MemoryStore::new());
    logins.install("alice", coze.grant("alice")).unwrap();
    let closed = logins.of("alice").unwrap();
    closed.close().unwrap();
    assert!(matches!(closed.token(), Err(Error::Closed)));
    assert_eq!(token(&logins, "alice"), "alice-0");
}

#[test]
fn the_renewals_of_all_users_have_turns() {
    let coze = Coze::default();
    let logins = coze.logins(MemoryStore::new()).renewals_at_once(2);
    let users: Vec<_> = (0..6).map(|user| format!("user{user}")).collect();
    for user in &users {
        logins.install(user, coze.grant(user)).unwrap();
    }
    coze.pass(LIFE);
    coze.hold(true);
    let callers: Vec<_> = users
        .into_iter()
        .map(|user| {
            let logins = logins.clone();
            thread::spawn(move || token(&logins, &user))
        })
        .collect();
    coze.arrived(2);
    thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(coze.requests(), 2);
    coze.hold(false);
    for caller in callers {
        assert!(caller.join().unwrap().ends_with("-1"));
    }
    assert_eq!(coze.requests(), 6);
}

#[test]
fn tokens_of_all_users_may_go_where_it_was_said() {
    let logins = Coze::default().logins(MemoryStore::new());
    let to = |logins: &Logins<Coze>| {
        logins
            .of("alice")
            .unwrap()
            .origins()
            .check("https://g.example/")
    };
    assert!(to(&logins).is_err());
    assert!(to(&logins.allow_origin("https://g.example").unwrap()).is_ok());
}
