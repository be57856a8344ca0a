//! The sockets of a login: bound where the redirect URI leads, each connection answered on a thread of its own.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_core::authorize::RedirectUri;

use super::Limits;
use super::attempt::Attempt;
use super::request::Request;
use crate::Error;
use crate::core::error::{ConfigError, Problem};

/// How often the sockets are looked at.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a client may take to close its end.
const GOODBYE: Duration = Duration::from_secs(1);
/// Connections at once. Those beyond wait in the system's queue, for at most as long as one may take.
const CONNECTIONS: usize = 64;
/// How often a port is looked for that is free in both families.
const TRIES: usize = 16;

pub(super) struct Listener {
    sockets: Vec<TcpListener>,
    /// With the port that is listened on.
    pub(super) redirect: RedirectUri,
    pub(super) port: u16,
    pub(super) path: String,
}

/// Listens where the redirect URI leads, or on a free port of that host.
pub(super) fn bind(redirect: &RedirectUri, any_port: bool) -> Result<Listener, Error> {
    let place = redirect.loopback()?;
    if !any_port && place.port == 0 {
        return Err(ConfigError::of(
            "redirect URI",
            Problem::Looks(
                "has the port 0, which no browser can reach; register one with another port",
            ),
        )
        .into());
    }
    let mut tries = 0;
    let (sockets, port) = loop {
        let wanted = if any_port { 0 } else { place.port };
        tries += 1;
        match bind_all(&place.hosts, wanted) {
            Err(Error::Listen { cause, .. })
                if any_port && cause.kind() == io::ErrorKind::AddrInUse && tries < TRIES => {}
            bound => break bound?,
        }
    };
    Ok(Listener {
        sockets,
        redirect: match any_port {
            true => redirect.with_port(port)?,
            false => redirect.clone(),
        },
        port,
        path: place.path,
    })
}

/// Of several addresses, those that this machine does not have are left out.
fn bind_all(hosts: &[IpAddr], port: u16) -> Result<(Vec<TcpListener>, u16), Error> {
    let (mut sockets, mut port, mut missing) = (Vec::new(), port, None);
    for host in hosts {
        let at = SocketAddr::new(*host, port);
        let bound = TcpListener::bind(at).and_then(|socket| {
            socket.set_nonblocking(true)?;
            let port = socket.local_addr()?.port();
            Ok((socket, port))
        });
        match bound {
            Ok((socket, its)) => {
                port = its;
                sockets.push(socket);
            }
            Err(cause) => {
                // A browser may take the address that another program has.
                let is_taken = matches!(
                    cause.kind(),
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
                );
                let error = Error::Listen {
                    at,
                    cause: Arc::new(cause),
                };
                if is_taken {
                    return Err(error);
                }
                missing.get_or_insert(error);
            }
        }
    }
    match missing {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok((sockets, port)),
    }
}

impl Listener {
    /// Answers everybody, on a thread of its own, until the attempt is decided.
    pub(super) fn serve(self, attempt: Arc<Attempt>, limits: Limits) -> Result<(), Error> {
        let sockets = self.sockets;
        let serve = move || {
            let closed = Closed(attempt.clone());
            let mut running = Vec::new();
            while !attempt.can_close() {
                running.retain(|thread: &thread::JoinHandle<()>| !thread.is_finished());
                let mut accepted = false;
                for socket in &sockets {
                    if running.len() >= CONNECTIONS {
                        break;
                    }
                    if let Ok((stream, _)) = socket.accept() {
                        accepted = true;
                        running.extend(answer_apart(Arc::new(stream), &attempt, limits));
                    }
                }
                if !accepted {
                    thread::sleep(PAUSE);
                }
            }
            drop(sockets);
            drop(closed);
        };
        match thread::Builder::new()
            .name("coze-auth login".into())
            .spawn(serve)
        {
            Ok(_) => Ok(()),
            Err(cause) => Err(Error::Thread(Arc::new(cause))),
        }
    }
}

/// Says that nobody listens any more, even after a panic.
struct Closed(Arc<Attempt>);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.is_closed();
    }
}

/// Answers one connection on a thread of its own, or here if the system has none: a connection without an answer makes a browser send its
/// code again.
fn answer_apart(
    stream: Arc<TcpStream>,
    attempt: &Arc<Attempt>,
    limits: Limits,
) -> Option<thread::JoinHandle<()>> {
    let apart = (stream.clone(), attempt.clone());
    let thread = thread::Builder::new()
        .name("coze-auth callback".into())
        .spawn(move || answer(&apart.0, &apart.1, limits));
    if thread.is_err() {
        answer(&stream, attempt, limits);
    }
    thread.ok()
}

fn answer(mut stream: &TcpStream, attempt: &Attempt, limits: Limits) {
    // Some systems hand the listener's mode on.
    let _ = stream.set_nonblocking(false);
    let (page, has_body) = match Request::read(stream, limits.head) {
        Ok(request) => (attempt.answer(&request), request.method() != "HEAD"),
        Err(page) => (page, true),
    };
    let _ = stream.set_write_timeout(Some(limits.answer));
    let written = stream.write_all(&page.answer(has_body));
    let _ = stream.shutdown(Shutdown::Write);
    if written.is_ok() {
        attempt.served(page);
    }
    // What was not read would turn the end of the connection into a reset, and the page into an error.
    let deadline = Instant::now() + GOODBYE;
    let mut rest = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match stream.read(&mut rest) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
