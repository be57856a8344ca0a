//! The shadow: what it passes on, what it refuses, and what it finds.

mod findings;
mod judge;
mod pair;
mod passes;
mod secrets;
mod support;
