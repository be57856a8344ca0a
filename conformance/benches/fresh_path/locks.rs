//! Whether threads wait for a lock: strace is asked, over a run of this program under it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread;

use crate::threads::Start;
use crate::{MANY, MUTEX, Subject};

/// The argument that makes this program run one subject between marks, and nothing else.
pub(crate) const PHASE: &str = "--phase";
const CALLS: u32 = 1_000_000;

/// A system call that nothing else here makes: in strace's log it bounds what is counted, without the starts
/// and ends of the threads.
fn mark() {
    #[cfg(unix)]
    let _ = std::os::unix::process::parent_id();
}

/// Many threads that call at the same time.
pub(crate) fn phase(work: &(dyn Fn(u32) + Sync)) {
    let start = Start::of(MANY);
    thread::scope(|scope| {
        for _ in 0..MANY {
            scope.spawn(|| {
                start.wait();
                mark();
                work(CALLS);
                mark();
            });
        }
    });
}

/// Prints how often each subject's threads waited for a lock.
pub(crate) fn prove(subjects: &[Subject]) {
    let strace = Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !strace.is_ok_and(|status| status.success()) {
        println!(
            "Locks: NOT SHOWN, there is no strace here (Debian and Ubuntu: apt-get install strace)."
        );
        return;
    }
    println!(
        "Locks: what strace saw of {MANY} threads that made {CALLS} calls each at the same time."
    );
    for subject in subjects
        .iter()
        .filter(|subject| !subject.name.starts_with("floor"))
    {
        let told = match traced(subject.name) {
            Err(why) => format!("NOT SHOWN: {why}"),
            Ok((waits, calls)) => {
                let verdict = match (subject.ours, waits) {
                    (true, 0) => "goal 0, met",
                    (true, _) => "goal 0, NOT MET",
                    (false, 0) if subject.name == MUTEX => {
                        "NOT SHOWN: a lock would not have been seen"
                    }
                    (false, _) => "",
                };
                format!("{waits:>6} futex waits ({calls} futex calls)  {verdict}")
            }
        };
        println!("{:<42} {told}", subject.name);
    }
}

/// How often the threads of a subject waited, and called futex at all, between their marks.
fn traced(name: &str) -> Result<(usize, usize), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let log = std::env::temp_dir().join(format!("coze-auth-fresh-path-{}", std::process::id()));
    let output = Command::new("strace")
        .args(["-f", "-e", "trace=futex,getppid", "-o"])
        .arg(&log)
        .arg(program)
        .args([PHASE, name])
        .output();
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    // It may not be there.
    let _ = std::fs::remove_file(&log);
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(stderr.lines().last().unwrap_or_default().to_owned());
    }
    count(&text)
}

fn count(log: &str) -> Result<(usize, usize), String> {
    let mut marks = BTreeMap::<&str, usize>::new();
    let (mut waits, mut calls) = (0, 0);
    for line in log.lines() {
        let Some((thread, what)) = line.split_once(' ') else {
            continue;
        };
        let marks = marks.entry(thread).or_default();
        match what.trim_start() {
            what if what.starts_with("getppid(") => *marks += 1,
            what if what.starts_with("futex(") && *marks == 1 => {
                calls += 1;
                waits += usize::from(what.contains("FUTEX_WAIT") || what.contains("FUTEX_LOCK"));
            }
            _ => {}
        }
    }
    match marks.values().filter(|marks| **marks == 2).count() {
        MANY => Ok((waits, calls)),
        other => Err(format!("the log has {other} threads with two marks")),
    }
}
