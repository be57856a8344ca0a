//! The shadow: what it passes on, what it refuses, and what it finds.

#[path = "../common/assertions.rs"]
mod assertions;
mod findings;
mod fixtures;
mod judge;
mod pair;
mod passes;
mod records;
mod secrets;
mod sentinels;
mod support;
