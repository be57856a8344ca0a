//! The shadow's socket: requests to its base, and tunnels to the upstream's hosts (`CONNECT`), in which it speaks TLS with a
//! certificate of its own CA.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::control;
use super::facts::Facts;
use super::judge::Judge;
use super::pass::{Lines, Outgoing, Way, pass, whole};
use super::record::Recorder;
use super::refusal::Refusal;
use super::upstream::Upstream;
use crate::limits::{MAX_HANDSHAKE_TIME, MAX_HEAD, MAX_IDLE_TIME, SHADOW_CONNECTIONS};
use crate::net::tls::Tls;
use crate::time::clock::ClockHandle;

/// How long the listener waits after an error, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) upstream: Upstream,
    pub(crate) tunnel_tls: TlsAcceptor,
    pub(crate) ca_pem: String,
    pub(crate) clock: ClockHandle,
    judge: Mutex<Judge>,
    /// None if no record is wanted: then nothing of an exchange is kept as it was.
    recorder: Option<Mutex<Recorder>>,
}

impl Shared {
    pub(crate) fn new(
        upstream: Upstream,
        tls: &Tls,
        clock: ClockHandle,
        facts: Facts,
        records: bool,
    ) -> Self {
        let api = upstream.api.clone();
        Self {
            upstream,
            tunnel_tls: tls.http1(),
            ca_pem: tls.ca_pem.clone().unwrap_or_default(),
            clock,
            judge: Mutex::new(Judge::new(facts, api)),
            recorder: records.then(Mutex::default),
        }
    }

    pub(crate) fn recorder(&self) -> Option<MutexGuard<'_, Recorder>> {
        let recorder = self.recorder.as_ref()?;
        Some(recorder.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection holds while it lasts.
#[derive(Clone)]
struct Held {
    shared: Arc<Shared>,
    stopped: watch::Receiver<()>,
    _place: Arc<OwnedSemaphorePermit>,
}

/// Answers connections until the sender of `stopped` is gone.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(SHADOW_CONNECTIONS));
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped.changed() => return,
        };
        let (Ok(place), Ok((stream, _))) = (place, stream) else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let held = Held {
            shared: shared.clone(),
            stopped: stopped.clone(),
            _place: Arc::new(place),
        };
        tokio::spawn(connection(stream, Way::Base, held));
    }
}

/// Serves HTTP/1.1 on a connection or in a tunnel. An error is the client's, and nobody is left to be told.
async fn connection<S>(stream: S, way: Way, held: Held)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let lines = Arc::new(Lines::default());
    let mut stopped = held.stopped.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (held, lines) = (held.clone(), lines.clone());
        async move {
            let answer = match *request.method() {
                Method::CONNECT => tunnel(request, way, held),
                _ if way == Way::Base && control::is_at(request.uri().path()) => {
                    control::answer(&held.shared, &request).map(whole)
                }
                _ => pass(held.shared, lines, way, request).await,
            };
            Ok::<_, Infallible>(answer)
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(MAX_IDLE_TIME)
        .max_header_size(MAX_HEAD)
        .preserve_header_case(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        _ = serving => {}
        _ = stopped.changed() => {}
    }
}

/// Opens a tunnel to one of the upstream's hosts.
fn tunnel(request: Request<Incoming>, way: Way, held: Held) -> Response<Outgoing> {
    let to = request
        .uri()
        .authority()
        .map_or("", http::uri::Authority::as_str);
    let has_port = request.uri().port().is_some();
    let sites = held.shared.upstream.sites();
    let site = sites.iter().position(|site| site.has_tls() && site.is(to));
    let Some(site) = site.filter(|_| way == Way::Base && has_port) else {
        let refusal = Refusal::Tunnel;
        tracing::warn!(
            method = "CONNECT",
            refused = refusal.name(),
            "{}",
            refusal.text()
        );
        return refusal.answer().map(whole);
    };
    tokio::spawn(async move {
        let Ok(stream) = hyper::upgrade::on(request).await else {
            return;
        };
        let accepted = held.shared.tunnel_tls.accept(TokioIo::new(stream));
        match timeout(MAX_HANDSHAKE_TIME, accepted).await {
            Ok(Ok(stream)) => Box::pin(connection(stream, Way::Tunnel(site), held)).await,
            // Often the client's own alert: it does not trust the shadow's CA.
            Ok(Err(error)) => tracing::warn!("TLS handshake in a tunnel failed: {error}"),
            Err(_) => tracing::warn!("TLS handshake in a tunnel took too long"),
        }
    });
    Response::new(whole(Bytes::new()))
}
