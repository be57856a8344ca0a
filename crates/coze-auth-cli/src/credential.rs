//! The credential that a command uses, and valid tokens of it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use coze_auth::blocking::ureq::{Agent, Body};
use coze_auth::blocking::{Client, TokenSource};
use coze_auth::http::{Request, Response};
use coze_auth::jwt::JwtGrant;
use coze_auth::store::{GrantKey, GrantStore, LockedGrant, Notices, StoreError};
use coze_auth::tokens::{Event, EventKind};
use coze_auth::whoami::User;
use coze_auth::workload::{IntegrationCredential, ProjectEnv};
use coze_auth::{Endpoints, Error, IssuedToken, Region, TokenGrant, environment};

use crate::app::{self, App};
use crate::failure::{Failure, Kind};
use crate::interrupts;
use crate::output;
use crate::profile::{AppKind, Profile, ProfileName};
use crate::store::Store;

/// When the grant of a token ends whose end is not known: 9999-12-31.
pub(crate) const NEVER: u64 = 253_402_300_799;

/// A credential, ready for use.
pub(crate) struct Credential {
    /// The profile that it rests in; none if it is in the variable.
    pub(crate) profile: Option<ProfileName>,
    pub(crate) endpoints: Endpoints,
    /// Of a login, a JWT app or a workload, whose grants are stored, or a token as it is.
    tokens: TokenSource,
    store: Option<Store>,
    is_workload: bool,
}

/// Which credential is meant.
pub(crate) enum Chosen {
    /// A profile, and what it says, if it is there.
    Profile(ProfileName, Option<Box<Profile>>),
    /// `COZE_API_TOKEN`.
    Variable,
}

/// Whether the variable has a token.
pub(crate) fn is_token_in_variable() -> bool {
    app::is_set("COZE_API_TOKEN")
}

impl Chosen {
    /// The order is in the command's help.
    pub(crate) fn by(flag: Option<&ProfileName>) -> Result<Self, Failure> {
        let named = ProfileName::chosen(flag)?;
        if named.is_none() && is_token_in_variable() {
            return Ok(Self::Variable);
        }
        let name = named.unwrap_or_default();
        let profile = Profile::load(&name)?;
        Ok(Self::Profile(name, profile.map(Box::new)))
    }
}

/// Where a token of the variable is to be used. No Coze is assumed.
fn endpoints_of_variable() -> Result<Endpoints, Failure> {
    if !app::is_set("COZE_API_BASE") {
        return Err(Failure::new(
            Kind::Settings,
            "COZE_API_TOKEN is set and COZE_API_BASE is not, so it is not known which Coze the token is for: set COZE_API_BASE \
             to https://api.coze.cn or https://api.coze.com, or name a login with --profile",
        ));
    }
    Ok(environment(Region::Cn).endpoints()?)
}

/// The key of a profile's grant.
pub(crate) fn key(name: &ProfileName, profile: &Profile) -> Result<GrantKey, Failure> {
    let endpoints = Endpoints::custom(&profile.api_base)?;
    Ok(GrantKey::of(&endpoints, &profile.client_id, name.as_str())?)
}

/// Nobody is signed in with this profile.
pub(crate) fn signed_out(name: &ProfileName) -> Failure {
    let workload = match app::is_set(app::WORKLOAD_ID) {
        true => ", or coze-auth login --workload for the workload identity of this environment",
        false => "",
    };
    Failure::new(
        Kind::LoginNeeded,
        format!("nobody is signed in with profile {name}: run coze-auth login{workload}"),
    )
}

impl Credential {
    pub(crate) fn open(flag: Option<&ProfileName>) -> Result<Self, Failure> {
        let client = Client::new()?;
        let (name, profile) = match Chosen::by(flag)? {
            Chosen::Variable => {
                let endpoints = endpoints_of_variable()?;
                let token = environment(Region::Cn).access_token()?;
                return Ok(Self {
                    profile: None,
                    tokens: TokenSource::fixed(&client, &endpoints, token),
                    endpoints,
                    store: None,
                    is_workload: false,
                });
            }
            Chosen::Profile(name, None) => return Err(signed_out(&name)),
            Chosen::Profile(name, Some(profile)) => (name, profile),
        };
        let store = Store::open(profile.store, &name)?;
        let key = key(&name, &profile)?;
        let endpoints = Endpoints::custom(&profile.api_base)?;
        let tokens = match profile.app {
            AppKind::Token => {
                let grant = store.grants().load(&key)?;
                let grant = grant.ok_or_else(|| signed_out(&name))?;
                TokenSource::fixed(&client, &endpoints, grant.access_token)
            }
            _ => match app::of_profile(&profile)? {
                App::Jwt(app) => {
                    let grants = OfProfile(store.grants(), key);
                    TokenSource::jwt(&client, app, JwtGrant::new())
                        .shared(grants)?
                        .observe(tell_not_shared)
                }
                App::Workload(app) => TokenSource::workload(&client, *app)
                    .shared(OfProfile(store.grants(), key))?
                    .observe(tell_not_shared),
                app => {
                    let app = app.refresh_app().ok_or_else(|| signed_out(&name))?;
                    TokenSource::stored(&client, app, name.as_str(), store.grants())?
                        .observe(hold_renewal)
                }
            },
        };
        Ok(Self {
            profile: Some(name),
            endpoints,
            tokens: tokens.wait_when_stale(),
            store: Some(store),
            is_workload: profile.app == AppKind::Workload,
        })
    }

    /// A valid token, which is good for at least so long if such tokens are.
    pub(crate) fn token(&self, at_least: Duration) -> Result<IssuedToken, Failure> {
        ended(self.tokens.token_valid_for(at_least))
    }

    /// Whom it speaks for.
    pub(crate) fn whoami(&self) -> Result<User, Failure> {
        if !self.is_workload {
            return ended(self.tokens.whoami());
        }
        self.token(Duration::ZERO)?;
        // Nobody knows whether Coze answers to a workload (protocol §14).
        ended(self.tokens.whoami()).map_err(|failure| {
            failure.with_advice(
                "the token itself was given, and Coze may not say whose a workload's is: token, integration and project-env go without",
            )
        })
    }

    /// Sends a request to the API, and once more if the API refuses the token and another is to be had. A token goes to the
    /// origin of the API alone.
    pub(crate) fn send(
        &self,
        agent: &Agent,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Body>, Failure> {
        ended(self.tokens.send(agent, request))
    }

    /// The credential of an integration of the workload's project.
    pub(crate) fn integration(&self, name: &str) -> Result<IntegrationCredential, Failure> {
        self.workload()?;
        ended(self.tokens.integration(name))
    }

    /// The variables of the workload's project.
    pub(crate) fn project_env(&self) -> Result<ProjectEnv, Failure> {
        self.workload()?;
        ended(self.tokens.project_env())
    }

    /// Nothing, if it is of a workload.
    fn workload(&self) -> Result<(), Failure> {
        if self.is_workload {
            return Ok(());
        }
        let which = match &self.profile {
            Some(name) => format!("profile {name}"),
            None => "the token in COZE_API_TOKEN".to_owned(),
        };
        Err(Failure::new(
            Kind::Settings,
            format!(
                "{which} is not a workload's, and only a workload has integrations and variables: name its profile with --profile, or \
                 make one with coze-auth login --workload"
            ),
        ))
    }

    /// Ends its use. A renewed grant that could not be stored gets a last try.
    pub(crate) fn close(&self) -> Result<(), Failure> {
        self.tokens.close()?;
        if let Some(store) = &self.store {
            store.tell_notices();
        }
        Ok(())
    }
}

/// The token of a profile, which commands share. Two profiles of one app have a token each: what one logs out of, the other keeps.
struct OfProfile(Arc<dyn GrantStore>, GrantKey);

impl GrantStore for OfProfile {
    fn load(&self, _: &GrantKey) -> Result<Option<TokenGrant>, StoreError> {
        self.0.load(&self.1)
    }

    fn lock(&self, _: &GrantKey, patience: Duration) -> Result<Box<dyn LockedGrant>, StoreError> {
        self.0.lock(&self.1, patience)
    }

    fn notices(&self) -> Option<&Notices> {
        self.0.notices()
    }
}

/// The renewals of a shared token that have not told everything yet.
static TELLING: (Mutex<u32>, Condvar) = (Mutex::new(0), Condvar::new());

/// Else each command would ask Coze for a token of its own, and nobody would notice.
fn tell_not_shared(event: &Event<'_>) {
    let mut telling = TELLING.0.lock().unwrap_or_else(PoisonError::into_inner);
    match event.kind {
        EventKind::Begun => *telling += 1,
        EventKind::NotShared { error } => output::tell(format_args!(
            "coze-auth: the next command asks for a token of its own: {error}"
        )),
        EventKind::Done { .. }
        | EventKind::Taken { .. }
        | EventKind::Failed { .. }
        | EventKind::Refused { .. } => {
            *telling -= 1;
            TELLING.1.notify_all();
        }
        _ => {}
    }
}

/// The result of a renewal is handed out before its observer is told. So a signal that was held ends the process here, and what
/// there is to tell is waited for, since the process may end next.
fn ended<T>(result: Result<T, Error>) -> Result<T, Failure> {
    const AT_MOST: Duration = Duration::from_secs(1);
    interrupts::release();
    let telling = TELLING.0.lock().unwrap_or_else(PoisonError::into_inner);
    drop(
        TELLING
            .1
            .wait_timeout_while(telling, AT_MOST, |all| *all > 0),
    );
    Ok(result?)
}

/// A renewal is not broken off by a signal: the refresh token that it has spent works once.
fn hold_renewal(event: &Event<'_>) {
    match event.kind {
        EventKind::Begun => interrupts::hold(
            "the renewal is finished first, so that the login is not lost; once more to stop at once",
        ),
        EventKind::Done { .. }
        | EventKind::Taken { .. }
        | EventKind::Failed { .. }
        | EventKind::Refused { .. } => interrupts::release(),
        _ => {}
    }
}
