//! Bounded memory of what was issued. Tokens are kept as digests only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hashbrown::HashTable;
use sha2::{Digest as _, Sha256};

/// The first half of a SHA-256: enough to tell tokens apart, half the memory.
pub(crate) type Digest = [u8; 16];

pub(crate) fn digest(secret: &str) -> Digest {
    let whole: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    let mut half = Digest::default();
    half.copy_from_slice(&whole[..16]);
    half
}

/// A map that forgets its oldest entry when it is full. The table, which is half empty, has places
/// alone; the entries stand close together.
#[derive(Debug)]
pub(crate) struct Capped<T> {
    places: HashTable<u32>,
    entries: VecDeque<(Digest, T)>,
    /// The place of the first entry; they are counted on and may wrap.
    first: u32,
    cap: usize,
    evicted: u64,
}

/// A digest is spread as evenly as any hash of it.
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

impl<T> Capped<T> {
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
        if self.entries.len() == self.cap && self.evicted == 0 {
            // From here on places come and go. A table twice as large is tidied where it stands; another would
            // grow once more, long after it was full.
            let rehash = rehash(&self.entries, self.first);
            self.places.reserve(self.cap, rehash);
        }
        while self.entries.len() >= self.cap {
            let Some((oldest, _)) = self.entries.pop_front() else {
                return;
            };
            let first = self.first;
            if let Ok(found) = self
                .places
                .find_entry(hash(&oldest), |place| *place == first)
            {
                found.remove();
            }
            self.first = self.first.wrapping_add(1);
            self.evicted += 1;
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

    /// What `explain` adds to "unknown".
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

/// The `jti` values seen, none forgotten before its assertion expires.
#[derive(Debug)]
pub(crate) struct SeenJtis {
    seen: BTreeSet<(u64, Digest)>,
    /// Not a hash map: one of a size that is always used again doubles once more, long after it was full.
    expiry: BTreeMap<Digest, u64>,
    cap: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Jti {
    New,
    Replayed,
    /// No room, and nothing that may be forgotten.
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

    /// Remembers a new `jti` until `exp` (Unix seconds).
    pub(crate) fn remember(&mut self, jti: Digest, exp: u64) {
        if let Some(before) = self.expiry.insert(jti, exp) {
            self.seen.remove(&(before, jti));
        }
        self.seen.insert((exp, jti));
    }
}

/// Makes every id, code and token of a world: a pure function of its seed and of how many it made.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: [u8; 32],
    made: u64,
}

const ALPHANUMERIC: Letters =
    letters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");

/// No vowels, so that no user code is a word (RFC 8628 §6.1).
const CONSONANTS: Letters = letters(b"BCDFGHJKLMNPQRSTVWXZ");

/// The letter for each byte of a hash.
type Letters = [u8; 256];

const fn letters(alphabet: &[u8]) -> Letters {
    let mut letters = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        letters[byte] = alphabet[byte % alphabet.len()];
        byte += 1;
    }
    letters
}

impl Ids {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, made: 0 }
    }

    /// `prefix` and then `length` letters and digits.
    pub(crate) fn opaque(&mut self, prefix: &str, length: usize) -> String {
        let mut id = String::with_capacity(prefix.len() + length);
        id.push_str(prefix);
        self.fill(&mut id, prefix, length, &ALPHANUMERIC);
        id
    }

    /// `XXX-XXX-XXX` (protocol §3.2).
    pub(crate) fn user_code(&mut self) -> String {
        let mut letters = String::new();
        self.fill(&mut letters, "user code", 9, &CONSONANTS);
        format!("{}-{}-{}", &letters[..3], &letters[3..6], &letters[6..])
    }

    fn fill(&mut self, text: &mut String, kind: &str, length: usize, letters: &Letters) {
        self.made += 1;
        let start = Sha256::new()
            .chain_update(self.seed)
            .chain_update(kind)
            .chain_update(self.made.to_be_bytes());
        let mut missing = length;
        // A byte for the number of the block: with eight, a token's would take two rounds of the hash each.
        for block in 0..=u8::MAX {
            let hash = start.clone().chain_update([block]);
            let mut bytes: [u8; 32] = hash.finalize().into();
            for byte in &mut bytes {
                *byte = letters[usize::from(*byte)];
            }
            let wanted = &bytes[..bytes.len().min(missing)];
            text.push_str(std::str::from_utf8(wanted).expect("alphabets are ASCII"));
            missing -= wanted.len();
            if missing == 0 {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_with_their_entries_and_the_table_stays_as_it_is() {
        let mut map = Capped::new(1_000);
        let key = |n: u32| digest(&n.to_string());
        for n in 0..1_001 {
            map.insert(key(n), n);
        }
        let room = map.places.capacity();
        for n in 1_001..50_000 {
            map.insert(key(n), n);
        }
        assert_eq!((map.places.len(), map.entries.len()), (1_000, 1_000));
        assert_eq!(map.places.capacity(), room);
        assert_eq!(map.get(&key(48_999)), None);
        assert_eq!(map.get(&key(49_000)), Some(&49_000));
        assert_eq!(map.get(&key(49_999)), Some(&49_999));
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut store = Capped::new(2);
        for name in ["a", "b", "b", "c"] {
            store.insert(digest(name), name);
        }
        assert_eq!(store.iter().copied().collect::<Vec<_>>(), ["b", "c"]);
        assert!(store.get(&digest("a")).is_none());
        assert!(store.eviction_note().contains("oldest 1 were evicted"));
    }

    #[test]
    fn places_may_wrap() {
        let mut store = Capped::new(2);
        store.first = u32::MAX;
        for name in ["a", "b", "c", "d"] {
            store.insert(digest(name), name);
            assert_eq!(store.get(&digest(name)), Some(&name));
        }
        assert_eq!(store.iter().copied().collect::<Vec<_>>(), ["c", "d"]);
        assert_eq!((store.get(&digest("c")), store.evicted()), (Some(&"c"), 2));
    }

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

    #[test]
    fn ids_depend_on_the_seed_and_on_nothing_else() {
        let make = |seed| {
            let mut ids = Ids::new([seed; 32]);
            (ids.opaque("czu_mock_", 60), ids.user_code())
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        let (token, user_code) = make(1);
        assert_eq!(token.len(), 69);
        let shape: String = user_code
            .chars()
            .map(|c| if c.is_ascii_uppercase() { 'X' } else { c })
            .collect();
        assert_eq!(shape, "XXX-XXX-XXX");
        let mut ids = Ids::new([1; 32]);
        assert_ne!(ids.opaque("", 40), ids.opaque("", 40));
    }
}
