//! A map that evicts its oldest entry when it is full.

use std::collections::VecDeque;

use hashbrown::HashTable;

use crate::protocol::digest::Digest;

/// Memory that a value holds on the heap.
pub(crate) trait Heap {
    /// Number of bytes. It does not change while the value is in a map.
    fn heap(&self) -> usize {
        0
    }
}

impl Heap for () {}

impl Heap for u16 {}

impl Heap for Digest {}

/// A map that evicts its oldest entry when it is full. The hash table, which is half empty, holds only places; the entries
/// are dense.
#[derive(Debug)]
pub(crate) struct CappedMap<T> {
    places: HashTable<u32>,
    entries: VecDeque<(Digest, T)>,
    /// The place of the first entry. Places are consecutive and may wrap.
    first: u32,
    cap: u32,
    evicted: u64,
    /// Number of bytes that the values hold on the heap.
    heap: usize,
}

/// The hash of a key. A digest is distributed as evenly as any hash of it.
fn hash(key: &Digest) -> u64 {
    let mut start = [0; 8];
    start.copy_from_slice(&key[..8]);
    u64::from_le_bytes(start)
}

/// The hash of the entry at a place.
fn rehash<T>(entries: &VecDeque<(Digest, T)>, first: u32) -> impl Fn(&u32) -> u64 {
    move |place| {
        let known = index(*place, first).and_then(|at| entries.get(at));
        known.map_or(0, |(key, _)| hash(key))
    }
}

fn index(place: u32, first: u32) -> Option<usize> {
    usize::try_from(place.wrapping_sub(first)).ok()
}

impl<T: Heap> CappedMap<T> {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            places: HashTable::new(),
            entries: VecDeque::new(),
            first: 0,
            // Settings have far smaller ones.
            cap: u32::try_from(cap).unwrap_or(u32::MAX),
            evicted: 0,
            heap: 0,
        }
    }

    fn cap(&self) -> usize {
        usize::try_from(self.cap).unwrap_or(usize::MAX)
    }

    /// Number of bytes that the map holds.
    pub(crate) fn memory(&self) -> usize {
        self.heap
            + self.entries.capacity() * size_of::<(Digest, T)>()
            + self.places.allocation_size()
    }

    /// Evicts the older half, and gives its memory back.
    pub(crate) fn halve(&mut self) {
        for _ in 0..self.entries.len().div_ceil(2) {
            self.drop_oldest();
        }
        self.entries.shrink_to_fit();
        self.places = HashTable::new();
        self.place_all();
    }

    pub(crate) fn insert(&mut self, key: Digest, value: T) {
        let heap = value.heap();
        if let Some(known) = self.get_mut(&key) {
            let before = std::mem::replace(known, value).heap();
            self.heap = self.heap - before + heap;
            return;
        }
        if self.entries.len() >= self.cap() && !self.evict() {
            return;
        }
        let length = self.entries.len();
        // The last doubling would take more than it can ever fill.
        if length == self.entries.capacity() && length > self.cap() / 2 {
            self.entries.reserve_exact(self.cap() - length);
        }
        self.heap += heap;
        let length = u32::try_from(length).expect("caps are far below");
        let place = self.first.wrapping_add(length);
        self.entries.push_back((key, value));
        let rehash = rehash(&self.entries, self.first);
        self.places.insert_unique(hash(&key), place, rehash);
    }

    /// Evicts the oldest entry. Returns false if there is none. Its place stays in the table, where it leads to no entry
    /// any more: places are all over the table, and to look for one costs more than the rest of an insertion.
    fn evict(&mut self) -> bool {
        if self.evicted == 0 {
            // Room for as many places without an entry as there are with one.
            let rehash = rehash(&self.entries, self.first);
            self.places.reserve(self.entries.len(), rehash);
        }
        if !self.drop_oldest() {
            return false;
        }
        if self.places.len() == self.places.capacity() {
            self.places.clear();
            self.place_all();
        }
        true
    }

    /// Evicts the oldest entry, whose place stays in the table.
    fn drop_oldest(&mut self) -> bool {
        let Some((_, evicted)) = self.entries.pop_front() else {
            return false;
        };
        self.heap -= evicted.heap();
        self.first = self.first.wrapping_add(1);
        self.evicted += 1;
        true
    }

    /// Fills the empty table.
    fn place_all(&mut self) {
        let rehash = rehash(&self.entries, self.first);
        let mut place = self.first;
        for (key, _) in &self.entries {
            self.places.insert_unique(hash(key), place, &rehash);
            place = place.wrapping_add(1);
        }
    }

    fn at(&self, key: &Digest) -> Option<usize> {
        let is = |place: &u32| {
            let known = index(*place, self.first).and_then(|at| self.entries.get(at));
            known.is_some_and(|(known, _)| known == key)
        };
        index(*self.places.find(hash(key), is)?, self.first)
    }

    pub(crate) fn get(&self, key: &Digest) -> Option<&T> {
        let (_, value) = self.entries.get(self.at(key)?)?;
        Some(value)
    }

    pub(crate) fn get_mut(&mut self, key: &Digest) -> Option<&mut T> {
        let at = self.at(key)?;
        let (_, value) = self.entries.get_mut(at)?;
        Some(value)
    }

    /// Oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Digest, &T)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// A note for explanations of unknown codes and tokens: whether some were evicted.
    pub(crate) fn eviction_note(&self) -> String {
        match self.evicted {
            0 => String::new(),
            n => format!(
                " (the oldest {n} were evicted: the mock keeps {} of a kind)",
                self.cap
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::digest::digest;

    impl Heap for u32 {}

    /// A text holds what it is long.
    impl Heap for &str {
        fn heap(&self) -> usize {
            self.len()
        }
    }

    #[test]
    fn what_is_evicted_is_not_held_any_more() {
        let mut map = CappedMap::new(1_000);
        let key = |n: usize| digest(&n.to_string());
        for n in 0..1_500 {
            map.insert(key(n), "1234567890");
        }
        map.insert(key(1_499), "12345");
        let full = map.memory();
        assert_eq!(map.heap, 9_995);
        map.halve();
        assert_eq!(
            (map.entries.len(), map.heap, map.evicted()),
            (500, 4_995, 1_000)
        );
        assert!(
            map.memory() < full * 6 / 10,
            "{full}, then {}",
            map.memory()
        );
        for n in 1_000..1_500 {
            assert!(map.get(&key(n)).is_some() && map.get(&key(n - 1_000)).is_none());
        }
        for n in 1_500..3_000 {
            map.insert(key(n), "1234567890");
        }
        assert_eq!((map.entries.len(), map.heap), (1_000, 10_000));
        assert!(map.get(&key(2_000)).is_some() && map.get(&key(1_999)).is_none());
    }

    #[test]
    fn places_without_an_entry_are_removed_before_the_table_grows() {
        let mut map = CappedMap::new(1_000);
        let key = |n: u32| digest(&n.to_string());
        for n in 0..1_001 {
            map.insert(key(n), n);
        }
        let room = map.places.capacity();
        for n in 1_001..50_000 {
            map.insert(key(n), n);
            assert!(map.places.len() <= room && map.entries.len() == 1_000);
        }
        assert_eq!(map.places.capacity(), room);
        for n in 0..49_000 {
            assert_eq!(map.get(&key(n)), None);
        }
        for n in 49_000..50_000 {
            assert_eq!(map.get(&key(n)), Some(&n));
        }
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut store = CappedMap::new(2);
        for name in ["a", "b", "b", "c"] {
            store.insert(digest(name), name);
        }
        assert_eq!(store.iter().copied().collect::<Vec<_>>(), ["b", "c"]);
        assert!(store.get(&digest("a")).is_none());
        assert!(store.eviction_note().contains("oldest 1 were evicted"));
    }

    #[test]
    fn places_may_wrap() {
        let mut store = CappedMap::new(2);
        store.first = u32::MAX;
        for name in ["a", "b", "c", "d"] {
            store.insert(digest(name), name);
            assert_eq!(store.get(&digest(name)), Some(&name));
        }
        assert_eq!(store.iter().copied().collect::<Vec<_>>(), ["c", "d"]);
        assert_eq!((store.get(&digest("c")), store.evicted()), (Some(&"c"), 2));
    }
}
