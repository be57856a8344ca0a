//! A registry of faults or scripts: each has an id, in the order in which they were added.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What a registry holds.
pub(crate) trait Item {
    /// Number of bytes that it holds, roughly.
    fn bytes(&self) -> usize;
}

/// The faults or the scripts of one world.
#[derive(Debug)]
pub(crate) struct Registry<T> {
    letter: char,
    /// Number of bytes that the items hold.
    bytes: AtomicUsize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    made: u64,
    /// True after the end of the world, when nothing is removed any more.
    ended: bool,
    all: Vec<Arc<Registered<T>>>,
}

/// A fault or script with its id.
#[derive(Debug)]
pub(crate) struct Registered<T> {
    pub(crate) id: String,
    pub(crate) item: T,
    removed: watch::Sender<bool>,
}

impl<T> Registered<T> {
    pub(crate) fn removed(&self) -> watch::Receiver<bool> {
        self.removed.subscribe()
    }
}

impl<T: Item> Registry<T> {
    pub(crate) const fn new(letter: char) -> Self {
        let state = State {
            made: 0,
            ended: false,
            all: Vec::new(),
        };
        Self {
            letter,
            bytes: AtomicUsize::new(0),
            state: Mutex::new(state),
        }
    }

    /// Number of bytes that the items hold, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item. Returns none if there are `most` already.
    pub(crate) fn put(&self, item: T, most: usize) -> Option<Arc<Registered<T>>> {
        let mut state = self.state();
        if state.all.len() >= most {
            return None;
        }
        state.made += 1;
        let registered = Arc::new(Registered {
            id: format!("{}{}", self.letter, state.made),
            item,
            removed: watch::Sender::new(state.ended),
        });
        self.bytes
            .fetch_add(registered.item.bytes(), Ordering::Relaxed);
        state.all.push(registered.clone());
        Some(registered)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Registered<T>>> {
        self.state().all.clone()
    }

    /// Removes the item with this id. Returns false if the id is unknown.
    pub(crate) fn remove(&self, id: &str) -> bool {
        self.take(|registered| registered.id == id) > 0
    }

    pub(crate) fn remove_item(&self, registered: &Arc<Registered<T>>) {
        self.take(|other| Arc::ptr_eq(other, registered));
    }

    pub(crate) fn clear(&self) {
        self.take(|_| true);
    }

    /// Removes all items and restarts the ids.
    pub(crate) fn reset(&self) {
        self.clear();
        self.state().made = 0;
    }

    /// Removes all items, and treats later ones as removed.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.clear();
    }

    fn take(&self, mut is: impl FnMut(&Arc<Registered<T>>) -> bool) -> usize {
        let taken: Vec<_> = self
            .state()
            .all
            .extract_if(.., |registered| is(registered))
            .collect();
        for registered in &taken {
            self.bytes
                .fetch_sub(registered.item.bytes(), Ordering::Relaxed);
            registered.removed.send_replace(true);
        }
        taken.len()
    }
}
