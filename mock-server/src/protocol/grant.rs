//! The grant types, and the member of a body that holds the secret of each.

use super::json_body::JsonObject;
use super::request::Body;

pub(crate) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The grant types: the value of `grant_type`, and the name in the journal.
pub(crate) const GRANTS: [(&str, &str); 4] = [
    ("authorization_code", "authorization_code"),
    ("refresh_token", "refresh_token"),
    (DEVICE_CODE, "device_code"),
    (JWT_BEARER, "jwt_bearer"),
];

pub(crate) fn name(grant_type: &str) -> Option<&'static str> {
    let found = GRANTS.into_iter().find(|(known, _)| *known == grant_type);
    found.map(|(_, name)| name)
}

/// The grant type of a body, before any rule judges it.
pub(crate) fn grant_of(body: &Body) -> Option<&'static str> {
    let Body::Whole(body) = body else { return None };
    let members: JsonObject<'_> = serde_json::from_slice(body).ok()?;
    name(members.get("grant_type")?.as_str()?)
}

/// The member of the body that holds the token or code of a grant type.
pub(crate) fn secret_of(grant: &str) -> Option<&'static str> {
    match grant {
        "authorization_code" => Some("code"),
        "refresh_token" => Some("refresh_token"),
        "device_code" => Some("device_code"),
        _ => None,
    }
}
