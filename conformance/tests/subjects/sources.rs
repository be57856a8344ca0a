//! What a caller can tell of an error of the token sources, and one face for the apps that they renew.

use coze_auth_conformance::client::Failure;
use coze_auth_conformance::{Renewed, failure};
use coze_auth_core::RefreshApp;
use coze_auth_core::TokenGrant;
use coze_auth_core::jwt::{JwtApp, JwtGrant};
use coze_auth_store::MemoryStore;
use coze_auth_tokens::Error;

/// The person that cases log in.
pub(crate) const SUBJECT: &str = "alice";

pub(crate) fn of_source(error: &Error) -> Failure {
    match error {
        Error::Core { error, .. } => failure(error),
        Error::RefreshRefused(refused) => {
            let mut told = failure(&coze_auth_core::Error::Refused(refused.clone()));
            told.message = error.to_string();
            told
        }
        other => Failure::new("other", other.to_string()),
    }
}

/// A login that a source keeps: its app, its store and the grant.
pub(crate) fn login(
    of: Renewed,
) -> Result<(RefreshApp, MemoryStore, TokenGrant), Box<(JwtApp, JwtGrant)>> {
    let (app, grant) = match of {
        Renewed::Web(app, grant) => (app.into(), grant),
        Renewed::Pkce(app, grant) => (app.into(), grant),
        Renewed::Device(app, grant) => (app.into(), grant),
        Renewed::Jwt(jwt) => return Err(jwt),
    };
    Ok((app, MemoryStore::new(), grant))
}
