//! The pages for people: consent, device activation and dashboard, in plain HTML without scripts.

mod actions;
mod chosen;
mod consent;
pub(crate) mod dashboard;
mod device;
mod fault_form;
mod front;
mod guard;
mod journal;
pub(crate) mod routes;
