//! Which token came from which, told by fingerprints.

use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::Serialize;

use super::TokenAnswer;
use super::capped_map::{Digest, digest};
use crate::oauth::context::{Answer, Call, Note};

/// Texts below this are none of the mock's tokens, and could be guessed from their fingerprint.
const SHORTEST: usize = 40;

/// The first 16 hex digits of the SHA-256 of a token or code, as the journal shows it: whoever has
/// the token finds it there, and nobody else learns anything.
///
/// The tokens have 40 random characters and more, so that no guess meets the hash, and 64 bits of
/// it tell the tokens of one journal apart.
#[must_use]
pub fn fingerprint(secret: &str) -> String {
    hex(&print_of(&digest(secret)))
}

/// What of a digest the fingerprint shows.
pub(crate) type Print = [u8; 8];

pub(crate) fn print_of(digest: &Digest) -> Print {
    let mut print = Print::default();
    print.copy_from_slice(&digest[..8]);
    print
}

pub(crate) fn hex(print: &Print) -> String {
    format!("{:016x}", u64::from_be_bytes(*print))
}

/// The print that is written so; none if it is no fingerprint.
pub(crate) fn parse(fingerprint: &str) -> Option<Print> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if fingerprint.len() != 16 || !fingerprint.bytes().all(lower) {
        return None;
    }
    let number = u64::from_str_radix(fingerprint, 16).ok()?;
    Some(number.to_be_bytes())
}

/// With which the log ids of this second begin: its date and time.
pub(crate) fn digits(at_s: u64) -> String {
    let at = i64::try_from(at_s).ok();
    let at = at.and_then(|at| Timestamp::from_second(at).ok());
    let at = at.unwrap_or(Timestamp::MAX).to_string();
    at.chars().filter(char::is_ascii_digit).take(14).collect()
}

/// Then `MOCK` and the number of the request.
pub(crate) fn logid(digits: &str, seq: u64) -> String {
    // What `{seq:014X}` does, in a tenth of the time: every request has one.
    let number = (0..14).rev().map(|place| {
        let digit = usize::try_from(seq >> (place * 4) & 0xF);
        char::from(b"0123456789ABCDEF"[digit.unwrap_or_default()])
    });
    let mut logid = String::with_capacity(digits.len() + 4 + 14);
    logid.push_str(digits);
    logid.push_str("MOCK");
    logid.extend(number);
    logid
}

/// A request, in as little room as its log id needs: every token of a full world has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    at_s: u32,
    seq: NonZeroU32,
}

impl Mark {
    /// What has no room (after 2106, or four thousand million requests) stays at its last value.
    pub(crate) fn new(now_ms: u64, seq: u64) -> Self {
        let seq = u32::try_from(seq).ok().and_then(NonZeroU32::new);
        Self {
            at_s: u32::try_from(now_ms / 1000).unwrap_or(u32::MAX),
            seq: seq.unwrap_or(NonZeroU32::MAX),
        }
    }

    pub(crate) fn seq(self) -> u64 {
        self.seq.get().into()
    }

    /// None if it had no room.
    pub(crate) fn logid(self) -> Option<String> {
        let whole = self.at_s != u32::MAX && self.seq != NonZeroU32::MAX;
        whole.then(|| logid(&digits(self.at_s.into()), self.seq()))
    }
}

/// Where a token comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Of the code or refresh token that it was given for; zero for none, as with the JWT grant.
    from: Print,
    pub(crate) made: Mark,
}

/// The [`fingerprint`]s of the tokens that an answer gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Issued {
    /// The access token's.
    pub access: String,
    /// The refresh token's; the JWT grant gives none.
    pub refresh: Option<String>,
}

impl Origin {
    #[cfg(test)]
    pub(crate) fn of(from: &Digest, made: Mark) -> Self {
        Self {
            from: print_of(from),
            made,
        }
    }

    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self {
            from: Print::default(),
            made: Mark::new(0, 1),
        }
    }

    pub(crate) fn from(&self) -> Option<Print> {
        (self.from != Print::default()).then_some(self.from)
    }
}

impl Note {
    /// Notes a token or code that came, known or not, whatever becomes of the request.
    pub(crate) fn presents(&mut self, secret: &str) {
        self.presented = (secret.len() >= SHORTEST).then(|| digest(secret));
    }
}

impl Call<'_> {
    /// The digest of the one token or code that the request presents.
    pub(crate) fn key(&self, secret: &str) -> Digest {
        self.note.presented.unwrap_or_else(|| digest(secret))
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark::new(self.now_ms, self.seq)
    }

    /// Of what is given in this request for `secret`.
    pub(crate) fn origin(&self, secret: Option<&Digest>) -> Origin {
        Origin {
            from: secret.map_or_else(Print::default, print_of),
            made: self.mark(),
        }
    }

    /// Notes the tokens that this request gets.
    pub(crate) fn hand_out(&mut self, tokens: &TokenAnswer) -> Answer {
        let refresh = tokens.refresh_key.as_ref().map(print_of);
        self.note.issued = Some((print_of(&tokens.access_key), refresh));
        Answer::json(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example.
    #[test]
    fn a_fingerprint_is_the_start_of_a_sha_256() {
        assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
        assert_eq!(parse("ba7816bf8f01cfea"), Some(print_of(&digest("abc"))));
        for other in [
            "",
            "ba7816bf8f01cfe",
            "BA7816BF8F01CFEA",
            "+a7816bf8f01cfea",
        ] {
            assert_eq!(parse(other), None);
        }
    }

    #[test]
    fn a_mark_that_had_no_room_names_no_request() {
        let at = Mark::new(1_750_000_000_999, 7).logid();
        assert_eq!(at.as_deref(), Some("20250615150640MOCK00000000000007"));
        assert_eq!(Mark::new(u64::MAX, 7).logid(), None);
        assert_eq!(Mark::new(0, u64::MAX).logid(), None);
    }
}
