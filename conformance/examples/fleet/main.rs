//! A fleet on one Redis, which loses processes and its Redis by `kill -9`: `just fleet`, and `just fleet 20` for twenty lives of a token.
//!
//! Twenty processes with eight tasks each keep a login and a token of a JWT app valid, on the mock's virtual clock. What they did is told by
//! the mock's journal and by what each process said, and the two must agree. The same seed strikes a second fleet, whose Redis has Debian's
//! settings. `--break lease` and `--break save` plant a fault, which must turn it red.

mod account;
#[allow(dead_code)] // a worker needs the half of it
#[path = "../../tests/subjects/clocks.rs"]
mod clocks;
mod death;
#[allow(dead_code)] // the kills shuffle
#[path = "../../tests/common/dice.rs"]
mod dice;
mod lives;
mod process;
#[path = "../../tests/common/redis.rs"]
mod redis;
mod worker;

use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use crate::account::Account;
use crate::lives::{Engine, Plan, live};

/// What is asked for on the command line.
#[derive(clap::Parser)]
struct Arguments {
    /// How many lives of a token.
    #[arg(default_value_t = 200)]
    lives: u32,
    /// What is struck, and when.
    #[arg(long, default_value_t = 19)]
    seed: u64,
    /// A fault of the store.
    #[arg(long = "break", value_enum)]
    fault: Option<worker::Fault>,
}

fn main() -> ExitCode {
    if std::env::var_os(worker::NAME).is_some() {
        worker::run();
        return ExitCode::SUCCESS;
    }
    let Arguments { lives, seed, fault } = clap::Parser::parse();
    if let Some(why) = redis::missing("redis-server") {
        println!("skipped: {why}");
        return ExitCode::SUCCESS;
    }
    let plan = |engine| Plan {
        engine,
        lives,
        seed,
        fault,
    };
    println!(
        "{} processes, {} tasks each, {lives} lives of a token, seed {seed}",
        lives::PROCESSES,
        worker::TASKS
    );
    let began = Instant::now();
    // Much of it is waiting for a lease of somebody who died, so the three have the machine together.
    let (ours, debian, rest) = thread::scope(|scope| {
        let debian = scope.spawn(|| fault.is_none().then(|| live(&plan(Engine::Debian))));
        let rest = scope.spawn(|| fault.is_none().then(death::rest_of_a_lease));
        let ours = live(&plan(Engine::Durable));
        let (debian, rest) = (debian.join(), rest.join());
        (ours, debian.expect("a run"), rest.expect("a row"))
    });
    let accounts = [Some(ours), debian].map(|log| log.as_ref().map(Account::of));
    let [Some(ours), debian] = accounts else {
        unreachable!("it was run");
    };
    print!("{}", account::table(&ours, debian.as_ref()));
    let mut wrong = ours.wrong();
    if let Some(rest) = rest {
        let row = "after a holder's death, lease of 10 s: the next renewal came after";
        println!("{row} {:.1} s (at most 15)", rest.as_secs_f64());
        if rest > death::GOAL {
            wrong.push("the next renewal came late".to_owned());
        }
    }
    println!("in {:.0} s", began.elapsed().as_secs_f64());
    for what in &wrong {
        println!("WRONG: {what}");
    }
    ExitCode::from(u8::from(!wrong.is_empty()))
}
