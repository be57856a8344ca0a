//! A relay before a mock server, which counts the open connections of a client. It passes on bytes and nothing else; a fault
//! that resets a connection becomes its end here.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::locked;

/// How long a client's last connection may take to end, in real time.
const SETTLED: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    open: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl Relay {
    /// A relay on a free port of 127.0.0.1.
    pub(super) fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let own = shared.clone();
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if own.ended.load(Ordering::Acquire) {
                    return;
                }
                own.open.fetch_add(1, Ordering::AcqRel);
                let shared = own.clone();
                thread::spawn(move || {
                    // An error is the end of the connection, whoever ended it.
                    let _ = shared.relay(&client, server);
                    shared.open.fetch_sub(1, Ordering::AcqRel);
                });
            }
        });
        Ok(Self { address, shared })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections the client has not ended; one that is about to end is waited for.
    pub(super) fn open(&self) -> usize {
        let started = Instant::now();
        loop {
            let open = self.shared.open.load(Ordering::Acquire);
            if open <= 1 || started.elapsed() > SETTLED {
                return open;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Shared {
    /// Returns when the client has ended its side.
    fn relay(&self, client: &TcpStream, server: SocketAddr) -> io::Result<()> {
        let server = TcpStream::connect(server)?;
        for stream in [client, &server] {
            stream.set_nodelay(true)?;
            locked(&self.streams).push(stream.try_clone()?);
        }
        let (from, to) = (server.try_clone()?, client.try_clone()?);
        thread::spawn(move || copy(&from, &to));
        copy(client, &server);
        Ok(())
    }
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        for stream in locked(&self.shared.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each byte with itself.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                thread::spawn(move || copy(&stream, &stream));
            }
        });
        address
    }

    #[test]
    fn it_passes_on_and_counts() {
        let relay = Relay::to(echo()).expect("a relay");
        let mut kept = Vec::new();
        for number in 1..=3 {
            let mut client = TcpStream::connect(relay.address()).expect("a connection");
            client.write_all(&[number]).expect("sent");
            let mut answer = [0];
            client.read_exact(&mut answer).expect("an answer");
            assert_eq!(answer, [number]);
            kept.push(client);
        }
        assert_eq!(relay.open(), 3);
        kept.truncate(1);
        assert_eq!(relay.open(), 1);
        drop(relay);
        assert_eq!(kept[0].read(&mut [0]).expect("the end"), 0);
    }
}
