//! Signals, origins, sessions, and stores behind one face.

use std::sync::Arc;
use std::time::Duration;

use coze_auth_store::core::error::SigningError;
use coze_auth_store::core::jwt::{JwtApp, JwtGrant, Signer};
use coze_auth_store::core::{AccessToken, Endpoints, Retry, UnixTime};
use coze_auth_store::{
    Clock, Error, GrantStore, MemoryStore, Origins, Sessions, Signal, Source, StoreError,
    system_now,
};

const TIMEOUT: Duration = Duration::from_secs(30);

#[test]
fn a_signal_wakes_and_stays_set() {
    let signal = Signal::new();
    let begun = std::time::Instant::now();
    signal.wait_at_most(Duration::from_millis(1));
    assert!(begun.elapsed() >= Duration::from_millis(1));
    assert!(!signal.is_set());
    let (clone, waker) = (signal.clone(), signal.waker());
    let waits = std::thread::spawn(move || clone.wait());
    waker.wake();
    waits.join().unwrap();
    assert!(signal.is_set());
    signal.wait();
    signal.wait_at_most(Duration::MAX);
}

#[test]
fn a_token_may_go_to_its_origin_and_to_those_that_were_named() {
    let origins = Origins::of(&Endpoints::custom("https://api.coze.cn/some/path/").unwrap());
    for good in [
        "https://api.coze.cn",
        "https://api.coze.cn/v1/users/me?x=http://evil.example",
        "https://API.coze.cn:443/v3/chat",
    ] {
        origins
            .check(good)
            .unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    let bad = [
        ("https://api.coze.com/", "https://api.coze.com"),
        ("http://api.coze.cn/", "http://api.coze.cn"),
        ("https://api.coze.cn:8443/", "https://api.coze.cn:8443"),
        ("https://api.coze.cn@evil.example/", "https://evil.example"),
        (
            "https://api.coze.cn.evil.example/",
            "https://api.coze.cn.evil.example",
        ),
        ("https://api.coze.cn./", "https://api.coze.cn."),
        ("wss://ws.coze.cn/v1", "wss://ws.coze.cn"),
        ("/v1/users/me", ""),
        ("file:///etc/passwd", ""),
    ];
    for (url, told) in bad {
        let Err(Error::OtherOrigin { to, api }) = origins.check(url) else {
            panic!("{url} passed");
        };
        assert_eq!((&*to, &*api), (told, "https://api.coze.cn"));
    }
    let more = origins.and("wss://ws.coze.cn/whatever").unwrap();
    more.check("wss://ws.coze.cn/v1").unwrap();
    more.check("https://api.coze.cn/").unwrap();
    assert!(more.check("https://ws.coze.cn/").is_err());
    assert!(
        origins.check("wss://ws.coze.cn/v1").is_err(),
        "a copy of its own"
    );
    assert!(origins.and("ws.coze.cn").is_err());
}

fn clock() -> Clock {
    Arc::new(system_now)
}

struct NoKey;

impl Signer for NoKey {
    fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        Err(SigningError::new("never asked"))
    }
}

/// Every end user may have one, so they are bounded, and the one that was not asked for the longest goes first.
#[test]
fn sessions_are_kept_and_bounded() {
    let app = JwtApp::new(Endpoints::cn(), "1", "key", NoKey).unwrap();
    let root = Source::jwt(app, JwtGrant::new(), TIMEOUT, clock());
    let sessions = Sessions::new();
    let of = |name: &str| sessions.session(&root, name).unwrap();
    let (first, second) = (of("0"), of("1"));
    assert!(Arc::ptr_eq(&first, &of("0")), "kept");
    for number in 2..1_000 {
        of(&number.to_string());
    }
    // Full, and the first was asked for after the second.
    of("0");
    of("one more");
    assert!(Arc::ptr_eq(&first, &of("0")));
    assert!(!Arc::ptr_eq(&second, &of("1")), "forgotten, and made anew");
    assert_eq!(format!("{sessions:?}"), "Sessions { kept: 1000 }");

    // One that was closed is made anew; with their source they are all closed.
    let closed = of("0");
    closed.close();
    assert!(!Arc::ptr_eq(&closed, &of("0")) && !of("0").is_closed());
    let (other, again) = (of("one more"), of("0"));
    sessions.close();
    root.close();
    assert!(other.is_closed() && again.is_closed());
    assert!(matches!(sessions.session(&root, "0"), Err(Error::Closed)));

    let token = AccessToken::new("pat_1").unwrap();
    let fixed = Source::fixed(token, TIMEOUT, clock());
    assert!(matches!(
        sessions.session(&fixed, "0"),
        Err(Error::NotAJwtApp)
    ));
    assert!(sessions.session(&root, "").is_err());
}

#[test]
fn a_store_can_be_shared_behind_a_pointer() {
    fn is_store(_: impl GrantStore + 'static) {}
    let store: Arc<dyn GrantStore> = Arc::new(MemoryStore::new());
    is_store(store.clone());
    is_store(store);
}

#[test]
fn everything_can_be_shared_and_told_without_secrets() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Source>();
    shared::<Sessions>();
    shared::<Signal>();
    shared::<Error>();
    let token = AccessToken::new("SENTINEL").unwrap();
    let text = format!("{:?}", Source::fixed(token, TIMEOUT, clock()));
    assert_eq!(text, "Fixed");
}

#[test]
fn only_a_login_is_stored_and_only_a_token_of_the_console_cannot_be_renewed() {
    let token = AccessToken::new("pat_1").unwrap();
    let fixed = Source::fixed(token.clone(), TIMEOUT, clock());
    let app = JwtApp::new(Endpoints::cn(), "1", "key", NoKey).unwrap();
    let jwt = Source::jwt(app, JwtGrant::new(), TIMEOUT, clock());
    assert!(!fixed.is_stored() && !jwt.is_stored());
    assert!(!fixed.invalidate(&token), "there is no other");
    assert!(jwt.invalidate(&token));
    assert!(
        fixed.fresh(UnixTime::from_secs(1)).is_some(),
        "it is all there is"
    );
}

#[test]
fn an_error_tells_whether_to_try_again_and_what_the_system_said() {
    let full = || Arc::new(std::io::Error::other("full"));
    let locked = StoreError::Locked { waited: TIMEOUT };
    let other = StoreError::Other(full());
    for passes in [
        Error::Store(locked),
        Error::NotStored(StoreError::Other(full())),
        Error::Interrupted,
        Error::Thread(full()),
    ] {
        let retry = passes.retry();
        assert_eq!(retry, Retry::After(Duration::from_secs(1)), "{passes}");
    }
    assert_eq!(Error::Closed.retry(), Retry::Never);
    let path = "grant.json".into();
    let damaged = Error::Store(StoreError::Corrupt { path });
    assert_eq!(damaged.retry(), Retry::Never);
    assert!(damaged.needs_login() && !Error::Closed.needs_login());
    let error = Error::Store(other);
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(1)));
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "full");
}
