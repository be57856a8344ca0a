//! Secrets of every kind through every flow and failure, and the search for them in all that can be seen afterwards: `just leaks`. The short form
//! of CI leaves out two clients of one's own, and what other crates log.

mod clients;
#[path = "../subjects/clocks.rs"]
mod clocks;
mod logs;
mod memory;
mod scenes;
mod secrets;
mod server;
mod texts;

use texts::Texts;

/// Whether all is played.
fn whole() -> bool {
    std::env::var_os("LEAKS").is_some_and(|form| form == "all")
}

#[test]
fn no_secret_is_seen_anywhere() {
    logs::catch();
    let mut texts = Texts::default();
    scenes::tell_all(&mut |kind, secret| texts.needles.add(kind, secret));
    clients::all(&mut texts);
    let parts = [clients::part()];
    let (table, wrong) = texts.table(&parts);
    let leaks = texts.leaks();
    let some = &leaks[..leaks.len().min(30)];
    println!("{table}");
    assert!(
        leaks.is_empty(),
        "{} leaks:\n{}",
        leaks.len(),
        some.join("\n")
    );
    assert!(
        wrong.is_empty(),
        "{} cells:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let memory = memory::figure();
    let flows: usize = parts.iter().map(texts::Part::played).sum();
    println!(
        "leaks: {} secrets, {flows} flows, {} texts searched ({} kB), 0 found; memory: {memory}",
        texts.needles.secrets(),
        texts.count(),
        texts.bytes() / 1000,
    );
    if whole() {
        let (count, bytes, copies) = texts.of_others();
        println!(
            "logs of other crates at TRACE, not promised: {count} texts ({} MB), {copies} copies",
            bytes / 1_000_000
        );
    }
}
