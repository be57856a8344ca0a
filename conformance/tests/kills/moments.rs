//! When a process is killed: held by the mock in the middle of a request, or wherever it happens to be.

use std::thread;
use std::time::{Duration, Instant};

use coze_auth_mock::{At, Gate};

use crate::dice::Dice;
use crate::fixture::{Fixture, PATIENCE};
use crate::process::Word;

/// How long the other process is observed, to see that it does wait for the lock.
const A_WHILE: Duration = Duration::from_millis(5);

/// When a process is killed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    /// The server has rotated the refresh token, and holds the answer back: the window, for certain.
    AnswerHeld,
    /// The request has come, and the server has not looked at it.
    RequestHeld,
    /// Anywhere in a tick.
    AfterTheTick,
    /// Anywhere between the answer's first byte and the end of the tick: while it is read, written, synced,
    /// renamed and handed out.
    AfterTheAnswer,
}

/// A kill, and what was said then.
pub(crate) struct Killed {
    pub(crate) moment: Moment,
    /// The last request before the tick.
    pub(crate) mark: u64,
    /// The file could be read right after the kill.
    pub(crate) readable: bool,
    /// What the victims had said of the tick.
    pub(crate) last_words: Vec<Word>,
    /// What the other one said, if it was let live.
    pub(crate) survivor: Option<Word>,
}

/// Lets the tokens end, and kills one of the two while they renew.
pub(crate) fn kill(fixture: &mut Fixture, moment: Moment, round: usize, dice: &mut Dice) -> Killed {
    // The adapters take turns in each kind of moment, as far as it goes.
    let victim = round % 2;
    let mark = fixture.mark();
    let gate = match moment {
        Moment::AfterTheTick => None,
        Moment::RequestHeld => Some(fixture.hold(At::Request)),
        Moment::AnswerHeld | Moment::AfterTheAnswer => Some(fixture.hold(At::Answer)),
    };
    let now = fixture.next_tick();
    // At times the one that waits for the lock is killed.
    let (first, second) = match gate.is_none() && dice.fraction() < 0.25 {
        true => (1 - victim, victim),
        false => (victim, 1 - victim),
    };
    fixture.worker(first).tick(now);
    if let Some(gate) = &gate {
        assert!(gate.arrived_blocking(1, PATIENCE), "no request came");
        let rotated = usize::from(moment != Moment::RequestHeld);
        assert_eq!(fixture.refreshes(mark).len(), rotated, "{moment:?}");
    }
    fixture.worker(second).tick(now);
    match (moment, gate) {
        (Moment::AnswerHeld | Moment::RequestHeld, Some(gate)) => {
            kill_held(fixture, moment, mark, victim, gate)
        }
        (_, gate) => {
            drop(gate);
            // In parts of what a tick takes here, so that they fall into it on any machine.
            thread::sleep(fixture.cycle.mul_f64(dice.fraction() * 1.25));
            let both = dice.fraction() < 0.2;
            kill_anywhere(fixture, moment, mark, victim, both)
        }
    }
}

fn kill_held(
    fixture: &mut Fixture,
    moment: Moment,
    mark: u64,
    victim: usize,
    gate: Gate,
) -> Killed {
    assert!(
        !gate.arrived_blocking(2, A_WHILE),
        "two processes renew one grant at once"
    );
    let (word, readable) = fixture.kill(victim);
    assert_eq!(word, None, "it said something before it had an answer");
    // The lock has died with its holder.
    assert!(gate.arrived_blocking(2, PATIENCE), "the other one is stuck");
    // The mock lets go of a request whose client is gone, so none that was held before it acted is acted on.
    let end = Instant::now() + PATIENCE;
    while gate.waiting() != 1 {
        assert!(Instant::now() < end, "the dead one's request is still held");
        thread::sleep(Duration::from_millis(1));
    }
    gate.open();
    let survivor = fixture.worker(1 - victim).word();
    let granted = fixture.refreshes(mark);
    let granted = granted.iter().map(|entry| entry.issued.is_some());
    match moment {
        Moment::AnswerHeld => {
            assert_eq!(survivor, Word::Refused);
            assert!(granted.eq([true, false]), "the victim's, and the other's");
        }
        _ => {
            assert!(matches!(survivor, Word::Token(_)), "{survivor:?}");
            assert!(granted.eq([true]), "the other's alone");
        }
    }
    Killed {
        moment,
        mark,
        readable,
        last_words: Vec::new(),
        survivor: Some(survivor),
    }
}

fn kill_anywhere(
    fixture: &mut Fixture,
    moment: Moment,
    mark: u64,
    victim: usize,
    both: bool,
) -> Killed {
    let (word, mut readable) = fixture.kill(victim);
    let mut last_words: Vec<Word> = word.into_iter().collect();
    let mut survivor = None;
    if both {
        let (word, still) = fixture.kill(1 - victim);
        last_words.extend(word);
        readable &= still;
    } else {
        survivor = Some(fixture.worker(1 - victim).word());
    }
    Killed {
        moment,
        mark,
        readable,
        last_words,
        survivor,
    }
}
