//! The cells as a page: a section for each fault, a row for the flows to which it does the same.

use std::fmt::Write as _;

use coze_auth_core::{ErrorKind, Retry};

use crate::adapters::ADAPTERS;
use crate::flows::{FLOWS, Flow, Run};
use crate::kinds::{KINDS, Kind};

/// What came of one flow, one fault and one adapter: the kind of the error, what it says of another try, and its words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cell {
    outcome: String,
    retry: String,
    words: String,
}

const NOTHING: &str = "—";

impl Cell {
    pub(crate) fn of(kind: &Kind, flow: Flow, run: &Run) -> Self {
        let what = || format!("{} ({}), {}", kind.kind, kind.which, flow.name());
        match &run.result {
            Ok(()) => Self {
                outcome: match run.fired {
                    0 => "success: not met".to_owned(),
                    _ => "success".to_owned(),
                },
                retry: NOTHING.to_owned(),
                words: NOTHING.to_owned(),
            },
            Err(error) => {
                assert!(run.fired > 0, "{}: without the fault: {error:?}", what());
                Self {
                    outcome: outcome(error.kind()),
                    retry: match error.retry() {
                        Retry::Never => "never".to_owned(),
                        Retry::After(pause) => format!("after {} s", pause.as_secs()),
                        Retry::MaybeSpent(pause) => format!("maybe spent, {} s", pause.as_secs()),
                        other => format!("{other:?}"),
                    },
                    words: plain(&error.to_string()),
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outcome.is_empty() || self.retry.is_empty() || self.words.is_empty()
    }
}

fn outcome(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::Wait(pause) => format!("`Wait({} s)`", pause.as_secs()),
        other => format!("`{other:?}`"),
    }
}

/// Without what differs from run to run: the address and the log id.
fn plain(words: &str) -> String {
    let words = match words.split_once(" [log id ") {
        Some((before, rest)) => {
            let after = rest.split_once(']').map_or("", |(_, after)| after);
            format!("{before} [log id …]{after}")
        }
        None => words.to_owned(),
    };
    let origin = regex::Regex::new("http://127.0.0.1:[0-9]+").expect("a pattern");
    origin
        .replace_all(&words, "https://api.coze.cn")
        .into_owned()
}

/// The cells in the order of faults, flows and adapters.
pub(crate) fn table(cells: &[Cell]) -> String {
    let mut text = String::new();
    let of_flows = cells.chunks(ADAPTERS.len());
    let of_flows: Vec<&[Cell]> = of_flows.collect();
    let mut last = "";
    for (kind, of_kind) in KINDS.iter().zip(of_flows.chunks(FLOWS.len())) {
        if kind.kind != last {
            let _ = write!(text, "\n## `{}`\n", kind.kind);
            last = kind.kind;
        }
        if !kind.which.is_empty() {
            let _ = write!(text, "\n{}:\n", kind.which);
        }
        text += "\n| flow | client | kind | retry | what it says |\n|---|---|---|---|---|\n";
        for (flows, adapters, cell) in rows(of_kind) {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                flows.join(", "),
                adapters,
                cell.outcome,
                cell.retry,
                cell.words.replace('|', "\\|")
            );
        }
    }
    text + "\n"
}

/// Flows, adapters, and what all of them have in common.
fn rows<'a>(of_kind: &[&'a [Cell]]) -> Vec<(Vec<&'static str>, String, &'a Cell)> {
    let mut rows: Vec<(Vec<&'static str>, String, &Cell)> = Vec::new();
    for (flow, cells) in FLOWS.iter().zip(of_kind) {
        let mut differing: Vec<(Vec<&str>, &Cell)> = Vec::new();
        for (adapter, cell) in ADAPTERS.iter().zip(*cells) {
            match differing.iter_mut().find(|(_, same)| *same == cell) {
                Some((adapters, _)) => adapters.push(adapter.name()),
                None => differing.push((vec![adapter.name()], cell)),
            }
        }
        for (adapters, cell) in differing {
            let adapters = match adapters.len() {
                all if all == ADAPTERS.len() => "all".to_owned(),
                _ => adapters.join(", "),
            };
            let same = rows
                .iter_mut()
                .find(|(_, with, same)| *with == adapters && *same == cell);
            match same {
                Some((flows, ..)) => flows.push(flow.name()),
                None => rows.push((vec![flow.name()], adapters, cell)),
            }
        }
    }
    rows
}
