//! What a test uses: the mock, its worlds, and the builder that makes them.

pub(crate) mod app;
pub(crate) mod banner;
mod block_on;
pub(crate) mod builder;
mod failure_report;
mod listening;
pub(crate) mod mock;
mod start;
pub(crate) mod world;
