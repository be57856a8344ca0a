//! Settings as Coze's users already have them: `coze_oauth_config.json`, and the environment variables
//! of Coze's own documents and SDKs (protocol §9).
//!
//! The core reads no file and no environment: it is handed the text, and a way to look a variable up.
//! The adapters hand it the process's own.

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::access_token::AccessToken;
use crate::authorize::RedirectUri;
use crate::device::DeviceApp;
use crate::endpoint::{Endpoints, Region, identifier};
use crate::error::{ConfigError, Problem};
use crate::jwt::JwtIssuer;
use crate::pkce::PkceApp;
use crate::secret::ClientSecret;
use crate::web::WebApp;

/// `coze_oauth_config.json`, which Coze's console gives with a sample and the official SDKs load.
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

/// The text of a private key, not yet looked at: give it to
#[cfg_attr(
    feature = "rs256-aws-lc",
    doc = "[`RsaKey::from_pem`](crate::jwt::RsaKey::from_pem)"
)]
#[cfg_attr(not(feature = "rs256-aws-lc"), doc = "`RsaKey::from_pem`")]
/// or to a signer of your own.
#[derive(Clone)]
pub struct PrivateKeyPem(Zeroizing<String>);

impl PrivateKeyPem {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PrivateKeyPem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKeyPem(***)")
    }
}

#[derive(Deserialize)]
struct File {
    client_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Zeroizing<String>>,
    private_key: Option<Zeroizing<String>>,
    public_key_id: Option<String>,
    coze_api_base: Option<String>,
    coze_www_base: Option<String>,
}

/// A member that must be there and not empty.
fn required<T: std::ops::Deref<Target = String>>(
    name: &'static str,
    member: Option<T>,
) -> Result<T, ConfigError> {
    member
        .filter(|text| !text.is_empty())
        .ok_or_else(|| ConfigError::new(name, Problem::Missing))
}

/// An issuer, its errors under the names of the settings.
fn issuer(
    endpoints: Endpoints,
    (id_name, id): (&'static str, &str),
    (key_id_name, key_id): (&'static str, &str),
) -> Result<JwtIssuer, ConfigError> {
    identifier(key_id_name, key_id)?;
    JwtIssuer::new(endpoints, id, key_id).map_err(|error| error.named(id_name))
}

impl OAuthConfig {
    /// Reads the text of the file. Members that are not known are ignored.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the member. `coze_api_base` must be there: without it one SDK means the
    /// .com region and another none (protocol §9), and credentials of one region mean nothing to the other.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        let file: File = serde_json::from_str(json.trim_start_matches('\u{feff}'))
            .map_err(|_| ConfigError::new("coze_oauth_config.json", Problem::NotJson))?;
        let base = required("coze_api_base", file.coze_api_base.as_ref())?;
        let mut endpoints =
            Endpoints::custom(base).map_err(|error| error.named("coze_api_base"))?;
        if let Some(www) = file.coze_www_base.filter(|www| !www.is_empty()) {
            endpoints = endpoints
                .with_www(&www)
                .map_err(|error| error.named("coze_www_base"))?;
        }
        let client_type = required("client_type", file.client_type.as_ref())?;
        let client_id = required("client_id", file.client_id.as_ref())?;
        let named = |error: ConfigError| error.named("client_id");
        Ok(match client_type.as_str() {
            "web" => {
                let secret = required("client_secret", file.client_secret)?;
                let secret =
                    ClientSecret::new(&**secret).map_err(|error| error.named("client_secret"))?;
                Self::Web(WebApp::new(endpoints, client_id, secret).map_err(named)?)
            }
            "pkce" => Self::Pkce(PkceApp::new(endpoints, client_id).map_err(named)?),
            "device" => Self::Device(DeviceApp::new(endpoints, client_id).map_err(named)?),
            "jwt" => {
                let key_id = required("public_key_id", file.public_key_id.as_ref())?;
                let issuer = issuer(
                    endpoints,
                    ("client_id", client_id),
                    ("public_key_id", key_id),
                )?;
                Self::Jwt(
                    issuer,
                    PrivateKeyPem(required("private_key", file.private_key)?),
                )
            }
            _ => return Err(ConfigError::new("client_type", Problem::ClientType)),
        })
    }
}

/// Coze's environment variables, looked up in whatever holds them.
///
/// An empty variable counts as one that is not set: that is how compose files and CI spell it.
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

    /// `COZE_WEB_OAUTH_CLIENT_ID`, `COZE_WEB_OAUTH_CLIENT_SECRET`, `COZE_WEB_OAUTH_REDIRECT_URI`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable.
    pub fn web_app(&self) -> Result<(WebApp, RedirectUri), ConfigError> {
        const ID: &str = "COZE_WEB_OAUTH_CLIENT_ID";
        const SECRET: &str = "COZE_WEB_OAUTH_CLIENT_SECRET";
        let secret =
            ClientSecret::new(&**self.required(SECRET)?).map_err(|error| error.named(SECRET))?;
        let app = WebApp::new(self.endpoints()?, &**self.required(ID)?, secret)
            .map_err(|error| error.named(ID))?;
        Ok((app, self.redirect(&["COZE_WEB_OAUTH_REDIRECT_URI"])?))
    }

    /// `COZE_PKCE_OAUTH_CLIENT_ID`, and `COZE_PKCE_OAUTH_REDIRECT_URI` or, as Coze's own sample has it,
    /// `COZE_WEB_OAUTH_REDIRECT_URI`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the variable.
    pub fn pkce_app(&self) -> Result<(PkceApp, RedirectUri), ConfigError> {
        const ID: &str = "COZE_PKCE_OAUTH_CLIENT_ID";
        let app = PkceApp::new(self.endpoints()?, &**self.required(ID)?)
            .map_err(|error| error.named(ID))?;
        Ok((
            app,
            self.redirect(&[
                "COZE_PKCE_OAUTH_REDIRECT_URI",
                "COZE_WEB_OAUTH_REDIRECT_URI",
            ])?,
        ))
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
    /// read with `read_file`.
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
        let (id, key_id) = (self.required(ID)?, self.required(KEY_ID)?);
        let issuer = issuer(self.endpoints()?, (ID, &id), (KEY_ID, &key_id))?;
        let key = match (self.optional(KEY), self.optional(FILE)) {
            (Some(pem), _) => pem,
            (None, Some(path)) => read_file(&path)
                .map(Zeroizing::new)
                .map_err(|error| ConfigError::new(FILE, Problem::Unreadable(error.to_string())))?,
            (None, None) => return Err(ConfigError::new(KEY, Problem::Missing)),
        };
        Ok((issuer, PrivateKeyPem(key)))
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

impl std::fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}
