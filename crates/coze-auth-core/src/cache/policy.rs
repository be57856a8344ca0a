//! When a token is renewed.

use std::time::Duration;

use crate::time::UnixTime;
use crate::token::TokenGrant;

/// How long before its end a token is renewed, if it lives ten times as long (protocol §8).
const EARLY: Duration = Duration::from_secs(60);

/// When a token is renewed, and how long a renewal may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefreshPolicy {
    early: Duration,
    pub(super) lease: Duration,
}

impl RefreshPolicy {
    /// `lease` is how long a renewal may take before another is begun beside it. It must be longer than all of
    /// the renewal's timeouts together, or a slow server is asked twice with one refresh token.
    pub fn new(lease: Duration) -> Self {
        Self {
            early: EARLY,
            lease,
        }
    }

    /// How long before its end a token is renewed, at most: a tenth of its life, if that is less. A minute
    /// unless said otherwise.
    #[must_use]
    pub fn early(mut self, early: Duration) -> Self {
        self.early = early;
        self
    }

    /// When the grant's access token should be renewed.
    pub fn stale_from(&self, grant: &TokenGrant) -> UnixTime {
        let lifetime = grant.issued_at.until(grant.expires_at);
        grant.expires_at.minus(self.early.min(lifetime / 10))
    }
}
