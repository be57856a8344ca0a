//! Starting a mock that listens.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use url::Url;

use super::builder::Builder;
use super::listening::Listening;
use super::mock::CozeAuthMock;
use crate::config::options::{Listen, WantedTls, random_token};
use crate::error::SetupError;
use crate::net::addressing;
use crate::net::tls::Tls;
use crate::server::serve::serve;

impl Builder {
    /// Returns the address to listen on, and the mock, which requires an admin token if other machines can reach it.
    fn prepare(mut self) -> Result<(SocketAddr, CozeAuthMock), SetupError> {
        let address = match &self.options.listen {
            Listen::At(address) if !self.options.anywhere && !address.ip().is_loopback() => {
                return Err(SetupError::NotLoopback(*address));
            }
            Listen::At(address) => *address,
            Listen::Named(name) => addressing::resolve(name, self.options.anywhere)?,
        };
        if !address.ip().is_loopback() && self.options.addressing.admin_token.is_none() {
            self.options.addressing.admin_token = Some(random_token()?);
            self.options.addressing.made_token = true;
        }
        // What the mock listens on, and what its certificate is for, are its names.
        let listen = match &self.options.listen {
            Listen::Named(name) if name.parse::<SocketAddr>().is_err() => Some(name),
            _ => None,
        };
        for name in listen.into_iter().chain(&self.options.tls_names) {
            if let Ok(host) = addressing::allowed_host(name) {
                self.options.addressing.allowed_hosts.push(host);
            }
        }
        self.options.addressing.tls = self.make_tls(address)?.map(Arc::new);
        Ok((address, self.build()?))
    }

    fn make_tls(&self, address: SocketAddr) -> Result<Option<Tls>, SetupError> {
        let made = match &self.options.tls {
            WantedTls::Off => return Ok(None),
            WantedTls::Files { certificate, key } => Tls::of_files(certificate, key),
            WantedTls::OwnCa => {
                let named = match &self.options.listen {
                    Listen::Named(name) => name.rsplit_once(':').map(|(host, _)| host.to_owned()),
                    Listen::At(_) => None,
                };
                let public = self
                    .options
                    .addressing
                    .public_url
                    .as_deref()
                    .map(Url::parse);
                let public = public.and_then(Result::ok);
                let public = public.as_ref().and_then(Url::host_str).map(str::to_owned);
                let hosts = [named, public, Some(address.ip().to_string())];
                let hosts = hosts.iter().flatten().chain(&self.options.tls_names);
                let hosts: Vec<_> = hosts.map(String::as_str).collect();
                Tls::of_own_ca(&hosts)
            }
        };
        made.map(Some)
            .map_err(|wrong| SetupError::Tls(wrong.to_string()))
    }

    /// Starts a mock that listens, served by a task of the running tokio runtime. Dropping it stops it.
    ///
    /// # Errors
    ///
    /// The errors of [`build`](Self::build). Also if the address cannot be resolved or bound, or if it is not a loopback
    /// address and [`allow_other_machines`](Self::allow_other_machines) was not called.
    pub async fn start(self) -> Result<CozeAuthMock, SetupError> {
        let (address, mock) = self.prepare()?;
        let bind = |source| SetupError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let bound = listener.local_addr().map_err(bind)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let tls = mock.world.addressing.tls.clone();
        let serve = serve(listener.into(), tls, mock.make_connection(), async {
            // An error means that the sender was dropped, which has the same meaning.
            let _ = stopped.await;
        });
        let ports = mock.port_server(Handle::current());
        let task = {
            let ports = ports.clone();
            tokio::spawn(async move {
                serve.await;
                ports.ended().await;
            })
        };
        Ok(mock.listening(bound, ports, Listening::Task { stop, task }))
    }

    /// Starts a mock that listens, served by a thread of its own, for tests without a runtime. Dropping it stops it.
    ///
    /// # Errors
    ///
    /// The errors of [`start`](Self::start). Also if the thread cannot be started.
    pub fn start_blocking(self) -> Result<CozeAuthMock, SetupError> {
        let (address, mock) = self.prepare()?;
        let make = mock.make_connection();
        let tls = mock.world.addressing.tls.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (report, reported) = mpsc::channel();
        let serving = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build();
            let bound = runtime.and_then(|runtime| {
                let listener = runtime.block_on(TcpListener::bind(address))?;
                let bound = listener.local_addr()?;
                Ok((runtime, listener, bound))
            });
            match bound {
                Err(error) => drop(report.send(Err(error))),
                Ok((runtime, listener, bound)) => {
                    drop(report.send(Ok((bound, runtime.handle().clone()))));
                    runtime.block_on(async {
                        tokio::select! {
                            () = serve(listener.into(), tls, make, std::future::pending()) => {}
                            _ = stopped => {}
                        }
                    });
                }
            }
        };
        let thread = std::thread::Builder::new().name("coze-auth-mock".to_owned());
        let thread = thread.spawn(serving).map_err(SetupError::Thread)?;
        let ended = || io::Error::other("the server thread ended before it listened");
        let bound = reported.recv().unwrap_or_else(|_| Err(ended()));
        let (bound, runtime) = bound.map_err(|source| SetupError::Bind { address, source })?;
        let thread = Some(thread);
        let stop = Some(stop);
        let ports = mock.port_server(runtime);
        Ok(mock.listening(bound, ports, Listening::Thread { stop, thread }))
    }
}
