//! The server: the guard's place, the routes of all planes, the routing to worlds, the accept loop, and the service of a connection.

pub(crate) mod answer;
pub(crate) mod entrance;
pub(crate) mod port_server;
pub(crate) mod router;
pub(crate) mod serve;
pub(crate) mod service;
pub(crate) mod world_routing;
