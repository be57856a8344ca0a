//! The pages for people: consent, device activation and dashboard. Plain HTML, no script.

mod actions;
mod chosen;
mod consent;
pub(crate) mod dashboard;
mod device;
mod guard;
mod journal;
pub(crate) mod routes;
