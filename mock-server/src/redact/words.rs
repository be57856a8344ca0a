//! Splits a text into words, fast, since every request is searched for secrets.

/// Returns true for the unreserved characters of RFC 3986 §2.3, of which tokens and code verifiers consist.
pub(super) const fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '~' | '-' | '.')
}

/// Returns true if `is` holds for a byte. It checks all bytes: that is vectorized, and faster than an early return.
pub(super) fn has_any(text: &str, is: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(false, |any, byte| any | is(byte))
}

/// The words of at least `shortest` letters, found without looking at each letter of shorter ones.
pub(super) fn words_from(shortest: usize, text: &str) -> impl Iterator<Item = &str> {
    LongWords {
        shortest,
        whole: text.len() >= shortest && !has_any(text, |byte| !in_word(char::from(byte))),
        rest: text,
    }
}

struct LongWords<'a> {
    shortest: usize,
    /// True if the text is one word, as many are.
    whole: bool,
    rest: &'a str,
}

impl<'a> Iterator for LongWords<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if std::mem::take(&mut self.whole) {
            return Some(std::mem::take(&mut self.rest));
        }
        let bytes = self.rest.as_bytes();
        let in_word = |byte: &u8| IN_WORD[usize::from(*byte)];
        let mut start = 0;
        loop {
            let start_of_word = bytes.get(start..start + self.shortest)?;
            match start_of_word.iter().rposition(|byte| !in_word(byte)) {
                Some(gap) => start += gap + 1,
                None => break,
            }
        }
        let after = start + self.shortest;
        let length = bytes[after..].iter().take_while(|byte| in_word(byte));
        let end = after + length.count();
        // The letters of a word are ASCII, so both ends are at character boundaries.
        let word = &self.rest[start..end];
        self.rest = &self.rest[end..];
        Some(word)
    }
}

const IN_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = in_word(byte as u8 as char);
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_the_words_that_are_long() {
        for text in [
            "",
            "short",
            "exactly_11c",
            "one_word_alone",
            "a=sat_mock_ci&b=é-long-enough-é",
            "twelve_chars ten_chars_ é~.-_~.-_~.-_é ends_with_a_long_one",
            "aaaaaaaaaaa/bbbbbbbbbb/ccccccccccc",
        ] {
            let words = text.split(|c| !in_word(c));
            let long: Vec<_> = words.filter(|word| word.len() >= 11).collect();
            assert_eq!(words_from(11, text).collect::<Vec<_>>(), long);
        }
    }
}
