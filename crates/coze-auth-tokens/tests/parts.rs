//! Signals, origins, sessions, and stores behind one face.

use std::sync::Arc;
use std::time::Duration;

use coze_auth_store::{GrantStore, MemoryStore, StoreError};
use coze_auth_tokens::adapter::Refused;
use coze_auth_tokens::core::error::SigningError;
use coze_auth_tokens::core::http::{Method, Uri};
use coze_auth_tokens::core::jwt::{JwtApp, JwtGrant, Signer};
use coze_auth_tokens::core::{AccessToken, Endpoints, Retry, UnixTime};
use coze_auth_tokens::{
    Clock, Delivery, Error, Origins, Sessions, Signal, Source, Then, system_now,
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
    let origins = Origins::of(&Endpoints::custom("https://api.coze.cn/").unwrap());
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
        ("/v1/users/me", "no web address"),
        ("file:///etc/passwd", "no web address"),
        ("foo://x", "no web address"),
    ];
    for (url, told) in bad {
        let Err(Error::OtherOrigin { to, api }) = origins.check(url) else {
            panic!("{url} passed");
        };
        assert_eq!((&*to, &*api), (told, "https://api.coze.cn"));
    }
    let more = origins.and("wss://ws.coze.cn", false).unwrap();
    more.check("wss://ws.coze.cn/v1").unwrap();
    more.check("https://api.coze.cn/").unwrap();
    assert!(more.check("https://ws.coze.cn/").is_err());
    assert!(
        origins.check("wss://ws.coze.cn/v1").is_err(),
        "a copy of its own"
    );
    assert!(origins.and("ws.coze.cn", false).is_err());
    assert!(origins.and("http://gateway.example", false).is_err());
    let more = origins.and("http://gateway.example", true).unwrap();
    more.check("http://gateway.example/v1").unwrap();
    assert!(more.check("https://gateway.example/v1").is_err());
}

fn uris<const N: usize>(way: [&str; N]) -> [Uri; N] {
    way.map(|url| url.parse().unwrap())
}

#[test]
fn the_way_of_a_token() {
    let origins = Origins::of(&Endpoints::custom("https://api.example").unwrap());
    let origins = origins.and("https://gate.example", false).unwrap();
    let kept = |way: &[Uri]| origins.ended_without(way, true).unwrap().is_none();
    assert!(kept(&[]));
    assert!(kept(&uris(["https://api.example/a"])));
    assert!(kept(&uris([
        "https://api.example/a",
        "https://api.example/b"
    ])));
    // Where somebody has allowed http, https is as good, and http no worse than it was.
    let plain = origins.and("http://api.example", true).unwrap();
    for way in [
        ["http://api.example/a", "https://api.example/b"],
        ["http://api.example/a", "http://api.example/b"],
    ] {
        let ended = plain.ended_without(&uris(way), true).unwrap();
        assert_eq!(ended, None, "the token came along: {way:?}");
    }
    let gone = |way: &[Uri]| match origins.ended_without(way, true) {
        Err(Error::Redirected { to }) => to,
        other => panic!("{other:?}"),
    };
    let way = uris(["https://api.example/a", "https://api.example:8443/b"]);
    assert_eq!(gone(&way), "https://api.example:8443");
    // What came after it went astray mends nothing.
    let [a, b] = way;
    assert_eq!(gone(&[a.clone(), b, a.clone()]), "https://api.example:8443");
    for way in [
        ["https://api.example/a", "https://gate.example/b"],
        ["https://api.example/a", "http://api.example/b"],
    ] {
        let way = uris(way);
        let ended = origins.ended_without(&way, true).unwrap();
        assert_eq!(ended.as_ref(), way.last());
    }
    // Once dropped, it is dropped for good.
    let [b, back] = uris(["https://cdn.example/b", "https://api.example/a"]);
    let ended = origins.ended_without(&[a.clone(), b, back.clone()], true);
    assert_eq!(ended.unwrap().as_ref(), Some(&back));
    // A client that drops it at once.
    let ended = origins.ended_without(&[a, back.clone()], false);
    assert_eq!(ended.unwrap().as_ref(), Some(&back));
}

/// By an HTTP client that tells where a request ended, and nothing of the way.
#[test]
fn what_a_refusal_is_about_is_told_by_where_the_request_ended() {
    let origins = Origins::of(&Endpoints::custom("https://api.example").unwrap());
    let asked = "https://api.example/a";
    let refused = |ended| origins.refused_at(asked, ended);
    assert_eq!(refused(asked).unwrap(), Refused::Token);
    let elsewhere = "https://api.example/b";
    let without = Refused::Without(elsewhere.to_owned());
    assert_eq!(refused(elsewhere).unwrap(), without);
    let astray = refused("https://cdn.example/a").unwrap_err();
    assert!(matches!(&astray, Error::Redirected { to } if to == "https://cdn.example"));
}

#[test]
fn what_the_answers_of_a_request_lead_to() {
    let token = AccessToken::new("pat").unwrap();
    let fixed = Source::fixed(token.clone(), TIMEOUT, clock());
    let url = "https://api.example/a";
    let there = || Some(Refused::Without("https://api.example/b".to_owned()));
    let mut get = Delivery::new(&Method::GET, url.to_owned(), true);
    let mut told = |refused| get.answered(&fixed, &token, refused);
    assert_eq!(told(None).unwrap(), Then::HandOn);
    assert_eq!(
        told(there()).unwrap(),
        Then::Directly("https://api.example/b".to_owned())
    );
    // Once: what is redirected again, and refused again, is not followed up.
    let error = told(there()).unwrap_err();
    assert!(matches!(&error, Error::RefusedElsewhere { to } if to == "https://api.example"));
    // A token of the console has no other.
    assert_eq!(told(Some(Refused::Token)).unwrap(), Then::HandOn);
    for (method, repeatable, to) in [
        (Method::GET, false, "https://api.example/b"),
        (Method::POST, true, "https://api.example/b"),
        (Method::GET, true, "https://cdn.example/b"),
    ] {
        let mut delivery = Delivery::new(&method, url.to_owned(), repeatable);
        let error = delivery.answered(&fixed, &token, Some(Refused::Without(to.to_owned())));
        assert!(
            matches!(error, Err(Error::RefusedElsewhere { .. })),
            "{method} {to}"
        );
    }
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
