//! What a caller can tell of an error of the token sources, and one face for the apps that they renew.

use coze_auth_conformance::client::Failure;
use coze_auth_conformance::{Renewed, failure};
use coze_auth_core::RefreshApp;
use coze_auth_core::TokenGrant;
use coze_auth_core::jwt::{JwtApp, JwtGrant};
use coze_auth_core::workload::WorkloadApp;
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

/// What a source keeps and renews, as its constructors want it.
pub(crate) enum Kept {
    Login(RefreshApp, MemoryStore, TokenGrant),
    Jwt(Box<(JwtApp, JwtGrant)>),
    Workload(WorkloadApp),
}

impl Kept {
    pub(crate) fn of(renewed: Renewed) -> Self {
        let (app, grant) = match renewed {
            Renewed::Web(app, grant) => (app.into(), grant),
            Renewed::Pkce(app, grant) => (app.into(), grant),
            Renewed::Device(app, grant) => (app.into(), grant),
            Renewed::Jwt(jwt) => return Self::Jwt(jwt),
            Renewed::Workload(app) => return Self::Workload(*app),
        };
        Self::Login(app, MemoryStore::new(), grant)
    }
}
