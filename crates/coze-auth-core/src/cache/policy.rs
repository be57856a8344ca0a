//! When a token is renewed.

use std::time::Duration;

use super::{DOUBTFUL, LONGEST_LIFE};
use crate::time::UnixTime;
use crate::token::TokenGrant;

/// How long before its end a token is renewed, if it lives ten times as long (protocol §8).
const EARLY: Duration = Duration::from_secs(60);

/// When a token is renewed, and how long a renewal may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefreshPolicy {
    early: Duration,
    lease: Duration,
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

    /// How long a renewal may take before another is begun beside it.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// When the grant's access token should be renewed.
    pub fn stale_from(&self, grant: &TokenGrant) -> UnixTime {
        let lifetime = grant.issued_at.until(grant.expires_at);
        grant.expires_at.minus(self.early_for(lifetime))
    }

    fn early_for(&self, lifetime: Duration) -> Duration {
        self.early.min(lifetime / 10)
    }

    /// How long a grant that has ended by our calendar is good, by the server's time, if its answer told that. A clock
    /// that is wrong then costs no more renewals than one that is right.
    pub(super) fn life_by_server(&self, grant: &TokenGrant, now: UnixTime) -> Duration {
        let ahead = grant
            .clock_skew
            .and_then(|skew| skew.as_secs().try_into().ok())
            .map_or(Duration::ZERO, Duration::from_secs);
        let lifetime = now.minus(ahead).until(grant.expires_at).min(LONGEST_LIFE);
        (lifetime - self.early_for(lifetime)).max(DOUBTFUL)
    }
}
