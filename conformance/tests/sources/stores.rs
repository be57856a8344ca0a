//! Grants at rest: taken up by others, stored before they are served, damaged, and out of reach.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coze_auth_conformance::Stage;
use coze_auth_core::TokenGrant;
use coze_auth_mock::At;
use coze_auth_store::{
    Error, FileStore, GrantKey, GrantStore, LockedGrant, MemoryStore, Saved, StoreError,
};

use crate::adapters::Tokens;
use crate::over_both;
use crate::support::{LIFE, Login, RawSocket, key, seconds, while_held};

over_both! {
    two_sources_make_one_refresh,
    a_restart_takes_the_grant_up,
    without_a_login_there_is_none,
    a_logout_is_one_for_all,
    what_cannot_be_stored_is_not_served,
    closing_waits_for_who_holds_the_grant_as_long_as_for_a_request,
    a_damaged_file_is_named_and_kept,
}

/// Two processes, as far as a source can tell.
fn two_sources_make_one_refresh<T: Tokens>() {
    let login = Login::<T>::new();
    let (one, other) = (login.tokens.clone(), login.another());
    login.stage.clock.advance(LIFE);
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
    login.stage.clock.advance(LIFE);
    let second = login.another().token().expect("a token");
    assert_ne!(second.expose(), first);
    assert!(login.tokens.token().expect("a token").matches(&second));
    assert_eq!(login.refreshes(), (1, 1));
}

fn without_a_login_there_is_none<T: Tokens>() {
    let stage = Stage::<RawSocket>::new();
    let tokens = T::stored(&stage.clock, stage.web(), MemoryStore::new());
    let error = tokens.token().expect_err("nobody logged in");
    assert!(matches!(error, Error::LoginNeeded { .. }), "{error}");
    tokens.install(stage.web_login()).expect("stored");
    stage.prove_token(&tokens.token().expect("logged in now"));
}

fn a_logout_is_one_for_all<T: Tokens>() {
    let login = Login::<T>::new();
    let other = login.another();
    other.token().expect("a token");
    login.tokens.forget().expect("removed");
    let error = login.tokens.token().expect_err("logged out");
    assert!(matches!(error, Error::LoginNeeded { .. }), "{error}");
    // Another process has the old token until it ends, and does not bring the login back.
    login.stage.clock.advance(LIFE);
    let error = other.token().expect_err("logged out");
    assert!(matches!(error, Error::LoginNeeded { .. }), "{error}");
    assert_eq!(login.refreshes(), (0, 0));
}

/// The refresh has rotated the token and the disk is full: nobody gets the new access token, nothing is lost,
/// and the next try stores what there is without another request.
fn what_cannot_be_stored_is_not_served<T: Tokens>() {
    let login = Login::<T>::new();
    let full = Full::over(login.store.clone());
    let tokens = T::stored(&login.stage.clock, login.stage.web(), full.clone());
    login.stage.clock.advance(LIFE);
    full.failures.store(2, Ordering::SeqCst);
    for pause in [1, 2] {
        let error = tokens.token().expect_err("not stored");
        assert!(
            matches!(error, Error::NotStored(StoreError::Other(_))),
            "{error}"
        );
        assert_eq!(login.refreshes(), (1, 1));
        login.stage.clock.advance(seconds(pause));
    }
    let token = tokens.token().expect("stored at last");
    assert!(login.stored().access_token.matches(&token));
    login.stage.prove_token(&token);
    assert_eq!(login.refreshes(), (1, 1), "without another request");

    // And closing tries, too.
    login.stage.clock.advance(LIFE);
    full.failures.store(2, Ordering::SeqCst);
    tokens.token().expect_err("not stored");
    let error = tokens.close().expect_err("not stored now either");
    assert!(matches!(error, Error::NotStored(_)), "{error}");
    tokens.close().expect("stored at last");
    let another = login.another().token().expect("a token");
    login.stage.prove_token(&another);
    assert_eq!(login.refreshes(), (2, 2));
}

/// Who changes the grant otherwise is waited for as long as a renewal may take: three requests and ten seconds.
fn closing_waits_for_who_holds_the_grant_as_long_as_for_a_request<T: Tokens>() {
    let login = Login::<T>::new();
    let full = Full::over(login.store.clone());
    let tokens = T::stored(&login.stage.clock, login.stage.web(), full.clone());
    login.stage.clock.advance(LIFE);
    full.failures.store(1, Ordering::SeqCst);
    tokens.token().expect_err("not stored");
    assert_eq!(full.last_patience(), seconds(100));
    tokens.close().expect("stored at last");
    assert!(full.last_patience() <= seconds(30));
    assert!(login.refreshes() == (1, 1) && login.another().token().is_ok());

    // A logout elsewhere leaves nothing to be stored.
    let tokens = T::stored(&login.stage.clock, login.stage.web(), full.clone());
    login.stage.clock.advance(LIFE);
    full.failures.store(1, Ordering::SeqCst);
    tokens.token().expect_err("not stored");
    login.another().forget().expect("removed");
    tokens.close().expect("nothing to store");
    assert!(login.another().token().is_err(), "nor is it brought back");
}

fn a_damaged_file_is_named_and_kept<T: Tokens>() {
    let stage = Stage::<RawSocket>::new();
    let folder = Folder::new(std::any::type_name::<T>());
    let store = FileStore::new(&folder.0).expect("a folder");
    let path = store.path(&key(&stage));
    let tokens = T::stored(&stage.clock, stage.web(), store);
    tokens.install(stage.web_login()).expect("stored");
    let whole = std::fs::read(&path).expect("the file");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("cut off");

    stage.clock.advance(LIFE);
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
    tokens.install(stage.web_login()).expect("stored");
    stage.prove_token(&tokens.token().expect("logged in"));
    let aside = std::fs::read(path.with_extension("corrupt-1")).expect("kept aside");
    assert_eq!(aside, whole[..whole.len() / 2]);
}

/// A store that fails to save as often as it is told to.
#[derive(Clone)]
struct Full {
    store: MemoryStore,
    failures: Arc<AtomicUsize>,
    patience: Arc<Mutex<Duration>>,
}

impl Full {
    fn over(store: MemoryStore) -> Self {
        Self {
            store,
            failures: Arc::default(),
            patience: Arc::default(),
        }
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
        login.stage.clock.advance(LIFE);
        let renewed = login.stage.run(login.stage.web().refresh(&token));
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
