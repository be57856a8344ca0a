//! The last requests of a mock, printed when its test fails.

use std::fmt::Write as _;

use crate::journal::record::Record;
use crate::world::worlds::Worlds;

/// Maximum number of requests that are printed, of all worlds together.
const MOST: usize = 50;

/// Returns the last requests of each world, one a line, or none if the mock had no requests.
pub(crate) fn failure_report(worlds: &Worlds) -> Option<String> {
    let mut text = String::new();
    let mut left = MOST;
    let others = worlds.all().into_iter().map(|(_, world)| world);
    for world in std::iter::once(worlds.first()).chain(others) {
        // A test may panic while another thread holds the lock of the world, but not while its own thread holds it.
        let state = world.state();
        let entries = state.journal.iter();
        let shown = entries.len().min(left);
        if shown == 0 {
            continue;
        }
        left -= shown;
        let all = state.journal.newest();
        let base = world.base_url();
        let _ = writeln!(text, "the last {shown} of {all} requests to {base}:");
        for entry in entries.skip(state.journal.iter().len() - shown) {
            let _ = writeln!(text, "  {}", line(entry));
        }
    }
    (!text.is_empty()).then_some(text)
}

fn line(entry: &Record) -> String {
    let outcome = &entry.outcome;
    let mut line = format!("{} {} {}", entry.seq, entry.method, entry.endpoint);
    if let Some(grant) = entry.grant {
        let _ = write!(line, " {grant}");
    }
    let _ = write!(line, " {}", outcome.status);
    if let Some(error) = &outcome.error {
        let _ = write!(line, " {error}");
    }
    let _ = write!(
        line,
        " rule={} logid={}",
        outcome.rule.unwrap_or("-"),
        outcome.logid
    );
    if let Some(fault) = entry.fault {
        let _ = write!(line, " fault={fault}");
    }
    for leak in &entry.leaks {
        let _ = write!(line, " leak={}@{}", leak.kind, leak.place);
    }
    line
}
