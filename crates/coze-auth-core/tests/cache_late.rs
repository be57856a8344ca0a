//! Answers that come to the token cache after their ticket's lease, or after the grant they renew was put away.

mod common;

use std::time::Duration;

use common::at;
use common::cache::*;
use coze_auth_core::{Error, TokenGrant};

/// The server has rotated the refresh token: what came late is the only copy of the new one.
#[test]
fn a_late_success_is_installed() {
    let late = |second: Option<Option<Error>>| {
        let mut cache = filled();
        let first = ticket(&mut cache, at(900));
        let mut running = None;
        if let Some(end) = second {
            let second = ticket(&mut cache, at(930));
            match end {
                Some(error) => cache.complete(second, Err(error), at(931)),
                None => running = Some(second),
            }
        }
        cache.complete(first, Ok(grant(2, 932, 1800)), at(932));
        assert_eq!(says(&mut cache, at(932)), "fresh access-2");
        assert_eq!(kept(&cache), Some("refresh-2"));
        assert!(!cache.has_refused(&refresh(2)));
        (cache, running)
    };
    // Nobody came after it; the one after it was refused; the one after it still runs.
    late(None);
    late(Some(Some(refused("invalid_grant"))));
    let (mut cache, running) = late(Some(None));
    assert_eq!(
        cache.busy(at(932)),
        Some(Duration::from_secs(28)),
        "the other runs on"
    );
    cache.complete(running.unwrap(), Err(refused("invalid_grant")), at(933));
    assert_eq!(cache.busy(at(933)), None);
    assert!(
        !cache.has_refused(&refresh(2)),
        "it was the old token that was refused"
    );
    assert_eq!(
        says(&mut cache, at(1799)),
        "stale access-2",
        "no pause for an old failure"
    );
    let (mut cache, running) = late(Some(None));
    cache.complete(running.unwrap(), Ok(grant(3, 933, 9000)), at(933));
    assert_eq!(
        kept(&cache),
        Some("refresh-2"),
        "another grant has come in the meantime"
    );
}

#[test]
fn a_late_success_is_dropped_if_the_grant_was_replaced_or_cleared() {
    for jwt in [false, true] {
        let make = if jwt { jwt_grant } else { grant };
        let with_ticket = || {
            let mut cache = empty();
            cache.restore(make(1, 0, 900), at(0));
            let ticket = ticket(&mut cache, at(900));
            (cache, ticket)
        };
        let (mut cache, ticket) = with_ticket();
        cache.restore(make(2, 901, 1800), at(901));
        assert_eq!(says(&mut cache, at(901)), "fresh access-2");
        cache.complete(ticket, Ok(make(3, 902, 9000)), at(902));
        assert_eq!(says(&mut cache, at(902)), "fresh access-2", "jwt: {jwt}");
        assert_eq!(cache.busy(at(902)), None);

        let (mut cache, ticket) = with_ticket();
        cache.clear();
        assert!(cache.grant().is_none() && cache.published().is_none());
        cache.complete(ticket, Ok(make(3, 902, 9000)), at(902));
        assert!(
            cache.grant().is_none(),
            "logged in again by a renewal, jwt: {jwt}"
        );
        let login = common::cache::ticket(&mut cache, at(902));
        assert!(login.refresh_token.is_none(), "nobody is logged in");
        cache.complete(login, Ok(make(4, 903, 1800)), at(903));
        assert_eq!(says(&mut cache, at(903)), "fresh access-4");

        // Logged out, and in as someone else: the first one's token must not come back.
        let (mut cache, ticket) = with_ticket();
        cache.clear();
        cache.restore(make(2, 901, 1800), at(901));
        cache.complete(ticket, Ok(make(3, 902, 9000)), at(902));
        assert_eq!(says(&mut cache, at(902)), "fresh access-2", "jwt: {jwt}");
    }
}

#[test]
fn a_ticket_from_after_a_restore_counts() {
    let mut cache = filled();
    let _lost = ticket(&mut cache, at(900));
    cache.restore(grant(2, 901, 1000), at(901));
    let second = ticket(&mut cache, at(1000));
    cache.complete(second, Ok(grant(3, 1000, 1800)), at(1001));
    assert_eq!(says(&mut cache, at(1001)), "fresh access-3");
}

#[test]
fn of_two_grants_without_refresh_tokens_the_later_expiry_wins() {
    for (late, timely, wins) in [(1800, 1830, 3), (1830, 1800, 2), (1800, 1800, 0)] {
        for late_comes_first in [true, false] {
            let mut cache = empty();
            let first = ticket(&mut cache, at(900));
            let second = ticket(&mut cache, at(930));
            let late = (first, Ok(jwt_grant(2, 930, late)));
            let timely = (second, Ok(jwt_grant(3, 930, timely)));
            let order = if late_comes_first {
                [late, timely]
            } else {
                [timely, late]
            };
            for (ticket, outcome) in order {
                cache.complete(ticket, outcome, at(931));
            }
            let first_come = if late_comes_first { 2 } else { 3 };
            let wins = if wins == 0 { first_come } else { wins };
            assert_eq!(says(&mut cache, at(931)), format!("fresh access-{wins}"));
        }
    }
}

#[test]
fn expiry_decides_only_between_grants_without_refresh_tokens() {
    type Make = fn(u64, u64, u64) -> TokenGrant;
    let pairs: [(Make, Make); 3] = [(grant, grant), (grant, jwt_grant), (jwt_grant, grant)];
    for (current, late) in pairs {
        let mut cache = empty();
        let first = ticket(&mut cache, at(0));
        let second = ticket(&mut cache, at(30));
        cache.complete(second, Ok(current(2, 30, 930)), at(31));
        cache.complete(first, Ok(late(3, 31, 9000)), at(32));
        assert_eq!(says(&mut cache, at(32)), "fresh access-2");
    }
}

#[test]
fn a_failure_is_ignored_once_another_ticket_was_given_out() {
    let mut cache = filled();
    let first = ticket(&mut cache, at(840));
    let second = ticket(&mut cache, at(870));
    cache.complete(first, Err(refused("invalid_grant")), at(871));
    assert!(!cache.has_refused(&refresh(1)));
    assert_eq!(
        cache.busy(at(871)).map(|rest| rest.as_secs()),
        Some(29),
        "the second runs"
    );
    assert_eq!(says(&mut cache, at(899)), "fresh access-1");
    cache.complete(second, Ok(grant(2, 899, 1799)), at(899));
    assert_eq!(says(&mut cache, at(900)), "fresh access-2");
    // And once that one has failed: it is not the last word.
    let mut cache = filled();
    let first = ticket(&mut cache, at(870));
    let second = ticket(&mut cache, at(900));
    cache.complete(second, Err(refused("invalid_client")), at(901));
    cache.complete(first, Err(refused("invalid_grant")), at(901));
    assert_eq!(says(&mut cache, at(901)), "failed invalid_client");
    assert_eq!(
        says(&mut cache, at(902)),
        "missing",
        "it counted as a second failure"
    );
}

/// It is still the newest word on the grant, and ignoring it would be a renewal without a pause.
#[test]
fn a_failure_after_its_lease_counts_while_nobody_came_after_it() {
    let mut cache = filled();
    let late = ticket(&mut cache, at(900));
    cache.complete(late, Err(refused("invalid_grant")), at(950));
    assert_eq!(says(&mut cache, at(950)), "failed invalid_grant");
    assert!(cache.has_refused(&refresh(1)));
}

#[test]
fn a_failure_is_ignored_if_the_grant_was_replaced_or_cleared() {
    let mut cache = filled();
    let old = ticket(&mut cache, at(900));
    cache.restore(grant(2, 901, 901), at(901));
    cache.complete(old, Err(refused("invalid_grant")), at(902));
    assert!(!cache.has_refused(&refresh(2)));
    assert_eq!(
        says(&mut cache, at(902)),
        "missing",
        "no pause, and the lease is given back"
    );
    let mut cache = filled();
    let old = ticket(&mut cache, at(900));
    cache.clear();
    cache.complete(old, Err(refused("invalid_grant")), at(902));
    assert_eq!(says(&mut cache, at(902)), "missing");
}
