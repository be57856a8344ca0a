//! How many requests there were of each kind.

use super::record::Record;

/// Labels, each of few values: none names a client or a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) status: u16,
    pub(crate) endpoint: &'static str,
    pub(crate) grant: &'static str,
    pub(crate) rule: &'static str,
    pub(crate) fault: &'static str,
}

impl Key {
    pub(crate) fn of(entry: &Record) -> Self {
        Self {
            status: entry.outcome.status,
            endpoint: entry.endpoint,
            grant: entry.grant.unwrap_or(""),
            rule: entry.outcome.rule.unwrap_or(""),
            fault: entry.fault.unwrap_or(""),
        }
    }
}

/// How many requests there were of each kind. A list, since there are some twenty kinds.
#[derive(Debug, Default)]
pub(crate) struct Counts(pub(crate) Vec<(Key, u64)>);

impl Counts {
    pub(crate) fn count(&mut self, key: Key) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, n)) => *n += 1,
            None => self.0.push((key, 1)),
        }
    }

    /// Of a request that has become another: under the lock under which it was counted, so that nobody has seen it.
    pub(crate) fn undo(&mut self, key: Key) {
        if let Some(at) = self.0.iter().position(|(known, _)| *known == key) {
            self.0[at].1 -= 1;
            if self.0[at].1 == 0 {
                self.0.swap_remove(at);
            }
        }
    }
}
