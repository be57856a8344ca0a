//! What the token cache remembers of a renewal that failed, and for how long.

mod common;

use common::cache::*;
use std::time::Duration;

use common::{at, at_ms};
use coze_auth_core::cache::{Lookup, RefreshError, TokenCache};
use coze_auth_core::{Error, Retry};

#[test]
fn a_failed_early_renewal_never_displaces_a_usable_token() {
    let mut cache = filled();
    for now in [840, 841, 843] {
        let (said, ticket) = look(&mut cache, at(now));
        assert_eq!(said, "stale access-1");
        cache.complete(ticket.unwrap(), Err(refused("invalid_grant")), at(now));
        assert_eq!(
            says(&mut cache, at(now)),
            "fresh access-1",
            "no pause, or no token"
        );
    }
    assert_eq!(says(&mut cache, at_ms(846_999)), "fresh access-1");
    assert_eq!(says(&mut cache, at(847)), "stale access-1");
}

/// One request, one error for all who come in the pause.
#[test]
fn without_a_token_a_failure_is_everyones_for_its_pause() {
    let mut cache = filled();
    let error = refused("invalid_client");
    assert_eq!(cache.pause(at(900)), None);
    fail(&mut cache, error.clone(), at(900));
    assert_eq!(cache.busy(at(900)), None);
    let left = [at(900), at_ms(900_750), at(901)].map(|now| cache.pause(now));
    assert_eq!(
        left,
        [Some(1_000), Some(250), None].map(|ms| ms.map(Duration::from_millis))
    );
    let Lookup::Failed(told) = cache.lookup(at_ms(900_999)) else {
        panic!("no pause")
    };
    assert_eq!(told, error);
    assert_eq!(says(&mut cache, at(901)), "missing");
}

#[test]
fn a_pause_outlasts_the_token() {
    let mut cache = filled();
    fail(&mut cache, said(429, &[("retry-after", "20")], ""), at(890));
    assert_eq!(says(&mut cache, at(899)), "fresh access-1");
    assert_eq!(says(&mut cache, at(900)), "failed 429");
    assert_eq!(says(&mut cache, at(910)), "missing");
}

/// How many seconds the cache pauses after each of these failures in a row.
fn pauses(cache: &mut TokenCache, from: u64, errors: &[Error]) -> Vec<u64> {
    let mut now = from;
    let mut next = Some(ticket(cache, at(now)));
    let pause = |error: &Error| {
        let begun = now;
        cache.complete(next.take().expect("a ticket"), Err(error.clone()), at(now));
        loop {
            now += 1;
            assert!(says(cache, at_ms(now * 1000 - 1)).starts_with("failed"));
            next = look(cache, at(now)).1;
            if next.is_some() {
                return now - begun;
            }
        }
    };
    errors.iter().map(pause).collect()
}

#[test]
fn pauses_double_from_a_second_to_a_minute() {
    let errors = vec![refused("invalid_client"); 40];
    let pauses = pauses(&mut empty(), 0, &errors);
    assert_eq!(pauses[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
    assert!(pauses[8..].iter().all(|pause| *pause == 60), "{pauses:?}");
}

#[test]
fn retry_after_can_only_lengthen_a_pause() {
    let asks = |secs| said(429, &[("retry-after", secs)], "");
    let errors = [
        asks("7"),
        asks("0"),
        asks("3"),
        asks("100"),
        asks("15"),
        timed_out(),
    ];
    assert_eq!(pauses(&mut empty(), 0, &errors), [7, 2, 4, 100, 16, 32]);
}

/// Whether the refresh token may be spent is one thing, how long the server wants to be left alone another.
#[test]
fn retry_after_counts_although_the_refresh_token_may_be_spent() {
    let asks = |secs| said(503, &[("retry-after", secs)], "");
    assert_eq!(
        asks("600").retry(),
        Retry::MaybeSpent(std::time::Duration::from_secs(600))
    );
    let errors = [asks("600"), asks("600"), said(503, &[], "")];
    assert_eq!(pauses(&mut empty(), 0, &errors), [600, 600, 4]);
}

#[test]
fn nobody_can_ask_for_a_pause_of_more_than_an_hour() {
    for secs in ["3601", "99999999999", "18446744073709551615"] {
        let error = said(429, &[("retry-after", secs)], "");
        assert_eq!(pauses(&mut empty(), 0, &[error]), [3_600], "{secs}");
    }
}

#[test]
fn every_kind_of_failure_pauses() {
    let kinds = [
        (refused("invalid_client"), Retry::Never),
        (
            timed_out(),
            Retry::MaybeSpent(std::time::Duration::from_secs(1)),
        ),
        (
            said(429, &[], ""),
            Retry::After(std::time::Duration::from_secs(1)),
        ),
    ];
    for (error, retry) in kinds {
        assert_eq!(RefreshError::retry(&error), retry);
        assert_eq!(pauses(&mut empty(), 0, &[error]), [1]);
    }
}

#[test]
fn a_new_grant_ends_the_pause_and_the_doubling() {
    let troubled = || {
        let mut cache = filled();
        for now in [900, 901, 903] {
            fail(&mut cache, refused("invalid_client"), at(now));
        }
        assert_eq!(says(&mut cache, at(904)), "failed invalid_client");
        cache
    };
    let first_pause = |cache: &mut TokenCache| pauses(cache, 2000, &[refused("invalid_client")]);

    let mut cache = troubled();
    let renewal = ticket(&mut cache, at(907));
    cache.complete(renewal, Ok(grant(2, 907, 1000)), at(907));
    assert_eq!(first_pause(&mut cache), [1], "a renewal");

    let mut cache = troubled();
    cache.restore(grant(2, 904, 904), at(904));
    assert_eq!(
        says(&mut cache, at(904)),
        "missing",
        "a login must not wait"
    );
    let mut cache = troubled();
    cache.restore(grant(2, 904, 1000), at(904));
    assert_eq!(first_pause(&mut cache), [1], "a login");

    let mut cache = troubled();
    cache.clear();
    assert_eq!(
        says(&mut cache, at(904)),
        "missing",
        "the failure was the old grant's"
    );
    let mut cache = troubled();
    cache.clear();
    assert_eq!(first_pause(&mut cache), [1], "a logout");
}

#[test]
fn invalid_grant_drops_the_refresh_token_and_nothing_else() {
    let mut cache = filled();
    assert!(!cache.has_refused(&refresh(1)));
    fail(&mut cache, refused("invalid_grant"), at(840));
    assert!(cache.has_refused(&refresh(1)));
    assert!(
        !cache.has_refused(&refresh(2)),
        "this one was not asked about"
    );
    assert_eq!(says(&mut cache, at(840)), "fresh access-1");
    assert_eq!(
        kept(&cache),
        Some("refresh-1"),
        "`grant` tells the grant as it is"
    );
    assert!(ticket(&mut cache, at(841)).refresh_token.is_none());
    // Any later failure does not bring it back; a new grant has its own.
    fail(&mut cache, refused("invalid_client"), at(900));
    assert!(cache.has_refused(&refresh(1)));
    let renewal = ticket(&mut cache, at(1000));
    assert!(renewal.refresh_token.is_none());
    cache.complete(renewal, Ok(grant(2, 1000, 1900)), at(1000));
    assert!(!cache.has_refused(&refresh(1)) && !cache.has_refused(&refresh(2)));
    assert!(
        ticket(&mut cache, at(1840))
            .refresh_token
            .unwrap()
            .matches(&refresh(2))
    );
}

#[test]
fn no_other_failure_drops_the_refresh_token() {
    let errors = [
        refused("invalid_request"),
        refused("invalid_client"),
        refused("access_deny"),
        said(500, &[], ""),
        timed_out(),
    ];
    for error in errors {
        let mut cache = filled();
        fail(&mut cache, error.clone(), at(900));
        assert!(!cache.has_refused(&refresh(1)), "{error}");
        let next = ticket(&mut cache, at(960));
        assert!(next.refresh_token.unwrap().matches(&refresh(1)), "{error}");
    }
}

#[test]
fn a_grant_without_a_refresh_token_has_none_refused() {
    let mut cache = empty();
    assert!(!cache.has_refused(&refresh(1)));
    fail(&mut cache, refused("invalid_grant"), at(0));
    assert!(!cache.has_refused(&refresh(1)));
    cache.restore(jwt_grant(1, 0, 900), at(0));
    fail(&mut cache, refused("invalid_grant"), at(900));
    assert!(!cache.has_refused(&refresh(1)));
}
