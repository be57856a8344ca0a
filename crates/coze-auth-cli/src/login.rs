//! `login`: a person logs in, or gives a token, and the grant is kept in a profile.

mod browser;
mod device;

use std::io::{self, IsTerminal as _, Read as _};

use coze_auth::blocking::{Client, TokenSource};
use coze_auth::error::ErrorCode;
use coze_auth::jwt::JwtGrant;
use coze_auth::store::{GrantKey, Saved, StoreError};
use coze_auth::tokens::system_now;
use coze_auth::whoami::User;
use coze_auth::{AccessToken, TokenGrant, entropy, whoami};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::app::{self, App, AppFlags};
use crate::credential::{self, NEVER};
use crate::failure::{Failure, Kind};
use crate::profile::{AppKind, Profile, ProfileName};
use crate::store::{PATIENCE, Store, StoreKind};
use crate::whoami::{UserJson, shown};
use crate::{Common, interrupts, output};

/// Log in, and keep the login in a profile
///
/// Without another word it is a device login: a code and a link are shown, which any browser opens, on this machine or on another.
/// The app is, for each of its values: the flag, else Coze's variable, as in Coze's own samples; or a coze_oauth_config.json, which
/// stays where it is. A client secret and a private key are never an argument, and are not copied: a web app's secret is read from
/// COZE_WEB_OAUTH_CLIENT_SECRET or the configuration, a key from its file, its variable or the configuration, whenever the login
/// is used. With --workload there is nothing to log in to: the profile names the workload of this environment, whose id and secret
/// are read from it at each use.
///
/// Examples:
///   coze-auth login --region cn --client-id 1234.app.coze
///   coze-auth login --pkce --client-id 1234.app.coze --redirect-uri http://127.0.0.1:8414/callback
///   coze-auth login --config coze_oauth_config.json --profile work
///   coze-auth login --with-token --region cn < token.txt
///   coze-auth login --workload
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Login {
    /// Log in with a PKCE app, in the browser of this machine
    #[arg(long, group = "flow")]
    pkce: bool,
    /// Log in with a web app, in the browser of this machine
    #[arg(long, group = "flow")]
    web: bool,
    /// Use a JWT app, which needs no person
    #[arg(long, group = "flow")]
    jwt: bool,
    /// Read a token of Coze's console (PAT or SAT) from standard input
    #[arg(long, group = "flow")]
    with_token: bool,
    /// Use the workload identity that Coze's coding platform (扣子编程) sets in the environment of a project; nobody logs in
    #[arg(long, group = "flow", conflicts_with_all = ["client_id", "region", "redirect_uri", "key_id", "key_file"])]
    workload: bool,
    #[command(flatten)]
    app: AppFlags,
    /// Where the grant rests; the profile remembers it [default: file]
    #[arg(long, value_enum)]
    store: Option<StoreKind>,
}

#[derive(Serialize)]
struct Json<'a> {
    profile: &'a str,
    app: AppKind,
    client_id: &'a str,
    api_base: &'a str,
    store: StoreKind,
    place: &'a str,
    expires_at: Option<u64>,
    /// Null if Coze did not say whose token it is, and of a workload.
    user: Option<UserJson<'a>>,
}

impl Login {
    pub(crate) fn run(&self, common: &Common) -> Result<(), Failure> {
        let name = ProfileName::chosen(common.profile.as_ref())?.unwrap_or_default();
        // One that cannot be read is written anew.
        let remembered = Profile::load(&name).unwrap_or_default();
        let remembered = remembered.map(|profile| profile.store);
        let kind = self.store.or(remembered).unwrap_or_default();
        let store = Store::open(kind, &name)?;
        // Before a person logs in for a profile that cannot be written.
        drop(Profile::lock(&name)?);
        let client = Client::new()?;
        let made = match self.with_token {
            true => self.take_token(&client, &name, &store, kind)?,
            false => self.log_in(&client, &name, &store, kind, common)?,
        };
        let held = Profile::lock(&name)?;
        // Now, and not before: another login may have been made while this one waited for its person.
        let before = Profile::load(&name).unwrap_or_default();
        made.profile.save(&name)?;
        if let Some(before) = before {
            remove_other(&before, &name, &made.key, kind);
        }
        drop(held);
        interrupts::release();
        store.tell_notices();
        self.tell(common, &name, &made, &store.place(&made.key))
    }

    fn kind(&self) -> AppKind {
        match (self.pkce, self.web, self.jwt, self.workload) {
            (true, ..) => AppKind::Pkce,
            (_, true, ..) => AppKind::Web,
            (_, _, true, _) => AppKind::Jwt,
            (.., true) => AppKind::Workload,
            _ => AppKind::Device,
        }
    }

    /// Logs in with an app.
    fn log_in(
        &self,
        client: &Client,
        name: &ProfileName,
        store: &Store,
        kind: StoreKind,
        common: &Common,
    ) -> Result<Made, Failure> {
        let app = self.app.app(self.kind())?;
        let endpoints = app.endpoints();
        let mut profile = Profile::new(app.kind(), app.client_id(), endpoints.api_base(), kind);
        self.app.note(&mut profile)?;
        let key = GrantKey::of(&endpoints, app.client_id(), name.as_str())?;
        store.probe(&key)?;
        let grant = match &app {
            App::Device(app) => device::log_in(client, app, common.json)?,
            App::Pkce(app) => {
                let redirect = self.app.redirect(AppKind::Pkce)?;
                browser::log_in(client, app.into(), &redirect, common.json)?
            }
            App::Web(app) => {
                let redirect = self.app.redirect(AppKind::Web)?;
                browser::log_in(client, app.into(), &redirect, common.json)?
            }
            App::Jwt(app) => client.run(app.grant(&JwtGrant::new(), entropy()?))?,
            App::Workload(app) => {
                app::note_workload(app, &mut profile);
                client.run(app.grant())?
            }
        };
        match app.refresh_app() {
            Some(app) => {
                let tokens = TokenSource::stored(client, app, name.as_str(), store.grants())?;
                tokens.install(grant.clone())?;
                tokens.close()?;
            }
            None => keep(store, &key, &grant)?,
        }
        // The login is made, whatever comes of this. A workload is not a user.
        let is_user = app.kind() != AppKind::Workload;
        let user = is_user.then(|| client.run(whoami(&endpoints, &grant.access_token)));
        Ok(Made {
            profile,
            key,
            expires_at: Some(grant.expires_at.as_secs()),
            user: user.map(|user| user.map_err(Failure::from)),
        })
    }

    /// Takes a token of the console, if Coze takes it.
    fn take_token(
        &self,
        client: &Client,
        name: &ProfileName,
        store: &Store,
        kind: StoreKind,
    ) -> Result<Made, Failure> {
        const NO_APP: &str = "token-of-the-console";
        let endpoints = self.app.endpoints()?;
        let key = GrantKey::of(&endpoints, NO_APP, name.as_str())?;
        let token = token_of_input()?;
        store.probe(&key)?;
        let user = match client.run(whoami(&endpoints, &token)) {
            Ok(user) => Ok(user),
            // It is good, and may not ask who it is.
            Err(error) if error.code() == Some(&ErrorCode::Number(4101)) => Err(error.into()),
            Err(error) => {
                let failure = Failure::from(error);
                return Err(failure.with_advice("nothing is stored"));
            }
        };
        keep(store, &key, &grant_of(&token)?)?;
        Ok(Made {
            profile: Profile::new(AppKind::Token, NO_APP, endpoints.api_base(), kind),
            key,
            expires_at: None,
            user: Some(user),
        })
    }

    fn tell(
        &self,
        common: &Common,
        name: &ProfileName,
        made: &Made,
        place: &str,
    ) -> Result<(), Failure> {
        let (profile, user) = (&made.profile, made.user.as_ref());
        if common.json {
            return output::line(output::json(&Json {
                profile: name.as_str(),
                app: profile.app,
                client_id: &profile.client_id,
                api_base: &profile.api_base,
                store: profile.store,
                place,
                expires_at: made.expires_at,
                user: user.and_then(|user| user.as_ref().ok()).map(UserJson::from),
            }));
        }
        let done = match user {
            Some(Ok(user)) => format!("Logged in as {}.", shown(user)),
            Some(Err(failure)) => {
                let why = failure.message();
                format!("Logged in; Coze did not say as whom ({why}).")
            }
            None => format!(
                "Nobody logs in to the workload {}: its id and secret are those of the environment.",
                profile.client_id
            ),
        };
        output::tell(format_args!("{done} Profile {name} is kept in {place}."));
        if credential::is_token_in_variable() {
            output::tell(
                "COZE_API_TOKEN is set, and commands use it before profile default: unset it, or name the profile with --profile.",
            );
        }
        Ok(())
    }
}

/// A login that is stored.
struct Made {
    profile: Profile,
    key: GrantKey,
    expires_at: Option<u64>,
    /// None of a workload.
    user: Option<Result<User, Failure>>,
}

/// Removes what the profile had before, if it is at another place. The new login is good whatever comes of it.
fn remove_other(before: &Profile, name: &ProfileName, key: &GrantKey, kind: StoreKind) {
    let removed = credential::key(name, before).and_then(|old| {
        let is_replaced = before.store == kind && (old == *key || kind == StoreKind::Keyring);
        match is_replaced {
            true => Ok(()),
            false => Store::open(before.store, name)?.remove(&old),
        }
    });
    if let Err(failure) = removed {
        output::tell(format_args!(
            "coze-auth: the tokens of the login before are still there: {}",
            failure.message()
        ));
    }
}

/// Stores a grant that no refresh token renews.
fn keep(store: &Store, key: &GrantKey, grant: &TokenGrant) -> Result<(), Failure> {
    let mut held = store.grants().lock(key, PATIENCE)?;
    // Without a look at what is there: a login replaces it, damaged or another program's.
    match held.save(grant)? {
        Saved::Stored => Ok(()),
        Saved::Superseded => Err(StoreError::Superseded.into()),
    }
}

/// A token of the console as a grant, whose end is not known.
fn grant_of(token: &AccessToken) -> Result<TokenGrant, Failure> {
    #[derive(Serialize)]
    struct Grant<'a> {
        access_token: &'a str,
        issued_at: u64,
        expires_at: u64,
    }
    let grant = Grant {
        access_token: token.expose(),
        issued_at: system_now().unix.as_secs(),
        expires_at: NEVER,
    };
    let json = Zeroizing::new(serde_json::to_string(&grant).unwrap_or_default());
    Ok(TokenGrant::from_secret_json(&json)?)
}

/// The token on standard input, without the line's end that `echo` puts behind it.
fn token_of_input() -> Result<AccessToken, Failure> {
    /// In bytes. No token is as long.
    const LONGEST: u64 = 64 * 1024;
    if io::stdin().is_terminal() {
        return Err(Failure::new(
            Kind::Usage,
            "--with-token reads the token from standard input, which is a terminal and would show it: coze-auth login --with-token \
             < FILE",
        ));
    }
    let mut text = Zeroizing::new(String::with_capacity(4096));
    let read = io::stdin().take(LONGEST).read_to_string(&mut text);
    read.map_err(|error| {
        Failure::new(
            Kind::Usage,
            format!("the token on standard input cannot be read: {error}"),
        )
    })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    AccessToken::new(line).map_err(|error| {
        let told = Failure::from(error);
        told.renamed("access token", "the token on standard input")
    })
}
