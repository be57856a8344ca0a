//! The worlds of a mock: one at `/`, others at `/t/{name}`, each made at its first request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::memory::{Home, Locked, Memory, WORLD};
use super::own_port::{Ports, ServePorts};
use super::wait::WaitingClients;
use super::{NOWHERE, World};
use crate::journal::log_id::LogIds;
use crate::limits::{MAX_ENDED_WORLDS, MAX_WORLDS, UNUSED_WORLD, WORLD_IN_USE};
use crate::net::addressing::{Addressing, reachable};
use crate::protocol::digest::digest;
use crate::protocol::world_name::{WorldError, check};
use crate::state::State;
use crate::state::capped_map::CappedMap;
use crate::state::settings::Settings;

/// The path prefix of all worlds except the first.
pub(crate) const PREFIX: &str = "/t/";

#[derive(Debug)]
pub(crate) struct Worlds {
    first: Arc<World>,
    /// Without the address: it is known when the mock listens.
    root_url: OnceLock<String>,
    named: Mutex<BTreeMap<String, Named>>,
    /// Before then no world has been unused for its whole lifetime; none if that is never. It is changed under the lock of
    /// `named`.
    next_end: Mutex<Option<Instant>>,
    pub(super) ports: Ports,
    pub(super) waiting: WaitingClients,
    /// By the digest of a name: how many worlds of that name have given log ids and ended.
    rounds: Mutex<CappedMap<u16>>,
    memory: Arc<Memory>,
    this: Weak<Self>,
}

#[derive(Debug)]
struct Named {
    world: Arc<World>,
    used: Instant,
    /// How often it was used; a world that was made on purpose counts as used again.
    uses: u32,
    kept: Duration,
    /// It does not follow those of the mock.
    own_settings: bool,
}

impl Named {
    /// Returns true if a request runs or waits in the world, a test has its handle, or it has a port.
    fn is_held(&self) -> bool {
        Arc::strong_count(&self.world) > 1
    }

    fn was_used_once(&self) -> bool {
        self.uses <= 1
    }

    /// When it is unused for its whole lifetime, unless it is used before; none if that is never.
    fn end(&self) -> Option<Instant> {
        self.used.checked_add(self.kept)
    }

    fn is_unused_for(&self, time: Duration, now: Instant) -> bool {
        now.duration_since(self.used) >= time
    }

    /// Returns true if no test can need the world: it was used once, as by a page that names worlds at random, or not lately.
    fn is_evictable(&self, now: Instant) -> bool {
        (self.was_used_once() || self.is_unused_for(WORLD_IN_USE, now)) && !self.is_held()
    }
}

impl Worlds {
    /// `max_memory` is the maximum number of bytes that all worlds together hold.
    pub(crate) fn new(
        settings: Settings,
        addressing: Arc<Addressing>,
        max_memory: usize,
    ) -> Arc<Self> {
        let state = State::new(settings, LogIds::new("", 0));
        let first = World::new(state, String::new(), addressing);
        Arc::new_cyclic(|this| {
            let memory = Memory::new(max_memory);
            first.home.get_or_init(|| Home {
                worlds: this.clone(),
                memory: memory.clone(),
            });
            // So that it is counted.
            first.recount();
            Self {
                memory,
                first,
                root_url: OnceLock::new(),
                named: Mutex::default(),
                next_end: Mutex::default(),
                ports: Ports::default(),
                waiting: WaitingClients::default(),
                rounds: Mutex::new(CappedMap::new(MAX_ENDED_WORLDS)),
                this: this.clone(),
            }
        })
    }

    pub(crate) fn first(&self) -> Arc<World> {
        self.first.clone()
    }

    /// The same for all worlds.
    pub(crate) fn addressing(&self) -> &Arc<Addressing> {
        &self.first.addressing
    }

    /// `ports` serves the ports of worlds, as long as it is there.
    pub(crate) fn listen_at(&self, bound: SocketAddr, ports: Weak<dyn ServePorts>) {
        self.ports.listen_at(bound, ports);
        let by_others = !bound.ip().is_loopback();
        let addressing = &self.first.addressing;
        addressing.reached_by_others.get_or_init(|| by_others);
        let bound = reachable(bound);
        self.first
            .addressing
            .bound
            .get_or_init(|| bound.ip().to_string());
        let url = format!("{}://{bound}", self.first.addressing.scheme());
        self.first.base_url.get_or_init(|| url.clone());
        self.root_url.get_or_init(|| url);
    }

    /// All worlds that have no settings of their own take the new ones; see [`State::reload`].
    pub(crate) fn reload(&self, settings: &Settings) {
        self.first.reload(settings);
        for named in self.locked().values().filter(|named| !named.own_settings) {
            named.world.reload(settings);
        }
    }

    pub(crate) fn release_all(&self) {
        self.each(World::release_all);
    }

    pub(crate) fn end(&self) {
        self.each(World::end);
    }

    fn each(&self, act: impl Fn(&World)) {
        act(&self.first);
        for named in self.locked().values() {
            act(&named.world);
        }
    }

    /// The world of this name, if it is there. To look at it is not to use it.
    pub(super) fn known(&self, name: &str) -> Option<Arc<World>> {
        self.locked().get(name).map(|named| named.world.clone())
    }

    /// The world of this name, made if it is not there.
    pub(crate) fn named(&self, name: &str) -> Result<Arc<World>, WorldError> {
        check(name)?;
        let mut named = self.locked();
        if let Some(found) = named.get_mut(name) {
            found.used = Instant::now();
            found.uses = found.uses.saturating_add(1);
            return Ok(found.world.clone());
        }
        self.make_room(&mut named, 0)?;
        let made = self.fresh(name, self.settings(name), 0);
        Ok(self.put(&mut named, name, made))
    }

    /// Makes a world, and removes an earlier one of that name. If `own` is true, a reload does not change it.
    /// `configured` is the number of bytes of a configuration of its own.
    pub(crate) fn make(
        &self,
        name: &str,
        settings: Settings,
        own: bool,
        kept: Duration,
        configured: usize,
    ) -> Result<Arc<World>, WorldError> {
        check(name)?;
        let mut named = self.locked();
        if let Some(before) = named.remove(name) {
            self.end_one(&before.world);
        }
        // What is read from a configuration takes some times its text.
        let configured = configured.saturating_mul(4);
        self.make_room(&mut named, configured)?;
        let mut made = self.fresh(name, settings, configured);
        (made.kept, made.own_settings, made.uses) = (kept, own, 2);
        Ok(self.put(&mut named, name, made))
    }

    /// Those of a world of this name if nothing else is said: the mock's, at its time, with a seed made of its seed and the name.
    pub(crate) fn settings(&self, name: &str) -> Settings {
        let mut settings = self.first.state().settings.clone();
        settings.clock = settings.clock.independent();
        let seed = Sha256::new()
            .chain_update(settings.seed)
            .chain_update(name)
            .finalize();
        settings.seed = seed.into();
        settings
    }

    /// Removes the world of this name and ends it. Returns false if the name is unknown.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut named = self.locked();
        let removed = named.remove(name);
        drop(named);
        removed.map(|named| self.end_one(&named.world)).is_some()
    }

    /// Ends a world that was removed; otherwise its waiting requests would wait for ever.
    fn end_one(&self, world: &World) {
        world.end();
        let name = world.name().unwrap_or_default();
        let round = world.state().journal.next_round();
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        if round > 0 {
            rounds.insert(digest(name), round);
        }
    }

    fn round(&self, name: &str) -> u16 {
        let rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        match rounds.is_empty() {
            true => 0,
            false => rounds.get(&digest(name)).copied().unwrap_or_default(),
        }
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Returns true if the worlds may hold so many bytes more, after they have dropped what can be dropped.
    pub(crate) fn makes_room_for(&self, bytes: usize) -> bool {
        if !self.memory.has_room_for(bytes) {
            self.relieve();
        }
        self.memory.has_room_for(bytes)
    }

    /// Frees memory, until an eighth of it is free: worlds that were used once and are not in use are evicted, oldest first.
    /// Then the largest world drops the older half of its journal or, if the journal is less than half of it, of all that it
    /// keeps, and so on. What somebody else has locked is left for the next time.
    pub(crate) fn relieve(&self) {
        let Ok(mut named) = self.named.try_lock() else {
            return;
        };
        self.relieve_among(&mut named);
    }

    fn relieve_among(&self, named: &mut BTreeMap<String, Named>) {
        let mut once: Vec<_> = named
            .iter()
            .filter(|(_, entry)| entry.was_used_once() && !entry.is_held())
            .map(|(name, entry)| (entry.used, name.clone()))
            .collect();
        once.sort_unstable();
        for (_, name) in once {
            if self.memory.is_relieved() {
                return;
            }
            if let Some(entry) = named.remove(&name) {
                self.end_one(&entry.world);
            }
        }
        while !self.memory.is_relieved() {
            let all = named.values().map(|entry| &entry.world);
            let all = all.chain(std::iter::once(&self.first));
            let Some(largest) = all.max_by_key(|world| world.freeable()) else {
                return;
            };
            let before = self.memory.used();
            let Some(mut state) = Locked::at_once(largest) else {
                return;
            };
            tracing::warn!(
                world = largest.name(),
                "the worlds hold {before} bytes, and may hold {}: this one drops the older half of its requests or tokens",
                self.memory.max()
            );
            state.halve();
            drop(state);
            if self.memory.used() >= before {
                return;
            }
        }
    }

    /// Number of worlds, the first included.
    pub(crate) fn count(&self) -> usize {
        self.locked().len() + 1
    }

    /// Number of worlds that have a port of their own.
    pub(crate) fn ports(&self) -> usize {
        self.ports.open()
    }

    pub(crate) fn all(&self) -> Vec<(String, Arc<World>)> {
        let named = self.locked();
        let all = named.iter();
        all.map(|(name, named)| (name.clone(), named.world.clone()))
            .collect()
    }

    fn put(&self, named: &mut BTreeMap<String, Named>, name: &str, made: Named) -> Arc<World> {
        let next_end = &mut *self.next_end();
        *next_end = earlier(*next_end, made.end());
        let world = made.world.clone();
        named.insert(name.to_owned(), made);
        world
    }

    fn fresh(&self, name: &str, settings: Settings, configured: usize) -> Named {
        let mount = format!("{PREFIX}{name}");
        let world = World::new(
            State::new(settings, LogIds::new(name, self.round(name))),
            mount.clone(),
            self.addressing().clone(),
        );
        world.home.get_or_init(|| Home {
            worlds: self.this.clone(),
            memory: self.memory.clone(),
        });
        world.configured(configured);
        let root = self.root_url.get().map_or(NOWHERE, String::as_str);
        world.base_url.get_or_init(|| format!("{root}{mount}"));
        Named {
            world,
            used: Instant::now(),
            uses: 1,
            kept: UNUSED_WORLD,
            own_settings: false,
        }
    }

    /// Makes room for one more world, which has so many bytes of a configuration: evicts those that were unused for their whole lifetime and, if that is not enough, the
    /// oldest that was used once, else the one that was not used for the longest. A world in use is never evicted.
    fn make_room(
        &self,
        named: &mut BTreeMap<String, Named>,
        configured: usize,
    ) -> Result<(), WorldError> {
        let now = Instant::now();
        self.evict_unused(named, now);
        while named.len() >= MAX_WORLDS {
            if !self.evict(named, now) {
                return Err(WorldError::Full);
            }
        }
        if !self.memory.has_room_for(WORLD + configured) {
            self.relieve_among(named);
        }
        match self.memory.has_room_for(WORLD + configured) {
            true => Ok(()),
            false => Err(WorldError::Full),
        }
    }

    /// Evicts the worlds that were unused for their whole lifetime. It looks at them only if there may be one: to look at all
    /// for each new world would be most of what a world costs.
    fn evict_unused(&self, named: &mut BTreeMap<String, Named>, now: Instant) {
        let next_end = &mut *self.next_end();
        if next_end.is_none_or(|end| now < end) {
            return;
        }
        *next_end = None;
        named.retain(|_, entry| {
            let kept = !entry.is_unused_for(entry.kept, now) || entry.is_held();
            match kept {
                true => *next_end = earlier(*next_end, entry.end()),
                false => self.end_one(&entry.world),
            }
            kept
        });
    }

    fn next_end(&self) -> MutexGuard<'_, Option<Instant>> {
        self.next_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evicts the world that is needed least. Returns false if all are in use.
    fn evict(&self, named: &mut BTreeMap<String, Named>, now: Instant) -> bool {
        let evictable = named.iter().filter(|(_, entry)| entry.is_evictable(now));
        let first = evictable.min_by_key(|(_, entry)| (!entry.was_used_once(), entry.used));
        let evicted = first.map(|(name, _)| name.clone());
        let evicted = evicted.and_then(|name| named.remove(&name));
        evicted.map(|entry| self.end_one(&entry.world)).is_some()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Named>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The earlier of two times, where none is never.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intercept::phase::At;
    use crate::intercept::selector::On;
    use crate::limits::DEFAULT_MEMORY;

    fn worlds() -> Arc<Worlds> {
        Worlds::new(Settings::standard([1; 32]), Arc::default(), DEFAULT_MEMORY)
    }

    fn names(worlds: &Worlds) -> Vec<String> {
        worlds.all().into_iter().map(|(name, _)| name).collect()
    }

    fn use_at(worlds: &Worlds, name: &str, times: u32, ago: Duration) {
        for _ in 0..times {
            worlds.named(name).expect("room");
        }
        let mut named = worlds.locked();
        let entry = named.get_mut(name).expect("it was used");
        entry.used = Instant::now().checked_sub(ago).expect("a running machine");
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// Those of a page that names worlds at random go first, then those of tests that have ended; and never one in use.
    #[test]
    fn a_world_in_use_is_not_evicted_for_another() {
        let worlds = worlds();
        let _held = worlds.named("held").expect("room");
        use_at(&worlds, "held-long-ago", 1, 2 * WORLD_IN_USE);
        let _held_long_ago = worlds.known("held-long-ago");
        use_at(&worlds, "once", 1, SECOND);
        use_at(&worlds, "once-before", 1, 2 * SECOND);
        use_at(&worlds, "again", 2, WORLD_IN_USE - 5 * SECOND);
        use_at(&worlds, "not-lately", 2, WORLD_IN_USE + SECOND);
        use_at(&worlds, "before-that", 2, WORLD_IN_USE + 2 * SECOND);
        let settings = worlds.settings("made");
        let made = worlds.make("made", settings, false, UNUSED_WORLD, 0);
        drop(made.expect("room"));
        for number in names(&worlds).len()..MAX_WORLDS {
            use_at(&worlds, &format!("n{number}"), 2, Duration::ZERO);
        }
        let mut gone = Vec::new();
        for number in 0..4 {
            let before = names(&worlds);
            use_at(&worlds, &format!("new{number}"), 2, Duration::ZERO);
            let after = names(&worlds);
            assert_eq!(after.len(), MAX_WORLDS);
            gone.extend(before.into_iter().filter(|name| !after.contains(name)));
        }
        assert_eq!(gone, ["once-before", "once", "before-that", "not-lately"]);
        let full = worlds.named("no-room").expect_err("all are in use");
        assert_eq!(full, WorldError::Full);
        assert!(full.to_string().contains("all are in use"));
        let settings = worlds.settings("made");
        let more = worlds.make("more", settings.clone(), false, UNUSED_WORLD, 0);
        assert!(more.is_err_and(|error| error == WorldError::Full));
        let again = worlds.make("made", settings, false, UNUSED_WORLD, 0);
        assert!(again.is_ok(), "it takes the place of the one before");
        assert!(worlds.named("again").is_ok(), "those that are there go on");
    }

    /// The attack of issue 16: it goes through its own worlds, and a test loses none.
    #[test]
    fn a_page_that_names_worlds_at_random_evicts_its_own() {
        let worlds = worlds();
        for number in 0..100 {
            use_at(&worlds, &format!("test{number}"), 2, 10 * SECOND);
        }
        for number in 0..3_000 {
            worlds.named(&format!("e{number}")).expect("room");
        }
        let names = names(&worlds);
        let tests = names.iter().filter(|name| name.starts_with("test"));
        assert_eq!((names.len(), tests.count()), (MAX_WORLDS, 100));
    }

    #[test]
    fn one_that_nobody_uses_goes_in_time() {
        let worlds = worlds();
        let brief = |name| {
            let made = worlds.make(name, worlds.settings(name), false, Duration::ZERO, 0);
            made.expect("a name")
        };
        drop(brief("brief"));
        // In use: somebody would wait for ever.
        let _held = brief("held");
        let gate = brief("gate").gates.set("gate", On::token(), At::Request);
        worlds.named("other").expect("a name");
        assert_eq!(
            names(&worlds),
            ["held", "other"],
            "a gate without a request holds nobody"
        );
        drop(gate);
    }

    /// Looking is due when the first may have ended, and one that was used since then goes on.
    #[test]
    fn a_world_ends_with_its_lifetime_and_not_before() {
        let worlds = worlds();
        use_at(&worlds, "one", 1, Duration::ZERO);
        use_at(&worlds, "again", 1, Duration::ZERO);
        let settings = worlds.settings("long");
        let made = worlds.make("long", settings, false, 2 * UNUSED_WORLD, 0);
        drop(made.expect("room"));
        let from = Instant::now();
        worlds.locked().get_mut("again").expect("it is there").used = from + 5 * SECOND;
        let left_at = |later| {
            worlds.evict_unused(&mut worlds.locked(), from + later);
            names(&worlds)
        };
        assert_eq!(left_at(UNUSED_WORLD - SECOND), ["again", "long", "one"]);
        assert_eq!(left_at(UNUSED_WORLD), ["again", "long"]);
        assert_eq!(left_at(UNUSED_WORLD + 4 * SECOND), ["again", "long"]);
        assert_eq!(left_at(UNUSED_WORLD + 5 * SECOND), ["long"]);
        assert_eq!(left_at(2 * UNUSED_WORLD), [""; 0]);
    }

    /// Or each would have a copy of all apps; but what an owner does to an app is done in one world.
    #[test]
    fn worlds_share_the_apps_until_one_is_changed() {
        let worlds = worlds();
        let [one, other] = ["one", "other"].map(|name| worlds.named(name).expect("a name"));
        let shared = || Arc::ptr_eq(&one.state().apps, &other.state().apps);
        assert!(shared());
        Arc::make_mut(&mut one.state().apps)[0].enabled = false;
        assert!(!shared());
        assert!(other.state().apps[0].enabled && worlds.first().state().apps[0].enabled);
        one.reset();
        assert!(one.state().apps[0].enabled && shared());
    }
}
