//! The two clocks of a flow, read by the driver and passed in by value.
//!
//! The core reads no clock. Expiry and JWT claims are about the calendar, so they use [`UnixTime`];
//! pauses and deadlines are about elapsed time and must survive a wall clock that is set back, so
//! they use [`SteadyTime`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment on the calendar: time since 1970-01-01T00:00:00Z.
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

/// A reading of a clock that never steps back. Only differences mean anything.
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs)] // a driver builds it; there are two clocks and no third
pub struct Now {
    /// The calendar.
    pub unix: UnixTime,
    /// The clock that never steps back.
    pub steady: SteadyTime,
}
