//! `status`: tells which credential commands use, without asking Coze.

use coze_auth::tokens::system_now;
use coze_auth::{Endpoints, Region, UnixTime, environment};
use serde::Serialize;

use crate::Common;
use crate::app;
use crate::credential::{self, Chosen, NEVER};
use crate::failure::Failure;
use crate::output;
use crate::profile::{AppKind, Profile, ProfileName};
use crate::store::{Store, StoreKind};
use crate::waiting::clock;

/// Tell which credential the other commands use, where it rests and when its token ends, without asking Coze
///
/// The exit status is 3 if nobody is signed in.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {}

#[derive(Serialize)]
struct Json<'a> {
    /// Null if the credential is in the variable `COZE_API_TOKEN`.
    profile: Option<&'a str>,
    signed_in: bool,
    app: Option<AppKind>,
    client_id: Option<&'a str>,
    api_base: Option<&'a str>,
    store: Option<StoreKind>,
    place: Option<&'a str>,
    /// Unix seconds; null if it is not known.
    expires_at: Option<u64>,
    /// Whether a new token is had without a person.
    renewable: bool,
    profiles: Vec<&'a str>,
}

impl Status {
    pub(crate) fn run(&self, common: &Common) -> Result<(), Failure> {
        let all = Profile::all()?;
        let profiles: Vec<&str> = all.iter().map(ProfileName::as_str).collect();
        match Chosen::by(common.profile.as_ref())? {
            Chosen::Variable => {
                // It is refused as by the other commands: it may have a password in it.
                let endpoints = || environment(Region::Cn).endpoints();
                let endpoints = app::is_set("COZE_API_BASE").then(endpoints).transpose()?;
                let base = endpoints.as_ref().map(Endpoints::api_base);
                match common.json {
                    true => output::line(output::json(&Json {
                        profile: None,
                        signed_in: true,
                        app: Some(AppKind::Token),
                        client_id: None,
                        api_base: base,
                        store: None,
                        place: Some("COZE_API_TOKEN"),
                        expires_at: None,
                        renewable: false,
                        profiles,
                    })),
                    false => {
                        let base = base.unwrap_or("an API that COZE_API_BASE does not name");
                        output::line(format_args!(
                            "The token in the variable COZE_API_TOKEN, for {base}"
                        ))?;
                        tell_profiles(&profiles)
                    }
                }
            }
            Chosen::Profile(name, None) => Err(self.signed_out(&name, None, common, profiles)),
            Chosen::Profile(name, Some(profile)) => {
                if profile.app == AppKind::Workload {
                    // Whose environment it is decides whether there is a token.
                    app::of_profile(&profile)?;
                }
                let store = Store::open(profile.store, &name)?;
                let key = credential::key(&name, &profile)?;
                let place = store.place(&key);
                let grant = store.grants().load(&key)?;
                store.tell_notices();
                if grant.is_none() && !profile.app.needs_nobody() {
                    return Err(self.signed_out(&name, Some(&profile), common, profiles));
                }
                let end = grant.as_ref().map(|grant| grant.expires_at.as_secs());
                let end = end.filter(|end| *end != NEVER);
                let is_login = grant.is_some_and(|grant| grant.refresh_token.is_some());
                let renewable = is_login || profile.app.needs_nobody();
                if common.json {
                    return output::line(output::json(&Json {
                        profile: Some(name.as_str()),
                        signed_in: true,
                        app: Some(profile.app),
                        client_id: Some(&profile.client_id),
                        api_base: Some(&profile.api_base),
                        store: Some(profile.store),
                        place: Some(&place),
                        expires_at: end,
                        renewable,
                        profiles,
                    }));
                }
                output::line(format_args!("Profile {name} at {}", profile.api_base))?;
                output::line(match profile.app {
                    AppKind::Token => "  with a token of the console".to_owned(),
                    app => format!("  with the {app} {}", profile.client_id),
                })?;
                output::line(format_args!("  kept in {place}"))?;
                output::line(format_args!("  {}", life(end, renewable)))?;
                tell_profiles(&profiles)
            }
        }
    }

    /// Nobody is signed in, which JSON says on standard output as well.
    fn signed_out(
        &self,
        name: &ProfileName,
        profile: Option<&Profile>,
        common: &Common,
        profiles: Vec<&str>,
    ) -> Failure {
        let signed_out = credential::signed_out(name);
        let signed_out = match profiles.as_slice() {
            [] => signed_out,
            names => signed_out.with_advice(&format!("there are profiles {}", names.join(", "))),
        };
        if common.json {
            let told = output::line(output::json(&Json {
                profile: Some(name.as_str()),
                signed_in: false,
                app: profile.map(|profile| profile.app),
                client_id: profile.map(|profile| profile.client_id.as_str()),
                api_base: profile.map(|profile| profile.api_base.as_str()),
                store: profile.map(|profile| profile.store),
                place: None,
                expires_at: None,
                renewable: false,
                profiles,
            }));
            if let Err(failure) = told {
                return failure;
            }
        }
        signed_out
    }
}

/// How long the token is good, for people.
fn life(end: Option<u64>, renewable: bool) -> String {
    let Some(end) = end else {
        if renewable {
            return "no token is kept, and the next command gets one".to_owned();
        }
        return "good until it is deleted or expires at Coze, which only Coze knows".to_owned();
    };
    let left = system_now().unix.until(UnixTime::from_secs(end));
    match (left.is_zero(), renewable) {
        (false, true) => format!("good for {} minutes, then it is renewed", clock(left)),
        (false, false) => format!("good for {} minutes, and it cannot be renewed", clock(left)),
        (true, true) => "its token has ended, and the next command renews it".to_owned(),
        (true, false) => {
            "its token has ended, and it cannot be renewed: run coze-auth login".to_owned()
        }
    }
}

fn tell_profiles(profiles: &[&str]) -> Result<(), Failure> {
    match profiles {
        [] | [_] => Ok(()),
        names => output::line(format_args!("All profiles: {}", names.join(", "))),
    }
}
