//! The blocking adapter.

use std::time::Duration;

use coze_auth_conformance::client::Failure;
use coze_auth_conformance::{Provider, Renewed, Subject, TestContext, in_threads};
use coze_auth_core::workload::{IntegrationCredential, ProjectEnv};
use coze_auth_core::{AccessToken, Error, Flow};
use coze_auth_ureq::{Client, TokenSource};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::sources::{Kept, SUBJECT, of_source};
use crate::clocks::BlockingClock;

pub(crate) struct Ureq(Client);

impl Subject for Ureq {
    const CAPABILITIES: &'static [&'static str] = &[
        "network",
        "timeout",
        "provider.jwt",
        "provider.user",
        "provider.workload",
        "workload.integration",
        "workload.project_env",
        "provider.parallel",
        "client.parallel",
        "https",
    ];

    fn new(context: &TestContext) -> Self {
        let client = match &context.ca_pem {
            None => Client::new().expect("a client"),
            Some(pem) => {
                let ca = Certificate::from_pem(pem.as_bytes()).expect("a certificate");
                let tls = TlsConfig::builder().root_certs(RootCerts::from([ca]));
                let config = ureq::Agent::config_builder().tls_config(tls.build());
                Client::with_agent(config.build().new_agent())
            }
        };
        Self(client.with_time(BlockingClock(context.clock.clone())))
    }

    fn run<F: Flow<Output: Send> + Send + 'static>(&self, flow: F) -> Result<F::Output, Error> {
        self.0.run(flow).map_err(|error| match error {
            coze_auth_ureq::Error::Core { error, .. } => error,
            other => panic!("the adapter itself failed: {other}"),
        })
    }

    fn run_all<F: Flow<Output: Send> + Send + 'static>(
        &self,
        flows: Vec<F>,
    ) -> Vec<Result<F::Output, Error>> {
        in_threads(self, flows)
    }

    fn with_timeout(self, timeout: Duration) -> Self {
        Self(self.0.with_timeout(timeout))
    }

    fn provider(&self, _: &TestContext, of: Renewed) -> Option<Box<dyn Provider>> {
        let source = match Kept::of(of) {
            Kept::Jwt(jwt) => TokenSource::jwt(&self.0, jwt.0, jwt.1),
            Kept::Workload(app) => TokenSource::workload(&self.0, app),
            Kept::Login(app, store, grant) => {
                let source = TokenSource::stored(&self.0, app, SUBJECT, store);
                let source = source.expect("a subject");
                source.install(grant).expect("stored");
                source
            }
        };
        Some(Box::new(Source(source)))
    }
}

struct Source(TokenSource);

impl Provider for Source {
    fn token(&self) -> Result<AccessToken, Failure> {
        self.0.token().map_err(|error| of_source(&error))
    }

    fn get(&self, url: &str) -> Result<(u16, String), Failure> {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let request = ureq::http::Request::get(url).body(()).expect("a request");
        let answer = self.0.send(&agent, request);
        let answer = answer.map_err(|error| of_source(&error))?;
        let status = answer.status().as_u16();
        let text = answer.into_body().read_to_string();
        Ok((status, text.expect("a body")))
    }
    fn integration(&self, name: &str) -> Result<IntegrationCredential, Failure> {
        let credential = self.0.integration(name);
        credential.map_err(|error| of_source(&error))
    }

    fn project_env(&self) -> Result<ProjectEnv, Failure> {
        self.0.project_env().map_err(|error| of_source(&error))
    }
}
