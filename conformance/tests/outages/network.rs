//! Where the API's name leads, and how often it was looked up. No connection is kept, so each request is a look-up:
//! those that are refused before anybody hears of them are counted, too.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// The API of these hours. No such name is ever given to anybody (RFC 6761 §6.4).
pub(crate) const HOST: &str = "api.coze.invalid";

#[derive(Clone, Debug)]
pub(crate) struct Network(Arc<State>);

#[derive(Debug)]
struct State {
    /// None: to what the system says of it.
    leads_to: Mutex<Option<SocketAddr>>,
    look_ups: AtomicUsize,
    tries: AtomicUsize,
}

impl Network {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(Arc::new(State {
            leads_to: Mutex::new(Some(address)),
            look_ups: AtomicUsize::new(0),
            tries: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn lead_to(&self, address: Option<SocketAddr>) {
        *self.0.leads_to.lock().expect("nobody panics") = address;
    }

    pub(crate) fn look_ups(&self) -> usize {
        self.0.look_ups.load(Ordering::SeqCst)
    }

    /// How often something was tried: a request, or what comes before one.
    pub(crate) fn tries(&self) -> usize {
        self.0.tries.load(Ordering::SeqCst)
    }

    pub(crate) fn note_a_try(&self) {
        self.0.tries.fetch_add(1, Ordering::SeqCst);
    }

    fn look_up(&self) -> io::Result<SocketAddr> {
        self.note_a_try();
        self.0.look_ups.fetch_add(1, Ordering::SeqCst);
        let leads_to = *self.0.leads_to.lock().expect("nobody panics");
        match leads_to {
            Some(address) => Ok(address),
            None => {
                let mut found = (HOST, 443).to_socket_addrs()?;
                found.next().ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }
}

impl reqwest::dns::Resolve for Network {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let network = self.clone();
        Box::pin(async move {
            let address = tokio::task::spawn_blocking(move || network.look_up()).await??;
            Ok(Box::new(std::iter::once(address)) as reqwest::dns::Addrs)
        })
    }
}

impl Resolver for Network {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(self.look_up()?);
        Ok(addresses)
    }
}
