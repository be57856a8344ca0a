//! What the token cache makes of a grant that lies in storage, of one that could not be put there, and of a renewal that
//! outlives its lease.

mod common;

use std::time::Duration;

use common::cache::*;
use common::{at, at_ms};
use coze_auth_core::cache::TokenCache;

/// A cache whose renewal has brought grant 2, which could not be stored at 841; the pause is a second.
fn unstored() -> TokenCache {
    let mut cache = filled();
    let renewal = ticket(&mut cache, at(840));
    cache.complete_unstored(renewal, grant(2, 841, 1741), refused("disk"), at(841));
    cache
}

#[test]
fn a_stored_token_is_served_while_it_is_renewed() {
    let mut cache = empty();
    let renewal = ticket(&mut cache, at(0));
    cache.adopt(&renewal, &grant(1, 0, 900), at(1));
    assert_eq!(says(&mut cache, at(1)), "fresh access-1");
    assert_eq!(
        cache.busy(at(1)),
        Some(Duration::from_secs(29)),
        "its renewal goes on"
    );
    // It failed, and the token is there still.
    cache.complete(renewal, Err(refused("invalid_client")), at(2));
    assert_eq!(says(&mut cache, at(2)), "fresh access-1");
}

/// What is read of the store may be what everybody has, or older.
#[test]
fn a_stored_token_takes_the_place_of_one_that_is_worse() {
    for (stored, rejected, now, said) in [
        (grant(2, 0, 901), false, 850, "fresh access-2"),
        (grant(2, 0, 900), false, 850, "fresh access-1"),
        (grant(2, 0, 899), false, 850, "fresh access-1"),
        // The current one has ended, or was refused: whatever serves is better.
        (grant(2, 0, 1000), false, 900, "fresh access-2"),
        (grant(2, 0, 880), true, 850, "fresh access-2"),
        // The same token, under whatever end, is as refused as it was.
        (grant(1, 0, 2000), true, 850, "busy 30s"),
        // It ends to the second.
        (grant(2, 0, 900), true, 900, "busy 30s"),
        (grant(2, 0, 901), true, 900, "fresh access-2"),
    ] {
        let mut cache = filled();
        if rejected {
            cache.invalidate(&access(1), at(1));
        }
        let renewal = ticket(&mut cache, at(now));
        cache.adopt(&renewal, &stored, at(now));
        let shown = format!("{stored:?}, refused: {rejected}, at {now}");
        assert_eq!(says(&mut cache, at(now)), said, "{shown}");
    }
    // What has ended is no gain, and what is known of the current grant would be lost.
    let mut cache = filled();
    let renewal = ticket(&mut cache, at(900));
    cache.adopt(&renewal, &grant(2, 0, 900), at(900));
    assert_eq!(kept(&cache), Some("refresh-1"));
}

#[test]
fn what_was_read_before_a_login_or_a_logout_is_not_served_after_it() {
    let mut cache = empty();
    let renewal = ticket(&mut cache, at(0));
    cache.clear();
    cache.adopt(&renewal, &grant(1, 0, 900), at(1));
    assert!(cache.grant().is_none(), "logged in again by a read");
    let mut cache = empty();
    let renewal = ticket(&mut cache, at(0));
    cache.restore(grant(2, 0, 800), at(1));
    cache.adopt(&renewal, &grant(1, 0, 900), at(1));
    assert_eq!(says(&mut cache, at(1)), "fresh access-2");
    let next = ticket(&mut cache, at(800));
    cache.adopt(&next, &grant(3, 0, 900), at(800));
    assert_eq!(says(&mut cache, at(800)), "fresh access-3");
}

/// Its refresh token is the only copy, so it is stored before anything else, by one, after a pause.
#[test]
fn a_grant_that_could_not_be_stored_is_served_and_stored_later() {
    let mut cache = unstored();
    assert_eq!(says(&mut cache, at(841)), "fresh access-2", "in the pause");
    assert!(
        cache.published().is_none(),
        "who reads the slot would never come to store it"
    );
    assert_eq!(cache.pause(at(841)), Some(Duration::from_secs(1)));
    let (said, again) = look(&mut cache, at(842));
    assert_eq!(said, "stale access-2");
    let again = again.unwrap();
    assert!(again.refresh_token.as_ref().unwrap().matches(&refresh(2)));
    assert_eq!(says(&mut cache, at(842)), "fresh access-2", "one stores it");
    // It failed again: the pauses grow.
    cache.complete_unstored(again, grant(2, 841, 1741), refused("disk"), at(843));
    assert_eq!(cache.pause(at(843)), Some(Duration::from_secs(2)));
    let again = ticket(&mut cache, at(845));
    cache.complete(again, Ok(grant(2, 841, 1741)), at(845));
    assert!(cache.published().is_some() && cache.failure().is_none());
    assert_eq!(says(&mut cache, at(846)), "fresh access-2");
}

#[test]
fn a_login_that_could_not_be_stored_is_served_and_stored_later() {
    let mut cache = filled();
    cache.restore_unstored(grant(2, 10, 910), refused("disk"), at(10));
    assert_eq!(says(&mut cache, at(10)), "fresh access-2");
    assert!(cache.published().is_none());
    assert_eq!(
        cache.failure().map(ToString::to_string),
        Some(refused("disk").to_string())
    );
    let (said, ticket) = look(&mut cache, at(11));
    assert_eq!(said, "stale access-2");
    assert!(ticket.unwrap().refresh_token.unwrap().matches(&refresh(2)));
}

#[test]
fn what_is_stored_after_all_ends_the_pause() {
    let mut cache = unstored();
    cache.stored(&grant(1, 0, 900));
    assert!(cache.published().is_none(), "that was another grant");
    cache.stored(&grant(2, 841, 1741));
    assert!(cache.published().is_some() && cache.failure().is_none());
    assert_eq!(cache.pause(at(841)), None);
    assert_eq!(
        says(&mut cache, at(842)),
        "fresh access-2",
        "there is nothing to do"
    );
    let renewal = ticket(&mut cache, at(1681));
    cache.complete(renewal, Err(refused("invalid_client")), at(1681));
    assert_eq!(
        cache.pause(at(1681)),
        Some(Duration::from_secs(1)),
        "the first one again"
    );
    // Of a grant that was stored from the beginning it says nothing.
    cache.stored(&grant(2, 841, 1741));
    assert_eq!(cache.pause(at(1681)), Some(Duration::from_secs(1)));
}

/// A renewal that counts for nothing could not be stored either: that is nobody's trouble.
#[test]
fn a_grant_that_is_dropped_and_not_stored_changes_nothing() {
    let mut cache = filled();
    let renewal = ticket(&mut cache, at(840));
    cache.restore(grant(3, 841, 1741), at(841));
    cache.complete_unstored(renewal, grant(2, 842, 1742), refused("disk"), at(842));
    assert_eq!(says(&mut cache, at(842)), "fresh access-3");
    assert!(cache.published().is_some() && cache.failure().is_none());
}

#[test]
fn a_failure_to_store_goes_on_where_the_failures_before_it_were() {
    let mut cache = filled();
    fail(&mut cache, refused("invalid_client"), at(840));
    fail(&mut cache, refused("invalid_client"), at(841));
    let renewal = ticket(&mut cache, at(843));
    cache.complete_unstored(renewal, grant(2, 843, 1743), refused("disk"), at(843));
    assert_eq!(cache.pause(at(843)), Some(Duration::from_secs(4)));
}

#[test]
fn a_renewal_that_outlives_its_lease_can_be_given_up() {
    let mut cache = filled();
    assert!(!cache.overran(at(0)), "none runs");
    let late = ticket(&mut cache, at(900));
    cache.give_up(refused("timeout"), at_ms(929_999));
    assert!(!cache.overran(at_ms(929_999)) && cache.failure().is_none());
    assert_eq!(says(&mut cache, at_ms(929_999)), "busy 1ms");
    assert!(cache.overran(at(930)));
    cache.give_up(refused("timeout"), at(930));
    assert!(!cache.overran(at(930)), "it is told once");
    assert_eq!(says(&mut cache, at(930)), "failed timeout");
    cache.give_up(refused("timeout"), at(930));
    assert_eq!(cache.pause(at(930)), Some(Duration::from_secs(1)));
    // Its success counts all the same: it is the only copy.
    cache.complete(late, Ok(grant(2, 930, 1800)), at(931));
    assert_eq!(says(&mut cache, at(931)), "fresh access-2");
    assert!(cache.failure().is_none());
}

#[test]
fn who_asks_is_told_what_the_cache_has() {
    let mut cache = empty();
    let (now, most) = (at(300), Duration::from_secs(600));
    assert!(cache.token(most, now).is_none() && !cache.serves(most, now));
    assert!(!cache.is_rejected());
    assert!(cache.is_due(most, now), "there is none");
    cache.restore(grant(1, 0, 900), at(0));
    let more = most + Duration::from_secs(1);
    assert!(cache.serves(most, now) && !cache.is_due(most, now));
    assert!(!cache.serves(more, now) && cache.is_due(more, now));
    let token = cache.token(most, now).expect("ten minutes are left");
    assert!(token.access_token.matches(&access(1)));
    assert!(cache.token(more, now).is_none());
    assert!(cache.is_due(Duration::ZERO, at(840)), "its last minute");
    cache.invalidate(&access(1), now);
    assert!(cache.is_rejected() && cache.is_due(Duration::ZERO, now));
    let renewal = ticket(&mut cache, now);
    assert!(!cache.is_due(Duration::ZERO, now), "one renews it");
    cache.complete(renewal, Err(refused("invalid_client")), now);
    assert!(!cache.is_due(Duration::ZERO, now), "the pause");
    assert!(cache.is_due(Duration::ZERO, at(301)));
}
