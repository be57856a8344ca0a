//! What a store has to tell reaches the observers of the token sources over it.

mod steps;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coze_auth_store::{
    AsyncGrantStore, AsyncLockedGrant, GrantKey, GrantStore, LockedGrant, MemoryStore, Notices,
    Saved, StoreError,
};
use coze_auth_tokens::core::device::DeviceApp;
use coze_auth_tokens::core::error::GrantType;
use coze_auth_tokens::core::jwt::JwtGrant;
use coze_auth_tokens::core::{Endpoints, Now, Request, Response, TokenGrant};
use coze_auth_tokens::{Event, EventKind, Next, SendError, blocking, tokio as awaited};

use steps::{LIFE, Passed, START, World, grant, granted, jwt_app};

/// What an observer was told: the notices, and beside them the other kinds of events, by their first word.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn observer(&self) -> impl Fn(&Event<'_>) + Send + Sync + 'static + use<> {
        let told = self.clone();
        move |event| {
            let text = event.kind.to_string();
            let line = match event.kind {
                EventKind::Notice(notice) => {
                    assert_eq!((event.subject, event.renewal), (None, None), "{event:?}");
                    assert_eq!(text, format!("notice of the store: {notice}"));
                    notice.to_owned()
                }
                _ => format!("({})", text.split(' ').next().unwrap()),
            };
            told.0.lock().unwrap().push(line);
        }
    }

    /// What came since this was asked last.
    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// The notices that came since this was asked last, once so many renewals have ended: that is told after their token is there.
    fn notices(&self, ended: usize) -> Vec<String> {
        let begun = Instant::now();
        let has_ended = |line: &&String| *line == "(done)";
        while self.0.lock().unwrap().iter().filter(has_ended).count() < ended {
            assert!(begun.elapsed() < steps::TIMEOUT, "{:?}", self.lines());
            std::thread::yield_now();
        }
        let mut lines = self.lines();
        lines.retain(|line| !line.starts_with('('));
        lines
    }
}

/// A store in both forms, which notes something in each call, under its lock.
#[derive(Clone, Default)]
struct Telling {
    store: MemoryStore,
    notices: Arc<Notices>,
}

impl Telling {
    fn note(&self, doing: &str) {
        self.notices.note(format!("{doing} was slow"));
    }
}

impl GrantStore for Telling {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.note("reading");
        self.store.load(key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        let held = self.store.lock(key, patience)?;
        self.note("locking");
        Ok(Box::new(TellingLock(self.clone(), held)))
    }

    fn notices(&self) -> Option<&Notices> {
        Some(&self.notices)
    }
}

struct TellingLock(Telling, Box<dyn LockedGrant>);

impl LockedGrant for TellingLock {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        self.1.load()
    }

    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        self.0.note("saving");
        self.1.save(grant)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.0.note("removing");
        self.1.remove()
    }
}

impl AsyncGrantStore for Telling {
    type Locked = TellingLock;

    async fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        GrantStore::load(self, key)
    }

    async fn lock(&self, key: &GrantKey, patience: Duration) -> Result<TellingLock, StoreError> {
        let held = self.store.lock(key, patience)?;
        self.note("locking");
        Ok(TellingLock(self.clone(), held))
    }

    fn notices(&self) -> Option<&Notices> {
        Some(&self.notices)
    }
}

impl AsyncLockedGrant for TellingLock {
    async fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        LockedGrant::load(self)
    }

    async fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        LockedGrant::save(self, grant)
    }

    async fn remove(&mut self) -> Result<(), StoreError> {
        LockedGrant::remove(self)
    }
}

/// Coze, which gives each who asks the next token.
#[derive(Clone, Default)]
struct Coze(Passed);

impl Coze {
    fn answer(&self) -> Response {
        let number = (self.0.now().unix.as_secs() - START) / LIFE;
        granted(number).unwrap()
    }
}

impl blocking::Transport for Coze {
    fn send(&self, _: Request) -> Result<Response, SendError> {
        Ok(self.answer())
    }

    fn time(&self) -> &dyn blocking::Time {
        &self.0
    }
}

impl awaited::Transport for Coze {
    async fn send(&self, _: Request) -> Result<Response, SendError> {
        Ok(self.answer())
    }

    fn time(&self) -> &dyn awaited::Time {
        self
    }
}

impl awaited::Time for Coze {
    fn now(&self) -> Now {
        self.0.now()
    }

    fn sleep(&self, pause: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.pass(pause.as_secs());
        Box::pin(std::future::ready(()))
    }
}

fn app() -> DeviceApp {
    DeviceApp::new(Endpoints::cn(), "app").unwrap()
}

#[test]
fn a_renewal_tells_what_its_store_noted_once_and_under_no_lock() {
    let store = Telling::default();
    let world = World::over(store.clone());
    store.notices.note("the disk is nearly full");
    let told = Told::default();
    // As an observer may: it needs the lock that the renewal had.
    let (key, memory, free) = (world.key.clone(), store.store.clone(), told.observer());
    world.source.observe(move |event| {
        if let EventKind::Notice(_) = event.kind {
            let held = memory.lock(&key, Duration::ZERO);
            assert!(held.is_ok(), "the renewal still has its lock");
        }
        free(event);
    });
    assert_eq!(told.lines(), ["the disk is nearly full"]);
    world.install(0);
    assert_eq!(told.lines(), ["locking was slow", "saving was slow"]);
    world.pass(LIFE);
    let done = world.send(|_| granted(1));
    assert!(matches!(done, Next::Done), "{done:?}");
    assert_eq!(
        told.lines(),
        ["(begun)", "(stored)", "reading was slow", "(done)"]
    );
    // Who comes later is told all of it, and nobody is told again.
    let late = Told::default();
    world.source.observe(late.observer());
    let all = [
        "the disk is nearly full",
        "locking was slow",
        "saving was slow",
        "reading was slow",
    ];
    assert_eq!(late.lines(), all);
    world.forget();
    assert_eq!(told.lines(), ["removing was slow"]);
    assert_eq!(late.lines(), ["removing was slow"]);
    // What `close` does for a grant that waits to be stored.
    world.install(1);
    world.pass(LIFE);
    let Next::Send(refresh, _) = world.begin() else {
        panic!("it is to be renewed");
    };
    refresh.note(&Ok(grant(2)));
    drop(refresh);
    told.lines();
    store.notices.note("the disk is slow");
    world.flush(Duration::ZERO).unwrap();
    assert_eq!(told.lines(), ["the disk is slow", "(stored)"]);
    // A store's own thread needs no renewal.
    store.notices.note("the disk is full");
    std::thread::spawn(move || store.notices.tell())
        .join()
        .unwrap();
    assert_eq!(told.lines(), ["the disk is full"]);
}

#[test]
fn an_observer_of_many_logins_is_told_once() {
    let store = Telling::default();
    let logins = blocking::Logins::new(&Coze::default(), app(), Arc::new(store.clone()));
    let seen = Told::default();
    let (told, of) = (seen.observer(), Arc::<Mutex<Vec<_>>>::default());
    let noted = of.clone();
    let logins = logins.observe(move |event| {
        let whose = (event.client_id.to_owned(), event.grant_type);
        noted.lock().unwrap().push(whose);
        told(event);
    });
    store.notices.note("the disk is nearly full");
    for number in 0..20 {
        logins.install(&format!("user-{number}"), grant(0)).unwrap();
    }
    assert_eq!(
        seen.notices(0),
        [
            "the disk is nearly full",
            "locking was slow",
            "saving was slow"
        ]
    );
    let whose = ("app".to_owned(), GrantType::RefreshToken);
    assert_eq!(of.lock().unwrap()[0], whose);
}

#[test]
fn a_memory_store_has_nothing_to_tell() {
    let world = World::over(MemoryStore::new());
    let told = Told::default();
    world.source.observe(told.observer());
    world.install(0);
    assert!(told.lines().is_empty());
}

#[tokio::test]
async fn every_way_to_a_store_passes_its_notices_on() {
    let expected = [
        "at start",
        "locking was slow",
        "saving was slow",
        "reading was slow",
    ];
    // A login's source reads before it locks, and so does one of a token that is shared.
    let check = |way: &str, told: &Told, ended| {
        let (mut had, mut expected) = (told.notices(ended), expected.map(str::to_owned).to_vec());
        had.sort();
        expected.sort();
        assert_eq!(had, expected, "{way}");
    };
    let start = || {
        let store = Telling::default();
        store.notices.note("at start");
        (Coze::default(), store, Told::default())
    };

    let (coze, store, told) = start();
    let source = blocking::TokenSource::stored(&coze, app(), "alice", store).unwrap();
    let source = source.observe(told.observer());
    source.install(grant(0)).unwrap();
    coze.0.pass(LIFE);
    source.token().unwrap();
    check("a blocking source", &told, 1);

    let (coze, store, told) = start();
    let source = awaited::TokenSource::stored(&coze, app(), "alice", store).unwrap();
    let source = source.observe(told.observer());
    source.install(grant(0)).await.unwrap();
    coze.0.pass(LIFE);
    source.token().await.unwrap();
    check("on tokio's blocking threads", &told, 1);

    let (coze, store, told) = start();
    let source = awaited::TokenSource::stored_async(&coze, app(), "alice", Arc::new(store));
    let source = source.unwrap().observe(told.observer());
    source.install(grant(0)).await.unwrap();
    coze.0.pass(LIFE);
    source.token().await.unwrap();
    check("awaited", &told, 1);

    // The observer is there before the store.
    let (coze, store, told) = start();
    let source = blocking::TokenSource::jwt(&coze, jwt_app(), JwtGrant::new());
    let source = source.observe(told.observer()).shared(store).unwrap();
    for user in ["alice", "bob"] {
        source.session(user).unwrap().token().unwrap();
    }
    check("shared", &told, 2);

    let (coze, store, told) = start();
    let source = awaited::TokenSource::jwt(&coze, jwt_app(), JwtGrant::new());
    let source = source.shared_async(store).unwrap().observe(told.observer());
    source.token().await.unwrap();
    check("shared and awaited", &told, 1);
}

#[cfg(unix)]
mod files {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use coze_auth_store::FileStore;

    use super::*;

    /// A folder of this test, gone when dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("coze-auth-notices-{}-{name}", std::process::id());
            let folder = Self(std::env::temp_dir().join(name));
            fs::create_dir_all(&folder.0).unwrap();
            folder
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    fn open(path: &PathBuf, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// The store's notices, each in its turn: of the folder, then of the grant.
    fn check(told: &Told, store: &FileStore, count: usize) {
        let had = told.notices(count - 1);
        assert_eq!(had.len(), 1, "{had:?}");
        assert_eq!(store.notices().len(), count);
        assert_eq!(store.notices().last(), had.last());
    }

    #[tokio::test]
    async fn what_a_file_store_has_set_right_is_told() {
        let key = GrantKey::new(&app().into(), "alice").unwrap();
        for is_awaited in [false, true] {
            let folder = Folder::new(if is_awaited { "awaited" } else { "blocking" });
            open(&folder.0, 0o777);
            let store = FileStore::new(&folder.0).unwrap();
            let (coze, told) = (Coze::default(), Told::default());
            if is_awaited {
                let source = awaited::TokenSource::stored(&coze, app(), "alice", store.clone());
                let source = source.unwrap().observe(told.observer());
                check(&told, &store, 1);
                source.install(grant(0)).await.unwrap();
                open(&store.path(&key), 0o644);
                coze.0.pass(LIFE);
                source.token().await.unwrap();
                check(&told, &store, 2);
            } else {
                let source = blocking::TokenSource::stored(&coze, app(), "alice", store.clone());
                let source = source.unwrap().observe(told.observer());
                check(&told, &store, 1);
                source.install(grant(0)).unwrap();
                open(&store.path(&key), 0o644);
                coze.0.pass(LIFE);
                source.token().unwrap();
                check(&told, &store, 2);
            }
        }
    }
}
