//! A running mock, as a test sees it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::banner;
use super::block_on::block_on;
use super::builder::Builder;
use super::failure_report::failure_report;
use super::listening::Listening;
use super::world::MockWorld;
use crate::error::SetupError;
use crate::limits::UNUSED_WORLD;
use crate::net::addressing::Addressing;
use crate::net::connections::{ConnectionLimits, Connections};
use crate::protocol::world_name::WorldError;
use crate::server::entrance;
use crate::server::port_server::PortServer;
use crate::server::service::MakeConnection;
use crate::server::{router, world_routing};
use crate::state::settings::Settings;
use crate::world::worlds::Worlds;

/// A mock Coze auth server. Dropping it stops it.
///
/// It dereferences to its first world, which is at `/`: see [`MockWorld`] for what a test can do with a world.
///
/// ```
/// use coze_auth_mock::CozeAuthMock;
///
/// let mock = CozeAuthMock::builder().build()?; // in memory; `start_blocking` listens
/// # let get = |mock: &CozeAuthMock, token: &str| {
/// #     let request = http::Request::get("/v1/users/me").header("Authorization", format!("Bearer {token}"));
/// #     mock.call_blocking(request.body(bytes::Bytes::new()).unwrap()).status().as_u16()
/// # };
/// assert_eq!(get(&mock, "pat_mock_alice"), 200);
/// mock.revoke("pat_mock_alice");
/// assert_eq!(get(&mock, "pat_mock_alice"), 401);
/// assert_eq!(mock.requests().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CozeAuthMock {
    first: MockWorld,
    worlds: Arc<Worlds>,
    /// Those that every world has.
    routes: Router,
    /// Without the guard, which a connection passes by itself.
    router: Router,
    /// Serves the ports of worlds while the mock listens.
    ports: Option<Arc<PortServer>>,
    connections: Arc<Connections>,
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
        // The test harness captures it with the rest of the test's output.
        if thread::panicking()
            && let Some(text) = failure_report(&self.worlds)
        {
            eprint!("{text}");
        }
        // The connections of a task end with their requests.
        self.release_all();
    }
}

impl CozeAuthMock {
    /// Returns the default settings: the ready-made apps, every rule as Coze has it, the machine's clock, a random seed.
    ///
    /// [`Builder::toml`] applies a configuration.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn new(
        settings: Settings,
        addressing: Arc<Addressing>,
        connections: ConnectionLimits,
        max_memory: usize,
    ) -> Self {
        let worlds = Worlds::new(settings, addressing, max_memory);
        let routes = router::router(worlds.addressing());
        Self {
            first: MockWorld::new(worlds.first()),
            router: world_routing::router(worlds.clone(), routes.clone()),
            routes,
            worlds,
            ports: None,
            connections: Arc::new(Connections::new(connections)),
            listening: None,
            bound: None,
        }
    }

    /// Releases the requests that wait. A router without a socket may live on in another server.
    fn release_all(&self) {
        match self.bound {
            Some(_) => self.worlds.end(),
            None => self.worlds.release_all(),
        }
    }

    pub(crate) fn port_server(&self, runtime: Handle) -> Arc<PortServer> {
        PortServer::new(runtime, self.routes.clone(), self.connections.clone())
    }

    pub(crate) fn listening(
        mut self,
        bound: SocketAddr,
        ports: Arc<PortServer>,
        listening: Listening,
    ) -> Self {
        let weak: Weak<PortServer> = Arc::downgrade(&ports);
        self.worlds.listen_at(bound, weak);
        self.ports = Some(ports);
        self.bound = Some(bound);
        self.listening = Some(listening);
        self
    }

    /// Returns the world at `/t/{name}`, and makes it if it does not exist. It has apps, tokens, clock, journal, gates and
    /// faults of its own, so that tests that run concurrently do not see each other. A new world has the mock's settings, a
    /// clock that shows the same time, and a seed made of the mock's seed and its name.
    ///
    /// # Errors
    ///
    /// [`WorldError`] if a world cannot have this name, or 1,000 other worlds are in use.
    pub fn world(&self, name: &str) -> Result<MockWorld, WorldError> {
        self.worlds.named(name).map(MockWorld::new)
    }

    /// Makes a world with settings of its own, and removes an earlier world of that name. A [`reload`](Self::reload) does not
    /// change it. Addresses and admin token are those of the mock, not those of `builder`. If `builder` has no seed, the seed
    /// is made of the mock's seed and the name.
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
    /// The errors of [`Builder::build`], and [`SetupError::World`] if a world cannot have this name, or 1,000 other worlds are in use.
    pub fn make_world(&self, name: &str, builder: Builder) -> Result<MockWorld, SetupError> {
        let seeded = builder.has_seed();
        let mut settings = builder.options()?.settings()?;
        if !seeded {
            settings.seed = self.worlds.settings(name).seed;
        }
        let made = self.worlds.make(name, settings, true, UNUSED_WORLD, 0);
        made.map(MockWorld::new).map_err(SetupError::World)
    }

    /// Removes the world at `/t/{name}` and ends it: what waits in it goes on, and its memory is free. Returns false if there is
    /// none. A world that is not removed is evicted when others need its place.
    ///
    /// ```
    /// use coze_auth_mock::CozeAuthMock;
    ///
    /// let mock = CozeAuthMock::builder().build()?;
    /// mock.world("alpha")?;
    /// assert!(mock.remove_world("alpha"));
    /// assert!(!mock.remove_world("alpha"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove_world(&self, name: &str) -> bool {
        self.worlds.remove(name)
    }

    /// Returns the block that the binary prints at its start.
    #[must_use]
    pub fn banner(&self) -> String {
        let scheme = self.world.addressing.scheme();
        let listening = self.bound.map(|bound| format!("{scheme}://{bound}"));
        banner::banner(
            &self.world,
            listening.as_deref().unwrap_or_else(|| self.base_url()),
        )
    }

    /// The Bearer credential that `/_mock/v1` requires; none if it does not require one.
    #[must_use]
    pub fn admin_token(&self) -> Option<&str> {
        self.world.addressing.admin_token.as_deref()
    }

    /// The certificate, in PEM, of the CA that [`Builder::tls`] made; clients have to trust it. `GET /_mock/v1/ca.pem` returns
    /// the same. None if the mock has no CA.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.world.addressing.ca_pem()
    }

    /// Applies the apps, users, tokens, rules, answers, consent, lifetimes, accounts and enterprises of `builder` to all
    /// worlds that have no settings of their own. Issued codes and tokens stay, and so do clock, seed, limits and addresses.
    ///
    /// # Errors
    ///
    /// The errors of [`Builder::build`]; nothing has changed then.
    pub fn reload(&self, builder: Builder) -> Result<(), SetupError> {
        self.worlds.reload(&builder.options()?.settings()?);
        Ok(())
    }

    /// Returns the same mock as a router, to nest in another axum app. Requests for names that are neither loopback nor those of
    /// [`Builder::public_url`] and [`Builder::allowed_hosts`] are refused there as well.
    pub fn router(&self) -> Router {
        entrance::guarded(self.router.clone(), self.worlds.first())
    }

    pub(crate) fn make_connection(&self) -> MakeConnection {
        MakeConnection {
            root: self.worlds.first(),
            alone: false,
            router: self.router.clone(),
            connections: self.connections.clone(),
        }
    }

    /// Answers a request in memory, with the same code as over a socket.
    pub async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let request = request.map(axum::body::Body::from);
        let (router, first) = (self.router.clone(), self.worlds.first());
        let response = entrance::answer(router, &first, request).await;
        let (parts, body) = response.into_parts();
        // Our bodies are whole in memory, so reading them cannot fail.
        let body = body.collect().await.map(|body| body.to_bytes());
        Response::from_parts(parts, body.unwrap_or_default())
    }

    /// Does the same as [`call`](Self::call) without a runtime: it blocks this thread until the answer is complete.
    #[must_use]
    pub fn call_blocking(&self, request: Request<Bytes>) -> Response<Bytes> {
        block_on(self.call(request))
    }

    /// Stops the mock: opens all gates, removes all faults, accepts no new connections, and waits at most three seconds for
    /// running requests to end.
    pub async fn stop(mut self) {
        self.release_all();
        let Some(listening) = self.listening.take() else {
            return;
        };
        // Dropping a thread joins it.
        let mut listening = listening;
        if let Listening::Task { stop, task } = &mut listening {
            let (unused, _) = oneshot::channel();
            drop(std::mem::replace(stop, unused));
            let _ = tokio::time::timeout(Duration::from_secs(3), task).await;
        }
    }
}
