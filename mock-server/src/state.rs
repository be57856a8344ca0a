//! The state of one world: apps, users, issued codes and tokens, and the journal.

pub(crate) mod app;
pub(crate) mod authorizations;
pub(crate) mod capped_map;
pub(crate) mod challenges;
pub(crate) mod devices;
pub(crate) mod grants;
pub(crate) mod ids;
pub(crate) mod jti;
pub(crate) mod keys;
pub(crate) mod leak_scanner;
pub(crate) mod provenance;
pub(crate) mod ready_made;
mod secret_kinds;
pub(crate) mod settings;
pub(crate) mod token_table;
pub(crate) mod user;

use std::num::NonZeroU64;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::journal::Journal;
use crate::journal::counters::{Counts, Key};
use crate::journal::leak::Leaks;
use crate::journal::log_id::LogIds;
use crate::limits::MAX_CONSENT_PAGES;
use crate::protocol::digest::{Digest, digest};
use app::{App, Consent};
use capped_map::CappedMap;
use grants::{
    AccessToken, AppIndex, Authorization, Code, Device, IdToken, RefreshToken, TokenAnswer,
};
use ids::Ids;
use jti::SeenJtis;
use provenance::{Mark, Origin};
use settings::Settings;
use user::User;

/// The state of one world. A [`World`](crate::world::World) holds it behind its one lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    /// Those of the settings, until the owner of one changes it.
    pub(crate) apps: Arc<Vec<App>>,
    /// The user who is signed in on the consent and device pages.
    pub(crate) user: Arc<User>,
    pub(crate) ids: Ids,
    pub(crate) authorizations: CappedMap<Authorization>,
    pub(crate) codes: CappedMap<Code>,
    pub(crate) devices: CappedMap<Device>,
    pub(crate) user_codes: CappedMap<Digest>,
    /// PAT and SAT, which are in a map of their own so that they are never evicted.
    pub(crate) console_tokens: CappedMap<AccessToken>,
    pub(crate) access_tokens: CappedMap<AccessToken>,
    pub(crate) refresh_tokens: CappedMap<RefreshToken>,
    pub(crate) id_tokens: CappedMap<IdToken>,
    pub(crate) jtis: SeenJtis,
    pub(crate) journal: Journal,
    /// The digests of S256 challenges whose code verifiers the leak scanner looks for.
    pub(crate) challenges: CappedMap<()>,
    /// The redirect URI of the newest code. Most codes of a world have the same one, and share it.
    pub(crate) redirect_uri: Arc<str>,
    pub(crate) leaks: Leaks,
    pub(crate) counts: Counts,
}

impl State {
    /// `log_ids` are those of the world.
    pub(crate) fn new(settings: Settings, log_ids: LogIds) -> Self {
        let journal = Journal::new(settings.journal, log_ids);
        Self::with(settings, journal)
    }

    fn with(settings: Settings, journal: Journal) -> Self {
        let cap = settings.cap;
        Self {
            apps: settings.apps.clone(),
            user: settings.users[0].clone(),
            ids: Ids::new(settings.seed),
            authorizations: CappedMap::new(cap.min(MAX_CONSENT_PAGES)),
            codes: CappedMap::new(cap),
            devices: CappedMap::new(cap),
            user_codes: CappedMap::new(cap),
            console_tokens: console_tokens(&settings),
            access_tokens: CappedMap::new(cap),
            refresh_tokens: CappedMap::new(cap),
            id_tokens: CappedMap::new(cap),
            jtis: SeenJtis::new(cap),
            journal,
            challenges: CappedMap::new(cap),
            redirect_uri: Arc::default(),
            leaks: Leaks::default(),
            counts: Counts::default(),
            settings,
        }
    }

    /// Unix time by the clock of this world, in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.settings.clock.unix_ms()
    }

    /// Resets state, journal and ids. The clock keeps its time, since others may share it.
    pub(crate) fn reset(&mut self) {
        // The caller wakes those that wait for it.
        let none = Journal::new(0, LogIds::new("", 0));
        let mut journal = std::mem::replace(&mut self.journal, none);
        journal.restart();
        *self = Self::with(self.settings.clone(), journal);
    }

    /// Number of bytes that the state holds.
    pub(crate) fn memory(&self) -> usize {
        let own_apps = match Arc::ptr_eq(&self.apps, &self.settings.apps) {
            true => 0,
            false => self.apps.len() * size_of::<App>() * 2,
        };
        own_apps
            + self.tables()
            + self.journal.memory()
            + self.leaks.memory()
            + self.counts.0.capacity() * size_of::<(Key, u64)>()
    }

    fn tables(&self) -> usize {
        self.authorizations.memory()
            + self.codes.memory()
            + self.devices.memory()
            + self.user_codes.memory()
            + self.console_tokens.memory()
            + self.access_tokens.memory()
            + self.refresh_tokens.memory()
            + self.id_tokens.memory()
            + self.challenges.memory()
            + self.jtis.memory()
    }

    /// Evicts the older half of the journal; also that of all tables, if the journal is less than half of all. The
    /// memory is given back.
    pub(crate) fn halve(&mut self) {
        let tables = self.tables() > self.journal.memory() + self.leaks.memory();
        self.journal.halve();
        self.leaks.halve();
        if tables {
            self.authorizations.halve();
            self.codes.halve();
            self.devices.halve();
            self.user_codes.halve();
            self.access_tokens.halve();
            self.refresh_tokens.halve();
            self.id_tokens.halve();
            self.challenges.halve();
            self.jtis.halve();
        }
    }

    /// Applies the settings that can change while a mock runs. Issued codes and tokens stay, and so do changes that an owner
    /// made to an app or token.
    pub(crate) fn reload(&mut self, new: &Settings) {
        let settings = &mut self.settings;
        settings.rules = new.rules.clone();
        settings.consent = new.consent;
        settings.ttl = new.ttl;
        settings.apps = new.apps.clone();
        settings.users = new.users.clone();
        settings.tokens = new.tokens.clone();
        settings.accounts = new.accounts.clone();
        settings.enterprises = new.enterprises.clone();
        settings.workload_paths = new.workload_paths;
        settings.faults = new.faults.clone();
        settings.apis = new.apis.clone();
        self.user = settings.users[0].clone();
        let apps = Arc::make_mut(&mut self.apps);
        for app in &mut *apps {
            app.removed = true;
        }
        for app in settings.apps.iter() {
            match apps.iter_mut().find(|old| old.client_id == app.client_id) {
                Some(old) => {
                    let enabled = old.enabled;
                    *old = App {
                        enabled,
                        ..app.clone()
                    };
                }
                None => apps.push(app.clone()),
            }
        }
        let mut tokens = console_tokens(settings);
        for token in settings.tokens.iter() {
            let key = digest(&token.value);
            if let (Some(new), Some(old)) = (tokens.get_mut(&key), self.console_tokens.get(&key)) {
                (new.revoked, new.restricted) = (old.revoked, old.restricted);
            }
        }
        self.console_tokens = tokens;
    }

    /// The apps of the configuration.
    pub(crate) fn known_apps(&self) -> impl Iterator<Item = &App> {
        self.apps.iter().filter(|app| !app.removed)
    }

    /// How requests of this app are decided.
    pub(crate) fn consent_of(&self, app: AppIndex) -> Consent {
        self.app(app).consent.unwrap_or(self.settings.consent)
    }

    pub(crate) fn app(&self, index: AppIndex) -> &App {
        &self.apps[usize::from(index)]
    }

    pub(crate) fn app_named(&self, client_id: &str) -> Option<AppIndex> {
        let found = self
            .apps
            .iter()
            .position(|app| !app.removed && app.client_id == client_id);
        found.and_then(|index| AppIndex::try_from(index).ok())
    }

    /// Revokes an access token, refresh token, PAT or SAT. Returns false if the token is unknown.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        let key = digest(token);
        if let Some(token) = self.access_token(&key) {
            token.revoked = true;
            return true;
        }
        let refresh = self.refresh_tokens.get_mut(&key);
        refresh.map(|token| token.revoked = true).is_some()
    }

    /// Removes the permissions of an access token. Returns false if the token is unknown.
    pub(crate) fn restrict(&mut self, token: &str) -> bool {
        let token = self.access_token(&digest(token));
        token.map(|token| token.restricted = true).is_some()
    }

    fn access_token(&mut self, key: &Digest) -> Option<&mut AccessToken> {
        let console = self.console_tokens.get_mut(key);
        console.or_else(|| self.access_tokens.get_mut(key))
    }

    /// Issues an access token and a refresh token, in the shapes of protocol §3.3.
    pub(crate) fn issue_pair(
        &mut self,
        app: AppIndex,
        user: Arc<User>,
        now_ms: u64,
        origin: Origin,
    ) -> TokenAnswer {
        let ttl = self.settings.ttl;
        let mut answer =
            self.issue_access("czu_mock_", app, user.clone(), now_ms, ttl.access, origin);
        let token = self.ids.opaque("mock_", 67);
        let entry = RefreshToken {
            app,
            user,
            expires_ms: now_ms + ttl.refresh * 1000,
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

    /// Issues an access token without refresh token, for the JWT grant (protocol §3.4).
    pub(crate) fn issue_service(
        &mut self,
        app: AppIndex,
        now_ms: u64,
        ttl_s: u64,
        origin: Origin,
    ) -> TokenAnswer {
        let user = self.user.clone();
        self.issue_access("czs_mock_", app, user, now_ms, ttl_s, origin)
    }

    /// Issues an id token of a workload, and returns it with its life in seconds.
    pub(crate) fn issue_id_token(
        &mut self,
        app: AppIndex,
        made: Mark,
        now_ms: u64,
    ) -> (String, u64) {
        let life_s = self.settings.ttl.id_token;
        let token = self.workload_jwt("JWT", app, now_ms, life_s);
        let entry = IdToken {
            app,
            expires_ms: (now_ms / 1000 + life_s) * 1000,
            made,
        };
        self.id_tokens.insert(digest(&token), entry);
        (token, life_s)
    }

    /// Issues an access token of a workload.
    pub(crate) fn issue_workload(
        &mut self,
        app: AppIndex,
        now_ms: u64,
        origin: Origin,
    ) -> TokenAnswer {
        let life_s = self.settings.ttl.access;
        let token = self.workload_jwt("at+jwt", app, now_ms, life_s);
        let user = self.user.clone();
        self.keep_access(token, app, user, now_ms, life_s, origin)
    }

    /// A token with the look of a JWT: three parts in base64url, of which nobody can verify the signature (protocol §15.6).
    fn workload_jwt(&mut self, typ: &str, app: AppIndex, now_ms: u64, life_s: u64) -> String {
        let iat = now_ms / 1000;
        let header = json!({ "alg": "RS256", "typ": typ });
        let claims = json!({
            "sub": self.app(app).client_id,
            "iat": iat,
            "exp": iat + life_s,
            "jti": self.ids.opaque("", 22),
        });
        let [header, claims] =
            [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        format!("{header}.{claims}.{}", self.ids.opaque("", 43))
    }

    fn issue_access(
        &mut self,
        prefix: &str,
        app: AppIndex,
        user: Arc<User>,
        now_ms: u64,
        ttl_s: u64,
        origin: Origin,
    ) -> TokenAnswer {
        let token = self.ids.opaque(prefix, 60);
        self.keep_access(token, app, user, now_ms, ttl_s, origin)
    }

    fn keep_access(
        &mut self,
        token: String,
        app: AppIndex,
        user: Arc<User>,
        now_ms: u64,
        ttl_s: u64,
        origin: Origin,
    ) -> TokenAnswer {
        // The answer has whole seconds, so the fraction is dropped in the state as well.
        let expires_in = now_ms / 1000 + ttl_s;
        let entry = AccessToken {
            app: Some(app),
            user,
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
        }
    }
}

fn console_tokens(settings: &Settings) -> CappedMap<AccessToken> {
    let mut tokens = CappedMap::new(settings.tokens.len());
    for token in settings.tokens.iter() {
        let named = |user: &&Arc<User>| Some(&user.name) == token.user.as_ref();
        let user = settings.users.iter().find(named);
        let entry = AccessToken {
            app: None,
            user: user.unwrap_or(&settings.users[0]).clone(),
            expires_ms: None,
            revoked: false,
            restricted: false,
            origin: None,
        };
        tokens.insert(digest(&token.value), entry);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_consent_pages_wait() {
        let mut state = State::new(Settings::standard([1; 32]), LogIds::new("", 0));
        for n in 0..=MAX_CONSENT_PAGES {
            let waiting = Authorization {
                app: 0,
                redirect_uri: String::new(),
                state: None,
                challenge: None,
                workspace: None,
                expires_ms: 0,
                decided: false,
                made: Mark::new(0, 1),
                fault: None,
            };
            state.authorizations.insert(digest(&n.to_string()), waiting);
        }
        assert_eq!(state.authorizations.iter().count(), MAX_CONSENT_PAGES);
        assert!(state.authorizations.get(&digest("0")).is_none());
    }
}
