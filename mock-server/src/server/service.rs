//! The service of a connection, which answers the data plane of the world at its root directly, and routes all other requests.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use axum::serve::{IncomingStream, Serve};
use tower::Service;

use super::world_routing;
use crate::net::port::Port;
use crate::net::socket::{ConnectionHandle, FaultListener};
use crate::net::tls::Tls;
use crate::web::data;
use crate::world::World;

/// Makes the service of each [`Connection`].
#[derive(Clone, Debug)]
pub(crate) struct MakeConnection {
    /// The world at `/`.
    pub(crate) root: Arc<World>,
    /// True if it is the only one that these connections reach.
    pub(crate) alone: bool,
    /// The routes of all worlds, or those that every world has.
    pub(crate) router: Router,
}

impl Service<IncomingStream<'_, FaultListener>> for MakeConnection {
    type Response = Connection;
    type Error = Infallible;
    type Future = Ready<Result<Connection, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, FaultListener>) -> Self::Future {
        ready(Ok(Connection {
            handle: stream.io().handle(),
            made_by: self.clone(),
        }))
    }
}

/// Answers the requests of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    handle: ConnectionHandle,
    made_by: MakeConnection,
}

impl Service<Request> for Connection {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let handle = self.handle.clone();
        let MakeConnection { root, alone, .. } = &self.made_by;
        let path = request.uri().path();
        if data::is_data(path) && (*alone || !world_routing::is_named(path)) {
            return Box::pin(data::data(root.clone(), request, Some(handle)));
        }
        request.extensions_mut().insert(ConnectInfo(handle));
        if *alone {
            let routes = self.made_by.router.clone();
            let answered = world_routing::alone(routes, root.clone(), request);
            return Box::pin(async { Ok(answered.await) });
        }
        Box::pin(self.made_by.router.call(request))
    }
}

pub(crate) fn serve(
    port: Port,
    tls: Option<Arc<Tls>>,
    make: MakeConnection,
) -> Serve<FaultListener, MakeConnection, Connection> {
    axum::serve(FaultListener { port, tls }, make)
}
