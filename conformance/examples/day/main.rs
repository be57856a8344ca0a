//! A day's life of the clients, in virtual time: `just day 7` has 1,000 users for 24 hours, and whatever seed 7 makes go wrong.
//!
//! Four machines with clocks of their own keep logins and tokens of a JWT app valid, over both adapters, a store of files and one in
//! memory. What each sends is watched between its source and its HTTP client, and held against what must never be. All happens in one
//! thread, one thing after the other, so a seed is always the same day: it says so with a digest. `--break` plants a fault, which must
//! turn it red.

mod book;
#[path = "../../tests/subjects/clocks.rs"]
mod clocks;
#[allow(dead_code)] // fractions are for others
#[path = "../../tests/common/dice.rs"]
mod dice;
mod life;
mod machine;
mod store;
#[cfg(test)]
mod tests;
mod wire;

use std::process::ExitCode;
use std::time::Instant;

/// What is asked for on the command line.
#[derive(Clone, Copy, Debug, clap::Parser)]
pub(crate) struct Arguments {
    /// What goes wrong, and when.
    #[arg(default_value_t = 19)]
    pub(crate) seed: u64,
    #[arg(long, default_value_t = 1_000)]
    pub(crate) users: usize,
    #[arg(long, default_value_t = 24)]
    pub(crate) hours: u64,
    /// A fault of a client.
    #[arg(long = "break", value_enum)]
    pub(crate) fault: Option<Plant>,
}

/// A fault of a client, which must be found.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Plant {
    /// Its calendar stands still, so that no token ever ends.
    Expiry,
    /// Its HTTP client sends once more what got no answer.
    Spent,
    /// It keeps each answer of the token endpoint: a day of 100 users shows it.
    Leak,
    /// A failure is forgotten, and with it the pause.
    Pause,
}

fn main() -> ExitCode {
    let arguments: Arguments = clap::Parser::parse();
    let began = Instant::now();
    let day = life::live(arguments);
    for what in &day.wrong {
        println!("WRONG: {what}");
    }
    // What is not the same again goes elsewhere.
    eprintln!(
        "{:.0} s; MB of its own after each hour: {}",
        began.elapsed().as_secs_f64(),
        day.memory()
    );
    println!("{}", day.figure());
    ExitCode::from(u8::from(!day.wrong.is_empty()))
}
