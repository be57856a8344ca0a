//! Both token sources on one virtual clock, behind one face.

use std::sync::Arc;
use std::time::Duration;

use coze_auth_conformance::SharedClock;
use coze_auth_core::AccessToken;
use coze_auth_core::device::DeviceApp;
use coze_auth_core::jwt::{JwtApp, JwtGrant};
use coze_auth_store::GrantStore;
use coze_auth_tokens::Error;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;

use crate::clocks::{AsyncClock, BlockingClock};
use crate::network::Network;

/// Asks for a token.
pub(crate) type Caller = Box<dyn Fn() -> Result<AccessToken, Error>>;

/// What tokens are had for.
pub(crate) enum Credential {
    Jwt(JwtApp),
    Login(DeviceApp, Arc<dyn GrantStore>),
}

/// What a client is made of.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) clock: SharedClock,
    pub(crate) network: Network,
    /// The CA that it trusts, in PEM.
    pub(crate) ca: String,
    pub(crate) timeout: Option<Duration>,
}

/// The subject of a login.
pub(crate) const SUBJECT: &str = "alice";

pub(crate) fn blocking(settings: &Settings) -> coze_auth_ureq::Client {
    let ca = ureq::tls::Certificate::from_pem(settings.ca.as_bytes()).expect("a certificate");
    let tls = TlsConfig::builder().root_certs(RootCerts::from([ca]));
    let config = ureq::Agent::config_builder()
        .tls_config(tls.build())
        .proxy(None)
        .max_idle_connections(0)
        .build();
    let connector = DefaultConnector::default();
    let agent = ureq::Agent::with_parts(config, connector, settings.network.clone());
    let client =
        coze_auth_ureq::Client::with_agent(agent).with_time(BlockingClock(settings.clock.clone()));
    match settings.timeout {
        Some(timeout) => client.with_timeout(timeout),
        None => client,
    }
}

fn asynchronous(settings: &Settings) -> coze_auth_reqwest::Client {
    let ca = reqwest::Certificate::from_pem(settings.ca.as_bytes()).expect("a certificate");
    let network = settings.network.clone();
    let builder = move || {
        reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .tls_certs_only([ca.clone()])
            .dns_resolver(network.clone())
    };
    let client = coze_auth_reqwest::Client::with_builder(builder)
        .expect("a client")
        .with_time(AsyncClock(settings.clock.clone()));
    match settings.timeout {
        Some(timeout) => client.with_timeout(timeout),
        None => client,
    }
}

/// The renewal of a token that is about to end is waited for: virtual time does not wait for what runs beside.
pub(crate) fn caller(adapter: &str, settings: &Settings, credential: Credential) -> Caller {
    match adapter {
        "reqwest" => {
            use coze_auth_reqwest::TokenSource;
            let client = asynchronous(settings);
            let tokens = match credential {
                Credential::Jwt(app) => TokenSource::jwt(&client, app, JwtGrant::new()),
                Credential::Login(app, store) => {
                    TokenSource::stored(&client, app, SUBJECT, store).expect("a subject")
                }
            };
            let tokens = tokens.wait_when_stale();
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            Box::new(move || runtime.block_on(tokens.token()))
        }
        "ureq" => {
            use coze_auth_ureq::TokenSource;
            let client = blocking(settings);
            let tokens = match credential {
                Credential::Jwt(app) => TokenSource::jwt(&client, app, JwtGrant::new()),
                Credential::Login(app, store) => {
                    TokenSource::stored(&client, app, SUBJECT, store).expect("a subject")
                }
            };
            let tokens = tokens.wait_when_stale();
            Box::new(move || tokens.token())
        }
        other => panic!("no adapter is called {other}"),
    }
}
