//! Accepts connections, and serves HTTP on them: HTTP/1.1, and over TLS also HTTP/2 for clients that choose it (ALPN).

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::service::{Connection, MakeConnection};
use crate::limits::{
    CONNECTION_WINDOW, MAX_ERROR_STREAMS, MAX_HEAD, MAX_RESET_STREAMS, MAX_STREAMS, STREAM_WINDOW,
};
use crate::net::connections::Entry;
use crate::net::port::Port;
use crate::net::socket::FaultStream;
use crate::net::tls::{Socket, Stream, Tls};

/// Answers the connections of `port` until `stopped`, and returns when the requests that are under way then have ended.
pub(crate) async fn serve(
    port: Port,
    tls: Option<Arc<Tls>>,
    make: MakeConnection,
    stopped: impl Future<Output = ()>,
) {
    let (stop, stops) = watch::channel(());
    let (end, mut ended) = mpsc::channel::<Infallible>(1);
    let mut stopped = pin!(stopped);
    let mut trouble = Trouble::default();
    loop {
        let accepted = async {
            match port.accept().await {
                Ok(stream) => {
                    if make.connections.room().await {
                        trouble.tell("there are too many connections");
                    }
                    Some(stream)
                }
                // The process, or the machine, has as many open files as it may have.
                Err(error) => {
                    trouble.tell(&error.to_string());
                    make.connections.evict_one().await;
                    None
                }
            }
        };
        let stream = tokio::select! {
            stream = accepted => stream,
            () = &mut stopped => break,
        };
        if let Some(stream) = stream {
            let entry = make.connections.enter();
            let connection = entry.connection.clone();
            let task = one(
                stream,
                tls.clone(),
                entry,
                make.clone(),
                stops.clone(),
                end.clone(),
            );
            connection.served_by(tokio::spawn(task).abort_handle());
        }
    }
    drop((port, stop, end));
    ended.recv().await;
}

/// Why connections are ended to accept others, told once a minute.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Option<Instant>);

impl Trouble {
    pub(crate) fn tell(&mut self, why: &str) {
        let recently = |told: &Instant| told.elapsed() < Duration::from_secs(60);
        if self.0.as_ref().is_some_and(recently) {
            return;
        }
        self.0 = Some(Instant::now());
        tracing::warn!(
            "{why}: the connections that have been silent for longest are ended, so that others are answered"
        );
    }
}

/// Serves one connection. `_end` is dropped when it has ended.
async fn one(
    stream: TcpStream,
    tls: Option<Arc<Tls>>,
    entry: Entry,
    make: MakeConnection,
    mut stops: watch::Receiver<()>,
    _end: mpsc::Sender<Infallible>,
) {
    let connection = entry.connection.clone();
    if tls.is_some() {
        connection.shakes_hands();
    }
    let socket = Socket::new(stream, connection.clone());
    let stream = tokio::select! {
        stream = Stream::new(socket, tls.as_deref()) => stream,
        _ = stops.changed() => return,
    };
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) => {
            // Often the client's own alert: it does not trust the CA, or it sent plain HTTP.
            tracing::warn!("TLS handshake failed: {error}");
            return;
        }
    };
    connection.has_shaken_hands();
    let http2 = stream.speaks_http2();
    let stream = FaultStream::new(stream, connection.clone());
    let handle = stream.handle();
    let service = Connection {
        handle: handle.clone(),
        connection,
        made_by: make,
    };
    // An error is the client's, or a fault's, and nobody is left to be told.
    if http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .max_concurrent_streams(MAX_STREAMS)
            .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
            .max_local_error_reset_streams(MAX_ERROR_STREAMS)
            .max_header_list_size(MAX_HEAD as u32)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            _ = serving.as_mut() => return,
            _ = stops.changed() => {}
            () = handle.farewell() => {}
        }
        serving.as_mut().graceful_shutdown();
        let _ = serving.await;
    } else {
        let mut builder = http1::Builder::new();
        builder
            .max_header_size(MAX_HEAD)
            // The time limit is the connection's, since the caller's runtime may have no timer.
            .header_read_timeout(None);
        let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            _ = serving.as_mut() => return,
            _ = stops.changed() => {}
        }
        serving.as_mut().graceful_shutdown();
        let _ = serving.await;
    }
    drop(entry);
}
