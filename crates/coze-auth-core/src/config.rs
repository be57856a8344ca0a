//! Settings as Coze's users already have them: `coze_oauth_config.json`, and the environment variables
//! of Coze's own documents and SDKs (protocol §9).
//!
//! The core reads no file and no environment: it is handed the text, and a way to look a variable up.
//! The adapters hand it the process's own.

mod json;

use zeroize::Zeroizing;

use self::json::Value;

use crate::access_token::AccessToken;
use crate::authorize::RedirectUri;
use crate::device::DeviceApp;
use crate::endpoint::{Endpoints, Region, copied};
use crate::error::{ConfigError, Problem, holds_secret, is_token};
use crate::jwt::JwtIssuer;
use crate::pkce::PkceApp;
use crate::secret::ClientSecret;
use crate::web::WebApp;
use crate::workload::{Lane, WorkloadApp, WorkloadEndpoints};

/// `coze_oauth_config.json`, which Coze's console gives with a sample and the official SDKs load.
///
/// ```
/// use coze_auth_core::config::OAuthConfig;
///
/// let text = r#"{"client_type":"device","client_id":"5678.app.coze","coze_api_base":"https://api.coze.cn"}"#;
/// let OAuthConfig::Device(app) = OAuthConfig::from_json(text)? else { panic!("it says device") };
/// assert_eq!(app.client_id(), "5678.app.coze");
/// # Ok::<(), coze_auth_core::error::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OAuthConfig {
    /// `"client_type": "web"`.
    Web(WebApp),
    /// `"client_type": "pkce"`.
    Pkce(PkceApp),
    /// `"client_type": "device"`.
    Device(DeviceApp),
    /// `"client_type": "jwt"`.
    Jwt(JwtIssuer, PrivateKeyPem),
}

/// The text of a private key, not yet looked at, and where it is from:
#[cfg_attr(feature = "rs256-aws-lc", doc = "[`rsa_key`](Self::rsa_key) reads it.")]
#[cfg_attr(not(feature = "rs256-aws-lc"), doc = "`rsa_key` reads it.")]
/// It can be given to a signer of your own as well.
#[derive(Clone)]
pub struct PrivateKeyPem {
    text: Zeroizing<String>,
    /// The variable or member that it is from.
    setting: &'static str,
    /// The file that the variable names, or that the member stands in.
    file: Option<String>,
}

impl PrivateKeyPem {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The error that says what is wrong with it, under the name of its variable or member, and of its file.
    pub fn error(&self, problem: Problem) -> ConfigError {
        let error = ConfigError::new(self.setting, problem);
        match &self.file {
            Some(file) => error.in_file(file.as_str()),
            None => error,
        }
    }

    /// The same key, whose errors show the name of the file that its member stands in.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// The key.
    ///
    /// # Errors
    ///
    /// As for [`RsaKey::from_pem`](crate::jwt::RsaKey::from_pem), with the name of the variable or member.
    #[cfg(feature = "rs256-aws-lc")]
    pub fn rsa_key(&self) -> Result<crate::jwt::RsaKey, ConfigError> {
        crate::jwt::RsaKey::from_pem(&self.text)
            .map_err(|error| self.error(error.problem().clone()))
    }
}

impl std::fmt::Debug for PrivateKeyPem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKeyPem(***)")
    }
}

/// The members of the file. Those that are read are taken out.
struct File(Vec<(Zeroizing<String>, Value)>);

impl File {
    /// A member that may be missing, `null` or empty.
    fn optional(&mut self, name: &'static str) -> Result<Option<Zeroizing<String>>, ConfigError> {
        let is_it = |member: &(Zeroizing<String>, Value)| member.0.as_str() == name;
        let Some(at) = self.0.iter().position(is_it) else {
            return Ok(None);
        };
        let (_, value) = self.0.swap_remove(at);
        if self.0.iter().any(is_it) {
            return Err(ConfigError::new(name, Problem::Twice));
        }
        match value {
            Value::Text(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            // An id can be meant by it, and nothing else.
            Value::Digits(digits)
                if matches!(name, "client_id" | "public_key_id" | "client_secret") =>
            {
                Ok(Some(digits))
            }
            Value::Digits(_) => Err(ConfigError::new(name, Problem::NotText("a number"))),
            Value::Null => Ok(None),
            Value::Other(what) => Err(ConfigError::new(name, Problem::NotText(what))),
        }
    }

    /// A member that must be there and not empty.
    fn required(&mut self, name: &'static str) -> Result<Zeroizing<String>, ConfigError> {
        self.optional(name)?
            .ok_or_else(|| ConfigError::new(name, Problem::Missing))
    }
}

/// An issuer, its errors under the names of the settings.
fn issuer(
    endpoints: Endpoints,
    (id_name, id): (&'static str, &str),
    (key_id_name, key_id): (&'static str, &str),
) -> Result<JwtIssuer, ConfigError> {
    copied(key_id_name, key_id)?;
    JwtIssuer::new(endpoints, id, key_id).map_err(|error| error.named(id_name))
}

impl OAuthConfig {
    /// Reads the text of the file. Members that are not known are ignored. Taken is what people add to it and what
    /// can mean one thing only: comments, a comma behind the last member, single quotes, a line break within
    /// the key, and digits without quotes for an id.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the member, or line and column. `coze_api_base` must be there: without it one SDK
    /// means the .com region and another none (protocol §9), and credentials of one region mean nothing to the other.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        let members = json::members(json)
            .map_err(|problem| ConfigError::new("coze_oauth_config.json", problem))?;
        let mut file = File(members);
        let base = file.required("coze_api_base")?;
        let mut endpoints =
            Endpoints::custom(&base).map_err(|error| error.named("coze_api_base"))?;
        if let Some(www) = file.optional("coze_www_base")? {
            endpoints = endpoints
                .with_www(&www)
                .map_err(|error| error.named("coze_www_base"))?;
        }
        let client_type = file.required("client_type")?;
        let client_id = file.required("client_id")?;
        let named = |error: ConfigError| error.named("client_id");
        Ok(match client_type.as_str() {
            "web" => {
                let secret = file.required("client_secret")?;
                let secret =
                    ClientSecret::new(&**secret).map_err(|error| error.named("client_secret"))?;
                Self::Web(WebApp::new(endpoints, &**client_id, secret).map_err(named)?)
            }
            "pkce" => Self::Pkce(PkceApp::new(endpoints, &**client_id).map_err(named)?),
            "device" => Self::Device(DeviceApp::new(endpoints, &**client_id).map_err(named)?),
            "jwt" => {
                let key_id = file.required("public_key_id")?;
                let issuer = issuer(
                    endpoints,
                    ("client_id", &client_id),
                    ("public_key_id", &key_id),
                )?;
                let key = PrivateKeyPem {
                    text: file.required("private_key")?,
                    setting: "private_key",
                    file: None,
                };
                Self::Jwt(issuer, key)
            }
            _ => return Err(ConfigError::new("client_type", Problem::ClientType)),
        })
    }
}

/// Coze's environment variables, looked up in whatever holds them.
///
/// An empty variable counts as one that is not set: that is how compose files and CI spell it.
///
/// ```
/// use coze_auth_core::config::Environment;
/// use coze_auth_core::{Region, error::ConfigError};
///
/// # fn main() -> Result<(), ConfigError> {
/// let settings = Environment::new(Region::Cn, |name| match name {
///     "COZE_API_TOKEN" => Some("pat_of_the_console".to_owned()), // `std::env::var(name).ok()` in a program
///     _ => None,
/// });
/// assert_eq!(settings.endpoints()?.api_base(), "https://api.coze.cn");
/// assert_eq!(settings.access_token()?.expose(), "pat_of_the_console");
/// let missing = settings.device_app().unwrap_err();
/// assert_eq!(missing.what(), "COZE_DEVICE_OAUTH_CLIENT_ID");
/// # Ok(()) }
/// ```
pub struct Environment<'a> {
    region: Region,
    variable: Box<Lookup<'a>>,
}

/// Gives the value of a variable.
type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

impl<'a> Environment<'a> {
    /// `region` is for where `COZE_API_BASE` is not set: no region is assumed.
    pub fn new(region: Region, variable: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self {
            region,
            variable: Box::new(variable),
        }
    }

    fn optional(&self, name: &str) -> Option<Zeroizing<String>> {
        (self.variable)(name)
            .filter(|value| !value.is_empty())
            .map(Zeroizing::new)
    }

    fn required(&self, name: &'static str) -> Result<Zeroizing<String>, ConfigError> {
        self.optional(name)
            .ok_or_else(|| ConfigError::new(name, Problem::Missing))
    }

    /// `COZE_API_BASE`, else the region; `COZE_WWW_BASE` for a base whose www host cannot be told.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable.
    pub fn endpoints(&self) -> Result<Endpoints, ConfigError> {
        const API: &str = "COZE_API_BASE";
        const WWW: &str = "COZE_WWW_BASE";
        let endpoints = match self.optional(API) {
            Some(base) => Endpoints::custom(&base).map_err(|error| error.named(API))?,
            None => self.region.into(),
        };
        match self.optional(WWW) {
            Some(www) => endpoints.with_www(&www).map_err(|error| error.named(WWW)),
            None => Ok(endpoints),
        }
    }

    /// `COZE_API_TOKEN`: a personal or service access token.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable.
    pub fn access_token(&self) -> Result<AccessToken, ConfigError> {
        const NAME: &str = "COZE_API_TOKEN";
        AccessToken::new(&**self.required(NAME)?).map_err(|error| error.named(NAME))
    }

    /// `COZE_WEB_OAUTH_CLIENT_ID` and `COZE_WEB_OAUTH_CLIENT_SECRET`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable.
    pub fn web_app(&self) -> Result<WebApp, ConfigError> {
        const ID: &str = "COZE_WEB_OAUTH_CLIENT_ID";
        const SECRET: &str = "COZE_WEB_OAUTH_CLIENT_SECRET";
        let secret =
            ClientSecret::new(&**self.required(SECRET)?).map_err(|error| error.named(SECRET))?;
        WebApp::new(self.endpoints()?, &**self.required(ID)?, secret)
            .map_err(|error| error.named(ID))
    }

    /// `COZE_WEB_OAUTH_REDIRECT_URI`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable.
    pub fn web_redirect_uri(&self) -> Result<RedirectUri, ConfigError> {
        self.redirect(&["COZE_WEB_OAUTH_REDIRECT_URI"])
    }

    /// `COZE_PKCE_OAUTH_CLIENT_ID`. A program that listens for the callback itself makes the [`RedirectUri`] of its own
    /// listener; for others it is in a [variable](Self::pkce_redirect_uri), too.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable.
    pub fn pkce_app(&self) -> Result<PkceApp, ConfigError> {
        const ID: &str = "COZE_PKCE_OAUTH_CLIENT_ID";
        PkceApp::new(self.endpoints()?, &**self.required(ID)?).map_err(|error| error.named(ID))
    }

    /// `COZE_PKCE_OAUTH_REDIRECT_URI` or, as Coze's own sample has it, `COZE_WEB_OAUTH_REDIRECT_URI`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable.
    pub fn pkce_redirect_uri(&self) -> Result<RedirectUri, ConfigError> {
        self.redirect(&[
            "COZE_PKCE_OAUTH_REDIRECT_URI",
            "COZE_WEB_OAUTH_REDIRECT_URI",
        ])
    }

    /// `COZE_DEVICE_OAUTH_CLIENT_ID`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable.
    pub fn device_app(&self) -> Result<DeviceApp, ConfigError> {
        const ID: &str = "COZE_DEVICE_OAUTH_CLIENT_ID";
        DeviceApp::new(self.endpoints()?, &**self.required(ID)?).map_err(|error| error.named(ID))
    }

    /// `COZE_JWT_OAUTH_CLIENT_ID`, `COZE_JWT_OAUTH_PUBLIC_KEY_ID`, and the key from
    /// `COZE_JWT_OAUTH_PRIVATE_KEY` or from the file that `COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH` names,
    /// read with `read_file`. If none of these is set: `COZELOOP_JWT_OAUTH_CLIENT_ID`, `_PUBLIC_KEY_ID` and `_PRIVATE_KEY`, as
    /// Coze Loop's SDKs have them, all or none of the three.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable.
    pub fn jwt_issuer(
        &self,
        read_file: impl FnOnce(&str) -> std::io::Result<String>,
    ) -> Result<(JwtIssuer, PrivateKeyPem), ConfigError> {
        const ID: &str = "COZE_JWT_OAUTH_CLIENT_ID";
        const KEY_ID: &str = "COZE_JWT_OAUTH_PUBLIC_KEY_ID";
        const KEY: &str = "COZE_JWT_OAUTH_PRIVATE_KEY";
        const FILE: &str = "COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH";
        const OF_LOOP: [&str; 3] = [
            "COZELOOP_JWT_OAUTH_CLIENT_ID",
            "COZELOOP_JWT_OAUTH_PUBLIC_KEY_ID",
            "COZELOOP_JWT_OAUTH_PRIVATE_KEY",
        ];
        let is_set = |name: &&str| self.optional(name).is_some();
        if ![ID, KEY_ID, KEY, FILE].iter().any(is_set) && OF_LOOP.iter().any(is_set) {
            let [id, key_id, key] = OF_LOOP;
            self.all_of(&OF_LOOP)?;
            let (id_set, key_id_set) = (self.required(id)?, self.required(key_id)?);
            let issuer = issuer(self.endpoints()?, (id, &id_set), (key_id, &key_id_set))?;
            let key = PrivateKeyPem {
                text: self.required(key)?,
                setting: key,
                file: None,
            };
            return Ok((issuer, key));
        }
        let (id, key_id) = (self.required(ID)?, self.required(KEY_ID)?);
        let issuer = issuer(self.endpoints()?, (ID, &id), (KEY_ID, &key_id))?;
        let key = match (self.optional(KEY), self.optional(FILE)) {
            (Some(text), _) => PrivateKeyPem {
                text,
                setting: KEY,
                file: None,
            },
            (None, Some(path)) => {
                let bad = |problem| ConfigError::new(FILE, problem);
                // Such a value must not be shown, which a path is.
                if is_token(&path) {
                    return Err(bad(Problem::Looks(
                        "is not a path but a token, as it seems; the path of the file with the private key is asked for",
                    )));
                }
                if holds_secret(&path) {
                    return Err(bad(Problem::Looks(
                        "is not a path but the key itself, as it seems; that belongs into COZE_JWT_OAUTH_PRIVATE_KEY",
                    )));
                }
                let text = read_file(&path).map(Zeroizing::new).map_err(|error| {
                    let why = format!("{error}{}", hint(&path));
                    bad(Problem::Unreadable(why)).in_file(&**path)
                })?;
                PrivateKeyPem {
                    text,
                    setting: FILE,
                    file: Some(path.to_string()),
                }
            }
            (None, None) => {
                return Err(ConfigError::new(
                    "COZE_JWT_OAUTH_PRIVATE_KEY or COZE_JWT_OAUTH_PRIVATE_KEY_FILE_PATH",
                    Problem::Missing,
                ));
            }
        };
        Ok((issuer, key))
    }

    /// The workload of `COZE_WORKLOAD_IDENTITY_CLIENT_ID`, `COZE_WORKLOAD_IDENTITY_CLIENT_SECRET`,
    /// `COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT` and `COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT`, and, where they are set,
    /// `COZE_OUTBOUND_AUTH_ENDPOINT` and the lane of `COZE_SERVER_ENV`: as Coze's coding platform sets them. The endpoints are
    /// whole URLs, so neither the region nor `COZE_API_BASE` counts.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable, or all that are missing.
    pub fn workload_app(&self) -> Result<WorkloadApp, ConfigError> {
        const ID: &str = "COZE_WORKLOAD_IDENTITY_CLIENT_ID";
        const SECRET: &str = "COZE_WORKLOAD_IDENTITY_CLIENT_SECRET";
        const IDENTITY: &str = "COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT";
        const ACCESS: &str = "COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT";
        const OUTBOUND: &str = "COZE_OUTBOUND_AUTH_ENDPOINT";
        const LANE: &str = "COZE_SERVER_ENV";
        self.all_of(&[ID, SECRET, IDENTITY, ACCESS])?;
        let secret =
            ClientSecret::new(&**self.required(SECRET)?).map_err(|error| error.named(SECRET))?;
        let (identity, access) = (self.required(IDENTITY)?, self.required(ACCESS)?);
        let mut endpoints =
            WorkloadEndpoints::named((IDENTITY, &identity), (ACCESS, &access), false)?;
        if let Some(outbound) = self.optional(OUTBOUND) {
            let named = endpoints.with_outbound(&outbound);
            endpoints = named.map_err(|error| error.named(OUTBOUND))?;
        }
        let lane = self.optional(LANE).unwrap_or_default();
        let lane = Lane::new(&lane).map_err(|error| error.named(LANE))?;
        let app = WorkloadApp::new(endpoints, &**self.required(ID)?, secret);
        Ok(app.map_err(|error| error.named(ID))?.with_lane(lane))
    }

    /// # Errors
    ///
    /// [`ConfigError`] naming those that are missing.
    fn all_of(&self, names: &[&'static str]) -> Result<(), ConfigError> {
        let missing = |name: &&&str| self.optional(name).is_none();
        let missing: Vec<_> = names.iter().filter(missing).copied().collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(ConfigError::new(missing.join(", "), Problem::Missing)),
        }
    }

    fn redirect(&self, names: &[&'static str]) -> Result<RedirectUri, ConfigError> {
        for name in names {
            if let Some(uri) = self.optional(name) {
                return RedirectUri::new(&**uri).map_err(|error| error.named(*name));
            }
        }
        Err(ConfigError::new(names[0], Problem::Missing))
    }
}

/// What may be wrong with a path that leads nowhere.
fn hint(path: &str) -> &'static str {
    const QUOTES: [char; 2] = ['"', '\''];
    if path.starts_with('~') || path.contains('$') {
        "; ~ and $NAME are not replaced here, as a shell does"
    } else if path.trim() != path {
        "; there is white space around the path"
    } else if path.starts_with(QUOTES) && path.ends_with(QUOTES) {
        "; the path is in quotes"
    } else {
        ""
    }
}

impl std::fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}
