//! How tokens are kept wrongly.

use crate::mutant::{Keeps, Mutant, Way};

pub(crate) fn all() -> Vec<Mutant> {
    let all = [
        ("keeps-nothing", Keeps::Nothing),
        ("keeps-tells-others-an-error", Keeps::Impatient),
        ("keeps-each-caller-renews", Keeps::Herd),
        ("keeps-the-first-token", Keeps::Forever),
        ("keeps-the-second-token", Keeps::FirstEnd),
        ("keeps-a-minute-too-long", Keeps::TooLong),
        ("keeps-not-in-the-last-minute", Keeps::TooShort),
        ("keeps-errors", Keeps::Errors),
        ("keeps-no-error", Keeps::NoError),
        ("keeps-the-first-refresh-token", Keeps::FirstRefreshToken),
        ("keeps-no-refresh-token", Keeps::NoRefreshToken),
        ("keeps-its-randomness", Keeps::Randomness),
        ("keeps-the-dead", Keeps::Dead),
        ("keeps-the-dead-after-an-error", Keeps::DeadLater),
        ("keeps-its-own-pause", Keeps::OwnPause),
        ("keeps-codes-to-itself", Keeps::Codes),
        ("keeps-one-token-for-all-sources", Keeps::Together),
        ("keeps-anything-for-a-token", Keeps::Anything),
    ];
    let all = all.into_iter();
    all.map(|(name, wrong)| Mutant::new(name, Way::Keeps(wrong)).only(&["provider.new"]))
        .collect()
}
