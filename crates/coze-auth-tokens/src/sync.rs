//! The locks of the shared state: std's, or the model checker's; and a thread for what may hang.

use std::io;
use std::sync::PoisonError;
use std::time::Duration;

#[cfg(not(coze_auth_model))]
pub(crate) use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard, ShardedLockWriteGuard};
#[cfg(coze_auth_model)]
pub(crate) use shuttle::sync::{
    Condvar, Mutex, MutexGuard, RwLock as ShardedLock, RwLockReadGuard as ShardedLockReadGuard,
    RwLockWriteGuard as ShardedLockWriteGuard,
};
#[cfg(not(coze_auth_model))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

/// A panic under one of our locks leaves nothing half done that matters, so a poisoned one goes on.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Like [`locked`], beside others who read.
pub(crate) fn reading<T>(lock: &ShardedLock<T>) -> ShardedLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Like [`locked`], alone.
pub(crate) fn writing<T>(lock: &ShardedLock<T>) -> ShardedLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Has something done that may hang or panic, on a thread of its own, and waits for it for at most so long. It goes on
/// after that.
///
/// # Errors
///
/// What the system says, if it gives no thread; `TimedOut`; and if it panicked.
#[cfg(not(coze_auth_model))]
pub(crate) fn at_most<T: Send + 'static>(
    longest: Duration,
    act: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    let (tell, told) = channel();
    let thread = std::thread::Builder::new().name("coze-auth store".to_owned());
    thread.spawn(move || drop(tell.send(act())))?;
    told.recv_timeout(longest).map_err(|error| match error {
        RecvTimeoutError::Timeout => {
            let text = format!("it has not answered in {} s", longest.as_secs());
            io::Error::new(io::ErrorKind::TimedOut, text)
        }
        RecvTimeoutError::Disconnected => io::Error::other("it panicked"),
    })
}

/// The model checker knows its own threads only, and nothing hangs there.
#[cfg(coze_auth_model)]
pub(crate) fn at_most<T>(_longest: Duration, act: impl FnOnce() -> T) -> io::Result<T> {
    Ok(act())
}

#[cfg(all(test, not(coze_auth_model)))]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_waited_for_so_long() {
        let (end, hangs) = std::sync::mpsc::channel::<()>();
        let error = at_most(Duration::ZERO, move || hangs.recv()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "it has not answered in 0 s");
        drop(end);
        assert_eq!(at_most(Duration::MAX, || 1).unwrap(), 1);
        let error = at_most(Duration::MAX, || panic!("so")).unwrap_err();
        assert_eq!(error.to_string(), "it panicked");
    }
}
