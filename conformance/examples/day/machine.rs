//! A machine with a client of either adapter, its clock, and what it keeps in memory.

use std::sync::Arc;

use coze_auth_core::TokenGrant;
use coze_auth_core::device::DeviceApp;
use coze_auth_core::jwt::{JwtApp, JwtGrant};
use coze_auth_store::{GrantStore, MemoryStore};
use coze_auth_tokens::{Error, blocking, tokio};

use crate::store::Shelf;
use crate::wire::Watched;

/// How a user gets tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Login,
    /// A session of the JWT app, each machine for itself.
    Session,
    /// The same, shared by the machines.
    SharedSession,
}

/// What a machine is made of, and made anew after its end.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) client: Client,
    pub(crate) device: DeviceApp,
    pub(crate) jwt: JwtApp,
    /// Where logins rest.
    pub(crate) logins: Shelf,
    /// Where the tokens of sessions are shared.
    pub(crate) shared: MemoryStore,
}

#[derive(Clone)]
pub(crate) enum Client {
    Reqwest(Watched<coze_auth_reqwest::Client>),
    Ureq(Watched<coze_auth_ureq::Client>),
}

pub(crate) enum Machine {
    Reqwest {
        runtime: ::tokio::runtime::Runtime,
        logins: tokio::Logins<Watched<coze_auth_reqwest::Client>>,
        sessions: tokio::TokenSource<Watched<coze_auth_reqwest::Client>>,
        shared: tokio::TokenSource<Watched<coze_auth_reqwest::Client>>,
    },
    Ureq {
        logins: blocking::Logins<Watched<coze_auth_ureq::Client>>,
        sessions: blocking::TokenSource<Watched<coze_auth_ureq::Client>>,
        shared: blocking::TokenSource<Watched<coze_auth_ureq::Client>>,
    },
}

/// Plain, and without a pool: whether a connection was still open would be another thing in each run.
pub(crate) fn reqwest_client() -> coze_auth_reqwest::Client {
    let builder = || {
        reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
    };
    coze_auth_reqwest::Client::with_builder(builder).expect("a client")
}

pub(crate) fn ureq_client() -> coze_auth_ureq::Client {
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .max_idle_connections(0)
        .build();
    coze_auth_ureq::Client::with_agent(agent.new_agent())
}

impl Machine {
    /// Renewals are waited for: virtual time does not wait for what runs beside.
    pub(crate) fn start(plan: &Plan) -> Self {
        let (device, jwt) = (plan.device.clone(), plan.jwt.clone());
        let grant = JwtGrant::new;
        let shared: Arc<dyn GrantStore> = Arc::new(plan.shared.clone());
        match &plan.client {
            Client::Reqwest(client) => {
                let runtime = ::tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                let source = || tokio::TokenSource::jwt(client, jwt.clone(), grant());
                let store = plan.logins.clone();
                Self::Reqwest {
                    runtime: runtime.expect("a runtime"),
                    logins: tokio::Logins::new(client, device, store).wait_when_stale(),
                    sessions: source().wait_when_stale(),
                    shared: source()
                        .shared(shared)
                        .expect("a JWT app")
                        .wait_when_stale(),
                }
            }
            Client::Ureq(client) => {
                let source = || blocking::TokenSource::jwt(client, jwt.clone(), grant());
                let store = plan.logins.clone();
                Self::Ureq {
                    logins: blocking::Logins::new(client, device, store).wait_when_stale(),
                    sessions: source().wait_when_stale(),
                    shared: source()
                        .shared(shared)
                        .expect("a JWT app")
                        .wait_when_stale(),
                }
            }
        }
    }

    /// Uses the API as this user.
    pub(crate) fn call(&self, kind: Kind, user: &str) -> Result<(), Error> {
        match self {
            Self::Reqwest {
                runtime,
                logins,
                sessions,
                shared,
            } => {
                let source = match kind {
                    Kind::Login => logins.of(user),
                    Kind::Session => sessions.session(user),
                    Kind::SharedSession => shared.session(user),
                };
                runtime.block_on(source?.whoami()).map(drop)
            }
            Self::Ureq {
                logins,
                sessions,
                shared,
            } => {
                let source = match kind {
                    Kind::Login => logins.of(user),
                    Kind::Session => sessions.session(user),
                    Kind::SharedSession => shared.session(user),
                };
                source?.whoami().map(drop)
            }
        }
    }

    /// A person has logged in.
    pub(crate) fn install(&self, user: &str, grant: TokenGrant) -> Result<(), Error> {
        match self {
            Self::Reqwest {
                runtime, logins, ..
            } => runtime.block_on(logins.install(user, grant)),
            Self::Ureq { logins, .. } => logins.install(user, grant),
        }
    }
}
