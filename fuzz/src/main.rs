//! The program that libFuzzer drives: the variable `FUZZ_TARGET` says which target.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod driven {
    use std::sync::LazyLock;

    use coze_auth_fuzz::{Target, target};

    static TARGET: LazyLock<Target> = LazyLock::new(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET is not a target: {name:?}"))
    });

    libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.run)(data));
}

/// Without a fuzzer there is nothing to drive.
#[cfg(not(fuzzing))]
fn main() {}
