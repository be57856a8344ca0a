//! The mock's sockets, TLS on them, and the addresses under which clients reach the mock.

pub(crate) mod addressing;
pub(crate) mod port;
pub(crate) mod socket;
pub(crate) mod tls;
