//! What a new world costs with its first request, in time and memory. `just mock-bench` builds this program with the
//! library of commit `e0d4b6f`, too, and here the two take turns.

#![allow(missing_docs)]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use bytes::Bytes;
use coze_auth_mock::CozeAuthMock;

/// Of one round: fewer than a mock has room for, so that none is evicted.
const WORLDS: u32 = 900;
const ROUNDS: usize = 9;
/// What this tree may cost beside the other.
const GOAL: f64 = 0.1;

/// Of one world, on average: microseconds and bytes.
type Cost = [f64; 2];

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--one") {
        let [us, bytes] = measure();
        println!("{us} {bytes}");
        return ExitCode::SUCCESS;
    }
    let before = std::env::var_os("MOCK_BEFORE").map(|folder| Path::new(&folder).join("worlds"));
    match before.filter(|program| program.exists()) {
        Some(before) => compare(&before),
        None => {
            println!(
                "the mock of e0d4b6f is not built: `just mock-bench` does that; no world is measured"
            );
            ExitCode::SUCCESS
        }
    }
}

fn measure() -> Cost {
    let mock = CozeAuthMock::builder().seed(1).build().expect("a mock");
    // What all worlds share is made with the first.
    ask(&mock, "warm");
    let names: Vec<_> = (0..WORLDS).map(|n| format!("w{n}")).collect();
    let mut us = 0.0;
    let held = allocation_counter::measure(|| {
        let begun = Instant::now();
        for name in &names {
            ask(&mock, name);
        }
        us = begun.elapsed().as_secs_f64() * 1e6;
    });
    [us, held.bytes_current as f64].map(|sum| sum / f64::from(WORLDS))
}

/// The first request makes the world.
fn ask(mock: &CozeAuthMock, name: &str) {
    let request = http::Request::get(format!("/t/{name}/v1/users/me"))
        .header("authorization", "Bearer pat_mock_alice")
        .header("host", "localhost")
        .body(Bytes::new());
    let answer = mock.call_blocking(request.expect("a request"));
    assert_eq!(answer.status(), 200, "{answer:?}");
}

/// Each round is a process of its own.
fn compare(before: &Path) -> ExitCode {
    let now = std::env::current_exe().expect("a path");
    let rounds: Vec<_> = (0..ROUNDS).map(|_| [run(before), run(&now)]).collect();
    let mut met = true;
    for (figure, (what, unit)) in [("time", "µs"), ("memory", "bytes")].iter().enumerate() {
        let [before, now] =
            [0, 1].map(|which| median(rounds.iter().map(|round| round[which][figure])));
        let ratio = median(
            rounds
                .iter()
                .map(|[before, now]| now[figure] / before[figure]),
        );
        let verdict = if ratio <= GOAL { "MET" } else { "NOT MET" };
        let what = format!("a new world with its first request: {what}");
        let shown = format!("{now:.1} {unit}, at e0d4b6f {before:.1}: {ratio:.3} ×");
        println!("{what:<44} {shown:<46} goal ≤ {GOAL} ×    {verdict}");
        met &= ratio <= GOAL;
    }
    match met {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn run(program: &Path) -> Cost {
    let output = Command::new(program)
        .arg("--one")
        .output()
        .expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut numbers = text
        .split_whitespace()
        .map(|number| number.parse().expect("a number"));
    [(); 2].map(|()| numbers.next().expect("two numbers"))
}

/// The middle one of an odd number.
fn median(all: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<_> = all.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
