//! The client id that a request claims, before any rule looks at it.

use url::form_urlencoded;

use super::assertion::Assertion;
use super::endpoint::Endpoint;
use super::grant;
use super::json_body::JsonObject;
use super::request::{Body, Credential, Incoming};

/// The endpoints whose requests name their client.
pub(crate) const NAME_THEIR_CLIENT: [&str; 4] =
    ["authorize", "token", "device_code", "workload_token"];

pub(crate) fn members(request: &Incoming) -> Option<JsonObject<'_>> {
    let Body::Whole(body) = &request.body else {
        return None;
    };
    let form = || match request.endpoint() {
        Endpoint::WorkloadToken { .. } => Some(JsonObject::of_form(body)),
        _ => None,
    };
    serde_json::from_slice(body).ok().or_else(form)
}

/// The grant type of a request, before any rule judges it.
pub(crate) fn grant_of(request: &Incoming) -> Option<&'static str> {
    grant::grant_of(&members(request)?)
}

/// The client id that a request claims (for the JWT grant: the issuer), known or not.
pub(crate) fn client_of(request: &Incoming) -> Option<String> {
    match request.endpoint() {
        Endpoint::Authorize { .. } => {
            let query = request.query.as_deref().unwrap_or_default();
            let mut query = form_urlencoded::parse(query.as_bytes());
            let found = query.find(|(name, _)| name == "client_id");
            found.map(|(_, value)| value.into_owned())
        }
        Endpoint::Token { .. } if grant_of(request) == Some("jwt_bearer") => {
            let Ok(Credential::Bearer(assertion)) = request.credential() else {
                return None;
            };
            let assertion = Assertion::parse(assertion).ok()?;
            let issuer = assertion.claims.get("iss")?.as_str()?;
            Some(issuer.to_owned())
        }
        Endpoint::Token { .. } | Endpoint::DeviceCode { .. } | Endpoint::WorkloadToken { .. } => {
            Some(members(request)?.get("client_id")?.as_str()?.to_owned())
        }
        Endpoint::Integration
        | Endpoint::ProjectEnv
        | Endpoint::UsersMe
        | Endpoint::Workspaces
        | Endpoint::Api
        | Endpoint::Unknown => None,
    }
}
