//! The state of one mock Coze: apps, users, and what it has issued.

use std::num::NonZeroU64;
use std::time::Duration;

use aws_lc_rs::signature::ParsedPublicKey;
use serde::Serialize;

use crate::apps::{self, ALICE, App, CONSOLE_TOKENS, User};
use crate::clock::ClockHandle;
use crate::journal::{self, Journal};
use crate::leaks::Leaks;
use crate::lineage::{Mark, Origin};
use crate::metrics::Counts;
use crate::rules::RuleSet;
use crate::store::{Capped, Digest, Ids, SeenJtis, digest};

/// Lifetimes, protocol §3.4.
pub(crate) const ACCESS_TOKEN_S: u64 = 15 * 60;
const REFRESH_TOKEN_S: u64 = 30 * 24 * 3600;
/// Unknown for Coze (protocol §14); short, as RFC 6749 §4.1.2 advises.
pub(crate) const CODE_S: u64 = 5 * 60;
/// How long a consent page waits for its button.
pub(crate) const CONSENT_S: u64 = 10 * 60;
pub(crate) const DEVICE_CODE_S: u64 = 300;
pub(crate) const DEVICE_INTERVAL_S: u64 = 5;

/// How many grants, codes and `jti` values one world keeps.
const CAP: usize = 100_000;
/// How many consent pages wait at most: each keeps what its request sent.
const WAITING_CAP: usize = 10_000;

/// Who decides about authorize requests and device codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Consent {
    /// A person, on the consent page and the device page (or a test, over the control plane).
    #[default]
    Page,
    /// Nobody: everything is approved at once.
    Approve,
    /// Nobody: everything is denied at once.
    Deny,
}

/// What stays when a world is reset.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) clock: ClockHandle,
    pub(crate) rules: RuleSet,
    pub(crate) consent: Consent,
    pub(crate) seed: [u8; 32],
    pub(crate) cap: usize,
    pub(crate) journal: usize,
}

impl Settings {
    pub(crate) fn standard(seed: [u8; 32]) -> Self {
        Self {
            clock: ClockHandle::real(),
            rules: RuleSet::standard(),
            consent: Consent::Page,
            seed,
            cap: CAP,
            journal: journal::CAPACITY,
        }
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) apps: Vec<App>,
    pub(crate) user: User,
    pub(crate) jwt_key: ParsedPublicKey,
    pub(crate) ids: Ids,
    pub(crate) authorizations: Capped<Authorization>,
    pub(crate) codes: Capped<Code>,
    pub(crate) devices: Capped<Device>,
    pub(crate) user_codes: Capped<Digest>,
    /// PAT and SAT: apart from the rest, so that they are never evicted.
    pub(crate) console_tokens: Capped<AccessToken>,
    pub(crate) access_tokens: Capped<AccessToken>,
    pub(crate) refresh_tokens: Capped<RefreshToken>,
    pub(crate) jtis: SeenJtis,
    pub(crate) journal: Journal,
    /// Of code verifiers that are still unknown, or that came: the digest of the S256 challenge.
    pub(crate) challenges: Capped<()>,
    pub(crate) leaks: Leaks,
    pub(crate) counts: Counts,
}

/// Index into `World::apps`, which only ever grows.
pub(crate) type AppIndex = u16;

/// An accepted authorize request.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    pub(crate) app: AppIndex,
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) workspace: Option<String>,
    pub(crate) expires_ms: u64,
    pub(crate) decided: bool,
    pub(crate) made: Mark,
}

#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    pub(crate) value: String,
    pub(crate) s256: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) app: AppIndex,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) expires_ms: u64,
    pub(crate) made: Mark,
    pub(crate) used: Option<Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decision {
    Pending,
    Approved,
    Denied,
}

#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) app: AppIndex,
    pub(crate) user_code: String,
    pub(crate) workspace: Option<String>,
    pub(crate) decision: Decision,
    pub(crate) expires_ms: u64,
    /// On the steady clock.
    pub(crate) last_poll: Option<Duration>,
    pub(crate) made: Mark,
    pub(crate) used: Option<Mark>,
}

#[derive(Clone, Debug)]
pub(crate) struct AccessToken {
    /// None for tokens from the console.
    pub(crate) app: Option<AppIndex>,
    /// None: never.
    pub(crate) expires_ms: Option<NonZeroU64>,
    pub(crate) revoked: bool,
    pub(crate) restricted: bool,
    /// None for tokens from the console.
    pub(crate) origin: Option<Origin>,
}

#[derive(Clone, Debug)]
pub(crate) struct RefreshToken {
    pub(crate) app: AppIndex,
    pub(crate) expires_ms: u64,
    pub(crate) spent: Option<Mark>,
    pub(crate) revoked: bool,
    pub(crate) origin: Origin,
}

/// The answer of the token endpoint (protocol §3.1).
#[derive(Debug, Serialize)]
pub(crate) struct TokenAnswer {
    #[serde(skip)]
    pub(crate) access_key: Digest,
    #[serde(skip)]
    pub(crate) refresh_key: Option<Digest>,
    pub(crate) access_token: String,
    /// Absolute, in Unix seconds.
    pub(crate) expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    pub(crate) token_type: &'static str,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        let cap = settings.cap;
        let mut console_tokens = Capped::new(CONSOLE_TOKENS.len());
        for token in CONSOLE_TOKENS {
            let entry = AccessToken {
                app: None,
                expires_ms: None,
                revoked: false,
                restricted: false,
                origin: None,
            };
            console_tokens.insert(digest(token.value), entry);
        }
        Self {
            apps: apps::apps(),
            user: ALICE,
            jwt_key: apps::public_key(),
            ids: Ids::new(settings.seed),
            authorizations: Capped::new(cap.min(WAITING_CAP)),
            codes: Capped::new(cap),
            devices: Capped::new(cap),
            user_codes: Capped::new(cap),
            console_tokens,
            access_tokens: Capped::new(cap),
            refresh_tokens: Capped::new(cap),
            jtis: SeenJtis::new(cap),
            journal: Journal::new(settings.journal),
            challenges: Capped::new(cap),
            leaks: Leaks::default(),
            counts: Counts::default(),
            settings,
        }
    }

    /// Back to the first moment: state, journal and ids. The clock belongs to whoever holds it.
    pub(crate) fn reset(&mut self) {
        // Those who wait at it are told by the caller.
        let bell = self.journal.bell.clone();
        *self = Self::new(self.settings.clone());
        self.journal.bell = bell;
    }

    pub(crate) fn app(&self, index: AppIndex) -> &App {
        &self.apps[usize::from(index)]
    }

    pub(crate) fn app_named(&self, client_id: &str) -> Option<AppIndex> {
        let found = self.apps.iter().position(|app| app.client_id == client_id);
        found.and_then(|index| AppIndex::try_from(index).ok())
    }

    /// Kills an access token, refresh token, PAT or SAT. False: there is no such token.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        let key = digest(token);
        if let Some(token) = self.access_token(&key) {
            token.revoked = true;
            return true;
        }
        let refresh = self.refresh_tokens.get_mut(&key);
        refresh.map(|token| token.revoked = true).is_some()
    }

    /// Takes an access token's permissions away. False: there is no such token.
    pub(crate) fn restrict(&mut self, token: &str) -> bool {
        let token = self.access_token(&digest(token));
        token.map(|token| token.restricted = true).is_some()
    }

    fn access_token(&mut self, key: &Digest) -> Option<&mut AccessToken> {
        let console = self.console_tokens.get_mut(key);
        console.or_else(|| self.access_tokens.get_mut(key))
    }

    /// A new pair of tokens, of the shapes of protocol §3.3.
    pub(crate) fn issue_pair(&mut self, app: AppIndex, now_ms: u64, origin: Origin) -> TokenAnswer {
        let mut answer = self.issue_access("czu_mock_", app, now_ms, ACCESS_TOKEN_S, origin);
        let token = self.ids.opaque("mock_", 67);
        let entry = RefreshToken {
            app,
            expires_ms: now_ms + REFRESH_TOKEN_S * 1000,
            spent: None,
            revoked: false,
            origin,
        };
        let key = digest(&token);
        self.refresh_tokens.insert(key, entry);
        answer.refresh_key = Some(key);
        answer.refresh_token = Some(token);
        answer
    }

    /// A token without refresh token, for the JWT grant (protocol §3.4).
    pub(crate) fn issue_service(
        &mut self,
        app: AppIndex,
        now_ms: u64,
        ttl_s: u64,
        origin: Origin,
    ) -> TokenAnswer {
        self.issue_access("czs_mock_", app, now_ms, ttl_s, origin)
    }

    fn issue_access(
        &mut self,
        prefix: &str,
        app: AppIndex,
        now_ms: u64,
        ttl_s: u64,
        origin: Origin,
    ) -> TokenAnswer {
        let token = self.ids.opaque(prefix, 60);
        // What the client is told is what counts, so the fraction of a second is dropped for both.
        let expires_in = now_ms / 1000 + ttl_s;
        let entry = AccessToken {
            app: Some(app),
            expires_ms: NonZeroU64::new(expires_in * 1000),
            revoked: false,
            restricted: false,
            origin: Some(origin),
        };
        let access_key = digest(&token);
        self.access_tokens.insert(access_key, entry);
        TokenAnswer {
            access_key,
            refresh_key: None,
            access_token: token,
            expires_in,
            refresh_token: None,
            token_type: "Bearer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_consent_pages_wait() {
        let mut world = World::new(Settings::standard([1; 32]));
        for n in 0..=WAITING_CAP {
            let waiting = Authorization {
                app: 0,
                redirect_uri: String::new(),
                state: None,
                challenge: None,
                workspace: None,
                expires_ms: 0,
                decided: false,
                made: Mark::new(0, 1),
            };
            world.authorizations.insert(digest(&n.to_string()), waiting);
        }
        assert_eq!(world.authorizations.iter().count(), WAITING_CAP);
        assert!(world.authorizations.get(&digest("0")).is_none());
    }
}
