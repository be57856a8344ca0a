//! What blocks, in real time: a process that was stopped while it held a grant's lock, and a store that takes its
//! time to fail. Whoever asks for a token is told, and when. `STOPPED=all` (`just stopped`) adds the rows that take
//! longer than a change may wait for.
#![cfg(unix)]

mod caller;
mod failing;
mod holder;

use std::io::Write as _;
use std::thread;
use std::time::Duration;

/// One over each.
const ADAPTERS: [&str; 2] = ["reqwest", "ureq"];

/// What was measured, and what it should be.
struct Row {
    what: String,
    adapter: &'static str,
    /// Until the caller was told.
    after: Duration,
    /// When that should be: at the earliest, and at the latest.
    goal: [Duration; 2],
    /// What else is not as it should be.
    wrong: Option<String>,
}

impl Row {
    fn is_met(&self) -> bool {
        let [earliest, latest] = self.goal;
        self.wrong.is_none() && (earliest..=latest).contains(&self.after)
    }

    fn line(&self) -> String {
        let [earliest, latest] = self.goal.map(|goal| goal.as_secs());
        let met = if self.is_met() { "met" } else { "NOT MET" };
        let wrong = self.wrong.as_deref().unwrap_or_default();
        format!(
            "{:<50} {:<8} {:>6.1} s  {earliest:>3} to {latest:>3} s  {met} {wrong}\n",
            self.what,
            self.adapter,
            self.after.as_secs_f64(),
        )
    }
}

#[test]
fn who_asks_is_told_in_time() {
    let all = std::env::var("STOPPED").is_ok_and(|rows| rows == "all");
    let mut rows: Vec<Box<dyn FnOnce() -> Row + Send>> = Vec::new();
    for adapter in ADAPTERS {
        // Three timeouts and ten seconds: 13 s.
        rows.push(Box::new(move || {
            holder::row(adapter, Some(seconds(1)), [seconds(12), seconds(20)])
        }));
        for blocks in [1, 3, 5] {
            if all || blocks < 5 {
                rows.push(Box::new(move || failing::row(adapter, seconds(blocks))));
            }
        }
        if all {
            rows.push(Box::new(move || {
                holder::row(adapter, None, [seconds(95), seconds(110)])
            }));
        }
    }
    let rows: Vec<Row> = thread::scope(|scope| {
        let rows: Vec<_> = rows.into_iter().map(|row| scope.spawn(row)).collect();
        let rows = rows.into_iter();
        rows.map(|row| row.join().expect("a row")).collect()
    });
    let table: String = rows.iter().map(Row::line).collect();
    // Past the capture of `print!`: the figures are shown whether or not they are met.
    std::io::stdout()
        .write_all(format!("\n{table}").as_bytes())
        .expect("stdout");
    assert!(rows.iter().all(Row::is_met), "\n{table}");
}

/// No test, but the process that is stopped. It does nothing where nobody asked for it.
#[test]
fn worker() {
    holder::run();
}

fn seconds(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
