//! The conformance suite as a command, for libraries behind a shim. For clients in Rust a program of one's own calls
//! the same [`main`](coze_auth_conformance::command::main) with them.

use std::process::ExitCode;

fn main() -> ExitCode {
    coze_auth_conformance::command::main(Vec::new())
}
