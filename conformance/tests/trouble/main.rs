//! What a caller sees when Redis is in trouble: a row each, as the guide's page on fleets has it. Real servers, in real time;
//! tokens end on the mock's virtual clock. `UPDATE_DOCS=1` writes the page instead of comparing it.

#[allow(dead_code)] // of the two clocks one is used
#[path = "../subjects/clocks.rs"]
mod clocks;
#[path = "../common/redis.rs"]
mod redis;
mod rows;
mod scene;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

const PAGE: &str = "docs/fleet.md";
const BEGIN: &str = "<!-- trouble: written by UPDATE_DOCS=1 just trouble -->\n";
const END: &str = "<!-- /trouble -->";
/// So many rows at once: most of them wait.
const AT_ONCE: usize = 4;

#[test]
fn trouble_costs_what_the_page_says() {
    for program in ["redis-server", "redis-sentinel"] {
        if let Some(why) = redis::missing(program) {
            let _ = writeln!(std::io::stderr(), "skipped: trouble of Redis: {why}");
            return;
        }
    }
    let next = Mutex::new(rows::ALL.iter().enumerate());
    let done = Mutex::new(vec![String::new(); rows::ALL.len()]);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let row = next.lock().expect("no row panics with it").next();
                    let Some((number, (name, row))) = row else {
                        return;
                    };
                    let cells = row();
                    let line = match cells == rows::NOT_HERE {
                        true => String::new(),
                        false => format!("| {name} | {} |\n", cells.join(" | ")),
                    };
                    done.lock().expect("no row panics with it")[number] = line;
                }
            });
        }
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    let page = std::fs::read_to_string(&path).expect("the page");
    let mut rows = done.into_inner().expect("no row panicked");
    for (row, (name, _)) in rows.iter_mut().zip(rows::ALL) {
        if row.is_empty() {
            let _ = writeln!(std::io::stderr(), "skipped: {name}: it needs Linux and cc");
            // As it stands.
            let begins = format!("| {name} |");
            let line = page.lines().find(|line| line.starts_with(&begins));
            *row = line.map_or_else(String::new, |line| format!("{line}\n"));
        }
    }
    let mut table = "\n| trouble | a process with a valid token | one without, while Redis has a good one | when the token has ended | afterwards |\n\
                     |---|---|---|---|---|\n"
        .to_owned();
    for row in &rows {
        let _ = write!(table, "{row}");
    }
    table.push('\n');
    // Past the capture of `print!`.
    std::io::stdout()
        .write_all(table.as_bytes())
        .expect("stdout");
    let (before, rest) = page.split_once(BEGIN).expect("the first marker");
    let (written, after) = rest.split_once(END).expect("the last marker");
    if std::env::var("UPDATE_DOCS").is_ok_and(|set| set == "1") {
        let page = format!("{before}{BEGIN}{table}{END}{after}");
        std::fs::write(path, page).expect("docs/ can be written");
        return;
    }
    let differ = |one: &str, other: &str| {
        let lines = one
            .lines()
            .filter(|line| !other.lines().any(|same| same == *line));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert!(
        written == table,
        "{PAGE} says\n{}\nand it was\n{}\nUPDATE_DOCS=1 just trouble",
        differ(written, &table),
        differ(&table, written)
    );
}
