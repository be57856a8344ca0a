//! A fixture for tests in Rust: a mock server of its own, its apps as the core's, and the requests that reached it.
//! For what a case in JSON cannot say.

// A case fails by a panic: that is what it is for.
#![allow(clippy::missing_panics_doc)]

use std::cell::Cell;
use std::fmt::Debug;
use std::sync::Arc;

use coze_auth_core::authorize::{AuthorizeUrl, Callback, RedirectUri};
use coze_auth_core::config::Environment;
use coze_auth_core::device::DeviceApp;
use coze_auth_core::jwt::{JwtApp, JwtIssuer, RsaKey};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::web::WebApp;
use coze_auth_core::whoami::User;
use coze_auth_core::workload::WorkloadApp;
use coze_auth_core::{AccessToken, Endpoints, Entropy, Error, Flow, Region, TokenGrant, whoami};
use coze_auth_mock::{Builder, CozeAuthMock, JournalEntry};

use crate::clock::SharedClock;
use crate::subject::{Subject, TestContext};

/// A test's own server, clock and subject.
#[derive(Debug)]
pub struct Fixture<S> {
    subject: S,
    /// The clock of both sides.
    pub clock: SharedClock,
    /// The server.
    pub mock: Arc<CozeAuthMock>,
    /// How many requests `saw` has told.
    told: Cell<usize>,
    drawn: Cell<u8>,
}

impl<S: Subject> Fixture<S> {
    /// A server on a free port of 127.0.0.1, with a clock and a subject of its own.
    #[allow(clippy::new_without_default)] // it starts a server: not something to do in passing
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// The same, with settings of the server's own.
    pub fn with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = SharedClock::new();
        let builder = CozeAuthMock::builder().seed(1).clock(clock.handle());
        let mock = settings(builder).start_blocking();
        let mock = Arc::new(mock.expect("a free port on 127.0.0.1"));
        Self {
            subject: S::new(&TestContext::new(clock.clone(), Some(mock.clone()))),
            clock,
            mock,
            told: Cell::new(0),
            drawn: Cell::new(0),
        }
    }

    /// Drives a flow through the subject.
    ///
    /// # Errors
    ///
    /// The flow's own.
    pub fn run<F: Flow<Output: Send> + Send + 'static>(&self, flow: F) -> Result<F::Output, Error> {
        self.subject.run(flow)
    }

    /// Entropy that no other draw of this case has had.
    pub fn entropy(&self) -> Entropy {
        self.drawn.set(self.drawn.get() + 1);
        Entropy::from_bytes([self.drawn.get(); 32])
    }

    /// A token must open the API.
    pub fn prove_token(&self, token: &AccessToken) {
        let user = self.whoami(token).expect("the token opens the API");
        assert!(!user.user_id.is_empty());
    }

    /// The server as a custom base.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::custom(self.mock.base_url()).expect("loopback http is allowed")
    }

    /// The settings of the server's ready-made apps.
    fn settings(&self) -> Environment<'_> {
        Environment::new(Region::Cn, |name| self.mock.variable(name))
    }

    /// The ready-made web app.
    pub fn web(&self) -> WebApp {
        self.settings().web_app().expect("an app")
    }

    /// The ready-made PKCE app.
    pub fn pkce(&self) -> PkceApp {
        self.settings().pkce_app().expect("an app")
    }

    /// The ready-made device app.
    pub fn device(&self) -> DeviceApp {
        self.settings().device_app().expect("an app")
    }

    /// The ready-made JWT app.
    pub fn jwt(&self) -> JwtApp {
        let (issuer, key) = self.issuer();
        JwtApp::from_issuer(issuer, key)
    }

    /// The ready-made workload, with the mock's own endpoints.
    pub fn workload(&self) -> WorkloadApp {
        self.settings().workload_app().expect("an app")
    }

    /// The development key of the JWT app.
    pub fn key(&self) -> RsaKey {
        self.issuer().1
    }

    fn issuer(&self) -> (JwtIssuer, RsaKey) {
        let settings = self.settings();
        let (issuer, key) = settings
            .jwt_issuer(|path| std::fs::read_to_string(path))
            .expect("an app");
        (issuer, key.rsa_key().expect("a key"))
    }

    /// The ready-made token of this kind: `pat` or `sat`.
    pub fn token(&self, kind: &str) -> AccessToken {
        let value = self.mock.console_token(kind);
        AccessToken::new(value.expect("a ready-made token")).expect("a token")
    }

    /// A redirect URI that the web and PKCE apps have registered.
    pub fn redirect(&self) -> RedirectUri {
        RedirectUri::new("http://localhost:8080/cb?from=coze").expect("a URL")
    }

    /// The person opens the page and approves, or refuses; their browser comes back with this.
    pub fn browser(&self, url: &AuthorizeUrl, approve: bool) -> Callback {
        let back = self
            .mock
            .authorize(url.as_str(), approve)
            .unwrap_or_else(|refused| panic!("{refused}"));
        assert!(
            back.starts_with(self.redirect().as_str()),
            "sent back to {back}"
        );
        Callback::parse(&back).expect("a callback")
    }

    /// The grant of a web login.
    pub fn web_login(&self) -> TokenGrant {
        let app = self.web();
        let (url, pending) = app
            .authorize(&self.redirect(), self.entropy())
            .expect("a URL");
        let callback = self.browser(&url, true);
        self.run(app.exchange(pending, &callback).expect("our state"))
            .expect("a grant")
    }

    /// Asks whom a token speaks for.
    ///
    /// # Errors
    ///
    /// As for [`whoami()`].
    pub fn whoami(&self, token: &AccessToken) -> Result<User, Error> {
        self.run(whoami(&self.endpoints(), token))
    }

    /// A grant must open the API, and live as long as it says.
    pub fn prove(&self, grant: &TokenGrant) {
        self.prove_token(&grant.access_token);
        assert!(
            !grant.remaining(self.clock.now().unix).is_zero(),
            "granted a token that has ended"
        );
    }

    /// What the server saw since it was last asked, a line a request: endpoint, grant, status, and for
    /// a refusal its code and the rule that refused.
    pub fn saw(&self) -> Vec<String> {
        let all = self.mock.requests();
        let new = all.get(self.told.replace(all.len())..).unwrap_or_default();
        new.iter().map(line).collect()
    }

    /// The last request that the server saw.
    pub fn last(&self) -> JournalEntry {
        self.mock
            .requests()
            .pop()
            .expect("the server saw a request")
    }

    /// A result must be this refusal, by this rule, and its log id the one under which the server
    /// explains itself.
    pub fn refused<T: Debug>(&self, result: Result<T, Error>, code: &str, rule: &str) {
        let Err(Error::Refused(refused)) = result else {
            panic!("expected the refusal {code}, actual {result:?}");
        };
        assert_eq!(refused.code().to_string(), code, "{refused}");
        let outcome = self.last().outcome;
        assert_eq!(
            outcome.rule,
            Some(rule),
            "refused for another reason: {refused}"
        );
        assert_eq!(refused.status(), outcome.status);
        assert_eq!(
            refused.log_id(),
            Some(&*outcome.logid),
            "the log id must reach the person who asks"
        );
        let explanation = self
            .mock
            .explain(&outcome.logid)
            .expect("the server explains its refusals");
        assert_eq!(explanation.rule, Some(rule));
    }
}

fn line(entry: &JournalEntry) -> String {
    let mut line = entry.endpoint.to_owned();
    let status = entry.outcome.status.to_string();
    let parts = [
        entry.grant,
        Some(&*status),
        entry.outcome.error.as_deref(),
        entry.outcome.rule,
    ];
    for part in parts.into_iter().flatten() {
        line.push(' ');
        line.push_str(part);
    }
    line
}

impl<S> Drop for Fixture<S> {
    fn drop(&mut self) {
        // A failed case shows what the server saw.
        if std::thread::panicking() {
            for entry in self.mock.requests() {
                eprintln!(
                    "the mock saw: {} — {} {}",
                    line(&entry),
                    entry.method,
                    entry.path
                );
            }
        }
    }
}
