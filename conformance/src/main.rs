//! The conformance suite as a command: shims of any language, and the transports that need no HTTP client.

use std::process::ExitCode;

fn main() -> ExitCode {
    coze_auth_conformance::command::main(Vec::new())
}
