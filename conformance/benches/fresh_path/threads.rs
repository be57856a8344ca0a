//! Threads that do the same at the same time, and what it costs them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// Of one call, in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

/// Lets all go when all are there, without a lock that would show up in what is measured.
pub(crate) struct Start {
    missing: AtomicUsize,
}

impl Start {
    pub(crate) fn of(threads: usize) -> Self {
        Self {
            missing: AtomicUsize::new(threads),
        }
    }

    pub(crate) fn wait(&self) {
        self.missing.fetch_sub(1, Ordering::AcqRel);
        while self.missing.load(Ordering::Acquire) > 0 {
            thread::yield_now();
        }
    }
}

/// The mean over so many threads, each of which makes so many calls.
pub(crate) fn together(threads: usize, calls: u32, work: &(dyn Fn(u32) + Sync)) -> Cost {
    let start = Start::of(threads);
    let each = || {
        start.wait();
        let (cpu, wall) = (cpu_time(), Instant::now());
        work(calls);
        let wall = wall.elapsed().as_nanos() as f64;
        (wall, cpu_time() - cpu)
    };
    let (wall, cpu) = thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
        all.into_iter()
            .map(|thread| thread.join().expect("it ends"))
            .fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    let calls = f64::from(calls) * threads as f64;
    Cost {
        wall: wall / calls,
        cpu: cpu / calls,
    }
}

/// The CPU time of this thread in nanoseconds; not a number where the system does not tell it as Linux does.
fn cpu_time() -> f64 {
    // The scheduler keeps the account when it is called, and else once a tick.
    thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or(f64::NAN)
}
