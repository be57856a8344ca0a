//! Serves the ports of worlds, on the runtime of the mock.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::serve::serve;
use super::service::MakeConnection;
use crate::net::connections::Connections;
use crate::net::port::Port;
use crate::world::World;
use crate::world::own_port::ServePorts;

/// Serves the ports of worlds, each by a task of the runtime on which the mock's own address is served.
#[derive(Debug)]
pub(crate) struct PortServer {
    runtime: Handle,
    /// Those that every world has.
    routes: Router,
    /// Those of the mock's own address, too: the limits are for all together.
    connections: Arc<Connections>,
    tasks: Mutex<JoinSet<()>>,
}

impl PortServer {
    pub(crate) fn new(runtime: Handle, routes: Router, connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            routes,
            connections,
            tasks: Mutex::default(),
        })
    }

    /// Waits until all ports are closed and their requests have ended.
    pub(crate) async fn ended(&self) {
        let tasks = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        tasks.join_all().await;
    }
}

impl ServePorts for PortServer {
    fn serve(
        &self,
        address: SocketAddr,
        world: Arc<World>,
    ) -> io::Result<(Port, oneshot::Sender<()>)> {
        let _in_the_runtime = self.runtime.enter();
        let port = Port::bind(address)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let tls = world.addressing.tls.clone();
        let make = MakeConnection {
            root: world,
            alone: true,
            router: self.routes.clone(),
            connections: self.connections.clone(),
        };
        let serve = serve(port.clone(), tls, make, async {
            // An error means that the sender was dropped, which has the same meaning.
            let _ = stopped.await;
        });
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended.
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(serve, &self.runtime);
        Ok((port, stop))
    }
}
