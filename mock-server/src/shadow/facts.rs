//! What the shadow knows of the upstream: what a configuration says, and what it has seen. It keeps digests of codes, tokens and
//! secrets, and no secret.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::answer::Answer;
use super::case::{Case, Gap};
use crate::limits::{DEFAULT_GRANTS, MAX_APPS, SHADOW_WAITING};
use crate::protocol::digest::{Digest, digest};
use crate::state::app::App;
use crate::state::capped_map::CappedMap;
use crate::state::challenges;
use crate::state::grants::{
    AccessToken, AppIndex, Challenge, Code, Decision, Device, IdToken, RefreshToken,
};
use crate::state::jti::SeenJtis;
use crate::state::provenance::{Mark, Origin};
use crate::state::ready_made;
use crate::state::settings::{Settings, Ttl};
use crate::state::user::User;
use url::form_urlencoded;

/// What is known of an app beside its row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The digest of its secret.
    pub(crate) secret: Option<Digest>,
    /// Its redirect URIs are those that are registered.
    pub(crate) redirect_uris: bool,
    /// Its integrations are those that it has.
    pub(crate) integrations: bool,
    /// A configuration has it; else its kind is what its requests look like.
    pub(crate) configured: bool,
}

/// An authorize request that the upstream has accepted, and whose code the shadow has not seen yet.
#[derive(Debug)]
struct Waiting {
    client_id: String,
    redirect_uri: String,
    challenge: Option<Challenge>,
}

/// What the shadow knows of the upstream.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) settings: Settings,
    pub(crate) apps: Arc<Vec<App>>,
    pub(crate) known: Vec<Known>,
    /// They come from a record, whose reader can name nothing to the shadow.
    pub(crate) of_record: bool,
    pub(crate) codes: CappedMap<Code>,
    pub(crate) devices: CappedMap<Device>,
    /// Seconds between polls that the answer of a device code has said.
    pub(crate) intervals: CappedMap<u16>,
    pub(crate) access_tokens: CappedMap<AccessToken>,
    pub(crate) refresh_tokens: CappedMap<RefreshToken>,
    pub(crate) id_tokens: CappedMap<IdToken>,
    pub(crate) jtis: SeenJtis,
    /// Codes and tokens of requests that were refused.
    refused: CappedMap<()>,
    /// Codes and tokens of requests of which nobody knows whether the upstream has acted.
    lost: CappedMap<()>,
    waiting: VecDeque<Waiting>,
    user: Arc<User>,
    number: u64,
}

impl Facts {
    /// `apps` are those of a configuration. `is_mock`: they are the ready-made ones, and the upstream is a mock.
    pub(crate) fn new(mut settings: Settings, apps: Vec<App>, is_mock: bool) -> Self {
        settings.journal = 1;
        let default_uris = ready_made::redirect_uris();
        let known = apps.iter().map(|app| Known {
            secret: app.client_secret.as_deref().map(digest),
            // A configuration without them has the usual ones of a mock.
            redirect_uris: is_mock
                || !app.redirect_uris.is_empty() && app.redirect_uris != default_uris,
            integrations: is_mock,
            configured: true,
        });
        let known = known.collect();
        let user = settings.users[0].clone();
        Self {
            apps: Arc::new(
                apps.into_iter()
                    .map(|app| App {
                        client_secret: None,
                        api_key: None,
                        ..app
                    })
                    .collect(),
            ),
            known,
            of_record: false,
            codes: CappedMap::new(DEFAULT_GRANTS),
            devices: CappedMap::new(DEFAULT_GRANTS),
            intervals: CappedMap::new(DEFAULT_GRANTS),
            access_tokens: CappedMap::new(DEFAULT_GRANTS),
            refresh_tokens: CappedMap::new(DEFAULT_GRANTS),
            id_tokens: CappedMap::new(DEFAULT_GRANTS),
            jtis: SeenJtis::new(DEFAULT_GRANTS),
            refused: CappedMap::new(DEFAULT_GRANTS),
            lost: CappedMap::new(DEFAULT_GRANTS),
            waiting: VecDeque::new(),
            user,
            settings,
            number: 0,
        }
    }

    pub(crate) fn app_named(&self, client_id: &str) -> Option<usize> {
        self.apps.iter().position(|app| app.client_id == client_id)
    }

    pub(crate) fn user(&self) -> Arc<User> {
        self.user.clone()
    }

    pub(crate) fn ttl(&self) -> Ttl {
        self.settings.ttl
    }

    pub(crate) fn was_refused(&self, key: &Digest) -> bool {
        self.refused.get(key).is_some()
    }

    pub(crate) fn was_lost(&self, key: &Digest) -> bool {
        self.lost.get(key).is_some()
    }

    /// A mark of the exchange that is judged now.
    pub(crate) fn mark(&self, at_ms: u64) -> Mark {
        Mark::new(at_ms, self.number.max(1))
    }

    /// The code of an authorize request whose answer was seen, but not where it led.
    pub(crate) fn waiting_code(
        &self,
        (client_id, app): (&str, AppIndex),
        redirect_uri: &str,
        verifier: Option<&str>,
        at_ms: u64,
    ) -> Option<Code> {
        let fits = |one: &&Waiting| {
            let proves = match (&one.challenge, verifier) {
                (None, _) | (Some(_), None) => true,
                (Some(challenge), Some(verifier)) => {
                    // The key of a plain challenge is that of the verifier.
                    challenges::challenge(&challenge.value, challenge.s256)
                        == challenges::challenge(verifier, false)
                }
            };
            one.client_id == client_id && one.redirect_uri == redirect_uri && proves
        };
        let found = self.waiting.iter().rev().find(fits)?;
        let life_ms = self.ttl().code * 1000;
        Some(Code {
            app,
            user: self.user(),
            redirect_uri: found.redirect_uri.as_str().into(),
            challenge: found.challenge.clone().map(Box::new),
            // When the person approved is not known.
            expires_ms: at_ms + life_ms,
            made: self.mark(at_ms),
            used: None,
        })
    }

    /// Notes that nobody knows what the upstream has made of this code or token.
    pub(crate) fn lose(&mut self, key: Option<Digest>) {
        if let Some(key) = key {
            self.lost.insert(key, ());
        }
    }

    /// Learns from an exchange that was judged.
    pub(crate) fn learn(&mut self, case: &Case<'_>, answer: &Answer, jti_is_spent: bool) {
        self.number += 1;
        if !answer.is_success() {
            if let Some(key) = case.presented {
                self.refused.insert(key, ());
            }
            if answer.is_trouble() {
                self.lose(case.presented);
            }
            if let (Some((key, device)), Some(steady)) = (&case.device, case.poll()) {
                let mut device = device.clone();
                if !case.assumed.contains(&Gap::DeviceCode) {
                    device.decision = Decision::Pending;
                    device.last_poll = Some(steady);
                    self.devices.insert(*key, device);
                }
            }
            if let Some((key, until)) = case.jti.filter(|_| jti_is_spent) {
                self.jtis.remember(key, until);
            }
            return;
        }
        let Some(app) = self.confirm(case) else {
            return;
        };
        if let Some((key, until)) = case.jti {
            self.jtis.remember(key, until);
        }
        match case.grant {
            _ if case.is_authorize() => self.learn_code(case, answer, app),
            _ if case.is_device_code() => self.learn_device(case, answer, app),
            Some("client_credentials") => self.learn_id_token(case, answer, app),
            Some(_) => self.learn_tokens(case, answer, app),
            None => self.learn_bearer(case),
        }
    }

    /// Keeps the app that the request was taken to be of, since the upstream has accepted it.
    fn confirm(&mut self, case: &Case<'_>) -> Option<AppIndex> {
        let Some(app) = case.app else {
            return Some(0);
        };
        let index = usize::from(app);
        // What was assumed of its keys and redirect URIs stays an assumption.
        if index >= self.apps.len() {
            if index >= MAX_APPS {
                return None;
            }
            let apps = Arc::make_mut(&mut self.apps);
            apps.push(App {
                client_secret: None,
                api_key: None,
                redirect_uris: Vec::new(),
                keys: Vec::new(),
                ..case.apps[index].clone()
            });
            self.known.push(Known::default());
        }
        let known = &mut self.known[index];
        if known.secret.is_none() && case.assumed.contains(&Gap::Secret) {
            known.secret = case.sent_secret;
        }
        Some(app)
    }

    fn learn_code(&mut self, case: &Case<'_>, answer: &Answer, app: AppIndex) {
        let query = case.request.query.as_deref().unwrap_or_default();
        let get = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            let found = pairs.find(|(known, _)| known == name);
            found.map(|(_, value)| value.into_owned())
        };
        let Some(redirect_uri) = get("redirect_uri") else {
            return;
        };
        let s256 = get("code_challenge_method").as_deref() == Some("S256");
        let challenge = get("code_challenge").map(|value| Challenge { value, s256 });
        let to = answer.header(http::header::LOCATION).unwrap_or_default();
        let code = to.strip_prefix(&*redirect_uri).and_then(|_| {
            let url = url::Url::parse(to).ok()?;
            let found = url.query_pairs().find(|(name, _)| name == "code");
            found.map(|(_, value)| digest(&value))
        });
        if let Some(key) = code {
            let entry = Code {
                app,
                user: self.user(),
                redirect_uri: redirect_uri.into(),
                challenge: challenge.map(Box::new),
                expires_ms: case.at_ms + self.ttl().code * 1000,
                made: self.mark(case.at_ms),
                used: None,
            };
            self.codes.insert(key, entry);
            return;
        }
        if to.starts_with(&*redirect_uri) {
            return;
        }
        if self.waiting.len() >= SHADOW_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting {
            client_id: self.apps[usize::from(app)].client_id.clone(),
            redirect_uri,
            challenge,
        });
    }

    fn learn_device(&mut self, case: &Case<'_>, answer: &Answer, app: AppIndex) {
        let Some(key) = answer.text("device_code").map(digest) else {
            return;
        };
        let life_s = answer
            .number("expires_in")
            .unwrap_or_else(|| self.ttl().device);
        let device = Device {
            app,
            user_code: String::new(),
            workspace: None,
            decision: Decision::Pending,
            user: None,
            expires_ms: case.at_ms + life_s.min(86_400) * 1000,
            last_poll: None,
            made: self.mark(case.at_ms),
            used: None,
        };
        self.devices.insert(key, device);
        let interval = answer.number("interval");
        let interval = interval.unwrap_or_else(|| self.ttl().device_interval);
        self.intervals
            .insert(key, u16::try_from(interval).unwrap_or(u16::MAX));
    }

    fn learn_id_token(&mut self, case: &Case<'_>, answer: &Answer, app: AppIndex) {
        if let Some(token) = answer.text("access_token") {
            let entry = IdToken {
                app,
                expires_ms: end_of(answer, case.at_ms, self.ttl().id_token),
                made: self.mark(case.at_ms),
            };
            self.id_tokens.insert(digest(token), entry);
        }
    }

    fn learn_tokens(&mut self, case: &Case<'_>, answer: &Answer, app: AppIndex) {
        let mark = self.mark(case.at_ms);
        if let Some((key, code)) = &case.code {
            let used = Code {
                used: Some(mark),
                ..code.clone()
            };
            self.codes.insert(*key, used);
        }
        if let Some((key, device)) = &case.device {
            let used = Device {
                decision: Decision::Approved,
                used: Some(mark),
                last_poll: case.poll(),
                ..device.clone()
            };
            self.devices.insert(*key, used);
        }
        let new = answer.text("refresh_token").map(digest);
        if let Some((key, token)) = &case.refresh {
            let rotated = new.is_some_and(|new| new != *key);
            let old = RefreshToken {
                spent: rotated.then_some(mark).or(token.spent),
                ..token.clone()
            };
            self.refresh_tokens.insert(*key, old);
        }
        let origin = Origin::new(case.presented.as_ref(), mark);
        if let Some(key) = new.filter(|key| self.refresh_tokens.get(key).is_none()) {
            let entry = RefreshToken {
                app,
                user: self.user(),
                expires_ms: case.at_ms + self.ttl().refresh * 1000,
                spent: None,
                revoked: false,
                origin,
            };
            self.refresh_tokens.insert(key, entry);
        }
        if let Some(token) = answer.text("access_token") {
            let entry = AccessToken {
                app: Some(app),
                user: self.user(),
                expires_ms: NonZeroU64::new(end_of(answer, case.at_ms, self.ttl().access)),
                revoked: false,
                restricted: false,
                origin: Some(origin),
            };
            self.access_tokens.insert(digest(token), entry);
        }
    }

    /// Keeps a token that the upstream has accepted, and of which nothing else is known.
    fn learn_bearer(&mut self, case: &Case<'_>) {
        if let Some((key, token)) = &case.access
            && self.access_tokens.get(key).is_none()
        {
            // Whose it is was assumed.
            let token = AccessToken {
                app: None,
                ..token.clone()
            };
            self.access_tokens.insert(*key, token);
        }
    }
}

/// When a token ends, in milliseconds: `expires_in` is a moment, or a duration as that of a workload is.
fn end_of(answer: &Answer, at_ms: u64, usual_s: u64) -> u64 {
    let said = answer
        .members
        .as_ref()
        .and_then(|members| members.get("expires_in"));
    match said.and_then(Value::as_u64) {
        Some(moment) if (1_000_000_000..100_000_000_000).contains(&moment) => moment * 1000,
        Some(duration) if (1..1_000_000_000).contains(&duration) => {
            (at_ms / 1000 + duration) * 1000
        }
        _ => at_ms + usual_s * 1000,
    }
}

/// A time on the steady clock, moved by `shift_ms`.
pub(crate) fn shifted(at: Duration, shift_ms: i64) -> Duration {
    let by = Duration::from_millis(shift_ms.unsigned_abs());
    match shift_ms < 0 {
        true => at.saturating_sub(by),
        false => at.saturating_add(by),
    }
}
