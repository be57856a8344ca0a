//! All that was seen, by who showed it, in which flow, after which failure and where; and the table of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};

use crate::secrets::{Kind, Needles};

pub(crate) type Name = &'static str;

/// Whose flow it is, the flow, what went wrong, and where it was seen.
type Cell = (Name, Name, Name, Name);

#[derive(Default)]
pub(crate) struct Texts {
    pub(crate) needles: Needles,
    at: (Name, Name, Name),
    seen: Vec<(Cell, String)>,
    /// What other crates log: counted, and not promised.
    theirs: Vec<String>,
}

impl Texts {
    /// What is seen from here on is of this.
    pub(crate) fn at(&mut self, who: Name, flow: Name, failure: Name) {
        self.at = (who, flow, failure);
    }

    pub(crate) fn look(&mut self, place: Name, text: impl Into<String>) {
        let (who, flow, failure) = self.at;
        self.seen.push(((who, flow, failure, place), text.into()));
    }

    pub(crate) fn theirs(&mut self, text: String) {
        self.theirs.push(text);
    }

    /// A value as people print it.
    pub(crate) fn debug(&mut self, value: &impl Debug) {
        self.look("Debug", format!("{value:?}\n{value:#?}"));
    }

    /// An error, and all that is behind it.
    pub(crate) fn error(&mut self, error: &(dyn std::error::Error + 'static)) {
        self.look("Display", error.to_string());
        self.look("Debug", format!("{error:?}\n{error:#?}"));
        let mut causes = String::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            writeln!(causes, "{error}\n{error:?}\n{error:#?}").expect("memory");
            cause = error.source();
        }
        self.look("causes", causes);
    }

    pub(crate) fn result<T: Debug, E: std::error::Error + 'static>(
        &mut self,
        result: &Result<T, E>,
    ) {
        match result {
            Ok(value) => self.debug(value),
            Err(error) => self.error(error),
        }
    }

    /// What was seen, by place.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Name, &str)> {
        self.seen
            .iter()
            .map(|((.., place), text)| (*place, &**text))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.seen.iter().map(|(_, text)| text.len()).sum()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.len()
    }

    /// Each secret that was seen, where and in which words.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let mut leaks = Vec::new();
        for (cell, text) in &self.seen {
            for found in self.needles.found_in(text.as_bytes()) {
                let around = &text.as_bytes()[found.at.saturating_sub(60)..];
                let around = around[..around.len().min(160)].escape_ascii();
                leaks.push(format!(
                    "{cell:?}: {} {}: {around}",
                    found.kind, found.spelling
                ));
            }
        }
        leaks
    }

    /// What other crates logged: texts, bytes, and copies of secrets in them.
    pub(crate) fn of_others(&self) -> (usize, usize, usize) {
        let copies = |text: &String| self.needles.found_in(text.as_bytes()).len();
        (
            self.theirs.len(),
            self.theirs.iter().map(String::len).sum(),
            self.theirs.iter().map(copies).sum(),
        )
    }

    /// The whole table, and each cell that is empty without a reason, or has a reason and is not empty.
    pub(crate) fn table(&self, parts: &[Part]) -> (String, Vec<String>) {
        let mut cells: BTreeMap<Cell, (usize, usize)> = BTreeMap::new();
        for (cell, text) in &self.seen {
            let (texts, bytes) = cells.entry(*cell).or_default();
            *texts += 1;
            *bytes += text.len();
        }
        let (mut table, mut wrong) = (String::new(), Vec::new());
        let mut of_kinds: BTreeMap<(Kind, Name), (usize, usize)> = BTreeMap::new();
        let mut expected = BTreeSet::new();
        for part in parts {
            for who in part.who {
                for (flow, kinds) in part.flows {
                    for failure in part.failures {
                        for place in part.places {
                            let cell = (*who, *flow, *failure, *place);
                            expected.insert(cell);
                            let seen = cells.get(&cell);
                            let reason = part.reason(cell);
                            match (seen, reason) {
                                (Some((texts, bytes)), None) => {
                                    for kind in *kinds {
                                        let (all, size) =
                                            of_kinds.entry((kind, place)).or_default();
                                        *all += texts;
                                        *size += bytes;
                                    }
                                    writeln!(table, "{who} | {flow} | {failure} | {place} | {} | {texts} texts, {bytes} bytes", kinds.join(", ")).expect("memory");
                                }
                                (None, Some(reason)) => {
                                    writeln!(table, "{who} | {flow} | {failure} | {place} | {} | cannot be: {reason}", kinds.join(", ")).expect("memory");
                                }
                                (Some(_), Some(reason)) => {
                                    wrong.push(format!("{cell:?}: it is there, though {reason}"))
                                }
                                (None, None) => wrong.push(format!("{cell:?}: nothing was seen")),
                            }
                        }
                    }
                }
            }
        }
        for cell in cells.keys().filter(|cell| !expected.contains(*cell)) {
            wrong.push(format!("{cell:?}: the table does not know it"));
        }
        let summary = summary(parts, &cells, &of_kinds);
        (format!("{summary}\n{table}"), wrong)
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// Kind by place, and flow by failure.
fn summary(
    parts: &[Part],
    cells: &BTreeMap<Cell, (usize, usize)>,
    of_kinds: &BTreeMap<(Kind, Name), (usize, usize)>,
) -> String {
    let mut out = String::from("Texts that were searched, by kind of secret and place\n");
    let places: BTreeSet<Name> = parts
        .iter()
        .flat_map(|part| part.places.iter().copied())
        .collect();
    let kinds: BTreeSet<Kind> = parts
        .iter()
        .flat_map(|part| {
            part.flows
                .iter()
                .flat_map(|(_, kinds)| kinds.iter().copied())
        })
        .collect();
    for kind in kinds {
        writeln!(out, "  {kind}").expect("memory");
        for place in &places {
            let cell = match of_kinds.get(&(kind, *place)) {
                Some((texts, bytes)) => format!("{texts} texts, {}", size(*bytes)),
                None => "cannot be: no flow that has it is seen there".to_owned(),
            };
            writeln!(out, "    {place:<22} {cell}").expect("memory");
        }
    }
    out += "\nby flow and failure\n";
    for part in parts {
        for (flow, _) in part.flows {
            writeln!(out, "  {flow} ({})", part.who.join(", ")).expect("memory");
            for failure in part.failures {
                let of = |who: Name| {
                    let all = cells.iter().filter(|((by, of, after, _), _)| {
                        (*by, *of, *after) == (who, *flow, *failure)
                    });
                    all.fold((0, 0), |(texts, bytes), (_, (more, size))| {
                        (texts + more, bytes + size)
                    })
                };
                let all = part
                    .who
                    .iter()
                    .map(|who| of(who))
                    .fold((0, 0), |(texts, bytes), (more, size)| {
                        (texts + more, bytes + size)
                    });
                let none = part.who.iter().find_map(|who| {
                    let mut places = part.places.iter();
                    places.find_map(|place| part.reason((who, flow, failure, place)))
                });
                let cell = match all {
                    (0, _) => format!("cannot be: {}", none.unwrap_or("?")),
                    (texts, bytes) => format!("{texts} texts, {}", size(bytes)),
                };
                writeln!(out, "    {failure:<34} {cell}").expect("memory");
            }
        }
    }
    out
}

type Names = &'static [Name];

/// Why there is nothing of these, flows, failures and places; no names stand for any.
type Cannot = (Names, Names, Names, Names, Name);

/// Those who have the same flows, failures and places.
pub(crate) struct Part {
    pub(crate) who: &'static [Name],
    pub(crate) flows: &'static [(Name, &'static [Kind])],
    pub(crate) failures: &'static [Name],
    pub(crate) places: &'static [Name],
    pub(crate) cannot: &'static [Cannot],
}

impl Part {
    /// The number of flows with a failure that were played.
    pub(crate) fn played(&self) -> usize {
        let all = self.who.iter().flat_map(|who| {
            let of_flow = move |flow: Name| {
                let played = |failure: &&Name| {
                    let mut places = self.places.iter();
                    places.any(|place| self.reason((who, flow, failure, place)).is_none())
                };
                self.failures.iter().filter(played).count()
            };
            self.flows.iter().map(move |(flow, _)| of_flow(flow))
        });
        all.sum()
    }

    pub(crate) fn reason(&self, (who, flow, failure, place): Cell) -> Option<Name> {
        let is = |names: &[Name], name: Name| names.is_empty() || names.contains(&name);
        let found = self
            .cannot
            .iter()
            .find(|(whose, flows, failures, places, _)| {
                is(whose, who) && is(flows, flow) && is(failures, failure) && is(places, place)
            });
        found.map(|(.., reason)| *reason)
    }
}
