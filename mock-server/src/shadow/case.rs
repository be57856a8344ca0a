//! One request as a case for the mock's rules: a world that holds what is known of the upstream about this request, and what had
//! to be assumed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::answer::Answer;
use super::facts::{Facts, shifted};
use crate::journal::log_id::LogIds;
use crate::oauth::dispatch;
use crate::protocol::assertion::Assertion;
use crate::protocol::client_id::{client_of, members};
use crate::protocol::digest::{Digest, digest};
use crate::protocol::endpoint::Endpoint;
use crate::protocol::grant::{grant_of, secret_of};
use crate::protocol::json_body::JsonObject;
use crate::protocol::magic_values;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::{Credential, Incoming};
use crate::protocol::rules::{Rule, RuleSet};
use crate::state::State;
use crate::state::app::{App, AppKind, Integration, Key};
use crate::state::challenges::s256;
use crate::state::grants::{
    AccessToken, AppIndex, Challenge, Code, Decision, Device, IdToken, RefreshToken,
};
use crate::state::jti::Jti;
use crate::state::provenance::Origin;
use crate::state::ready_made;
use crate::state::settings::Settings;
use crate::time::clock::ClockHandle;

/// What is not known, and was assumed in favour of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    App,
    Kind,
    Secret,
    Key,
    RedirectUris,
    Code,
    RefreshToken,
    DeviceCode,
    AccessToken,
    IdToken,
    Integrations,
    Lost,
    Overlap,
}

impl Gap {
    /// Returns true if a refusal of the upstream with this code may come from what is not known.
    pub(crate) fn explains(self, code: &str) -> bool {
        let is_of_client = matches!(code, "invalid_client" | "access_deny");
        match self {
            Self::App
            | Self::RedirectUris
            | Self::AccessToken
            | Self::Integrations
            | Self::Overlap => true,
            Self::Kind => is_of_client || code == "invalid_request",
            Self::Secret | Self::Key => is_of_client,
            Self::Code | Self::RefreshToken | Self::DeviceCode | Self::IdToken | Self::Lost => {
                !is_of_client && code != "unsupported_grant_type"
            }
        }
    }

    /// The rule that is not judged for it, and why; of a record, who reads it can no longer name anything to the shadow.
    pub(crate) const fn tells(self, of_record: bool) -> (Rule, &'static str) {
        match self {
            Self::App if of_record => (
                Rule::ClientKnown,
                "the record names no app of this client id: the shadow that wrote it was not told of one",
            ),
            Self::App => (
                Rule::ClientKnown,
                "the shadow knows no app of this client id: name it with --app",
            ),
            Self::Kind if of_record => (
                Rule::ClientKind,
                "whether the app is a web or a PKCE app is only known by its requests: the shadow that wrote the record was not told of the app",
            ),
            Self::Kind => (
                Rule::ClientKind,
                "whether the app is a web or a PKCE app is only known by its requests: name it with --app",
            ),
            Self::Secret if of_record => (
                Rule::ClientSecret,
                "the record does not say which secret of the app is the right one: the shadow that wrote it was not told",
            ),
            Self::Secret => (
                Rule::ClientSecret,
                "the shadow does not know the secret of the app: name the app with --app",
            ),
            Self::Key if of_record => (
                Rule::JwtSignature,
                "a record has no key and no signature, so whether one verifies is not in it",
            ),
            Self::Key => (
                Rule::JwtSignature,
                "the shadow does not know the public key of the app: name the app with --app",
            ),
            Self::RedirectUris if of_record => (
                Rule::AuthorizeRedirectUri,
                "the record does not say which redirect URIs the app has registered: the shadow that wrote it was not told",
            ),
            Self::RedirectUris => (
                Rule::AuthorizeRedirectUri,
                "the shadow does not know which redirect URIs the app has registered: name them with --config",
            ),
            Self::Code => (
                Rule::CodeKnown,
                "the shadow did not see how this code was issued",
            ),
            Self::RefreshToken => (
                Rule::RefreshKnown,
                "the shadow did not see how this refresh token was issued",
            ),
            Self::DeviceCode => (
                Rule::DeviceKnown,
                "the shadow did not see how this device code was issued",
            ),
            Self::AccessToken => (
                Rule::TokenKnown,
                "the shadow did not see how this access token was issued",
            ),
            Self::IdToken => (
                Rule::WorkloadSubjectKnown,
                "the shadow did not see how this id token was issued",
            ),
            Self::Integrations => (
                Rule::WorkloadIntegration,
                "the shadow does not know which integrations the project has",
            ),
            Self::Overlap => (
                Rule::RefreshRotate,
                "two requests with this code, token or assertion were under way at once, so the shadow does not know the order in which the upstream acted",
            ),
            Self::Lost => (
                Rule::RefreshRotate,
                "an earlier request with this code or token got no answer, so nobody knows whether it was spent",
            ),
        }
    }
}

/// A request, and the world in which the mock's rules are asked about it.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) request: &'a Incoming,
    endpoint: Endpoint<'a>,
    pub(crate) grant: Option<&'static str>,
    pub(crate) at_ms: u64,
    steady: Duration,
    /// Those of the facts, until one has to be completed for this request.
    pub(crate) apps: Arc<Vec<App>>,
    /// The app of the request, if it names one.
    pub(crate) app: Option<AppIndex>,
    pub(crate) sent_secret: Option<Digest>,
    /// The code or token that the request presents.
    pub(crate) presented: Option<Digest>,
    pub(crate) code: Option<(Digest, Code)>,
    pub(crate) device: Option<(Digest, Device)>,
    interval_s: u64,
    pub(crate) refresh: Option<(Digest, RefreshToken)>,
    pub(crate) access: Option<(Digest, AccessToken)>,
    id_token: Option<(Digest, IdToken)>,
    pub(crate) jti: Option<(Digest, u64)>,
    jti_is_seen: bool,
    pub(crate) assumed: Vec<Gap>,
    /// The request has a value that means something to a mock alone.
    pub(crate) is_magic: bool,
}

/// What the mock's rules say.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) refusal: Option<Refusal>,
    pub(crate) status: u16,
    /// The members of the mock's answer.
    pub(crate) members: Option<Map<String, Value>>,
    pub(crate) jti_is_spent: bool,
}

impl<'a> Case<'a> {
    /// `answer` is the upstream's, which alone tells what a person has decided about a device.
    pub(crate) fn new(
        facts: &mut Facts,
        request: &'a Incoming,
        (at_ms, steady): (u64, Duration),
        answer: &Answer,
    ) -> Self {
        let endpoint = request.endpoint();
        let body = members(request);
        let grant = match endpoint {
            Endpoint::Token { .. } | Endpoint::WorkloadToken { .. } => {
                body.as_ref().and_then(grant_of)
            }
            _ => None,
        };
        let mut case = Self {
            request,
            endpoint,
            grant,
            at_ms,
            steady,
            apps: facts.apps.clone(),
            app: None,
            sent_secret: None,
            presented: None,
            code: None,
            device: None,
            interval_s: facts.ttl().device_interval,
            refresh: None,
            access: None,
            id_token: None,
            jti: None,
            jti_is_seen: false,
            assumed: Vec::new(),
            is_magic: false,
        };
        let bearer = match request.credential() {
            Ok(Credential::Bearer(bearer)) => Some(bearer),
            _ => None,
        };
        let text = |name: &str| body.as_ref().and_then(|body| body.get(name)?.as_str());
        if let Some(kind) = case.kind(bearer.is_some())
            && let Some(client_id) = client_of(request)
        {
            case.take_app(facts, kind, &client_id);
            let secret = match kind {
                AppKind::Workload => text("client_secret"),
                AppKind::Jwt => None,
                _ => bearer,
            };
            case.take_secret(facts, secret);
        }
        if endpoint.takes_token() {
            if let Some(token) = bearer {
                case.is_magic = magic_values::check("access_token", token).is_err();
                case.take_access(facts, digest(token));
            }
            if endpoint == Endpoint::Integration {
                case.take_integration(facts, body.as_ref());
            }
        }
        if let Endpoint::Authorize { .. } = endpoint {
            case.take_redirect_uri(facts);
        }
        let secret = grant
            .and_then(secret_of)
            .and_then(|name| Some((name, text(name)?)));
        if let (Some((name, secret)), Some(app)) = (secret, case.app) {
            case.is_magic = magic_values::check(name, secret).is_err();
            let key = digest(secret);
            case.presented = Some(key);
            match name {
                "code" => {
                    let uri = text("redirect_uri").unwrap_or_default();
                    case.take_code(facts, key, (app, uri, text("code_verifier")));
                }
                "refresh_token" => case.take_refresh(facts, key, app),
                "device_code" => case.take_device(facts, key, app, answer),
                _ => case.take_id_token(facts, key, app),
            }
            if facts.was_lost(&key) {
                case.assumed.push(Gap::Lost);
            }
        }
        if let (Some("jwt_bearer"), Some(assertion), Some(app)) = (grant, bearer, case.app) {
            case.take_assertion(facts, assertion, app);
        }
        case
    }

    pub(crate) const fn is_authorize(&self) -> bool {
        matches!(self.endpoint, Endpoint::Authorize { .. })
    }

    pub(crate) const fn is_device_code(&self) -> bool {
        matches!(self.endpoint, Endpoint::DeviceCode { .. })
    }

    pub(crate) const fn endpoint(&self) -> Endpoint<'a> {
        self.endpoint
    }

    /// When the device polled, if this is a poll of the app that has the device code.
    pub(crate) fn poll(&self) -> Option<Duration> {
        let (_, device) = self.device.as_ref()?;
        (Some(device.app) == self.app).then_some(self.steady)
    }

    /// The kind of the app that such a request is of, as far as it tells.
    fn kind(&self, has_bearer: bool) -> Option<AppKind> {
        let of_code = |proves: bool| match proves {
            true => AppKind::Pkce,
            false => AppKind::Web,
        };
        Some(match (self.endpoint, self.grant) {
            (Endpoint::Authorize { .. }, _) => {
                let query = self.request.query.as_deref().unwrap_or_default();
                of_code(query.contains("code_challenge="))
            }
            (Endpoint::DeviceCode { .. }, _) | (_, Some("device_code")) => AppKind::Device,
            (_, Some("authorization_code" | "refresh_token")) => of_code(!has_bearer),
            (_, Some("jwt_bearer")) => AppKind::Jwt,
            (Endpoint::WorkloadToken { .. }, Some(_)) => AppKind::Workload,
            _ => return None,
        })
    }

    fn app_mut(&mut self, index: usize) -> &mut App {
        &mut Arc::make_mut(&mut self.apps)[index]
    }

    fn add_app(&mut self, app: App) -> usize {
        let apps = Arc::make_mut(&mut self.apps);
        apps.push(app);
        apps.len() - 1
    }

    fn take_app(&mut self, facts: &Facts, kind: AppKind, client_id: &str) {
        let found = facts.app_named(client_id);
        let index = found.unwrap_or_else(|| {
            self.assumed.push(Gap::App);
            self.add_app(App::named(kind, "an app of the upstream", client_id))
        });
        if found.is_some_and(|index| !facts.known[index].configured) {
            self.assumed.push(Gap::Kind);
        }
        self.app = AppIndex::try_from(index).ok();
    }

    /// Gives the app the secret that was sent if it is the right one, or may be.
    fn take_secret(&mut self, facts: &Facts, sent: Option<&str>) {
        let Some(index) = self.app.map(usize::from) else {
            return;
        };
        if !matches!(self.apps[index].kind, AppKind::Web | AppKind::Workload) {
            return;
        }
        self.sent_secret = sent.map(digest);
        let known = facts.known.get(index).and_then(|known| known.secret);
        let own = match (known, self.sent_secret, sent) {
            (Some(known), Some(key), Some(sent)) if known == key => sent.to_owned(),
            (Some(_), ..) => "another secret, of which the shadow has a digest".to_owned(),
            (None, _, Some(sent)) => {
                self.assumed.push(Gap::Secret);
                sent.to_owned()
            }
            (None, ..) => {
                self.assumed.push(Gap::Secret);
                "a secret that the shadow does not know".to_owned()
            }
        };
        self.app_mut(index).client_secret = Some(own);
    }

    fn take_redirect_uri(&mut self, facts: &Facts) {
        let Some(index) = self.app.map(usize::from) else {
            return;
        };
        if facts
            .known
            .get(index)
            .is_some_and(|known| known.redirect_uris)
        {
            return;
        }
        let query = self.request.query.as_deref().unwrap_or_default();
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        if let Some((_, uri)) = pairs.find(|(name, _)| name == "redirect_uri") {
            self.assumed.push(Gap::RedirectUris);
            self.app_mut(index).redirect_uris = vec![uri.into_owned()];
        }
    }

    fn take_code(
        &mut self,
        facts: &Facts,
        key: Digest,
        (app, redirect_uri, verifier): (AppIndex, &str, Option<&str>),
    ) {
        let client_id = &self.apps[usize::from(app)].client_id;
        let code = facts.codes.get(&key).cloned().unwrap_or_else(|| {
            // Even if a login is waiting for its code: whether this is the one is not known, since it was not seen.
            self.assumed.push(Gap::Code);
            let waiting = facts.waiting_code((client_id, app), redirect_uri, verifier, self.at_ms);
            waiting.unwrap_or_else(|| Code {
                app,
                user: facts.user(),
                redirect_uri: redirect_uri.into(),
                challenge: verifier.map(|verifier| Box::new(of_verifier(verifier))),
                expires_ms: u64::MAX,
                made: facts.mark(self.at_ms),
                used: None,
            })
        });
        self.code = Some((key, code));
    }

    fn take_refresh(&mut self, facts: &Facts, key: Digest, app: AppIndex) {
        let known = facts.refresh_tokens.get(&key).cloned();
        let token = known.unwrap_or_else(|| {
            self.assumed.push(Gap::RefreshToken);
            RefreshToken {
                app,
                user: facts.user(),
                expires_ms: self.at_ms + facts.ttl().refresh * 1000,
                spent: None,
                revoked: false,
                origin: Origin::new(None, facts.mark(self.at_ms)),
            }
        });
        self.refresh = Some((key, token));
    }

    fn take_device(&mut self, facts: &Facts, key: Digest, app: AppIndex, answer: &Answer) {
        let known = facts.devices.get(&key).cloned();
        let mut device = known.unwrap_or_else(|| {
            self.assumed.push(Gap::DeviceCode);
            Device {
                app,
                user_code: String::new(),
                workspace: None,
                decision: Decision::Pending,
                user: None,
                expires_ms: u64::MAX,
                last_poll: None,
                made: facts.mark(self.at_ms),
                used: None,
            }
        });
        if device.used.is_none() {
            device.decision = match &answer.code {
                None if answer.is_success() => Decision::Approved,
                Some(code) if code == "access_denied" => Decision::Denied,
                _ => Decision::Pending,
            };
        }
        self.interval_s = facts
            .intervals
            .get(&key)
            .map_or(self.interval_s, |s| u64::from(*s));
        self.device = Some((key, device));
    }

    fn take_id_token(&mut self, facts: &Facts, key: Digest, app: AppIndex) {
        let known = facts.id_tokens.get(&key).copied();
        let token = known.unwrap_or_else(|| {
            self.assumed.push(Gap::IdToken);
            IdToken {
                app,
                expires_ms: u64::MAX,
                made: facts.mark(self.at_ms),
            }
        });
        self.id_token = Some((key, token));
    }

    fn take_access(&mut self, facts: &Facts, key: Digest) {
        self.presented = Some(key);
        let of_workload = matches!(self.endpoint, Endpoint::Integration | Endpoint::ProjectEnv);
        // What is known to be something else is known.
        let is_other =
            facts.refresh_tokens.get(&key).is_some() || facts.id_tokens.get(&key).is_some();
        self.id_token = facts.id_tokens.get(&key).map(|token| (key, *token));
        self.refresh = facts
            .refresh_tokens
            .get(&key)
            .map(|token| (key, token.clone()));
        let known = facts.access_tokens.get(&key).cloned();
        if known.is_none() && is_other {
            return;
        }
        let mut token = known.unwrap_or_else(|| {
            self.assumed.push(Gap::AccessToken);
            AccessToken {
                app: None,
                user: facts.user(),
                expires_ms: None,
                revoked: false,
                restricted: false,
                origin: None,
            }
        });
        // A token that was not seen when it was issued may be a workload's.
        if token.origin.is_none() && of_workload {
            if !self.assumed.contains(&Gap::AccessToken) {
                self.assumed.push(Gap::AccessToken);
            }
            token.app = Some(self.some_workload());
        }
        self.access = Some((key, token));
    }

    /// A workload, for a token that is taken to be one's.
    fn some_workload(&mut self) -> AppIndex {
        let mut apps = self.apps.iter();
        let found = apps.position(|app| app.kind == AppKind::Workload);
        let index = found.unwrap_or_else(|| {
            self.add_app(App::named(
                AppKind::Workload,
                "a workload of the upstream",
                "",
            ))
        });
        AppIndex::try_from(index).unwrap_or_default()
    }

    fn take_integration(&mut self, facts: &Facts, body: Option<&JsonObject<'_>>) {
        let app = self.access.as_ref().and_then(|(_, token)| token.app);
        let Some(index) = app.map(usize::from) else {
            return;
        };
        if facts
            .known
            .get(index)
            .is_some_and(|known| known.integrations)
        {
            return;
        }
        if let Some(name) = body.and_then(|body| body.get("integration_name")?.as_str()) {
            self.assumed.push(Gap::Integrations);
            self.app_mut(index).integrations = vec![Integration {
                name: name.to_owned(),
                credential: String::new(),
            }];
        }
    }

    fn take_assertion(&mut self, facts: &mut Facts, assertion: &str, app: AppIndex) {
        let Ok(jwt) = Assertion::parse(assertion) else {
            return;
        };
        let claim = |name: &str| jwt.claims.get(name);
        if let (Some(jti), Some(exp)) = (
            claim("jti").and_then(Value::as_str),
            claim("exp").and_then(Value::as_u64),
        ) {
            // As the grant itself does.
            let key = digest(&format!("{app} {jti}"));
            self.jti = Some((key, exp));
            self.jti_is_seen = facts.jtis.look_up(&key, self.at_ms / 1000) == Jti::Replayed;
        }
        let kid = jwt.header.get("kid").and_then(Value::as_str);
        let row = &self.apps[usize::from(app)];
        let Some(kid) = kid.filter(|kid| row.key(kid).is_none()) else {
            return;
        };
        // Of an app that a configuration has, all keys are known.
        if row.keys.is_empty() {
            self.assumed.push(Gap::Key);
            self.app_mut(usize::from(app)).keys.push(Key {
                kid: kid.to_owned(),
                public: ready_made::public_key(),
                development: false,
            });
        }
    }

    /// Asks `rules` about the request, `shift_ms` later than it was sent.
    pub(crate) fn ask(&self, facts: &Facts, rules: &RuleSet, shift_ms: i64) -> Verdict {
        let at = shifted(Duration::from_millis(self.at_ms), shift_ms);
        let clock = ClockHandle::frozen_at(Duration::ZERO);
        clock.advance(shifted(self.steady, shift_ms));
        clock.set(at);
        let mut rules = rules.clone();
        if self.assumed.contains(&Gap::Key) {
            rules.without(Rule::JwtSignature);
        }
        let mut settings = Settings {
            clock,
            rules: Arc::new(rules),
            apps: self.apps.clone(),
            ..facts.settings.clone()
        };
        settings.ttl.device_interval = self.interval_s;
        let mut state = State::new(settings, LogIds::new("", 0));
        if let Some((key, code)) = &self.code {
            state.codes.insert(*key, code.clone());
        }
        if let Some((key, device)) = &self.device {
            state.devices.insert(*key, device.clone());
        }
        if let Some((key, token)) = &self.refresh {
            state.refresh_tokens.insert(*key, token.clone());
        }
        if let Some((key, token)) = &self.access {
            state.access_tokens.insert(*key, token.clone());
        }
        if let Some((key, token)) = &self.id_token {
            state.id_tokens.insert(*key, *token);
        }
        if let Some((key, until)) = self.jti.filter(|_| self.jti_is_seen) {
            state.jtis.remember(key, until);
        }
        // The log is for requests that were sent, not for questions about them.
        let silent = tracing::Dispatch::none();
        let reply = tracing::dispatcher::with_default(&silent, || {
            dispatch::serve(&mut state, self.request, None)
        });
        let record = state.journal.iter().last();
        let refusal = record.and_then(|record| record.refusal.as_deref().cloned());
        let now_s = at.as_secs();
        let jti_is_spent = self
            .jti
            .is_some_and(|(key, _)| state.jtis.look_up(&key, now_s) == Jti::Replayed);
        Verdict {
            refusal,
            status: reply.status().as_u16(),
            members: serde_json::from_slice(reply.body()).ok(),
            jti_is_spent,
        }
    }
}

/// The code, token or assertion that a request spends or may spend.
pub(crate) fn spends(request: &Incoming) -> Option<Digest> {
    let Endpoint::Token { .. } = request.endpoint() else {
        return None;
    };
    let body = members(request)?;
    let grant = grant_of(&body)?;
    match secret_of(grant) {
        Some(name) => Some(digest(body.get(name)?.as_str()?)),
        None => match request.credential() {
            Ok(Credential::Bearer(assertion)) => Some(digest(assertion)),
            _ => None,
        },
    }
}

/// The challenge that a verifier fits, without the verifier.
fn of_verifier(verifier: &str) -> Challenge {
    Challenge {
        value: s256(verifier),
        s256: true,
    }
}
