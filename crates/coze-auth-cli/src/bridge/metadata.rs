//! The metadata of RFC 8414: what a library that discovers reads.

use hyper::StatusCode;
use serde::Serialize;

use super::routes::{Place, Reply, json};

#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    authorization_endpoint: String,
    token_endpoint: String,
    device_authorization_endpoint: String,
    userinfo_endpoint: String,
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    grant_types_supported: &'static [&'static str],
    token_endpoint_auth_methods_supported: [&'static str; 3],
    code_challenge_methods_supported: [&'static str; 2],
}

/// The last is that of [configured clients](super::machines).
const GRANT_TYPES: [&str; 4] = [
    "authorization_code",
    "refresh_token",
    DEVICE_CODE,
    "client_credentials",
];

/// The grant type of RFC 8628 §3.4.
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// `machines`: client_credentials is configured.
pub(super) fn reply(issuer: &str, machines: bool) -> Reply {
    let at = |place: Place| format!("{issuer}{}", place.name());
    json(
        StatusCode::OK,
        &Metadata {
            issuer,
            authorization_endpoint: at(Place::Authorize),
            token_endpoint: at(Place::Token),
            device_authorization_endpoint: at(Place::DeviceAuthorization),
            userinfo_endpoint: at(Place::Userinfo),
            response_types_supported: ["code"],
            response_modes_supported: ["query"],
            grant_types_supported: &GRANT_TYPES[..if machines { 4 } else { 3 }],
            token_endpoint_auth_methods_supported: [
                "client_secret_basic",
                "client_secret_post",
                "none",
            ],
            code_challenge_methods_supported: ["S256", "plain"],
        },
    )
}
