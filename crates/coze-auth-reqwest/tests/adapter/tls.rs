//! Real TLS on this machine.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use coze_auth_reqwest::core::TransportFailure;
use coze_auth_reqwest::{Client, Error};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::{
    Listener, TOKEN, exchange, failed, http_answer, is_child, me, read_request, run_child,
    transport,
};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Answers with a token over TLS, as `host` by this authority's word. Gives its port.
fn server(authority: &Authority, host: &str) -> u16 {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([host.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            // Empty if the client refused the certificate.
            if !read_request(&mut stream).is_empty() {
                let answer = http_answer("200 OK", TOKEN);
                stream.write_all(answer.as_bytes()).unwrap();
                stream.conn.send_close_notify();
                stream.flush().unwrap();
            }
        }
    });
    port
}

/// A client that trusts this authority and no other.
fn trusting(authority: &Authority) -> Client {
    let root = reqwest::Certificate::from_der(authority.der()).unwrap();
    Client::with_builder(move || reqwest::Client::builder().tls_certs_only([root.clone()])).unwrap()
}

#[tokio::test]
async fn a_known_authority_is_trusted() {
    let authority = authority();
    for host in ["localhost", "127.0.0.1"] {
        let port = server(&authority, host);
        let call = exchange(&format!("https://{host}:{port}"));
        trusting(&authority).run(call).await.unwrap();
    }
}

#[tokio::test]
async fn a_builders_proxy_is_not_used_for_this_machine() {
    let authority = authority();
    let root = reqwest::Certificate::from_der(authority.der()).unwrap();
    let client = Client::with_builder(move || {
        let dead = reqwest::Proxy::all("http://127.0.0.1:9").unwrap();
        let builder = reqwest::Client::builder().proxy(dead);
        builder.tls_certs_only([root.clone()])
    });
    let client = client.unwrap();
    let base = format!("https://localhost:{}", server(&authority, "localhost"));
    client.run(exchange(&base)).await.unwrap();
    let plain = Listener::saying(http_answer("200 OK", TOKEN));
    client.run(exchange(&plain.base())).await.unwrap();
}

#[tokio::test]
async fn another_hosts_certificate_is_refused_before_anything_is_sent() {
    let authority = authority();
    let base = format!("https://localhost:{}", server(&authority, "api.coze.cn"));
    let client = trusting(&authority);
    let (failure, text) = transport(client.run(exchange(&base)).await);
    assert_eq!(failure, TransportFailure::NotSent);
    assert!(text.contains("certificate not valid for name"), "{text}");
    let (failure, _) = transport(client.run(me(&base)).await);
    assert_eq!(failure, TransportFailure::NotSent, "without a body");
}

#[tokio::test]
async fn an_unknown_authority_is_refused_before_anything_is_sent() {
    let base = format!("https://localhost:{}", server(&authority(), "localhost"));
    let client = trusting(&authority());
    let (failure, text) = transport(client.run(exchange(&base)).await);
    assert_eq!(failure, TransportFailure::NotSent);
    assert!(text.contains("invalid peer certificate"), "{text}");
}

#[tokio::test]
async fn a_handshake_that_ends_or_stalls_sent_nothing() {
    let client = trusting(&authority()).with_timeout(Duration::from_millis(300));
    // It waits for a request and gets none, as a handshake is not one.
    let stalled = Listener::saying("");
    let base = format!("https://{}", stalled.address);
    for (failure, text) in [
        transport(client.run(exchange(&base)).await),
        transport(client.run(me(&base)).await),
    ] {
        assert_eq!(failure, TransportFailure::NotSent, "{text}");
        assert!(text.contains("timed out"), "{text}");
    }

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // The client's hello, then the end.
            let _read = stream.unwrap().read(&mut [0; 4096]);
        }
    });
    let (failure, text) = transport(client.run(exchange(&base)).await);
    assert_eq!(failure, TransportFailure::NotSent, "{text}");
    assert!(text.contains("eof"), "{text}");
}

#[tokio::test]
async fn a_new_client_trusts_what_the_system_trusts() {
    if is_child() {
        let base = std::env::var("TEST_BASE").unwrap();
        Client::new().unwrap().run(exchange(&base)).await.unwrap();
        return;
    }
    let authority = authority();
    let base = format!("https://localhost:{}", server(&authority, "localhost"));
    let file = std::env::temp_dir().join(format!("coze-auth-reqwest-{}.pem", std::process::id()));
    std::fs::write(&file, authority.pem()).unwrap();
    run_child(
        "tls::a_new_client_trusts_what_the_system_trusts",
        &[
            ("TEST_BASE", &base),
            ("SSL_CERT_FILE", file.to_str().unwrap()),
        ],
    );
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn a_machine_without_certificates_is_told_so_where_they_are_needed() {
    if is_child() {
        let client = Client::new().unwrap();
        for base in [
            std::env::var("TEST_BASE").unwrap(),
            "https://api.coze.cn".into(),
        ] {
            let error = failed(client.run(exchange(&base)).await);
            assert!(matches!(error, Error::Build(_)), "{base}: {error:?}");
            assert!(error.to_string().contains("install them"), "{error}");
        }
        let plain = std::env::var("TEST_PLAIN").unwrap();
        client.run(exchange(&plain)).await.unwrap();
        return;
    }
    let base = format!("https://localhost:{}", server(&authority(), "localhost"));
    let plain = Listener::saying(http_answer("200 OK", TOKEN));
    run_child(
        "tls::a_machine_without_certificates_is_told_so_where_they_are_needed",
        &[("TEST_BASE", &base), ("TEST_PLAIN", &plain.base())],
    );
}
