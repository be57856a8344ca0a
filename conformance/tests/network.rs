//! Which failure of the network it was: the same words over both adapters, on real sockets and with real TLS.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use coze_auth_core::device::DeviceApp;
use coze_auth_core::error::ErrorKind;
use coze_auth_core::{Endpoints, Retry};
use coze_auth_tokens::{Error, Obstacle};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const SECOND: Duration = Duration::from_secs(1);
/// How long a request may take where it waits in vain; a third of it is for connecting.
const SHORT: Duration = Duration::from_millis(600);

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of `localhost`, to be spoilt.
fn localhost() -> CertificateParams {
    CertificateParams::new(["localhost".to_owned()]).unwrap()
}

/// Serves each connection on a thread of its own. Gives its port.
fn listening(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    port
}

/// Shakes hands with this certificate.
fn over_tls(authority: &Authority, params: &CertificateParams) -> u16 {
    let key = KeyPair::generate().unwrap();
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
    listening(move |stream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        // What comes is of no interest: the hands are shaken by reading, and an alert is sent by flushing.
        let _read = stream.read(&mut [0; 4096]);
        let _flushed = stream.flush();
        // Until the client has hung up: its unread body would reset the connection before the alert is read.
        let _end = stream.sock.read_to_end(&mut Vec::new());
    })
}

/// Takes a head of HTTP, byte by byte, and nothing behind it.
fn head(stream: &mut TcpStream) -> String {
    let (mut came, mut byte) = (Vec::new(), [0]);
    while !came.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        came.push(byte[0]);
    }
    String::from_utf8_lossy(&came).to_ascii_lowercase()
}

/// Takes a hello of TLS, or a whole request of HTTP: what is left unread when a socket is closed resets the connection.
fn take(stream: &mut TcpStream) {
    let mut first = [0];
    if matches!(stream.peek(&mut first), Ok(1)) && !first[0].is_ascii_alphabetic() {
        let _hello = stream.read(&mut [0; 4096]);
        return;
    }
    let head = head(stream);
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split('\r').next());
    let length = length.map_or(0, |length| length.parse().expect("a number"));
    let _body = stream.read_exact(&mut vec![0; length]);
}

/// Takes what comes first and says this.
fn saying(answer: &'static [u8]) -> u16 {
    listening(move |mut stream| {
        take(&mut stream);
        stream.write_all(answer).unwrap();
    })
}

/// Takes what comes, and keeps the connection open without a word.
fn silent() -> u16 {
    listening(|mut stream| {
        let _end = stream.read_to_end(&mut Vec::new());
    })
}

/// A port at which nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A client of each adapter, and what came of a request.
struct Trial<'a> {
    authority: &'a Authority,
    proxy: Option<String>,
    timeout: Duration,
}

impl Trial<'_> {
    fn app(base: &str) -> DeviceApp {
        DeviceApp::new(Endpoints::custom(base).unwrap(), "device-client").unwrap()
    }

    fn over_reqwest(&self, base: &str) -> Error {
        let root = reqwest::Certificate::from_der(self.authority.der()).unwrap();
        let proxy = self.proxy.clone();
        let client = coze_auth_reqwest::Client::with_builder(move || {
            let builder = reqwest::Client::builder().tls_certs_only([root.clone()]);
            match &proxy {
                Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy).unwrap()),
                None => builder.no_proxy(),
            }
        });
        let client = client.unwrap().with_timeout(self.timeout);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let result = runtime.block_on(client.run(Self::app(base).start()));
        result.expect_err("it cannot be reached")
    }

    fn over_ureq(&self, base: &str) -> Error {
        use ureq::tls::{Certificate, RootCerts, TlsConfig};
        let root = Certificate::from_der(self.authority.der()).to_owned();
        let tls = TlsConfig::builder().root_certs(RootCerts::from([root]));
        let proxy = self
            .proxy
            .as_deref()
            .map(|url| ureq::Proxy::new(url).unwrap());
        let config = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .proxy(proxy);
        let client = coze_auth_ureq::Client::with_agent(config.build().new_agent());
        let client = client.with_timeout(self.timeout);
        let result = client.run(Self::app(base).start());
        result.expect_err("it cannot be reached")
    }
}

fn obstacle(error: &Error) -> Obstacle {
    match error {
        Error::Core {
            cause: Some(cause), ..
        } => cause.obstacle(),
        other => panic!("{other:?}"),
    }
}

/// Both adapters say that this obstacle is in the way, in these words after the address, and what kind it is.
fn both_say(trial: &Trial<'_>, base: &str, expected: Obstacle, words: &str, kind: ErrorKind) {
    for (adapter, error) in [
        ("reqwest", trial.over_reqwest(base)),
        ("ureq", trial.over_ureq(base)),
    ] {
        assert_eq!(obstacle(&error), expected, "{adapter}: {error:?}");
        assert_eq!(error.to_string(), format!("{base}: {words}"), "{adapter}");
        assert_eq!(error.kind(), kind, "{adapter}: {error}");
        assert_eq!(error.retry(), Retry::After(SECOND), "{adapter}: {error}");
        assert!(!error.needs_login(), "{adapter}: {error}");
    }
}

const UNSENT: &str = "could not be reached, and nothing was sent";
const BROKE: &str = "no whole answer arrived";
const PASSES: ErrorKind = ErrorKind::Wait(SECOND);

#[test]
fn a_certificate_says_what_is_wrong_with_it() {
    // One of the same name with another key, and one of another name.
    let (known, namesake, unknown) = (authority("one"), authority("one"), authority("two"));
    let mut expired = localhost();
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let mut early = localhost();
    early.not_before = date_time_ymd(2999, 1, 1);
    early.not_after = date_time_ymd(3000, 1, 1);
    let other = CertificateParams::new(["api.coze.cn".to_owned()]).unwrap();
    for (authority, params, obstacle, words) in [
        (
            &known,
            &expired,
            Obstacle::CertificateExpired,
            "the certificate has expired: it must be renewed there, unless this machine's clock is wrong",
        ),
        (
            &known,
            &early,
            Obstacle::CertificateNotYetValid,
            "the certificate is not valid yet: set this machine's clock, if it is behind",
        ),
        (
            &known,
            &other,
            Obstacle::WrongHost,
            "the certificate is another host's: check the address; DNS, a gateway or a captive portal may have led \
             elsewhere",
        ),
        (
            &unknown,
            &localhost(),
            Obstacle::UnknownIssuer,
            "the certificate is by an authority that is not trusted here: if it is yours, or your company's, add its \
             root certificate",
        ),
        (
            &namesake,
            &localhost(),
            Obstacle::UnknownIssuer,
            "the certificate is by an authority that is not trusted here: if it is yours, or your company's, add its \
             root certificate",
        ),
    ] {
        let trial = Trial {
            authority: &known,
            proxy: None,
            timeout: 30 * SECOND,
        };
        let base = format!("https://localhost:{}", over_tls(authority, params));
        both_say(
            &trial,
            &base,
            obstacle,
            &format!("{UNSENT}: {words}"),
            ErrorKind::Settings,
        );
    }
}

#[test]
fn a_connection_says_how_far_it_came() {
    let authority = authority("one");
    let http = saying(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    let alert = saying(&[21, 3, 3, 0, 2, 2, 40]);
    let dropped = listening(|mut stream| drop(stream.read(&mut [0; 4096])));
    let closed = "the connection was closed before its time, by the server or by a firewall or proxy on the way; if it \
                  always is, check host and port";
    for (port, obstacle, words, kind) in [
        (
            closed_port(),
            Obstacle::Refused,
            "the connection was refused: nothing listens there, or a firewall rejects it; check host and port",
            PASSES,
        ),
        (
            http,
            Obstacle::NotTls,
            "what answers does not speak TLS: the port may be one for http",
            ErrorKind::Settings,
        ),
        (
            alert,
            Obstacle::Handshake,
            "the TLS handshake failed: the server does not take what this client offers, or is none for https",
            PASSES,
        ),
        (dropped, Obstacle::Closed, closed, PASSES),
    ] {
        let trial = Trial {
            authority: &authority,
            proxy: None,
            timeout: 30 * SECOND,
        };
        let base = format!("https://localhost:{port}");
        both_say(&trial, &base, obstacle, &format!("{UNSENT}: {words}"), kind);
    }
}

/// A stalled handshake stands for the firewall: its sockets, too, are those on which nothing comes.
#[test]
fn a_connection_that_is_not_made_in_time() {
    let trial = Trial {
        authority: &authority("one"),
        proxy: None,
        timeout: SHORT,
    };
    let words = format!(
        "{UNSENT}: the connection was not made in time: a firewall drops what is sent, or the host, or a proxy, is down or \
         busy"
    );
    let base = format!("https://localhost:{}", silent());
    both_say(&trial, &base, Obstacle::ConnectTimeout, &words, PASSES);
}

#[test]
fn a_name_that_is_unknown_and_a_place_without_a_route() {
    let trial = Trial {
        authority: &authority("one"),
        proxy: None,
        timeout: 30 * SECOND,
    };
    let words = format!("{UNSENT}: its name was not resolved: check it, and this machine's DNS");
    // Reserved (RFC 2606 §2).
    both_say(
        &trial,
        "https://api.invalid",
        Obstacle::UnknownName,
        &words,
        PASSES,
    );
    if cfg!(target_os = "linux") {
        let words = format!(
            "{UNSENT}: this machine has no route for the connection: check its network, VPN and firewall"
        );
        // No TCP connection goes to many.
        both_say(
            &trial,
            "https://224.0.0.1",
            Obstacle::Unreachable,
            &words,
            PASSES,
        );
    } else {
        eprintln!(
            "skipped: that a place without a route is told (what the system says of one is known on Linux)"
        );
    }
}

#[test]
fn an_answer_that_breaks_off() {
    let authority = authority("one");
    let trial = Trial {
        authority: &authority,
        proxy: None,
        timeout: SHORT,
    };
    let half = saying(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{");
    let nothing = saying(b"");
    // The body is left unread.
    let reset = listening(|mut stream| {
        head(&mut stream);
        drop(stream.peek(&mut [0; 1]));
    });
    let tls = over_tls(&authority, &localhost());
    let closed = "the connection was closed before its time, by the server or by a firewall or proxy on the way; if it \
                  always is, check host and port";
    for (port, obstacle, words, kind) in [
        (half, Obstacle::Closed, format!("{BROKE}: {closed}"), PASSES),
        (nothing, Obstacle::Closed, format!("{BROKE}: {closed}"), PASSES),
        (
            reset,
            Obstacle::Reset,
            format!("{BROKE}: the connection was reset, by the server or by a firewall or proxy on the way"),
            PASSES,
        ),
        (
            tls,
            Obstacle::NotHttp,
            format!("{BROKE}: the answer is not HTTP: the port may be one for https, or of another service"),
            ErrorKind::Settings,
        ),
        (
            silent(),
            Obstacle::Timeout,
            "the whole answer did not arrive in time: the server or the network is too slow, or a firewall drops what is sent"
                .to_owned(),
            PASSES,
        ),
    ] {
        both_say(&trial, &format!("http://127.0.0.1:{port}"), obstacle, &words, kind);
    }
}

/// reqwest does not tell the proxy of a builder of one's own, ureq tells every agent's.
#[test]
fn a_proxy_is_named_and_its_password_is_not() {
    let authority = authority("one");
    let hangs_up = saying(b"");
    let forbids = saying(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    let asks = saying(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
    for (port, expected, before, after, kind) in [
        (
            closed_port(),
            Obstacle::Refused,
            "the connection to the proxy",
            " was refused: nothing listens there, or a firewall rejects it; check host and port",
            PASSES,
        ),
        (
            forbids,
            Obstacle::ProxyRefused,
            "the connection to the proxy",
            " leads no further: it forbids this host, or cannot reach it",
            PASSES,
        ),
        (
            hangs_up,
            Obstacle::ProxyRefused,
            "the connection to the proxy",
            " leads no further: it forbids this host, or cannot reach it",
            PASSES,
        ),
        (
            asks,
            Obstacle::ProxyAuthentication,
            "the connection to the proxy",
            " asks for a user and a password: put them into its URL, or mend those that are there",
            ErrorKind::Settings,
        ),
    ] {
        let proxy = Some(format!("http://user:SENTINEL@127.0.0.1:{port}"));
        let trial = Trial {
            authority: &authority,
            proxy,
            timeout: 30 * SECOND,
        };
        let base = "https://api.invalid";
        for (name, error) in [
            (String::new(), trial.over_reqwest(base)),
            (format!(" 127.0.0.1:{port}"), trial.over_ureq(base)),
        ] {
            assert_eq!(obstacle(&error), expected, "{error:?}");
            assert_eq!(
                error.to_string(),
                format!("{base}: {UNSENT}: {before}{name}{after}")
            );
            assert_eq!(error.kind(), kind, "{error}");
            let everything = format!("{error} {error:?}");
            assert!(!everything.contains("SENTINEL"), "{everything}");
            assert!(!everything.contains("user:"), "{everything}");
        }
    }
}

/// A SOCKS proxy that answers each thing that it is told with the next of these.
fn socks(answers: &'static [&'static [u8]]) -> u16 {
    listening(move |mut stream| {
        for answer in answers {
            let _told = stream.read(&mut [0; 4096]);
            stream.write_all(answer).unwrap();
        }
        let _end = stream.read_to_end(&mut Vec::new());
    })
}

/// RFC 1928 §3, §6. Which failure it is that keeps it from its proxy, reqwest does not tell.
#[test]
fn a_socks_proxy_is_told_of_too() {
    let authority = authority("one");
    let forbids: &[&[u8]] = &[&[5, 0], &[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]];
    let refuses_all: &[&[u8]] = &[&[5, 255]];
    for (port, user, [of_reqwest, of_ureq]) in [
        (
            closed_port(),
            "",
            [Obstacle::ProxyUnreachable, Obstacle::Refused],
        ),
        (socks(forbids), "", [Obstacle::ProxyRefused; 2]),
        (
            socks(refuses_all),
            "user:SENTINEL@",
            [Obstacle::ProxyAuthentication; 2],
        ),
    ] {
        let proxy = Some(format!("socks5h://{user}127.0.0.1:{port}"));
        let trial = Trial {
            authority: &authority,
            proxy,
            timeout: 30 * SECOND,
        };
        let base = "https://api.invalid";
        for (name, expected, error) in [
            (String::new(), of_reqwest, trial.over_reqwest(base)),
            (format!(" 127.0.0.1:{port}"), of_ureq, trial.over_ureq(base)),
        ] {
            assert_eq!(obstacle(&error), expected, "{error:?}");
            let start = format!("{base}: {UNSENT}: the connection to the proxy{name} ");
            assert!(error.to_string().starts_with(&start), "{error}");
            assert!(
                !format!("{error} {error:?}").contains("SENTINEL"),
                "{error:?}"
            );
        }
    }
}

/// What is wrong behind a proxy is said of the host, and the proxy is named.
#[test]
fn a_certificate_is_seen_through_a_proxy() {
    let (known, unknown) = (authority("one"), authority("two"));
    let target = over_tls(
        &unknown,
        &CertificateParams::new(["api.invalid".to_owned()]).unwrap(),
    );
    let proxy = listening(move |mut stream| {
        take(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let onward = TcpStream::connect(("127.0.0.1", target)).unwrap();
        let (mut from, mut to) = (onward.try_clone().unwrap(), stream.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let mut onward = onward;
        let _copied = std::io::copy(&mut stream, &mut onward);
    });
    let trial = Trial {
        authority: &known,
        proxy: Some(format!("http://127.0.0.1:{proxy}")),
        timeout: 30 * SECOND,
    };
    let base = "https://api.invalid";
    for (through, error) in [
        (String::new(), trial.over_reqwest(base)),
        (
            format!(" (through the proxy 127.0.0.1:{proxy})"),
            trial.over_ureq(base),
        ),
    ] {
        assert_eq!(obstacle(&error), Obstacle::UnknownIssuer, "{error:?}");
        let shown = error.to_string();
        let end = format!("add its root certificate{through}");
        assert!(shown.ends_with(&end), "{shown}");
    }
}

/// In a process of its own, since the environment is the process's.
#[test]
fn a_proxy_of_the_environment_is_named_over_both() {
    let base = "http://api.invalid";
    if std::env::var_os("TEST_CHILD").is_some() {
        let app = || DeviceApp::new(Endpoints::custom_insecure(base).unwrap(), "id").unwrap();
        let client = coze_auth_ureq::Client::new().unwrap();
        let error = client.run(app().start()).expect_err("nobody is there");
        println!("told: {error}\n{error:?}");
        let client = coze_auth_reqwest::Client::new().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let result = runtime.block_on(client.run(app().start()));
        let error = result.expect_err("nobody is there");
        println!("told: {error}\n{error:?}");
        return;
    }
    let port = closed_port();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "a_proxy_of_the_environment_is_named_over_both",
        ])
        .env("TEST_CHILD", "1")
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env_remove("http_proxy")
        .env(
            "HTTP_PROXY",
            format!("http://user:SENTINEL@127.0.0.1:{port}"),
        )
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = format!(
        "told: {base}: {UNSENT}: the connection to the proxy 127.0.0.1:{port} was refused: nothing listens there, or a \
         firewall rejects it; check host and port"
    );
    assert_eq!(
        said.lines().filter(|line| **line == expected).count(),
        2,
        "{said}"
    );
    assert!(!said.contains("SENTINEL"), "{said}");
}
