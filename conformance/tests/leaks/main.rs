//! Secrets of every kind through every flow and failure, and the search for them in all that can be seen afterwards: `just leaks`. The short form
//! of CI leaves out two clients of one's own and what other crates log.

mod clients;
#[path = "../subjects/clocks.rs"]
mod clocks;
mod elsewhere;
mod logs;
mod loopback;
mod memory;
#[path = "../subjects/raw_socket.rs"]
mod raw_socket;
mod reports;
mod scenes;
mod secrets;
mod server;
mod stores;
mod texts;

use std::collections::BTreeSet;

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
    loopback::all(&mut texts);
    stores::all(&mut texts);
    loopback::all(&mut texts);
    reports::all(&mut texts);
    let parts = [
        clients::part(),
        stores::FILES,
        stores::REDIS,
        stores::SETTINGS,
        loopback::PART,
        reports::PART,
    ];
    let (table, mut wrong) = texts.table(&parts);
    // One that no flow plays is not counted, and one that is played is looked for.
    let kinds = parts.iter().flat_map(|part| part.flows);
    let kinds: BTreeSet<_> = kinds.flat_map(|(_, kinds)| kinds.iter().copied()).collect();
    let known = texts.needles.kinds();
    for kind in kinds.symmetric_difference(&known) {
        wrong.push(format!(
            "{kind}: it is looked for and not played, or played and not looked for"
        ));
    }
    let leaks = texts.leaks();
    let some = &leaks[..leaks.len().min(30)];
    let (elsewhere, missing) = elsewhere::table();
    wrong.extend(missing);
    println!("{table}\n{elsewhere}");
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
        "leaks: {} secrets of {} kinds, {flows} flows, {} texts searched ({} kB), 0 found; memory: {memory}",
        texts.needles.secrets(),
        known.len(),
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
