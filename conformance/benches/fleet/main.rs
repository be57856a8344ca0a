//! What a fleet pays for its Redis, beside the file store and beside a plain `GET`: `just bench` prints each figure with its goal.

#![allow(missing_docs)]

mod away;
#[allow(dead_code)] // of the two clocks one is used
#[path = "../../tests/subjects/clocks.rs"]
mod clocks;
#[allow(dead_code)] // nobody shuffles here
#[path = "../../tests/common/dice.rs"]
mod dice;
mod herd;
#[path = "../../tests/common/redis.rs"]
mod redis;
mod single;

use std::process::ExitCode;

/// A figure, and whether it is what it should be.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) figure: String,
    /// None if it only stands beside others.
    pub(crate) goal: Option<(String, bool)>,
}

pub(crate) fn beside(what: &str, figure: String) -> Row {
    Row {
        what: what.to_owned(),
        figure,
        goal: None,
    }
}

/// What the rows below it are about.
pub(crate) fn title(what: &str) -> Row {
    beside(what, String::new())
}

pub(crate) fn row(what: &str, figure: String, goal: &str, is_met: bool) -> Row {
    Row {
        what: what.to_owned(),
        figure,
        goal: Some((goal.to_owned(), is_met)),
    }
}

fn main() -> ExitCode {
    if std::env::var_os(herd::WORKER).is_some() {
        herd::work();
        return ExitCode::SUCCESS;
    }
    if let Some(why) = redis::missing("redis-server") {
        println!("skipped: what a fleet pays for its Redis: {why}");
        return ExitCode::SUCCESS;
    }
    let mut missed = false;
    println!("\nA fleet on Redis");
    for rows in [single::rows, herd::rows, away::rows] {
        for Row { what, figure, goal } in rows() {
            let goal = match goal {
                Some((goal, is_met)) => {
                    missed |= !is_met;
                    format!("{goal}: {}", if is_met { "met" } else { "MISSED" })
                }
                None => String::new(),
            };
            let line = format!("{what:<74} {figure:>16}  {goal}");
            println!("{}", line.trim_end());
        }
    }
    ExitCode::from(u8::from(missed))
}
