//! The service of a connection: the data plane of the first world without a detour, everything else by the router.

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
use crate::net::socket::{Line, Sockets};
use crate::net::tls::Tls;
use crate::web::data;
use crate::world::worlds::Worlds;

/// Makes a [`Door`] for each connection.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    pub(crate) worlds: Arc<Worlds>,
    pub(crate) router: Router,
}

impl Service<IncomingStream<'_, Sockets>> for Doors {
    type Response = Door;
    type Error = Infallible;
    type Future = Ready<Result<Door, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, Sockets>) -> Self::Future {
        ready(Ok(Door {
            line: stream.io().line(),
            doors: self.clone(),
        }))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Door {
    line: Line,
    doors: Doors,
}

impl Service<Request> for Door {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let line = self.line.clone();
        if world_routing::is_first_data(request.uri().path()) {
            let first = self.doors.worlds.first();
            return Box::pin(data::data(first, request, Some(line)));
        }
        request.extensions_mut().insert(ConnectInfo(line));
        Box::pin(self.doors.router.call(request))
    }
}

pub(crate) fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    doors: Doors,
) -> Serve<Sockets, Doors, Door> {
    axum::serve(Sockets { listener, tls }, doors)
}
