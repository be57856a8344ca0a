//! The five kinds of app, made of the arguments of an operation.

use std::fmt;
use std::time::Duration;

use coze_auth_core::authorize::{AuthorizeUrl, Callback, PendingAuthorization, RedirectUri};
use coze_auth_core::config::{Environment, OAuthConfig};
use coze_auth_core::device::DeviceApp;
use coze_auth_core::endpoint::{AccountId, EnterpriseId, WorkspaceId};
use coze_auth_core::error::CallbackError;
use coze_auth_core::jwt::{JwtApp, JwtGrant, RsaKey, SessionContext};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::scope::Scope;
use coze_auth_core::web::WebApp;
use coze_auth_core::workload::WorkloadApp;
use coze_auth_core::{
    Call, ClientSecret, Endpoints, Entropy, Error, RefreshToken, Region, TokenGrant,
};
use serde_json::{Map, Value, json};

use super::{Halt, broken, optional, text};
use crate::subject::Renewed;
use crate::variables::OF_APPS;

pub(super) enum App {
    Web(WebApp),
    Pkce(PkceApp),
    Device(DeviceApp),
    Jwt(JwtApp),
    Workload(WorkloadApp),
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(app) => app.fmt(f),
            Self::Pkce(app) => app.fmt(f),
            Self::Device(app) => app.fmt(f),
            Self::Jwt(app) => app.fmt(f),
            Self::Workload(app) => app.fmt(f),
        }
    }
}

impl App {
    pub(super) fn new(endpoints: Endpoints, args: &Map<String, Value>) -> Result<Self, Halt> {
        let id = text(args, "client_id")?;
        Ok(match text(args, "kind")? {
            "web" => {
                let secret = ClientSecret::new(text(args, "client_secret")?)?;
                Self::Web(WebApp::new(endpoints, id, secret)?)
            }
            "pkce" => Self::Pkce(PkceApp::new(endpoints, id)?),
            "device" => Self::Device(DeviceApp::new(endpoints, id)?),
            "jwt" => {
                let key = RsaKey::from_pem(text(args, "private_key")?)?;
                Self::Jwt(JwtApp::new(endpoints, id, text(args, "key_id")?, key)?)
            }
            other => return Err(broken(format!("no kind of app: {other}"))),
        })
    }

    /// As the platform describes it: in the environment, so that an error names the variable.
    pub(super) fn workload(args: &Map<String, Value>) -> Result<Self, Halt> {
        let variable = |name: &str| {
            let known = OF_APPS
                .iter()
                .find(|known| known.0 == "workload" && known.2 == name);
            Some(optional(args, known?.1)?.to_owned())
        };
        // Its endpoints are whole URLs: the region says nothing.
        let app = Environment::new(Region::Cn, variable).workload_app()?;
        Ok(Self::Workload(app))
    }

    pub(super) fn from_config(json: &str) -> Result<Self, Halt> {
        Ok(match OAuthConfig::from_json(json)? {
            OAuthConfig::Web(app) => Self::Web(app),
            OAuthConfig::Pkce(app) => Self::Pkce(app),
            OAuthConfig::Device(app) => Self::Device(app),
            OAuthConfig::Jwt(issuer, key) => Self::Jwt(JwtApp::from_issuer(issuer, key.rsa_key()?)),
            _ => {
                return Err(broken(
                    "a kind of app that the suite does not know".to_owned(),
                ));
            }
        })
    }

    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Web(_) => "web",
            Self::Pkce(_) => "pkce",
            Self::Device(_) => "device",
            Self::Jwt(_) => "jwt",
            Self::Workload(_) => "workload",
        }
    }

    fn is_no(&self, what: &str) -> Halt {
        broken(format!("a {} app is not a {what} app", self.kind()))
    }

    pub(super) fn authorize(
        &self,
        workspace: Option<&WorkspaceId>,
        redirect: &RedirectUri,
        plain: bool,
        entropy: Entropy,
    ) -> Result<(AuthorizeUrl, PendingAuthorization), Halt> {
        let made = match (self, workspace) {
            (Self::Web(app), None) => app.authorize(redirect, entropy),
            (Self::Web(app), Some(workspace)) => app.authorize_in(workspace, redirect, entropy),
            (Self::Pkce(app), workspace) => {
                let app = match plain {
                    true => app.clone().with_plain_challenge(),
                    false => app.clone(),
                };
                match workspace {
                    None => app.authorize(redirect, entropy),
                    Some(workspace) => app.authorize_in(workspace, redirect, entropy),
                }
            }
            _ => return Err(self.is_no("login")),
        };
        Ok(made?)
    }

    pub(super) fn exchange(
        &self,
        pending: PendingAuthorization,
        callback: &Callback,
    ) -> Result<Call<TokenGrant>, Halt> {
        let call = match self {
            Self::Web(app) => app.exchange(pending, callback),
            Self::Pkce(app) => app.exchange(pending, callback),
            _ => return Err(self.is_no("login")),
        };
        Ok(call.map_err(|rejected| Error::from(CallbackError::clone(&rejected.error)))?)
    }

    pub(super) fn device(&self) -> Result<&DeviceApp, Halt> {
        match self {
            Self::Device(app) => Ok(app),
            _ => Err(self.is_no("device")),
        }
    }

    pub(super) fn jwt(&self) -> Result<&JwtApp, Halt> {
        match self {
            Self::Jwt(app) => Ok(app),
            _ => Err(self.is_no("JWT")),
        }
    }

    pub(super) fn as_workload(&self) -> Result<&WorkloadApp, Halt> {
        match self {
            Self::Workload(app) => Ok(app),
            _ => Err(self.is_no("workload")),
        }
    }

    pub(super) fn refresh(&self, token: &RefreshToken) -> Result<Call<TokenGrant>, Halt> {
        Ok(match self {
            Self::Web(app) => app.refresh(token),
            Self::Pkce(app) => app.refresh(token),
            Self::Device(app) => app.refresh(token),
            Self::Jwt(_) | Self::Workload(_) => return Err(self.is_no("login")),
        })
    }

    pub(super) fn renewed(&self, grant: TokenGrant) -> Result<Renewed, Halt> {
        Ok(match self {
            Self::Web(app) => Renewed::Web(app.clone(), grant),
            Self::Pkce(app) => Renewed::Pkce(app.clone(), grant),
            Self::Device(app) => Renewed::Device(app.clone(), grant),
            Self::Jwt(_) | Self::Workload(_) => return Err(self.is_no("login")),
        })
    }
}

/// A grant as a case hands it over, which was given fifteen minutes before it ends (protocol §3.4).
pub(super) fn grant(value: &Value) -> Result<TokenGrant, Halt> {
    let expires_at = value["expires_at"].as_u64().unwrap_or_default();
    let saved = json!({
        "access_token": value["access_token"],
        "refresh_token": value["refresh_token"],
        "issued_at": expires_at.saturating_sub(900),
        "expires_at": expires_at,
    });
    Ok(TokenGrant::from_secret_json(&saved.to_string())?)
}

/// The arguments of `jwt.token` that are the grant's.
pub(super) fn jwt_grant(args: &Map<String, Value>) -> Result<JwtGrant, Halt> {
    let mut grant = JwtGrant::new();
    if let Some(seconds) = args.get("ttl_s").and_then(Value::as_u64) {
        grant = grant.ttl(Duration::from_secs(seconds))?;
    }
    if let Some(name) = optional(args, "session_name") {
        grant = grant.session_name(name)?;
    }
    if let Some(id) = optional(args, "account_id") {
        grant = grant.account(AccountId::new(id)?);
    }
    if let Some(id) = optional(args, "enterprise_id") {
        grant = grant.enterprise(EnterpriseId::new(id)?);
    }
    if let Some(device) = args.get("session_context").map(|all| &all["device_info"]) {
        let of = |name: &str| device[name].as_str().map(str::to_owned);
        let context = of("device_id").map(SessionContext::Device);
        let context = context.or_else(|| of("custom_consumer").map(SessionContext::Consumer));
        let context = context.ok_or_else(|| broken("no session context".to_owned()))?;
        grant = grant.session_context(context)?;
    }
    if let Some(wire) = args.get("scope") {
        grant = grant.scope(scope(wire));
    }
    Ok(grant)
}

/// A scope from its form on the wire (protocol §6).
fn scope(wire: &Value) -> Scope {
    let list = |value: &Value| -> Option<Vec<String>> {
        let items = value.as_array()?.iter();
        Some(items.filter_map(Value::as_str).map(str::to_owned).collect())
    };
    let mut scope = Scope::new();
    if let Some(permissions) = list(&wire["account_permission"]["permission_list"]) {
        scope = scope.account(permissions);
    }
    let bots = &wire["attribute_constraint"]["connector_bot_chat_attribute"]["bot_id_list"];
    if let Some(bots) = list(bots) {
        scope = scope.bots(bots);
    }
    let workspace = &wire["workspace_permission"];
    if let (Some(ids), Some(permissions)) = (
        list(&workspace["workspace_id_list"]),
        list(&workspace["permission_list"]),
    ) {
        scope = scope.workspaces(ids, permissions);
    }
    scope
}
