//! The pages for people: consent, device activation and dashboard. Plain HTML, no script.

mod actions;
pub(crate) mod consent;
pub(crate) mod dashboard;
pub(crate) mod device;
mod guard;
mod journal;
