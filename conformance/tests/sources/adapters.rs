//! Both token sources behind one face, so that every case runs over both.

use std::sync::Arc;
use std::time::Duration;

use coze_auth_conformance::SharedClock;
use coze_auth_core::RefreshApp;
use coze_auth_core::jwt::{JwtApp, JwtGrant};
use coze_auth_core::{AccessToken, Endpoints, IssuedToken, TokenGrant};
use coze_auth_store::GrantStore;
use coze_auth_tokens::Error;

use crate::clocks::{AsyncClock, BlockingClock};

/// What an answer of the API came to: status and body.
pub(crate) type Answer = (u16, String);

/// A token source of one of the adapters. Clones are the same source.
pub(crate) trait Tokens: Clone + Send + Sync + Sized + 'static {
    fn fixed(clock: &SharedClock, endpoints: &Endpoints, token: AccessToken) -> Self;
    fn jwt(clock: &SharedClock, app: JwtApp, grant: JwtGrant) -> Self;
    fn stored(
        clock: &SharedClock,
        app: impl Into<RefreshApp>,
        store: impl GrantStore + 'static,
    ) -> Self;
    fn wait_when_stale(self) -> Self;
    fn session(&self, name: &str) -> Result<Self, Error>;
    fn token(&self) -> Result<AccessToken, Error>;
    fn token_valid_for(&self, at_least: Duration) -> Result<IssuedToken, Error>;
    fn invalidate(&self, rejected: &AccessToken);
    fn install(&self, grant: TokenGrant) -> Result<(), Error>;
    fn forget(&self) -> Result<(), Error>;
    fn close(&self) -> Result<(), Error>;
    /// The header that a request there is given.
    fn authorize(&self, url: &str) -> Result<String, Error>;
    /// Sends `GET` or `POST` without a body.
    fn send(&self, method: &str, url: &str, repeatable: bool) -> Result<Answer, Error>;
}

/// The person that the cases log in.
const SUBJECT: &str = "alice";

#[derive(Clone)]
pub(crate) struct Reqwest {
    runtime: Arc<tokio::runtime::Runtime>,
    pub(crate) source: coze_auth_reqwest::TokenSource,
}

impl Reqwest {
    fn over(
        clock: &SharedClock,
        make: impl FnOnce(&coze_auth_reqwest::Client) -> coze_auth_reqwest::TokenSource,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let client = coze_auth_reqwest::Client::new().expect("a client");
        Self {
            runtime: Arc::new(runtime.expect("a runtime")),
            source: make(&client.with_time(AsyncClock(clock.clone()))),
        }
    }
}

impl Tokens for Reqwest {
    fn fixed(clock: &SharedClock, endpoints: &Endpoints, token: AccessToken) -> Self {
        Self::over(clock, |client| {
            coze_auth_reqwest::TokenSource::fixed(client, endpoints, token)
        })
    }

    fn jwt(clock: &SharedClock, app: JwtApp, grant: JwtGrant) -> Self {
        Self::over(clock, |client| {
            coze_auth_reqwest::TokenSource::jwt(client, app, grant)
        })
    }

    fn stored(
        clock: &SharedClock,
        app: impl Into<RefreshApp>,
        store: impl GrantStore + 'static,
    ) -> Self {
        Self::over(clock, |client| {
            coze_auth_reqwest::TokenSource::stored(client, app, SUBJECT, store).expect("a subject")
        })
    }

    fn wait_when_stale(self) -> Self {
        let source = self.source.wait_when_stale();
        Self { source, ..self }
    }

    fn session(&self, name: &str) -> Result<Self, Error> {
        Ok(Self {
            source: self.source.session(name)?,
            runtime: self.runtime.clone(),
        })
    }

    fn token(&self) -> Result<AccessToken, Error> {
        self.runtime.block_on(self.source.token())
    }

    fn token_valid_for(&self, at_least: Duration) -> Result<IssuedToken, Error> {
        self.runtime.block_on(self.source.token_valid_for(at_least))
    }

    fn invalidate(&self, rejected: &AccessToken) {
        self.source.invalidate(rejected);
    }

    fn install(&self, grant: TokenGrant) -> Result<(), Error> {
        self.runtime.block_on(self.source.install(grant))
    }

    fn forget(&self) -> Result<(), Error> {
        self.runtime.block_on(self.source.forget())
    }

    fn close(&self) -> Result<(), Error> {
        self.runtime.block_on(self.source.close())
    }

    fn authorize(&self, url: &str) -> Result<String, Error> {
        let url = url.parse().expect("a URL");
        let mut request = reqwest::Request::new(reqwest::Method::GET, url);
        self.runtime.block_on(self.source.authorize(&mut request))?;
        let header = &request.headers()["authorization"];
        Ok(header.to_str().expect("text").to_owned())
    }

    fn send(&self, method: &str, url: &str, repeatable: bool) -> Result<Answer, Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build();
        let http = http.expect("a client");
        let method = method.parse().expect("a method");
        let request = reqwest::Request::new(method, url.parse().expect("a URL"));
        self.runtime.block_on(async {
            let answer = match repeatable {
                true => self.source.send_repeatable(&http, request).await?,
                false => self.source.send(&http, request).await?,
            };
            let status = answer.status().as_u16();
            Ok((status, answer.text().await.expect("a body")))
        })
    }
}

#[derive(Clone)]
pub(crate) struct Ureq(pub(crate) coze_auth_ureq::TokenSource);

fn ureq_client(clock: &SharedClock) -> coze_auth_ureq::Client {
    let client = coze_auth_ureq::Client::new().expect("a client");
    client.with_time(BlockingClock(clock.clone()))
}

impl Tokens for Ureq {
    fn fixed(clock: &SharedClock, endpoints: &Endpoints, token: AccessToken) -> Self {
        let client = ureq_client(clock);
        Self(coze_auth_ureq::TokenSource::fixed(
            &client, endpoints, token,
        ))
    }

    fn jwt(clock: &SharedClock, app: JwtApp, grant: JwtGrant) -> Self {
        Self(coze_auth_ureq::TokenSource::jwt(
            &ureq_client(clock),
            app,
            grant,
        ))
    }

    fn stored(
        clock: &SharedClock,
        app: impl Into<RefreshApp>,
        store: impl GrantStore + 'static,
    ) -> Self {
        let client = ureq_client(clock);
        let source = coze_auth_ureq::TokenSource::stored(&client, app, SUBJECT, store);
        Self(source.expect("a subject"))
    }

    fn wait_when_stale(self) -> Self {
        Self(self.0.wait_when_stale())
    }

    fn session(&self, name: &str) -> Result<Self, Error> {
        self.0.session(name).map(Self)
    }

    fn token(&self) -> Result<AccessToken, Error> {
        self.0.token()
    }

    fn token_valid_for(&self, at_least: Duration) -> Result<IssuedToken, Error> {
        self.0.token_valid_for(at_least)
    }

    fn invalidate(&self, rejected: &AccessToken) {
        self.0.invalidate(rejected);
    }

    fn install(&self, grant: TokenGrant) -> Result<(), Error> {
        self.0.install(grant)
    }

    fn forget(&self) -> Result<(), Error> {
        self.0.forget()
    }

    fn close(&self) -> Result<(), Error> {
        self.0.close()
    }

    fn authorize(&self, url: &str) -> Result<String, Error> {
        let request = ureq::http::Request::get(url).body(());
        let mut request = request.expect("a request");
        self.0.authorize(&mut request)?;
        let header = &request.headers()["authorization"];
        Ok(header.to_str().expect("text").to_owned())
    }

    fn send(&self, method: &str, url: &str, repeatable: bool) -> Result<Answer, Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let request = ureq::http::Request::builder().method(method).uri(url);
        let request = request.body(()).expect("a request");
        let answer = match repeatable {
            true => self.0.send_repeatable(&agent, request)?,
            false => self.0.send(&agent, request)?,
        };
        let status = answer.status().as_u16();
        let text = answer.into_body().read_to_string();
        Ok((status, text.expect("a body")))
    }
}
