//! The samples, as people run them.

mod device;
mod fleet;
mod prometheus;
mod support;
mod table;
mod web;
