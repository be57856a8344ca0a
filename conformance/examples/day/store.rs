//! A store of grants that cannot store for a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coze_auth_core::TokenGrant;
use coze_auth_store::{Doubt, GrantKey, GrantStore, LockedGrant, Saved, StoreError};

use crate::book::Book;

/// What a machine sees of a store.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) inner: Arc<dyn GrantStore>,
    pub(crate) machine: usize,
    pub(crate) is_full: Arc<AtomicBool>,
    pub(crate) book: Arc<Mutex<Book>>,
}

struct Held {
    inner: Box<dyn LockedGrant>,
    shelf: Shelf,
}

impl GrantStore for Shelf {
    fn load(&self, key: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.inner.load(key)
    }

    fn lock(&self, key: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        Ok(Box::new(Held {
            inner: self.inner.lock(key, patience)?,
            shelf: self.clone(),
        }))
    }
}

impl LockedGrant for Held {
    fn load(&mut self) -> Result<Option<TokenGrant>, StoreError> {
        self.inner.load()
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        self.inner.prepare()
    }

    fn doubt(&self) -> Option<Doubt> {
        self.inner.doubt()
    }

    fn may_be_spent(&mut self) {
        self.inner.may_be_spent();
    }

    /// The disk is full since `prepare`.
    fn save(&mut self, grant: &TokenGrant) -> Result<Saved, StoreError> {
        let is_full = self.shelf.is_full.load(Ordering::Relaxed);
        let mut book = self.shelf.book.lock().expect("nobody panics");
        let unsaved = &mut book.this().unsaved;
        match is_full {
            true => unsaved.insert(self.shelf.machine),
            false => unsaved.remove(&self.shelf.machine),
        };
        drop(book);
        match is_full {
            true => Err(StoreError::Other(Arc::new(std::io::Error::other("full")))),
            false => self.inner.save(grant),
        }
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.inner.remove()
    }
}
