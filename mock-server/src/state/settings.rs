//! The settings of a world, which a reset does not change.

use std::sync::Arc;

use super::app::{App, Consent};
use super::ready_made;
use super::user::{ConsoleToken, User};
use crate::intercept::fault::Fault;
use crate::intercept::selector::On;
use crate::limits::{self, DEFAULT_GRANTS};
use crate::protocol::api::Api;
use crate::protocol::endpoint::{EXCHANGE, ID_TOKEN, WORKLOAD_TOKEN};
use crate::protocol::rules::RuleSet;
use crate::time::clock::ClockHandle;

/// Lifetimes and the pause between polls, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ttl {
    pub(crate) access: u64,
    pub(crate) refresh: u64,
    pub(crate) code: u64,
    pub(crate) id_token: u64,
    pub(crate) device: u64,
    pub(crate) device_interval: u64,
}

impl Ttl {
    /// Coze's lifetimes (protocol §3.4).
    const STANDARD: Self = Self {
        access: 15 * 60,
        refresh: 30 * 24 * 3600,
        // Unknown for Coze (protocol §14); short, as RFC 6749 §4.1.2 advises.
        code: 5 * 60,
        // Unknown for Coze (protocol §14, 18).
        id_token: 10 * 60,
        device: 300,
        device_interval: 5,
    };
}

/// Which paths for W1 and W2 the environment of a client names. The mock answers at all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkloadPaths {
    /// One for both, as on .cn (protocol §15.1).
    One,
    /// One for each.
    Two,
}

impl WorkloadPaths {
    /// The paths of W1 and W2.
    pub(crate) const fn paths(self) -> [&'static str; 2] {
        match self {
            Self::One => [WORKLOAD_TOKEN; 2],
            Self::Two => [ID_TOKEN, EXCHANGE],
        }
    }
}

/// The settings of a world, which a reset does not change. Worlds that have the same lists share them.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) clock: ClockHandle,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) consent: Consent,
    pub(crate) seed: [u8; 32],
    pub(crate) cap: usize,
    pub(crate) journal: usize,
    pub(crate) ttl: Ttl,
    pub(crate) apps: Arc<Vec<App>>,
    /// The users, at least one. The first is signed in on the pages.
    pub(crate) users: Arc<[Arc<User>]>,
    pub(crate) tokens: Arc<[ConsoleToken]>,
    /// The account ids that the JWT paths accept; if empty, any.
    pub(crate) accounts: Vec<String>,
    pub(crate) enterprises: Vec<String>,
    pub(crate) workload_paths: WorkloadPaths,
    /// The faults with which a world starts.
    pub(crate) faults: Vec<(On, Fault)>,
    /// The API calls of the user's own with which a world starts.
    pub(crate) apis: Vec<Arc<Api>>,
}

impl Settings {
    pub(crate) fn standard(seed: [u8; 32]) -> Self {
        Self {
            clock: ClockHandle::real(),
            rules: Arc::new(RuleSet::standard()),
            consent: Consent::Page,
            seed,
            cap: DEFAULT_GRANTS,
            journal: limits::DEFAULT_JOURNAL,
            ttl: Ttl::STANDARD,
            apps: Arc::new(ready_made::apps()),
            users: ready_made::users().into(),
            tokens: ready_made::console_tokens().into(),
            accounts: Vec::new(),
            enterprises: Vec::new(),
            workload_paths: WorkloadPaths::One,
            faults: Vec::new(),
            apis: Vec::new(),
        }
    }
}
