//! The locks of the shared state: std's, or the model checker's.

use std::sync::PoisonError;

#[cfg(coze_auth_model)]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(coze_auth_model))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

/// A panic under one of our locks leaves nothing half done that matters, so a poisoned one goes on.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
