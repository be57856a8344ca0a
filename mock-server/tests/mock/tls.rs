//! The mock over TLS.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use coze_auth_mock::{At, CozeAuthMock, Fault, On};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};

use crate::raw::{Server, ask, connect};
use crate::sockets::address;
use crate::support::*;

pub(crate) type Secured = StreamOwned<ClientConnection, TcpStream>;

pub(crate) fn secured(stream: TcpStream, ca_pem: &str) -> Secured {
    named(stream, ca_pem, "127.0.0.1")
}

/// For who believes this CA, and expects this host.
fn named(stream: TcpStream, ca_pem: &str, host: &str) -> Secured {
    secured_as(stream, client_config(ca_pem, &[b"http/1.1"]), host)
}

/// For who offers these protocols.
pub(crate) fn speaking(stream: TcpStream, ca_pem: &str, protocols: &[&[u8]]) -> Secured {
    secured_as(stream, client_config(ca_pem, protocols), "127.0.0.1")
}

fn secured_as(stream: TcpStream, config: ClientConfig, host: &str) -> Secured {
    let host = ServerName::try_from(host.to_owned()).expect("a name");
    let connection = ClientConnection::new(Arc::new(config), host).expect("a connection");
    StreamOwned::new(connection, stream)
}

/// Of a client that believes this CA, and offers these protocols.
pub(crate) fn client_config(ca_pem: &str, protocols: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).expect("a certificate");
    roots.add(ca).expect("a CA");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
    config
}

pub(crate) const ME: &[u8] =
    b"GET /v1/users/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer pat_mock_alice\r\n\r\n";

/// The error of the handshake.
fn refused(mock: &CozeAuthMock, ca_pem: &str, host: &str) -> String {
    let mut stream = named(connect(address(mock)), ca_pem, host);
    let error = stream.write_all(ME).expect_err("no handshake");
    error.to_string()
}

#[test]
fn a_client_that_trusts_the_ca_is_served_by_every_name_of_this_machine() {
    let server = Server::tls();
    let mock = &server.0.mock;
    assert!(mock.base_url().starts_with("https://127.0.0.1:"));
    let pem = mock.ca_pem().expect("a CA");
    for host in ["127.0.0.1", "::1", "localhost", "api.coze.localhost"] {
        let mut stream = named(connect(server.address()), pem, host);
        let seen = ask(&mut stream, ME, true);
        assert_eq!(seen.status(), 200, "{host}");
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    let other = Server::tls();
    let other_pem = other.0.mock.ca_pem().expect("a CA");
    assert_ne!(pem, other_pem, "each start has a CA of its own");
    let error = refused(mock, other_pem, "127.0.0.1");
    assert!(
        error.contains("UnknownIssuer") || error.contains("BadSignature"),
        "{error}"
    );
    let error = refused(mock, pem, "mock.example");
    assert!(error.contains("not valid for name"), "{error}");
}

#[test]
fn the_public_urls_host_is_in_the_certificate() {
    let (builder, _) = builder();
    let builder = builder.tls().public_url("https://mock.example:9777");
    let mock = builder.start_blocking().expect("a mock");
    let pem = mock.ca_pem().expect("a CA");
    let mut stream = named(connect_to_port_of(&mock), pem, "mock.example");
    assert_eq!(ask(&mut stream, ME, true).status(), 200);
    assert_eq!(mock.base_url(), "https://mock.example:9777");
}

/// SDKs send people from `api.` to `www.` (protocol §1), on the same port.
#[test]
fn the_certificate_is_for_the_www_host_and_for_each_name_that_is_added() {
    let public_url = "https://api.mock.example:9777";
    let named_mock = || {
        let builder = builder().0.tls().public_url(public_url);
        builder
            .tls_name("api.other.example")
            .tls_name("10.1.2.3")
            .toml("tls_names = [\"third.example\"]")
            .expect("a configuration")
            .tls_name("fd00::7")
    };
    let mock = named_mock().start_blocking().expect("a mock");
    let pem = mock.ca_pem().expect("a CA");
    for (host, expected) in [
        ("api.mock.example", true),
        ("www.mock.example", true),
        ("third.example", true),
        ("fd00::7", true),
        ("localhost", true),
        ("www.third.example", false),
        ("mock.example", false),
        ("other.example", false),
    ] {
        let mut stream = named(connect_to_port_of(&mock), pem, host);
        let sent = stream.write_all(ME);
        assert_eq!(sent.is_ok(), expected, "{host}: {sent:?}");
    }
    for name in [
        "",
        "a b",
        "https://api.mock.example",
        "api.mock.example:443",
        "é.example",
    ] {
        let error = builder().0.tls().tls_name(name).start_blocking();
        let error = error.expect_err("a refusal").to_string();
        assert!(
            error.starts_with("cannot use TLS: the certificate cannot be for"),
            "{error}"
        );
        assert!(error.contains(name), "{error}");
    }
    let world = builder().0.start_blocking().expect("a mock");
    let body =
        serde_json::json!({ "name": "w", "config": "tls_names = [\"a\"]\n[limits]\nhead = 1" });
    let body = body.to_string();
    let request = format!(
        "POST /_mock/v1/worlds HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let refused = ask(&mut connect(address(&world)), request.as_bytes(), true);
    let text = String::from_utf8_lossy(refused.body());
    assert_eq!(refused.status(), 400, "{text}");
    assert!(
        text.contains("tls_names is a setting of the whole mock"),
        "{text}"
    );
    assert!(text.contains("head is a limit of the whole mock"), "{text}");
}

/// The base URL is the public one; the banner has the address.
fn connect_to_port_of(mock: &CozeAuthMock) -> TcpStream {
    let banner = mock.banner();
    let (_, after) = banner
        .split_once("listening on https://")
        .expect("an address");
    let to = after.lines().next().expect("a line");
    connect(to.parse().expect("an address"))
}

#[test]
fn addresses_that_are_handed_out_are_https() {
    let server = Server::tls();
    let m = &server.0;
    let mut stream = server.connect();
    let info = ask(
        &mut stream,
        b"GET /_mock/v1/info HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
        true,
    );
    let info: serde_json::Value = serde_json::from_slice(info.body()).expect("JSON");
    assert_eq!(info["base_url"], "https://localhost:1");
    assert_eq!(info["ca_pem_url"], "https://localhost:1/_mock/v1/ca.pem");
    let ca = m.get("/_mock/v1/ca.pem", None);
    assert_eq!(Some(&*ca.text), m.mock.ca_pem());
    assert_eq!(ca.header("content-type"), "application/x-pem-file");
    assert!(
        m.mock
            .environment()
            .contains("COZE_API_BASE='https://127.0.0.1:")
    );

    let plain = Mock::new();
    assert_eq!(plain.mock.ca_pem(), None);
    let none = plain.get("/_mock/v1/ca.pem", None);
    assert_eq!(none.status, 404);
    assert!(none.member("error").contains("--tls self"), "{}", none.text);
    assert_eq!(plain.mock.info().get("ca_pem_url"), None);
}

/// As when a server dies: a client that takes the end for a whole answer is wrong.
#[test]
fn a_cut_has_no_farewell() {
    let server = Server::tls();
    let world = server.0.mock.world("w").expect("a name");
    let me = String::from_utf8_lossy(ME).replace("/v1", "/t/w/v1");
    let end = |fault: Option<Fault>| {
        let _fault = fault.map(|fault| world.fault(On::endpoint("users_me"), fault));
        let mut stream = server.connect();
        let request = me.replacen("Host", "Connection: close\r\nHost", 1);
        stream.write_all(request.as_bytes()).expect("it is taken");
        let mut bytes = Vec::new();
        let end = stream.read_to_end(&mut bytes);
        (bytes.len(), end.map_err(|error| error.kind()).map(|_| ()))
    };
    let (whole, ended) = end(None);
    assert_eq!(ended, Ok(()), "with the farewell");
    let (cut, ended) = end(Some(Fault::truncate_at(3)));
    assert_eq!(ended, Err(ErrorKind::UnexpectedEof));
    assert!(cut < whole);
    let (none, ended) = end(Some(Fault::reset().at(At::Request)));
    assert_eq!((none, ended), (0, Err(ErrorKind::ConnectionReset)));
}

/// Others are served in the meantime, and afterwards.
#[test]
fn a_handshake_that_is_slow_or_none_keeps_nobody_waiting() {
    let server = Server::tls();
    let silent = connect(server.address());
    let mut plain = connect(server.address());
    plain.write_all(ME).expect("it is taken");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(
        !answer.starts_with(b"HTTP"),
        "no secret goes over in the clear"
    );
    assert_eq!(ask(&mut server.connect(), ME, true).status(), 200);
    drop(silent);
}

#[test]
fn a_certificate_of_ones_own_is_presented() {
    let folder = std::env::temp_dir().join(format!("coze-auth-mock-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let made =
        rcgen::generate_simple_self_signed(["own.example".to_owned()]).expect("a certificate");
    let (cert, key) = (folder.join("own.pem"), folder.join("own.key"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let start = |cert: &std::path::Path, key: &std::path::Path| {
        builder().0.tls_files(cert, key).start_blocking()
    };
    let mock = start(&cert, &key).expect("a mock");
    assert_eq!(mock.ca_pem(), None);
    let mut stream = named(connect(address(&mock)), &made.cert.pem(), "own.example");
    assert_eq!(ask(&mut stream, ME, true).status(), 200);

    let wrong = |cert, key| start(cert, key).expect_err("a refusal").to_string();
    let none = folder.join("none.pem");
    let error = wrong(&none, &key);
    assert!(
        error.starts_with("cannot use TLS: ") && error.contains("none.pem"),
        "{error}"
    );
    let error = wrong(&cert, &cert);
    assert!(error.contains("own.pem"), "{error}");
    std::fs::remove_dir_all(&folder).expect("removed");
}
