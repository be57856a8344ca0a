//! A short day, in each run of the tests.

use crate::life::{Day, live};
use crate::{Arguments, Plant};

fn day(seed: u64) -> Day {
    live(Arguments {
        seed,
        users: 24,
        hours: 4,
        fault: None,
    })
}

#[test]
fn a_short_day_has_nothing_wrong_and_is_the_same_again() {
    let (once, again, other) = (day(8), day(8), day(9));
    println!("{}", once.figure());
    assert_eq!(once.wrong, Vec::<String>::new());
    assert_eq!(other.wrong, Vec::<String>::new());
    assert_eq!(
        once.digest,
        again.digest,
        "{}\n{}",
        once.figure(),
        again.figure()
    );
    assert_ne!(once.digest, other.digest);
}

#[test]
fn planted_faults_are_found() {
    for (plant, users, hours, what) in [
        (Plant::Expiry, 8, 1, "a token is used after its end"),
        (Plant::Spent, 24, 4, "a refresh token is sent again at once"),
        (
            Plant::Pause,
            12,
            4,
            "too many requests for a token in one visit",
        ),
    ] {
        let broken = live(Arguments {
            seed: 8,
            users,
            hours,
            fault: Some(plant),
        });
        let wrong = broken.wrong;
        assert!(
            wrong.iter().any(|line| line.contains(what)),
            "{plant:?}: {wrong:#?}"
        );
    }
}
