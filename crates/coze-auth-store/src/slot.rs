//! The fresh token, where all can read it without waiting for anyone.

use std::sync::Arc;

use coze_auth_core::{AccessToken, UnixTime};

#[cfg(coze_auth_model)]
use self::plain::ArcSwapOption;
#[cfg(not(coze_auth_model))]
use arc_swap::ArcSwapOption;

/// Read by every call, written once a renewal.
pub(crate) struct Slot(ArcSwapOption<Published>);

struct Published {
    token: AccessToken,
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
        (now < published.until).then(|| published.token.clone())
    }

    pub(crate) fn publish(&self, token: Option<(AccessToken, UnixTime)>) {
        self.0
            .store(token.map(|(token, until)| Arc::new(Published { token, until })));
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
