//! `logout`: removes a login from this machine.

use serde::Serialize;

use crate::Common;
use crate::credential;
use crate::failure::Failure;
use crate::output;
use crate::profile::{Profile, ProfileName};
use crate::store::Store;

/// Remove a login and its tokens from this machine
///
/// Coze has no call to revoke tokens: an access token that somebody has already works until it ends, and a token of Coze's console
/// until it is deleted there. The id and secret of a workload are the platform's, and stay in the environment.
#[derive(Debug, clap::Args)]
pub(crate) struct Logout {}

#[derive(Serialize)]
struct Json<'a> {
    profile: &'a str,
    removed: bool,
}

impl Logout {
    pub(crate) fn run(&self, common: &Common) -> Result<(), Failure> {
        let name = ProfileName::chosen(common.profile.as_ref())?.unwrap_or_default();
        // Nothing is made where nobody is signed in.
        let is_there = Profile::load(&name)?.is_some();
        let _held = is_there.then(|| Profile::lock(&name)).transpose()?;
        let profile = Profile::load(&name)?;
        if let Some(profile) = &profile {
            let store = Store::open(profile.store, &name)?;
            store.remove(&credential::key(&name, profile)?)?;
            store.tell_notices();
            Profile::remove(&name)?;
        }
        match (common.json, &profile) {
            (true, _) => output::line(output::json(&Json {
                profile: name.as_str(),
                removed: profile.is_some(),
            }))?,
            (false, Some(_)) => output::tell(format_args!("Logged out of profile {name}.")),
            (false, None) => {
                output::tell(format_args!("Nobody was signed in with profile {name}."))
            }
        }
        if credential::is_token_in_variable() && !common.json {
            output::tell("COZE_API_TOKEN is still set, and commands use it.");
        }
        Ok(())
    }
}
