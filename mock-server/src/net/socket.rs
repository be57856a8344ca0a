//! The mock's sockets, on which faults act that HTTP cannot express.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use axum::extract::ConnectInfo;
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::connections::Connection;
use super::tls::Stream;
use crate::intercept::socket_fault::SocketFault;
use crate::limits::MAX_FAULT_TIME;
use crate::time::ticker::Ticker;

/// The handle of a request's connection, through which its handler injects a fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionHandle {
    faults: Arc<Faults>,
    /// What becomes of the answer of this request, if it has the connection not for itself (HTTP/2).
    answer: Option<Arc<Mutex<Option<AnswerFault>>>>,
}

/// What is to become of a connection.
#[derive(Debug, Default)]
struct Faults {
    next: Mutex<Option<SocketFault>>,
    /// What was written is to be sent, then FIN.
    cut: AtomicBool,
    /// The task that reads the connection.
    reader: Mutex<Option<Waker>>,
    /// The requests under way are to end, and no other begins.
    farewell: Notify,
}

/// A fault of an answer that shares its connection with others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AnswerFault {
    /// The head and this many bytes of the body, then the end of the connection.
    Cut(usize),
    /// The end of the connection after the answer.
    Last,
}

impl ConnectionHandle {
    /// The connection of a request; none if it was not received by a socket of the mock.
    pub(crate) fn of(extensions: &http::Extensions) -> Option<Self> {
        let found = extensions.get::<ConnectInfo<Self>>();
        found.map(|ConnectInfo(handle)| handle.clone())
    }

    /// The handle of another request on the same connection of HTTP/2.
    pub(crate) fn of_one_stream(&self) -> Self {
        Self {
            faults: self.faults.clone(),
            answer: Some(Arc::default()),
        }
    }

    /// Makes the socket act on the next answer. Call it before the answer is passed to the server, which then writes it.
    pub(crate) fn inject(&self, fault: SocketFault) {
        let answer_fault = match (&self.answer, &fault) {
            (None, _) | (_, SocketFault::Reset | SocketFault::Garbage(_)) => None,
            (Some(answer), SocketFault::Cut(body)) => Some((answer, AnswerFault::Cut(*body))),
            (Some(answer), SocketFault::Drip(_)) => Some((answer, AnswerFault::Last)),
        };
        if let Some((answer, fault)) = answer_fault {
            *lock(answer) = Some(fault);
        }
        if !matches!(answer_fault, Some((_, AnswerFault::Cut(_)))) {
            *lock(&self.faults.next) = Some(fault);
            self.wake();
        }
    }

    fn take(&self) -> Option<SocketFault> {
        lock(&self.faults.next).take()
    }

    /// The fault of this request's own answer.
    pub(crate) fn answer_fault(&self) -> Option<AnswerFault> {
        lock(self.answer.as_ref()?).take()
    }

    /// Ends the connection after what was written so far.
    pub(crate) fn cut(&self) {
        self.faults.cut.store(true, Ordering::Release);
        self.wake();
    }

    /// Ends the connection after the requests that are under way.
    pub(crate) fn say_farewell(&self) {
        self.faults.farewell.notify_one();
    }

    pub(crate) async fn farewell(&self) {
        self.faults.farewell.notified().await;
    }

    fn wake(&self) {
        if let Some(reader) = lock(&self.faults.reader).take() {
            reader.wake();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A socket that acts out the fault that was injected through its [`ConnectionHandle`]. It writes no vectors, so that head and body
/// come in one buffer, in order.
#[derive(Debug)]
pub(crate) struct FaultStream {
    stream: Stream,
    handle: ConnectionHandle,
    connection: Arc<Connection>,
    http2: bool,
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
    /// What HTTP/2 has to send is to be sent, then FIN.
    LastFlush,
    /// HTTP/2: the mock's end is closed. Nothing is written, and what arrives is dropped until the client has closed its end.
    Closed,
}

impl FaultStream {
    pub(crate) fn new(stream: Stream, connection: Arc<Connection>) -> Self {
        Self {
            http2: stream.speaks_http2(),
            stream,
            handle: ConnectionHandle::default(),
            connection,
            now: Now::Faultless,
        }
    }

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
                self.connection.slows(MAX_FAULT_TIME);
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
                self.now = match self.http2 {
                    true => return self.close(cx).map_ok(|()| buf.len()),
                    false => Now::Ending(None),
                };
            }
            Now::LastFlush => return Pin::new(stream).poll_write(cx, buf),
            Now::Closed => return Poll::Ready(Ok(buf.len())),
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

    /// Closes the mock's end.
    fn close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream.poll_cut(cx))?;
        self.now = Now::Closed;
        self.connection.says_farewell();
        Poll::Ready(Ok(()))
    }

    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.http2 {
            *lock(&self.handle.faults.reader) = Some(cx.waker().clone());
            // Before the read: what was to be sent before the cut will then be sent before the next flush.
            if self.handle.faults.cut.swap(false, Ordering::Acquire) {
                self.now = Now::LastFlush;
            }
        }
        while matches!(self.now, Now::Closed) {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            if buf.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            buf.set_filled(before);
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
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
        match self.now {
            Now::LastFlush => self.close(cx),
            Now::Closed => Poll::Ready(Ok(())),
            _ => Pin::new(&mut self.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncRead for FaultStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(this.read(cx, buf))?;
        if !this.http2 && buf.filled().len() > before {
            this.connection.receives();
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    use tokio::net::{TcpListener, TcpStream};

    use crate::net::connections::Connections;
    use crate::net::tls::Socket;

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
            let (stream, _) = listener.accept().await.expect("a connection");
            let entry = Connections::new(Default::default()).enter();
            let socket = Socket::new(stream, entry.connection.clone());
            let stream = Stream::new(socket, None).await.expect("no handshake");
            let mut stream = FaultStream::new(stream, entry.connection.clone());
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
