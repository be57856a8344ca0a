//! What a coverage-guided fuzzer hands to every reader of the clients, the mock and the bridge, and what must hold then: `just fuzz`.
//!
//! A target is a function of bytes that panics where a property does not hold. `tests/replay.rs` runs each over the corpus of the repository
//! on a stable compiler; `src/main.rs` is the program that libFuzzer drives.

#[allow(dead_code)]
mod bridge;
mod callback;
mod control;
mod envelope;
mod environment;
mod grants;
mod mock_config;
mod oauth_config;
mod pem;
mod record;
mod seeds;
mod shim;
mod support;

// Files of other packages that are not in their API: what reads a sealed value, and what the bridge stands on.
#[allow(dead_code, unexpected_cfgs)]
#[path = "../../crates/coze-auth-cli/src/failure.rs"]
mod failure;
#[allow(dead_code, unused_imports)]
#[path = "../../crates/coze-auth-cli/src/interrupts.rs"]
mod interrupts;
#[allow(dead_code)]
#[path = "../../crates/coze-auth-cli/src/output.rs"]
mod output;
#[allow(dead_code, unreachable_pub)]
#[path = "../../crates/coze-auth-redis/src"]
mod redis {
    pub(crate) mod seal;
    pub(crate) mod settings;
}
use redis::settings;
pub use seeds::seeds;

/// What is fuzzed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Target {
    /// Its name, which is also that of its corpus.
    pub name: &'static str,
    /// Hands it an input.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "envelope",
        run: envelope::run,
    },
    Target {
        name: "callback",
        run: callback::run,
    },
    Target {
        name: "oauth_config",
        run: oauth_config::run,
    },
    Target {
        name: "mock_config",
        run: mock_config::run,
    },
    Target {
        name: "pem",
        run: pem::run,
    },
    Target {
        name: "environment",
        run: environment::run,
    },
    Target {
        name: "grants",
        run: grants::run,
    },
    Target {
        name: "control",
        run: control::run,
    },
    Target {
        name: "shim",
        run: shim::run,
    },
    Target {
        name: "bridge",
        run: bridge::run,
    },
    Target {
        name: "record",
        run: record::run,
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}

/// The name of an input in a corpus, as libFuzzer gives it: its SHA-1 in hexadecimal digits.
pub fn hash(input: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, input);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
