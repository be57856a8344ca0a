//! The port of a world: an address of its own, at whose root the world is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError, Weak};
use std::{fmt, io};

use tokio::sync::oneshot;
use url::Url;

use super::World;
use crate::limits::MAX_WORLD_PORTS;
use crate::net::port::Port;

/// Why a world could not get a port of its own.
#[non_exhaustive]
pub enum PortError {
    /// The mock does not listen: it is in memory, a router in another server, or stopped.
    NotListening,
    /// The maximum number of worlds have a port.
    TooMany,
    /// The world was removed, or another one of its name was made.
    Ended,
    /// The socket could not be bound.
    Bind {
        /// The requested port; 0 for a free one.
        port: u16,
        /// The operating system's error.
        source: io::Error,
    },
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotListening => {
                f.write_str("this mock does not listen, so its worlds cannot have ports")
            }
            Self::TooMany => write!(
                f,
                "{MAX_WORLD_PORTS} worlds of this mock have a port; close a port or remove a world that has one, and try again"
            ),
            Self::Ended => f.write_str(
                "this world has ended: it was removed, or another one of its name was made; ask for the world again",
            ),
            Self::Bind { port, source } => write!(
                f,
                "the port {port} cannot be opened: {source}; use port 0 for a free port"
            ),
        }
    }
}

/// The same as `Display`, since people read what `main` and `unwrap` print.
impl fmt::Debug for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for PortError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Serves worlds on ports. The server does, which knows the routes.
pub(crate) trait ServePorts: fmt::Debug + Send + Sync {
    /// Serves the world until the sender is dropped.
    fn serve(
        &self,
        address: SocketAddr,
        world: Arc<World>,
    ) -> io::Result<(Port, oneshot::Sender<()>)>;
}

/// The ports of all worlds.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    /// Where the mock listens, and who serves; not set while the mock does not listen.
    server: OnceLock<(SocketAddr, Weak<dyn ServePorts>)>,
    open: Arc<AtomicUsize>,
}

impl Ports {
    pub(crate) fn listen_at(&self, bound: SocketAddr, server: Weak<dyn ServePorts>) {
        self.server.get_or_init(|| (bound, server));
    }

    /// Number of ports that are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn serve(&self, port: u16, world: Arc<World>) -> Result<OwnPort, PortError> {
        let (mut address, server) = self.server.get().ok_or(PortError::NotListening)?.clone();
        let server = server.upgrade().ok_or(PortError::NotListening)?;
        let counted = Counted::one_more(&self.open).ok_or(PortError::TooMany)?;
        address.set_port(port);
        let bind = |source| PortError::Bind { port, source };
        let (socket, stop) = server.serve(address, world).map_err(bind)?;
        Ok(OwnPort {
            number: socket.local_addr().map_err(bind)?.port(),
            socket,
            _stop: stop,
            _counted: counted,
        })
    }
}

/// One of the open ports.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn one_more(open: &Arc<AtomicUsize>) -> Option<Self> {
        let more = |open| (open < MAX_WORLD_PORTS).then_some(open + 1);
        let counted = open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.ok().map(|_| Self(open.clone()))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A port that is open. Dropping it closes it; connections end with the requests that run.
#[derive(Debug)]
pub(crate) struct OwnPort {
    number: u16,
    socket: Port,
    _stop: oneshot::Sender<()>,
    _counted: Counted,
}

impl Drop for OwnPort {
    fn drop(&mut self) {
        self.socket.close();
    }
}

/// What a world has for a port.
#[derive(Debug, Default)]
pub(crate) enum Slot {
    #[default]
    Closed,
    Open(Box<OwnPort>),
    /// The world has ended, and never opens a port again.
    Ended,
}

impl World {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a port of the world's own; 0 is a free one, or the one that the world has. Returns its number. If the world has
    /// another port, that one is closed.
    pub(crate) fn open_port(self: &Arc<Self>, port: u16) -> Result<u16, PortError> {
        let worlds = self.worlds().ok_or(PortError::NotListening)?;
        let mut slot = self.slot();
        match &*slot {
            Slot::Ended => return Err(PortError::Ended),
            Slot::Open(open) if port == 0 || port == open.number => return Ok(open.number),
            Slot::Open(_) | Slot::Closed => {}
        }
        let open = worlds.ports.serve(port, self.clone())?;
        let number = open.number;
        *slot = Slot::Open(Box::new(open));
        Ok(number)
    }

    /// Returns false if the world has no port.
    pub(crate) fn close_port(&self) -> bool {
        let mut slot = self.slot();
        let open = matches!(*slot, Slot::Open(_));
        if open {
            *slot = Slot::Closed;
        }
        open
    }

    /// Closes the port for good.
    pub(super) fn end_port(&self) {
        *self.slot() = Slot::Ended;
    }

    pub(crate) fn port(&self) -> Option<u16> {
        match &*self.slot() {
            Slot::Open(open) => Some(open.number),
            Slot::Closed | Slot::Ended => None,
        }
    }

    /// The URL of the world's port, at the host of `base`, a URL of the mock. A port is served as the mock's own sockets are,
    /// whatever a proxy before the mock makes of them.
    pub(crate) fn port_url(&self, base: &str) -> Option<String> {
        let port = self.port()?;
        let mut url = Url::parse(base).ok()?;
        url.set_scheme(self.addressing.scheme()).ok()?;
        url.set_port(Some(port)).ok()?;
        url.set_path("");
        Some(url.as_str().trim_end_matches('/').to_owned())
    }
}
