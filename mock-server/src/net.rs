//! The mock's own sockets, TLS on them, and the addresses under which clients find the mock.

pub(crate) mod addressing;
pub(crate) mod socket;
pub(crate) mod tls;
