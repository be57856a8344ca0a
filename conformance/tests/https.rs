//! Both adapters over the mock's TLS: who trusts its CA is served, and who does not sends nothing.

use coze_auth_core::device::DeviceApp;
use coze_auth_core::{Endpoints, Error, TransportFailure};
use coze_auth_mock::CozeAuthMock;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

fn mock() -> CozeAuthMock {
    let builder = CozeAuthMock::builder().tls();
    builder.start_blocking().expect("a mock")
}

fn app(mock: &CozeAuthMock) -> DeviceApp {
    let endpoints = Endpoints::custom(mock.base_url()).expect("https");
    DeviceApp::new(endpoints, "33333333333333333333333333333333.app.coze").expect("an app")
}

fn blocking(ca_pem: &str) -> coze_auth_ureq::Client {
    let ca = Certificate::from_pem(ca_pem.as_bytes()).expect("a certificate");
    let tls = TlsConfig::builder().root_certs(RootCerts::from([ca]));
    let config = ureq::Agent::config_builder().tls_config(tls.build());
    coze_auth_ureq::Client::with_agent(config.build().new_agent())
}

fn asynchronous(ca_pem: &str) -> coze_auth_reqwest::Client {
    let ca = reqwest::Certificate::from_pem(ca_pem.as_bytes()).expect("a certificate");
    let builder = move || reqwest::Client::builder().tls_certs_only([ca.clone()]);
    coze_auth_reqwest::Client::with_builder(builder).expect("a client")
}

#[test]
fn who_trusts_the_ca_is_served() {
    let mock = mock();
    let ca = mock.ca_pem().expect("a CA");
    let client = blocking(ca);
    client.run(app(&mock).start()).expect("a device code");

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = asynchronous(ca);
        client.run(app(&mock).start()).await.expect("a device code");
    });
    assert_eq!(mock.requests().len(), 2);
}

#[test]
fn who_trusts_another_ca_sends_nothing() {
    let [mock, other] = [mock(), mock()];
    let ca = other.ca_pem().expect("a CA");
    let failure = blocking(ca).run(app(&mock).start()).err();
    assert_not_sent(failure);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let failure = runtime.block_on(asynchronous(ca).run(app(&mock).start()));
    assert_not_sent(failure.err());
    assert!(mock.requests().is_empty());
}

fn assert_not_sent(failure: Option<coze_auth_tokens::Error>) {
    let Some(coze_auth_tokens::Error::Core { error, .. }) = failure else {
        panic!("not refused: {failure:?}");
    };
    let Error::Transport { failure, .. } = error else {
        panic!("another error: {error}");
    };
    assert_eq!(failure, TransportFailure::NotSent);
}
