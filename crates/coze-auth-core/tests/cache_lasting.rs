//! The token cache, asked for a token that is valid for at least so long.

mod common;

use std::time::Duration;

use common::at;
use common::cache::*;
use coze_auth_core::UnixTime;
use coze_auth_core::cache::{Lookup, TokenCache, Validity};

fn says_lasting(cache: &mut TokenCache, at_least: u64, now: u64) -> String {
    look_lasting(cache, at_least, at(now)).0
}

#[test]
fn a_token_is_renewed_first_only_where_less_is_left() {
    for (now, at_least, said) in [
        (0, 840, "fresh access-1"),
        (300, 600, "fresh access-1"),
        (300, 601, "missing"),
        (839, 61, "fresh access-1"),
        (839, 62, "missing"),
        // It lasts, and its last minute has begun.
        (840, 60, "stale access-1"),
        (840, 61, "missing"),
        (899, 1, "stale access-1"),
        (899, 2, "missing"),
        (900, 0, "missing"),
    ] {
        let mut cache = filled();
        let told = says_lasting(&mut cache, at_least, now);
        assert_eq!(told, said, "{at_least} s at {now} s");
    }
}

#[test]
fn what_was_given_tells_its_end() {
    let Lookup::Fresh(token) = filled().lookup_lasting(Duration::from_secs(60), at(300)) else {
        panic!("600 s are left");
    };
    assert_eq!(
        token.remaining(at(300).unix),
        Some(Duration::from_secs(600))
    );
}

/// Everyone else goes on with the token that is too short for one.
#[test]
fn one_renewal_runs_and_who_asks_for_less_does_not_wait_for_it() {
    let mut cache = filled();
    let (said, ticket) = look_lasting(&mut cache, 700, at(300));
    assert_eq!(said, "missing");
    assert_eq!(says_lasting(&mut cache, 700, 301), "busy 29s");
    assert_eq!(says_lasting(&mut cache, 599, 301), "fresh access-1");
    assert_eq!(says(&mut cache, at(301)), "fresh access-1");
    let ticket = ticket.unwrap();
    assert_eq!(ticket.at_least(), Duration::from_secs(700));
    cache.complete(ticket, Ok(grant(2, 302, 1202)), at(302));
    assert_eq!(says_lasting(&mut cache, 700, 302), "fresh access-2");
}

#[test]
fn who_asks_for_more_than_is_left_is_told_of_a_failure_and_the_others_are_served() {
    let mut cache = filled();
    let (_, ticket) = look_lasting(&mut cache, 700, at(300));
    cache.complete(ticket.unwrap(), Err(refused("invalid_client")), at(301));
    let said = says_lasting(&mut cache, 700, 301);
    assert!(said.starts_with("failed "), "{said}");
    assert_eq!(says_lasting(&mut cache, 500, 301), "fresh access-1");
    assert_eq!(says_lasting(&mut cache, 700, 302), "missing", "the pause");
}

/// 900 seconds are the life of a token. An hour counts as what a new one is fresh for, so a renewal
/// is made a minute after the last at the earliest, and nobody asks on and on.
#[test]
fn more_than_a_token_lives_for_does_not_renew_at_each_call() {
    for hour in [841, 900, 3_600, u64::MAX] {
        let (mut cache, mut renewals) = (filled(), 1);
        for now in 0..3_600 {
            let (said, ticket) = look_lasting(&mut cache, hour, at(now));
            match ticket {
                None => assert!(said.starts_with("fresh"), "{said}"),
                Some(ticket) => {
                    renewals += 1;
                    let new = grant(renewals, now, now + 900);
                    cache.complete(ticket, Ok(new), at(now));
                    let said = says_lasting(&mut cache, hour, now);
                    assert_eq!(said, format!("fresh access-{renewals}"));
                }
            }
        }
        assert_eq!(renewals, 3_600 / 61 + 1, "{hour}");
    }
}

/// By a clock that is an hour ahead each token has ended when it comes.
#[test]
fn a_clock_that_is_ahead_does_not_renew_at_each_call() {
    let mut cache = empty();
    let (_, ticket) = look_lasting(&mut cache, 600, at(3_600));
    cache.complete(ticket.unwrap(), Ok(grant(1, 3_600, 900)), at(3_600));
    assert_eq!(says_lasting(&mut cache, 600, 3_604), "fresh access-1");
}

#[test]
fn a_refused_token_lasts_for_nobody() {
    let mut cache = filled();
    cache.invalidate(&access(1), at(1));
    assert!(!cache.serves(Duration::ZERO, at(1)));
    assert_eq!(says_lasting(&mut cache, 1, 1), "missing");
}

#[test]
fn a_token_of_the_console_lasts_as_long_as_anybody_asks() {
    let validity = Validity::unknown();
    let now = UnixTime::from_secs(4_000_000_000);
    assert!(validity.is_fresh(now) && validity.lasts(Duration::MAX, now));
    let token = validity.of(access(1));
    assert_eq!(token.remaining(now), None);
    let json = token.to_secret_json();
    assert_eq!(json.expose(), r#"{"access_token":"access-1"}"#);
}
