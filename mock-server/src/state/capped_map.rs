//! A map that evicts its oldest entry when it is full.

use std::collections::VecDeque;

use hashbrown::HashTable;

use crate::protocol::digest::Digest;

/// A map that evicts its oldest entry when it is full. The hash table, which is half empty, holds only places; the entries
/// are dense.
#[derive(Debug)]
pub(crate) struct CappedMap<T> {
    places: HashTable<u32>,
    entries: VecDeque<(Digest, T)>,
    /// The place of the first entry. Places are consecutive and may wrap.
    first: u32,
    cap: usize,
    evicted: u64,
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

impl<T> CappedMap<T> {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            places: HashTable::new(),
            entries: VecDeque::new(),
            first: 0,
            cap,
            evicted: 0,
        }
    }

    pub(crate) fn insert(&mut self, key: Digest, value: T) {
        if let Some(known) = self.get_mut(&key) {
            *known = value;
            return;
        }
        if self.entries.len() >= self.cap && !self.evict() {
            return;
        }
        let length = self.entries.len();
        // The last doubling would take more than it can ever fill.
        if length == self.entries.capacity() && length > self.cap / 2 {
            self.entries.reserve_exact(self.cap - length);
        }
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
            self.places.reserve(self.cap, rehash);
        }
        if self.entries.pop_front().is_none() {
            return false;
        }
        self.first = self.first.wrapping_add(1);
        self.evicted += 1;
        if self.places.len() == self.places.capacity() {
            self.places.clear();
            let rehash = rehash(&self.entries, self.first);
            let mut place = self.first;
            for (key, _) in &self.entries {
                self.places.insert_unique(hash(key), place, &rehash);
                place = place.wrapping_add(1);
            }
        }
        true
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
