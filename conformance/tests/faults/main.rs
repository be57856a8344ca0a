//! `docs/faults.md`: what a caller gets of each fault of the mock, in each flow, over each adapter, on real sockets and on
//! a virtual clock. `UPDATE_DOCS=1` (`just faults`) writes the page instead of comparing it.

mod adapters;
mod browser;
#[path = "../subjects/clocks.rs"]
mod clocks;
mod flows;
mod kinds;
mod page;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use crate::adapters::ADAPTERS;
use crate::flows::FLOWS;
use crate::kinds::KINDS;
use crate::page::{Cell, table};

const PAGE: &str = "docs/faults.md";
const BEGIN: &str = "<!-- faults: written by UPDATE_DOCS=1 just faults -->\n";
const END: &str = "<!-- /faults -->";
/// So many cells at once: most of them wait.
const AT_ONCE: usize = 32;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(path).expect("a file of the repository")
}

/// The mock's own list: the table of its README, which a test of the mock holds to its kinds.
#[test]
fn each_kind_of_fault_has_a_row() {
    let readme = read("mock-server/README.md");
    let (_, section) = readme.split_once("\n## Faults\n").expect("a section");
    let (section, _) = section.split_once("\n## ").expect("another");
    let documented: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let here: BTreeSet<&str> = KINDS.iter().map(|kind| kind.kind).collect();
    assert_eq!(here, documented, "conformance/tests/faults/kinds.rs");
}

#[test]
fn a_fault_does_to_each_flow_what_the_page_says() {
    let mut cells = Vec::new();
    for kind in KINDS {
        for flow in FLOWS {
            cells.extend(ADAPTERS.map(|adapter| (kind, flow, adapter)));
        }
    }
    let next = Mutex::new(cells.iter().enumerate());
    let done: Mutex<Vec<Option<Cell>>> = Mutex::new(cells.iter().map(|_| None).collect());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = next.lock().expect("nobody panics with it").next();
                    let Some((number, (kind, flow, adapter))) = next else {
                        return;
                    };
                    let cell = Cell::of(kind, *flow, &flow.run(kind, *adapter));
                    done.lock().expect("nobody panics with it")[number] = Some(cell);
                }
            });
        }
    });
    let done = done.into_inner().expect("no cell panicked");
    let done: Vec<Cell> = done.into_iter().flatten().collect();
    let empty = cells.len() - done.iter().filter(|cell| !cell.is_empty()).count();
    let differ = done
        .chunks(ADAPTERS.len())
        .filter(|same| same.iter().any(|cell| *cell != same[0]))
        .count();

    let page = read(PAGE);
    let (before, rest) = page.split_once(BEGIN).expect("the first marker");
    let (written, after) = rest.split_once(END).expect("the last marker");
    let measured = table(&done);
    let kinds: BTreeSet<&str> = KINDS.iter().map(|kind| kind.kind).collect();
    let figure = format!(
        "\n{} faults of {} kinds × {} flows × {} adapters: {} cells, {empty} empty, {differ} differ\n",
        KINDS.len(),
        kinds.len(),
        FLOWS.len(),
        ADAPTERS.len(),
        cells.len(),
    );
    let update = std::env::var("UPDATE_DOCS").is_ok_and(|set| set == "1");
    if update {
        let page = format!("{before}{BEGIN}{measured}{END}{after}");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
        std::fs::write(path, page).expect("docs/ can be written");
    }
    // Past the capture of `print!`.
    std::io::stdout()
        .write_all(figure.as_bytes())
        .expect("stdout");
    assert_eq!(empty, 0, "empty cells");
    let missing = |one: &str, other: &str| {
        let lines = one.lines().filter(|line| !other.contains(*line));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert!(
        update || written == measured,
        "{PAGE} says\n{}\nand it was\n{}\nUPDATE_DOCS=1 just faults",
        missing(written, &measured),
        missing(&measured, written)
    );
}
