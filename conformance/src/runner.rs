//! All cases over all clients.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::baseline::Baseline;
use crate::case::Case;
use crate::client::{Broken, Client};
use crate::clock::locked;
use crate::harness::Harness;
use crate::result::{CaseResult, Run, Score, Verdict};
use crate::suite::Requirements;

type Make<'a> = Box<dyn Fn() -> Result<Box<dyn Client>, Broken> + Send + Sync + 'a>;

/// One client to run, and how many of it at once.
pub struct Plan<'a> {
    /// What reports call it.
    pub name: String,
    make: Make<'a>,
    workers: usize,
}

impl fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<'a> Plan<'a> {
    /// A client that `make` makes anew for each of `workers` threads.
    pub fn new(
        name: impl Into<String>,
        workers: usize,
        make: impl Fn() -> Result<Box<dyn Client>, Broken> + Send + Sync + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            make: Box::new(make),
            workers: workers.max(1),
        }
    }
}

/// Runs every case over every client; the clients one beside the other, each in worlds of its own.
#[must_use]
pub fn run(
    harness: &Harness,
    plans: &[Plan<'_>],
    cases: &[Case],
    baseline: &Baseline,
    requirements: Option<&Requirements>,
) -> Vec<Run> {
    std::thread::scope(|scope| {
        let running: Vec<_> = plans
            .iter()
            .map(|plan| scope.spawn(|| run_one(harness, plan, cases, baseline)))
            .collect();
        let runs = running.into_iter().map(|run| match run.join() {
            Ok(mut run) => {
                run.score = requirements.map(|set| Score::of(set, &run.cases));
                run
            }
            Err(panic) => std::panic::resume_unwind(panic),
        });
        runs.collect()
    })
}

fn run_one(harness: &Harness, plan: &Plan<'_>, cases: &[Case], baseline: &Baseline) -> Run {
    let mut run = Run {
        name: plan.name.clone(),
        about: Default::default(),
        cases: Vec::new(),
        unused: Vec::new(),
        score: None,
        incomplete: None,
    };
    let first = match (plan.make)() {
        Ok(first) => first,
        Err(broken) => {
            run.incomplete = Some(broken.to_string());
            return run;
        }
    };
    run.about = first.about().clone();
    let queue: Mutex<VecDeque<(usize, &Case)>> = Mutex::new(cases.iter().enumerate().collect());
    let done: Mutex<Vec<(usize, CaseResult)>> = Mutex::default();
    let trouble: Mutex<Option<String>> = Mutex::default();
    let work = |mut client: Box<dyn Client>| {
        loop {
            let next = locked(&queue).pop_front();
            let Some((index, case)) = next else { return };
            let result = harness.run(client.as_mut(), case);
            locked(&done).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        let work = &work;
        scope.spawn(move || work(first));
        for _ in 1..plan.workers.min(harness.most_workers()) {
            match (plan.make)() {
                Ok(client) => drop(scope.spawn(move || work(client))),
                Err(broken) => *locked(&trouble) = Some(broken.to_string()),
            }
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    run.cases = done.into_iter().map(|(_, result)| result).collect();
    run.incomplete = trouble.into_inner().unwrap_or_else(PoisonError::into_inner);
    baseline.apply(&mut run);
    run
}

/// Marks verdicts that differ in a later run.
pub(crate) fn compare(first: &mut [Run], later: &[Run]) {
    for (run, other) in first.iter_mut().zip(later) {
        for (case, again) in run.cases.iter_mut().zip(&other.cases) {
            for (check, again) in case.checks.iter_mut().zip(&again.checks) {
                if check.verdict != again.verdict && check.verdict != Verdict::Flaky {
                    let why = format!("{}, then {}", check.verdict.name(), again.verdict.name());
                    check.why = Some(why);
                    check.verdict = Verdict::Flaky;
                }
            }
        }
    }
}
