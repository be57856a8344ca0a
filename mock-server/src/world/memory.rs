//! The memory of all worlds together, which has one bound.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError, TryLockError, Weak};

use super::World;
use super::worlds::Worlds;
use crate::state::State;

/// Number of bytes that count for a world beside what it remembers: itself, its gates and its place in the lists.
pub(super) const WORLD: usize = 6 * 1_024;

/// Number of bytes that all worlds of a mock hold, and the most that they may hold.
#[derive(Debug)]
pub(crate) struct Memory {
    max: usize,
    used: AtomicUsize,
}

impl Memory {
    pub(super) fn new(max: usize) -> Arc<Self> {
        let used = AtomicUsize::new(0);
        Arc::new(Self { max, used })
    }

    pub(crate) const fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes) <= self.max
    }

    /// Returns true if enough was freed for a while, so that not every request frees a little.
    pub(super) fn is_relieved(&self) -> bool {
        self.used() <= self.max / 8 * 7
    }

    fn recount(&self, before: usize, now: usize) {
        match now.checked_sub(before) {
            Some(more) => self.used.fetch_add(more, Ordering::Relaxed),
            None => self.used.fetch_sub(before - now, Ordering::Relaxed),
        };
    }
}

/// The mock of a world.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) worlds: Weak<Worlds>,
    pub(super) memory: Arc<Memory>,
}

/// The state of a world, locked. What changed in it is counted when the lock is released.
pub(crate) struct Locked<'a> {
    world: &'a World,
    /// None while it is dropped.
    state: Option<MutexGuard<'a, State>>,
    changed: bool,
}

impl<'a> Locked<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        let state = world.state.lock().unwrap_or_else(PoisonError::into_inner);
        Self::of(world, state)
    }

    fn of(world: &'a World, state: MutexGuard<'a, State>) -> Self {
        Self {
            world,
            state: Some(state),
            changed: false,
        }
    }

    /// None if somebody else has locked it.
    pub(super) fn at_once(world: &'a World) -> Option<Self> {
        let state = match world.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Self::of(world, state))
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state
            .as_ref()
            .expect("it is locked until it is dropped")
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.changed = true;
        self.state
            .as_mut()
            .expect("it is locked until it is dropped")
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let (true, Some(home)) = (self.changed, self.world.home.get()) else {
            return;
        };
        self.world.count(home, self.memory());
        self.state = None;
        if home.memory.used() > home.memory.max
            && let Some(worlds) = home.worlds.upgrade()
        {
            worlds.relieve();
        }
    }
}

impl World {
    /// Counts what the world holds from now on. `state`: the bytes of its state.
    fn count(&self, home: &Home, state: usize) {
        let now = state + self.placed_bytes() + WORLD;
        let before = self.counted.swap(now, Ordering::Relaxed);
        if now != before {
            home.memory.recount(before, now);
        }
    }

    /// Number of bytes that [`State::halve`] acts on.
    pub(super) fn freeable(&self) -> usize {
        let counted = self.counted.load(Ordering::Relaxed);
        counted.saturating_sub(self.placed_bytes() + WORLD)
    }

    /// Number of bytes of what a test has placed in the world, which nobody evicts: a configuration, faults, scripts and calls.
    fn placed_bytes(&self) -> usize {
        self.configured.load(Ordering::Relaxed) + self.faults.bytes() + self.apis.bytes()
    }

    /// Counts `bytes` for the configuration of the world.
    pub(super) fn configured(&self, bytes: usize) {
        self.configured.store(bytes, Ordering::Relaxed);
        self.recount();
    }

    /// Counts what was placed in the world since the last request.
    pub(crate) fn recount(&self) {
        let mut state = self.state();
        // What is borrowed to be changed is counted again.
        let _: &mut State = &mut state;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(home) = self.home.get() {
            home.memory.recount(self.counted.load(Ordering::Relaxed), 0);
        }
    }
}
