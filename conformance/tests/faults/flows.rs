//! The flows, as the core names them, and one run of each with a fault in its way.

use std::sync::Arc;
use std::time::Duration;

use coze_auth::loopback::Login;
use coze_auth_conformance::SharedClock;
use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::config::Environment;
use coze_auth_core::jwt::{JwtApp, JwtGrant};
use coze_auth_core::{AccessToken, Call, Entropy, Region, TokenGrant, whoami};
use coze_auth_mock::{CozeAuthMock, DeviceAction, On};
use coze_auth_tokens::Error;

use crate::adapters::Adapter;
use crate::browser;
use crate::kinds::Kind;

/// For what arrives: a guard.
const PATIENCE: Duration = Duration::from_secs(60);
/// For what does not. A third of it is for connecting.
const SHORT: Duration = Duration::from_millis(1_200);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flow {
    CodeExchange,
    Pkce,
    Refresh,
    Device,
    PollOnce,
    Poll,
    Jwt,
    ClientCredentials,
    TokenExchange,
    Integration,
    ProjectEnv,
    Whoami,
}

pub(crate) const FLOWS: [Flow; 12] = [
    Flow::CodeExchange,
    Flow::Pkce,
    Flow::Refresh,
    Flow::Device,
    Flow::PollOnce,
    Flow::Poll,
    Flow::Jwt,
    Flow::ClientCredentials,
    Flow::TokenExchange,
    Flow::Integration,
    Flow::ProjectEnv,
    Flow::Whoami,
];

/// What came of a run, and on how many of its requests the fault acted.
pub(crate) struct Run {
    pub(crate) result: Result<(), Error>,
    pub(crate) fired: u64,
}

impl Flow {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CodeExchange => "code exchange",
            Self::Pkce => "PKCE",
            Self::Refresh => "refresh",
            Self::Device => "device authorization",
            Self::PollOnce => "device poll, met once",
            Self::Poll => "device poll",
            Self::Jwt => "JWT",
            Self::ClientCredentials => "W1",
            Self::TokenExchange => "W2",
            Self::Integration => "W3",
            Self::ProjectEnv => "W4",
            Self::Whoami => "whoami",
        }
    }

    /// The member of its answer without which it is none.
    pub(crate) fn asked_for(self) -> &'static str {
        match self {
            Self::Device => "device_code",
            Self::Integration => "data.credential",
            Self::ProjectEnv => "data.secrets",
            Self::Whoami => "data.user_id",
            _ => "access_token",
        }
    }

    /// The requests that its fault acts on.
    fn requests(self) -> On {
        match self {
            Self::CodeExchange | Self::Pkce => On::grant("authorization_code"),
            Self::Refresh => On::grant("refresh_token"),
            Self::Device => On::endpoint("device_code"),
            Self::PollOnce | Self::Poll => On::grant("device_code"),
            Self::Jwt => On::grant("jwt_bearer"),
            Self::ClientCredentials => On::grant("client_credentials"),
            Self::TokenExchange => On::grant("token_exchange"),
            Self::Integration => On::endpoint("integration"),
            Self::ProjectEnv => On::endpoint("project_env"),
            Self::Whoami => On::endpoint("users_me"),
        }
    }

    /// A server of its own, what comes before the request, and the request with this fault in its way.
    pub(crate) fn run(self, kind: &Kind, adapter: Adapter) -> Run {
        let clock = SharedClock::new();
        let mock = CozeAuthMock::builder().seed(1).clock(clock.handle());
        let scene = Scene {
            mock: Arc::new(mock.start_blocking().expect("a free port on 127.0.0.1")),
            clock,
            adapter,
            limit: if kind.hangs { SHORT } else { PATIENCE },
        };
        let fault = (kind.fault)(self);
        let fault = match self {
            Self::PollOnce => fault.times(1),
            _ => fault,
        };
        let on = match kind.in_browser {
            true => On::endpoint("authorize"),
            false => self.requests(),
        };
        scene.run(self, kind.in_browser, || scene.mock.fault(on, fault))
    }
}

struct Scene {
    mock: Arc<CozeAuthMock>,
    clock: SharedClock,
    adapter: Adapter,
    limit: Duration,
}

impl Scene {
    fn settings(&self) -> Environment<'_> {
        Environment::new(Region::Cn, |name| self.mock.variable(name))
    }

    /// A request that is to succeed.
    fn before<F: coze_auth_core::Flow>(&self, flow: F) -> F::Output {
        let done = Adapter::Ureq.run(&self.clock, PATIENCE, flow);
        done.unwrap_or_else(|error| panic!("before the fault: {error:?}"))
    }

    /// The request that meets the fault.
    fn meets<F: coze_auth_core::Flow>(&self, flow: F) -> Result<(), Error> {
        self.adapter.run(&self.clock, self.limit, flow).map(drop)
    }

    fn run(
        &self,
        flow: Flow,
        in_browser: bool,
        place: impl FnOnce() -> coze_auth_mock::FaultHandle,
    ) -> Run {
        let settings = self.settings();
        let workload = || settings.workload_app().expect("an app");
        let (result, fault) = match flow {
            Flow::CodeExchange | Flow::Pkce if in_browser => {
                let fault = place();
                (self.log_in(flow), fault)
            }
            Flow::CodeExchange | Flow::Pkce => {
                let call = self.exchange(flow);
                let fault = place();
                (self.meets(call), fault)
            }
            Flow::Refresh => {
                let grant = self.before(self.exchange(Flow::CodeExchange));
                let token = grant.refresh_token.expect("a refresh token");
                let fault = place();
                let app = settings.web_app().expect("an app");
                (self.meets(app.refresh(&token)), fault)
            }
            Flow::Device => {
                let fault = place();
                let app = settings.device_app().expect("an app");
                (self.meets(app.start()), fault)
            }
            Flow::PollOnce | Flow::Poll => {
                let app = settings.device_app().expect("an app");
                let mut started = self.before(app.start());
                // Long enough for a few polls.
                started.expires_in = Duration::from_secs(30);
                let approved = self
                    .mock
                    .decide_device(&started.user_code, DeviceAction::Approve);
                approved.expect("it waits");
                let fault = place();
                (self.meets(app.poll(&started)), fault)
            }
            Flow::Jwt => {
                let issuer = settings.jwt_issuer(|path| std::fs::read_to_string(path));
                let (issuer, key) = issuer.expect("an app");
                let app = JwtApp::from_issuer(issuer, key.rsa_key().expect("a key"));
                let fault = place();
                (self.meets(app.grant(&JwtGrant::new(), entropy())), fault)
            }
            Flow::ClientCredentials | Flow::TokenExchange => {
                let fault = place();
                (self.meets(workload().grant()), fault)
            }
            Flow::Integration => {
                let token = self.before(workload().grant()).access_token;
                let call = workload().integration(&token, "integration-feishu-base");
                let fault = place();
                (self.meets(call.expect("a call")), fault)
            }
            Flow::ProjectEnv => {
                let token = self.before(workload().grant()).access_token;
                let fault = place();
                let call = workload().project_env(&token);
                (self.meets(call.expect("a call")), fault)
            }
            Flow::Whoami => {
                let fault = place();
                let endpoints = settings.endpoints().expect("a base");
                let token = AccessToken::new("pat_mock_alice").expect("a token");
                (self.meets(whoami(&endpoints, &token)), fault)
            }
        };
        Run {
            result,
            fired: fault.fired(),
        }
    }

    /// A person has approved.
    fn exchange(&self, flow: Flow) -> Call<TokenGrant> {
        let settings = self.settings();
        let redirect = RedirectUri::new("http://localhost:8080/callback").expect("a URL");
        let callback = |url: &str| {
            let back = self.mock.authorize(url, true);
            Callback::parse(&back.unwrap_or_else(|refused| panic!("{refused}")))
                .expect("a callback")
        };
        let call = match flow {
            Flow::Pkce => {
                let app = settings.pkce_app().expect("an app");
                let (url, pending) = app.authorize(&redirect, entropy()).expect("a URL");
                app.exchange(pending, &callback(url.as_str()))
            }
            _ => {
                let app = settings.web_app().expect("an app");
                let (url, pending) = app.authorize(&redirect, entropy()).expect("a URL");
                app.exchange(pending, &callback(url.as_str()))
            }
        };
        call.expect("our state")
    }

    /// A login in the browser of this machine.
    fn log_in(&self, flow: Flow) -> Result<(), Error> {
        let settings = self.settings();
        let redirect = RedirectUri::new("http://127.0.0.1/callback").expect("a URL");
        let login = match flow {
            Flow::Pkce => Login::new(settings.pkce_app().expect("an app"), &redirect),
            _ => Login::new(settings.web_app().expect("an app"), &redirect),
        };
        let call = login
            .any_port()
            .within(self.limit)
            .on_notice(|_| {})
            .open_with(|url| browser::approve(url.as_str()))
            .wait_blocking()?;
        self.meets(call)
    }
}

fn entropy() -> Entropy {
    Entropy::from_bytes([7; 32])
}
