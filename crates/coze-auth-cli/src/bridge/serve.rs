//! The sockets: limits, time limits, and an end that cuts off no request.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

use super::client::Client;
use super::log::Writer;
use super::{Shared, routes};
use crate::failure::Failure;
use crate::interrupts;

/// At once. Each has a file of the process, of which 1,024 are usual, and one to Coze while it asks.
const MOST_CONNECTIONS: usize = 480;
/// Of those that go to Coze, at once: the connections to Coze are as many.
const MOST_REQUESTS: usize = 256;
/// In bytes: request line and headers. An authorize request with a long state is the longest.
const LONGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;
/// How long a client may take for a head, and how long a connection may be silent.
const HEAD_TIME: Duration = Duration::from_secs(15);

/// Answers until a signal, and then ends when all requests under way are answered, or after `drain`.
pub(super) async fn serve(
    listener: TcpListener,
    shared: Shared,
    writer: &Writer,
    drain: Duration,
) -> Result<(), Failure> {
    let shared = Arc::new(shared);
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let requests = Arc::new(Semaphore::new(MOST_REQUESTS));
    let (stop, stops) = watch::channel(());
    let (end, mut ended) = mpsc::channel::<Infallible>(1);
    let mut signalled = pin!(signalled());
    loop {
        let accepted = async {
            // Those that wait for a place are kept by the system.
            let place = connections.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut signalled => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let one = one(stream, shared.clone(), requests.clone(), stops.clone());
                let end = end.clone();
                tokio::spawn(async move {
                    one.await;
                    drop((place, end));
                });
            }
            // The process or the machine has as many open files as it may have: some end soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    shared.log.say(
        "ending: no new connection is taken, and requests under way are answered; once more to end at once",
    );
    drop((listener, stop, end));
    if tokio::time::timeout(drain, ended.recv()).await.is_err() {
        shared.log.say(format_args!(
            "some requests were not answered within {} s, and are cut off",
            drain.as_secs()
        ));
    }
    shared.log.end(writer);
    Ok(())
}

/// Serves one connection.
async fn one(
    stream: TcpStream,
    shared: Arc<Shared>,
    requests: Arc<Semaphore>,
    mut stops: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let (shared, requests) = (shared.clone(), requests.clone());
        async move { Ok::<_, Infallible>(routes::answer(&shared, &requests, request).await) }
    });
    let mut serving = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            // Who has said all waits for the answer still.
            .half_close(true)
            .max_header_size(LONGEST_HEAD)
            .max_headers(MOST_HEADERS)
            .serve_connection(TokioIo::new(Client::new(stream)), service)
    );
    // An error is the client's, and nobody is left to be told.
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = stops.changed() => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}

/// Resolves at the first signal.
async fn signalled() {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        interrupts::cancel().wait();
        let _ = tell.send(());
    });
    let _ = told.await;
}
