//! Sources by key: as many as the application wants kept, for any number of threads.
//!
//! Who finds a source takes the read lock of one table and nothing else: the part of it that is this thread's, since a lock
//! that two cores write to goes back and forth between them ([`COPIES`](crate::slot::COPIES)). Who does not is about to make a
//! request, so makers take turns: [`Order`] is behind one lock, which is taken before a table's.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::{Now, UnixTime};
use hashbrown::HashTable;

use crate::source::{Source, Standing};
use crate::sync::{Mutex, ShardedLock, locked, reading, writing};

/// Making a source holds up those who look into its table, and while that grows for the longest: one of a hundred
/// thousand would grow for milliseconds.
const TABLES: usize = 16;
/// When what has to stay now is looked at again.
const AGAIN: Duration = Duration::from_secs(1);

/// A bounded number of sources. `S` is one, or what the application's handles of one share.
///
/// When it is full, one goes for each that comes: one whose token has ended, or else the one whose token was asked for
/// the longest ago, to the second. A login's source that somebody holds, or that has a grant which is not stored yet,
/// stays, if need be beyond the number: evicting it would free nothing, or lose the grant.
pub(crate) struct Kept<K, S = Source> {
    hasher: RandomState,
    tables: Box<[Table<K, S>]>,
    order: Mutex<Order<S>>,
}

type Table<K, S> = ShardedLock<HashTable<Entry<K, S>>>;

struct Entry<K, S> {
    key: K,
    source: Arc<S>,
    place: u32,
}

/// Which is evicted next. It notes what was so when it last looked at a source: a token ends later by now and was asked for
/// later, never earlier. So whichever comes first by the notes is looked at, and noted anew if it is to stay.
struct Order<S> {
    capacity: usize,
    places: Vec<Option<Noted<S>>>,
    free: Vec<u32>,
    by_end: BTreeSet<(UnixTime, u32)>,
    /// In the same second the one that was noted first.
    by_use: BTreeMap<(UnixTime, u64), u32>,
    notes: u64,
}

struct Noted<S> {
    source: Arc<S>,
    hash: u64,
    end: UnixTime,
    used: (UnixTime, u64),
}

impl<K, S: AsRef<Source>> Kept<K, S> {
    pub(crate) fn new(capacity: usize) -> Self {
        let table = |_| Table::new(HashTable::new());
        Self {
            hasher: RandomState::new(),
            tables: (0..TABLES).map(table).collect(),
            order: Mutex::new(Order::new(capacity)),
        }
    }

    /// Another number of them, and at least one. Those that are too many are evicted when the next one comes.
    pub(crate) fn set_capacity(&self, capacity: usize) {
        locked(&self.order).capacity = capacity.max(1);
    }

    /// The source of this key, made if it is not there or was closed. Callers that ask for the same key at the same time
    /// get the same one.
    ///
    /// # Errors
    ///
    /// What `make` says. It is called under a lock.
    pub(crate) fn get_or_make<Q, E>(
        &self,
        key: &Q,
        make: impl FnOnce() -> Result<(K, S), E>,
    ) -> Result<Arc<S>, E>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        if let Some(source) = self.open(hash, key) {
            return Ok(source);
        }
        let mut order = locked(&self.order);
        if let Some(source) = self.open(hash, key) {
            return Ok(source);
        }
        let (own, made) = make()?;
        let now = made.as_ref().now();
        let source = Arc::new(made);
        let closed = self.take(&mut order, hash, |entry| entry.key.borrow() == key);
        if let Some(closed) = &closed {
            let (new, closed) = ((*source).as_ref(), (*closed.source).as_ref());
            new.shared.inherit_unsaved(&closed.shared);
        }
        let mut evicted = Vec::new();
        while order.kept() >= order.capacity
            && let Some(entry) = self.evict(&mut order, now)
        {
            evicted.push(entry);
        }
        let place = order.add(source.clone(), hash, now.unix);
        let entry = Entry {
            key: own,
            source: source.clone(),
            place,
        };
        let hash_of = |entry: &Entry<K, S>| self.hasher.hash_one(entry.key.borrow());
        writing(self.table(hash)).insert_unique(hash, entry, hash_of);
        // What goes is dropped without the lock.
        drop(order);
        for entry in &evicted {
            (*entry.source).as_ref().tell_evicted(now);
        }
        drop((closed, evicted));
        Ok(source)
    }

    /// The source of this key, if it is there and was not closed.
    fn open<Q>(&self, hash: u64, key: &Q) -> Option<Arc<S>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let table = reading(self.table(hash));
        let entry = table.find(hash, |entry| entry.key.borrow() == key)?;
        let is_closed = (*entry.source).as_ref().is_closed();
        (!is_closed).then(|| entry.source.clone())
    }

    fn take(
        &self,
        order: &mut Order<S>,
        hash: u64,
        is_it: impl Fn(&Entry<K, S>) -> bool,
    ) -> Option<Entry<K, S>> {
        let mut table = writing(self.table(hash));
        let (entry, _) = table.find_entry(hash, is_it).ok()?.remove();
        order.remove(entry.place);
        Some(entry)
    }

    fn evict(&self, order: &mut Order<S>, now: Now) -> Option<Entry<K, S>> {
        // Each may have to stay, once for its token and once for its use.
        for _ in 0..2 * order.kept() {
            let (place, hash) = order.first(now)?;
            let mut table = writing(self.table(hash));
            let found = table.find_entry(hash, |entry| entry.place == place).ok()?;
            // Under this lock nobody else gets it: who has it, has it already.
            if has_to_stay(&found.get().source) {
                order.put_off(place, now.unix);
                continue;
            }
            order.remove(place);
            return Some(found.remove().0);
        }
        None
    }

    fn table(&self, hash: u64) -> &Table<K, S> {
        // Each table itself goes by the lowest and the highest bits.
        let bits = usize::try_from(hash >> 32 & 0xffff).expect("16 bits");
        &self.tables[bits % TABLES]
    }

    /// Takes all of them out.
    pub(crate) fn drain(&self) -> impl Iterator<Item = Arc<S>> + use<K, S> {
        let mut order = locked(&self.order);
        for table in &self.tables {
            writing(table).clear();
        }
        let empty = Order::new(order.capacity);
        let all = std::mem::replace(&mut *order, empty);
        let all = all.places.into_iter().flatten();
        all.map(|noted| noted.source)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        locked(&self.order).kept()
    }

    /// How many there may be.
    pub(crate) fn capacity(&self) -> usize {
        locked(&self.order).capacity
    }
}

/// Whether it is a login's, and somebody has it or its grant is not stored: a renewal of it may be the only one that
/// has the new refresh token.
fn has_to_stay<S: AsRef<Source>>(source: &Arc<S>) -> bool {
    let it = (**source).as_ref();
    it.is_stored() && (is_held(source) || it.is_at_work())
}

/// Whether anybody has it but its table and the order.
fn is_held<S>(source: &Arc<S>) -> bool {
    Arc::strong_count(source) > 2
}

impl<S: AsRef<Source>> Order<S> {
    fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            places: Vec::new(),
            free: Vec::new(),
            by_end: BTreeSet::new(),
            by_use: BTreeMap::new(),
            notes: 0,
        }
    }

    fn kept(&self) -> usize {
        self.by_end.len()
    }

    fn add(&mut self, source: Arc<S>, hash: u64, now: UnixTime) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            u32::try_from(self.places.len() - 1).expect("fewer than fit into memory")
        });
        self.notes += 1;
        let noted = Noted {
            source,
            hash,
            end: now,
            used: (now, self.notes),
        };
        self.by_end.insert((noted.end, place));
        self.by_use.insert(noted.used, place);
        *self.at(place) = Some(noted);
        place
    }

    fn remove(&mut self, place: u32) {
        if let Some(noted) = self.at(place).take() {
            self.by_end.remove(&(noted.end, place));
            self.by_use.remove(&noted.used);
            self.free.push(place);
        }
    }

    /// The one to go now, and its hash.
    fn first(&mut self, now: Now) -> Option<(u32, u64)> {
        while let Some(&(end, place)) = self.by_end.first()
            && end <= now.unix
        {
            let noted = self.at(place).as_ref()?;
            let again = now.unix.plus(AGAIN);
            let end = match (*noted.source).as_ref().standing(now) {
                Standing::Fresh(until) => until,
                Standing::Renews => again,
                // Whoever has it is about to ask.
                Standing::New if is_held(&noted.source) => again,
                Standing::New | Standing::Ended => return Some((place, noted.hash)),
            };
            self.note_end(place, end);
        }
        while let Some((&(used, _), &place)) = self.by_use.first_key_value() {
            // What has to stay is noted so, after all others. The clock may have been set back since.
            if now.unix < used && used <= now.unix.plus(AGAIN) {
                return None;
            }
            let noted = self.at(place).as_ref()?;
            match (*noted.source).as_ref().used() {
                Some(later) if used < later => self.note_use(place, later),
                _ => return Some((place, noted.hash)),
            }
        }
        None
    }

    /// It has to stay for now.
    fn put_off(&mut self, place: u32, now: UnixTime) {
        self.note_end(place, now.plus(AGAIN));
        self.note_use(place, now.plus(AGAIN));
    }

    fn note_end(&mut self, place: u32, end: UnixTime) {
        if let Some(noted) = self.places[place as usize].as_mut() {
            self.by_end.remove(&(noted.end, place));
            noted.end = end;
            self.by_end.insert((end, place));
        }
    }

    fn note_use(&mut self, place: u32, used: UnixTime) {
        self.notes += 1;
        let used = (used, self.notes);
        if let Some(noted) = self.at(place) {
            let before = std::mem::replace(&mut noted.used, used);
            self.by_use.remove(&before);
            self.by_use.insert(used, place);
        }
    }

    fn at(&mut self, place: u32) -> &mut Option<Noted<S>> {
        &mut self.places[place as usize]
    }
}

#[cfg(all(test, not(coze_auth_model)))]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use coze_auth_core::device::DeviceApp;
    use coze_auth_core::{Endpoints, SteadyTime, TokenGrant};
    use coze_auth_store::{MemoryStore, StoreError};

    use super::*;
    use crate::{Ask, Clock, Error, Store};

    fn login(kept: &Kept<String>, clock: &Passed, subject: &str) -> Arc<Source> {
        let made = kept.get_or_make(subject, || {
            let app = DeviceApp::new(Endpoints::cn(), "app")?;
            let passed = clock.clone();
            let clock: Clock = Arc::new(move || now(&passed));
            let store = Store::blocking(Arc::new(MemoryStore::new()));
            let timeout = Duration::from_secs(30);
            let source = Source::stored(app.into(), subject, store, timeout, clock)?;
            Ok::<_, Error>((subject.to_owned(), source))
        });
        made.unwrap()
    }

    type Passed = Arc<AtomicU64>;

    fn now(passed: &Passed) -> Now {
        let secs = passed.load(Ordering::SeqCst);
        Now {
            unix: UnixTime::from_secs(1_000 + secs),
            steady: SteadyTime::from_duration(Duration::from_secs(secs)),
        }
    }

    fn kept_of(kept: &Kept<String>, subjects: &[&'static str]) -> Vec<&'static str> {
        let is_kept = |subject: &&&str| {
            kept.open(kept.hasher.hash_one(**subject), **subject)
                .is_some()
        };
        subjects.iter().filter(is_kept).copied().collect()
    }

    /// As long as somebody has it, who may be renewing it, and as long as its grant is nowhere else.
    #[test]
    fn a_login_that_is_held_or_not_stored_is_not_evicted() {
        let (kept, clock) = (Kept::new(1), Passed::default());
        let login = |subject| login(&kept, &clock, subject);
        let kept_of = |subjects: &[_]| kept_of(&kept, subjects);
        let unstored = login("unstored");
        let grant = TokenGrant::from_secret_json(
            r#"{"access_token":"a","refresh_token":"r","issued_at":1000,"expires_at":1900}"#,
        );
        let grant = grant.unwrap();
        let error = Error::NotStored(StoreError::Superseded);
        unstored
            .shared
            .restore_unstored(grant.clone(), None, error, now(&clock));
        drop(unstored);
        let held = login("held");
        let Ask::First(renewal) = login("renewed").caller().ask() else {
            panic!("it has no token");
        };
        drop(login("other"));
        drop(login("another"));
        let all = ["unstored", "held", "renewed", "other", "another"];
        assert_eq!(
            kept_of(&all),
            ["unstored", "held", "renewed", "another"],
            "they stay beyond the number"
        );
        clock.fetch_add(1, Ordering::SeqCst);
        drop(held);
        drop(login("another"));
        drop(login("new"));
        assert_eq!(kept_of(&all), ["unstored", "renewed"]);
        clock.fetch_add(1, Ordering::SeqCst);
        let stored = kept.open(kept.hasher.hash_one("unstored"), "unstored");
        stored.expect("it is kept").shared.set_saved(&grant);
        drop(renewal);
        drop(login("last"));
        assert_eq!((kept_of(&all), kept.len()), (vec![], 1));
    }
}
