//! The worlds of a mock: one at `/`, others at `/t/{name}`, each made at its first request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::own_port::{Ports, ServePorts};
use super::{NOWHERE, World};
use crate::journal::log_id::LogIds;
use crate::limits::{MAX_ENDED_WORLDS, MAX_WORLDS, UNUSED_WORLD};
use crate::net::addressing::{Addressing, reachable};
use crate::protocol::digest::digest;
use crate::protocol::world_name::{WorldNameError, check};
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
    pub(super) ports: Ports,
    /// By the digest of a name: how many worlds of that name have given log ids and ended.
    rounds: Mutex<CappedMap<u16>>,
    this: Weak<Self>,
}

#[derive(Debug)]
struct Named {
    world: Arc<World>,
    used: Instant,
    kept: Duration,
    /// It does not follow those of the mock.
    own_settings: bool,
}

impl Worlds {
    pub(crate) fn new(settings: Settings, addressing: Arc<Addressing>) -> Arc<Self> {
        let state = State::new(settings, LogIds::new("", 0));
        let first = World::new(state, String::new(), addressing);
        Arc::new_cyclic(|this| {
            first.worlds.get_or_init(|| this.clone());
            Self {
                first,
                root_url: OnceLock::new(),
                named: Mutex::default(),
                ports: Ports::default(),
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
    pub(crate) fn named(&self, name: &str) -> Result<Arc<World>, WorldNameError> {
        check(name)?;
        let mut named = self.locked();
        if let Some(found) = named.get_mut(name) {
            found.used = Instant::now();
            return Ok(found.world.clone());
        }
        let made = self.fresh(name, self.settings(name));
        Ok(self.put(&mut named, name, made))
    }

    /// Makes a world, and removes an earlier one of that name. If `own` is true, a reload does not change it.
    pub(crate) fn make(
        &self,
        name: &str,
        settings: Settings,
        own: bool,
        kept: Duration,
    ) -> Result<Arc<World>, WorldNameError> {
        check(name)?;
        self.remove(name);
        let mut made = self.fresh(name, settings);
        (made.kept, made.own_settings) = (kept, own);
        Ok(self.put(&mut self.locked(), name, made))
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
        self.make_room(named);
        let world = made.world.clone();
        named.insert(name.to_owned(), made);
        world
    }

    fn fresh(&self, name: &str, settings: Settings) -> Named {
        let mount = format!("{PREFIX}{name}");
        let world = World::new(
            State::new(settings, LogIds::new(name, self.round(name))),
            mount.clone(),
            self.addressing().clone(),
        );
        world.worlds.get_or_init(|| self.this.clone());
        let root = self.root_url.get().map_or(NOWHERE, String::as_str);
        world.base_url.get_or_init(|| format!("{root}{mount}"));
        Named {
            world,
            used: Instant::now(),
            kept: UNUSED_WORLD,
            own_settings: false,
        }
    }

    /// Evicts the worlds that were unused for their whole lifetime and, if that is not enough, the least recently used one. A
    /// world in which requests wait is in use, and so is one that has a port.
    fn make_room(&self, named: &mut BTreeMap<String, Named>) {
        let now = Instant::now();
        named.retain(|_, entry| {
            let kept = now.duration_since(entry.used) < entry.kept
                || entry.world.holds()
                || entry.world.port().is_some();
            if !kept {
                self.end_one(&entry.world);
            }
            kept
        });
        while named.len() >= MAX_WORLDS {
            let without_port = named
                .iter()
                .filter(|(_, entry)| entry.world.port().is_none());
            let oldest = without_port.min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            if let Some(entry) = named.remove(&oldest) {
                self.end_one(&entry.world);
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Named>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intercept::phase::At;
    use crate::intercept::selector::On;

    fn worlds() -> Arc<Worlds> {
        Worlds::new(Settings::standard([1; 32]), Arc::default())
    }

    fn names(worlds: &Worlds) -> Vec<String> {
        worlds.all().into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_one_that_was_not_used_for_the_longest_goes_first() {
        let worlds = worlds();
        for number in 0..MAX_WORLDS {
            worlds.named(&number.to_string()).expect("a name");
        }
        worlds.named("0").expect("a name");
        worlds.named("one-more").expect("a name");
        let names = names(&worlds);
        assert_eq!(names.len(), MAX_WORLDS);
        let has = |name: &str| names.iter().any(|known| known == name);
        assert!(has("0") && has("one-more") && !has("1"));
    }

    #[test]
    fn one_that_nobody_uses_goes_in_time() {
        let worlds = worlds();
        let brief = |name| worlds.make(name, worlds.settings(name), false, Duration::ZERO);
        brief("brief").expect("a name");
        // In use: somebody would wait for ever.
        let held = brief("held").expect("a name");
        let _gate = held.gates.set("gate", On::token(), At::Request);
        worlds.named("other").expect("a name");
        assert_eq!(
            names(&worlds),
            ["other"],
            "a gate without a request holds nobody"
        );
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
