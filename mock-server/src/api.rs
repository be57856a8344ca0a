//! What a test holds: the mock, its worlds, and the builder that makes them.

pub(crate) mod banner;
pub(crate) mod builder;
mod failure_report;
pub(crate) mod mock;
mod start;
pub(crate) mod world;
