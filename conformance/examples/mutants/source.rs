//! A token source that is right, but for what its mutant keeps wrongly.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

use coze_auth_conformance::client::Failure;
use coze_auth_conformance::{Provider, Renewed, SharedClock, Subject as _, failure};
use coze_auth_core::workload::{IntegrationCredential, ProjectEnv, WorkloadApp};
use coze_auth_core::{
    AccessToken, Endpoints, Entropy, Error, Flow, Now, RefreshToken, Retry, SteadyTime, TokenGrant,
    whoami,
};
use serde_json::json;

use crate::mutant::{Keeps, Mutant, Way};
use crate::spoiled::{Spoiled, locked};

/// So long before its end a token is renewed, or a tenth of its life.
const EARLY: Duration = Duration::from_secs(60);
/// So long a failure is told without another try, if the server names no pause.
const PAUSE: Duration = Duration::from_secs(5);

pub(crate) struct Source {
    subject: Spoiled,
    clock: SharedClock,
    wrong: Option<Keeps>,
    of: Renewed,
    drawn: AtomicU8,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    grant: Option<TokenGrant>,
    /// When it ends, by the steady clock.
    ends: Option<SteadyTime>,
    early: Duration,
    refresh_token: Option<RefreshToken>,
    /// Whether the grant came by a renewal.
    renewed: bool,
    failed: Option<Failed>,
}

struct Failed {
    failure: Failure,
    /// Until when it is told without another try.
    until: SteadyTime,
}

impl Source {
    pub(crate) fn new(subject: Spoiled, clock: SharedClock, mutant: &Mutant, of: Renewed) -> Self {
        let mut kept = Kept::default();
        if let Renewed::Web(_, grant) | Renewed::Pkce(_, grant) | Renewed::Device(_, grant) = &of {
            kept.take(grant.clone(), clock.now());
        }
        Self {
            subject,
            clock,
            wrong: mutant.ways.iter().find_map(|way| match way {
                Way::Keeps(wrong) => Some(*wrong),
                _ => None,
            }),
            of,
            drawn: AtomicU8::new(0),
            kept: Mutex::new(kept),
        }
    }

    fn keeps(&self, wrong: Keeps) -> bool {
        self.wrong == Some(wrong)
    }

    fn renew(&self, refresh_token: Option<&RefreshToken>) -> Result<TokenGrant, Error> {
        let token = || refresh_token.ok_or(Error::FlowFinished);
        match &self.of {
            Renewed::Jwt(jwt) => {
                let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
                let same = self.keeps(Keeps::Randomness);
                let entropy = Entropy::from_bytes([if same { 0 } else { drawn }; 32]);
                self.subject.run(jwt.0.grant(&jwt.1, entropy))
            }
            Renewed::Workload(app) => self.subject.run(app.grant()),
            Renewed::Web(app, _) => self.subject.run(app.refresh(token()?)),
            Renewed::Pkce(app, _) => self.subject.run(app.refresh(token()?)),
            Renewed::Device(app, _) => self.subject.run(app.refresh(token()?)),
        }
    }

    fn workload(&self) -> &WorkloadApp {
        match &self.of {
            Renewed::Workload(app) => app,
            _ => unreachable!("a case asks a workload"),
        }
    }

    /// Asks the API. A token that is bad, though it should live, is replaced once.
    fn ask<F: Flow<Output: Send> + Send + 'static>(
        &self,
        call: impl Fn(&AccessToken) -> Result<F, Error>,
    ) -> Result<Result<F::Output, Error>, Failure> {
        let call = |token: AccessToken| call(&token).map_err(|error| failure(&error));
        match self.subject.run(call(self.token()?)?) {
            Err(Error::Refused(refused)) if refused.code().to_string() == "4100" => {
                locked(&self.kept).grant = None;
                Ok(self.subject.run(call(self.token()?)?))
            }
            other => Ok(other),
        }
    }

    /// How long the token of `kept` has to live, as this source sees it.
    fn left(&self, kept: &Kept, now: Now) -> Duration {
        let (Some(grant), Some(ends)) = (&kept.grant, kept.ends) else {
            return Duration::ZERO;
        };
        match self.wrong {
            Some(Keeps::Forever) => Duration::MAX,
            Some(Keeps::FirstEnd) if kept.renewed => Duration::MAX,
            // Until a minute behind its end.
            Some(Keeps::TooLong) => now.unix.until(grant.expires_at.plus(2 * EARLY)),
            Some(Keeps::Nothing) => Duration::ZERO,
            _ => grant.remaining(now.unix).min(now.steady.until(ends)),
        }
    }

    fn next(&self, kept: &mut Kept) -> Result<AccessToken, Failure> {
        let now = self.clock.now();
        let left = self.left(kept, now);
        if let Some(grant) = kept.grant.as_ref().filter(|_| left > kept.early) {
            return Ok(grant.access_token.clone());
        }
        if self.keeps(Keeps::Together)
            && let Some(grant) = self.subject.recording().of_all_sources.clone()
        {
            return Ok(grant.access_token);
        }
        if let Some(failed) = &kept.failed {
            let is_new = now.steady < failed.until && !self.keeps(Keeps::NoError);
            if let (Some(grant), true) = (&kept.grant, self.keeps(Keeps::DeadLater)) {
                return Ok(grant.access_token.clone());
            }
            if is_new || self.keeps(Keeps::Errors) {
                return self.or_old(kept, left, failed.failure.clone());
            }
        }
        match self.renew(kept.refresh_token.as_ref()) {
            Ok(grant) => {
                self.subject.recording().of_all_sources = Some(grant.clone());
                let token = grant.access_token.clone();
                let old = kept.refresh_token.take();
                kept.take(grant, now);
                kept.renewed = true;
                // The core puts the old one into a grant that names none.
                let shown =
                    |token: &Option<RefreshToken>| Some(token.as_ref()?.expose().to_owned());
                if self.keeps(Keeps::NoRefreshToken) && shown(&old) == shown(&kept.refresh_token) {
                    kept.refresh_token = None;
                } else if self.keeps(Keeps::FirstRefreshToken) {
                    kept.refresh_token = old;
                }
                Ok(token)
            }
            Err(error) => {
                let asked = match error.retry() {
                    Retry::After(pause) | Retry::MaybeSpent(pause) => pause,
                    _ => PAUSE,
                };
                let own = self.keeps(Keeps::OwnPause);
                let pause = if own { PAUSE } else { asked.max(PAUSE) };
                let failure = failure(&error);
                kept.failed = Some(Failed {
                    failure: failure.clone(),
                    until: now.steady.plus(pause),
                });
                self.or_old(kept, left, failure)
            }
        }
    }

    /// The old token while it lives, or why there is no other.
    fn or_old(&self, kept: &Kept, left: Duration, why: Failure) -> Result<AccessToken, Failure> {
        if self.keeps(Keeps::Anything) {
            return Ok(AccessToken::new("czs_of_nobody").expect("a token"));
        }
        let lives = !left.is_zero() && !self.keeps(Keeps::TooShort);
        let old = kept.grant.as_ref();
        old.filter(|_| lives || self.keeps(Keeps::Dead))
            .map(|grant| grant.access_token.clone())
            .ok_or(why)
    }
}

impl Kept {
    fn take(&mut self, grant: TokenGrant, now: Now) {
        self.refresh_token.clone_from(&grant.refresh_token);
        let life = grant.remaining(now.unix);
        self.ends = Some(now.steady.plus(life));
        self.early = EARLY.min(life / 10);
        self.grant = Some(grant);
        self.failed = None;
    }
}

impl Provider for Source {
    fn token(&self) -> Result<AccessToken, Failure> {
        match self.kept.try_lock() {
            Ok(mut kept) => return self.next(&mut kept),
            Err(TryLockError::Poisoned(_)) => {}
            Err(TryLockError::WouldBlock) if self.keeps(Keeps::Impatient) => {
                return Err(Failure::new("other", "it is being renewed"));
            }
            Err(TryLockError::WouldBlock) if self.keeps(Keeps::Herd) => {
                let refresh_token = match &self.of {
                    Renewed::Jwt(_) | Renewed::Workload(_) => None,
                    Renewed::Web(_, grant)
                    | Renewed::Pkce(_, grant)
                    | Renewed::Device(_, grant) => grant.refresh_token.as_ref(),
                };
                let grant = self.renew(refresh_token);
                return grant
                    .map(|grant| grant.access_token)
                    .map_err(|error| failure(&error));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        self.next(&mut locked(&self.kept))
    }

    fn get(&self, url: &str) -> Result<(u16, String), Failure> {
        let base = url.trim_end_matches("/v1/users/me");
        let endpoints = Endpoints::custom(base).map_err(|error| failure(&error.into()))?;
        match self.ask(|token| Ok(whoami(&endpoints, token)))? {
            Ok(user) => Ok((
                200,
                json!({ "data": { "user_id": user.user_id } }).to_string(),
            )),
            Err(Error::Refused(refused)) => {
                let code: Option<i64> = refused.code().to_string().parse().ok();
                let code = code.filter(|_| !self.keeps(Keeps::Codes));
                Ok((refused.status(), json!({ "code": code }).to_string()))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    fn integration(&self, name: &str) -> Result<IntegrationCredential, Failure> {
        let asked = self.ask(|token| Ok(self.workload().integration(token, name)?));
        asked?.map_err(|error| failure(&error))
    }

    fn project_env(&self) -> Result<ProjectEnv, Failure> {
        let asked = self.ask(|token| Ok(self.workload().project_env(token)?));
        asked?.map_err(|error| failure(&error))
    }
}
