//! The fresh token, where all can read it without waiting for anyone.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use coze_auth_core::cache::Validity;
use coze_auth_core::{AccessToken, IssuedToken, UnixTime};

#[cfg(coze_auth_model)]
use self::plain::ArcSwapOption;
#[cfg(not(coze_auth_model))]
use arc_swap::ArcSwapOption;

/// A clone is a count, and a count that two cores write goes back and forth between them: 9 ns a call became 22 to
/// 40 at two threads, and stay 9 where threads clone copies of their own. A copy of the text a call took 70.
pub(crate) const COPIES: usize = 16;

static THREADS: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    /// Which copy is this thread's.
    static MINE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % COPIES;
}

/// The one of so many copies that is this thread's.
pub(crate) fn of_this_thread<T>(copies: &[T; COPIES]) -> &T {
    &copies[MINE.with(|mine| *mine)]
}

/// Read by every call, written once a renewal.
pub(crate) struct Slot {
    published: ArcSwapOption<Published>,
    /// When a token was last asked for, in seconds of the calendar; zero if it never was. A second is noted once, so that
    /// callers do not write to one place.
    used: AtomicU64,
    is_hot: bool,
}

struct Published {
    token: Token,
    validity: Validity,
}

enum Token {
    Hot(Box<[AccessToken; COPIES]>),
    Lean(AccessToken),
}

impl Slot {
    /// For a source that many threads ask at once.
    pub(crate) fn hot() -> Self {
        Self::of(true)
    }

    /// For one of many sources, each of which is asked now and then: the copies would be most of what it weighs. It
    /// notes when a fresh token is asked for, since what is asked for the longest ago is evicted.
    pub(crate) fn lean() -> Self {
        Self::of(false)
    }

    fn of(is_hot: bool) -> Self {
        Self {
            published: ArcSwapOption::empty(),
            used: AtomicU64::new(0),
            is_hot,
        }
    }

    /// A copy of what is published, for a caller.
    fn hand_out(&self, published: &Published, now: UnixTime) -> AccessToken {
        match &published.token {
            Token::Hot(copies) => of_this_thread(copies).clone(),
            Token::Lean(token) => {
                self.note_use(now);
                token.clone()
            }
        }
    }

    /// A token is asked for.
    pub(crate) fn note_use(&self, now: UnixTime) {
        let now = now.as_secs();
        if self.used.load(Ordering::Relaxed) != now {
            self.used.store(now, Ordering::Relaxed);
        }
    }

    /// When a token was last asked for, to the second. A hot one does not note it of a fresh token.
    pub(crate) fn used(&self) -> Option<UnixTime> {
        let used = self.used.load(Ordering::Relaxed);
        (used > 0).then(|| UnixTime::from_secs(used))
    }

    /// The token, if it is fresh.
    pub(crate) fn fresh(&self, now: UnixTime) -> Option<AccessToken> {
        let published = self.published.load();
        let published = published.as_ref()?;
        let is_fresh = published.validity.is_fresh(now);
        is_fresh.then(|| self.hand_out(published, now))
    }

    /// The token and its end, if it is fresh and lasts at least so long.
    pub(crate) fn lasting(&self, at_least: Duration, now: UnixTime) -> Option<IssuedToken> {
        let published = self.published.load();
        let published = published.as_ref()?;
        let validity = &published.validity;
        let serves = validity.is_fresh(now) && validity.lasts(at_least, now);
        serves.then(|| validity.of(self.hand_out(published, now)))
    }

    /// Until when its token is fresh; none if there is none.
    pub(crate) fn fresh_until(&self) -> Option<UnixTime> {
        let published = self.published.load();
        Some(published.as_ref()?.validity.stale_from())
    }

    pub(crate) fn publish(&self, token: Option<(AccessToken, Validity)>) {
        self.published.store(token.map(|(token, validity)| {
            let copy =
                |_: usize| AccessToken::received(token.expose()).expect("the text of a token");
            let token = match self.is_hot {
                true => Token::Hot(Box::new(array::from_fn(copy))),
                false => Token::Lean(token),
            };
            Arc::new(Published { token, validity })
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
    use coze_auth_core::TokenGrant;
    use coze_auth_core::cache::RefreshPolicy;

    use super::*;

    /// A token that is issued now and fresh for 90 s.
    fn lives_a_hundred_seconds(token: &str) -> (AccessToken, Validity) {
        let grant = format!(
            r#"{{"access_token":"{token}","refresh_token":"r","issued_at":1000,"expires_at":1100}}"#
        );
        let grant = TokenGrant::from_secret_json(&grant).unwrap();
        let validity = RefreshPolicy::new(Duration::ZERO).validity(&grant);
        (grant.access_token, validity)
    }

    #[test]
    fn every_thread_reads_what_was_published_until_its_end() {
        for slot in [Slot::hot(), Slot::lean()] {
            let read = |now| slot.fresh(UnixTime::from_secs(now));
            slot.publish(Some(lives_a_hundred_seconds("one")));
            std::thread::scope(|scope| {
                for _ in 0..=COPIES {
                    scope.spawn(|| {
                        assert_eq!(read(1_089).unwrap().expose(), "one");
                        assert!(read(1_090).is_none());
                    });
                }
            });
            assert_eq!(slot.fresh_until(), Some(UnixTime::from_secs(1_090)));
            slot.publish(None);
            assert!(read(1_089).is_none() && slot.fresh_until().is_none());
        }
    }

    #[test]
    fn a_token_that_does_not_last_so_long_is_not_read() {
        let slot = Slot::hot();
        slot.publish(Some(lives_a_hundred_seconds("one")));
        let read = |at_least, now| {
            let at_least = Duration::from_secs(at_least);
            slot.lasting(at_least, UnixTime::from_secs(now))
        };
        let token = read(50, 1_050).unwrap();
        assert_eq!(token.access_token.expose(), "one");
        assert_eq!(token.expires_at, Some(UnixTime::from_secs(1_100)));
        assert!(read(51, 1_050).is_none());
        // It lasts, and is to be renewed.
        assert!(read(10, 1_090).is_none());
    }
}
