//! A token that is valid for at least so long: renewed first where less is left, and only there.

mod steps;

use std::sync::Arc;
use std::time::Duration;

use coze_auth_store::{GrantStore as _, MemoryStore};
use coze_auth_tokens::core::{AccessToken, IssuedToken, UnixTime};
use coze_auth_tokens::{Ask, Caller, Error, Next, Source};

use steps::{
    Failing, LIFE, Passed, START, TIMEOUT, World, answer, grant, granted, invalid_grant, ready,
};

impl World {
    /// One call for a token that is valid for at least so many seconds.
    fn lasting(&self, secs: u64) -> Caller {
        let at_least = Duration::from_secs(secs);
        self.source.caller().valid_for_at_least(at_least)
    }

    /// The same, read without a call.
    fn read(&self, secs: u64) -> Option<IssuedToken> {
        let at_least = Duration::from_secs(secs);
        self.source.lasting(at_least, self.now().unix)
    }
}

fn logged_in() -> World {
    let world = World::over(MemoryStore::new());
    world.install(0);
    world
}

fn given(ask: Ask) -> IssuedToken {
    match ask {
        Ask::Token(token) => token,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_is_renewed_first_where_less_is_left_and_only_there() {
    let world = logged_in();
    world.pass(300);
    for secs in [0, 1, LIFE - 300] {
        let token = given(world.lasting(secs).ask());
        assert_eq!(token.access_token.expose(), "access-0");
        assert_eq!(token.expires_at, Some(UnixTime::from_secs(START + LIFE)));
        let read = world.read(secs).expect("it lasts");
        assert_eq!(read.expires_at, token.expires_at);
    }
    assert!(world.read(LIFE - 299).is_none());
    let mut caller = world.lasting(LIFE - 299);
    let Ask::First(refresh) = caller.ask() else {
        panic!("a second less is left");
    };
    // Who asks for less is not kept waiting.
    assert_eq!(world.token().expose(), "access-0");
    let mut waits = world.lasting(LIFE - 299);
    assert!(matches!(waits.ask(), Ask::Wait(..)), "two renewals at once");
    // As does the one who had it carried out on another thread.
    assert!(matches!(caller.ask(), Ask::Wait(..)), "the old token");
    assert!(matches!(
        world.go_on(ready(refresh.begin()), |_| granted(1)),
        Next::Done
    ));
    for mut caller in [caller, waits] {
        assert_eq!(given(caller.ask()).access_token.expose(), "access-1");
    }
}

/// A token in its last minute that lasts as long as it is asked for: as for everybody, it is renewed in the background.
#[test]
fn what_lasts_and_is_stale_is_renewed_in_the_background() {
    let world = logged_in();
    world.pass(LIFE - 60);
    let Ask::Behind(token, _) = world.lasting(60).ask() else {
        panic!("its last minute has begun");
    };
    assert_eq!(token.access_token.expose(), "access-0");
}

#[test]
fn a_token_of_the_store_that_is_too_short_is_renewed_too() {
    let store = MemoryStore::new();
    World::over(store.clone()).install(0);
    let restarted = World::over(store);
    restarted.pass(300);
    let mut caller = restarted.lasting(700);
    let Ask::First(refresh) = caller.ask() else {
        panic!("it has none yet");
    };
    let next = ready(refresh.begin());
    assert!(matches!(next, Next::Send(..)), "600 s are left");
    assert!(matches!(restarted.go_on(next, |_| granted(1)), Next::Done));
    assert_eq!(given(caller.ask()).access_token.expose(), "access-1");
}

/// Another process has renewed the grant meanwhile.
#[test]
fn a_token_of_the_store_that_lasts_is_taken_from_there() {
    let store = MemoryStore::new();
    let world = World::over(store.clone());
    world.install(0);
    let mut held = store.lock(&world.key, TIMEOUT).unwrap();
    held.save(&grant(1)).unwrap();
    drop(held);
    world.pass(600);
    let mut caller = world.lasting(700);
    let Ask::First(refresh) = caller.ask() else {
        panic!("300 s are left");
    };
    assert!(matches!(ready(refresh.begin()), Next::Done), "sent");
    assert_eq!(given(caller.ask()).access_token.expose(), "access-1");
}

#[test]
fn who_asks_for_more_than_is_left_is_told_why_it_cannot_be_renewed() {
    let world = logged_in();
    world.pass(300);
    let mut caller = world.lasting(700);
    let Ask::First(refresh) = caller.ask() else {
        panic!("600 s are left");
    };
    let next = world.go_on(ready(refresh.begin()), |_| invalid_grant());
    assert!(matches!(next, Next::Done));
    let told = caller.ask();
    assert!(
        matches!(told, Ask::Failed(Error::RefreshRefused(_))),
        "{told:?}"
    );
    // In the pause, without a request.
    let told = world.lasting(700).ask();
    assert!(
        matches!(told, Ask::Failed(Error::RefreshRefused(_))),
        "{told:?}"
    );
    // And what is there is good for who asks for less.
    assert_eq!(world.token().expose(), "access-0");
    assert_eq!(
        given(world.lasting(600).ask()).access_token.expose(),
        "access-0"
    );
}

/// It came, and what it is asked for is served: whether it can be stored is another matter.
#[test]
fn a_new_token_that_cannot_be_stored_is_given_all_the_same() {
    let store = Failing::default();
    let world = World::over(store.clone());
    world.install(0);
    world.pass(300);
    store.failures.store(1, std::sync::atomic::Ordering::SeqCst);
    let mut caller = world.lasting(700);
    let Ask::First(refresh) = caller.ask() else {
        panic!("600 s are left");
    };
    let next = world.go_on(ready(refresh.begin()), |_| granted(1));
    assert!(matches!(next, Next::Done));
    assert_eq!(given(caller.ask()).access_token.expose(), "access-1");
}

/// Tokens that live a quarter of an hour, asked for an hour: one renewal a minute at the most, and each is given.
#[test]
fn more_than_a_token_lives_for_does_not_renew_at_each_call() {
    let world = logged_in();
    let mut renewals = 0;
    for second in 0..600 {
        let mut caller = world.lasting(3_600);
        if let Ask::First(refresh) = caller.ask() {
            renewals += 1;
            let end = START + second + LIFE;
            let body = format!(
                r#"{{"access_token":"at-{second}","refresh_token":"rt-{second}","expires_in":{end}}}"#
            );
            let next = world.go_on(ready(refresh.begin()), |_| answer(200, &body));
            assert!(matches!(next, Next::Done));
            let token = given(caller.ask());
            assert_eq!(token.access_token.expose(), format!("at-{second}"));
            assert!(world.read(3_600).is_some(), "what is new is read at once");
        }
        world.pass(1);
    }
    assert_eq!(renewals, 9);
}

/// Coze gives a token that lives for ten seconds, and the one who renewed it comes to look two seconds later.
#[test]
fn one_call_renews_once_and_takes_what_comes() {
    let world = logged_in();
    world.pass(300);
    let mut caller = world.lasting(700);
    let Ask::First(refresh) = caller.ask() else {
        panic!("600 s are left");
    };
    let end = START + 310;
    let body = format!(r#"{{"access_token":"short","refresh_token":"r","expires_in":{end}}}"#);
    let next = world.go_on(ready(refresh.begin()), |_| answer(200, &body));
    assert!(matches!(next, Next::Done));
    world.pass(2);
    assert_eq!(given(caller.ask()).access_token.expose(), "short");
}

/// A renewal that is lost is taken over, whoever began it: the old token is not what its caller asked for.
#[test]
fn a_renewal_that_outlives_its_lease_is_taken_over_by_its_own_caller() {
    let world = logged_in();
    world.pass(300);
    let mut caller = world.lasting(700);
    let Ask::First(lost) = caller.ask() else {
        panic!("600 s are left");
    };
    world.pass(201);
    let Ask::First(refresh) = caller.ask() else {
        panic!("its lease is over");
    };
    let next = world.go_on(ready(refresh.begin()), |_| granted(1));
    assert!(matches!(next, Next::Done));
    assert_eq!(given(caller.ask()).access_token.expose(), "access-1");
    drop(lost);
}

#[test]
fn the_end_of_a_token_of_the_console_is_not_known() {
    let clock = Passed::default();
    let token = AccessToken::new("pat_1").unwrap();
    let fixed = Arc::new(Source::fixed(token, TIMEOUT, clock.reader()));
    let token = fixed.lasting(Duration::MAX, clock.now().unix).unwrap();
    assert_eq!(token.access_token.expose(), "pat_1");
    assert_eq!(token.expires_at, None);
    assert!(!fixed.invalidate(&token.access_token));
}
