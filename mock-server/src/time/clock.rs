//! The clock, which a mock and its client can share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Maximum time of a clock, 9999-12-31T23:59:59Z, so that every time can be printed.
pub(crate) const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

/// A clock with Unix time (for expiry and JWT claims) and steady time (for pauses). Clones show the same time.
///
/// Unix time is given as the [`Duration`] since 1970-01-01T00:00:00Z. Steady time starts near
/// zero, never goes back and is moved by [`advance`](Self::advance), not by [`set`](Self::set).
///
/// ```
/// use std::time::Duration;
/// use coze_auth_mock::ClockHandle;
///
/// let clock = ClockHandle::frozen_at(Duration::from_secs(1_750_000_000));
/// clock.advance(Duration::from_secs(901));
/// assert_eq!(clock.unix_ms(), 1_750_000_901_000);
/// assert_eq!(clock.steady(), Duration::from_secs(901));
/// ```
#[derive(Clone, Debug)]
pub struct ClockHandle(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    mode: Mode,
    /// Steady time up to `since`.
    steady: Duration,
    since: Instant,
}

#[derive(Debug)]
enum Mode {
    Real { ahead_ms: i64 },
    Frozen { unix: Duration },
}

impl ClockHandle {
    /// Makes a clock with the machine's time. After it is set or advanced, it keeps its offset from the machine's time.
    #[must_use]
    pub fn real() -> Self {
        Self::new(Mode::Real { ahead_ms: 0 })
    }

    /// Makes a clock that stands at `unix` (since the epoch) until it is set or advanced.
    #[must_use]
    pub fn frozen_at(unix: Duration) -> Self {
        Self::new(Mode::Frozen {
            unix: unix.min(LAST_SECOND),
        })
    }

    fn new(mode: Mode) -> Self {
        Self(Arc::new(Mutex::new(State {
            mode,
            steady: Duration::ZERO,
            since: Instant::now(),
        })))
    }

    /// Makes an independent clock that shows the same Unix time now, and is frozen if this one is. Its steady time starts
    /// again.
    pub(crate) fn independent(&self) -> Self {
        let state = self.state();
        Self::new(match state.mode {
            Mode::Real { ahead_ms } => Mode::Real { ahead_ms },
            Mode::Frozen { unix } => Mode::Frozen { unix },
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unix time, since the epoch.
    #[must_use]
    pub fn unix(&self) -> Duration {
        self.state().unix()
    }

    /// Unix time in milliseconds.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        millis(self.unix())
    }

    /// Steady time: how long this clock has run, advances included.
    #[must_use]
    pub fn steady(&self) -> Duration {
        self.state().steady()
    }

    /// Sets Unix time (since the epoch), like the correction of a wall clock. Steady time does not change.
    pub fn set(&self, unix: Duration) {
        let unix = unix.min(LAST_SECOND);
        let mut state = self.state();
        state.mode = match state.mode {
            Mode::Frozen { .. } => Mode::Frozen { unix },
            Mode::Real { .. } => Mode::Real {
                ahead_ms: signed_ms(unix) - signed_ms(machine_time()),
            },
        };
    }

    /// Advances Unix time and steady time by `by`.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        let unix = state.unix().saturating_add(by).min(LAST_SECOND);
        state.steady = state.steady.saturating_add(by);
        state.mode = match state.mode {
            Mode::Frozen { .. } => Mode::Frozen { unix },
            Mode::Real { .. } => Mode::Real {
                ahead_ms: signed_ms(unix) - signed_ms(machine_time()),
            },
        };
    }

    /// Stops the clock at its present time.
    pub fn freeze(&self) {
        let mut state = self.state();
        let (unix, steady) = (state.unix(), state.steady());
        state.steady = steady;
        state.mode = Mode::Frozen { unix };
    }

    /// Returns to the machine's time. Steady time goes on from its present value.
    pub fn run_real(&self) {
        let mut state = self.state();
        state.steady = state.steady();
        state.since = Instant::now();
        state.mode = Mode::Real { ahead_ms: 0 };
    }

    /// Returns true if the clock moves only when it is set or advanced.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        matches!(self.state().mode, Mode::Frozen { .. })
    }
}

impl State {
    fn unix(&self) -> Duration {
        match self.mode {
            Mode::Frozen { unix } => unix,
            Mode::Real { ahead_ms: 0 } => machine_time(),
            Mode::Real { ahead_ms } => {
                let ms = signed_ms(machine_time()).saturating_add(ahead_ms).max(0);
                Duration::from_millis(ms.unsigned_abs()).min(LAST_SECOND)
            }
        }
    }

    fn steady(&self) -> Duration {
        match self.mode {
            Mode::Frozen { .. } => self.steady,
            Mode::Real { .. } => self.steady.saturating_add(self.since.elapsed()),
        }
    }
}

fn machine_time() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .min(LAST_SECOND)
}

/// Milliseconds of a time up to `LAST_SECOND`, which fits both integer types.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn signed_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_when_told() {
        let clock = ClockHandle::frozen_at(Duration::from_secs(100));
        let twin = clock.clone();
        twin.advance(Duration::from_millis(1500));
        assert_eq!(clock.unix_ms(), 101_500);
        assert_eq!(clock.steady(), Duration::from_millis(1500));
        clock.set(Duration::from_secs(50));
        assert_eq!(clock.unix_ms(), 50_000);
        assert_eq!(
            clock.steady(),
            Duration::from_millis(1500),
            "set leaves steady time"
        );
    }

    #[test]
    fn a_real_clock_keeps_its_distance() {
        let clock = ClockHandle::real();
        let hour = Duration::from_secs(3600);
        clock.advance(hour);
        assert!(clock.unix() >= machine_time() + hour - Duration::from_millis(1));
        assert!(clock.steady() >= hour);
        clock.run_real();
        assert!(clock.unix() <= machine_time());
        assert!(clock.steady() >= hour, "steady time never goes back");
    }

    #[test]
    fn no_time_is_too_far() {
        for clock in [ClockHandle::real(), ClockHandle::frozen_at(Duration::MAX)] {
            clock.advance(Duration::MAX);
            clock.advance(Duration::MAX);
            assert!(clock.unix() <= LAST_SECOND);
            clock.freeze();
            assert!(clock.is_frozen());
            assert_eq!(clock.unix(), clock.unix());
        }
    }
}
