//! The transports under test, on the clock of the case.

mod raw_socket;
mod reqwest;
mod ureq;

pub use self::raw_socket::RawSocket;
pub use self::reqwest::Reqwest;
pub use self::ureq::Ureq;
