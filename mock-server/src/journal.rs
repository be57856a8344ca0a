//! The journal of a world: its requests and answers, redacted, and the reasons.

pub(crate) mod counters;
pub(crate) mod draft;
pub(crate) mod entry;
pub(crate) mod export;
pub(crate) mod filter;
mod generic;
pub(crate) mod leak;
pub(crate) mod log_id;
pub(crate) mod notifier;
mod packed;
pub(crate) mod record;
pub(crate) mod verify;

use std::collections::{VecDeque, vec_deque};
use std::sync::Arc;

use crate::limits::{JOURNAL_BYTES_PER_REQUEST, MIN_JOURNAL_BYTES, PACK};
use entry::JournalEntry;
use filter::RequestFilter;
use log_id::LogIds;
use notifier::Notifier;
use record::Record;

/// The last requests of a world.
#[derive(Debug)]
pub(crate) struct Journal {
    capacity: usize,
    entries: VecDeque<Record>,
    /// Number of bytes that those hold beside themselves.
    heap: usize,
    /// The newest entries whose long texts are not [`packed`].
    loose: Loose,
    begun: u64,
    evicted: u64,
    pub(crate) log_ids: LogIds,
    pub(crate) notifier: Arc<Notifier>,
}

/// Entries from the newest on, and the bytes of their long texts.
#[derive(Debug, Default)]
struct Loose {
    entries: usize,
    bytes: usize,
}

impl Journal {
    /// Keeps at least one entry, since `POST /authorize` reads its own entry.
    pub(crate) fn new(capacity: usize, log_ids: LogIds) -> Self {
        Self {
            capacity: capacity.max(1),
            entries: VecDeque::new(),
            heap: 0,
            loose: Loose::default(),
            begun: 0,
            evicted: 0,
            log_ids,
            notifier: Arc::default(),
        }
    }

    /// Number and log id of the next request.
    pub(crate) fn begin(&mut self, now_ms: u64) -> (u64, String) {
        self.begun += 1;
        (self.begun, self.log_ids.next(now_ms, self.begun))
    }

    /// The round of log ids of another world of the same name; see [`LogIds`].
    pub(crate) fn next_round(&self) -> u16 {
        self.log_ids.round_after(self.begun)
    }

    /// Deletes all entries, and begins the numbers again, without a log id that there was before. What waits for requests still
    /// waits for them.
    pub(crate) fn restart(&mut self) {
        self.clear();
        self.log_ids.again_after(self.begun);
        self.begun = 0;
    }

    /// Adds an entry. If it has the number of an entry that a fault delayed, it replaces that entry.
    pub(crate) fn push(&mut self, mut entry: Record) {
        if let Some(at) = self.at(entry.seq) {
            let waited = &mut self.entries[at];
            entry.taken = waited.taken;
            self.heap = self.heap - waited.heap() + entry.heap();
            *waited = entry;
            return;
        }
        if self.entries.len() == self.capacity {
            self.evict();
        }
        self.heap += entry.heap();
        self.loose.entries += 1;
        self.loose.bytes += entry.long_bytes();
        if self.entries.is_empty() {
            // A list begins with room for four, which is a third of a world that is used once.
            self.entries.reserve_exact(1);
        }
        self.entries.push_back(entry);
        if self.loose.bytes >= PACK {
            let loose = std::mem::take(&mut self.loose)
                .entries
                .min(self.entries.len());
            packed::pack(self.entries.iter_mut().rev().take(loose).collect());
        }
        // The newest one stays, whatever its size.
        while self.memory() > self.max_memory() && self.entries.len() > 1 {
            self.evict();
        }
        self.notifier.notify();
    }

    fn evict(&mut self) {
        if let Some(evicted) = self.entries.pop_front() {
            self.heap -= evicted.heap();
            self.evicted += 1;
        }
    }

    fn max_memory(&self) -> usize {
        let all = self.capacity.saturating_mul(JOURNAL_BYTES_PER_REQUEST);
        all.max(MIN_JOURNAL_BYTES)
    }

    /// Number of bytes that the entries hold.
    pub(crate) fn memory(&self) -> usize {
        // A pack whose first entries are gone is still there as a whole.
        let has_packed = self.entries.len() > self.loose.entries;
        let gone = if has_packed { PACK } else { 0 };
        self.heap + gone + self.entries.capacity() * size_of::<Record>()
    }

    /// Evicts the older half of the entries, and gives their memory back.
    pub(crate) fn halve(&mut self) {
        for _ in 0..self.entries.len().div_ceil(2) {
            self.evict();
        }
        self.entries.shrink_to_fit();
    }

    pub(crate) fn numbered(&self, seq: u64) -> Option<&Record> {
        Some(&self.entries[self.at(seq)?])
    }

    /// Finds an entry from the newest on, since delayed requests are few and new.
    fn at(&self, seq: u64) -> Option<usize> {
        let at = self.entries.iter().rposition(|known| known.seq <= seq)?;
        (self.entries[at].seq == seq).then_some(at)
    }

    /// Changes the newest entry.
    pub(crate) fn amend_newest(&mut self, amend: impl FnOnce(&mut Record)) {
        if let Some(entry) = self.entries.back_mut() {
            self.heap -= entry.heap();
            amend(entry);
            self.heap += entry.heap();
        }
    }

    /// Returns true if the entry with this log id is one that `fault` delays.
    pub(crate) fn has_waiting(&self, logid: &str, fault: Option<&'static str>) -> bool {
        let found = self.find(logid);
        found.is_some_and(|entry| entry.fault == fault && entry.outcome.status == 0)
    }

    /// The entries, oldest first.
    pub(crate) fn iter(&self) -> vec_deque::Iter<'_, Record> {
        self.entries.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.entries = VecDeque::new();
        self.heap = 0;
        self.loose = Loose::default();
        self.evicted = 0;
    }

    /// Number of entries evicted because the journal was full, since it was last cleared.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The number of the newest request, kept or not.
    pub(crate) const fn newest(&self) -> u64 {
        self.begun
    }

    /// The oldest matching entry with a number above `after`. Numbers rise, so older entries are skipped.
    pub(crate) fn next(&self, after: u64, filter: &RequestFilter) -> Option<&Record> {
        let from = self.entries.partition_point(|entry| entry.seq <= after);
        let mut later = self.entries.range(from..);
        later.find(|entry| filter.matches(entry))
    }

    /// The oldest matching entry that was not taken.
    pub(crate) fn untaken(&self, filter: &RequestFilter) -> Option<&Record> {
        let mut untaken = self.entries.iter().filter(|entry| !entry.taken);
        untaken.find(|entry| filter.matches(entry))
    }

    pub(crate) fn take(&mut self, filter: &RequestFilter) -> Option<JournalEntry> {
        let seq = self.untaken(filter)?.seq;
        let entry = self.entries.iter_mut().find(|entry| entry.seq == seq)?;
        entry.taken = true;
        Some(entry.show())
    }

    pub(crate) fn find(&self, logid: &str) -> Option<&Record> {
        let mut newest_first = self.entries.iter().rev();
        newest_first.find(|entry| entry.outcome.logid == logid)
    }
}
