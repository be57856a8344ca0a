//! A running mock, as a test sees it.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;
use tower::ServiceExt as _;
use url::Url;

use crate::builder::Builder;
use crate::clock::ClockHandle;
use crate::device::{self, DeviceAction, NotWaiting};
use crate::drive::{self, Refused};
use crate::gates::{At, Gate, On};
use crate::journal::{Explanation, JournalEntry};
use crate::router::{self, Shared};
use crate::world::{Consent, Settings, World};
use crate::{banner, control};

/// A mock Coze auth server. Dropping it stops it.
#[derive(Debug)]
pub struct CozeAuthMock {
    pub(crate) shared: Arc<Shared>,
    router: Router,
    clock: ClockHandle,
    listening: Option<Listening>,
}

#[derive(Debug)]
pub(crate) enum Listening {
    Task {
        stop: oneshot::Sender<()>,
        task: tokio::task::JoinHandle<()>,
    },
    Thread {
        stop: Option<oneshot::Sender<()>>,
        thread: Option<JoinHandle<()>>,
    },
}

impl Drop for Listening {
    fn drop(&mut self) {
        // A task sees its sender go. A thread is waited for, so that the port is free afterwards.
        if let Self::Thread { stop, thread } = self {
            drop(stop.take());
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

impl Drop for CozeAuthMock {
    fn drop(&mut self) {
        // Connections of a task end when their requests do.
        self.shared.gates.open_all();
    }
}

impl CozeAuthMock {
    /// The ready-made apps, every rule as Coze has it, the machine's clock, a random seed.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn new(settings: Settings) -> Self {
        let clock = settings.clock.clone();
        let shared = Shared::new(World::new(settings));
        Self {
            router: router::router(shared.clone()),
            shared,
            clock,
            listening: None,
        }
    }

    pub(crate) fn listening(mut self, bound: SocketAddr, listening: Listening) -> Self {
        self.shared
            .base_url
            .get_or_init(|| format!("http://{bound}"));
        self.listening = Some(listening);
        self
    }

    /// Scheme, host and port, without a trailing slash; `http://localhost` without a socket.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.shared.base_url()
    }

    /// The mock's clock.
    #[must_use]
    pub fn clock(&self) -> ClockHandle {
        self.clock.clone()
    }

    /// The ready-made apps and tokens, as `GET /_mock/v1/info` shows them.
    #[must_use]
    pub fn info(&self) -> serde_json::Value {
        control::describe(&self.shared, self.base_url())
    }

    /// What `export COZE_…=…` lines a client needs, one per line.
    #[must_use]
    pub fn environment(&self) -> String {
        banner::environment(&self.shared.world().apps, self.base_url(), None)
    }

    /// The block that the binary prints at its start.
    #[must_use]
    pub fn banner(&self) -> String {
        banner::banner(&self.shared.world(), self.base_url())
    }

    /// Every request to the data plane that the journal still has, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<JournalEntry> {
        self.shared.world().journal.iter().cloned().collect()
    }

    /// Why the request with this `X-Tt-Logid` was answered as it was; none if it is unknown.
    #[must_use]
    pub fn explain(&self, logid: &str) -> Option<Explanation> {
        let world = self.shared.world();
        world.journal.find(logid).map(JournalEntry::explain)
    }

    /// Does what a user would do on the consent page of `url` (an authorize URL, whatever its
    /// host), and returns the redirect that the browser would follow.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the mock refuses the authorize request, with the rule and the reason.
    pub fn authorize(&self, url: &str, approve: bool) -> Result<String, Refused> {
        let consent = if approve {
            Consent::Approve
        } else {
            Consent::Deny
        };
        // What is no URL is an unknown path, and refused as one.
        let url = Url::parse(url);
        let (path, query) = match &url {
            Ok(url) => (url.path(), url.query()),
            Err(_) => ("", None),
        };
        let world = &mut self.shared.world();
        drive::authorize(world, self.base_url(), path, query, consent)
    }

    /// Decides about a device code, as a user on the device page.
    ///
    /// # Errors
    ///
    /// [`NotWaiting`] if no device waits with this user code.
    pub fn device(&self, user_code: &str, action: DeviceAction) -> Result<(), NotWaiting> {
        let now_ms = self.clock.unix_ms();
        device::decide(&mut self.shared.world(), user_code, action, now_ms)
    }

    /// Kills an access token, refresh token, PAT or SAT. False: there is no such token.
    pub fn revoke(&self, token: &str) -> bool {
        self.shared.world().revoke(token)
    }

    /// Holds requests from now on, until the gate is opened or dropped; opens the gate that had
    /// this name.
    pub fn gate(&self, name: &str, on: On, at: At) -> Gate {
        self.shared.gates.set(name, on, at)
    }

    /// Forgets all codes, tokens and requests, starts the ids anew and opens all gates. The clock
    /// stays.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// The same mock as a router, to nest in another axum app.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Answers a request in memory, by the same code as over a socket.
    pub async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let request = request.map(axum::body::Body::from);
        let Ok(response) = self.router().oneshot(request).await;
        let (parts, body) = response.into_parts();
        // Our bodies are whole in memory, so reading them cannot fail.
        let body = body.collect().await.map(|body| body.to_bytes());
        Response::from_parts(parts, body.unwrap_or_default())
    }

    /// [`call`](Self::call) without a runtime; it blocks this thread until the answer is there.
    #[must_use]
    pub fn call_blocking(&self, request: Request<Bytes>) -> Response<Bytes> {
        block_on(self.call(request))
    }

    /// Opens all gates, takes no new connection, lets running requests end for at most three seconds, and stops.
    pub async fn stop(mut self) {
        self.shared.gates.open_all();
        let Some(listening) = self.listening.take() else {
            return;
        };
        // A thread is waited for by its drop.
        let mut listening = listening;
        if let Listening::Task { stop, task } = &mut listening {
            let (unused, _) = oneshot::channel();
            drop(std::mem::replace(stop, unused));
            let _ = tokio::time::timeout(Duration::from_secs(3), task).await;
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runtimes refuse to block inside one another; this works anywhere, and answers in memory need
/// neither sockets nor timers.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
