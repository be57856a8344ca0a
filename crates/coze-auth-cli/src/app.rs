//! The app of a login: from flags, from Coze's variables, or from `coze_oauth_config.json`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use coze_auth::authorize::RedirectUri;
use coze_auth::config::{Environment, OAuthConfig};
use coze_auth::core::RefreshApp;
use coze_auth::device::DeviceApp;
use coze_auth::error::{ConfigError, Problem, holds_secret};
use coze_auth::jwt::JwtApp;
use coze_auth::pkce::PkceApp;
use coze_auth::tokens::jwt_app;
use coze_auth::web::WebApp;
use coze_auth::workload::WorkloadApp;
use coze_auth::{Endpoints, Error, Region, config_from_file, core};

use crate::failure::{Failure, Kind};
use crate::profile::{AppKind, Profile};

/// One of Coze's two services.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RegionName {
    /// `api.coze.cn` (扣子)
    Cn,
    /// `api.coze.com`
    Com,
}

impl From<RegionName> for Region {
    fn from(name: RegionName) -> Self {
        match name {
            RegionName::Cn => Self::Cn,
            RegionName::Com => Self::Com,
        }
    }
}

/// What the command line says about the app.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct AppFlags {
    /// Client id of the app [env: COZE_DEVICE_OAUTH_CLIENT_ID, COZE_PKCE_…, COZE_WEB_…, COZE_JWT_…]
    #[arg(long, value_name = "ID", conflicts_with = "config")]
    client_id: Option<String>,
    /// File coze_oauth_config.json of Coze's console; it stays where it is, and is read at each use
    #[arg(long, value_name = "FILE", conflicts_with_all = ["region", "pkce", "web", "jwt", "workload", "with_token"])]
    config: Option<PathBuf>,
    /// Which Coze it is, unless COZE_API_BASE says where the API is
    #[arg(long, value_enum)]
    region: Option<RegionName>,
    /// Redirect URI that is registered with a PKCE or web app, on this machine [env: COZE_PKCE_OAUTH_REDIRECT_URI, COZE_WEB_…]
    #[arg(long, value_name = "URI")]
    redirect_uri: Option<String>,
    /// Id of the key of a JWT app [env: COZE_JWT_OAUTH_PUBLIC_KEY_ID]
    #[arg(long, value_name = "ID", requires = "jwt")]
    key_id: Option<String>,
    /// File with the private key of a JWT app, in PEM [env: COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH]
    #[arg(long, value_name = "FILE", requires = "jwt")]
    key_file: Option<PathBuf>,
    /// True if the command has no flag for a value of the app but `--config`.
    #[arg(skip)]
    config_alone: bool,
}

/// An app that somebody logs in with.
#[derive(Debug)]
pub(crate) enum App {
    Device(DeviceApp),
    Pkce(PkceApp),
    Web(WebApp),
    Jwt(JwtApp),
    Workload(Box<WorkloadApp>),
}

impl App {
    pub(crate) const fn kind(&self) -> AppKind {
        match self {
            Self::Device(_) => AppKind::Device,
            Self::Pkce(_) => AppKind::Pkce,
            Self::Web(_) => AppKind::Web,
            Self::Jwt(_) => AppKind::Jwt,
            Self::Workload(_) => AppKind::Workload,
        }
    }

    pub(crate) fn client_id(&self) -> &str {
        match self {
            Self::Device(app) => app.client_id(),
            Self::Pkce(app) => app.client_id(),
            Self::Web(app) => app.client_id(),
            Self::Jwt(app) => app.client_id(),
            Self::Workload(app) => app.client_id(),
        }
    }

    pub(crate) fn endpoints(&self) -> Endpoints {
        match self {
            Self::Device(app) => app.endpoints().clone(),
            Self::Pkce(app) => app.endpoints().clone(),
            Self::Web(app) => app.endpoints().clone(),
            Self::Jwt(app) => app.endpoints().clone(),
            Self::Workload(app) => app.endpoints().api(),
        }
    }

    /// The app, if its grants are renewed with a refresh token.
    pub(crate) fn refresh_app(&self) -> Option<RefreshApp> {
        match self {
            Self::Device(app) => Some(app.clone().into()),
            Self::Pkce(app) => Some(app.clone().into()),
            Self::Web(app) => Some(app.clone().into()),
            Self::Jwt(_) | Self::Workload(_) => None,
        }
    }

    fn of_config(path: &Path) -> Result<Self, Failure> {
        Ok(match config_from_file(path)? {
            OAuthConfig::Device(app) => Self::Device(app),
            OAuthConfig::Pkce(app) => Self::Pkce(app),
            OAuthConfig::Web(app) => Self::Web(app),
            OAuthConfig::Jwt(issuer, key) => Self::Jwt(JwtApp::from_issuer(issuer, key.rsa_key()?)),
            _ => {
                return Err(Failure::new(
                    Kind::Settings,
                    format!(
                        "{} is of an app that this command does not know",
                        path.display()
                    ),
                ));
            }
        })
    }
}

/// What a flag sets, by the name of its variable.
const FLAGS: [(&str, &str); 6] = [
    ("COZE_DEVICE_OAUTH_CLIENT_ID", "--client-id"),
    ("COZE_PKCE_OAUTH_CLIENT_ID", "--client-id"),
    ("COZE_WEB_OAUTH_CLIENT_ID", "--client-id"),
    ("COZE_JWT_OAUTH_CLIENT_ID", "--client-id"),
    ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "--key-id"),
    ("COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH", "--key-file"),
];

/// Which workload the environment is of.
pub(crate) const WORKLOAD_ID: &str = "COZE_WORKLOAD_IDENTITY_CLIENT_ID";

const fn client_id_variable(kind: AppKind) -> &'static str {
    match kind {
        AppKind::Device | AppKind::Token => "COZE_DEVICE_OAUTH_CLIENT_ID",
        AppKind::Pkce => "COZE_PKCE_OAUTH_CLIENT_ID",
        AppKind::Web => "COZE_WEB_OAUTH_CLIENT_ID",
        AppKind::Jwt => "COZE_JWT_OAUTH_CLIENT_ID",
        AppKind::Workload => WORKLOAD_ID,
    }
}

/// Variables of Coze, some of which are said otherwise.
#[derive(Clone, Debug, Default)]
struct Settings {
    region: Option<Region>,
    said: Vec<(&'static str, String)>,
    config_alone: bool,
}

impl Settings {
    fn say(&mut self, variable: &'static str, value: impl Into<String>) {
        self.said.push((variable, value.into()));
    }

    /// The variables as the core looks them up. An empty value counts as none.
    fn environment(&self) -> Environment<'static> {
        let said = self.said.clone();
        Environment::new(self.region.unwrap_or(Region::Cn), move |name| {
            match said.iter().find(|(variable, _)| *variable == name) {
                Some((_, value)) => Some(value.clone()),
                None => variable(name),
            }
        })
    }

    /// An error under the name that the person used: a flag, if there was one.
    fn told(&self, error: impl Into<Error>) -> Failure {
        let error = error.into();
        let config = match &error {
            Error::Core {
                error: core::Error::Config(config),
                ..
            } => Some(config.clone()),
            _ => None,
        };
        let failure = Failure::from(error);
        let Some(config) = config else { return failure };
        let flag = FLAGS.iter().find(|(name, _)| *name == config.what());
        match flag {
            Some((name, flag)) if self.said.iter().any(|(said, _)| said == name) => {
                failure.renamed(name, flag)
            }
            _ if *config.problem() == Problem::Missing && self.config_alone => {
                failure.with_advice("or say --config with the file of the app")
            }
            Some((_, flag)) if *config.problem() == Problem::Missing => {
                failure.with_advice(&format!("or say {flag}"))
            }
            _ => failure,
        }
    }

    fn app(&self, kind: AppKind) -> Result<App, Failure> {
        let environment = self.environment();
        let told = |error: ConfigError| self.told(error);
        Ok(match kind {
            AppKind::Pkce => App::Pkce(environment.pkce_app().map_err(told)?),
            AppKind::Web => App::Web(environment.web_app().map_err(told)?),
            AppKind::Jwt => App::Jwt(jwt_app(&environment).map_err(|error| self.told(error))?),
            AppKind::Workload => App::Workload(Box::new(workload(&environment)?)),
            AppKind::Device | AppKind::Token => {
                App::Device(environment.device_app().map_err(told)?)
            }
        })
    }
}

/// Returns true if the environment has this variable, and not as an empty text.
pub(crate) fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// A value that is not Unicode counts as set: its replacement characters are refused by name.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(Kind::Settings, format!("{}: {error}", path.display())))
}

impl AppFlags {
    /// What the bridge is told: which Coze it is, or the file of a JWT app.
    #[cfg(feature = "bridge")]
    pub(crate) fn of_bridge(region: Option<RegionName>, config: Option<&Path>) -> Self {
        Self {
            region,
            config: config.map(Path::to_owned),
            config_alone: true,
            ..Self::default()
        }
    }

    /// Where Coze is: `--region`, else `COZE_API_BASE`. None is assumed, since credentials of one Coze mean nothing to the other.
    fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = Settings {
            config_alone: self.config_alone,
            ..Settings::default()
        };
        if let Some(region) = self.region {
            settings.region = Some(region.into());
            settings.say("COZE_API_BASE", "");
            settings.say("COZE_WWW_BASE", "");
        } else if !is_set("COZE_API_BASE") {
            return Err(Failure::new(
                Kind::Usage,
                "it is not said which Coze it is: say --region cn for api.coze.cn, --region com for api.coze.com, or set \
                 COZE_API_BASE",
            ));
        }
        Ok(settings)
    }

    /// Where Coze is, for a token of its console.
    pub(crate) fn endpoints(&self) -> Result<Endpoints, Failure> {
        Ok(self.settings()?.environment().endpoints()?)
    }

    /// The app of this kind; that of the configuration, if that is said.
    pub(crate) fn app(&self, kind: AppKind) -> Result<App, Failure> {
        if let Some(config) = &self.config {
            return App::of_config(&absolute(config)?);
        }
        if kind == AppKind::Workload {
            // Its variables say where its requests go.
            return Settings::default().app(kind);
        }
        let mut settings = self.settings()?;
        if let Some(id) = &self.client_id {
            settings.say(client_id_variable(kind), id);
        }
        self.say_key(&mut settings)?;
        settings.app(kind)
    }

    fn say_key(&self, settings: &mut Settings) -> Result<(), Failure> {
        if let Some(id) = &self.key_id {
            settings.say("COZE_JWT_OAUTH_PUBLIC_KEY_ID", id);
        }
        if let Some(file) = &self.key_file {
            settings.say_key_file(&absolute(file)?);
        }
        Ok(())
    }

    /// The redirect URI of a PKCE or web app.
    pub(crate) fn redirect(&self, kind: AppKind) -> Result<RedirectUri, Failure> {
        if let Some(uri) = &self.redirect_uri {
            let uri = RedirectUri::new(uri);
            return uri
                .map_err(|error| Failure::from(error).renamed("redirect URI", "--redirect-uri"));
        }
        let environment = Settings::default().environment();
        let uri = match kind {
            AppKind::Web => environment.web_redirect_uri(),
            _ => environment.pkce_redirect_uri(),
        };
        uri.map_err(|error| match error.problem() {
            Problem::Missing => Failure::from(error).with_advice("or say --redirect-uri"),
            _ => error.into(),
        })
    }

    /// Has a profile remember where the app is from.
    pub(crate) fn note(&self, profile: &mut Profile) -> Result<(), Failure> {
        profile.config = self.config.as_deref().map(absolute).transpose()?;
        profile.key_file = self.key_file.as_deref().map(absolute).transpose()?;
        profile.key_id.clone_from(&self.key_id);
        Ok(())
    }
}

impl Settings {
    fn say_key_file(&mut self, file: &Path) {
        // A key in the other variable would go before it.
        self.say("COZE_JWT_OAUTH_PRIVATE_KEY", "");
        self.say(
            "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH",
            file.to_string_lossy(),
        );
    }
}

fn workload(environment: &Environment<'_>) -> Result<WorkloadApp, Failure> {
    let app = environment.workload_app()?;
    match holds_secret(app.client_id()) {
        false => Ok(app),
        true => Err(Failure::new(
            Kind::Settings,
            format!("the value of {WORKLOAD_ID} seems to be a secret, which does not belong there"),
        )),
    }
}

/// Has a profile remember the lane of a workload, and where its secret and its tokens go.
pub(crate) fn note_workload(app: &WorkloadApp, profile: &mut Profile) {
    let endpoints = app.endpoints();
    profile.lane = app.lane().as_str().map(str::to_owned);
    profile.identity_endpoint = Some(endpoints.identity().to_owned());
    profile.access_endpoint = Some(endpoints.access().to_owned());
    profile.outbound_endpoint = endpoints.outbound().map(str::to_owned);
}

/// The workload of the environment, if it is still that of the profile: another one is not used without a word, and gets neither the secret
/// nor the token that is kept.
fn workload_of_profile(profile: &Profile) -> Result<App, Failure> {
    let app = workload(&Settings::default().environment())?;
    let mut same = profile.clone();
    note_workload(&app, &mut same);
    let changed = [
        (WORKLOAD_ID, app.client_id() != profile.client_id),
        (
            "COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT",
            same.identity_endpoint != profile.identity_endpoint,
        ),
        (
            "COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT",
            same.access_endpoint != profile.access_endpoint,
        ),
        (
            "COZE_OUTBOUND_AUTH_ENDPOINT",
            // Who needs it is told if it is missing.
            same.outbound_endpoint.is_some() && same.outbound_endpoint != profile.outbound_endpoint,
        ),
        ("COZE_SERVER_ENV", same.lane != profile.lane),
    ];
    let Some((other, _)) = changed.into_iter().find(|(_, is_other)| *is_other) else {
        return Ok(App::Workload(Box::new(app)));
    };
    Err(Failure::new(
        Kind::Settings,
        format!(
            "{other} is not that of the profile, whose workload is {} at {}: set it back, or run coze-auth login --workload to use the \
             new one",
            profile.client_id, profile.api_base
        ),
    ))
}

/// The app of a profile, read again from where its secrets are.
pub(crate) fn of_profile(profile: &Profile) -> Result<App, Failure> {
    if profile.app == AppKind::Workload {
        return workload_of_profile(profile);
    }
    if let Some(config) = &profile.config {
        let app = App::of_config(config)?;
        let is_same = app.kind() == profile.app
            && app.client_id() == profile.client_id
            && app.endpoints().api_base() == profile.api_base;
        return match is_same {
            true => Ok(app),
            false => Err(Failure::new(
                Kind::Settings,
                format!(
                    "{} is of the {} {} at {} now, and the login is of the {} {} at {}: put the file back, or log in again",
                    config.display(),
                    app.kind(),
                    app.client_id(),
                    app.endpoints().api_base(),
                    profile.app,
                    profile.client_id,
                    profile.api_base
                ),
            )),
        };
    }
    let mut settings = Settings::default();
    settings.say("COZE_API_BASE", &profile.api_base);
    settings.say("COZE_WWW_BASE", "");
    settings.say(client_id_variable(profile.app), &profile.client_id);
    if let Some(id) = &profile.key_id {
        settings.say("COZE_JWT_OAUTH_PUBLIC_KEY_ID", id);
    }
    if let Some(file) = &profile.key_file {
        settings.say_key_file(file);
    }
    settings.app(profile.app)
}
