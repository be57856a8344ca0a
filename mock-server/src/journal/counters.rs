//! Counters of requests, for the metrics.

use super::record::Record;

/// The labels of a counter. Each has few values, and none names a client or a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) status: u16,
    pub(crate) endpoint: &'static str,
    pub(crate) grant: Option<&'static str>,
    pub(crate) rule: Option<&'static str>,
    pub(crate) fault: Option<&'static str>,
}

impl Key {
    pub(crate) fn of(entry: &Record) -> Self {
        Self {
            status: entry.outcome.status,
            endpoint: entry.endpoint,
            grant: entry.grant,
            rule: entry.outcome.rule,
            fault: entry.fault,
        }
    }
}

/// Number of requests per key. A list, since a world has about twenty keys.
#[derive(Debug, Default)]
pub(crate) struct Counts(pub(crate) Vec<(Key, u64)>);

impl Counts {
    pub(crate) fn count(&mut self, key: Key) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, n)) => *n += 1,
            None => self.0.push((key, 1)),
        }
    }

    /// Undoes the count of a request that has another key now. It is called under the same lock as the count, so the first
    /// count was never visible.
    pub(crate) fn undo(&mut self, key: Key) {
        if let Some(at) = self.0.iter().position(|(known, _)| *known == key) {
            self.0[at].1 -= 1;
            if self.0[at].1 == 0 {
                self.0.swap_remove(at);
            }
        }
    }
}
