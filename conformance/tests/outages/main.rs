//! `docs/outages.md`: one virtual hour of each outage, over real sockets. What is measured must meet its goals, and
//! stand in the page. `OUTAGES=all` (`just outages`) measures all rows and not CI's three; `UPDATE_DOCS=1` writes the
//! page instead of comparing it.

mod caller;
#[path = "../subjects/clocks.rs"]
mod clocks;
mod disk;
mod events;
mod fixture;
mod hour;
mod network;
mod outage;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use crate::fixture::{ADAPTERS, Kind};
use crate::hour::{Hour, hour};
use crate::outage::{ALL, CI, Outage};

const PAGE: &str = "docs/outages.md";
const BEGIN: &str = "<!-- outages: measured by UPDATE_DOCS=1 just outages -->\n";
const END: &str = "<!-- /outages -->";

#[test]
fn an_outage_costs_what_the_page_says() {
    let wants = |name, value: &str| std::env::var(name).is_ok_and(|set| set == value);
    let (all, update) = (wants("OUTAGES", "all"), wants("UPDATE_DOCS", "1"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    let page = std::fs::read_to_string(&path).expect("the page");
    let (before, rest) = page.split_once(BEGIN).expect("the first marker");
    let (table, after) = rest.split_once(END).expect("the last marker");

    let outages = if all || update { &ALL[..] } else { &CI };
    let mut rows = Vec::new();
    let mut unmet = String::new();
    for &outage in outages {
        if let Some(reason) = outage.cannot_be_made() {
            let must = update || std::env::var_os("CI").is_some();
            assert!(!must, "{}: {reason}", outage.name());
            println!("skipped: {}: {reason}", outage.name());
            continue;
        }
        for &kind in outage.kinds() {
            let hours = ADAPTERS.map(|adapter| hour(outage, kind, adapter));
            for (hour, adapter) in hours.iter().zip(ADAPTERS) {
                for miss in hour.misses(&outage.goal()) {
                    let _ = write!(
                        unmet,
                        "\n{}, {}, {adapter}: {miss}",
                        outage.name(),
                        kind.name()
                    );
                }
            }
            rows.extend(lines(outage, kind, &hours).map(|line| (outage, line)));
        }
    }
    let all_rows: String = rows.iter().map(|(_, row)| row.as_str()).collect();
    let measured = format!(
        "\n| outage | credential | adapter | first minute | hour | back after | what a log shows |\n\
         |---|---|---|---|---|---|---|\n{all_rows}\n"
    );
    // Past the capture of `print!`: the figures are shown whether or not they are met.
    std::io::stdout()
        .write_all(measured.as_bytes())
        .expect("stdout");
    assert!(unmet.is_empty(), "goals that are not met:{unmet}");
    if update {
        let page = format!("{before}{BEGIN}{measured}{END}{after}");
        std::fs::write(path, page).expect("docs/ can be written");
        return;
    }
    for (outage, row) in rows {
        assert!(
            !outage.is_exact() || table.contains(&row),
            "{PAGE} says otherwise: run UPDATE_DOCS=1 just outages\n{row}"
        );
    }
}

/// One line where both adapters do the same.
fn lines(outage: Outage, kind: Kind, hours: &[Hour; 2]) -> impl Iterator<Item = String> {
    let [reqwest, ureq] = hours;
    let adapters = match reqwest == ureq {
        true => vec![("both", reqwest)],
        false => ADAPTERS.into_iter().zip(hours).collect(),
    };
    adapters.into_iter().map(move |(adapter, hour)| {
        let (outage, kind) = (outage.name(), kind.name());
        format!("| {outage} | {kind} | {adapter} | {hour} |\n")
    })
}
