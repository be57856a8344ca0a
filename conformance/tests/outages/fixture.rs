//! The API of an hour, its certificates, and the credentials that are used with it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coze_auth_conformance::SharedClock;
use coze_auth_core::Endpoints;
use coze_auth_core::device::DeviceApp;
use coze_auth_core::jwt::{JwtApp, RsaKey};
use coze_auth_mock::{AppKind, Builder, CozeAuthMock, DeviceAction, MockApp};
use coze_auth_store::{GrantKey, GrantStore};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

use crate::caller::{Credential, SUBJECT, Settings, blocking};
use crate::network::{HOST, Network};

/// One over each.
pub(crate) const ADAPTERS: [&str; 2] = ["reqwest", "ureq"];
pub(crate) const KINDS: [Kind; 2] = [Kind::Jwt, Kind::Login];

/// What is kept valid.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Jwt,
    Login,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jwt => "JWT",
            Self::Login => "login",
        }
    }
}

pub(crate) struct Fixture {
    pub(crate) clock: SharedClock,
    pub(crate) network: Network,
    pub(crate) mock: CozeAuthMock,
    ca: CertifiedIssuer<'static, KeyPair>,
    endpoints: Endpoints,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().expect("a key");
        let ca = CertifiedIssuer::self_signed(params, key).expect("a CA");
        let clock = SharedClock::new();
        let builder = CozeAuthMock::builder()
            .seed(1)
            .clock(clock.handle())
            .journal_capacity(10_000)
            .allowed_hosts([HOST]);
        let mock = serve(builder, &ca, false);
        Self {
            network: Network::new(address(&mock)),
            mock,
            clock,
            ca,
            endpoints: Endpoints::custom(&format!("https://{HOST}")).expect("a base"),
        }
    }

    /// The API where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        address(&self.mock)
    }

    /// Another server of that name, whose certificate has ended.
    pub(crate) fn expired(&self) -> (CozeAuthMock, SocketAddr) {
        let mock = serve(CozeAuthMock::builder(), &self.ca, true);
        let address = address(&mock);
        (mock, address)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            clock: self.clock.clone(),
            network: self.network.clone(),
            ca: self.ca.pem(),
            timeout: None,
        }
    }

    fn app(&self, kind: AppKind) -> MockApp {
        self.mock.app(kind).expect("a ready-made app")
    }

    pub(crate) fn jwt(&self) -> Credential {
        let app = self.app(AppKind::Jwt);
        let key = RsaKey::from_pem(app.private_key().expect("a key")).expect("a key");
        let (id, key_id) = (app.client_id(), app.key_id().expect("an id"));
        Credential::Jwt(JwtApp::new(self.endpoints.clone(), id, key_id, key).expect("an app"))
    }

    /// A person has logged in, and the grant is in the store.
    pub(crate) fn login(&self, store: Arc<dyn GrantStore>) -> Credential {
        let app = DeviceApp::new(
            self.endpoints.clone(),
            self.app(AppKind::Device).client_id(),
        );
        let app = app.expect("an app");
        let client = blocking(&self.settings());
        let started = client.run(app.start()).expect("a device code");
        let approved = self
            .mock
            .decide_device(&started.user_code, DeviceAction::Approve);
        approved.expect("it waits");
        let grant = client.run(app.poll(&started)).expect("a grant");
        let key = GrantKey::new(&app.clone().into(), SUBJECT).expect("a key");
        let held = store.lock(&key, std::time::Duration::ZERO);
        held.expect("nobody has it").save(&grant).expect("stored");
        Credential::Login(app, store)
    }
}

fn address(mock: &CozeAuthMock) -> SocketAddr {
    let address = mock.base_url().trim_start_matches("https://");
    address.parse().expect("an address")
}

/// A mock that shows a certificate for the API's name.
fn serve(builder: Builder, ca: &CertifiedIssuer<'_, KeyPair>, ended: bool) -> CozeAuthMock {
    let mut params = CertificateParams::new([HOST.to_owned()]).expect("a name");
    if ended {
        params.not_after = date_time_ymd(2024, 1, 1);
    }
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, ca).expect("a certificate");
    let folder = scratch();
    std::fs::create_dir_all(&folder).expect("a folder");
    let [cert_file, key_file] = ["cert.pem", "key.pem"].map(|name| folder.join(name));
    std::fs::write(&cert_file, certificate.pem()).expect("written");
    std::fs::write(&key_file, key.serialize_pem()).expect("written");
    let mock = builder.tls_files(cert_file, key_file).start_blocking();
    let _gone = std::fs::remove_dir_all(folder);
    mock.expect("a mock")
}

/// A path that nobody else has.
pub(crate) fn scratch() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    let name = format!("coze-auth-outages-{}-{number}", std::process::id());
    std::env::temp_dir().join(name)
}
