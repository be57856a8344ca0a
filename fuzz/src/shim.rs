//! `coze-auth-shim/1`: what a shim says, line by line, to the runner; in the first line the operation that it is asked, with its arguments.
//!
//! Whatever a shim says, the runner sends only lines of the protocol, gives up in time, and blames the shim and not itself.

use std::path::PathBuf;
use std::sync::LazyLock;

use coze_auth_conformance::Shim;
use coze_auth_conformance::client::{Broken, Client as _, Outcome};
use serde_json::{Map, Value};

use crate::support::is_plain;

static SCRIPT: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let below = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    below.join(format!("coze-auth-fuzz-shim-{}", std::process::id()))
});

/// A shim may have ended before it is asked. Rust's own `main` ignores that signal; under libFuzzer there is none.
#[cfg(unix)]
static SURVIVES: LazyLock<()> = LazyLock::new(|| {
    let seen = std::sync::Arc::default();
    let registered = signal_hook::flag::register(signal_hook::consts::SIGPIPE, seen);
    registered.expect("a handler");
});

fn blames_itself(broken: &Broken) -> bool {
    is_plain("a reason", &broken.to_string());
    matches!(broken, Broken::Harness(_))
}

/// One shim.
pub(crate) fn run(data: &[u8]) {
    if cfg!(not(unix)) {
        return;
    }
    #[cfg(unix)]
    LazyLock::force(&SURVIVES);
    let end = data.iter().position(|byte| *byte == b'\n');
    let Some(end) = end else { return };
    let (asked, said) = (&data[..end], &data[end + 1..]);
    std::fs::write(&*SCRIPT, said).expect("a file");
    // It says all at once and ends.
    let mut shim = match Shim::start_checked(&format!("cat {}", SCRIPT.display())) {
        Ok(shim) => shim,
        Err(broken) => {
            assert!(!blames_itself(&broken), "{broken}");
            return;
        }
    };
    assert!(!shim.about().name.is_empty(), "the schema asks for a name");
    let asked: Value = serde_json::from_slice(asked).unwrap_or_default();
    let op = asked["op"].as_str().unwrap_or("device.start");
    let none = Map::new();
    let args = asked["args"].as_object().unwrap_or(&none);
    match shim.call(op, args) {
        Ok(answer) => match answer.result {
            Outcome::Ok(value) => assert!(value.is_object(), "{value}"),
            Outcome::Err(failure) => assert_ne!(failure.kind, "protocol"),
            Outcome::Unsupported(_) => {}
        },
        // What is asked is the input's, and may be no operation.
        Err(broken) => drop(blames_itself(&broken)),
    }
}
