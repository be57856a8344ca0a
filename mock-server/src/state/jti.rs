//! The memory of used `jti` values.

use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::digest::Digest;

/// The `jti` values of used assertions. None is evicted before its assertion expires, unless the mock has no memory left.
#[derive(Debug)]
pub(crate) struct SeenJtis {
    seen: BTreeSet<(u64, Digest)>,
    /// Not a hash map: a hash map of constant size doubles once more, long after it was full.
    expiry: BTreeMap<Digest, u64>,
    cap: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Jti {
    New,
    Replayed,
    /// The memory is full, and no entry has expired.
    Full,
}

impl SeenJtis {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            seen: BTreeSet::new(),
            expiry: BTreeMap::new(),
            cap,
        }
    }

    /// Looks `jti` up, at `now` (Unix seconds).
    pub(crate) fn look_up(&mut self, jti: &Digest, now: u64) -> Jti {
        while let Some(&(exp, oldest)) = self.seen.first() {
            if exp > now {
                break;
            }
            self.seen.pop_first();
            self.expiry.remove(&oldest);
        }
        if self.expiry.contains_key(jti) {
            Jti::Replayed
        } else if self.expiry.len() >= self.cap {
            Jti::Full
        } else {
            Jti::New
        }
    }

    /// Number of bytes that the memory holds: two trees, whose nodes are two thirds full on average.
    pub(crate) fn memory(&self) -> usize {
        self.expiry.len() * (size_of::<(u64, Digest)>() * 2 * 3 / 2 + 16)
    }

    /// Evicts the half that expires first. Only a mock that has no memory left does that.
    pub(crate) fn halve(&mut self) {
        for _ in 0..self.seen.len().div_ceil(2) {
            if let Some((_, jti)) = self.seen.pop_first() {
                self.expiry.remove(&jti);
            }
        }
    }

    /// Remembers a new `jti` until `exp` (Unix seconds).
    pub(crate) fn remember(&mut self, jti: Digest, exp: u64) {
        if let Some(before) = self.expiry.insert(jti, exp) {
            self.seen.remove(&(before, jti));
        }
        self.seen.insert((exp, jti));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::digest::digest;

    #[test]
    fn a_jti_is_never_forgotten_before_its_expiry() {
        let mut seen = SeenJtis::new(2);
        seen.remember(digest("a"), 100);
        seen.remember(digest("b"), 200);
        assert_eq!(seen.look_up(&digest("a"), 99), Jti::Replayed);
        assert_eq!(seen.look_up(&digest("c"), 99), Jti::Full);
        assert_eq!(seen.look_up(&digest("c"), 100), Jti::New);
        assert_eq!(seen.look_up(&digest("b"), 199), Jti::Replayed);
        assert_eq!(seen.look_up(&digest("b"), 200), Jti::New);
    }
}
