//! When a token is renewed.

use std::time::Duration;

use super::{DOUBTFUL, LONGEST_LIFE};
use crate::access_token::AccessToken;
use crate::time::UnixTime;
use crate::token::{IssuedToken, TokenGrant};

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

    /// How long the grant's access token serves.
    pub fn validity(&self, grant: &TokenGrant) -> Validity {
        Validity {
            issued_at: grant.issued_at,
            stale_from: self.stale_from(grant),
            expires_at: Some(grant.expires_at),
        }
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

/// How long a token serves, by the calendar: for who holds a token without the cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    issued_at: UnixTime,
    stale_from: UnixTime,
    expires_at: Option<UnixTime>,
}

impl Validity {
    /// Of a token of Coze's console, which is never renewed and whose end is not known.
    pub const fn unknown() -> Self {
        Self {
            issued_at: UnixTime::from_secs(0),
            stale_from: UnixTime::from_secs(u64::MAX),
            expires_at: None,
        }
    }

    /// This token with its end, if that is known.
    pub fn of(&self, access_token: AccessToken) -> IssuedToken {
        IssuedToken {
            access_token,
            expires_at: self.expires_at,
        }
    }

    /// When it should be renewed.
    pub fn stale_from(&self) -> UnixTime {
        self.stale_from
    }

    /// Returns true if it need not be renewed yet.
    pub fn is_fresh(&self, now: UnixTime) -> bool {
        now < self.stale_from
    }

    /// Returns true if the token is valid for at least so long, or if its end is not known. More than a new token is
    /// fresh for (its life without the last minute, or the last tenth of a short one) counts as that: a renewal
    /// would not bring more, and a caller that asks for an hour where tokens live a quarter of one would renew at each call.
    pub fn lasts(&self, at_least: Duration, now: UnixTime) -> bool {
        let most = self.issued_at.until(self.stale_from);
        let lasts = |end| now.until(end) >= at_least.min(most);
        self.expires_at.is_none_or(lasts)
    }
}
