//! The two clocks of a flow, read by the driver and passed in by value.
//!
//! The core reads no clock. Expiry and JWT claims are about the calendar, so they use [`UnixTime`];
//! pauses and deadlines are about elapsed time and must survive a wall clock that is set back, so
//! they use [`SteadyTime`].

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment on the calendar: time since 1970-01-01T00:00:00Z.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use coze_auth_core::UnixTime;
///
/// let end = UnixTime::from_secs(1_790_000_900);
/// assert_eq!(UnixTime::from_secs(1_790_000_000).until(end), Duration::from_secs(900));
/// let now = UnixTime::from(SystemTime::now());
/// assert_eq!(now.plus(Duration::from_secs(5)).until(now), Duration::ZERO); // it has passed
/// ```
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct UnixTime(Duration);

impl UnixTime {
    /// From whole seconds since the Unix epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// From the time since the Unix epoch.
    pub const fn from_duration(since_epoch: Duration) -> Self {
        Self(since_epoch)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// How long from this moment until `later`; zero if that has passed.
    pub const fn until(self, later: Self) -> Duration {
        later.0.saturating_sub(self.0)
    }

    /// This moment, moved into the future.
    #[must_use]
    pub const fn plus(self, pause: Duration) -> Self {
        Self(self.0.saturating_add(pause))
    }

    /// This moment, moved into the past; the epoch at the furthest.
    #[must_use]
    pub const fn minus(self, pause: Duration) -> Self {
        Self(self.0.saturating_sub(pause))
    }
}

impl From<SystemTime> for UnixTime {
    /// A time before 1970 (a machine without a battery-backed clock) becomes the epoch.
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// How far this machine's clock is from a server's, by the `Date` of its answer (RFC 9110 §6.6.1).
///
/// Only a difference of more than a minute is told: a request takes its time, and no lifetime of Coze's is
/// that short.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClockSkew(i64);

impl ClockSkew {
    /// Up to this, both clocks count as the same.
    const UNTOLD: u64 = 60;

    pub(crate) fn between(ours: UnixTime, theirs: UnixTime) -> Option<Self> {
        let (ours, theirs) = (ours.as_secs(), theirs.as_secs());
        let told = ours.abs_diff(theirs) > Self::UNTOLD;
        told.then(|| Self(ours.wrapping_sub(theirs).cast_signed()))
    }

    /// By how many seconds this machine's clock is ahead of the server's; negative if it is behind.
    pub const fn as_secs(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ClockSkew {
    /// Such as "this machine's clock is 3600 s ahead of the server's".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (by, side) = (
            self.0.unsigned_abs(),
            if self.0 > 0 { "ahead of" } else { "behind" },
        );
        write!(f, "this machine's clock is {by} s {side} the server's")
    }
}

/// A reading of a clock that never steps back. Only differences mean anything.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use coze_auth_core::SteadyTime;
///
/// let start = Instant::now(); // once in a process
/// let before = SteadyTime::from_duration(start.elapsed());
/// assert_eq!(before.until(before.plus(Duration::from_secs(5))), Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SteadyTime(Duration);

impl SteadyTime {
    /// From the time since any fixed start, such as the start of the process.
    pub const fn from_duration(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// How long from this moment until `later`; zero if that has passed.
    pub const fn until(self, later: Self) -> Duration {
        later.0.saturating_sub(self.0)
    }

    /// This moment, moved into the future.
    #[must_use]
    pub const fn plus(self, pause: Duration) -> Self {
        Self(self.0.saturating_add(pause))
    }
}

/// Both clocks, read together by the driver just before it talks to a flow.
///
/// ```
/// use std::time::{Instant, SystemTime};
///
/// use coze_auth_core::{Now, SteadyTime};
///
/// let start = Instant::now(); // once in a process
/// let now = || Now {
///     unix: SystemTime::now().into(),
///     steady: SteadyTime::from_duration(start.elapsed()),
/// };
/// assert!(now().steady <= now().steady);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs)] // a driver builds it; there are two clocks and no third
pub struct Now {
    /// The calendar.
    pub unix: UnixTime,
    /// The clock that never steps back.
    pub steady: SteadyTime,
}
