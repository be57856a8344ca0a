//! The async adapter, on a runtime of its own.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use coze_auth_conformance::client::Failure;
use coze_auth_conformance::{Provider, Renewed, Stop, Subject, TestContext, in_threads};
use coze_auth_core::workload::{IntegrationCredential, ProjectEnv};
use coze_auth_core::{AccessToken, Error, Flow};
use coze_auth_reqwest::{Client, TokenSource};

use super::sources::{Kept, SUBJECT, of_source};
use crate::clocks::AsyncClock;

pub(crate) struct Reqwest {
    runtime: Arc<tokio::runtime::Runtime>,
    client: Client,
}

impl Subject for Reqwest {
    const CAPABILITIES: &'static [&'static str] = &[
        "network",
        "cancel",
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
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let client = match &context.ca_pem {
            None => Client::new(),
            Some(pem) => {
                let ca = reqwest::Certificate::from_pem(pem.as_bytes()).expect("a certificate");
                Client::with_builder(move || {
                    reqwest::Client::builder().tls_certs_only([ca.clone()])
                })
            }
        };
        let client = client.expect("a client");
        Self {
            runtime: Arc::new(runtime.expect("a runtime")),
            client: client.with_time(AsyncClock(context.clock.clone())),
        }
    }

    fn run<F: Flow<Output: Send> + Send + 'static>(&self, flow: F) -> Result<F::Output, Error> {
        own(self.runtime.block_on(self.client.run(flow)))
    }

    fn run_until<F: Flow<Output: Send> + Send + 'static>(
        &self,
        flow: F,
        stop: Stop,
    ) -> Option<Result<F::Output, Error>> {
        self.runtime.block_on(async {
            let mut running = pin!(self.client.run(flow));
            // Dropped between two of its polls, as by a caller that goes away.
            poll_fn(|context| {
                if stop.is_wanted() {
                    return Poll::Ready(None);
                }
                running
                    .as_mut()
                    .poll(context)
                    .map(|result| Some(own(result)))
            })
            .await
        })
    }

    fn run_all<F: Flow<Output: Send> + Send + 'static>(
        &self,
        flows: Vec<F>,
    ) -> Vec<Result<F::Output, Error>> {
        in_threads(self, flows)
    }

    fn with_timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.with_timeout(timeout);
        self
    }

    fn provider(&self, _: &TestContext, of: Renewed) -> Option<Box<dyn Provider>> {
        let source = match Kept::of(of) {
            Kept::Jwt(jwt) => TokenSource::jwt(&self.client, jwt.0, jwt.1),
            Kept::Workload(app) => TokenSource::workload(&self.client, app),
            Kept::Login(app, store, grant) => {
                let source = TokenSource::stored(&self.client, app, SUBJECT, store);
                let source = source.expect("a subject");
                self.runtime
                    .block_on(source.install(grant))
                    .expect("stored");
                source
            }
        };
        let runtime = self.runtime.clone();
        Some(Box::new(Source { runtime, source }))
    }
}

fn own<T>(result: Result<T, coze_auth_reqwest::Error>) -> Result<T, Error> {
    result.map_err(|error| match error {
        coze_auth_reqwest::Error::Core { error, .. } => error,
        other => panic!("the adapter itself failed: {other}"),
    })
}

struct Source {
    runtime: Arc<tokio::runtime::Runtime>,
    source: TokenSource,
}

impl Provider for Source {
    fn token(&self) -> Result<AccessToken, Failure> {
        let token = self.runtime.block_on(self.source.token());
        token.map_err(|error| of_source(&error))
    }

    fn get(&self, url: &str) -> Result<(u16, String), Failure> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build();
        let http = http.expect("a client");
        let request = reqwest::Request::new(reqwest::Method::GET, url.parse().expect("a URL"));
        self.runtime.block_on(async {
            let answer = self.source.send(&http, request).await;
            let answer = answer.map_err(|error| of_source(&error))?;
            let status = answer.status().as_u16();
            Ok((status, answer.text().await.expect("a body")))
        })
    }
    fn integration(&self, name: &str) -> Result<IntegrationCredential, Failure> {
        let credential = self.runtime.block_on(self.source.integration(name));
        credential.map_err(|error| of_source(&error))
    }

    fn project_env(&self) -> Result<ProjectEnv, Failure> {
        let variables = self.runtime.block_on(self.source.project_env());
        variables.map_err(|error| of_source(&error))
    }
}
