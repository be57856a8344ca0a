//! Faults, or scripts, each with an id, in the order in which they were set.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct Shelf<T> {
    letter: char,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    made: u64,
    /// The world is gone, so that nobody would remove anything.
    ended: bool,
    all: Vec<Arc<Kept<T>>>,
}

#[derive(Debug)]
pub(crate) struct Kept<T> {
    pub(crate) id: String,
    pub(crate) item: T,
    removed: watch::Sender<bool>,
}

impl<T> Kept<T> {
    pub(crate) fn removed(&self) -> watch::Receiver<bool> {
        self.removed.subscribe()
    }
}

impl<T> Shelf<T> {
    pub(crate) const fn new(letter: char) -> Self {
        let state = State {
            made: 0,
            ended: false,
            all: Vec::new(),
        };
        Self {
            letter,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None: there are `most` others.
    pub(crate) fn put(&self, item: T, most: usize) -> Option<Arc<Kept<T>>> {
        let mut state = self.state();
        if state.all.len() >= most {
            return None;
        }
        state.made += 1;
        let kept = Arc::new(Kept {
            id: format!("{}{}", self.letter, state.made),
            item,
            removed: watch::Sender::new(state.ended),
        });
        state.all.push(kept.clone());
        Some(kept)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Kept<T>>> {
        self.state().all.clone()
    }

    /// False: there is none of this id.
    pub(crate) fn remove(&self, id: &str) -> bool {
        self.take(|kept| kept.id == id) > 0
    }

    pub(crate) fn forget(&self, kept: &Arc<Kept<T>>) {
        self.take(|other| Arc::ptr_eq(other, kept));
    }

    pub(crate) fn clear(&self) {
        self.take(|_| true);
    }

    /// Removes all and starts the ids anew.
    pub(crate) fn reset(&self) {
        self.clear();
        self.state().made = 0;
    }

    /// Whatever is put here from now on is as good as removed.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.clear();
    }

    fn take(&self, mut is: impl FnMut(&Arc<Kept<T>>) -> bool) -> usize {
        let taken: Vec<_> = self.state().all.extract_if(.., |kept| is(kept)).collect();
        for kept in &taken {
            kept.removed.send_replace(true);
        }
        taken.len()
    }

    /// Whether a request waits for the end of one.
    pub(crate) fn holds(&self) -> bool {
        let state = self.state();
        state
            .all
            .iter()
            .any(|kept| kept.removed.receiver_count() > 0)
    }
}
