//! Mutants of the reference client: `just mutants`, or `just mutants refresh` for those with that in their name.
//!
//! Each has one thing wrong, in what it sends, how it reads answers, how it waits, what it keeps or what it tells.
//! A `must` check that no mutant turns red has not been seen to fail; a mutant that turns no check red is a defect
//! that the suite does not see. Either is a failure.

use std::collections::{BTreeSet, VecDeque};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use coze_auth_conformance::baseline::Baseline;
use coze_auth_conformance::case::Level;
use coze_auth_conformance::result::{Run, Verdict};
use coze_auth_conformance::{Case, Client, Harness, Plan, cases, run};

mod claims;
mod client;
#[allow(dead_code)] // of the four transports one is mutated
#[path = "../../tests/subjects/clocks.rs"]
mod clocks;
mod mutant;
mod source;
mod spoiled;
#[allow(dead_code, unused_imports)]
#[path = "../../tests/subjects/mod.rs"]
mod subjects;
mod table;

use client::Mutated;
use mutant::Mutant;
use spoiled::locked;

/// Some cases wait in real time: meanwhile another mutant has the machine.
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let all: &'static [Mutant] = Box::leak(table::all().into_boxed_slice());
    let fits = |mutant: &Mutant, name: &String| mutant.name.contains(name);
    if let Some(none) = wanted
        .iter()
        .find(|name| !all.iter().any(|mutant| fits(mutant, name)))
    {
        println!("no mutant has {none} in its name");
        return ExitCode::FAILURE;
    }
    let harness = Harness::new();
    let right: &'static Mutant = Box::leak(Box::new(Mutant::right()));
    let red = failed(&over(&harness, right));
    if !red.is_empty() {
        println!("red without a mutant: {red:#?}");
        return ExitCode::FAILURE;
    }
    let mutants = all
        .iter()
        .filter(|mutant| wanted.is_empty() || wanted.iter().any(|name| fits(mutant, name)));
    let queue: Mutex<VecDeque<&'static Mutant>> = Mutex::new(mutants.collect());
    let done: Mutex<Vec<(&str, Vec<String>)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = locked(&queue).pop_front();
                    let Some(mutant) = next else { return };
                    let red = failed(&over(&harness, mutant));
                    locked(&done).push((&mutant.name, red));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable();
    for (name, red) in &done {
        println!("{:4} red  {name}", red.len());
        if !wanted.is_empty() {
            red.iter().for_each(|id| println!("          {id}"));
        }
    }
    match wanted.is_empty() {
        true => tell(&done),
        false => ExitCode::SUCCESS,
    }
}

/// What all mutants came to.
fn tell(done: &[(&str, Vec<String>)]) -> ExitCode {
    let killed: BTreeSet<&String> = done.iter().flat_map(|(_, red)| red).collect();
    let alive: Vec<&str> = done
        .iter()
        .filter(|(_, red)| red.is_empty())
        .map(|(name, _)| *name)
        .collect();
    let all = cases().unwrap_or_else(|problem| panic!("{problem}"));
    let musts = all.iter().flat_map(|case| {
        let musts = case
            .checks
            .iter()
            .filter(|check| check.level == Level::Must);
        musts.map(move |check| format!("{}#{}", case.id, check.id))
    });
    let musts: Vec<String> = musts.collect();
    let blind: Vec<&String> = musts.iter().filter(|id| !killed.contains(id)).collect();
    for id in &blind {
        println!("no mutant turns it red: {id}");
    }
    for name in &alive {
        println!("alive: {name}");
    }
    println!(
        "mutants killed: {} of {}; must checks that a mutant turns red: {} of {}",
        done.len() - alive.len(),
        done.len(),
        musts.len() - blind.len(),
        musts.len(),
    );
    match alive.is_empty() && blind.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Runs the cases in which it could show.
fn over(harness: &Harness, mutant: &'static Mutant) -> Run {
    let all = cases().unwrap_or_else(|problem| panic!("{problem}"));
    let cases: Vec<Case> = all
        .iter()
        .filter(|case| mutant.shows_in(case))
        .cloned()
        .collect();
    let make = move || Ok(Box::new(Mutated::new(mutant)) as Box<dyn Client>);
    let plan = Plan::new(&*mutant.name, 2, make);
    let mut runs = run(harness, &[plan], &cases, &Baseline::default(), None);
    runs.pop().expect("one client")
}

/// The checks that a run failed, and not because it could not be made.
fn failed(run: &Run) -> Vec<String> {
    let red = run.checks().filter(|(_, check)| {
        if check.verdict == Verdict::HarnessError {
            println!("{}: {}: {:?}", run.name, check.id, check.why);
        }
        check.level != Level::Observe && check.verdict == Verdict::Fail
    });
    red.map(|(_, check)| check.id.clone()).collect()
}
