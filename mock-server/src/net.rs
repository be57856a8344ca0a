//! The mock's sockets, TLS on them, and the addresses under which clients reach the mock.

pub(crate) mod addressing;
pub(crate) mod connections;
pub(crate) mod port;
pub(crate) mod received_body;
pub(crate) mod socket;
pub(crate) mod tls;
