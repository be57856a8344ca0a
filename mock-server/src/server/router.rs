//! The routes: pages and control plane by name, everything else is the data plane's.

use std::convert::Infallible;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::extract::{OriginalUri, Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use axum::{Router, middleware};
use bytes::{Bytes, BytesMut};
use http::header::{DATE, HOST};
use http::{HeaderMap, HeaderValue, Uri};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use crate::control;
use crate::html::page;
use crate::intercept::faults::Faults;
use crate::intercept::gates::Gates;
use crate::journal::notifier::Bell;
use crate::net::addressing::{Reach, is_plain_host};
use crate::net::socket::Line;
use crate::oauth::context::{BODY_LIMIT, Body, Incoming};
use crate::pages::dashboard;
use crate::pages::{consent, device};
use crate::protocol::response::Reply;
use crate::state::World;
use crate::state::settings::Settings;
use crate::time::clock::ClockHandle;
use crate::world::pipeline;

/// Bytes of an oversized body that are read and dropped, so that a client that is still sending
/// gets to see the answer.
pub(crate) const DRAIN_LIMIT: usize = 16 * 1024 * 1024;

/// The base URL of a mock without a socket.
pub(crate) const NOWHERE: &str = "http://localhost";

#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    /// The world's; it stays the same one.
    clock: ClockHandle,
    /// Of the newest answer: its second, and how the header says it.
    date: Mutex<Option<(u64, HeaderValue)>>,
    pub(crate) gates: Arc<Gates>,
    pub(crate) faults: Arc<Faults>,
    /// The journal's, so that nobody waits while holding the world's lock.
    pub(crate) bell: Arc<Bell>,
    /// How many worlds the mock has; kept by them.
    pub(crate) worlds: OnceLock<Arc<AtomicUsize>>,
    /// Where it is below the mock's root: empty, or `/t/{name}`.
    pub(crate) mount: String,
    /// Scheme, host, port and mount; set once the mock listens, if there is no public URL.
    pub(crate) base_url: OnceLock<String>,
    pub(crate) reach: Arc<Reach>,
}

impl Shared {
    pub(crate) fn new(world: World, mount: String) -> Arc<Self> {
        let reach = world.settings.reach.clone();
        let public = reach.public_url.as_ref();
        let base_url = public.map(|url| OnceLock::from(format!("{url}{mount}")));
        let faults = Faults::new(world.settings.seed);
        faults.configure(&world.settings.faults);
        Arc::new(Self {
            faults,
            base_url: base_url.unwrap_or_default(),
            reach,
            bell: world.journal.bell.clone(),
            clock: world.settings.clock.clone(),
            date: Mutex::default(),
            world: Mutex::new(world),
            gates: Arc::default(),
            worlds: OnceLock::new(),
            mount,
        })
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is held goes on last, so that it acts on the new world.
    pub(crate) fn reset(&self) {
        self.world().reset();
        self.let_go();
        self.faults.configure(&self.world().settings.faults);
    }

    /// See [`World::reload`].
    pub(crate) fn reload(&self, settings: &Settings) {
        self.world().reload(settings);
        self.faults.configure(&settings.faults);
    }

    /// Whoever waits in this world, at a gate, in a fault or for a request, waits no longer.
    pub(crate) fn let_go(&self) {
        self.faults.reset();
        self.gates.open_all();
        self.bell.end();
    }

    /// Nobody waits in this world from now on.
    pub(crate) fn end(&self) {
        self.gates.end();
        self.faults.end();
        self.let_go();
    }

    /// Whether a request waits.
    pub(crate) fn holds(&self) -> bool {
        self.gates.holds() || self.faults.holds()
    }

    /// By the mock's clock, as a server's date goes by its own; so answers of a frozen clock are the same in every start.
    fn date(&self, response: &mut Response) {
        let now_s = self.clock.unix_ms() / 1000;
        let mut newest = self.date.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.as_ref().is_none_or(|(second, _)| *second != now_s) {
            *newest = date(now_s).map(|date| (now_s, date));
        }
        if let Some((_, date)) = &*newest {
            response.headers_mut().insert(DATE, date.clone());
        }
    }

    pub(crate) fn base_url(&self) -> &str {
        self.base_url.get().map_or(NOWHERE, String::as_str)
    }
}

fn date(unix_s: u64) -> Option<HeaderValue> {
    let at = Timestamp::from_second(i64::try_from(unix_s).ok()?).ok()?;
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&at);
    HeaderValue::from_str(&date.ok()?).ok()
}

/// A path and what is done at it.
pub(crate) type Route<S> = (&'static str, MethodRouter<S>);

pub(crate) fn routed<S>(routes: impl IntoIterator<Item = Route<S>>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let each = routes.into_iter();
    each.fold(Router::new(), |router, (path, methods)| {
        router.route(path, methods)
    })
}

/// For people.
pub(crate) fn routes() -> impl IntoIterator<Item = Route<Arc<Shared>>> {
    [
        ("/oauth/consent", get(consent).post(decide_consent)),
        ("/oauth/device-activation", get(device).post(decide_device)),
    ]
}

/// The routes of one world.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    routed(routes())
        .merge(dashboard::router(&shared.reach))
        .nest("/_mock/v1", control::router(&shared.reach))
        .fallback(routed_data)
        .layer(middleware::map_response_with_state(shared.clone(), dated))
        .with_state(shared)
}

async fn dated(State(shared): State<Arc<Shared>>, mut response: Response) -> Response {
    shared.date(&mut response);
    response
}

pub(crate) fn into_response(reply: Reply) -> Response {
    reply.map(axum::body::Body::from)
}

/// Whether neither a page nor the control plane can be there, so that the router need not be asked.
pub(crate) fn is_data(path: &str) -> bool {
    !path.starts_with("/_mock") && !path.starts_with("/oauth/")
}

/// A request to the data plane of this world; `line` is the connection on which it came, if it is one of the mock's
/// own. It never fails: this is what a service gives.
pub(crate) fn data(
    shared: Arc<Shared>,
    request: Request,
    line: Option<Line>,
) -> impl Future<Output = Result<Response, Infallible>> {
    let (parts, body) = request.into_parts();
    let original = parts.extensions.get::<OriginalUri>();
    let original = original.map_or(&parts.uri, |original| &original.0);
    let mut incoming = Incoming {
        base: base(&shared, &parts.headers, original, parts.uri.path()),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        method: parts.method,
        headers: parts.headers,
        // Until it is read.
        body: Body::Broken,
    };
    async move {
        incoming.body = read(body).await;
        let reply = pipeline::serve(&shared, &incoming, line.as_ref()).await;
        let mut response = into_response(reply);
        shared.date(&mut response);
        Ok(response)
    }
}

async fn routed_data(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Infallible> {
    let line = Line::of(request.extensions());
    data(shared, request, line).await
}

pub(crate) async fn read(mut body: axum::body::Body) -> Body {
    let mut whole = BytesMut::new();
    let mut length: usize = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Body::Broken;
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length = length.saturating_add(data.len());
        if length <= BODY_LIMIT && whole.is_empty() && body.is_end_stream() {
            return Body::Whole(data);
        }
        if length <= BODY_LIMIT {
            whole.extend_from_slice(&data);
        }
        if length > DRAIN_LIMIT {
            break;
        }
    }
    match length > BODY_LIMIT {
        true => Body::TooLong,
        false => Body::Whole(whole.freeze()),
    }
}

/// Scheme, host and mount point: the public URL, or what a trusted proxy says, or what the client wrote, so that
/// what it is sent back fits.
pub(crate) fn base(shared: &Shared, headers: &HeaderMap, original: &Uri, path: &str) -> String {
    if shared.reach.public_url.is_some() {
        return shared.base_url().to_owned();
    }
    let seen = shared.reach.forwarded(headers);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| original.authority().map(http::uri::Authority::as_str));
    let host = seen.host.as_deref().or(host);
    let mount = original.path().strip_suffix(path).unwrap_or("");
    match host.filter(|host| is_plain_host(host)) {
        Some(host) => {
            let scheme = seen
                .scheme
                .or_else(|| original.scheme_str())
                .unwrap_or_else(|| shared.reach.scheme());
            [scheme, "://", host, &seen.prefix, mount].concat()
        }
        // The address of the socket has the mount already.
        None => match shared.base_url.get() {
            Some(url) => url.clone(),
            None => format!("{}{mount}", shared.base_url()),
        },
    }
}

pub(crate) async fn form(request: Request) -> Bytes {
    match read(request.into_body()).await {
        Body::Whole(form) => form,
        Body::TooLong | Body::Broken => Bytes::new(),
    }
}

async fn consent(State(shared): State<Arc<Shared>>, headers: HeaderMap, uri: Uri) -> Response {
    let reply = consent::consent(&shared.world(), &headers, uri.query().unwrap_or(""));
    page::log(&http::Method::GET, uri.path(), reply.status());
    into_response(reply)
}

async fn decide_consent(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let headers = request.headers().clone();
    let form = form(request).await;
    let reply = consent::decide_consent(&mut shared.world(), &headers, &form);
    page::log(&http::Method::POST, &path, reply.status());
    into_response(reply)
}

async fn device(State(shared): State<Arc<Shared>>, headers: HeaderMap, uri: Uri) -> Response {
    let reply = device::device(&shared.world(), &headers, uri.query().unwrap_or(""));
    page::log(&http::Method::GET, uri.path(), reply.status());
    into_response(reply)
}

async fn decide_device(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let headers = request.headers().clone();
    let form = form(request).await;
    let reply = device::decide_device(&mut shared.world(), &headers, &form);
    page::log(&http::Method::POST, &path, reply.status());
    into_response(reply)
}
