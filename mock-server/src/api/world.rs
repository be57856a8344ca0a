//! One world of a mock, as a test sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use url::Url;

use super::app::MockApp;
use super::banner;
use super::builder::key_of;
use crate::control::info;
use crate::error::KeyError;
use crate::intercept::fault::Fault;
use crate::intercept::faults::{FaultHandle, ScriptHandle};
use crate::intercept::gates::Gate;
use crate::intercept::phase::At;
use crate::intercept::script::{ScriptEnd, ScriptStep};
use crate::intercept::selector::On;
use crate::journal::entry::{Explanation, JournalEntry};
use crate::journal::filter::RequestFilter;
use crate::journal::leak::Leak;
use crate::journal::record::Record;
use crate::journal::verify::{self, Expect, VerifyError};
use crate::net::addressing::below;
use crate::oauth::context::Decider;
use crate::oauth::headless::{self, AuthorizeError};
use crate::openapi;
use crate::protocol::api::Api;
use crate::state::app::{AppKind, Consent};
use crate::state::devices::{DeviceAction, UserCodeError};
use crate::state::{State, devices, keys, leak_scanner};
use crate::time::clock::ClockHandle;
use crate::world::World;
use crate::world::own_port::PortError;
use crate::world::wait::Waited;

/// A world of a mock: apps, users, their codes and tokens, a clock, a journal, gates and faults. Clones are the same world.
///
/// ```
/// use coze_auth_mock::CozeAuthMock;
///
/// let mock = CozeAuthMock::builder().start_blocking()?;
/// let alpha = mock.world("alpha")?; // with tokens, a clock and a journal of its own
/// assert_eq!(alpha.base_url(), format!("{}/t/alpha", mock.base_url()));
/// assert!(alpha.requests().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MockWorld {
    pub(crate) world: Arc<World>,
}

impl MockWorld {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// Scheme, host, port and path, without a trailing slash. Without a socket it begins with `http://localhost`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.world.base_url()
    }

    /// Opens a port of the world's own, beside its path: at its root is this world, and no other one is reached there. So it
    /// serves a client that keeps only host and port of a base URL, as the Java SDK does. 0 is a free port, or the one that the
    /// world has; if the world has another one, that one is closed. The port is on the host of the mock's own address, with
    /// TLS if the mock has it, until [`close_port`](Self::close_port) or the end of the world. Returns its URL.
    ///
    /// ```
    /// use coze_auth_mock::CozeAuthMock;
    ///
    /// let mock = CozeAuthMock::builder().start_blocking()?;
    /// let alpha = mock.world("alpha")?;
    /// let url = alpha.open_port(0)?;
    /// assert!(url.starts_with("http://127.0.0.1:") && url != mock.base_url());
    /// assert!(alpha.close_port());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PortError`] if the mock does not listen, the world has ended, 256 worlds have a port, or this port cannot be bound.
    pub fn open_port(&self, port: u16) -> Result<String, PortError> {
        self.world.open_port(port)?;
        self.port_url().ok_or(PortError::Ended)
    }

    /// Closes the port of the world; requests that run get their answers. Returns false if the world has no port.
    pub fn close_port(&self) -> bool {
        self.world.close_port()
    }

    /// The URL of the world's own port, without a trailing slash. None if the world has no port.
    #[must_use]
    pub fn port_url(&self) -> Option<String> {
        self.world.port_url(self.base_url())
    }

    /// The world's clock.
    #[must_use]
    pub fn clock(&self) -> ClockHandle {
        self.world.state().settings.clock.clone()
    }

    /// Returns the apps and tokens, as `GET /_mock/v1/info` shows them.
    #[must_use]
    pub fn info(&self) -> serde_json::Value {
        info::describe(&self.world, self.base_url())
    }

    /// Returns the OpenAPI document of this world and its control plane, as `GET /_mock/v1/openapi.json` shows it.
    #[must_use]
    pub fn openapi(&self) -> serde_json::Value {
        openapi::document(&self.world, self.base_url())
    }

    /// Returns the `export COZE_…=…` lines that a client needs, one per line.
    #[must_use]
    pub fn environment(&self) -> String {
        banner::environment(&self.info())
    }

    /// Returns the variables of [`environment`](Self::environment) with their values, as a child process takes them.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        info::variables(&self.info())
    }

    /// Returns the value of one of the [`variables`](Self::variables), such as `COZE_WEB_OAUTH_CLIENT_ID`. This is the lookup
    /// that `Environment` of `coze-auth` takes.
    ///
    /// ```
    /// use coze_auth_mock::CozeAuthMock;
    ///
    /// let mock = CozeAuthMock::builder().start_blocking()?;
    /// assert_eq!(mock.variable("COZE_API_BASE").as_deref(), Some(mock.base_url()));
    /// assert_eq!(mock.variable("COZE_WEB_OAUTH_CLIENT_SECRET").as_deref(), Some("mock-web-secret"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let mut all = self.variables().into_iter();
        all.find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Returns the apps, in the order of the configuration.
    #[must_use]
    pub fn apps(&self) -> Vec<MockApp> {
        let state = self.world.state();
        state.known_apps().cloned().map(MockApp::new).collect()
    }

    /// Returns the first app of a kind.
    #[must_use]
    pub fn app(&self, kind: AppKind) -> Option<MockApp> {
        self.apps().into_iter().find(|app| app.kind() == kind)
    }

    /// Returns the first token of the console of a kind, `pat` or `sat`.
    #[must_use]
    pub fn console_token(&self, kind: &str) -> Option<String> {
        let state = self.world.state();
        let mut tokens = state.settings.tokens.iter();
        tokens
            .find(|token| token.kind == kind)
            .map(|token| token.value.clone())
    }

    /// Returns the requests to the data plane that the journal holds, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<JournalEntry> {
        self.world
            .state()
            .journal
            .iter()
            .map(Record::show)
            .collect()
    }

    /// Waits for a request that matches `filter` and was not taken before, and takes the oldest. Returns none if no matching
    /// request arrived within `timeout` of real time, or if the world was reset or ended.
    ///
    /// It does not need the timer of a runtime.
    pub async fn take_request(
        &self,
        filter: impl Into<RequestFilter>,
        timeout: Duration,
    ) -> Option<JournalEntry> {
        let filter = filter.into();
        let epoch = self.world.notifier.epoch();
        let begun = Instant::now();
        loop {
            if let Some(taken) = self.world.state().journal.take(&filter) {
                return Some(taken);
            }
            // This function takes the request, not the thread that waits: a future that is dropped loses none.
            let wanted = filter.clone();
            let look = move |state: &State| state.journal.untaken(&wanted).map(|_| ());
            let left = timeout.saturating_sub(begun.elapsed());
            match self.world.wait(epoch, left, look).await {
                Waited::Found(()) => {}
                Waited::TimedOut | Waited::Closed => return None,
            }
        }
    }

    /// Does the same as [`take_request`](Self::take_request) and blocks this thread.
    #[must_use]
    pub fn take_request_blocking(
        &self,
        filter: impl Into<RequestFilter>,
        timeout: Duration,
    ) -> Option<JournalEntry> {
        let filter = filter.into();
        let epoch = self.world.notifier.epoch();
        let begun = Instant::now();
        loop {
            if let Some(taken) = self.world.state().journal.take(&filter) {
                return Some(taken);
            }
            let look = |state: &State| state.journal.untaken(&filter).map(|_| ());
            let left = timeout.saturating_sub(begun.elapsed());
            match self.world.wait_blocking(epoch, left, look, || false) {
                Waited::Found(()) => {}
                Waited::TimedOut | Waited::Closed => return None,
            }
        }
    }

    /// Compares the journal with expectations.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] says for each unmet expectation how many requests matched, and which other request was nearest.
    pub fn verify(&self, expected: &[Expect]) -> Result<(), VerifyError> {
        let failures = verify::verify(&self.world.state().journal, expected);
        match failures.is_empty() {
            true => Ok(()),
            false => Err(VerifyError { failures }),
        }
    }

    /// Returns the secrets that requests had where they do not belong, oldest first; at most the last 1,000.
    #[must_use]
    pub fn leaks(&self) -> Vec<Leak> {
        self.world.state().leaks.iter().cloned().collect()
    }

    /// Finds the secrets of this world in `text`, such as the log of a client.
    #[must_use]
    pub fn leaks_in(&self, text: &str) -> Vec<Leak> {
        leak_scanner::of_text(&self.world.state(), text)
    }

    /// Explains the answer with this `X-Tt-Logid`, in whichever world of the mock it was given. Returns none if no journal holds
    /// its request.
    #[must_use]
    pub fn explain(&self, logid: &str) -> Option<Explanation> {
        self.world.with_request(logid, Record::explain)
    }

    /// Decides as a user on the consent page of `url`, and returns the redirect that the browser would follow. `url` is an
    /// authorize URL with any host.
    ///
    /// # Errors
    ///
    /// [`AuthorizeError`] if the mock refuses the authorize request, with the rule and the reason.
    pub fn authorize(&self, url: &str, approve: bool) -> Result<String, AuthorizeError> {
        let consent = if approve {
            Consent::Approve
        } else {
            Consent::Deny
        };
        // A text that is not a URL is refused as an unknown path.
        let url = Url::parse(url);
        let (path, query) = match &url {
            Ok(url) => (url.path(), url.query()),
            Err(_) => ("", None),
        };
        let path = below(path, self.base_url(), &self.world.mount);
        let state = &mut self.world.state();
        let user = state.user.clone();
        let decider = Decider { user, consent };
        headless::authorize(state, self.base_url(), path, query, decider)
    }

    /// Decides about a device code, as a user on the device page.
    ///
    /// # Errors
    ///
    /// [`UserCodeError`] if no device waits with this user code.
    pub fn decide_device(
        &self,
        user_code: &str,
        action: DeviceAction,
    ) -> Result<(), UserCodeError> {
        let mut state = self.world.state();
        let now_ms = state.now_ms();
        devices::decide(&mut state, user_code, action, None, now_ms)
    }

    /// Revokes an access token, refresh token, PAT or SAT. Returns false if the token is unknown.
    pub fn revoke(&self, token: &str) -> bool {
        self.world.state().revoke(token)
    }

    /// Adds a public key in PEM to a JWT app, in place of an earlier one of this `kid`, as its owner does to change keys: the
    /// `kid` of an assertion says which of them has signed it. A reset, and a reload, give back the keys of the settings.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the app is unknown or is not a JWT app, if the text is not a public key, if another app has the `kid`, or if
    /// the app has 16 keys.
    pub fn add_key(&self, client_id: &str, kid: &str, public_pem: &str) -> Result<(), KeyError> {
        let key = key_of(kid, public_pem)?;
        let mut state = self.world.state();
        keys::add(&mut state.apps, client_id, key)
    }

    /// Removes a key of a JWT app. Its assertions are refused from then on; tokens that they were traded for stay.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the app is unknown or is not a JWT app, or if none of its keys has this `kid`.
    pub fn remove_key(&self, client_id: &str, kid: &str) -> Result<(), KeyError> {
        let mut state = self.world.state();
        keys::remove(&mut state.apps, client_id, kid)
    }

    /// Adds an API call of your own, in place of an earlier one of the same method and path. It stays until it is removed or
    /// the world is reset, which gives back those of the settings. Returns its id.
    ///
    /// ```
    /// use coze_auth_mock::{Api, CozeAuthMock, Expect, On};
    ///
    /// let mock = CozeAuthMock::builder().start_blocking()?;
    /// mock.add_api(Api::events("POST", "/v3/chat", [("done", "[DONE]")]));
    /// // … and after the program has called it twice:
    /// # assert!(mock.requests().is_empty());
    /// let twice = Expect::exactly(2, On::endpoint("api").path("/v3/chat"));
    /// # assert!(mock.verify(&[twice.clone()]).is_err());
    /// # let _ =
    /// mock.verify(&[twice])
    /// # ;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_api(&self, api: Api) -> String {
        // There is room for as many as memory holds.
        let id = self.world.apis.put(Arc::new(api), usize::MAX);
        id.unwrap_or_default()
    }

    /// Removes an API call of your own. Returns false if none has this id.
    pub fn remove_api(&self, id: &str) -> bool {
        self.world.apis.remove(id)
    }

    /// Holds the requests that `on` selects, until the gate is opened or dropped. An earlier gate of this name is opened.
    pub fn gate(&self, name: &str, on: On, at: At) -> Gate {
        self.world.gates.set(name, on, at)
    }

    /// Applies a fault to the requests that `on` selects, until the handle is dropped. If several faults match a request, only
    /// the first that acts applies. Gates act before faults.
    ///
    /// ```
    /// use coze_auth_mock::{At, CozeAuthMock, Fault, On};
    ///
    /// let mock = CozeAuthMock::builder().start_blocking()?;
    /// // The mock rotates the refresh token, and the client never gets the answer.
    /// let lost = Fault::reset().at(At::Answer).times(1);
    /// let lost = mock.fault(On::grant("refresh_token"), lost);
    /// // … and after the client has sent its request:
    /// # assert_eq!(lost.fired(), 0);
    /// let entry = mock.requests().into_iter().find(|entry| entry.fault == Some("reset"));
    /// # assert!(entry.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fault(&self, on: On, fault: Fault) -> FaultHandle {
        self.world.faults.set(on, fault)
    }

    /// Answers the next requests that `on` selects by `steps`, in order, until the handle is dropped. A script acts before
    /// faults; `after` says what happens after the last step.
    pub fn script(
        &self,
        on: On,
        steps: impl IntoIterator<Item = ScriptStep>,
        after: ScriptEnd,
    ) -> ScriptHandle {
        let steps = steps.into_iter().collect();
        self.world.faults.set_script(on, steps, after)
    }

    /// Deletes all codes, tokens and requests, restarts the ids, opens all gates and removes all faults and scripts. The
    /// clock keeps its time.
    pub fn reset(&self) {
        self.world.reset();
    }
}
