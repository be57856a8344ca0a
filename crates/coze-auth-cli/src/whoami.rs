//! `whoami`: asks Coze whom the token speaks for.

use coze_auth::whoami::User;
use serde::Serialize;

use crate::Common;
use crate::credential::Credential;
use crate::failure::Failure;
use crate::output;

/// Ask Coze whose the token is, and print the name and the id
#[derive(Debug, clap::Args)]
pub(crate) struct Whoami {}

/// A user in JSON.
#[derive(Serialize)]
pub(crate) struct UserJson<'a> {
    user_id: &'a str,
    user_name: &'a str,
    nick_name: &'a str,
    avatar_url: Option<&'a str>,
}

impl<'a> From<&'a User> for UserJson<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            user_id: &user.user_id,
            user_name: user.user_name.as_raw(),
            nick_name: user.nick_name.as_raw(),
            avatar_url: user.avatar_url.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    user: UserJson<'a>,
    api_base: &'a str,
    profile: Option<&'a str>,
}

/// A user for people: the name, escaped, and the id.
pub(crate) fn shown(user: &User) -> String {
    match user.user_name.is_empty() {
        true => format!("user {}", user.user_id),
        false => format!("{} (user {})", user.user_name, user.user_id),
    }
}

impl Whoami {
    pub(crate) fn run(&self, common: &Common) -> Result<(), Failure> {
        let credential = Credential::open(common.profile.as_ref())?;
        let user = credential.whoami()?;
        match common.json {
            true => output::line(output::json(&Json {
                user: (&user).into(),
                api_base: credential.endpoints.api_base(),
                profile: credential.profile.as_ref().map(|name| name.as_str()),
            }))?,
            false => output::line(format_args!(
                "{} at {}",
                shown(&user),
                credential.endpoints.api_origin()
            ))?,
        }
        credential.close()
    }
}
