//! What the bridge adds to a refresh, beside the mock alone in the same run: its own processor time, the wait under an open load, and
//! its memory over many requests. `just bridge-bench`; `just bridge-bench soak` lets it run for a million.

#![allow(missing_docs)]

#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod process;

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    println!("skipped: processor time and memory are read from /proc, which is Linux's");
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args()
        .skip(1)
        .filter(|one| one != "--bench")
        .collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let met = match words[..] {
        ["--mock"] => {
            process::serve_mock();
            true
        }
        ["soak"] => figures::memory(1_000_000),
        _ => figures::all(),
    };
    if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
