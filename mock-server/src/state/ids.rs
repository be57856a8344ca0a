//! Makes every id, code and token from a seed.

use sha2::{Digest as _, Sha256};

/// Makes every id, code and token of a world: a pure function of its seed and of how many it made.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: [u8; 32],
    made: u64,
}

const ALPHANUMERIC: Letters =
    letters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");

/// The letters of user codes, without vowels, so that user codes are not words (RFC 8628 §6.1).
const CONSONANTS: Letters = letters(b"BCDFGHJKLMNPQRSTVWXZ");

/// The letter for each value of a byte of a hash.
type Letters = [u8; 256];

const fn letters(alphabet: &[u8]) -> Letters {
    let mut letters = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        letters[byte] = alphabet[byte % alphabet.len()];
        byte += 1;
    }
    letters
}

impl Ids {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, made: 0 }
    }

    /// Makes a text of `prefix` and `length` letters and digits.
    pub(crate) fn opaque(&mut self, prefix: &str, length: usize) -> String {
        self.id(prefix, prefix, length, &ALPHANUMERIC)
    }

    /// Makes a user code: `XXX-XXX-XXX` (protocol §3.2).
    pub(crate) fn user_code(&mut self) -> String {
        let letters = self.id("user code", "", 9, &CONSONANTS);
        format!("{}-{}-{}", &letters[..3], &letters[3..6], &letters[6..])
    }

    /// Makes a text of `prefix` and `length` letters. All letters are a function of one hash, so that an id tells nothing of
    /// another. The hash has bytes for 32 letters; more are made by mixing it.
    fn id(&mut self, kind: &str, prefix: &str, length: usize, letters: &Letters) -> String {
        self.made += 1;
        let hash = Sha256::new()
            .chain_update(self.seed)
            .chain_update(kind)
            .chain_update(self.made.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let whole = prefix.len() + length;
        let mut id = Vec::with_capacity(whole + 8);
        id.extend_from_slice(prefix.as_bytes());
        let mut words = [0, 8, 16, 24].map(|at| {
            let mut word = [0; 8];
            word.copy_from_slice(&hash[at..at + 8]);
            u64::from_le_bytes(word)
        });
        for n in 0..length.div_ceil(8) {
            let word = &mut words[n % 4];
            id.extend(word.to_le_bytes().map(|byte| letters[usize::from(byte)]));
            *word = mixed(*word);
        }
        id.truncate(whole);
        String::from_utf8(id).expect("alphabets are ASCII")
    }
}

/// The step of SplitMix64 (Steele, Lea and Flood 2014).
const fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_the_seed_and_on_nothing_else() {
        let make = |seed| {
            let mut ids = Ids::new([seed; 32]);
            (ids.opaque("czu_mock_", 60), ids.user_code())
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        let (token, user_code) = make(1);
        assert_eq!(token.len(), 69);
        let shape: String = user_code
            .chars()
            .map(|c| if c.is_ascii_uppercase() { 'X' } else { c })
            .collect();
        assert_eq!(shape, "XXX-XXX-XXX");
        let mut ids = Ids::new([1; 32]);
        assert_ne!(ids.opaque("", 40), ids.opaque("", 40));
    }
}
