//! What a request says of itself, read before any rule looks at it.

use url::form_urlencoded;

use super::assertion::Assertion;
use super::endpoint::Endpoint;
use super::json_body::Members;
use crate::oauth::context::{Body, Credential, Incoming, Note};
use crate::oauth::token;
use crate::redact;
use crate::redact::json;
use crate::state::{World, leak_scanner};

/// The endpoints whose requests tell their client.
pub(crate) const NAME_THEIR_CLIENT: [&str; 3] = ["authorize", "token", "device_code"];

fn members(request: &Incoming) -> Option<Members<'_>> {
    let Body::Whole(body) = &request.body else {
        return None;
    };
    serde_json::from_slice(body).ok()
}

/// The client id, for JWT the issuer, known or not.
pub(crate) fn client_of(request: &Incoming) -> Option<String> {
    match Endpoint::of(&request.path) {
        Endpoint::Authorize { .. } => {
            let query = request.query.as_deref().unwrap_or_default();
            let mut query = form_urlencoded::parse(query.as_bytes());
            let found = query.find(|(name, _)| name == "client_id");
            found.map(|(_, value)| value.into_owned())
        }
        Endpoint::Token { .. } if token::grant_of(&request.body) == Some("jwt_bearer") => {
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
        Endpoint::UsersMe | Endpoint::Unknown => None,
    }
}

/// What the journal says of a request that no rule looked at.
pub(crate) fn note(world: &World, request: &Incoming) -> Note {
    let mut note = Note {
        client: client_of(request).map(|client| redact::scrub(&client)),
        ..Note::default()
    };
    let endpoint = Endpoint::of(&request.path);
    match endpoint {
        Endpoint::Token { .. } | Endpoint::DeviceCode { .. } => {
            let Some(members) = members(request) else {
                return note;
            };
            note.leaks = leak_scanner::of_members(world, endpoint, members.iter());
            note.json = Some(json::members(members.iter()));
            note.grant = token::grant_of(&request.body);
            let secret = note.grant.and_then(token::secret_of);
            if let Some(secret) = secret.and_then(|name| members.get(name)?.as_str()) {
                note.presents(secret);
            }
        }
        Endpoint::UsersMe => {
            if let Ok(Credential::Bearer(secret)) = request.credential() {
                note.presents(secret);
            }
        }
        Endpoint::Authorize { .. } | Endpoint::Unknown => {}
    }
    note
}
