//! What the cases share: a server, a person who logged in, and what the server saw.

use std::time::Duration;

use coze_auth_conformance::Fixture;
use coze_auth_core::TokenGrant;
use coze_auth_core::error::ErrorCode;
use coze_auth_mock::{At, Builder, Gate, On, fingerprint};
use coze_auth_store::{GrantKey, GrantStore, MemoryStore};
use coze_auth_tokens::Error;

pub(crate) use crate::raw_socket::RawSocket;
use crate::transports::Tokens;

/// How long a case waits for another thread. None that passes takes as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a token of a login lives, and how long before its end it is renewed.
pub(crate) const LIFE: Duration = Duration::from_secs(900);
pub(crate) const EARLY: Duration = Duration::from_secs(60);

pub(crate) fn seconds(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A server, a web app's source over a store of its own, and a login in both.
pub(crate) struct Login<T> {
    pub(crate) fixture: Fixture<RawSocket>,
    pub(crate) store: MemoryStore,
    pub(crate) tokens: T,
}

impl<T: Tokens> Login<T> {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let fixture = Fixture::with(settings);
        let store = MemoryStore::new();
        let tokens = T::stored(&fixture.clock, fixture.web(), store.clone());
        tokens.install(fixture.web_login()).expect("stored");
        fixture.saw();
        Self {
            fixture,
            store,
            tokens,
        }
    }

    /// Another process over the same store.
    pub(crate) fn another(&self) -> T {
        T::stored(&self.fixture.clock, self.fixture.web(), self.store.clone())
    }

    pub(crate) fn stored(&self) -> TokenGrant {
        self.store
            .load(&key(&self.fixture))
            .expect("it can be read")
            .expect("a grant")
    }

    pub(crate) fn token(&self) -> String {
        let token = self.tokens.token().expect("a token");
        token.expose().to_owned()
    }

    /// Holds refreshes from now on.
    pub(crate) fn hold(&self, at: At) -> Gate {
        self.fixture
            .mock
            .gate("refresh", On::grant("refresh_token"), at)
    }

    /// How many refreshes came, and how many of them were granted.
    pub(crate) fn refreshes(&self) -> (usize, usize) {
        let all = self.fixture.mock.requests();
        let refreshes = all
            .iter()
            .filter(|entry| entry.grant == Some("refresh_token"));
        let granted = refreshes.clone().filter(|entry| entry.issued.is_some());
        (refreshes.count(), granted.count())
    }

    /// Kills the refresh token that is stored: the next refresh will be refused.
    pub(crate) fn revoke_refresh_token(&self) {
        let token = self.stored().refresh_token.expect("a refresh token");
        assert!(self.fixture.mock.revoke(token.expose()));
    }
}

pub(crate) fn key(fixture: &Fixture<RawSocket>) -> GrantKey {
    GrantKey::new(&fixture.web().into(), "alice").expect("a key")
}

/// The code of a refusal.
pub(crate) fn refused(error: &Error) -> &ErrorCode {
    match error {
        Error::RefreshRefused(refused) => refused.code(),
        other => panic!("no refusal: {other}"),
    }
}

/// Whether the mock's journal says that this refresh token has been traded for another.
pub(crate) fn is_spent(fixture: &Fixture<RawSocket>, token: &str) -> bool {
    let print = fingerprint(token);
    fixture
        .mock
        .requests()
        .iter()
        .any(|entry| entry.presented.as_deref() == Some(&print) && entry.issued.is_some())
}

/// Runs `work` on a thread while the gate holds its request, and gives what `meanwhile` and it gave.
pub(crate) fn while_held<A: Send + 'static, B>(
    gate: Gate,
    work: impl FnOnce() -> A + Send + 'static,
    meanwhile: impl FnOnce(&Gate) -> B,
) -> (A, B) {
    let worker = std::thread::spawn(work);
    assert!(gate.arrived_blocking(1, PATIENCE), "no request came");
    let between = meanwhile(&gate);
    gate.open();
    (worker.join().expect("it ends"), between)
}
