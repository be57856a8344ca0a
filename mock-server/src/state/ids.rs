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
        let mut id = String::with_capacity(prefix.len() + length);
        id.push_str(prefix);
        self.fill(&mut id, prefix, length, &ALPHANUMERIC);
        id
    }

    /// Makes a user code: `XXX-XXX-XXX` (protocol §3.2).
    pub(crate) fn user_code(&mut self) -> String {
        let mut letters = String::new();
        self.fill(&mut letters, "user code", 9, &CONSONANTS);
        format!("{}-{}-{}", &letters[..3], &letters[3..6], &letters[6..])
    }

    fn fill(&mut self, text: &mut String, kind: &str, length: usize, letters: &Letters) {
        self.made += 1;
        let start = Sha256::new()
            .chain_update(self.seed)
            .chain_update(kind)
            .chain_update(self.made.to_be_bytes());
        let mut missing = length;
        // One byte for the number of the block: with eight bytes, each block of a token would take two rounds of the hash.
        for block in 0..=u8::MAX {
            let hash = start.clone().chain_update([block]);
            let mut bytes: [u8; 32] = hash.finalize().into();
            for byte in &mut bytes {
                *byte = letters[usize::from(*byte)];
            }
            let wanted = &bytes[..bytes.len().min(missing)];
            text.push_str(std::str::from_utf8(wanted).expect("alphabets are ASCII"));
            missing -= wanted.len();
            if missing == 0 {
                break;
            }
        }
    }
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
