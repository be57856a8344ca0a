//! A listening socket that closes at once, whatever its task does.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Maximum number of connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// A listening socket. Clones are the same socket: the first that closes it closes it for all.
#[derive(Clone, Debug)]
pub(crate) struct Port(Arc<Mutex<Option<TcpListener>>>);

impl From<TcpListener> for Port {
    fn from(listener: TcpListener) -> Self {
        Self(Arc::new(Mutex::new(Some(listener))))
    }
}

impl Port {
    /// Binds in the context of a runtime, without waiting.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // As `TcpListener::bind` does: there a socket that was closed a moment ago is not in the way.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket.listen(BACKLOG)?.into())
    }

    fn listener(&self) -> MutexGuard<'_, Option<TcpListener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match &*self.listener() {
            Some(listener) => listener.local_addr(),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The port is free when this returns. Connections that were accepted stay.
    pub(crate) fn close(&self) {
        self.listener().take();
    }

    /// The next connection; never one after the port was closed. An error is often that there are too many open files, so
    /// that the next attempt would fail as well.
    pub(crate) async fn accept(&self) -> io::Result<TcpStream> {
        loop {
            let accepted = poll_fn(|context| match &*self.listener() {
                Some(listener) => listener.poll_accept(context),
                None => Poll::Pending,
            });
            match accepted.await {
                Ok((stream, _)) => return Ok(stream),
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Returns true if the client went away before its connection was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
