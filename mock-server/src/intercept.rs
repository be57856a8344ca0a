//! Gates, faults, scripts and API calls: how a test holds requests, changes their answers and adds some.

pub(crate) mod api_spec;
pub(crate) mod apis;
pub(crate) mod effect;
pub(crate) mod fault;
pub(crate) mod fault_kind;
pub(crate) mod fault_spec;
pub(crate) mod faults;
pub(crate) mod gate;
pub(crate) mod gates;
pub(crate) mod member;
pub(crate) mod phase;
mod registry;
pub(crate) mod script;
pub(crate) mod selector;
pub(crate) mod socket_fault;
