//! The samples, as people run them.

mod device;
mod prometheus;
mod support;
mod table;
mod web;
