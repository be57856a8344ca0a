//! What a kill has cost: nothing, or a login in the one window that is documented. All else fails.

use coze_auth_tokens::Error;

use crate::fixture::Fixture;
use crate::moments::{Killed, Moment};
use crate::process::Word;
use crate::transports::Tokens as _;

#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// The refresh token in the file is good.
    Recovered,
    /// Its successor died with the process that it was sent to.
    Window,
}

/// Once nobody is at work any more.
pub(crate) fn judge(fixture: &Fixture, killed: &Killed) -> Outcome {
    fixture.settle();
    fixture.check_files();
    fixture.count_leftovers();
    let (access, refresh) = fixture.tokens();
    // Stored first, then handed out.
    for word in killed.last_words.iter().chain(&killed.survivor) {
        if let Word::Token(handed_out) = word {
            assert_eq!(*handed_out, access, "a token that is not in the file");
        }
    }

    fixture.next_tick();
    let mark = fixture.mark();
    let outcome = match fixture.source().token() {
        Ok(_) => {
            let renewal = fixture.refreshes(mark);
            let [renewal] = &renewal[..] else {
                panic!("one renewal: {renewal:?}");
            };
            assert_eq!(renewal.presented.as_ref(), Some(&refresh));
            Outcome::Recovered
        }
        Err(Error::RefreshRefused(_)) => {
            prove_window(fixture, killed, mark, &access, &refresh);
            Outcome::Window
        }
        Err(error) => panic!("neither a token nor a refusal: {error}"),
    };
    match (&killed.survivor, &outcome) {
        (Some(Word::Token(_)), Outcome::Recovered)
        | (Some(Word::Refused), Outcome::Window)
        | (None, _) => {}
        (said, outcome) => panic!("the other process said {said:?}, and it is {outcome:?}"),
    }
    match killed.moment {
        Moment::AnswerHeld => assert_eq!(outcome, Outcome::Window),
        Moment::RequestHeld => assert_eq!(outcome, Outcome::Recovered),
        Moment::AfterTheTick | Moment::AfterTheAnswer => {}
    }
    outcome
}

/// The journal: the refresh token of the file was traded in this tick, once, for one that never came to the file,
/// and the answer was for the process that was killed.
fn prove_window(fixture: &Fixture, killed: &Killed, end: u64, access: &str, refresh: &str) {
    let all = fixture.mock.requests();
    let rotations: Vec<_> = all
        .iter()
        .filter(|entry| entry.presented.as_deref() == Some(refresh) && entry.issued.is_some())
        .collect();
    let [rotation] = rotations[..] else {
        panic!(
            "the file's refresh token was refused, and traded {} times",
            rotations.len()
        );
    };
    assert!(
        rotation.seq > killed.mark && rotation.seq <= end,
        "traded before the tick in which the process was killed"
    );
    let issued = rotation.issued.as_ref().expect("filtered");
    let newest = issued.refresh.as_ref().expect("a refresh token");
    assert!(
        newest != refresh && issued.access != access,
        "the new grant is in the file"
    );
    let presented = |print: &String| {
        all.iter()
            .any(|entry| entry.presented.as_ref() == Some(print))
    };
    assert!(
        !presented(newest),
        "someone has the newest refresh token after all"
    );
    // Nobody but the two asked in this tick. What the other one got is the refusal, so this answer was not its.
    let mut tick = fixture.refreshes(killed.mark);
    tick.retain(|entry| entry.seq <= end);
    let granted: Vec<bool> = tick.iter().map(|entry| entry.issued.is_some()).collect();
    match &killed.survivor {
        Some(said) => {
            assert_eq!(*said, Word::Refused, "a process that lives lost the grant");
            assert_eq!(granted, [true, false]);
        }
        // The second of two that were killed may have come as far as being refused.
        None => assert!(
            [&[true][..], &[true, false]].contains(&&granted[..]),
            "{granted:?}"
        ),
    }
}
