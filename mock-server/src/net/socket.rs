//! The mock's sockets, on which faults act that HTTP cannot express.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::extract::ConnectInfo;
use axum::serve::Listener;
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::port::Port;
use super::tls::{Stream, Tls};
use crate::intercept::socket_fault::SocketFault;
use crate::limits::MAX_FAULT_TIME;
use crate::time::ticker::Ticker;

/// The handle of a connection, through which the handler of a request injects a fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionHandle(Arc<Mutex<Option<SocketFault>>>);

impl ConnectionHandle {
    /// The connection of a request; none if it was not received by a socket of the mock.
    pub(crate) fn of(extensions: &http::Extensions) -> Option<Self> {
        let found = extensions.get::<ConnectInfo<Self>>();
        found.map(|ConnectInfo(handle)| handle.clone())
    }

    /// Makes the socket act on the next answer. Call it before the answer is passed to the server, which then writes it.
    pub(crate) fn inject(&self, fault: SocketFault) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    fn take(&self) -> Option<SocketFault> {
        let mut fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fault.take()
    }
}

/// A listener whose connections can act out faults.
#[derive(Debug)]
pub(crate) struct FaultListener {
    pub(crate) port: Port,
    pub(crate) tls: Option<Arc<Tls>>,
}

impl Listener for FaultListener {
    type Io = FaultStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (FaultStream, SocketAddr) {
        let (stream, address) = self.port.accept().await;
        let stream = FaultStream {
            stream: Stream::new(stream, self.tls.as_deref()),
            handle: ConnectionHandle::default(),
            now: Now::Faultless,
        };
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.port.local_addr()
    }
}

/// A socket that acts out the fault that was injected through its [`ConnectionHandle`]. It writes no vectors, so that head and body
/// come in one buffer, in order.
#[derive(Debug)]
pub(crate) struct FaultStream {
    stream: Stream,
    handle: ConnectionHandle,
    now: Now,
}

#[derive(Debug)]
enum Now {
    Faultless,
    Reset,
    Cut {
        sent: Vec<u8>,
        body: usize,
    },
    Garbage(Bytes),
    Drip {
        ticker: Option<Ticker>,
        period: Duration,
        until: Instant,
    },
    /// FIN is to be sent; the number is how much of the answer was accepted.
    Ending(Option<usize>),
    Ended,
}

impl FaultStream {
    pub(crate) fn handle(&self) -> ConnectionHandle {
        self.handle.clone()
    }

    fn apply(&mut self, fault: SocketFault) {
        self.now = match fault {
            SocketFault::Reset => Now::Reset,
            SocketFault::Cut(body) => Now::Cut {
                sent: Vec::new(),
                body,
            },
            SocketFault::Garbage(bytes) => Now::Garbage(bytes),
            SocketFault::Drip(period) => {
                // Otherwise the system gathers the bytes until the first is acknowledged.
                self.stream.set_nodelay();
                Now::Drip {
                    ticker: None,
                    period,
                    until: Instant::now() + MAX_FAULT_TIME,
                }
            }
        };
    }

    fn write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let stream = &mut self.stream;
        match &mut self.now {
            Now::Faultless => return Pin::new(stream).poll_write(cx, buf),
            Now::Reset => {
                // The server drops a failed connection without a FIN, so it ends with RST.
                stream.set_zero_linger()?;
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Now::Cut { sent, body } => {
                let before = sent.len();
                sent.extend_from_slice(buf);
                let allowed = end_of_head(sent).map_or(usize::MAX, |head| head + *body);
                let part = &buf[..buf.len().min(allowed.saturating_sub(before))];
                sent.truncate(before);
                let written = ready!(Pin::new(&mut *stream).poll_write(cx, part))?;
                sent.extend_from_slice(&part[..written]);
                if sent.len() < allowed {
                    return Poll::Ready(Ok(written));
                }
                self.now = Now::Ending(Some(written));
            }
            Now::Garbage(bytes) => {
                while bytes.has_remaining() {
                    let written = ready!(Pin::new(&mut *stream).poll_write(cx, bytes))?;
                    bytes.advance(written);
                }
                self.now = Now::Ending(None);
            }
            Now::Drip { until, .. } if Instant::now() >= *until => {
                return Pin::new(stream).poll_write(cx, buf);
            }
            Now::Drip { ticker, period, .. } => {
                match ticker {
                    None => *ticker = Some(Ticker::every(*period)),
                    Some(ticker) => ready!(ticker.poll_next(cx)),
                }
                return Pin::new(stream).poll_write(cx, &buf[..buf.len().min(1)]);
            }
            Now::Ending(_) | Now::Ended => {}
        }
        if let Now::Ending(written) = self.now {
            ready!(self.stream.poll_cut(cx))?;
            self.now = Now::Ended;
            if let Some(written) = written {
                return Poll::Ready(Ok(written));
            }
        }
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }
}

/// The end of the answer's own head, which a `100 Continue` may precede.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    match bytes.starts_with(b"HTTP/1.1 1") {
        true => end_of_head(&bytes[end..]).map(|rest| end + rest),
        false => Some(end),
    }
}

impl AsyncWrite for FaultStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(fault) = this.handle.take() {
            this.apply(fault);
        }
        this.write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncRead for FaultStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    use tokio::net::{TcpListener, TcpStream};

    /// A whole answer of a byte a minute would take hours.
    #[test]
    fn a_drip_has_an_end() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        runtime.expect("a runtime").block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let to = listener.local_addr().expect("an address");
            let _client = TcpStream::connect(to).await.expect("a connection");
            let (port, tls) = (listener.into(), None);
            let (mut stream, _) = FaultListener { port, tls }.accept().await;
            stream.handle.inject(SocketFault::Drip(MAX_FAULT_TIME));
            let first = poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, b"answer")).await;
            assert_eq!(first.ok(), Some(1));
            if let Now::Drip { until, .. } = &mut stream.now {
                *until = Instant::now();
            }
            let rest = poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, b"nswer")).await;
            assert_eq!(rest.ok(), Some(5));
        });
    }

    #[test]
    fn an_interim_head_is_not_the_answers() {
        let head = b"HTTP/1.1 200 OK\r\na: b\r\n\r\n";
        assert_eq!(end_of_head(head), Some(head.len()));
        assert_eq!(end_of_head(&head[..head.len() - 1]), None);
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
        assert_eq!(end_of_head(interim), None);
        let both = [&interim[..], &head[..], b"{}"].concat();
        assert_eq!(end_of_head(&both), Some(both.len() - 2));
    }
}
