//! The service of a connection, which answers the data plane of the world at its root directly, and routes all other requests.

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use tower::Service as _;

use super::answer::Answer;
use super::world_routing;
use crate::net::connections::{self, Connections, RequestUnderWay};
use crate::net::received_body::ReceivedBody;
use crate::net::socket::ConnectionHandle;
use crate::web::cors::Page;
use crate::web::data;
use crate::web::guard::{self, Entry};
use crate::world::World;

/// What the connections of a mock share.
#[derive(Clone, Debug)]
pub(crate) struct MakeConnection {
    /// The world at `/`.
    pub(crate) root: Arc<World>,
    /// True if it is the only one that these connections reach.
    pub(crate) alone: bool,
    /// The routes of all worlds, or those that every world has.
    pub(crate) router: Router,
    pub(crate) connections: Arc<Connections>,
}

/// Answers the requests of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) handle: ConnectionHandle,
    pub(super) connection: Arc<connections::Connection>,
    pub(super) made_by: MakeConnection,
}

type Answering = Pin<Box<dyn Future<Output = Result<http::Response<Answer>, Infallible>> + Send>>;

impl Service<Request<Incoming>> for Connection {
    type Response = http::Response<Answer>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let under_way = self.connection.begin();
        let version = request.version();
        let handle = match version {
            http::Version::HTTP_2 => self.handle.of_one_stream(),
            _ => self.handle.clone(),
        };
        let body = |incoming| Body::new(ReceivedBody::new(incoming, self.connection.clone()));
        let mut request = request.map(body);
        let MakeConnection { root, alone, .. } = &self.made_by;
        let page = match guard::enter(root, *alone, &request) {
            Entry::Passes => None,
            Entry::PassesFor(page) => Some(page),
            Entry::Answered(response) => {
                let answering = ready(Ok(*response));
                return Box::pin(answered(answering, None, handle, (under_way, version)));
            }
        };
        let path = request.uri().path();
        if data::is_data(path) && (*alone || !world_routing::is_named(path)) {
            let answering = data::data(root.clone(), request, Some(handle.clone()));
            return Box::pin(answered(answering, page, handle, (under_way, version)));
        }
        request.extensions_mut().insert(ConnectInfo(handle.clone()));
        let mut routes = self.made_by.router.clone();
        if *alone {
            let answering = world_routing::alone(routes, root.clone(), request);
            let answering = async { Ok(answering.await) };
            return Box::pin(answered(answering, page, handle, (under_way, version)));
        }
        let answering = routes.call(request);
        Box::pin(answered(answering, page, handle, (under_way, version)))
    }
}

async fn answered(
    answering: impl Future<Output = Result<Response, Infallible>>,
    page: Option<Page>,
    handle: ConnectionHandle,
    (under_way, version): (RequestUnderWay, http::Version),
) -> Result<http::Response<Answer>, Infallible> {
    let mut response = answering.await?;
    if let Some(page) = page {
        page.open(&mut response);
    }
    let fault = handle.answer_fault().map(|fault| (fault, handle));
    Ok(response.map(|body| Answer::new(body, fault, under_way, version)))
}
