//! What a transport has to do to be under test.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::device::DeviceApp;
use coze_auth_core::jwt::{JwtApp, JwtGrant};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::web::WebApp;
use coze_auth_core::workload::{IntegrationCredential, ProjectEnv, WorkloadApp};
use coze_auth_core::{AccessToken, Error, Flow, TokenGrant};
use coze_auth_mock::CozeAuthMock;

use crate::client::{Failure, Opening};
use crate::clock::SharedClock;

/// What a subject is made from, for one case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TestContext {
    /// The clock of client and server.
    pub clock: SharedClock,
    /// The server, for a transport that needs no socket; none if it is the real service, where no case is for such
    /// a transport.
    pub mock: Option<Arc<CozeAuthMock>>,
    /// The CA of the server in PEM, if it is https and has one of its own. For the capability `https`.
    pub ca_pem: Option<Arc<str>>,
}

impl TestContext {
    pub(crate) const fn new(clock: SharedClock, mock: Option<Arc<CozeAuthMock>>) -> Self {
        Self {
            clock,
            mock,
            ca_pem: None,
        }
    }

    pub(crate) fn of(case: &Opening) -> Self {
        Self {
            ca_pem: case.ca_pem.clone(),
            ..Self::new(case.clock.clone(), case.mock.clone())
        }
    }
}

/// Drives each flow by a thread of its own, all at once: [`Subject::run_all`] of a transport that threads can share.
pub fn in_threads<S, F>(subject: &S, flows: Vec<F>) -> Vec<Result<F::Output, Error>>
where
    S: Subject + Sync,
    F: Flow<Output: Send> + Send + 'static,
{
    std::thread::scope(|scope| {
        let running: Vec<_> = flows
            .into_iter()
            .map(|flow| scope.spawn(|| subject.run(flow)))
            .collect();
        let results = running.into_iter().map(|running| match running.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect()
    })
}

/// A transport under test.
pub trait Subject: Sized {
    /// Features beyond driving a flow: names of capabilities as in the README of the shims. `network` is one
    /// that a transport has unless it says otherwise.
    const CAPABILITIES: &'static [&'static str] = &["network"];

    /// A transport that takes its time from the clock of the case, and sleeps by it. It must reach loopback
    /// addresses without a proxy.
    fn new(context: &TestContext) -> Self;

    /// Drives a flow to its end.
    ///
    /// # Errors
    ///
    /// The flow's own.
    fn run<F: Flow<Output: Send> + Send + 'static>(&self, flow: F) -> Result<F::Output, Error>;

    /// As [`run`](Self::run), until `stop` says that nobody wants the result any more: then none. For the
    /// capability `cancel`.
    fn run_until<F: Flow<Output: Send> + Send + 'static>(
        &self,
        flow: F,
        _stop: Stop,
    ) -> Option<Result<F::Output, Error>> {
        Some(self.run(flow))
    }

    /// Drives flows at once, for as many callers, and gives their results in the same order; [`in_threads`] does it. For
    /// the capability `client.parallel`.
    fn run_all<F: Flow<Output: Send> + Send + 'static>(
        &self,
        flows: Vec<F>,
    ) -> Vec<Result<F::Output, Error>> {
        flows.into_iter().map(|flow| self.run(flow)).collect()
    }

    /// The same with this time for a whole HTTP exchange. For the capability `timeout`.
    #[must_use]
    fn with_timeout(self, _timeout: Duration) -> Self {
        self
    }

    /// What keeps a token and renews it. For the capabilities `provider.jwt`, `provider.user`, `provider.workload` and
    /// `provider.parallel`.
    fn provider(&self, _context: &TestContext, _of: Renewed) -> Option<Box<dyn Provider>> {
        None
    }
}

/// What a provider renews.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums)] // the five kinds of app
pub enum Renewed {
    /// The tokens of a JWT app.
    Jwt(Box<(JwtApp, JwtGrant)>),
    /// The login of a web app.
    Web(WebApp, TokenGrant),
    /// The login of a PKCE app.
    Pkce(PkceApp, TokenGrant),
    /// The login of a device app.
    Device(DeviceApp, TokenGrant),
    /// The tokens of a workload.
    Workload(Box<WorkloadApp>),
}

/// A token source under test.
pub trait Provider: Send + Sync {
    /// A token that is good now.
    ///
    /// # Errors
    ///
    /// What a caller can tell of the source's own error.
    fn token(&self) -> Result<AccessToken, Failure>;

    /// The status and body of a `GET` that the source lends its token, a renewed one if the first is rejected.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    fn get(&self, url: &str) -> Result<(u16, String), Failure>;

    /// The credential of an integration of the workload's project. For the capability `workload.integration`.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    fn integration(&self, _name: &str) -> Result<IntegrationCredential, Failure> {
        Err(Failure::new("other", "it asks for no integrations"))
    }

    /// The variables of the workload's project. For the capability `workload.project_env`.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    fn project_env(&self) -> Result<ProjectEnv, Failure> {
        Err(Failure::new("other", "it asks for no project variables"))
    }
}

impl fmt::Debug for dyn Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

/// Whether somebody still wants the result of an operation.
#[derive(Clone, Debug)]
pub struct Stop {
    clock: SharedClock,
}

impl Stop {
    pub(crate) const fn of(clock: SharedClock) -> Self {
        Self { clock }
    }

    /// Nobody does. It turns true while the client sleeps.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.clock.is_cancelled()
    }
}
