//! The fresh token, where all can read it without waiting for anyone.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coze_auth_core::{AccessToken, UnixTime};

#[cfg(coze_auth_model)]
use self::plain::ArcSwapOption;
#[cfg(not(coze_auth_model))]
use arc_swap::ArcSwapOption;

/// A clone is a count, and a count that two cores write goes back and forth between them: 9 ns a call became 22 to
/// 40 at two threads, and stay 9 where threads clone copies of their own. A copy of the text a call took 70.
const COPIES: usize = 16;

static THREADS: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    /// Which copy is this thread's.
    static MINE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % COPIES;
}

/// Read by every call, written once a renewal.
pub(crate) struct Slot(ArcSwapOption<Published>);

struct Published {
    copies: [AccessToken; COPIES],
    until: UnixTime,
}

impl Slot {
    pub(crate) fn empty() -> Self {
        Self(ArcSwapOption::empty())
    }

    /// The token, if it is fresh.
    pub(crate) fn fresh(&self, now: UnixTime) -> Option<AccessToken> {
        let published = self.0.load();
        let published = published.as_ref()?;
        (now < published.until).then(|| published.copies[MINE.with(|mine| *mine)].clone())
    }

    pub(crate) fn publish(&self, token: Option<(AccessToken, UnixTime)>) {
        self.0.store(token.map(|(token, until)| {
            let copy = |_| AccessToken::received(token.expose()).expect("the text of a token");
            let copies = array::from_fn(copy);
            Arc::new(Published { copies, until })
        }));
    }
}

/// What the model checker sees in place of `arc_swap`, whose own correctness is not the question.
#[cfg(coze_auth_model)]
mod plain {
    use std::sync::Arc;

    use crate::sync::{Mutex, locked};

    pub(super) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

    impl<T> ArcSwapOption<T> {
        pub(super) fn empty() -> Self {
            Self(Mutex::new(None))
        }

        pub(super) fn load(&self) -> Option<Arc<T>> {
            locked(&self.0).clone()
        }

        pub(super) fn store(&self, value: Option<Arc<T>>) {
            *locked(&self.0) = value;
        }
    }
}

#[cfg(all(test, not(coze_auth_model)))]
mod tests {
    use super::*;

    #[test]
    fn every_thread_reads_what_was_published_until_its_end() {
        let (slot, until) = (Slot::empty(), UnixTime::from_secs(9));
        let read = |now| slot.fresh(UnixTime::from_secs(now));
        slot.publish(Some((AccessToken::new("one").unwrap(), until)));
        std::thread::scope(|scope| {
            for _ in 0..=COPIES {
                scope.spawn(|| {
                    assert_eq!(read(8).unwrap().expose(), "one");
                    assert!(read(9).is_none());
                });
            }
        });
        slot.publish(None);
        assert!(read(8).is_none());
    }
}
