//! The token cache while its clocks are set, leap and stand still.

mod common;

use common::cache::*;
use common::{UNIX, at_ms, reply_with, request_of, result_of, web};
use coze_auth_core::cache::{Lookup, TokenCache};
use coze_auth_core::{Flow as _, Now};
use proptest::prelude::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[test]
fn a_wall_clock_set_back_an_hour_renews_nothing() {
    let mut cache = filled();
    for steady in [100, 800, 899, 4000] {
        let unix = i64::try_from(steady).unwrap() - HOUR;
        assert_eq!(says(&mut cache, clocks(unix, steady)), "fresh access-1");
    }
}

#[test]
fn leases_do_not_care_for_the_wall_clock() {
    for unix in [900 - HOUR, 900, 900 + DAY] {
        let mut cache = filled();
        let _running = ticket(&mut cache, clocks(900, 900));
        cache.invalidate(&access(1), clocks(900, 900));
        assert_eq!(says(&mut cache, clocks(unix, 929)), "busy 1s");
        assert_eq!(says(&mut cache, clocks(unix, 930)), "missing", "{unix}");
    }
}

#[test]
fn pauses_do_not_care_for_the_wall_clock() {
    for unix in [900 - HOUR, 900, 900 + DAY] {
        let mut cache = filled();
        cache.invalidate(&access(1), clocks(900, 900));
        let error = said(429, &[("retry-after", "10")], "");
        fail(&mut cache, error, clocks(900, 900));
        assert_eq!(says(&mut cache, clocks(unix, 909)), "failed 429");
        assert_eq!(says(&mut cache, clocks(unix, 910)), "missing", "{unix}");
    }
}

#[test]
fn the_half_minute_after_a_refused_token_does_not_care_for_the_wall_clock() {
    for unix in [-HOUR, 0, 600] {
        let mut cache = filled();
        cache.invalidate(&access(1), clocks(0, 0));
        let renewal = ticket(&mut cache, clocks(0, 0));
        cache.complete(renewal, Ok(grant(2, 0, 900)), clocks(0, 0));
        cache.invalidate(&access(2), clocks(unix, 29));
        assert_eq!(says(&mut cache, clocks(unix, 29)), "fresh access-2");
        cache.invalidate(&access(2), clocks(unix, 30));
        assert_eq!(says(&mut cache, clocks(unix, 30)), "missing", "{unix}");
    }
}

/// The calendar went on, the steady clock did not (Linux and macOS).
#[test]
fn a_machine_that_was_suspended_wakes_to_an_ended_token_and_a_running_lease() {
    let mut cache = filled();
    assert_eq!(says(&mut cache, clocks(HOUR, 10)), "missing");
    let mut cache = filled();
    let renewal = ticket(&mut cache, clocks(840, 840));
    assert_eq!(says(&mut cache, clocks(HOUR, 841)), "busy 29s");
    cache.complete(renewal, Ok(grant(2, 3600, 4500)), clocks(HOUR, 841));
    assert_eq!(says(&mut cache, clocks(HOUR, 841)), "fresh access-2");
}

/// A token of the server's that this clock takes for ended, come in the place of one that it takes for ended.
fn doubtful() -> TokenCache {
    let mut cache = filled();
    let renewal = ticket(&mut cache, clocks(DAY, 10));
    cache.complete(renewal, Ok(grant(2, 10, 910)), clocks(DAY, 10));
    cache
}

#[test]
fn a_token_that_had_ended_when_it_came_is_used_for_five_seconds() {
    let ms = |unix: i64, ms: u64| Now {
        steady: at_ms(ms).steady,
        ..clocks(unix, 0)
    };
    for unix in [DAY, DAY + HOUR] {
        let mut cache = doubtful();
        let (_, validity) = cache.published().expect("a token");
        let now = clocks(unix, 10).unix;
        assert!(!validity.is_fresh(now), "nobody takes it for fresh");
        assert_eq!(says(&mut cache, clocks(unix, 10)), "fresh access-2");
        assert_eq!(says(&mut cache, ms(unix, 14_999)), "fresh access-2");
        assert_eq!(says(&mut cache, clocks(unix, 15)), "missing");
        assert_eq!(says(&mut cache, clocks(unix, 16)), "busy 29s");
    }
    // The calendar is corrected in the meantime: then it is a token like any other.
    for unix in [11, -HOUR] {
        let mut cache = doubtful();
        assert_eq!(says(&mut cache, clocks(unix, 10)), "fresh access-2");
        assert_eq!(says(&mut cache, clocks(unix, 15)), "fresh access-2");
        assert_eq!(says(&mut cache, clocks(unix, 3_600)), "fresh access-2");
    }
    // To the second: it ends at its expiry, not after it.
    for (end, used) in [(10, "fresh access-2"), (11, "missing")] {
        let mut cache = empty();
        let login = ticket(&mut cache, clocks(10, 10));
        cache.complete(login, Ok(grant(2, 0, end)), clocks(10, 10));
        assert_eq!(says(&mut cache, clocks(11, 11)), used, "ends at {end}");
    }
}

#[test]
fn a_doubtful_token_can_be_refused_and_its_renewal_can_fail() {
    let mut cache = doubtful();
    cache.invalidate(&access(2), clocks(DAY, 11));
    assert_eq!(says(&mut cache, clocks(DAY, 11)), "missing");
    let mut cache = doubtful();
    fail(&mut cache, refused("invalid_client"), clocks(DAY, 15));
    assert_eq!(says(&mut cache, clocks(DAY, 15)), "failed invalid_client");
}

#[test]
fn a_token_from_storage_that_has_ended_is_not_used() {
    let mut cache = empty();
    cache.restore(grant(1, 0, 900), clocks(900, 0));
    assert_eq!(says(&mut cache, clocks(900, 0)), "missing");
}

/// Looks ten times a second for this many seconds, renewing at once whenever the cache says so, with a
/// server whose clock is right. `wrong` tells how wrong ours is at each second. Gives the renewals' times, in ms.
fn renewals(seconds: u64, wrong: impl Fn(u64) -> i64) -> Vec<u64> {
    let mut cache = filled();
    let mut renewals = Vec::new();
    for ms in (0..seconds * 1000).step_by(100) {
        let right = ms / 1000;
        let unix = i64::try_from(right).unwrap() + wrong(right);
        let now = Now {
            steady: at_ms(ms).steady,
            ..clocks(unix, 0)
        };
        if let (_, Some(ticket)) = look(&mut cache, now) {
            renewals.push(ms);
            let number = 1 + u64::try_from(renewals.len()).unwrap();
            // What it was issued at is our clock's; what it ends at, the server's.
            let mut grant = grant(number, right, right + 900);
            grant.issued_at = now.unix;
            cache.complete(ticket, Ok(grant), now);
        }
        assert!(
            matches!(cache.lookup(now), Lookup::Fresh(_)),
            "no token at {ms}"
        );
    }
    renewals
}

#[test]
fn a_wall_clock_that_leaps_a_day_and_is_corrected_costs_one_renewal() {
    let leap = |second| if (100..103).contains(&second) { DAY } else { 0 };
    assert_eq!(renewals(900, leap), [100_000]);
    let back = |second| {
        if (100..103).contains(&second) {
            -DAY
        } else {
            0
        }
    };
    assert_eq!(renewals(900, back), [840_000]);
}

#[test]
fn a_wall_clock_that_stays_wrong_is_no_storm() {
    let times = renewals(60, |_| DAY);
    assert_eq!(times.len(), 12);
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] == 5000),
        "{times:?}"
    );
    // A minute wrong is a minute late or early, and no more.
    assert_eq!(renewals(1800, |_| -60), [900_000]);
    assert_eq!(renewals(1800, |_| 60), [780_000, 1_560_000]);
}

/// How many seconds a token is used that came now from a server whose clock says this, and that ends a quarter of an
/// hour after the server's time as we know it.
fn used_for(date: Option<&str>) -> u64 {
    // 2025-06-15T15:06:40Z, and our clock is a day ahead.
    let now = |steady| clocks(DAY, steady);
    let body = format!(
        r#"{{"access_token":"access-2","refresh_token":"refresh-2","expires_in":{}}}"#,
        UNIX + 900
    );
    let headers: Vec<_> = date.map(|date| ("date", date)).into_iter().collect();
    let mut call = web().refresh(&refresh(1));
    request_of(&mut call, now(0));
    call.receive(Ok(reply_with(200, &headers, body)), now(0));
    let grant = result_of(&mut call, now(0)).expect("a grant");
    let mut cache = filled();
    let ticket = ticket(&mut cache, now(0));
    cache.complete(ticket, Ok(grant), now(0));
    (0..)
        .find(|secs| says(&mut cache, now(*secs)) != "fresh access-2")
        .expect("it ends")
}

/// The answer's `Date` tells how long a token is good that has ended by a clock that is ahead.
#[test]
fn a_clock_that_is_ahead_takes_the_servers_word_for_how_long_a_token_is_good() {
    assert_eq!(used_for(Some("Sun, 15 Jun 2025 15:06:40 GMT")), 840);
    assert_eq!(used_for(None), 5);
    // A gateway's clock may be wrong, too: nothing of Coze's lives longer than a day.
    assert_eq!(used_for(Some("Thu, 01 Jan 1970 00:00:00 GMT")), 86_340);
    // And one that is as far ahead as ours tells nothing.
    assert_eq!(used_for(Some("Mon, 16 Jun 2025 15:06:40 GMT")), 5);
}

proptest! {
    /// A slot that is read without the cache must say what the cache would say.
    #[test]
    fn what_is_published_is_what_lookup_gives(
        issued in 0..2000_u64,
        lifetime in 0..2000_u64,
        renewed in any::<bool>(),
        came in 0..3000_i64,
        refused_at in prop::option::of(0..3000_i64),
        looks in prop::collection::vec((-4000..8000_i64, 0..100_u64), 1..20),
    ) {
        let mut cache = empty();
        let (grant, came) = (grant(2, issued, issued + lifetime), clocks(came, 0));
        match renewed {
            true => {
                let login = ticket(&mut cache, came);
                cache.complete(login, Ok(grant), came);
            }
            false => cache.restore(grant, came),
        }
        if let Some(unix) = refused_at {
            cache.invalidate(&access(2), clocks(unix, 0));
        }
        let mut steady = 0;
        for (unix, passed) in looks {
            steady += passed;
            let now = clocks(unix, steady);
            let published = cache.published().map(|(token, validity)| (token.clone(), validity));
            let said = says(&mut cache, now);
            if let Some((token, validity)) = published && validity.is_fresh(now.unix) {
                prop_assert_eq!(said, format!("fresh {}", token.expose()));
            }
        }
    }
}
