//! The way to a real server: TLS, logins, and what is not a primary. `check` takes it alone.

mod certificates;
mod server;

use std::fs;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use certificates::{Folder, has_no_tls, tls_lines};
use coze_auth_redis::core::error::ErrorKind;
use coze_auth_redis::{ConnectError, RedisOptions};
use server::{Server, free_port};

/// A server with TLS at a port of its own, for `localhost`, by the CA `ca.pem`; and that port.
fn tls_server(test: &str, folder: &Folder, clients: &str) -> Option<(Server, u16)> {
    if has_no_tls(test) {
        return None;
    }
    let authority = folder.authority("ca");
    folder.certificate(&authority, "server", "localhost");
    folder.certificate(&authority, "client", "coze");
    let port = free_port();
    let settings = tls_lines(folder, port, "server", clients);
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Some((Server::start(test, &settings)?, port))
}

fn options(url: &str) -> RedisOptions {
    RedisOptions::from_url(url)
        .expect("a URL")
        .connect_within(Duration::from_secs(20))
        .answer_within(Duration::from_secs(20))
}

#[track_caller]
fn refused(error: Result<impl std::fmt::Debug, ConnectError>, kind: ErrorKind, why: &str) {
    let error = error.expect_err(why);
    let told = error.to_string();
    assert!(told.contains(why), "{why}: {error:?}");
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

const WAIT: ErrorKind = ErrorKind::Wait(Duration::from_secs(1));

#[tokio::test]
async fn tls_trusts_the_ca_of_the_file_and_needs_no_provider_of_the_process() {
    let folder = Folder::new("trust");
    let Some((_server, port)) = tls_server("tls_trusts_the_ca", &folder, "no") else {
        return;
    };
    let localhost = options(&format!("rediss://localhost:{port}"));
    let trusting = localhost.clone().ca_file(folder.path("ca.pem"));
    assert_eq!(trusting.check().await.expect("connected"), []);
    // Two CAs in one file, as when one follows the other.
    folder.authority("other");
    let read = |name: &str| fs::read_to_string(folder.path(name)).expect("a file");
    folder.write("both.pem", read("other.pem") + &read("ca.pem"));
    let both = localhost.clone().ca_file(folder.path("both.pem"));
    assert_eq!(both.check().await.expect("connected"), []);
    // The library's own choice is not made into the process's.
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());

    let issuer = "signed by a CA that is not trusted here";
    let other = localhost.clone().ca_file(folder.path("other.pem"));
    refused(other.check().await, ErrorKind::Settings, issuer);
    // What the operating system trusts.
    refused(localhost.check().await, ErrorKind::Settings, issuer);
    let by_address = options(&format!("rediss://127.0.0.1:{port}")).ca_file(folder.path("ca.pem"));
    let name = "its certificate is for other names than this one";
    refused(by_address.check().await, ErrorKind::Settings, name);
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[tokio::test]
async fn a_ca_that_is_exchanged_counts_at_the_next_connection() {
    let folder = Folder::new("exchanged");
    let Some((_server, port)) = tls_server("a_ca_that_is_exchanged", &folder, "no") else {
        return;
    };
    let right = fs::read(folder.path("ca.pem")).expect("a file");
    folder.authority("ca");
    let options = options(&format!("rediss://localhost:{port}")).ca_file(folder.path("ca.pem"));
    // Another CA of the same name.
    let issuer = "signed by a CA that is not trusted here";
    refused(options.check().await, ErrorKind::Settings, issuer);
    folder.write("ca.pem", right);
    assert_eq!(options.check().await.expect("connected"), []);
}

#[tokio::test]
async fn a_file_without_a_ca_is_told_before_it_is_used() {
    let folder = Folder::new("files");
    let authority = folder.authority("ca");
    folder.certificate(&authority, "client", "coze");
    let pem = authority.pem();
    folder.write("text.pem", "these are no certificates\n");
    folder.write("empty.pem", "");
    folder.write("ca.der", authority.der());
    folder.write("cut.pem", &pem[..pem.len() - 40]);
    folder.write(
        "planted.pem",
        "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n",
    );
    for (name, why) in [
        ("missing.pem", "cannot be read"),
        ("text.pem", "has no certificate in PEM"),
        ("empty.pem", "has no certificate in PEM"),
        ("ca.der", "has no certificate in PEM"),
        ("client.key", "has no certificate in PEM"),
        ("cut.pem", "is not PEM as a whole"),
        ("planted.pem", "certificate 1 in it cannot be a CA"),
    ] {
        // Nothing listens as TLS: the file is looked at before.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let options = options(&format!("rediss://localhost:{port}")).ca_file(folder.path(name));
        let error = options.check().await.expect_err(name);
        assert!(
            matches!(error, ConnectError::Settings(_)),
            "{name}: {error:?}"
        );
        refused(Err::<(), _>(error.clone()), ErrorKind::Settings, why);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_ours() {
    let folder = Folder::new("client");
    let Some((_server, port)) = tls_server("a_server_that_asks", &folder, "yes") else {
        return;
    };
    let without = options(&format!("rediss://localhost:{port}")).ca_file(folder.path("ca.pem"));
    let asks = "it asks for a certificate of ours";
    refused(without.check().await, ErrorKind::Settings, asks);
    let files = |certificate: &str, key: &str| {
        without
            .clone()
            .client_certificate(folder.path(certificate), folder.path(key))
    };
    let with = files("client.pem", "client.key");
    assert_eq!(with.check().await.expect("connected"), []);
    // A client of another CA.
    let other = folder.authority("other");
    folder.certificate(&other, "stranger", "coze");
    let stranger = files("stranger.pem", "stranger.key");
    refused(
        stranger.check().await,
        ErrorKind::Settings,
        "it refuses our certificate",
    );
    let swapped = files("client.pem", "server.key");
    refused(
        swapped.check().await,
        ErrorKind::Settings,
        "cannot be used with the certificate",
    );
    let none = files("client.pem", "ca.pem");
    refused(
        none.check().await,
        ErrorKind::Settings,
        "has no private key in PEM",
    );
    let none = files("client.key", "client.key");
    refused(
        none.check().await,
        ErrorKind::Settings,
        "client certificate: ",
    );
}

#[tokio::test]
async fn tls_and_no_tls_are_told_apart() {
    let folder = Folder::new("apart");
    let Some((server, port)) = tls_server("tls_and_no_tls", &folder, "no") else {
        return;
    };
    let plain_to_tls = options(&format!("redis://localhost:{port}"));
    refused(
        plain_to_tls.check().await,
        WAIT,
        "it speaks TLS at this port (rediss://",
    );
    let tls_to_plain = options(&format!("rediss://127.0.0.1:{}", server.port()))
        .ca_file(folder.path("ca.pem"))
        .connect_within(Duration::from_secs(2));
    let error = tls_to_plain.check().await.expect_err("it cannot connect");
    assert!(
        error
            .to_string()
            .contains("does not speak TLS at this port"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_with_its_reason() {
    let test = "a_login_that_is_refused";
    let settings = [
        "requirepass s3cret",
        "user coze on >s3cret ~coze:* &coze:* +@all",
        "user gone off >s3cret ~* +@all",
        // HELLO is for everybody: no right is needed.
        "user mute on >s3cret ~* &* +@all -hello",
        "user narrow on >s3cret ~* &* +@all -select",
    ];
    let Some(server) = Server::start(test, &settings) else {
        return;
    };
    let port = server.port();
    let at = |login: &str, rest: &str| options(&format!("redis://{login}127.0.0.1:{port}{rest}"));
    assert_eq!(at(":s3cret@", "").check().await.expect("default"), []);
    assert_eq!(at("coze:s3cret@", "/3").check().await.expect("coze"), []);
    let apart = at("", "").login("coze", "s3cret").expect("a login");
    assert_eq!(apart.check().await.expect("coze"), []);
    assert_eq!(at("mute:s3cret@", "").check().await.expect("mute"), []);
    for (options, why) in [
        (
            at("", ""),
            "(NOAUTH): it asks for a password and none was given",
        ),
        (at(":wrong@", ""), "(WRONGPASS): user or password is wrong"),
        (
            at("nobody:s3cret@", ""),
            "(WRONGPASS): user or password is wrong",
        ),
        (
            at("gone:s3cret@", ""),
            "(WRONGPASS): user or password is wrong, or the user is disabled",
        ),
        (
            at("narrow:s3cret@", "/3"),
            "(NOPERM): the user lacks a right: +select for a database other than 0",
        ),
        (at("s3cret@", ""), "has a user and no password"),
    ] {
        refused(options.check().await, ErrorKind::Settings, why);
    }
    let far = at(":s3cret@", "/99").check().await;
    refused(far, ErrorKind::Settings, "does not have a database 99");
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_is_told_with_its_reason() {
    let test = "a_server_that_lets_nobody_in";
    let Some(full) = Server::start(test, &["maxclients 1"]) else {
        return;
    };
    let _only = std::net::TcpStream::connect(("127.0.0.1", full.port())).expect("it listens");
    let told = "does not let us in: max number of clients reached";
    refused(options(&full.url()).check().await, WAIT, told);
    for command in ["HELLO", "SELECT"] {
        let line = format!("rename-command {command} \"\"");
        let server = Server::start(test, &[&line]).expect("a server");
        let error = options(&server.url()).database(1).check().await;
        let told = format!("has switched a command off: unknown command '{command}'");
        refused(error, ErrorKind::Settings, &told);
    }
    // As Redis 7.0 says it.
    let port = answering(
        "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. \
         In this mode connections are only accepted from the loopback interface. 4) Set up an authentication password for the \
         default user.\r\n",
    );
    let error = options(&format!("redis://127.0.0.1:{port}")).check().await;
    refused(
        error,
        ErrorKind::Settings,
        "it is in protected mode (DENIED)",
    );
}

#[tokio::test]
async fn only_a_primary_is_taken() {
    let test = "only_a_primary_is_taken";
    let Some(primary) = Server::start(test, &[]) else {
        return;
    };
    let line = format!("replicaof 127.0.0.1 {}", primary.port());
    let replica = Server::start(test, &[&line]).expect("a server");
    let node = Server::start(test, &["cluster-enabled yes"]).expect("a server");
    refused(options(&replica.url()).check().await, WAIT, "is a replica");
    let cluster = options(&node.url()).check().await;
    refused(cluster, ErrorKind::Settings, "is a node of a cluster");
    // What was a replica is taken when it is promoted.
    replica.tell(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(
        options(&replica.url()).check().await.expect("a primary"),
        []
    );
}

#[tokio::test]
async fn a_server_that_is_away_or_hangs_costs_the_time_that_was_given() {
    let Some(mut server) = Server::start("a_server_that_is_away", &[]) else {
        return;
    };
    let url = server.url();
    server.stop();
    let began = Instant::now();
    let short = options(&url).connect_within(Duration::from_millis(300));
    refused(short.check().await, WAIT, "within 300 ms");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    server.go_on();
    assert_eq!(options(&url).check().await.expect("it is back"), []);
    server.kill();
    refused(options(&url).check().await, WAIT, "connection refused");
    let nowhere = options("redis://nowhere.invalid").check().await;
    refused(
        nowhere,
        WAIT,
        "no connection to Redis at nowhere.invalid:6379",
    );
}

/// A server that answers whatever it is told with this.
fn answering(answer: &'static str) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.expect("a connection");
            let mut buffer = [0; 4096];
            while socket.read(&mut buffer).is_ok_and(|read| read > 0) {
                if socket.write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[tokio::test]
async fn no_error_quotes_the_login_whatever_is_answered() {
    // A proxy that does not know the command; one that cuts what it quotes; what is no error at all.
    for answer in [
        "-ERR unsupported command HELLO 3 AUTH bob hidden-sentence\r\n",
        "-ERR what is 'HELLO' '3' 'AUTH' 'bob' 'hidden-sen\r\n",
        "-hidden-sentence\r\n",
        "-NOPROTO hidden-sentence\r\n",
        "+hidden-sentence\r\n",
        "$15\r\nhidden-sentence\r\n",
        "*2\r\n$5\r\nHELLO\r\n$15\r\nhidden-sentence\r\n",
        "%1\r\n$15\r\nhidden-sentence\r\n:1\r\n",
    ] {
        let url = format!(
            "redis://bob:hidden-sentence@127.0.0.1:{}/3",
            answering(answer)
        );
        // What is a map is taken for a good answer, and the next is its own.
        let Err(error) = options(&url).check().await else {
            continue;
        };
        let mut told = format!("{error} {error:?}");
        let mut next = std::error::Error::source(&error);
        while let Some(cause) = next {
            told += &format!(" {cause} {cause:?}");
            next = cause.source();
        }
        assert!(!told.contains("hidden"), "{answer}: {told}");
    }
    // Words that help are told.
    let url = format!(
        "redis://:hidden@127.0.0.1:{}/",
        answering("-DENIED Redis is running in protected mode\r\n")
    );
    let error = options(&url).check().await.unwrap_err();
    assert!(format!("{error:?}").contains("protected mode"), "{error:?}");
}
