//! A running mock, as a test sees it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;
use tower::ServiceExt as _;

use super::banner;
use super::block_on::block_on;
use super::builder::Builder;
use super::failure_report::failure_report;
use super::listening::Listening;
use super::world::MockWorld;
use crate::error::SetupError;
use crate::limits::UNUSED_WORLD;
use crate::net::addressing::Addressing;
use crate::protocol::world_name::WorldNameError;
use crate::server::service::MakeConnection;
use crate::server::world_routing;
use crate::state::settings::Settings;
use crate::world::worlds::Worlds;

/// A mock Coze auth server. Dropping it stops it.
///
/// What it can do of itself is what its first world, at `/`, can do: see [`MockWorld`].
#[derive(Debug)]
pub struct CozeAuthMock {
    first: MockWorld,
    worlds: Arc<Worlds>,
    router: Router,
    listening: Option<Listening>,
    bound: Option<SocketAddr>,
}

impl Deref for CozeAuthMock {
    type Target = MockWorld;

    fn deref(&self) -> &MockWorld {
        &self.first
    }
}

impl Drop for CozeAuthMock {
    fn drop(&mut self) {
        // Captured with the rest of what the test has printed.
        if thread::panicking()
            && let Some(text) = failure_report(&self.worlds)
        {
            eprint!("{text}");
        }
        // Connections of a task end when their requests do.
        self.let_go();
    }
}

impl CozeAuthMock {
    /// The ready-made apps, every rule as Coze has it, the machine's clock, a random seed.
    ///
    /// [`Builder::toml`] reads a configuration.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn new(settings: Settings, addressing: Arc<Addressing>) -> Self {
        let worlds = Worlds::new(settings, addressing);
        Self {
            first: MockWorld::new(worlds.first()),
            router: world_routing::router(worlds.clone()),
            worlds,
            listening: None,
            bound: None,
        }
    }

    /// What is held goes on. A router without a socket may live on in another server.
    fn let_go(&self) {
        match self.bound {
            Some(_) => self.worlds.end(),
            None => self.worlds.let_go(),
        }
    }

    pub(crate) fn listening(mut self, bound: SocketAddr, listening: Listening) -> Self {
        self.worlds.listen_at(bound);
        self.bound = Some(bound);
        self.listening = Some(listening);
        self
    }

    /// Another world of this mock, under `/t/{name}`, made if it is not there: with apps, tokens, clock, journal
    /// gates and faults of its own, so that tests that run at once do not see each other. A new one starts with the
    /// mock's settings, its clock at the same time, and a seed made of the mock's seed and its name.
    ///
    /// # Errors
    ///
    /// [`WorldNameError`] if the name does not fit in a path.
    pub fn world(&self, name: &str) -> Result<MockWorld, WorldNameError> {
        self.worlds.named(name).map(MockWorld::new)
    }

    /// A world with settings of its own, made anew: one of that name is forgotten. It does not follow a
    /// [`reload`](Self::reload). Addresses and admin token are the mock's, whatever `builder` has; without a seed it
    /// is made of the mock's and the name.
    ///
    /// ```
    /// use coze_auth_mock::CozeAuthMock;
    ///
    /// let mock = CozeAuthMock::builder().build()?;
    /// let brief = CozeAuthMock::builder().toml("[ttl]\naccess = \"20s\"")?;
    /// let brief = mock.make_world("brief", brief)?;
    /// assert!(brief.base_url().ends_with("/t/brief"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SetupError`] as for [`Builder::build`], [`SetupError::WorldName`] if the name does not fit in a path.
    pub fn make_world(&self, name: &str, builder: Builder) -> Result<MockWorld, SetupError> {
        let seeded = builder.has_seed();
        let mut settings = builder.options()?.settings()?;
        if !seeded {
            settings.seed = self.worlds.settings(name).seed;
        }
        let made = self.worlds.make(name, settings, true, UNUSED_WORLD);
        made.map(MockWorld::new).map_err(SetupError::WorldName)
    }

    /// The block that the binary prints at its start.
    #[must_use]
    pub fn banner(&self) -> String {
        let scheme = self.world.addressing.scheme();
        let listening = self.bound.map(|bound| format!("{scheme}://{bound}"));
        banner::banner(
            &self.world,
            listening.as_deref().unwrap_or_else(|| self.base_url()),
        )
    }

    /// What `/_mock/v1` wants as Bearer credential; none if it wants none.
    #[must_use]
    pub fn admin_token(&self) -> Option<&str> {
        self.world.addressing.admin_token.as_deref()
    }

    /// The certificate of the CA that [`Builder::tls`] made, which a client has to trust; `GET /_mock/v1/ca.pem` gives
    /// the same.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.world.addressing.ca_pem()
    }

    /// Takes the apps, users, tokens, rules, answers, consent, lifetimes, accounts and enterprises of `builder`, in
    /// all worlds that have no settings of their own. What was issued stays, and so do clock, seed, limits and addresses.
    ///
    /// # Errors
    ///
    /// [`SetupError`] as for [`Builder::build`]; nothing has then changed.
    pub fn reload(&self, builder: Builder) -> Result<(), SetupError> {
        self.worlds.reload(&builder.options()?.settings()?);
        Ok(())
    }

    /// The same mock as a router, to nest in another axum app.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    pub(crate) fn make_connection(&self) -> MakeConnection {
        MakeConnection {
            worlds: self.worlds.clone(),
            router: self.router(),
        }
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

    /// Opens all gates, removes all faults, takes no new connection, lets running requests end for at most three seconds, and stops.
    pub async fn stop(mut self) {
        self.let_go();
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
