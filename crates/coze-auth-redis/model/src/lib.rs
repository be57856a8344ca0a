//! The lease and the revisions of `coze-auth-redis` under a model of the engine that loses, delays and repeats calls, goes back to an
//! older copy, and whose clock leaps: `just model`.
//!
//! The files that decide are the crate's own. What stands around them is put in here: connections end in the model, the time is virtual,
//! and random numbers come from a seed.
#![cfg(test)]
#![allow(dead_code, unreachable_pub, unnameable_types)]

// `getrandom::fill` of the crate's files is the one below.
extern crate self as getrandom;

#[path = "../../src/engine.rs"]
mod engine;
#[path = "../../src/lease.rs"]
mod lease;
#[path = "../../src/scripts.rs"]
mod scripts;
#[path = "../../src/seen.rs"]
mod seen;
#[path = "../../src/settings.rs"]
mod settings;
#[path = "../../src/store.rs"]
mod store;
#[path = "../../src/trouble.rs"]
mod trouble;

mod around;
mod dice;
mod differential;
mod mirror;
#[path = "../../tests/server/mod.rs"]
mod real;
mod schedules;
mod server;
mod walk;

use around::{check, connect, options, seal, worker};

/// Random bytes from the seed of this thread's walk.
///
/// # Errors
///
/// Never.
pub fn fill(bytes: &mut [u8]) -> Result<(), std::convert::Infallible> {
    dice::of_thread(bytes);
    Ok(())
}
