//! The transports under test, on the clock of the case.

mod in_memory;
mod raw_socket;
mod reqwest;
mod sources;
mod ureq;

pub(crate) use self::in_memory::InMemory;
pub(crate) use self::raw_socket::RawSocket;
pub(crate) use self::reqwest::Reqwest;
pub(crate) use self::ureq::Ureq;
