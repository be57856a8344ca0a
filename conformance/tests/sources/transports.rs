//! Token sources over each transport behind one face, so that every case runs over all of them: both adapters, and two
//! transports of one's own, as the examples have them.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_conformance::SharedClock;
use coze_auth_core::http::{HeaderMap, Request};
use coze_auth_core::jwt::JwtGrant;
use coze_auth_core::whoami::User;
use coze_auth_core::workload::{IntegrationCredential, ProjectEnv, WorkloadApp};
use coze_auth_core::{self as core, AccessToken, Endpoints, IssuedToken, RefreshApp, TokenGrant};
use coze_auth_examples::custom_transport::HyperTransport;
use coze_auth_examples::custom_transport_blocking::{self, AttohttpcTransport};
use coze_auth_store::GrantStore;
use coze_auth_tokens::{
    Error, JwtKeys, PeekableBody, SendError, TokenSource, blocking, tokio as awaited,
};
use http_body_util::{BodyExt as _, Full};

use crate::clocks::{AsyncClock, BlockingClock};

/// What an answer of the API came to: status and body.
pub(crate) type Answer = (u16, String);

/// The token sources of all users of an app over one of the transports.
pub(crate) trait Logins: Clone + Send + Sync + Sized + 'static {
    type Tokens: Tokens;
    fn of(&self, subject: &str) -> Result<Self::Tokens, Error>;
    fn install(&self, subject: &str, grant: TokenGrant) -> Result<(), Error>;
    fn forget(&self, subject: &str) -> Result<(), Error>;
    fn close(&self) -> Result<(), Error>;
}

/// A token source over one of the transports. Clones are the same source.
pub(crate) trait Tokens: Clone + Send + Sync + Sized + 'static {
    type Logins: Logins<Tokens = Self>;
    fn logins(
        clock: &SharedClock,
        app: impl Into<RefreshApp>,
        store: impl GrantStore + 'static,
    ) -> Self::Logins;
    fn fixed(clock: &SharedClock, endpoints: &Endpoints, token: AccessToken) -> Self;
    fn jwt(clock: &SharedClock, app: impl Into<JwtKeys>, grant: JwtGrant) -> Self;
    fn stored(
        clock: &SharedClock,
        app: impl Into<RefreshApp>,
        store: impl GrantStore + 'static,
    ) -> Self;
    fn workload(clock: &SharedClock, app: WorkloadApp) -> Self;
    fn shared(self, store: impl GrantStore + 'static) -> Self;
    fn wait_when_stale(self) -> Self;
    fn session(&self, name: &str) -> Result<Self, Error>;
    fn token(&self) -> Result<AccessToken, Error>;
    fn token_valid_for(&self, at_least: Duration) -> Result<IssuedToken, Error>;
    fn whoami(&self) -> Result<User, Error>;
    fn integration(&self, name: &str) -> Result<IntegrationCredential, Error>;
    fn project_env(&self) -> Result<ProjectEnv, Error>;
    fn invalidate(&self, rejected: &AccessToken);
    fn install(&self, grant: TokenGrant) -> Result<(), Error>;
    fn forget(&self) -> Result<(), Error>;
    fn close(&self) -> Result<(), Error>;
    /// The header that a request there is given.
    fn authorize(&self, url: &str) -> Result<String, Error>;
    /// Sends `GET` or `POST` without a body.
    fn send(&self, method: &str, url: &str, repeatable: bool) -> Result<Answer, Error>;
}

/// How long a request of the application's own may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The person that the cases log in.
const SUBJECT: &str = "alice";

pub(crate) type Reqwest = coze_auth_reqwest::Client;
pub(crate) type Ureq = coze_auth_ureq::Client;
/// hyper's client, awaited.
pub(crate) type Hyper = OnClock<HyperTransport, AsyncClock>;
/// attohttpc, blocking.
pub(crate) type Attohttpc = OnClock<AttohttpcTransport, BlockingClock>;

/// A transport of one's own on the clock of a case.
#[derive(Clone)]
pub(crate) struct OnClock<T, C> {
    transport: T,
    time: C,
}

impl awaited::Transport for Hyper {
    async fn send(&self, request: core::Request) -> Result<core::Response, SendError> {
        self.transport.send(request).await
    }

    fn time(&self) -> &dyn awaited::Time {
        &self.time
    }
}

impl blocking::Transport for Attohttpc {
    fn send(&self, request: core::Request) -> Result<core::Response, SendError> {
        self.transport.send(request)
    }

    fn time(&self) -> &dyn blocking::Time {
        &self.time
    }
}

/// What each transport that is awaited has of its own: the rest of [`OnTokio`] is the same.
pub(crate) trait Awaited: awaited::Transport + Clone + Sized + 'static {
    fn on(clock: &SharedClock) -> Self;

    async fn authorize(tokens: &awaited::TokenSource<Self>, url: &str) -> Result<HeaderMap, Error>;

    async fn send_api(
        tokens: &awaited::TokenSource<Self>,
        request: Request<()>,
        repeatable: bool,
    ) -> Result<Answer, Error>;
}

impl Awaited for coze_auth_reqwest::Client {
    fn on(clock: &SharedClock) -> Self {
        let client = Self::new().expect("a client");
        client.with_time(AsyncClock(clock.clone()))
    }

    async fn authorize(tokens: &awaited::TokenSource<Self>, url: &str) -> Result<HeaderMap, Error> {
        let url = url.parse().expect("a URL");
        let mut request = reqwest::Request::new(reqwest::Method::GET, url);
        tokens.authorize(&mut request).await?;
        Ok(request.headers().clone())
    }

    async fn send_api(
        tokens: &awaited::TokenSource<Self>,
        request: Request<()>,
        repeatable: bool,
    ) -> Result<Answer, Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build();
        let http = http.expect("a client");
        let request = http.request(request.method().clone(), request.uri().to_string());
        let answer = match repeatable {
            true => tokens.send_repeatable(&http, request).await?,
            false => tokens.send(&http, request).await?,
        };
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.expect("a body")))
    }
}

impl Awaited for Hyper {
    fn on(clock: &SharedClock) -> Self {
        Self {
            transport: HyperTransport::default(),
            time: AsyncClock(clock.clone()),
        }
    }

    async fn authorize(tokens: &awaited::TokenSource<Self>, url: &str) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        tokens.authorize_headers(url, &mut headers).await?;
        Ok(headers)
    }

    async fn send_api(
        tokens: &awaited::TokenSource<Self>,
        request: Request<()>,
        repeatable: bool,
    ) -> Result<Answer, Error> {
        let http = HyperTransport::default().http;
        let send = |request| {
            let sent = http.request(request);
            async { sent.await.map(|answer| answer.map(PeekableBody::new)) }
        };
        let request = request.map(|()| Full::default());
        let answer = match repeatable {
            true => tokens.send_repeatable_with(request, send).await?,
            false => tokens.send_with(request, send).await?,
        };
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body");
        Ok((status, text(body.to_bytes().into())))
    }
}

/// What each transport that blocks has of its own: the rest of [`OnThreads`] is the same.
pub(crate) trait Blocking: blocking::Transport + Clone + Sized + 'static {
    fn on(clock: &SharedClock) -> Self;

    fn authorize(tokens: &blocking::TokenSource<Self>, url: &str) -> Result<HeaderMap, Error>;

    fn send_api(
        tokens: &blocking::TokenSource<Self>,
        request: Request<()>,
        repeatable: bool,
    ) -> Result<Answer, Error>;
}

impl Blocking for coze_auth_ureq::Client {
    fn on(clock: &SharedClock) -> Self {
        let client = Self::new().expect("a client");
        client.with_time(BlockingClock(clock.clone()))
    }

    fn authorize(tokens: &blocking::TokenSource<Self>, url: &str) -> Result<HeaderMap, Error> {
        let mut request = Request::get(url).body(()).expect("a request");
        tokens.authorize(&mut request)?;
        Ok(request.headers().clone())
    }

    fn send_api(
        tokens: &blocking::TokenSource<Self>,
        request: Request<()>,
        repeatable: bool,
    ) -> Result<Answer, Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let answer = match repeatable {
            true => tokens.send_repeatable(&agent, request)?,
            false => tokens.send(&agent, request)?,
        };
        let status = answer.status().as_u16();
        let text = answer.into_body().read_to_string();
        Ok((status, text.expect("a body")))
    }
}

impl Blocking for Attohttpc {
    fn on(clock: &SharedClock) -> Self {
        Self {
            transport: AttohttpcTransport,
            time: BlockingClock(clock.clone()),
        }
    }

    fn authorize(tokens: &blocking::TokenSource<Self>, url: &str) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        tokens.authorize_headers(url, &mut headers)?;
        Ok(headers)
    }

    fn send_api(
        tokens: &blocking::TokenSource<Self>,
        request: Request<()>,
        repeatable: bool,
    ) -> Result<Answer, Error> {
        let send = |request| {
            let sent = custom_transport_blocking::send(request, PATIENCE);
            sent.map(|answer| answer.map(PeekableBody::new))
        };
        let request = request.map(|()| Vec::new());
        let answer = match repeatable {
            true => tokens.send_repeatable_with(request, send)?,
            false => tokens.send_with(request, send)?,
        };
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        answer.into_body().read_to_end(&mut body).expect("a body");
        Ok((status, text(body)))
    }
}

fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).expect("text")
}

fn request(method: &str, url: &str) -> Request<()> {
    let request = Request::builder().method(method).uri(url);
    request.body(()).expect("a request")
}

fn authorization(headers: &HeaderMap) -> String {
    let header = headers["authorization"].to_str();
    header.expect("text").to_owned()
}

/// A source over a transport that is awaited, on a runtime of its own.
#[derive(Clone)]
pub(crate) struct OnTokio<T: Awaited> {
    runtime: Arc<tokio::runtime::Runtime>,
    pub(crate) source: awaited::TokenSource<T>,
}

fn runtime() -> Arc<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    Arc::new(runtime.expect("a runtime"))
}

impl<T: Awaited> OnTokio<T> {
    fn over(make: impl FnOnce() -> awaited::TokenSource<T>) -> Self {
        Self {
            runtime: runtime(),
            source: make(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct LoginsOnTokio<T: Awaited> {
    runtime: Arc<tokio::runtime::Runtime>,
    logins: awaited::Logins<T>,
}

impl<T: Awaited> Logins for LoginsOnTokio<T> {
    type Tokens = OnTokio<T>;

    fn of(&self, subject: &str) -> Result<OnTokio<T>, Error> {
        Ok(OnTokio {
            runtime: self.runtime.clone(),
            source: self.logins.of(subject)?,
        })
    }

    fn install(&self, subject: &str, grant: TokenGrant) -> Result<(), Error> {
        self.runtime.block_on(self.logins.install(subject, grant))
    }

    fn forget(&self, subject: &str) -> Result<(), Error> {
        self.runtime.block_on(self.logins.forget(subject))
    }

    fn close(&self) -> Result<(), Error> {
        self.runtime.block_on(self.logins.close())
    }
}

impl<T: Awaited> Tokens for OnTokio<T> {
    type Logins = LoginsOnTokio<T>;

    fn logins(
        clock: &SharedClock,
        app: impl Into<RefreshApp>,
        store: impl GrantStore + 'static,
    ) -> LoginsOnTokio<T> {
        LoginsOnTokio {
            runtime: runtime(),
            logins: awaited::Logins::new(&T::on(clock), app, store),
        }
    }

    fn fixed(clock: &SharedClock, endpoints: &Endpoints, token: AccessToken) -> Self {
        Self::over(|| TokenSource::fixed(&T::on(clock), endpoints, token))
    }

    fn jwt(clock: &SharedClock, app: impl Into<JwtKeys>, grant: JwtGrant) -> Self {
        Self::over(|| TokenSource::jwt(&T::on(clock), app, grant))
    }

    fn stored(
        clock: &SharedClock,
        app: impl Into<RefreshApp>,
        store: impl GrantStore + 'static,
    ) -> Self {
        Self::over(|| TokenSource::stored(&T::on(clock), app, SUBJECT, store).expect("a subject"))
    }

    fn workload(clock: &SharedClock, app: WorkloadApp) -> Self {
        Self::over(|| TokenSource::workload(&T::on(clock), app))
    }

    fn shared(self, store: impl GrantStore + 'static) -> Self {
        let source = self.source.shared(store).expect("an app's");
        Self { source, ..self }
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

    fn whoami(&self) -> Result<User, Error> {
        self.runtime.block_on(self.source.whoami())
    }

    fn integration(&self, name: &str) -> Result<IntegrationCredential, Error> {
        self.runtime.block_on(self.source.integration(name))
    }

    fn project_env(&self) -> Result<ProjectEnv, Error> {
        self.runtime.block_on(self.source.project_env())
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
        let headers = self.runtime.block_on(T::authorize(&self.source, url))?;
        Ok(authorization(&headers))
    }

    fn send(&self, method: &str, url: &str, repeatable: bool) -> Result<Answer, Error> {
        let sent = T::send_api(&self.source, request(method, url), repeatable);
        self.runtime.block_on(sent)
    }
}

/// A source over a transport that blocks.
#[derive(Clone)]
pub(crate) struct OnThreads<T: Blocking>(blocking::TokenSource<T>);

impl<T: Blocking> Logins for blocking::Logins<T> {
    type Tokens = OnThreads<T>;

    fn of(&self, subject: &str) -> Result<OnThreads<T>, Error> {
        self.of(subject).map(OnThreads)
    }

    fn install(&self, subject: &str, grant: TokenGrant) -> Result<(), Error> {
        self.install(subject, grant)
    }

    fn forget(&self, subject: &str) -> Result<(), Error> {
        self.forget(subject)
    }

    fn close(&self) -> Result<(), Error> {
        self.close()
    }
}

impl<T: Blocking> Tokens for OnThreads<T> {
    type Logins = blocking::Logins<T>;

    fn logins(
        clock: &SharedClock,
        app: impl Into<RefreshApp>,
        store: impl GrantStore + 'static,
    ) -> blocking::Logins<T> {
        blocking::Logins::new(&T::on(clock), app, store)
    }

    fn fixed(clock: &SharedClock, endpoints: &Endpoints, token: AccessToken) -> Self {
        Self(TokenSource::fixed(&T::on(clock), endpoints, token))
    }

    fn jwt(clock: &SharedClock, app: impl Into<JwtKeys>, grant: JwtGrant) -> Self {
        Self(TokenSource::jwt(&T::on(clock), app, grant))
    }

    fn stored(
        clock: &SharedClock,
        app: impl Into<RefreshApp>,
        store: impl GrantStore + 'static,
    ) -> Self {
        let source = TokenSource::stored(&T::on(clock), app, SUBJECT, store);
        Self(source.expect("a subject"))
    }

    fn workload(clock: &SharedClock, app: WorkloadApp) -> Self {
        Self(TokenSource::workload(&T::on(clock), app))
    }

    fn shared(self, store: impl GrantStore + 'static) -> Self {
        Self(self.0.shared(store).expect("an app's"))
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

    fn whoami(&self) -> Result<User, Error> {
        self.0.whoami()
    }

    fn integration(&self, name: &str) -> Result<IntegrationCredential, Error> {
        self.0.integration(name)
    }

    fn project_env(&self) -> Result<ProjectEnv, Error> {
        self.0.project_env()
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
        Ok(authorization(&T::authorize(&self.0, url)?))
    }

    fn send(&self, method: &str, url: &str, repeatable: bool) -> Result<Answer, Error> {
        T::send_api(&self.0, request(method, url), repeatable)
    }
}
