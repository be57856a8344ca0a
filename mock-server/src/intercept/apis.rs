//! The API calls of the user's own of a world, and their choice for a request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;

use crate::protocol::api::{Api, Called};

/// A call with its id.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) api: Arc<Api>,
    /// True if the settings have it.
    configured: bool,
}

/// The calls of one world, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Apis {
    /// True if there is one, so that most requests take no lock.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    made: u64,
    all: Vec<Named>,
}

impl Apis {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call, in place of an earlier one of the same method and path. Returns its id, or none if there are `most`
    /// already.
    pub(crate) fn put(&self, api: Arc<Api>, most: usize) -> Option<String> {
        self.add(&mut self.state(), api, most, false)
    }

    fn add(
        &self,
        state: &mut State,
        api: Arc<Api>,
        most: usize,
        configured: bool,
    ) -> Option<String> {
        let earlier = state.all.iter().position(|named| named.api.same_call(&api));
        if earlier.is_none() && state.all.len() >= most {
            return None;
        }
        state.made += 1;
        let id = format!("a{}", state.made);
        let named = Named {
            id: id.clone(),
            api,
            configured,
        };
        match earlier {
            Some(at) => state.all[at] = named,
            None => state.all.push(named),
        }
        self.any.store(true, Ordering::Release);
        Some(id)
    }

    /// Adds the calls of the settings, and removes those of earlier settings.
    pub(crate) fn configure(&self, apis: &[Arc<Api>]) {
        let state = &mut *self.state();
        state.all.retain(|named| !named.configured);
        for api in apis {
            self.add(state, api.clone(), usize::MAX, true);
        }
        self.any.store(!state.all.is_empty(), Ordering::Release);
    }

    /// Removes all calls but these, and restarts the ids.
    pub(crate) fn reset(&self, apis: &[Arc<Api>]) {
        *self.state() = State::default();
        self.configure(apis);
    }

    /// Number of bytes that the calls hold, without those of the settings, which worlds share.
    pub(crate) fn bytes(&self) -> usize {
        if !self.any.load(Ordering::Acquire) {
            return 0;
        }
        let state = self.state();
        let own = state.all.iter().filter(|named| !named.configured);
        own.map(|named| named.api.bytes()).sum()
    }

    pub(crate) fn all(&self) -> Vec<Named> {
        self.state().all.clone()
    }

    /// Removes the call with this id. Returns false if the id is unknown.
    pub(crate) fn remove(&self, id: &str) -> bool {
        let mut state = self.state();
        let before = state.all.len();
        state.all.retain(|named| named.id != id);
        self.any.store(!state.all.is_empty(), Ordering::Release);
        state.all.len() < before
    }

    pub(crate) fn clear(&self) {
        self.state().all.clear();
        self.any.store(false, Ordering::Release);
    }

    /// What answers a request, if its path is one of the user's own.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<Called> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let state = self.state();
        let here = state.all.iter().filter(|named| named.api.fits(path));
        if let Some(named) = here.clone().find(|named| named.api.method == *method) {
            return Some(Called::Answer(named.api.clone()));
        }
        let methods: Vec<_> = here.map(|named| named.api.method.as_str()).collect();
        (!methods.is_empty()).then(|| Called::OtherMethods(methods.join(", ")))
    }
}
