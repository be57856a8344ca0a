//! What a test puts in the way of requests: gates that hold them, faults and scripts that act on them.

pub(crate) mod effect;
pub(crate) mod fault;
pub(crate) mod fault_kind;
pub(crate) mod fault_spec;
pub(crate) mod faults;
pub(crate) mod gate;
pub(crate) mod gates;
pub(crate) mod phase;
mod registry;
pub(crate) mod script;
pub(crate) mod selector;
pub(crate) mod socket_fault;
