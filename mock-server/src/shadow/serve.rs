//! The shadow's socket: requests to its base, and tunnels to the upstream's hosts (`CONNECT`), in which it speaks TLS with a
//! certificate of its own CA.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::control;
use super::facts::Facts;
use super::judge::Judge;
use super::pass::{Lines, Outgoing, Way, pass, whole};
use super::record::Recorder;
use super::refusal::Refusal;
use super::upstream::Upstream;
use crate::limits::{MAX_HEAD, SHADOW_ANSWER_TIME, SHADOW_CONNECTIONS};
use crate::net::connections::{ConnectionLimits, Connections, Entry};
use crate::net::tls::{Socket, Tls};
use crate::server::answer::Answer;
use crate::server::serve::Trouble;
use crate::time::clock::ClockHandle;

/// How many connections the shadow has, and how long it waits for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For programs.
    pub(crate) connections: ConnectionLimits,
    /// For the upstream: until the head of its answer, and between the parts of a body.
    pub(crate) answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let connections = ConnectionLimits {
            connections: SHADOW_CONNECTIONS,
            ..ConnectionLimits::default()
        };
        Self {
            connections,
            answer: SHADOW_ANSWER_TIME,
        }
    }
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) upstream: Upstream,
    pub(crate) tunnel_tls: TlsAcceptor,
    pub(crate) ca_pem: String,
    pub(crate) clock: ClockHandle,
    connections: Connections,
    /// For each part of a body of a client.
    pub(crate) body_time: Duration,
    /// For the upstream's answer, and for each part of its body.
    pub(crate) answer_time: Duration,
    /// Assertions for another host are passed on.
    pub(crate) any_audience: bool,
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
        (records, limits): (bool, Limits),
        any_audience: bool,
    ) -> Self {
        let api = upstream.api.clone();
        Self {
            upstream,
            tunnel_tls: tls.http1(),
            ca_pem: tls.ca_pem.clone().unwrap_or_default(),
            clock,
            connections: Connections::new(limits.connections),
            body_time: limits.connections.body,
            answer_time: limits.answer,
            any_audience,
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

/// A connection of a client, and what all share.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) shared: Arc<Shared>,
    pub(crate) entry: Arc<Entry>,
}

/// Where a connection leads on after `CONNECT`: to this one of the upstream's hosts.
type Tunnel = Arc<Mutex<Option<(OnUpgrade, usize)>>>;

fn lock(tunnel: &Tunnel) -> MutexGuard<'_, Option<(OnUpgrade, usize)>> {
    tunnel.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers connections until the sender of `stopped` is gone.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<()>,
) {
    let mut trouble = Trouble::default();
    loop {
        let accepted = async {
            match listener.accept().await {
                Ok((stream, _)) => {
                    if shared.connections.room().await {
                        trouble.tell("there are too many connections");
                    }
                    Some(stream)
                }
                // The process, or the machine, has as many open files as it may have.
                Err(error) => {
                    trouble.tell(&error.to_string());
                    shared.connections.evict_one().await;
                    None
                }
            }
        };
        let stream = tokio::select! {
            stream = accepted => stream,
            _ = stopped.changed() => return,
        };
        let Some(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        let held = Held {
            shared: shared.clone(),
            entry: Arc::new(shared.connections.enter()),
        };
        let served = held.entry.connection.clone();
        let mut stopped = stopped.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = connection(stream, held) => {}
                _ = stopped.changed() => {}
            }
        });
        served.served_by(task.abort_handle());
    }
}

/// Serves a connection, and the tunnel that it may become.
async fn connection(stream: TcpStream, held: Held) {
    let connection = held.entry.connection.clone();
    let tunnel = Tunnel::default();
    let socket = Socket::new(stream, connection.clone());
    requests(socket, Way::Base, &held, &tunnel).await;
    let Some((upgraded, site)) = lock(&tunnel).take() else {
        return;
    };
    let Ok(stream) = upgraded.await else { return };
    connection.shakes_hands();
    let accepted = held.shared.tunnel_tls.accept(TokioIo::new(stream));
    match accepted.await {
        Ok(stream) => {
            connection.has_shaken_hands();
            requests(stream, Way::Tunnel(site), &held, &tunnel).await;
        }
        // Often the client's own alert: it does not trust the shadow's CA.
        Err(error) => tracing::warn!("TLS handshake in a tunnel failed: {error}"),
    }
}

/// Answers the requests of a connection or of a tunnel. An error is the client's, and nobody is left to be told.
async fn requests<S>(stream: S, way: Way, held: &Held, tunnel: &Tunnel)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let lines = Arc::new(Lines::default());
    let service = service_fn(|request: Request<Incoming>| {
        let (held, lines, tunnel) = (held.clone(), lines.clone(), tunnel.clone());
        async move {
            let under_way = held.entry.connection.begin();
            let answer = match *request.method() {
                Method::CONNECT => open(request, way, &held.shared, &tunnel),
                _ if way == Way::Base && control::is_at(request.uri().path()) => {
                    control::answer(&held.shared, &request).map(whole)
                }
                _ => pass(held, lines, way, request).await,
            };
            let answer = answer.map(|body| Answer::new(body, None, under_way, Version::HTTP_11));
            Ok::<_, Infallible>(answer)
        }
    });
    let _ = http1::Builder::new()
        .max_header_size(MAX_HEAD)
        // The time limits are the connection's.
        .header_read_timeout(None)
        .preserve_header_case(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

/// Opens a tunnel to one of the upstream's hosts.
fn open(
    request: Request<Incoming>,
    way: Way,
    shared: &Shared,
    tunnel: &Tunnel,
) -> Response<Outgoing> {
    let to = request
        .uri()
        .authority()
        .map_or("", http::uri::Authority::as_str);
    let has_port = request.uri().port().is_some();
    let sites = shared.upstream.sites();
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
    *lock(tunnel) = Some((hyper::upgrade::on(request), site));
    Response::new(whole(Bytes::new()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::shadow::Shadow;

    /// Of real time, so that a test that waits for nothing fails and does not hang.
    const GUARD: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(300);
    const TOKEN: &str = "POST /api/permission/oauth2/token";
    const CHAT: &str = "POST /v3/chat";

    /// An upstream, and a shadow that has these limits.
    async fn shadow(limit: impl FnOnce(&mut Limits)) -> (TcpListener, Shadow) {
        let upstream = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", upstream.local_addr().expect("an address"));
        let mut builder = Shadow::builder(&url);
        limit(&mut builder.limits);
        (upstream, builder.start().await.expect("a shadow"))
    }

    async fn client(shadow: &Shadow, sent: &str) -> TcpStream {
        let own = shadow.base_url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(own).await.expect("the shadow");
        stream.write_all(sent.as_bytes()).await.expect("sent");
        stream
    }

    fn request(what: &str, length: usize) -> String {
        format!("{what} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{{}}")
    }

    /// What arrives until the shadow closes the connection.
    async fn rest(mut stream: TcpStream) -> String {
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        // A connection that is cut off may be reset.
        let _ = tokio::time::timeout(GUARD, read).await.expect("an end");
        String::from_utf8(bytes).expect("a text")
    }

    /// What arrives until it ends like this.
    async fn answer(stream: &mut TcpStream, end: &str) -> String {
        let mut bytes = Vec::new();
        let read = async {
            while !bytes.ends_with(end.as_bytes()) {
                bytes.push(stream.read_u8().await.expect("an answer"));
            }
        };
        let read = tokio::time::timeout(GUARD, read).await;
        let text = String::from_utf8(bytes).expect("a text");
        read.unwrap_or_else(|_| panic!("only {text:?}"));
        text
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_more_is_not_waited_for() {
        let (_upstream, shadow) = shadow(|limits| {
            limits.connections.head = SHORT;
            limits.connections.idle = SHORT;
            limits.connections.body = SHORT;
        })
        .await;
        for sent in ["", "POST /api"] {
            assert_eq!(rest(client(&shadow, sent).await).await, "", "{sent}");
        }
        let body = rest(client(&shadow, &request(TOKEN, 99)).await).await;
        assert!(body.contains("x-mock-shadow: body\r\n"), "{body}");
        assert!(body.contains("nothing was sent"), "{body}");
        // It was answered, and does not ask again.
        let report = "GET /_mock/v1/shadow HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let report = rest(client(&shadow, report).await).await;
        assert!(report.starts_with("HTTP/1.1 200 "), "{report}");
    }

    #[tokio::test]
    async fn a_body_that_is_passed_on_may_not_stop_for_long() {
        let (upstream, shadow) = shadow(|limits| limits.connections.body = SHORT).await;
        let mut client = client(&shadow, &request(CHAT, 99)).await;
        let (mut server, _) = upstream.accept().await.expect("a connection");
        assert!(answer(&mut server, "{}").await.starts_with(CHAT));
        let refused = answer(&mut client, "}").await;
        assert!(refused.contains("x-mock-shadow: body\r\n"), "{refused}");
        assert!(refused.contains("what had arrived was sent"), "{refused}");
        assert_eq!(rest(server).await, "");
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_not_waited_for() {
        let (upstream, shadow) = shadow(|limits| limits.connections.answer = SHORT).await;
        let _client = client(&shadow, &request(CHAT, 2)).await;
        let (mut server, _) = upstream.accept().await.expect("a connection");
        answer(&mut server, "{}").await;
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        server.write_all(head.as_bytes()).await.expect("sent");
        let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, "a".repeat(64 * 1024));
        let all = async { while server.write_all(chunk.as_bytes()).await.is_ok() {} };
        let ended = tokio::time::timeout(GUARD, all).await;
        ended.expect("the shadow ends both connections");
    }

    #[tokio::test]
    async fn the_connection_that_was_silent_for_longest_makes_room() {
        let (_upstream, shadow) = shadow(|limits| limits.connections.connections = 2).await;
        let silent = client(&shadow, "").await;
        let _other = client(&shadow, "").await;
        let report = "GET /_mock/v1/shadow HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let mut third = client(&shadow, report).await;
        let report = answer(&mut third, "}").await;
        assert!(report.starts_with("HTTP/1.1 200 "), "{report}");
        assert_eq!(rest(silent).await, "");
    }

    /// The client is told, and one that has gone is not forgotten: as long as the upstream is waited for, its place is taken.
    #[tokio::test]
    async fn an_upstream_that_does_not_answer_is_waited_for_so_long() {
        let (upstream, shadow) = shadow(|limits| {
            limits.answer = 4 * SHORT;
            limits.connections.connections = 1;
        })
        .await;
        let begun = std::time::Instant::now();
        let gone = client(&shadow, &request(TOKEN, 2)).await;
        let (mut server, _) = upstream.accept().await.expect("a connection");
        answer(&mut server, "{}").await;
        drop(gone);
        let mut second = client(&shadow, &request(TOKEN, 2)).await;
        let (mut other, _) = upstream.accept().await.expect("a connection");
        assert!(begun.elapsed() >= 4 * SHORT, "{:?}", begun.elapsed());
        answer(&mut other, "{}").await;
        let told = answer(&mut second, "}").await;
        assert!(told.starts_with("HTTP/1.1 504 "), "{told}");
        assert!(told.contains("x-mock-shadow: late\r\n"), "{told}");
        assert!(told.contains("does not send it again"), "{told}");
        assert_eq!(shadow.report()["without_answer"], 2);
    }
}
