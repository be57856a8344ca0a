//! The client id that a request claims, before any rule looks at it.

use url::form_urlencoded;

use super::assertion::Assertion;
use super::endpoint::Endpoint;
use super::grant;
use super::json_body::JsonObject;
use super::request::{Body, Credential, Incoming};

/// The endpoints whose requests name their client.
pub(crate) const NAME_THEIR_CLIENT: [&str; 3] = ["authorize", "token", "device_code"];

pub(crate) fn members(request: &Incoming) -> Option<JsonObject<'_>> {
    let Body::Whole(body) = &request.body else {
        return None;
    };
    serde_json::from_slice(body).ok()
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
        Endpoint::Token { .. } if grant::grant_of(&request.body) == Some("jwt_bearer") => {
            let Ok(Credential::Bearer(assertion)) = request.credential() else {
                return None;
            };
            let assertion = Assertion::parse(assertion).ok()?;
            let issuer = assertion.claims.get("iss")?.as_str()?;
            Some(issuer.to_owned())
        }
        Endpoint::Token { .. } | Endpoint::DeviceCode { .. } => {
            Some(members(request)?.get("client_id")?.as_str()?.to_owned())
        }
        Endpoint::UsersMe | Endpoint::Workspaces | Endpoint::Api | Endpoint::Unknown => None,
    }
}
