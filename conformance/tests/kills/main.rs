//! `kill -9` while two processes renew and store one grant, at two hundred moments: the file can be read after
//! each, and no login is lost but in the one window that `FileStore`'s documentation names.
#![cfg(unix)]

#[path = "../subjects/clocks.rs"]
mod clocks;
#[path = "../common/dice.rs"]
mod dice;
mod fixture;
mod judge;
mod moments;
mod process;
#[allow(dead_code)] // the whole face of a source is for the cases of `sources`
#[path = "../sources/transports.rs"]
mod transports;
mod worker;

use std::io::Write as _;

use crate::dice::Dice;
use crate::fixture::Fixture;
use crate::judge::Outcome;
use crate::moments::Moment;

/// How many kills of each kind.
const MOMENTS: [(Moment, usize); 4] = [
    (Moment::AnswerHeld, 60),
    (Moment::RequestHeld, 30),
    (Moment::AfterTheTick, 50),
    (Moment::AfterTheAnswer, 60),
];

#[test]
fn a_kill_loses_nothing_but_in_the_window() {
    let mut dice = Dice::new(1);
    let mut rounds: Vec<Moment> = Vec::new();
    for (moment, times) in MOMENTS {
        rounds.extend(std::iter::repeat_n(moment, times));
    }
    dice.shuffle(&mut rounds);

    let mut fixture = Fixture::new();
    let (mut kills, mut readable, mut recovered, mut window) = (0, 0, 0, 0);
    for (round, moment) in rounds.into_iter().enumerate() {
        let _told = fixture.tell_if_it_fails(round, moment);
        fixture.warm_up(round);
        let killed = moments::kill(&mut fixture, moment, round, &mut dice);
        kills += 1;
        readable += usize::from(killed.readable);
        match judge::judge(&fixture, &killed) {
            Outcome::Recovered => recovered += 1,
            Outcome::Window => {
                window += 1;
                fixture.log_in();
            }
        }
    }
    // Past the capture of `print!`, and on a line of its own: the figures are shown whether or not it passes.
    let line =
        format!("\nkills={kills} readable={readable} recovered={recovered} window={window}\n");
    std::io::stdout()
        .write_all(line.as_bytes())
        .expect("stdout");
    println!("temporary files left behind: {}", fixture.leftovers());
    assert_eq!((kills, readable, recovered + window), (200, 200, 200));
    assert!(window >= 60, "every kill while an answer is held is one");
}

/// No test, but the process that is killed. It does nothing where nobody asked for it.
#[test]
fn worker() {
    worker::run();
}
