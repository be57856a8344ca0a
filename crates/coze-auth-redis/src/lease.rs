//! What a holder and a waiter decide, without IO or a clock of their own: times are handed in, as what has passed by a steady
//! clock of this machine. The server's clock decides when a lease ends there, and may leap.

use std::time::Duration;

/// The longest lease that any version of this store grants. One with more time left was taken before the server's clock
/// was set back.
pub(crate) const LONGEST_LEASE: Duration = Duration::from_secs(60);
/// The shortest.
pub(crate) const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// Somebody else has the lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Busy {
    pub(crate) fence: u64,
    /// When it ends, by the server's clock, in milliseconds. An extension changes it.
    pub(crate) until: u64,
    /// How much of it is left, by the server's clock.
    pub(crate) left: Duration,
    /// For how long it was granted.
    pub(crate) length: Duration,
}

/// One who waits for a lease.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    /// The lease as it was seen first, and when.
    seen: Option<(Busy, Duration)>,
    is_overdue: bool,
}

impl Waiter {
    /// Notes that somebody has it. Gives the time after which it is to be asked for again at the latest.
    pub(crate) fn busy(&mut self, busy: Busy, now: Duration) -> Duration {
        let is_same = |seen: &Busy| (seen.fence, seen.until) == (busy.fence, busy.until);
        let since = match self.seen {
            Some((seen, since)) if is_same(&seen) => since,
            _ => now,
        };
        self.seen = Some((busy, since));
        let rest = longest(&busy).saturating_sub(now.saturating_sub(since));
        self.is_overdue = rest.is_zero();
        busy.left.min(rest)
    }

    /// The end of a lease that is over by our own clock, though the server's says otherwise: it was looked at twice, so far apart that
    /// its holder would have extended it.
    pub(crate) fn overdue(&self) -> Option<u64> {
        let (seen, _) = self.seen?;
        self.is_overdue.then_some(seen.until)
    }
}

/// The longest that this lease can last without an extension.
fn longest(busy: &Busy) -> Duration {
    match busy.length.is_zero() {
        true => LONGEST_LEASE,
        false => busy.length.min(LONGEST_LEASE),
    }
}

/// One who has the lease, or had it.
#[derive(Debug)]
pub(crate) struct Holder {
    /// Until when it is ours, by our clock: counted from before it was asked for.
    until: Option<Duration>,
    /// It was over for a while, so another may have had it.
    has_lapsed: bool,
    length: Duration,
    pub(crate) fence: u64,
    /// The revision that it has read last, or saved.
    pub(crate) revision: u64,
}

impl Holder {
    pub(crate) fn new(length: Duration, fence: u64, revision: u64, asked: Duration) -> Self {
        Self {
            until: Some(asked + length),
            has_lapsed: false,
            length,
            fence,
            revision,
        }
    }

    /// After this one. A lease that was asked for anew and is the same may have been another's meanwhile, as it was before.
    pub(crate) fn after(mut self, before: &Self, asked: Duration) -> Self {
        self.has_lapsed = self.fence == before.fence && before.is_late(asked);
        self
    }

    /// Without the lease, which was refused.
    pub(crate) fn without(length: Duration, fence: u64, revision: u64) -> Self {
        Self {
            until: None,
            has_lapsed: false,
            length,
            fence,
            revision,
        }
    }

    /// Whether nobody else can have it, unless a clock has leapt.
    pub(crate) fn holds(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Whether another may have had it since.
    pub(crate) fn is_late(&self, now: Duration) -> bool {
        self.has_lapsed || !self.holds(now)
    }

    /// How long to wait before it is extended: a third of the lease.
    pub(crate) fn pause(&self) -> Duration {
        self.length / 3
    }

    /// It was extended, asked for at this time.
    pub(crate) fn extended(&mut self, asked: Duration) {
        if let Some(until) = &mut self.until {
            self.has_lapsed |= asked >= *until;
            *until = asked + self.length;
        }
    }

    /// Somebody else has it, or it was given back.
    pub(crate) fn ended(&mut self) {
        self.until = None;
    }

    /// The revision of the next save. Above the one that it replaces, and above all that this process has seen; the fence is above
    /// what any holder before can have written.
    pub(crate) fn next_revision(&self, known: u64) -> u64 {
        (self.revision + 1).max(self.fence).max(known + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn busy(until: u64, left: Duration) -> Busy {
        Busy {
            fence: 7,
            until,
            left,
            length: LEASE,
        }
    }

    #[test]
    fn a_lease_that_nobody_extends_is_over_after_its_length_by_our_clock() {
        let mut waiter = Waiter::default();
        // The server's clock was set back by an hour.
        let hour = at(3600);
        assert_eq!(waiter.busy(busy(1, hour), at(5)), LEASE);
        assert_eq!(waiter.busy(busy(1, hour), at(12)), at(3));
        assert_eq!(waiter.overdue(), None);
        assert_eq!(waiter.busy(busy(1, hour), at(15)), at(0));
        assert_eq!(waiter.overdue(), Some(1));
    }

    #[test]
    fn a_lease_that_is_extended_is_not_over() {
        let mut waiter = Waiter::default();
        waiter.busy(busy(1, at(9)), at(0));
        // However long nobody looked.
        assert_eq!(waiter.overdue(), None);
        waiter.busy(busy(4, at(9)), at(50));
        assert_eq!(waiter.overdue(), None);
        waiter.busy(busy(4, at(9)), at(59));
        assert_eq!(waiter.overdue(), None);
        waiter.busy(busy(4, at(9)), at(60));
        assert_eq!(waiter.overdue(), Some(4));
        // Another has it.
        let other = Busy {
            fence: 8,
            ..busy(4, at(9))
        };
        waiter.busy(other, at(60));
        assert_eq!(waiter.overdue(), None);
    }

    #[test]
    fn a_lease_of_an_unknown_or_absurd_length_is_waited_for_as_the_longest() {
        for length in [at(0), at(100_000)] {
            let mut waiter = Waiter::default();
            let lease = Busy {
                length,
                ..busy(1, at(100_000))
            };
            assert_eq!(waiter.busy(lease, at(0)), LONGEST_LEASE);
            assert_eq!(waiter.busy(lease, at(59)), at(1));
            assert_eq!(waiter.overdue(), None);
            waiter.busy(lease, at(60));
            assert_eq!(waiter.overdue(), Some(1));
        }
    }

    #[test]
    fn a_holder_counts_from_before_it_asked() {
        let mut holder = Holder::new(LEASE, 20, 5, at(100));
        assert!(holder.holds(at(109)) && !holder.holds(at(110)));
        holder.extended(at(103));
        assert!(holder.holds(at(112)) && !holder.holds(at(113)));
        assert!(!holder.is_late(at(112)) && holder.is_late(at(113)));
        holder.extended(at(113));
        assert!(holder.holds(at(114)) && holder.is_late(at(114)));
        let again = |fence, asked| {
            let asked = at(asked);
            let again = Holder::new(LEASE, fence, 5, asked).after(&holder, asked);
            again.is_late(asked)
        };
        assert!(again(20, 114) && !again(21, 114), "late before");
        holder.ended();
        holder.extended(at(104));
        assert!(!holder.holds(at(104)), "given back");
        assert!(!Holder::without(LEASE, 20, 5).holds(at(0)));
    }

    #[test]
    fn a_revision_is_above_all_that_was_there() {
        assert_eq!(Holder::new(LEASE, 20, 5, at(0)).next_revision(3), 20);
        assert_eq!(Holder::new(LEASE, 20, 30, at(0)).next_revision(3), 31);
        assert_eq!(Holder::new(LEASE, 20, 5, at(0)).next_revision(40), 41);
    }
}
