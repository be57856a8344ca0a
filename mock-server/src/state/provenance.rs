//! Which request made a token, and from which token or code.

use std::num::NonZeroU32;

use crate::journal::log_id::{digits, logid};
use crate::protocol::digest::{Digest, Fingerprint, fingerprint_of};

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
    from: Fingerprint,
    pub(crate) made: Mark,
}

impl Origin {
    /// `from`: the code or refresh token that it was given for; none with the JWT grant.
    pub(crate) fn new(from: Option<&Digest>, made: Mark) -> Self {
        Self {
            from: from.map_or_else(Fingerprint::default, fingerprint_of),
            made,
        }
    }

    pub(crate) fn from(&self) -> Option<Fingerprint> {
        (self.from != Fingerprint::default()).then_some(self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_had_no_room_names_no_request() {
        let at = Mark::new(1_750_000_000_999, 7).logid();
        assert_eq!(at.as_deref(), Some("20250615150640MOCK00000000000007"));
        assert_eq!(Mark::new(u64::MAX, 7).logid(), None);
        assert_eq!(Mark::new(0, u64::MAX).logid(), None);
    }
}
