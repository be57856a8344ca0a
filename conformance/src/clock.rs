//! One clock for client and server.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use coze_auth_core::{Now, SteadyTime, UnixTime};
use coze_auth_mock::ClockHandle;

/// Where every case starts: 2025-06-15T15:06:40Z.
pub(crate) const START: Duration = Duration::from_secs(1_750_000_000);

/// So often a client may sleep in one operation. One whose sleeps let no time pass would sleep for ever.
const MOST_SLEEPS: usize = 10_000;

/// The clock of a case: it stands still until the client sleeps or the case lets time pass. The mock
/// server reads the same one. It remembers every sleep.
///
/// ```
/// use std::time::Duration;
///
/// use coze_auth_conformance::SharedClock;
///
/// let clock = SharedClock::new();
/// let before = clock.now();
/// clock.sleep(Duration::from_secs(3600)); // nobody waits
/// assert_eq!(before.steady.until(clock.now().steady), Duration::from_secs(3600));
/// assert_eq!(clock.sleeps(), [Duration::from_secs(3600)]);
/// ```
#[derive(Clone, Debug)]
pub struct SharedClock {
    handle: ClockHandle,
    sleeps: Arc<Mutex<Vec<Duration>>>,
    alarms: Arc<Mutex<Vec<(SteadyTime, Waker)>>>,
    /// Of the client's calendar alone: how far ahead it is, and how far behind.
    off: Arc<Mutex<(Duration, Duration)>>,
    watch: Arc<Mutex<Watch>>,
}

/// What happens while the client sleeps.
#[derive(Default)]
struct Watch {
    /// The steady time at which a client that still sleeps is given up.
    end: Option<Duration>,
    asleep: Option<Box<dyn FnMut(usize) -> bool + Send>>,
    slept: usize,
    abandoned: bool,
    cancelled: bool,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl SharedClock {
    /// A clock at the start of a case.
    #[allow(clippy::new_without_default)] // a clock is shared, and one made in passing is shared with nobody
    pub fn new() -> Self {
        Self::of(ClockHandle::frozen_at(START))
    }

    /// The machine's time, for a client or a server that no virtual time reaches: a sleep takes as long as it says.
    pub(crate) fn real() -> Self {
        Self::of(ClockHandle::real())
    }

    fn of(handle: ClockHandle) -> Self {
        Self {
            handle,
            sleeps: Arc::default(),
            alarms: Arc::default(),
            off: Arc::default(),
            watch: Arc::default(),
        }
    }

    /// Both clocks of the core.
    pub fn now(&self) -> Now {
        Now {
            unix: UnixTime::from_duration(self.unix()),
            steady: SteadyTime::from_duration(self.handle.steady()),
        }
    }

    /// The client's calendar, since the epoch.
    pub(crate) fn unix(&self) -> Duration {
        let (ahead, behind) = *locked(&self.off);
        (self.handle.unix() + ahead).saturating_sub(behind)
    }

    /// Sets the client's calendar ahead of the server's, as of a machine whose clock is wrong. Both steady clocks
    /// stay one.
    pub fn set_ahead(&self, by: Duration) {
        *locked(&self.off) = (by, Duration::ZERO);
    }

    /// The same, behind.
    pub(crate) fn set_behind(&self, by: Duration) {
        *locked(&self.off) = (Duration::ZERO, by);
    }

    /// What a client's sleep is here: the time passes at once, for both sides. Once the client has been given
    /// up no time passes, and the flow that it drives is over.
    pub fn sleep(&self, pause: Duration) {
        if self.begin_sleep(pause) {
            self.pass(pause);
        }
    }

    /// The time of a sleep.
    pub(crate) fn pass(&self, pause: Duration) {
        match self.handle.is_frozen() {
            true => self.advance(pause),
            false => std::thread::sleep(pause),
        }
    }

    /// Notes a sleep and lets happen what happens in it. False: the client is given up.
    pub(crate) fn begin_sleep(&self, pause: Duration) -> bool {
        let (number, asleep) = {
            let mut watch = locked(&self.watch);
            let past = self.handle.steady().saturating_add(pause);
            if watch
                .end
                .is_some_and(|end| past > end || watch.slept == MOST_SLEEPS)
            {
                watch.abandoned = true;
                return false;
            }
            watch.slept += 1;
            (watch.slept, watch.asleep.take())
        };
        locked(&self.sleeps).push(pause);
        // Without the lock: what happens may read this clock.
        if let Some(mut asleep) = asleep {
            let cancelled = asleep(number);
            let mut watch = locked(&self.watch);
            watch.cancelled |= cancelled;
            watch.asleep = Some(asleep);
        }
        true
    }

    /// Watches one operation: `asleep` is called in each of its sleeps with its number, from 1, and says whether
    /// the operation is cancelled then; a sleep that would end later than `limit` from now gives the client up.
    pub(crate) fn watch(
        &self,
        limit: Duration,
        asleep: impl FnMut(usize) -> bool + Send + 'static,
    ) {
        *locked(&self.watch) = Watch {
            end: Some(self.handle.steady().saturating_add(limit)),
            asleep: Some(Box::new(asleep)),
            ..Watch::default()
        };
    }

    pub(crate) fn unwatch(&self) {
        *locked(&self.watch) = Watch::default();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        locked(&self.watch).abandoned
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        locked(&self.watch).cancelled
    }

    /// Lets time pass without anyone sleeping.
    pub fn advance(&self, by: Duration) {
        self.handle.advance(by);
        let now = self.now().steady;
        let mut alarms = locked(&self.alarms);
        let due = alarms
            .extract_if(.., |(at, _)| *at <= now)
            .collect::<Vec<_>>();
        drop(alarms);
        for (_, waker) in due {
            waker.wake();
        }
    }

    /// Calls the waker when the steady clock has come to this moment; at once, if it has. For who waits for
    /// somebody else's work and, should that be lost, for this moment: such waiting lets no time pass.
    pub fn wake_at(&self, moment: SteadyTime, waker: &Waker) {
        let mut alarms = locked(&self.alarms);
        // Under the lock: an advance that comes now will see the alarm.
        if self.now().steady >= moment {
            drop(alarms);
            waker.wake_by_ref();
        } else if self.handle.is_frozen() {
            alarms.push((moment, waker.clone()));
        } else {
            let (clock, waker) = (self.clone(), waker.clone());
            std::thread::spawn(move || {
                while clock.now().steady < moment {
                    std::thread::sleep(Duration::from_millis(1));
                }
                waker.wake();
            });
        }
    }

    /// The sleeps so far.
    pub fn sleeps(&self) -> Vec<Duration> {
        locked(&self.sleeps).clone()
    }

    /// The mock's view of it.
    pub fn handle(&self) -> ClockHandle {
        self.handle.clone()
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::task::Wake;
    use std::time::Instant;

    use super::*;

    struct Told(Sender<Instant>);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(Instant::now());
        }
    }

    #[test]
    fn on_the_machines_time_who_sleeps_sleeps() {
        let pause = Duration::from_millis(20);
        for (clock, least) in [
            (SharedClock::new(), Duration::ZERO),
            (SharedClock::real(), pause),
        ] {
            let (before, started) = (clock.now().steady, Instant::now());
            clock.sleep(pause);
            assert!(clock.now().steady >= before.plus(pause));
            assert!(started.elapsed() >= least);
        }
    }

    #[test]
    fn on_the_machines_time_who_waits_is_woken() {
        let (clock, (tell, told)) = (SharedClock::real(), channel());
        let pause = Duration::from_millis(20);
        let (started, end) = (Instant::now(), clock.now().steady.plus(pause));
        clock.wake_at(end, &Waker::from(Arc::new(Told(tell))));
        let woken = told.recv_timeout(Duration::from_secs(10)).expect("woken");
        assert!(woken - started >= pause);
    }
}
