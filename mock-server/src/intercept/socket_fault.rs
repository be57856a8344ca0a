//! What a fault asks of the socket.

use std::time::Duration;

use bytes::Bytes;

/// What the socket does with the next answer.
#[derive(Debug)]
pub(crate) enum SocketFault {
    /// RST in its place.
    Reset,
    /// The head and so many bytes of the body, then FIN.
    Cut(usize),
    /// These bytes in its place, then FIN.
    Garbage(Bytes),
    /// A byte, a pause, a byte.
    Drip(Duration),
}
