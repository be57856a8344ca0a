//! The provenance of a token: the request that made it, and the token or code that the request presented.

use std::num::NonZeroU32;

use crate::journal::log_id::LogIds;
use crate::protocol::digest::{Digest, Fingerprint, fingerprint_of};

/// A request, in as few bytes as its log id needs, since every token of a full world has up to two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    at_s: u32,
    seq: NonZeroU32,
}

impl Mark {
    /// Makes a mark. Values that do not fit (after the year 2106, or 4,294,967,295 requests) are capped.
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

    /// The log id; none if it did not fit.
    pub(crate) fn logid(self, log_ids: &LogIds) -> Option<String> {
        let whole = self.at_s != u32::MAX && self.seq != NonZeroU32::MAX;
        whole.then(|| log_ids.at(self.at_s.into(), self.seq()))
    }
}

/// The origin of a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Fingerprint of the code or refresh token for which it was issued; zero for none, as with the JWT grant.
    from: Fingerprint,
    pub(crate) made: Mark,
}

impl Origin {
    /// Makes an origin. `from` is the code or refresh token for which the token was issued; none with the JWT grant.
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
        let log_ids = &LogIds::new("", 0);
        let at = Mark::new(1_750_000_000_999, 7).logid(log_ids);
        assert_eq!(at.as_deref(), Some("20250615150640MOCK00000000000007"));
        assert_eq!(Mark::new(u64::MAX, 7).logid(log_ids), None);
        assert_eq!(Mark::new(0, u64::MAX).logid(log_ids), None);
    }
}
