//! The shadow: what it passes on, what it refuses, and what it finds.

mod findings;
mod judge;
mod pair;
mod passes;
mod records;
mod secrets;
mod support;
