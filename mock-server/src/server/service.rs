//! The service of a connection, which answers the data plane of the first world directly, and routes all other requests.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use axum::serve::{IncomingStream, Serve};
use tokio::net::TcpListener;
use tower::Service;

use super::world_routing;
use crate::net::socket::{ConnectionHandle, FaultListener};
use crate::net::tls::Tls;
use crate::web::data;
use crate::world::worlds::Worlds;

/// Makes the service of each [`Connection`].
#[derive(Clone, Debug)]
pub(crate) struct MakeConnection {
    pub(crate) worlds: Arc<Worlds>,
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
        if world_routing::is_first_data(request.uri().path()) {
            let first = self.made_by.worlds.first();
            return Box::pin(data::data(first, request, Some(handle)));
        }
        request.extensions_mut().insert(ConnectInfo(handle));
        Box::pin(self.made_by.router.call(request))
    }
}

pub(crate) fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    make: MakeConnection,
) -> Serve<FaultListener, MakeConnection, Connection> {
    axum::serve(FaultListener { listener, tls }, make)
}
