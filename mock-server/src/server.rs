//! The routes of all planes, the worlds by their paths, and the service of a connection.

pub(crate) mod router;
pub(crate) mod service;
pub(crate) mod world_routing;
