//! The grant types, and the member of a body that holds the secret of each.

use super::json_body::JsonObject;

pub(crate) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

pub(crate) const CLIENT_CREDENTIALS: &str = "client_credentials";

pub(crate) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The grant types of the token endpoint: the value of `grant_type`, and the name in the journal.
pub(crate) const GRANTS: [(&str, &str); 4] = [
    ("authorization_code", "authorization_code"),
    ("refresh_token", "refresh_token"),
    (DEVICE_CODE, "device_code"),
    (JWT_BEARER, "jwt_bearer"),
];

/// Those of the token endpoint of workloads (protocol §15.2).
pub(crate) const WORKLOAD_GRANTS: [(&str, &str); 2] = [
    (CLIENT_CREDENTIALS, "client_credentials"),
    (TOKEN_EXCHANGE, "token_exchange"),
];

/// The names of all grant types in the journal.
pub(crate) fn names() -> Vec<&'static str> {
    all().map(|(_, name)| name).collect()
}

fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    GRANTS.into_iter().chain(WORKLOAD_GRANTS)
}

pub(crate) fn name(grant_type: &str) -> Option<&'static str> {
    let found = all().find(|(known, _)| *known == grant_type);
    found.map(|(_, name)| name)
}

/// The grant type of a body, before any rule judges it.
pub(crate) fn grant_of(members: &JsonObject<'_>) -> Option<&'static str> {
    name(members.get("grant_type")?.as_str()?)
}

/// The member of the body that holds the token or code of a grant type.
pub(crate) fn secret_of(grant: &str) -> Option<&'static str> {
    match grant {
        "authorization_code" => Some("code"),
        "refresh_token" => Some("refresh_token"),
        "device_code" => Some("device_code"),
        "token_exchange" => Some("subject_token"),
        _ => None,
    }
}
