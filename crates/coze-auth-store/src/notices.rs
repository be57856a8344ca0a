//! What a store has to tell to those who run the application.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// More notices than this are not kept.
const MOST: usize = 100;

/// What a store has to tell to those who run the application: each a sentence for a log, without a secret. The
/// [`notices`](crate::GrantStore::notices) of a store give it to the token sources, which tell their observers.
///
/// A store [notes](Self::note) what it finds wherever it finds it, under a lock as well. A token source has it [told](Self::tell) when the
/// lock is released; a store that finds something at another time, on a thread of its own, has it told itself.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use coze_auth_store::{Listener, Notices};
///
/// let notices = Notices::default();
/// notices.note("the disk is nearly full");
/// let log = Arc::new(Mutex::new(Vec::new()));
/// let told = log.clone();
/// let listener: Arc<Listener> = Arc::new(move |notice| told.lock().unwrap().push(notice.to_owned()));
/// notices.listen(&listener);
/// notices.note("the disk is full");
/// assert_eq!(*log.lock().unwrap(), ["the disk is nearly full"]);
/// notices.tell();
/// assert_eq!(*log.lock().unwrap(), ["the disk is nearly full", "the disk is full"]);
/// ```
#[derive(Default)]
pub struct Notices(Mutex<Kept>);

/// Who is told what a store has to tell: [`Notices::listen`].
///
/// ```
/// use std::sync::Arc;
///
/// use coze_auth_store::{Listener, Notices};
///
/// let listener: Arc<Listener> = Arc::new(|notice| eprintln!("warning: {notice}"));
/// let notices = Notices::default();
/// notices.listen(&listener);
/// assert!(notices.is_heard());
/// drop(listener);
/// assert!(!notices.is_heard());
/// ```
pub type Listener = dyn Fn(&str) + Send + Sync;

#[derive(Default)]
struct Kept {
    notices: Vec<Arc<str>>,
    /// So many of them were told to all listeners.
    told: usize,
    listeners: Vec<Weak<Listener>>,
}

impl Notices {
    /// Keeps a notice. The same sentence is kept once, and a hundred of them at most. Nobody is told yet.
    pub fn note(&self, notice: impl Into<Arc<str>>) {
        let notice = notice.into();
        let mut kept = self.locked();
        if kept.notices.len() < MOST && !kept.notices.contains(&notice) {
            kept.notices.push(notice);
        }
    }

    /// All that was noted.
    pub fn all(&self) -> Vec<String> {
        let kept = self.locked();
        kept.notices.iter().map(ToString::to_string).collect()
    }

    /// Tells this listener, once each, what was noted so far and what is noted from now on, while the caller keeps it.
    pub fn listen(&self, listener: &Arc<Listener>) {
        let mut kept = self.locked();
        if kept.listeners.len() == kept.listeners.capacity() {
            kept.listeners.retain(is_there);
        }
        kept.listeners.push(Arc::downgrade(listener));
        let told = kept.notices[..kept.told].to_vec();
        drop(kept);
        told.iter().for_each(|notice| listener(notice));
        self.tell();
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.locked().listeners.iter().any(is_there)
    }

    /// Tells all listeners what was noted since the last time, on this thread: nothing that they might wait for may be locked.
    pub fn tell(&self) {
        let mut kept = self.locked();
        let new = kept.notices[kept.told..].to_vec();
        if new.is_empty() {
            return;
        }
        kept.told = kept.notices.len();
        let listeners: Vec<_> = kept.listeners.iter().filter_map(Weak::upgrade).collect();
        drop(kept);
        for listener in listeners {
            new.iter().for_each(|notice| listener(notice));
        }
    }

    fn locked(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_there(listener: &Weak<Listener>) -> bool {
    listener.strong_count() > 0
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notices").field(&self.all()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Log = Arc<Mutex<Vec<String>>>;

    fn listener() -> (Arc<Listener>, Log) {
        let log = Log::default();
        let told = log.clone();
        let listener = Arc::new(move |notice: &str| told.lock().unwrap().push(notice.to_owned()));
        (listener, log)
    }

    fn lines(log: &Log) -> Vec<String> {
        std::mem::take(&mut log.lock().unwrap())
    }

    #[test]
    fn each_listener_is_told_each_notice_once() {
        let notices = Notices::default();
        assert!(!notices.is_heard());
        notices.note("one");
        let (first, heard_first) = listener();
        notices.listen(&first);
        assert!(notices.is_heard());
        assert_eq!(lines(&heard_first), ["one"]);
        notices.note("two");
        assert!(lines(&heard_first).is_empty(), "nobody is told yet");
        // What waits is told to who comes and to who was there.
        let (second, heard_second) = listener();
        notices.listen(&second);
        assert_eq!(lines(&heard_first), ["two"]);
        assert_eq!(lines(&heard_second), ["one", "two"]);
        notices.note("one");
        notices.tell();
        assert!(lines(&heard_first).is_empty(), "it was noted before");
        drop(first);
        notices.note("three");
        notices.tell();
        assert_eq!(lines(&heard_second), ["three"]);
        assert!(lines(&heard_first).is_empty(), "it has gone");
        assert_eq!(notices.all(), ["one", "two", "three"]);
        drop(second);
        assert!(!notices.is_heard());
    }

    #[test]
    fn no_more_are_kept_than_a_log_can_bear() {
        let notices = Notices::default();
        (0..=MOST).for_each(|number| notices.note(number.to_string()));
        assert_eq!(notices.all().len(), MOST);
    }

    #[test]
    fn listeners_that_have_gone_take_no_room() {
        let notices = Notices::default();
        for _ in 0..10_000 {
            notices.listen(&listener().0);
        }
        let kept = notices.locked().listeners.len();
        assert!(kept < 100, "{kept}");
    }

    #[test]
    fn a_listener_is_called_under_no_lock() {
        let notices = Arc::new(Notices::default());
        let again = notices.clone();
        let listener: Arc<Listener> = Arc::new(move |notice| {
            again.note(format!("about {}", &notice[..3]));
            assert!(again.is_heard());
        });
        notices.listen(&listener);
        notices.note("one");
        notices.tell();
        assert_eq!(notices.all(), ["one", "about one"]);
    }
}
