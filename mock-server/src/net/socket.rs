//! The mock's own sockets, on which a fault can act: what HTTP cannot say, the wire can.

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
use tokio::net::TcpListener;

use super::tls::{Stream, Tls};
use crate::intercept::socket_fault::Order;
use crate::limits::MAX_FAULT_TIME;
use crate::time::ticker::Ticks;

/// One connection, as the handler of a request holds it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(Arc<Mutex<Option<Order>>>);

impl Line {
    /// None: the request did not come by a socket of the mock's own.
    pub(crate) fn of(extensions: &http::Extensions) -> Option<Self> {
        let found = extensions.get::<ConnectInfo<Self>>();
        found.map(|ConnectInfo(line)| line.clone())
    }

    /// Before the answer is given to the server, which writes it afterwards.
    pub(crate) fn order(&self, order: Order) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(order);
    }

    fn take(&self) -> Option<Order> {
        let mut order = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        order.take()
    }
}

#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Arc<Tls>>,
}

impl Listener for Sockets {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let wire = Wire {
            stream: Stream::new(stream, self.tls.as_deref()),
            line: Line::default(),
            now: Now::Faultless,
        };
        (wire, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A socket that does what its [`Line`] was ordered. It writes no vectors, so that head and body
/// come in one buffer, in order.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    line: Line,
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
        ticks: Option<Ticks>,
        period: Duration,
        until: Instant,
    },
    /// FIN is to be sent, and so much of the answer was taken.
    Ending(Option<usize>),
    Ended,
}

impl Wire {
    pub(crate) fn line(&self) -> Line {
        self.line.clone()
    }

    fn obey(&mut self, order: Order) {
        self.now = match order {
            Order::Reset => Now::Reset,
            Order::Cut(body) => Now::Cut {
                sent: Vec::new(),
                body,
            },
            Order::Garbage(bytes) => Now::Garbage(bytes),
            Order::Drip(period) => {
                // Otherwise the system gathers the bytes until the first is acknowledged.
                self.stream.set_nodelay();
                Now::Drip {
                    ticks: None,
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
                // The server drops a connection that fails, without a FIN before, and so it ends with RST.
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
            Now::Drip { ticks, period, .. } => {
                match ticks {
                    None => *ticks = Some(Ticks::every(*period)),
                    Some(ticks) => ready!(ticks.poll_next(cx)),
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

/// Of the answer's own head: a `100 Continue` may come before it.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    match bytes.starts_with(b"HTTP/1.1 1") {
        true => end_of_head(&bytes[end..]).map(|rest| end + rest),
        false => Some(end),
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if let Some(order) = wire.line.take() {
            wire.obey(order);
        }
        wire.write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncRead for Wire {
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

    use tokio::net::TcpStream;

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
            let tls = None;
            let (mut wire, _) = Sockets { listener, tls }.accept().await;
            wire.line.order(Order::Drip(MAX_FAULT_TIME));
            let first = poll_fn(|cx| Pin::new(&mut wire).poll_write(cx, b"answer")).await;
            assert_eq!(first.ok(), Some(1));
            if let Now::Drip { until, .. } = &mut wire.now {
                *until = Instant::now();
            }
            let rest = poll_fn(|cx| Pin::new(&mut wire).poll_write(cx, b"nswer")).await;
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
