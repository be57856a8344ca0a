//! The transports under test, on the clock of the case.

mod raw_socket;
mod reqwest;
mod ureq;

pub(crate) use self::raw_socket::RawSocket;
pub(crate) use self::reqwest::Reqwest;
pub(crate) use self::ureq::Ureq;
