//! The faults that a socket acts out.

use std::time::Duration;

use bytes::Bytes;

/// What the socket does with the next answer.
#[derive(Debug)]
pub(crate) enum SocketFault {
    /// RST instead of the answer.
    Reset,
    /// The head and this many bytes of the body, then FIN.
    Cut(usize),
    /// These bytes instead of the answer, then FIN.
    Garbage(Bytes),
    /// The answer byte by byte, with this pause between the bytes.
    Drip(Duration),
}
