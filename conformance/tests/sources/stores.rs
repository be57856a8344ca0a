//! Grants at rest: taken up by others, stored before they are served, damaged, and out of reach.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use coze_auth_conformance::Fixture;
use coze_auth_core::TokenGrant;
use coze_auth_mock::{At, Fault, On};
use coze_auth_store::{
    FileStore, GrantKey, GrantStore, LockedGrant, MemoryStore, Saved, StoreError,
};
use coze_auth_tokens::Error;

use crate::over_each;
use crate::support::{LIFE, Login, PATIENCE, RawSocket, key, seconds, while_held};
use crate::transports::Tokens;

over_each! {
    two_sources_make_one_refresh,
    a_restart_takes_the_grant_up,
    without_a_login_there_is_none,
    a_logout_is_one_for_all,
    what_cannot_be_stored_is_served_and_stored_later,
    a_login_that_cannot_be_stored_is_served_and_stored_later,
    a_stored_token_is_served_while_it_lasts,
    a_store_that_hangs_holds_nobody_for_ever,
    closing_waits_for_who_holds_the_grant_as_long_as_for_a_request,
    a_damaged_file_is_named_and_kept,
}

/// Two processes, as far as a source can tell.
fn two_sources_make_one_refresh<T: Tokens>() {
    let login = Login::<T>::new();
    let (one, other) = (login.tokens.clone(), login.another());
    login.fixture.clock.advance(LIFE);
    let gate = login.hold(At::Request);
    let (first, second) = while_held(
        gate,
        move || one.token().expect("a token"),
        |_| std::thread::spawn(move || other.token().expect("a token")),
    );
    assert!(first.matches(&second.join().expect("it ends")));
    assert_eq!(login.refreshes(), (1, 1));
}

fn a_restart_takes_the_grant_up<T: Tokens>() {
    let login = Login::<T>::new();
    let first = login.token();
    assert_eq!(login.another().token().expect("a token").expose(), first);
    login.fixture.clock.advance(LIFE);
    let second = login.another().token().expect("a token");
    assert_ne!(second.expose(), first);
    assert!(login.tokens.token().expect("a token").matches(&second));
    assert_eq!(login.refreshes(), (1, 1));
}

fn without_a_login_there_is_none<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let tokens = T::stored(&fixture.clock, fixture.web(), MemoryStore::new());
    let error = tokens.token().expect_err("nobody logged in");
    assert!(matches!(error, Error::LoginNeeded { .. }), "{error}");
    tokens.install(fixture.web_login()).expect("stored");
    fixture.prove_token(&tokens.token().expect("logged in now"));
}

fn a_logout_is_one_for_all<T: Tokens>() {
    let login = Login::<T>::new();
    let other = login.another();
    other.token().expect("a token");
    login.tokens.forget().expect("removed");
    let error = login.tokens.token().expect_err("logged out");
    assert!(matches!(error, Error::LoginNeeded { .. }), "{error}");
    // Another process has the old token until it ends, and does not bring the login back.
    login.fixture.clock.advance(LIFE);
    let error = other.token().expect_err("logged out");
    assert!(matches!(error, Error::LoginNeeded { .. }), "{error}");
    assert_eq!(login.refreshes(), (0, 0));
}

/// The refresh has rotated the token and the disk is full: the new access token is good, so it is served, and the
/// next tries store what there is without another request.
fn what_cannot_be_stored_is_served_and_stored_later<T: Tokens>() {
    let login = Login::<T>::new();
    let full = Full::over(login.store.clone());
    let tokens = T::stored(&login.fixture.clock, login.fixture.web(), full.clone());
    login.fixture.clock.advance(LIFE);
    full.failures.store(2, Ordering::SeqCst);
    let tokens = tokens.wait_when_stale();
    for pause in [1, 2] {
        let token = tokens.token().expect("served");
        login.fixture.prove_token(&token);
        assert!(!login.stored().access_token.matches(&token));
        assert_eq!(login.refreshes(), (1, 1));
        login.fixture.clock.advance(seconds(pause));
    }
    let token = tokens.token().expect("stored at last");
    assert!(login.stored().access_token.matches(&token));
    assert_eq!(login.refreshes(), (1, 1), "without another request");

    // Whoever has no other token is told.
    login.fixture.clock.advance(LIFE);
    full.failures.store(2, Ordering::SeqCst);
    tokens.token().expect("served");
    login.fixture.clock.advance(LIFE);
    let error = tokens.token().expect_err("ended, and not stored");
    assert!(
        matches!(error, Error::NotStored(StoreError::Other(_))),
        "{error}"
    );
    assert_eq!(login.refreshes(), (2, 2));

    // And closing tries, too.
    full.failures.store(1, Ordering::SeqCst);
    let error = tokens.close().expect_err("not stored now either");
    assert!(matches!(error, Error::NotStored(_)), "{error}");
    tokens.close().expect("stored at last");
    assert_eq!(login.refreshes(), (2, 2), "without another request");
    let another = login.another().token().expect("its refresh token is good");
    login.fixture.prove_token(&another);
    assert_eq!(login.refreshes(), (3, 3));
}

/// The code of a login is spent, too.
fn a_login_that_cannot_be_stored_is_served_and_stored_later<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let full = Full::over(MemoryStore::new());
    let tokens = T::stored(&fixture.clock, fixture.web(), full.clone()).wait_when_stale();
    full.failures.store(1, Ordering::SeqCst);
    let error = tokens.install(fixture.web_login()).expect_err("not stored");
    assert!(matches!(error, Error::NotStored(_)), "{error}");
    fixture.prove_token(&tokens.token().expect("served"));
    assert!(full.load(&key(&fixture)).expect("it can be read").is_none());
    fixture.clock.advance(seconds(1));
    tokens.token().expect("served");
    let another = T::stored(&fixture.clock, fixture.web(), full);
    fixture.prove_token(&another.token().expect("stored"));
}

/// A new process, and a token with half a minute left: whatever the server says, it is good.
fn a_stored_token_is_served_while_it_lasts<T: Tokens>() {
    let login = Login::<T>::new();
    let first = login.token();
    login.fixture.clock.advance(LIFE - seconds(30));
    let fault = Fault::status(503).header("retry-after", "600");
    let _down = login.fixture.mock.fault(On::token(), fault);
    let restarted = login.another();
    for _ in 0..3 {
        let token = restarted.token().expect("it is good");
        assert_eq!(token.expose(), first);
        login.fixture.prove_token(&token);
    }
    login.fixture.clock.advance(seconds(30));
    let error = restarted.token().expect_err("it has ended");
    assert!(error.to_string().contains("HTTP 503"), "{error}");
    assert_eq!(login.refreshes().0, 1, "the server wants to be left alone");
}

/// A renewal's lease is twice three requests of 30 s and ten seconds; after two of them the caller is told.
fn a_store_that_hangs_holds_nobody_for_ever<T: Tokens>() {
    let login = Login::<T>::new();
    let hangs = Hanging::over(login.store.clone());
    let tokens = T::stored(&login.fixture.clock, login.fixture.web(), hangs.clone());
    let waits = tokens.clone();
    let caller = std::thread::spawn(move || waits.token());
    hangs.wait_for(1);
    login.fixture.clock.advance(seconds(200));
    hangs.wait_for(2);
    login.fixture.clock.advance(seconds(200));
    let error = caller.join().expect("it ends").expect_err("it hangs");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    let error = tokens.token().expect_err("a moment ago");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    hangs.let_go();
    login.fixture.clock.advance(seconds(61));
    tokens.token().expect("it is back");
}

/// Who changes the grant otherwise is waited for as long as a renewal may take: three requests and ten seconds.
fn closing_waits_for_who_holds_the_grant_as_long_as_for_a_request<T: Tokens>() {
    let login = Login::<T>::new();
    let full = Full::over(login.store.clone());
    let tokens = T::stored(&login.fixture.clock, login.fixture.web(), full.clone());
    login.fixture.clock.advance(LIFE);
    full.failures.store(1, Ordering::SeqCst);
    tokens.token().expect("served");
    assert_eq!(full.last_patience(), seconds(100));
    tokens.close().expect("stored at last");
    assert!(full.last_patience() <= seconds(30));
    assert!(login.refreshes() == (1, 1) && login.another().token().is_ok());

    // A logout elsewhere leaves nothing to be stored.
    let tokens = T::stored(&login.fixture.clock, login.fixture.web(), full.clone());
    login.fixture.clock.advance(LIFE);
    full.failures.store(1, Ordering::SeqCst);
    tokens.token().expect("served");
    login.another().forget().expect("removed");
    tokens.close().expect("nothing to store");
    assert!(login.another().token().is_err(), "nor is it brought back");
}

fn a_damaged_file_is_named_and_kept<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let folder = Folder::new(std::any::type_name::<T>());
    let store = FileStore::new(&folder.0).expect("a folder");
    let path = store.path(&key(&fixture));
    let tokens = T::stored(&fixture.clock, fixture.web(), store);
    tokens.install(fixture.web_login()).expect("stored");
    let whole = std::fs::read(&path).expect("the file");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("cut off");

    fixture.clock.advance(LIFE);
    let error = tokens.token().expect_err("damaged");
    let Error::Store(StoreError::Corrupt { path: named }) = &error else {
        panic!("{error}");
    };
    assert_eq!(*named, path);
    assert_eq!(
        std::fs::read(&path).expect("the file"),
        whole[..whole.len() / 2],
        "left as it is"
    );
    tokens.install(fixture.web_login()).expect("stored");
    fixture.prove_token(&tokens.token().expect("logged in"));
    let aside = std::fs::read(path.with_extension("corrupt-1")).expect("kept aside");
    assert_eq!(aside, whole[..whole.len() / 2]);
}

/// A store that fails to save as often as it is told to.
#[derive(Clone)]
pub(crate) struct Full {
    store: MemoryStore,
    failures: Arc<AtomicUsize>,
    patience: Arc<Mutex<Duration>>,
}

impl Full {
    pub(crate) fn over(store: MemoryStore) -> Self {
        Self {
            store,
            failures: Arc::default(),
            patience: Arc::default(),
        }
    }

    /// So often from now on.
    pub(crate) fn fail(&self, times: usize) {
        self.failures.store(times, Ordering::SeqCst);
    }

    /// How long the last one who wanted the lock would have waited.
    fn last_patience(&self) -> Duration {
        *self.patience.lock().expect("no panic")
    }
}

impl GrantStore for Full {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.store.load(key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        *self.patience.lock().expect("no panic") = patience;
        Ok(Box::new(FullLock {
            held: self.store.lock(key, patience)?,
            failures: self.failures.clone(),
        }))
    }
}

struct FullLock {
    held: Box<dyn LockedGrant>,
    failures: Arc<AtomicUsize>,
}

impl LockedGrant for FullLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        self.held.load()
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            return Err(StoreError::Other(Arc::new(std::io::Error::other("full"))));
        }
        self.held.save(grant)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.held.remove()
    }
}

/// A store whose reads hang until it is let go.
#[derive(Clone)]
struct Hanging {
    store: MemoryStore,
    calls: Arc<(Mutex<(usize, bool)>, Condvar)>,
}

impl Hanging {
    fn over(store: MemoryStore) -> Self {
        Self {
            store,
            calls: Arc::default(),
        }
    }

    /// Until this many calls hang.
    fn wait_for(&self, count: usize) {
        let calls = self.calls.0.lock().expect("no panic");
        let waited = self
            .calls
            .1
            .wait_timeout_while(calls, PATIENCE, |calls| calls.0 < count);
        assert!(!waited.expect("no panic").1.timed_out(), "nobody asked");
    }

    fn let_go(&self) {
        self.calls.0.lock().expect("no panic").1 = true;
        self.calls.1.notify_all();
    }
}

impl GrantStore for Hanging {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        let mut calls = self.calls.0.lock().expect("no panic");
        calls.0 += 1;
        self.calls.1.notify_all();
        drop(self.calls.1.wait_while(calls, |calls| !calls.1));
        self.store.load(key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        self.store.lock(key, patience)
    }
}

/// A store whose lock does not hold another process back: between this one's look and its request, the other
/// renews the grant and stores it.
#[derive(Clone)]
pub(crate) struct Elsewhere {
    store: MemoryStore,
    other: Arc<Mutex<Option<TokenGrant>>>,
}

impl Elsewhere {
    pub(crate) fn new<T: Tokens>(login: &Login<T>) -> Self {
        let old = login.stored();
        let token = old.refresh_token.clone().expect("a refresh token");
        login.fixture.clock.advance(LIFE);
        let renewed = login.fixture.run(login.fixture.web().refresh(&token));
        Self {
            store: login.store.clone(),
            other: Arc::new(Mutex::new(Some(renewed.expect("a grant")))),
        }
    }
}

impl GrantStore for Elsewhere {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.store.load(key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        let held = self.store.lock(key, patience)?;
        Ok(Box::new(ElsewhereLock {
            held,
            other: self.other.clone(),
        }))
    }
}

struct ElsewhereLock {
    held: Box<dyn LockedGrant>,
    other: Arc<Mutex<Option<TokenGrant>>>,
}

impl LockedGrant for ElsewhereLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        let before = self.held.load()?;
        if let Some(other) = self.other.lock().expect("no panic").take() {
            self.held.save(&other)?;
        }
        Ok(before)
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        self.held.save(grant)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.held.remove()
    }
}

/// A folder of this test, gone when dropped.
pub(crate) struct Folder(pub(crate) std::path::PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let name = format!("coze-auth-sources-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}
