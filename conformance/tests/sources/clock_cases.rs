//! Clocks that are set, leap, or stand still while the machine sleeps.

use std::time::Duration;

use coze_auth_conformance::Fixture;
use coze_auth_core::jwt::JwtGrant;
use coze_auth_mock::{At, On};

use crate::over_each;
use crate::support::{EARLY, LIFE, Login, PATIENCE, RawSocket, seconds, while_held};
use crate::transports::Tokens;

over_each! {
    set_back_an_hour,
    leaps_a_day_and_is_corrected,
    the_machine_was_suspended,
    set_back_while_a_renewal_runs,
    a_renewal_that_hangs_heals,
    a_clock_that_is_a_day_ahead,
}

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// A token that was good stays so, and nobody asks for another. The server, whose clock is right, will refuse it
/// before this one says so; the 401 helper is for that.
fn set_back_an_hour<T: Tokens>() {
    let login = Login::<T>::new();
    let first = login.token();
    let clock = login.fixture.clock.handle();
    clock.set(clock.unix() - HOUR);
    for _ in 0..3 {
        assert_eq!(login.token(), first);
    }
    assert_eq!(login.refreshes(), (0, 0));
    // Refused by the API: renewed, whatever the clock says.
    login.tokens.invalidate(&login.stored().access_token);
    assert_ne!(login.token(), first);
    assert_eq!(login.refreshes(), (1, 1));
}

/// The client's clock alone: the server gives tokens that have ended by it. One renewal, not one a call, while it
/// is wrong; and none when it is right again.
fn leaps_a_day_and_is_corrected<T: Tokens>() {
    let login = Login::<T>::new();
    login.token();
    login.fixture.clock.set_ahead(DAY);
    for _ in 0..5 {
        login.tokens.token().expect("a token");
    }
    assert_eq!(login.refreshes(), (1, 1), "while the clock was wrong");
    login.fixture.clock.set_ahead(Duration::ZERO);
    for _ in 0..5 {
        login.tokens.token().expect("a token");
    }
    assert_eq!(login.refreshes(), (1, 1), "right again");
}

/// The calendar has gone on and the steady clock has not: the token has ended.
fn the_machine_was_suspended<T: Tokens>() {
    let login = Login::<T>::new();
    let first = login.token();
    let clock = login.fixture.clock.handle();
    clock.set(clock.unix() + LIFE);
    let second = login.token();
    assert_ne!(second, first);
    login
        .fixture
        .prove_token(&login.tokens.token().expect("a token"));
    assert_eq!(login.refreshes(), (1, 1));
}

/// Leases are on the steady clock: nobody begins another renewal because the wall clock was set.
fn set_back_while_a_renewal_runs<T: Tokens>() {
    let login = Login::<T>::new();
    login.fixture.clock.advance(LIFE);
    let gate = login.hold(At::Request);
    let clock = login.fixture.clock.handle();
    let (one, other) = (login.tokens.clone(), login.tokens.clone());
    let (first, second) = while_held(
        gate,
        move || one.token().expect("a token"),
        |_| {
            clock.set(clock.unix() + DAY);
            let second = std::thread::spawn(move || other.token().expect("a token"));
            clock.set(clock.unix() - DAY);
            second
        },
    );
    assert!(first.matches(&second.join().expect("it ends")));
    assert_eq!(login.refreshes(), (1, 1));
}

/// A request that hangs past every timeout: the lease ends on the steady clock, those who wait are woken by it,
/// and one of them asks anew. What comes late of the first is no harm.
fn a_renewal_that_hangs_heals<T: Tokens>() {
    let fixture = Fixture::<RawSocket>::new();
    let tokens = T::jwt(&fixture.clock, fixture.jwt(), JwtGrant::new());
    let gate = fixture.mock.gate("hang", On::token(), At::Answer);
    let (hangs, waits) = (tokens.clone(), tokens.clone());
    let hanging = std::thread::spawn(move || hangs.token().expect("a token"));
    assert!(gate.arrived_blocking(1, PATIENCE));
    let waiting = std::thread::spawn(move || waits.token().expect("a token"));
    // Twice three timeouts of 30 s and ten seconds are the lease.
    fixture.clock.advance(seconds(199));
    assert!(!gate.arrived_blocking(2, seconds(0)), "the lease runs");
    fixture.clock.advance(seconds(1));
    assert!(gate.arrived_blocking(2, PATIENCE), "nobody asked anew");
    gate.open();
    hanging.join().expect("it ends");
    fixture.prove_token(&waiting.join().expect("it ends"));
    assert!(tokens.token().is_ok());
    assert_eq!(
        fixture.saw(),
        [
            "token jwt_bearer 200",
            "token jwt_bearer 200",
            "users_me 200"
        ]
    );
}

/// By a clock that is ahead, every token has ended when it comes. The answer's `Date` tells how long it is good all the
/// same: a wrong clock costs no more renewals than a right one.
fn a_clock_that_is_a_day_ahead<T: Tokens>() {
    let login = Login::<T>::new();
    login.fixture.clock.set_ahead(DAY);
    for round in 1..=3 {
        for _ in 0..10 {
            let token = login.tokens.token().expect("a token");
            login.fixture.prove_token(&token);
        }
        assert_eq!(login.refreshes(), (round, round), "one in a life");
        login.fixture.clock.advance(LIFE - EARLY - seconds(1));
        login
            .fixture
            .prove_token(&login.tokens.token().expect("a token"));
        assert_eq!(login.refreshes(), (round, round), "one in a life");
        login.fixture.clock.advance(seconds(1));
    }
}
