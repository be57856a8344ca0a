//! Many who log in: each user's token, restarts, logouts, and one renewal a user.

use coze_auth_conformance::Fixture;
use coze_auth_mock::{At, On};
use coze_auth_store::MemoryStore;
use coze_auth_tokens::Error;

use crate::over_each;
use crate::support::{LIFE, PATIENCE, RawSocket};
use crate::transports::{Logins as _, Tokens};

over_each! {
    a_user_logs_in_and_out_and_in_again,
    each_of_many_users_is_renewed_once,
    a_logout_in_mid_renewal_brings_nothing_back,
    closing_ends_all_users,
}

/// The requests for a new token by a refresh token, and all others.
fn requests(fixture: &Fixture<RawSocket>) -> (usize, usize) {
    let all = fixture.mock.requests();
    let refreshes = all
        .iter()
        .filter(|entry| entry.grant == Some("refresh_token"))
        .count();
    (refreshes, all.len() - refreshes)
}

fn a_user_logs_in_and_out_and_in_again<T: Tokens>() {
    let (fixture, store) = (Fixture::<RawSocket>::new(), MemoryStore::new());
    let process = || T::logins(&fixture.clock, fixture.web(), store.clone());
    let logins = process();
    let token = |logins: &T::Logins, user: &str| {
        let token = logins.of(user)?.token()?;
        Ok::<_, Error>(token.expose().to_owned())
    };
    assert!(matches!(
        token(&logins, "alice"),
        Err(Error::LoginNeeded(_))
    ));
    logins
        .install("alice", fixture.web_login())
        .expect("stored");
    logins.install("bob", fixture.web_login()).expect("stored");
    fixture.saw();
    let before = requests(&fixture);
    let (alice, bob) = (
        token(&logins, "alice").unwrap(),
        token(&logins, "bob").unwrap(),
    );
    assert_ne!(alice, bob);
    // A restart: the same tokens, without a request.
    let restarted = process();
    assert_eq!(token(&restarted, "alice").unwrap(), alice);
    assert_eq!(token(&restarted, "bob").unwrap(), bob);
    assert_eq!(requests(&fixture), before);
    logins.forget("alice").expect("removed");
    assert!(matches!(
        token(&logins, "alice"),
        Err(Error::LoginNeeded(_))
    ));
    assert!(matches!(
        token(&process(), "alice"),
        Err(Error::LoginNeeded(_))
    ));
    assert_eq!(token(&logins, "bob").unwrap(), bob);
    logins
        .install("alice", fixture.web_login())
        .expect("stored");
    assert_ne!(token(&logins, "alice").unwrap(), alice);
}

fn each_of_many_users_is_renewed_once<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let logins = T::logins(&fixture.clock, fixture.web(), MemoryStore::new());
    let users: Vec<_> = (0..10).map(|user| format!("user {user}")).collect();
    for user in &users {
        logins.install(user, fixture.web_login()).expect("stored");
    }
    let (before, _) = requests(&fixture);
    fixture.clock.advance(LIFE);
    let gate = fixture
        .mock
        .gate("all", On::grant("refresh_token"), At::Request);
    let callers: Vec<_> = users
        .iter()
        .flat_map(|user| [user, user, user])
        .map(|user| {
            let tokens = logins.of(user).expect("a user");
            std::thread::spawn(move || tokens.token().map(drop))
        })
        .collect();
    assert!(gate.arrived_blocking(users.len(), PATIENCE));
    gate.open();
    for caller in callers {
        caller.join().expect("it ends").expect("a token");
    }
    assert_eq!(requests(&fixture).0 - before, users.len());
}

fn a_logout_in_mid_renewal_brings_nothing_back<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let store = MemoryStore::new();
    let logins = T::logins(&fixture.clock, fixture.web(), store.clone());
    logins
        .install("alice", fixture.web_login())
        .expect("stored");
    fixture.clock.advance(LIFE);
    let gate = fixture
        .mock
        .gate("refresh", On::grant("refresh_token"), At::Answer);
    let alice = logins.of("alice").expect("a user");
    let renews = std::thread::spawn({
        let alice = alice.clone();
        move || alice.token().map(drop)
    });
    assert!(gate.arrived_blocking(1, PATIENCE));
    let other = logins.clone();
    let logout = std::thread::spawn(move || other.forget("alice"));
    gate.open();
    logout.join().expect("it ends").expect("removed");
    drop(renews.join().expect("it ends"));
    let restarted = T::logins(&fixture.clock, fixture.web(), store);
    for tokens in [alice, restarted.of("alice").expect("a user")] {
        assert!(matches!(tokens.token(), Err(Error::LoginNeeded(_))));
    }
}

fn closing_ends_all_users<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let logins = T::logins(&fixture.clock, fixture.web(), MemoryStore::new());
    logins
        .install("alice", fixture.web_login())
        .expect("stored");
    let alice = logins.of("alice").expect("a user");
    logins.close().expect("nothing runs");
    assert!(matches!(alice.token(), Err(Error::Closed)));
    assert!(matches!(logins.of("alice").map(drop), Err(Error::Closed)));
}
