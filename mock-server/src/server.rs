//! The server: the routes of all planes, the routing to worlds, and the service of a connection.

pub(crate) mod port_server;
pub(crate) mod router;
pub(crate) mod service;
pub(crate) mod world_routing;
