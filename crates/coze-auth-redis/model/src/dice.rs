//! Random numbers from a seed.

use std::cell::RefCell;

/// SplitMix64.
#[derive(Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    pub(crate) fn between(&mut self, first: u64, end: u64) -> u64 {
        first + self.below(end - first)
    }

    /// True in so many of a thousand cases.
    pub(crate) fn of_thousand(&mut self, cases: u64) -> bool {
        self.below(1000) < cases
    }

    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let index = self.below(of.len() as u64);
        of[usize::try_from(index).unwrap()]
    }
}

thread_local! {
    static OF_THREAD: RefCell<Dice> = const { RefCell::new(Dice(0)) };
}

pub(crate) fn seed_thread(seed: u64) {
    OF_THREAD.with_borrow_mut(|dice| *dice = Dice::new(seed));
}

pub(crate) fn of_thread(bytes: &mut [u8]) {
    OF_THREAD.with_borrow_mut(|dice| {
        for byte in bytes {
            *byte = dice.number().to_le_bytes()[0];
        }
    });
}
