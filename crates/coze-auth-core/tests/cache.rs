//! The token cache: who is given a token, who a ticket, and what a 401 does.

mod common;

use std::time::Duration;

use common::cache::*;
use common::{UNIX, at, at_ms};
use coze_auth_core::UnixTime;
use coze_auth_core::cache::{Lookup, RefreshPolicy, TokenCache};

#[test]
fn a_token_is_stale_for_its_last_minute_or_the_last_tenth_of_a_short_life() {
    let minute = Duration::from_secs(60);
    for (lifetime, early, stale_from_ms) in [
        (60, minute, 54_000),
        (599, minute, 539_100),
        (600, minute, 540_000),
        (900, minute, 840_000),
        (86_400, minute, 86_340_000),
        (900, Duration::from_secs(10), 890_000),
        (900, Duration::from_secs(300), 810_000),
        (900, Duration::ZERO, 900_000),
    ] {
        let policy = RefreshPolicy::new(Duration::from_secs(LEASE)).early(early);
        let grant = grant(1, 0, lifetime);
        let boundary = UnixTime::from_secs(UNIX).plus(Duration::from_millis(stale_from_ms));
        assert_eq!(
            policy.stale_from(&grant),
            boundary,
            "{lifetime} s, {early:?}"
        );
        let mut cache = TokenCache::new(policy);
        cache.restore(grant, at(0));
        assert_eq!(says(&mut cache, at(0)), "fresh access-1");
        assert_eq!(
            says(&mut cache, at_ms(stale_from_ms - 1)),
            "fresh access-1",
            "{lifetime} s"
        );
        let then = if early.is_zero() {
            "missing"
        } else {
            "stale access-1"
        };
        assert_eq!(
            says(&mut cache, at_ms(stale_from_ms)),
            then,
            "{lifetime} s, {early:?}"
        );
    }
}

#[test]
fn a_stale_token_is_everyones_and_its_ticket_one_callers() {
    let mut cache = filled();
    let (said, ticket) = look(&mut cache, at(840));
    assert_eq!(said, "stale access-1");
    assert!(ticket.unwrap().refresh_token.unwrap().matches(&refresh(1)));
    for now in [at(840), at(841), at_ms(869_999)] {
        assert_eq!(
            says(&mut cache, now),
            "fresh access-1",
            "a second ticket, or no token"
        );
    }
}

#[test]
fn a_token_ends_to_the_millisecond_and_then_the_renewal_is_waited_for() {
    let mut cache = filled();
    let _running = ticket(&mut cache, at(890));
    assert_eq!(says(&mut cache, at_ms(899_999)), "fresh access-1");
    assert_eq!(says(&mut cache, at(900)), "busy 20s");
}

#[test]
fn without_a_token_one_is_given_the_ticket_and_the_others_the_rest_of_its_lease() {
    for mut cache in [empty(), filled()] {
        let first = ticket(&mut cache, at(1000));
        assert_eq!(first.refresh_token.is_some(), cache.grant().is_some());
        assert_eq!(says(&mut cache, at(1000)), "busy 30s");
        assert_eq!(cache.busy(at(1010)), Some(Duration::from_secs(20)));
        assert_eq!(says(&mut cache, at_ms(1_029_999)), "busy 1ms");
        cache.complete(first, Ok(grant(2, 1029, 2000)), at_ms(1_029_999));
        assert_eq!(
            cache.busy(at_ms(1_029_999)),
            None,
            "the lease outlives its ticket"
        );
        assert_eq!(says(&mut cache, at(1030)), "fresh access-2");
    }
}

#[test]
fn a_lost_ticket_heals_when_its_lease_is_over() {
    let mut cache = filled();
    drop(ticket(&mut cache, at(840)));
    assert_eq!(says(&mut cache, at_ms(869_999)), "fresh access-1");
    drop(ticket(&mut cache, at(870)));
    assert_eq!(says(&mut cache, at(899)), "fresh access-1");
    drop(ticket(&mut cache, at(900)));
    assert_eq!(says(&mut cache, at(929)), "busy 1s");
    assert_eq!(cache.busy(at(930)), None);
    assert_eq!(says(&mut cache, at(930)), "missing");
}

#[test]
fn a_token_that_the_api_refused_is_not_handed_out_again() {
    let mut cache = filled();
    assert!(cache.published().is_some());
    cache.invalidate(&access(1), at(1));
    assert!(cache.published().is_none());
    assert!(cache.grant().is_some(), "its refresh token is still good");
    let (said, ticket) = look(&mut cache, at(1));
    assert_eq!(said, "missing");
    assert!(ticket.unwrap().refresh_token.unwrap().matches(&refresh(1)));
    assert_eq!(says(&mut cache, at(1)), "busy 30s");
}

#[test]
fn a_late_401_to_an_old_token_says_nothing_about_the_current_one() {
    let mut cache = filled();
    cache.invalidate(&access(7), at(1));
    assert_eq!(says(&mut cache, at(1)), "fresh access-1");
    let renewal = ticket(&mut cache, at(840));
    cache.complete(renewal, Ok(grant(2, 840, 1740)), at(841));
    cache.invalidate(&access(1), at(842));
    assert_eq!(says(&mut cache, at(842)), "fresh access-2");
    let mut cache = empty();
    cache.invalidate(&access(1), at(0));
    assert_eq!(says(&mut cache, at(0)), "missing");
}

#[test]
fn a_401_does_not_stop_the_renewal_that_runs() {
    let mut cache = filled();
    let renewal = ticket(&mut cache, at(840));
    cache.invalidate(&access(1), at(841));
    assert_eq!(
        says(&mut cache, at(841)),
        "busy 29s",
        "a second renewal, or the refused token"
    );
    cache.complete(renewal, Ok(grant(2, 842, 1742)), at(842));
    assert_eq!(says(&mut cache, at(842)), "fresh access-2");
}

#[test]
fn the_replacement_of_a_refused_token_is_not_replaced_for_half_a_minute() {
    let replaced = || {
        let mut cache = filled();
        cache.invalidate(&access(1), at(10));
        let renewal = ticket(&mut cache, at(10));
        cache.complete(renewal, Ok(grant(2, 10, 910)), at(11));
        cache
    };
    let mut cache = replaced();
    for now in [at(11), at_ms(40_999)] {
        cache.invalidate(&access(2), now);
        assert_eq!(says(&mut cache, now), "fresh access-2");
        assert!(cache.published().is_some());
    }
    assert_eq!(
        says(&mut cache, at(41)),
        "fresh access-2",
        "refused in that time, not after it"
    );
    cache.invalidate(&access(2), at(41));
    assert_eq!(says(&mut cache, at(41)), "missing");
    // A token that came by early renewal, or from a login, replaces no refused one.
    let mut cache = replaced();
    let renewal = ticket(&mut cache, at(900));
    cache.complete(renewal, Ok(grant(3, 900, 1800)), at(901));
    cache.invalidate(&access(3), at(902));
    assert_eq!(says(&mut cache, at(902)), "missing");
    let mut cache = filled();
    cache.invalidate(&access(1), at(10));
    cache.restore(grant(2, 10, 910), at(11));
    cache.invalidate(&access(2), at(12));
    assert_eq!(says(&mut cache, at(12)), "missing");
}

#[test]
fn what_is_published_is_the_token_and_how_long_everyone_is_given_it() {
    let mut cache = empty();
    assert!(cache.published().is_none());
    cache.restore(grant(1, 0, 900), at(0));
    let (token, until) = cache.published().unwrap();
    assert!(token.matches(&access(1)));
    assert!(until.is_fresh(at(839).unix) && !until.is_fresh(at(840).unix));
}

#[test]
fn nothing_printed_shows_a_secret() {
    let (mut fresh, mut cache) = (filled(), filled());
    let stale = cache.lookup(at(840));
    let shown = format!("{fresh:?} {cache:?} {stale:?} {:?}", fresh.lookup(at(0)));
    let Lookup::Stale(_, ticket) = stale else {
        panic!("{stale:?}")
    };
    let echo = said(
        400,
        &[],
        r#"{"error":"invalid_grant","error_message":"no refresh-1 here"}"#,
    );
    let shown = format!("{shown} {ticket:?}");
    cache.complete(ticket, Err(echo), at(900));
    let shown = format!("{shown} {:?} {cache:?}", cache.lookup(at(900)));
    assert!(
        !shown.contains("access-1") && !shown.contains("refresh-1"),
        "{shown}"
    );
    for part in [
        "RefreshTicket",
        "id: 1",
        "TokenCache",
        "RefreshToken(***)",
        "failures: 1",
        "running: true",
    ] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
}
